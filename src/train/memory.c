/*
 * memory.c: how much of a step is kept. A block that keeps its products costs memory, one that keeps only its input is run again
 * in backward: as many of the first ones as the limit demands, and the bits are the same.
 */
#include "base/alloc.h"
#include "tensor/backend.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>

#define KEPT 300e6 /* bytes of products, without a limit: with an adapter SmolLM2 then stays below 0.3 of PyTorch's peak (docs/performance.md) */
#define MIB 1048576.0

static int by_length(const void *a, const void *b)
{
	return *(const int *)b - *(const int *)a;
}

/* Rows of a stream in one pass. */
static int64_t rows_of(const ul_run *r)
{
	return (r->train.batch + r->train.accumulate - 1) / r->train.accumulate;
}

static int longest(const ul_dataset *d)
{
	int most = 0;
	for (int i = 0; i < d->n; i++) {
		most = d->row[i].n > most ? d->row[i].n : most;
	}
	return most;
}

/* Tokens of a stream in a usual pass. */
static int64_t usual_tokens(const ul_run *r, const ul_dataset *d)
{
	int64_t total = 0, most = longest(d);
	for (int i = 0; i < d->n; i++) {
		total += d->row[i].n;
	}
	int64_t tokens = r->train.batch_tokens > 0 ? r->train.batch_tokens / r->train.accumulate : d->n > 0 ? total / d->n * rows_of(r)
	                                                                                                    : 0;
	return tokens > most ? tokens : most;
}

/* Tokens of the longest pass there can be, added to *sum. */
static bool most_tokens(const ul_run *r, const ul_dataset *d, int64_t *sum, ul_err *err)
{
	int64_t tokens = 0, rows = rows_of(r);
	if (r->train.batch_tokens > 0 || d->n == 0) {
		*sum += usual_tokens(r, d);
		return true;
	}
	int *n = ul_malloc((size_t)d->n * sizeof *n);
	if (!n) {
		return ul_nomem(err, (size_t)d->n * sizeof *n);
	}
	for (int i = 0; i < d->n; i++) {
		n[i] = d->row[i].n;
	}
	qsort(n, (size_t)d->n, sizeof *n, by_length);
	for (int64_t i = 0; i < rows; i++) {
		tokens += n[i % d->n];
	}
	*sum += tokens;
	ul_free(n);
	return true;
}

/* What a block keeps of so many tokens beside its input: its products, of these widths. */
static double block_bytes(const ul_run *r, int64_t tokens)
{
	const ul_config *c = &r->model->cfg;
	double per_token = 3.0 * c->hidden + 2.0 * (c->heads + c->kv_heads) * c->head_dim + 2.0 * c->ffn;
	return per_token * (double)tokens * (double)r->model->be->elem;
}

static void keep_within(ul_run *r, double bytes, int64_t tokens)
{
	double blocks = bytes / block_bytes(r, tokens);
	int layers = r->model->cfg.layers, keep = blocks >= layers ? layers : (int)blocks;
	r->tape.recompute = keep < layers;
	r->tape.recompute_blocks = layers - keep;
}

void ul_memory_begin(ul_run *r)
{
	bool limited = r->train.memory > 0;
	int64_t tokens = usual_tokens(r, r->data[UL_FORGET]) + (r->data[UL_RETAIN] ? usual_tokens(r, r->data[UL_RETAIN]) : 0);
	keep_within(r, r->train.recompute == UL_RECOMPUTE_YES || limited ? 0 : r->train.recompute == UL_RECOMPUTE_NO ? INFINITY
	                                                                                                             : KEPT,
	        tokens);
	if (limited) {
		ul_peak_reset();
	}
}

bool ul_memory_measured(ul_run *r, ul_err *err)
{
	double limit = (double)r->train.memory * MIB, peak = limit > 0 ? ul_peak_bytes() : 0;
	int64_t tokens = 0;
	if (peak <= 0 || r->train.recompute == UL_RECOMPUTE_YES) {
		return true;
	}
	if (peak > limit) {
		ul_fail(err, "a step takes %.0f MiB even with every block run again, and --memory allows %lld", peak / MIB, (long long)r->train.memory);
		ul_hint(err, "fewer rows a step (--batch), or more parts of it (--accumulate), take less");
		return false;
	}
	if (!most_tokens(r, r->data[UL_FORGET], &tokens, err) || (r->data[UL_RETAIN] && !most_tokens(r, r->data[UL_RETAIN], &tokens, err))) {
		return false;
	}
	keep_within(r, limit - peak, tokens);
	return true;
}
