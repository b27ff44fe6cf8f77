/*
 * bench.c: the work that `unlearn bench` times, on the real loop, scorer and decoder.
 *
 * Time inside kernels is taken by watching the backend: its table is copied and the slow kernels of the copy keep a clock. With one
 * thread the clock is the processor's and not the wall's, so that a busy machine matters little.
 */
#include "base/alloc.h"
#include "cli/bench.h"
#include "model/generate.h"
#include "tensor/backend.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { PRODUCTS,
	ATTENTION,
	SOFTMAX,
	OPTIMISER,
	REST };
const char *const ul_bench_parts[UL_BENCH_PARTS] = {"products", "attention", "softmax", "optimiser", "rest"};

enum { MOST_STEPS = 1000 };

static double now(void)
{
	struct timespec t;
	clock_gettime(ul_threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the watched backend ---- */

static const ul_backend *plain;
static ul_backend watched;
static double spent[UL_BENCH_PARTS], flops;

#define WATCHED(name, part, type)             \
	static void watched_##name(type a)    \
	{                                     \
		double begun = now();         \
		plain->name(a);               \
		spent[part] += now() - begun; \
	}
WATCHED(attend, ATTENTION, const ul_attend_args *)
WATCHED(attend_grad, ATTENTION, const ul_attend_args *)
WATCHED(soft, SOFTMAX, const ul_soft_args *)

static void watched_gemm(const ul_gemm *g)
{
	double begun = now();
	plain->gemm(g);
	spent[PRODUCTS] += now() - begun;
	flops += 2.0 * g->m * g->n * g->k;
}

static void watched_logp(const void *z, const int *target, double *lse, double *logp, const ul_head_stats *want, const int shape[2])
{
	double begun = now();
	plain->logp(z, target, lse, logp, want, shape);
	spent[SOFTMAX] += now() - begun;
}

static void watched_logp_grad(void *z, const double *lse, const double *dlogp, const int *target, const int shape[2])
{
	double begun = now();
	plain->logp_grad(z, lse, dlogp, target, shape);
	spent[SOFTMAX] += now() - begun;
}

static void watched_adamw(void *w, const void *g, void *m, void *v, size_t n, const ul_adamw *o)
{
	double begun = now();
	plain->adamw(w, g, m, v, n, o);
	spent[OPTIMISER] += now() - begun;
}

static void watch(ul_model *m)
{
	plain = m->be;
	watched = *plain;
	watched.gemm = watched_gemm;
	watched.attend = watched_attend;
	watched.attend_grad = watched_attend_grad;
	watched.soft = watched_soft;
	watched.logp = watched_logp;
	watched.logp_grad = watched_logp_grad;
	watched.adamw = watched_adamw;
	m->be = &watched;
	for (int i = 0; i < m->params; i++)
		m->param[i]->be = &watched;
}

/* ---- rows ---- */

/* Rows of ids whose lengths run evenly from `shortest` to `longest`; the last 44 % of each are labelled, as in TOFU under a chat
 * template, or with `all` every one. */
static bool make_rows(ul_bench *b, ul_dataset *d, int n, int shortest, int longest, bool all)
{
	uint64_t next = 1;
	for (int i = 0; i < n; i++) {
		int length = shortest + (longest > shortest ? i * 37 % (longest - shortest + 1) : 0), first = all ? 1 : length - length * 44 / 100;
		json_t *ids = json_array(), *labels = json_array();
		for (int t = 0; t < length; t++) {
			next = next * 6364136223846793005u + 1442695040888963407u;
			json_int_t id = (json_int_t)((next >> 33) % (uint64_t)b->m->cfg.vocab);
			json_array_append_new(ids, json_integer(id));
			json_array_append_new(labels, json_integer(t < first ? -100 : id));
		}
		json_t *row = json_pack("{s:o, s:o}", "ids", ids, "labels", labels);
		bool ok = row && ul_dataset_add(d, row, &b->c->err);
		json_decref(row);
		if (!ok)
			return row || ul_nomem(&b->c->err, (size_t)length);
	}
	return true;
}

static bool rows_of(ul_bench *b, ul_dataset *d, const char *path, int n)
{
	ul_data_config how = {0};
	int limit = b->m->cfg.context;
	bool ok = path ? ul_dataset_read(d, path, &how, &b->c->err) : make_rows(b, d, n, limit < 114 ? limit / 2 : 58, limit < 114 ? limit : 114, false);
	return ok && ul_dataset_tokenize(d, b->m, &how, &b->c->err);
}

bool ul_bench_begin(ul_bench *b)
{
	const ul_bench_config *o = b->o;
	ul_data_config how = {0};
	int length = o->tokens < b->m->cfg.context ? (int)o->tokens : b->m->cfg.context;
	watch(b->m);
	return rows_of(b, &b->rows, o->data, 64) && rows_of(b, &b->retain, o->retain, 64) && make_rows(b, &b->plain, (int)o->seqs, length, length, true) &&
	       ul_dataset_tokenize(&b->plain, b->m, &how, &b->c->err);
}

void ul_bench_end(ul_bench *b)
{
	ul_dataset_release(&b->rows);
	ul_dataset_release(&b->retain);
	ul_dataset_release(&b->plain);
}

/* ---- one measurement ---- */

struct timed {
	double seconds, tokens, flops, part[UL_BENCH_PARTS];
};

static void clear(void)
{
	memset(spent, 0, sizeof spent);
	flops = 0;
}

static struct timed lap(double begun, double tokens)
{
	struct timed t = {.seconds = now() - begun, .tokens = tokens, .flops = flops};
	double known = 0;
	memcpy(t.part, spent, sizeof t.part);
	for (int i = 0; i < REST; i++)
		known += t.part[i];
	t.part[REST] = t.seconds - known;
	return t;
}

static int by_speed(const void *a, const void *b)
{
	const struct timed *x = a, *y = b;
	double d = x->seconds / x->tokens - y->seconds / y->tokens;
	return (d > 0) - (d < 0);
}

static void conclude(struct timed *t, int n, ul_bench_result *r)
{
	qsort(t, (size_t)n, sizeof *t, by_speed);
	const struct timed *mid = &t[(n - 1) / 2];
	*r = (ul_bench_result){.seconds = mid->seconds, .tokens = mid->tokens, .flops = mid->flops, .worst = t[n - 1].seconds, .peak = ul_peak_bytes()};
	memcpy(r->part, mid->part, sizeof r->part);
}

/* ---- training ---- */

static int64_t step_tokens(const ul_run *r)
{
	int64_t n = 0;
	for (int s = 0; s < UL_STREAMS; s++)
		for (int i = 0; r->data[s] && i < r->items; i++)
			n += r->data[s]->row[r->item[s][i]].n;
	return n;
}

static bool steps(ul_bench *b, ul_run *r, ul_bench_result *out)
{
	struct timed t[MOST_STEPS] = {0};
	int n = (int)b->o->steps;
	for (int i = -1; i < n; i++) { /* the first step touches memory and is not counted */
		clear();
		double begun = now();
		if (!ul_loop_step(r, &b->c->err))
			return false;
		if (i >= 0)
			t[i] = lap(begun, (double)step_tokens(r));
	}
	conclude(t, n, out);
	return true;
}

static bool training(ul_bench *b, const ul_method *method, const char *lora, ul_bench_result *out)
{
	ul_err *err = &b->c->err;
	ul_run *r = ul_calloc(1, sizeof *r);
	bool npo = method != &ul_finetune;
	if (!r)
		return ul_nomem(err, sizeof *r);
	*r = (ul_run){.model = b->m, .method = method};
	ul_peak_reset();
	r->config = ul_alloc(&r->arena, method->config + 1);
	bool ok = (r->config || ul_nomem(err, method->config)) && ul_opts_defaults(ul_train_opts, &r->train, &r->arena, err) &&
	          (!method->opts || ul_opts_defaults(method->opts, r->config, &r->arena, err));
	r->train.lora = lora;
	r->train.layers = npo ? b->o->layers : NULL;
	r->train.batch = npo ? b->o->batch : b->o->seqs;
	r->train.steps = b->o->steps + 1;
	r->train.retain_loss = UL_RETAIN_NLL;
	r->data[UL_FORGET] = npo ? &b->rows : &b->plain;
	r->data[UL_RETAIN] = npo ? &b->retain : NULL;
	ok = ok && ul_loop_begin(r, err) && steps(b, r, out);
	ul_loop_end(r);
	ul_lora_detach(b->m);
	ul_free(r);
	return ok;
}

static const char adapter[] = "r=8,alpha=16,target=all-linear";

bool ul_bench_train(ul_bench *b, ul_bench_result *r)
{
	return training(b, &ul_finetune, NULL, r);
}

bool ul_bench_lora(ul_bench *b, ul_bench_result *r)
{
	return training(b, &ul_finetune, adapter, r);
}

bool ul_bench_unlearn(ul_bench *b, ul_bench_result *r)
{
	const ul_method *npo = ul_method_find("npo", &b->c->err);
	return npo && training(b, npo, adapter, r);
}

/* ---- scoring and decoding ---- */

bool ul_bench_score(ul_bench *b, ul_bench_result *r)
{
	struct timed t[MOST_STEPS] = {0};
	int n = (int)b->o->steps;
	ul_peak_reset();
	for (int i = -1; i < n; i++) {
		ul_scores s = {0};
		clear();
		double begun = now();
		if (!ul_score(b->m, &b->rows, 0, &s, NULL, &b->c->err))
			return false;
		if (i >= 0)
			t[i] = lap(begun, (double)b->rows.tokens);
		ul_scores_release(&s);
	}
	conclude(t, n, r);
	return true;
}

struct tokens {
	int64_t n;
	double first; /* when the first token of all was there: what comes before is the prompt's */
	int want;
};

static bool count_token(void *ud, int prompt, int sample, int id)
{
	struct tokens *t = ud;
	if (++t->n == t->want) {
		clear();
		t->first = now();
	}
	return true;
}

static bool decode(ul_bench *b, int batch, ul_bench_result *r)
{
	enum { PROMPT = 16 };
	struct timed t[MOST_STEPS] = {0};
	int ids[PROMPT], n = (int)b->o->steps;
	ul_ids prompt[64];
	for (int i = 0; i < PROMPT; i++)
		ids[i] = (i * 7919 + 1) % b->m->cfg.vocab;
	for (int i = 0; i < batch; i++)
		prompt[i] = (ul_ids){.id = ids, .n = PROMPT};
	ul_peak_reset();
	for (int i = -1; i < n; i++) {
		ul_arena a = {0};
		ul_gen *g;
		struct tokens told = {.want = batch};
		ul_gen_config how = ul_gen_greedy((int)b->o->max_new);
		how.ignore_eos = true;
		how.batch = batch;
		how.on_token = count_token;
		how.ud = &told;
		bool ok = ul_generate(b->m, prompt, batch, &how, &a, &g, &b->c->err);
		ul_arena_release(&a);
		if (!ok)
			return false;
		if (i >= 0)
			t[i] = lap(told.first, (double)(told.n - batch));
	}
	conclude(t, n, r);
	return true;
}

bool ul_bench_generate(ul_bench *b, ul_bench_result *r)
{
	return decode(b, 1, r);
}

bool ul_bench_batch(ul_bench *b, ul_bench_result *r)
{
	return decode(b, 16, r);
}

/* ---- products alone ---- */

double ul_bench_product(ul_bench *b, int which, int rows, int out, int in)
{
	int m = which == 2 ? out : rows, n = which == 0 ? out : in, k = which == 0 ? in : which == 1 ? out
	                                                                                             : rows;
	ul_arena a = {0};
	float *x = ul_alloc(&a, (size_t)m * (size_t)k * sizeof *x), *w = ul_alloc(&a, (size_t)n * (size_t)k * sizeof *w), *y = ul_alloc(&a, (size_t)m * (size_t)n * sizeof *y);
	ul_gemm g = {.ta = which == 2, .tb = which == 0, .m = m, .n = n, .k = k, .lda = which == 2 ? m : k, .ldb = which == 0 ? k : n, .ldc = n, .alpha = 1, .a = x, .b = w, .c = y, .work = &a};
	double best = 1e9;
	for (int i = 0; !a.failed && i < 8; i++) {
		double begun = now();
		plain->gemm(&g);
		double took = now() - begun;
		best = took < best ? took : best;
	}
	ul_arena_release(&a);
	return best;
}
