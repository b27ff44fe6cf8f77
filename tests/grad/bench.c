/*
 * bench.c: how fast the compute core is on this machine. Not a test.
 *
 *	bench gemm            GF/s of every product of a SmolLM2-135M step, per path (UNLEARN_KERNELS chooses)
 *	bench full|lora|score [tokens per sequence] [sequences]      seconds of a step, tokens per second, peak memory
 *	bench decode [batch]  tokens per second with a cache
 *
 * OMP_NUM_THREADS chooses the threads; with one, time is the processor's and not the wall's, so that a busy machine matters little.
 * The model has SmolLM2-135M's shape and random weights.
 */
#include "tensor/backend.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <math.h>

enum { WIDTH = 576,
	HEADS = 9,
	KV = 3,
	DIM = 64,
	FFN = 1536,
	LAYERS = 30,
	VOCAB = 49152 };

static double now(void)
{
	struct timespec t;

	clock_gettime(ul_threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const ul_backend *cpu(void)
{
	const ul_backend *be = ul_backend_get("cpu", NULL);

	UL_ASSERT(be, "no cpu backend");
	return be;
}

/* ---- products ---- */

static void product(const ul_backend *be, bool ta, bool tb, int m, int n, int k)
{
	ul_arena a = {0};
	float *x = ul_alloc(&a, (size_t)m * (size_t)k * 4), *w = ul_alloc(&a, (size_t)n * (size_t)k * 4), *y = ul_alloc(&a, (size_t)m * (size_t)n * 4);
	double best = 1e9;
	ul_gemm g = {.ta = ta, .tb = tb, .m = m, .n = n, .k = k, .lda = ta ? m : k, .ldb = tb ? k : n, .ldc = n, .alpha = 1, .a = x, .b = w, .c = y, .work = &a};

	for (int i = 0; i < m * k; i++)
		x[i] = (float)(i % 17) - 8;
	for (int i = 0; i < n * k; i++)
		w[i] = (float)(i % 13) - 6;
	for (int i = 0; i < 12; i++) {
		double t = now();
		be->gemm(&g);
		t = now() - t;
		best = t < best ? t : best;
	}
	printf("%-10s %6d %6d %6d %9.3f ms %8.1f GF/s\n", ta ? "dyT x" : tb ? "x WT"
	                                                                    : "dy W",
	        m, n, k, best * 1e3, 2e-9 * m * n * k / best);
	ul_arena_release(&a);
}

static void products(void)
{
	static const int linear[][2] = {{WIDTH, WIDTH}, {KV * DIM, WIDTH}, {FFN, WIDTH}, {WIDTH, FFN}};
	const ul_backend *be = cpu();

	for (size_t i = 0; i < sizeof linear / sizeof *linear; i++) {
		int out = linear[i][0], in = linear[i][1];
		product(be, false, true, 1024, out, in);
		product(be, false, false, 1024, in, out);
		product(be, true, false, out, in, 1024);
	}
	product(be, false, true, 320, VOCAB, WIDTH);
	product(be, false, false, 320, WIDTH, VOCAB);
	product(be, true, false, VOCAB, WIDTH, 320);
	product(be, false, true, 1024, 8, WIDTH);
	product(be, false, true, 1024, FFN, 8);
	product(be, true, false, 8, WIDTH, 1024);
	product(be, true, false, FFN, 8, 1024);
	for (int m = 1; m <= 32; m *= 2)
		product(be, false, true, m, FFN, WIDTH);
	product(be, false, true, 1, VOCAB, WIDTH);
}

/* ---- a model of SmolLM2's shape ---- */

struct layer {
	ul_param *norm1, *q, *k, *v, *o, *norm2, *gate, *up, *down;
};

struct model {
	ul_arena arena;
	const ul_backend *be;
	struct layer layer[LAYERS];
	ul_param *embed, *norm, *param[1024];
	int params;
	const int *pos, *slot;
	ul_span span;
	ul_kv *kv; /* [LAYERS] or NULL */
};

static ul_param *param(struct model *m, int rows, int cols, double sd)
{
	ul_param *p = ul_param_new(&m->arena, m->be, "p", rows, cols);
	ul_rng r = ul_rng_at(1, "bench", (uint64_t)m->params);

	UL_ASSERT(p, "no memory");
	for (int i = 0; i < rows * cols; i++)
		((float *)p->data)[i] = sd > 0 ? (float)((ul_rng_uniform(&r) - 0.5) * sd * 3.4) : 1;
	return m->param[m->params++] = p;
}

static void build(struct model *m)
{
	m->be = cpu();
	m->embed = param(m, VOCAB, WIDTH, 0.02);
	m->norm = param(m, 1, WIDTH, 0);
	for (int i = 0; i < LAYERS; i++)
		m->layer[i] = (struct layer){
		        .norm1 = param(m, 1, WIDTH, 0),
		        .q = param(m, WIDTH, WIDTH, 0.02),
		        .k = param(m, KV * DIM, WIDTH, 0.02),
		        .v = param(m, KV * DIM, WIDTH, 0.02),
		        .o = param(m, WIDTH, WIDTH, 0.02),
		        .norm2 = param(m, 1, WIDTH, 0),
		        .gate = param(m, FFN, WIDTH, 0.02),
		        .up = param(m, FFN, WIDTH, 0.02),
		        .down = param(m, WIDTH, FFN, 0.02),
		};
}

static void adapt(struct model *m, ul_param *w)
{
	ul_lora *l = ul_alloc(&m->arena, sizeof *l);

	*l = (ul_lora){param(m, 8, w->cols, 0.02), param(m, w->rows, 8, 0.02), 8, 2, NULL};
	w->lora = l;
	UL_ASSERT(ul_param_train(l->a, true, NULL) && ul_param_train(l->b, true, NULL), "no memory");
}

static void adapt_all(struct model *m)
{
	for (int i = 0; i < LAYERS; i++) {
		struct layer *l = &m->layer[i];
		ul_param *w[] = {l->q, l->k, l->v, l->o, l->gate, l->up, l->down};
		for (int j = 0; j < 7; j++)
			adapt(m, w[j]);
	}
}

struct here {
	const struct model *m;
	int layer;
};

static ul_val *block(ul_val *x, const void *ud)
{
	static double freq[DIM / 2];
	const struct here *h = ud;
	const struct model *m = h->m;
	const struct layer *l = &m->layer[h->layer];

	for (int i = 0; i < DIM / 2; i++)
		freq[i] = pow(1e5, -2.0 * i / DIM);
	ul_rope rope = {DIM, DIM, freq, 1};
	ul_val *n = ul_rmsnorm(x, l->norm1, 1e-5, false);
	ul_val *q = ul_rotate(ul_linear(n, l->q, NULL), &rope, m->pos), *k = ul_rotate(ul_linear(n, l->k, NULL), &rope, m->pos);
	ul_val *y = ul_attend(q, k, ul_linear(n, l->v, NULL), &(ul_attention){.head_dim = DIM, .scale = 0.125, .span = m->span, .kv = m->kv ? &m->kv[h->layer] : NULL, .slot = m->slot});
	x = ul_add(x, ul_linear(y, l->o, NULL));
	n = ul_rmsnorm(x, l->norm2, 1e-5, false);
	return ul_add(x, ul_linear(ul_gate(ul_linear(n, l->gate, NULL), ul_linear(n, l->up, NULL), UL_SILU), l->down, NULL));
}

static ul_val *hidden(struct model *m, ul_tape *t, const int *ids, int n, const struct here *at)
{
	ul_val *x = ul_embed(t, m->embed, ids, n, 1);

	for (int i = 0; i < LAYERS; i++)
		x = ul_recompute(x, block, &at[i]);
	return ul_rmsnorm(x, m->norm, 1e-5, false);
}

static double peak_gib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_maxrss / (1 << 20);
}

static void step(const char *what, int length, int seqs)
{
	struct model m = {0};
	struct here at[LAYERS];
	int n = length * seqs, *ids = ul_calloc((size_t)n * 3, sizeof *ids), *target = ids + n, *pos = target + n, *start = ul_calloc((size_t)seqs + 1, sizeof *start);
	bool full = !strcmp(what, "full"), score = !strcmp(what, "score");
	ul_tape t;
	double best = 1e9, loss_was = 0;

	build(&m);
	if (!full && !score)
		adapt_all(&m);
	for (int i = 0; full && i < m.params; i++)
		UL_ASSERT(ul_param_train(m.param[i], true, NULL), "no memory");
	void **moment = ul_calloc((size_t)m.params * 2, sizeof *moment);
	for (int i = 0; i < m.params; i++)
		for (int j = 0; m.param[i]->trainable && j < 2; j++)
			moment[2 * i + j] = ul_calloc((size_t)m.param[i]->rows * (size_t)m.param[i]->cols, 4);
	for (int i = 0; i < n; i++) {
		ids[i] = i * 7919 % VOCAB;
		target[i] = (i + 1) * 7919 % VOCAB;
		pos[i] = i % length;
	}
	for (int i = 0; i <= seqs; i++)
		start[i] = i * length;
	m.span = (ul_span){seqs, start};
	m.pos = pos;
	for (int i = 0; i < LAYERS; i++)
		at[i] = (struct here){&m, i};
	ul_tape_init(&t, m.be);
	t.recompute = getenv("RECOMPUTE") != NULL;
	t.record = !score;
	for (int i = 0; i < 5; i++) {
		double begin = now();
		ul_tape_reset(&t);
		ul_val *loss = ul_scale(ul_mean(ul_head_logp(hidden(&m, &t, ids, n, at), m.embed, NULL, target, NULL)), -1);
		double forward = now();
		if (!score)
			ul_backward(loss, 1);
		double backward = now();
		for (int j = 0; j < m.params; j++) {
			ul_param *p = m.param[j];
			size_t size = (size_t)p->rows * (size_t)p->cols;
			ul_adamw o = {1e-4, 0.9, 0.999, 1e-8, 0, 1 - pow(0.9, i + 1), 1 - pow(0.999, i + 1), 1};
			if (!p->trainable)
				continue;
			m.be->adamw(p->data, p->grad, moment[2 * j], moment[2 * j + 1], size, &o);
			m.be->fill(p->grad, 0, size);
		}
		double end = now();
		loss_was = ul_item(loss);
		printf("  forward %.3f backward %.3f optimiser %.3f s, loss %.4f\n", forward - begin, backward - forward, end - backward, loss_was);
		best = i && end - begin < best ? end - begin : best;
	}
	printf("%s %d x %d: %.3f s, %.0f tokens/s, %.2f GiB peak, arena %.2f scratch %.2f GiB\n", what, seqs, length, best, n / best, peak_gib(), (double)t.arena.peak / (1 << 30), (double)t.scratch.peak / (1 << 30));
}

static void decode(int batch)
{
	enum { CONTEXT = 256,
		PROMPT = 64 };
	struct model m = {0};
	struct here at[LAYERS];
	ul_tape t;
	int *slot = ul_calloc((size_t)batch * 4 + 1, sizeof *slot), *start = slot + batch, *ids = start + batch + 1, *pos = ids + batch;
	double begin = 0;

	build(&m);
	m.kv = ul_calloc(LAYERS, sizeof *m.kv);
	for (int i = 0; i < LAYERS; i++) {
		m.kv[i] = (ul_kv){batch, CONTEXT, KV * DIM, ul_calloc((size_t)batch, sizeof(int)), ul_calloc((size_t)batch * CONTEXT * KV * DIM, 4), ul_calloc((size_t)batch * CONTEXT * KV * DIM, 4)};
		at[i] = (struct here){&m, i};
	}
	for (int i = 0; i < batch; i++)
		start[i] = slot[i] = i;
	start[batch] = batch;
	m.span = (ul_span){batch, start};
	m.slot = slot;
	m.pos = pos;
	ul_tape_init(&t, m.be);
	t.record = false;
	for (int step = 0; step < CONTEXT; step++) {
		if (step == PROMPT)
			begin = now();
		for (int i = 0; i < batch; i++)
			pos[i] = step;
		ul_tape_reset(&t);
		ul_head_logits(hidden(&m, &t, ids, batch, at), m.embed, NULL);
	}
	printf("decode batch %d: %.1f tokens/s, %.2f GiB peak\n", batch, batch * (CONTEXT - PROMPT) / (now() - begin), peak_gib());
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "gemm";

	printf("%d threads\n", ul_threads());
	if (!strcmp(what, "gemm"))
		products();
	else if (!strcmp(what, "decode"))
		decode(argc > 2 ? atoi(argv[2]) : 1);
	else
		step(what, argc > 2 ? atoi(argv[2]) : 256, argc > 3 ? atoi(argv[3]) : 4);
	return 0;
}
