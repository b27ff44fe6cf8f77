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

/* Tokens of a stream in one pass: of a usual one, or of the longest there can be, 0 where memory for that is gone. */
static int64_t stream_tokens(const ul_run *r, const ul_dataset *d, bool most)
{
	int64_t total = 0, longest = 0;
	int *n = ul_malloc((size_t)d->n * sizeof *n);
	for (int i = 0; n && i < d->n; i++) {
		total += n[i] = d->row[i].n;
		longest = n[i] > longest ? n[i] : longest;
	}
	int64_t rows = (r->train.batch + r->train.accumulate - 1) / r->train.accumulate, tokens = d->n ? total / d->n * rows : 0;
	if (r->train.batch_tokens > 0) {
		tokens = r->train.batch_tokens / r->train.accumulate;
	} else if (n && most) {
		qsort(n, (size_t)d->n, sizeof *n, by_length);
		tokens = 0;
		for (int64_t i = 0; i < rows; i++) {
			tokens += n[i % d->n];
		}
	}
	ul_free(n);
	return tokens > longest ? tokens : longest;
}

/* What a block keeps beside its input: its products, of these widths, per token. */
static double block_bytes(const ul_run *r)
{
	const ul_config *c = &r->model->cfg;
	double per_token = 3.0 * c->hidden + 2.0 * (c->heads + c->kv_heads) * c->head_dim + 2.0 * c->ffn;
	int64_t tokens = stream_tokens(r, r->data[UL_FORGET], r->train.memory > 0);
	tokens += r->data[UL_RETAIN] ? stream_tokens(r, r->data[UL_RETAIN], r->train.memory > 0) : 0;
	return per_token * (double)tokens * (double)r->model->be->elem;
}

static void keep_within(ul_run *r, double bytes)
{
	double blocks = bytes / block_bytes(r);
	int layers = r->model->cfg.layers, keep = blocks >= layers ? layers : (int)blocks;
	r->tape.recompute = keep < layers;
	r->tape.recompute_blocks = layers - keep;
}

void ul_memory_begin(ul_run *r)
{
	bool limited = r->train.memory > 0;
	keep_within(r, r->train.recompute == UL_RECOMPUTE_YES || limited ? 0 : r->train.recompute == UL_RECOMPUTE_NO ? INFINITY
	                                                                                                             : KEPT);
	if (limited) {
		ul_peak_reset();
	}
}

bool ul_memory_measured(ul_run *r, ul_err *err)
{
	double limit = (double)r->train.memory * MIB, peak = ul_peak_bytes();
	if (limit <= 0 || peak <= 0 || r->train.recompute == UL_RECOMPUTE_YES) {
		return true;
	}
	if (peak > limit) {
		ul_fail(err, "a step takes %.0f MiB even with every block run again, and --memory allows %lld", peak / MIB, (long long)r->train.memory);
		ul_hint(err, "fewer rows a step (--batch), or more parts of it (--accumulate), take less");
		return false;
	}
	keep_within(r, limit - peak);
	return true;
}
