/*
 * attend.c: attention shared out to threads. Forward: blocks of query rows of each head, independent of each other. Backward: one
 * task per sequence and query head writes its own share of dk and dv, and the shares of heads that use the same keys are added
 * in the order of the heads. Tasks are handed out as threads come free; no output has two writers.
 */
#include "tensor/cpu/cpu.h"

#include <omp.h>

struct job {
	const ul_attend_args *a;
	const ul_kernels *k;
	const float **kt, **vt; /* [seqs * kv_heads]: transposed by blocks, or NULL where a sequence has few rows */
	float *dk, *dv; /* [rows, q_heads, head_dim] by sequence and head: see share_of */
	char *work;
	size_t each; /* bytes of work per thread */
};

enum { SMALL = 1 << 20 }; /* multiplications below which one thread is enough */
enum { FEW = 4 }; /* query rows of a sequence up to which keys are read where they lie */

static int rows_of(const ul_attend_args *a, int s)
{
	return a->start[s + 1] - a->start[s];
}

static int keys_of(const ul_attend_args *a, int s)
{
	return a->past[s] + rows_of(a, s);
}

static size_t transposed(const ul_attend_args *a, int s) /* elements of one head's transposed keys */
{
	return (size_t)(keys_of(a, s) + UL_KEYS - 1) / UL_KEYS * UL_KEYS * (size_t)a->head_dim;
}

static ul_attend_head head_of(const struct job *j, int s, int h)
{
	const ul_attend_args *a = j->a;
	int kv = h / (a->q_heads / a->kv_heads);
	size_t d = (size_t)a->head_dim, wide = (size_t)a->q_heads * d, at = (size_t)a->start[s] * wide + (size_t)h * d, stat = (size_t)a->start[s] * (size_t)a->q_heads + (size_t)h;

	return (ul_attend_head){
	        .n = rows_of(a, s),
	        .past = a->past[s],
	        .window = a->window,
	        .head_dim = a->head_dim,
	        .scale = (float)a->scale,
	        .q_step = wide,
	        .kv_step = (size_t)a->kv_heads * d,
	        .lse_step = (size_t)a->q_heads,
	        .q = (const float *)a->q + at,
	        .k = (const float *)a->k[s] + (size_t)kv * d,
	        .v = (const float *)a->v[s] + (size_t)kv * d,
	        .y = a->dy ? NULL : (float *)a->y + at,
	        .lse = a->dy ? NULL : (float *)a->lse + stat,
	        .y_in = (const float *)a->y + at,
	        .lse_in = (const float *)a->lse + stat,
	        .dy = a->dy ? (const float *)a->dy + at : NULL,
	        .dq = a->dq ? (float *)a->dq + at : NULL,
	        .dk = j->dk ? j->dk + (size_t)a->start[s] * wide + (size_t)h * d * (size_t)rows_of(a, s) : NULL,
	        .dv = j->dv ? j->dv + (size_t)a->start[s] * wide + (size_t)h * d * (size_t)rows_of(a, s) : NULL,
	        .kt = j->kt[s * a->kv_heads + kv],
	        .vt = j->vt ? j->vt[s * a->kv_heads + kv] : NULL,
	        .work = (float *)(void *)(j->work + (size_t)omp_get_thread_num() * j->each),
	};
}

/* Addresses of every transposed head in one block of memory; NULL when memory has run out. */
static const float **transposes(const ul_attend_args *a, bool all)
{
	size_t total = 0;
	const float **p = ul_alloc(a->work, (size_t)(a->seqs * a->kv_heads) * sizeof *p);

	for (int s = 0; s < a->seqs; s++)
		total += all || rows_of(a, s) > FEW ? transposed(a, s) * (size_t)a->kv_heads : 0;
	float *to = ul_alloc_raw(a->work, total * sizeof *to);
	if (!p || !to)
		return NULL;
	for (int s = 0; s < a->seqs; s++)
		for (int h = 0; (all || rows_of(a, s) > FEW) && h < a->kv_heads; h++, to += transposed(a, s))
			p[s * a->kv_heads + h] = to;
	return p;
}

static void fill(const struct job *j, const float **to, const void *const *from, int task)
{
	const ul_attend_args *a = j->a;
	int s = task / a->kv_heads, h = task % a->kv_heads;

	if (to[task]) /* NOLINT(clang-analyzer-core.*): never NULL here */
		j->k->transpose_keys((float *)to[task], (const float *)from[s] + (size_t)h * (size_t)a->head_dim, (size_t)a->kv_heads * (size_t)a->head_dim, keys_of(a, s), a->head_dim);
}

static bool begin(struct job *j, int threads)
{
	const ul_attend_args *a = j->a;
	int longest = 0;

	for (int s = 0; s < a->seqs; s++)
		longest = keys_of(a, s) > longest ? keys_of(a, s) : longest;
	j->each = (j->k->attend_work(longest, a->head_dim, a->q_heads / a->kv_heads) * sizeof(float) + 63) / 64 * 64;
	j->work = ul_alloc_raw(a->work, j->each * (size_t)threads);
	j->kt = transposes(a, a->dy != NULL);
	j->vt = a->dy ? transposes(a, true) : NULL;
	return j->work && j->kt && (!a->dy || j->vt);
}

