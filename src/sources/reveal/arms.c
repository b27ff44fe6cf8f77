/*
 * arms.c: soft prompts e = A z for points z of a scrambled Sobol sequence, A of uniform numbers (InstructZero, INSTINCT), and their
 * features: the last hidden state of the frozen model behind the soft rows and a prompt.
 *
 * A departure: A is scaled so that a soft row is as long as the model's embeddings are on average. Embeddings differ by orders of
 * magnitude between families, and entries in ±1 would drown the prompt in some of them.
 */
#include "sources/reveal/arms.h"

#include "sources/reveal/sobol.h"

#include <math.h>
#include <string.h>

enum { PASS_TOKENS = 1024,
	LOOKED_AT = 512 };

void ul_arms_soft(const ul_arms *s, int arm, float *out)
{
	const double *z = s->z + (size_t)arm * (size_t)s->dims;
	for (size_t i = 0; i < (size_t)s->rows * (size_t)s->width; i++) {
		double e = 0;
		for (int d = 0; d < s->dims; d++)
			e += (double)s->a[i * (size_t)s->dims + (size_t)d] * z[d];
		out[i] = (float)e;
	}
}

/* Mean square of an element of the embeddings, as they enter the first block. */
static bool embedding_power(ul_model *m, double *out, ul_err *err)
{
	int n = m->cfg.vocab < LOOKED_AT ? m->cfg.vocab : LOOKED_AT, ids[LOOKED_AT];
	size_t all = (size_t)n * (size_t)m->cfg.hidden;
	double *x = ul_malloc(all * sizeof *x), sum = 0;
	ul_tape t;
	if (!x)
		return ul_nomem(err, all * sizeof *x);
	for (int i = 0; i < n; i++)
		ids[i] = (int)((int64_t)m->cfg.vocab * i / n);
	ul_tape_init(&t, m->be);
	t.record = false;
	ul_val *e = ul_embed(&t, m->embed, ids, n, m->cfg.embed_scale); /* [n, hidden] */
	bool ok = ul_tape_ok(&t, err);
	if (ok)
		ul_read(e, x);
	for (size_t i = 0; ok && i < all; i++)
		sum += x[i] * x[i];
	*out = sum / (double)all;
	ul_tape_release(&t);
	ul_free(x);
	return ok;
}

/* Features of arms first … first + n - 1: each is a sequence of its soft rows and the prompt. */
static bool features(ul_arms *s, ul_model *m, const ul_ids *prompt, int first, int n, ul_err *err)
{
	ul_arena a = {0};
	ul_tape t;
	int len = s->rows + prompt->n, rows = n * len;
	int *ids = ul_alloc(&a, (size_t)rows * sizeof *ids), *pos = ul_alloc(&a, (size_t)rows * sizeof *pos), *from = ul_alloc(&a, (size_t)rows * sizeof *from);
	int *start = ul_alloc(&a, (size_t)(n + 1) * sizeof *start), *last = ul_alloc(&a, (size_t)n * sizeof *last);
	float *soft = ul_alloc(&a, (size_t)n * (size_t)s->rows * (size_t)s->width * sizeof *soft);
	bool ok = !a.failed || ul_nomem(err, (size_t)rows * (size_t)s->width * sizeof *soft);
	ul_tape_init(&t, m->be);
	t.record = false;
	for (int i = 0; ok && i < n; i++) {
		ul_arms_soft(s, first + i, soft + (size_t)i * (size_t)s->rows * (size_t)s->width);
		for (int k = 0; k < len; k++) {
			pos[i * len + k] = k;
			from[i * len + k] = k < s->rows ? i * s->rows + k : -1;
			ids[i * len + k] = k < s->rows ? 0 : prompt->id[k - s->rows];
		}
		start[i + 1] = (i + 1) * len;
		last[i] = start[i + 1] - 1;
	}
	if (ok) {
		ul_pass p = {.tape = &t, .ids = ids, .pos = pos, .span = {n, start}};
		p.soft = ul_soft_rows(m, ul_const_f32(&t, n * s->rows, s->width, soft), ids, from, rows);
		ul_val *h = ul_rows(ul_forward(m, &p), last, n); /* [n, hidden] */
		ok = ul_tape_ok(&t, err);
		if (ok)
			ul_read(h, s->x + (size_t)first * (size_t)s->width);
	}
	ul_tape_release(&t);
	ul_arena_release(&a);
	return ok;
}

/* E|A z|² of an element is dims · 1/3 · 1/3 for entries in ±1 and z in the cube. */
static void draw_projection(ul_arms *s, double power, double scale, uint64_t seed)
{
	ul_rng r = ul_rng_at(seed, "soft", 0);
	double by = scale * sqrt(power * 9 / s->dims);
	for (size_t i = 0; i < (size_t)s->rows * (size_t)s->width * (size_t)s->dims; i++)
		s->a[i] = (float)(by * (2 * ul_rng_uniform(&r) - 1));
}

bool ul_arms_make(ul_arms *s, ul_model *m, const ul_ids *prompt, double scale, uint64_t seed, ul_err *err)
{
	double power = 0;
	int len = s->rows + prompt->n, together = PASS_TOKENS / len > 0 ? PASS_TOKENS / len : 1;
	s->width = m->cfg.hidden;
	if (len > m->cfg.context)
		return ul_fail(err, "%d soft rows and a prompt of %d tokens do not fit the context of %d", s->rows, prompt->n, m->cfg.context);
	s->z = ul_alloc(&s->arena, (size_t)s->n * (size_t)s->dims * sizeof *s->z);
	s->a = ul_alloc(&s->arena, (size_t)s->rows * (size_t)s->width * (size_t)s->dims * sizeof *s->a);
	s->x = ul_alloc(&s->arena, (size_t)s->n * (size_t)s->width * sizeof *s->x);
	if (s->arena.failed)
		return ul_nomem(err, (size_t)s->n * (size_t)s->width * sizeof *s->x);
	if (!embedding_power(m, &power, err))
		return false;
	ul_sobol(s->n, s->dims, true, seed, s->z);
	draw_projection(s, power, scale, seed);
	for (int i = 0; i < s->n; i += together)
		if (!features(s, m, prompt, i, s->n - i < together ? s->n - i : together, err))
			return false;
	return true;
}

void ul_arms_release(ul_arms *s)
{
	ul_arena_release(&s->arena);
	*s = (ul_arms){0};
}