static void forward_task(const struct job *j, int s, int block)
{
	const ul_attend_args *a = j->a;
	int n = rows_of(a, s);

	if (n <= FEW) {
		if (block % a->q_heads % (a->q_heads / a->kv_heads) == 0 && block < a->q_heads) {
			ul_attend_head h = head_of(j, s, block);
			j->k->attend_few(&h, a->q_heads / a->kv_heads);
		}
		return;
	}
	ul_attend_head h = head_of(j, s, block % a->q_heads);
	int first = block / a->q_heads * UL_QUERIES;
	j->k->attend(&h, first, n - first < UL_QUERIES ? n - first : UL_QUERIES);
}

/* The task-th block of all: which sequence, and which of its blocks. */
static int block_of(const ul_attend_args *a, int task, int *s)
{
	for (*s = 0;; ++*s) {
		int blocks = (rows_of(a, *s) + UL_QUERIES - 1) / UL_QUERIES * a->q_heads;
		if (task < blocks)
			return task;
		task -= blocks;
	}
}

void ul_cpu_attend(const ul_attend_args *a)
{
	ul_mark mark = ul_arena_mark(a->work);
	struct job j = {.a = a, .k = ul_cpu()};
	int threads = ul_threads(), tasks = 0, pairs = a->seqs * a->kv_heads;
	double work = 0;

	for (int s = 0; s < a->seqs; s++) {
		tasks += (rows_of(a, s) + UL_QUERIES - 1) / UL_QUERIES * a->q_heads;
		work += (double)rows_of(a, s) * keys_of(a, s) * a->q_heads * a->head_dim;
	}
	if (work < SMALL)
		threads = 1;
	if (begin(&j, threads)) {
#pragma omp parallel num_threads(threads) if (threads > 1)
		{
#pragma omp for schedule(dynamic, 1)
			for (int t = 0; t < pairs; t++)
				fill(&j, j.kt, a->k, t);
#pragma omp for schedule(dynamic, 1)
			for (int t = 0; t < tasks; t++) {
				int s, block = block_of(a, t, &s);
				forward_task(&j, s, block);
			}
		}
	}
	ul_arena_reset(a->work, mark);
}

/* dk and dv of the keys of one head += the shares of the query heads that use it, in order. */
static void gather_shares(const struct job *j, int task)
{
	const ul_attend_args *a = j->a;
	int s = task / a->kv_heads, kv = task % a->kv_heads, group = a->q_heads / a->kv_heads, n = rows_of(a, s);
	size_t d = (size_t)a->head_dim, step = (size_t)a->kv_heads * d, head = (size_t)n * d;
	const float *share[2] = {j->dk + (size_t)a->start[s] * (size_t)a->q_heads * d, j->dv + (size_t)a->start[s] * (size_t)a->q_heads * d};
	float *to[2] = {a->dk ? a->dk[s] : NULL, a->dv ? a->dv[s] : NULL};

	for (int side = 0; side < 2; side++)
		for (int r = 0; to[side] && r < n; r++)
			for (size_t c = 0; c < d; c++) {
				float sum = 0;
				for (int g = 0; g < group; g++)
					sum += share[side][(size_t)(kv * group + g) * head + (size_t)r * d + c];
				to[side][(size_t)r * step + (size_t)kv * d + c] += sum;
			}
}

void ul_cpu_attend_grad(const ul_attend_args *a)
{
	ul_mark mark = ul_arena_mark(a->work);
	struct job j = {.a = a, .k = ul_cpu()};
	int threads = ul_threads(), pairs = a->seqs * a->kv_heads, tasks = a->seqs * a->q_heads;
	double work = 0;
	size_t bytes = (size_t)a->start[a->seqs] * (size_t)a->q_heads * (size_t)a->head_dim * sizeof(float);

	for (int s = 0; s < a->seqs; s++)
		work += (double)rows_of(a, s) * rows_of(a, s) * a->q_heads * a->head_dim;
	if (work < SMALL)
		threads = 1;
	j.dk = ul_alloc_raw(a->work, bytes);
	j.dv = ul_alloc_raw(a->work, bytes);
	if (begin(&j, threads) && j.dk && j.dv) {
#pragma omp parallel num_threads(threads) if (threads > 1)
		{
#pragma omp for schedule(dynamic, 1)
			for (int t = 0; t < 2 * pairs; t++)
				fill(&j, t < pairs ? j.kt : j.vt, t < pairs ? a->k : a->v, t < pairs ? t : t - pairs);
#pragma omp for schedule(dynamic, 1)
			for (int t = 0; t < tasks; t++) {
				ul_attend_head h = head_of(&j, t / a->q_heads, t % a->q_heads);
				j.k->attend_grad(&h);
			}
#pragma omp for schedule(dynamic, 1)
			for (int t = 0; t < pairs; t++)
				gather_shares(&j, t);
		}
	}
	ul_arena_reset(a->work, mark);
}
