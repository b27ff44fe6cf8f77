/*
 * relax.c: relaxed inputs. Position t holds logits over the vocabulary; the model is given the mixture of embeddings that their
 * softmax weighs,
 *
 *     p_t = softmax(θ_t / T)      x_t = p_t E      L = KL(P ‖ M(x))      dL/dθ = p ⊙ (g - p·g) / T,  g = (dL/dx) Eᵀ
 *
 * and now and then its most probable tokens are tried as they are: the best such sequence is the answer. Known of SODA: the
 * relaxation, Adam, decay, restarts. Reconstructed: constants, found
 * on small models (a low T, so that mixtures are nearly tokens, and many beginnings), and that a restart begins at small random logits.
 */
#include "train/relax.h"

#include "tensor/backend.h"
#include "train/inverter.h"

#include <float.h>
#include <math.h>
#include <string.h>

struct relax {
	ul_model *m;
	const ul_relax_config *c;
	const float *hidden;
	int length, vocab, width;
	float *table; /* [vocab, width] */
	unsigned char *barred; /* [vocab] */
	float *theta, *p, *g, *m1, *m2; /* [length, vocab] */
	double *x, *dx; /* [length, width] */
	ul_ids ids, front; /* all rows of the input; those in front */
	int *from, *pos;
	int64_t t; /* steps since the last beginning */
	ul_tape tape;
};

static void begin_anew(struct relax *r, uint64_t number)
{
	ul_rng rng = ul_rng_at(r->c->seed, "relax", number);
	size_t n = (size_t)r->length * (size_t)r->vocab;
	for (size_t i = 0; i < n; i++)
		r->theta[i] = r->barred[i % (size_t)r->vocab] ? -FLT_MAX : (float)(0.1 * ul_rng_normal(&rng));
	memset(r->m1, 0, n * sizeof *r->m1);
	memset(r->m2, 0, n * sizeof *r->m2);
	r->t = 0;
}

/* p and x from θ. */
static void mix(struct relax *r)
{
	size_t width = (size_t)r->width, vocab = (size_t)r->vocab;
	memset(r->x, 0, (size_t)r->length * width * sizeof *r->x);
	for (int t = 0; t < r->length; t++) {
		const float *theta = r->theta + (size_t)t * vocab;
		float *p = r->p + (size_t)t * vocab, max = -FLT_MAX;
		double sum = 0, *x = r->x + (size_t)t * width;
		for (size_t j = 0; j < vocab; j++)
			max = theta[j] > max ? theta[j] : max;
		for (size_t j = 0; j < vocab; j++)
			sum += p[j] = (float)exp((theta[j] - max) / r->c->temperature);
		for (size_t j = 0; j < vocab; j++) {
			p[j] = (float)(p[j] / sum);
			for (size_t k = 0; p[j] > 0 && k < width; k++)
				x[k] += r->m->cfg.embed_scale * p[j] * r->table[j * width + k];
		}
	}
}

/* dL/dx of the mixtures as they are. */
static bool gradient(struct relax *r, ul_err *err)
{
	int rows = r->front.n + r->length, last = rows - 1, span[] = {0, rows};
	double *wide = NULL;
	ul_soft_ref ref = {.hidden = r->hidden, .w = r->m->head, .b = r->m->head_b};
	if (r->m->be->elem == 8) {
		wide = ul_malloc((size_t)r->width * sizeof *wide);
		for (int i = 0; wide && i < r->width; i++)
			wide[i] = r->hidden[i];
		ref.hidden = NULL;
		ref.hidden64 = wide;
		if (!wide)
			return ul_nomem(err, (size_t)r->width * sizeof *wide);
	}
	ul_val *x = ul_leaf(&r->tape, r->length, r->width, r->x);
	ul_pass pass = {.tape = &r->tape, .ids = r->ids.id, .pos = r->pos, .span = {1, span}, .soft = ul_soft_rows(r->m, x, r->ids.id, r->from, rows)};
	ul_val *h = ul_rows(ul_forward(r->m, &pass), &last, 1);
	ul_val *loss = ul_sum(ul_head_soft(h, r->m->head, r->m->head_b, &ref, UL_KL_REF));
	bool ok = ul_tape_ok(&r->tape, err);
	if (ok) {
		ul_backward(loss, 1);
		ul_read_grad(x, r->dx);
		ok = ul_tape_ok(&r->tape, err);
	}
	ul_tape_reset(&r->tape);
	ul_free(wide);
	return ok;
}

/* Adam on θ. */
static void update(struct relax *r)
{
	const ul_relax_config *c = r->c;
	size_t width = (size_t)r->width, vocab = (size_t)r->vocab;
	double b1 = 1 - pow(c->beta1, (double)++r->t), b2 = 1 - pow(c->beta2, (double)r->t);
	for (int t = 0; t < r->length; t++) {
		size_t at = (size_t)t * vocab;
		const double *dx = r->dx + (size_t)t * width;
		double mean = 0;
		for (size_t j = 0; j < vocab; j++) {
			double g = 0;
			for (size_t k = 0; k < width; k++)
				g += dx[k] * r->table[j * width + k];
			r->g[at + j] = (float)(g * r->m->cfg.embed_scale);
			mean += r->p[at + j] * r->g[at + j];
		}
		for (size_t j = 0; j < vocab; j++) {
			double g = r->p[at + j] * (r->g[at + j] - mean) / c->temperature;
			if (r->barred[j])
				continue;
			r->m1[at + j] = (float)(c->beta1 * r->m1[at + j] + (1 - c->beta1) * g);
			r->m2[at + j] = (float)(c->beta2 * r->m2[at + j] + (1 - c->beta2) * g * g);
			r->theta[at + j] = (float)((1 - c->decay) * r->theta[at + j] - c->lr * (r->m1[at + j] / b1) / (sqrt(r->m2[at + j] / b2) + 1e-12));
		}
	}
}

/* The most probable tokens as they are; kept when they are nearer than the best so far. */
static bool try_tokens(struct relax *r, int *best, double *kl, ul_err *err)
{
	float *row = ul_malloc((size_t)r->width * sizeof *row);
	double far = 0;
	if (!row)
		return ul_nomem(err, (size_t)r->width * sizeof *row);
	int *ids = r->ids.id + r->front.n;
	for (int t = 0; t < r->length; t++) {
		const float *theta = r->theta + (size_t)t * (size_t)r->vocab;
		ids[t] = 0;
		for (int j = 1; j < r->vocab; j++)
			ids[t] = theta[j] > theta[ids[t]] ? j : ids[t];
	}
	bool ok = ul_last_rows(r->m, &r->ids, 1, row, NULL, err) && ul_rows_kl(r->m, r->hidden, row, 1, &far, err);
	if (ok && far < *kl) {
		*kl = far;
		memcpy(best, ids, (size_t)r->length * sizeof *best);
	}
	ul_free(row);
	return ok;
}

static bool reserve(struct relax *r, ul_arena *a, ul_err *err)
{
	size_t n = (size_t)r->length * (size_t)r->vocab * sizeof(float), rows = (size_t)(r->front.n + r->length);
	float **of[] = {&r->theta, &r->p, &r->g, &r->m1, &r->m2};
	for (int i = 0; i < 5; i++)
		*of[i] = ul_alloc(a, n);
	r->table = ul_alloc_raw(a, (size_t)r->vocab * (size_t)r->width * sizeof *r->table);
	r->barred = ul_alloc(a, (size_t)r->vocab);
	r->x = ul_alloc(a, (size_t)r->length * (size_t)r->width * sizeof *r->x);
	r->dx = ul_alloc(a, (size_t)r->length * (size_t)r->width * sizeof *r->dx);
	r->from = ul_alloc(a, rows * sizeof(int));
	r->pos = ul_alloc(a, rows * sizeof(int));
	for (size_t i = 0; i < rows; i++)
		ul_ids_add(&r->ids, i < (size_t)r->front.n ? r->front.id[i] : 0);
	if (a->failed || r->ids.failed)
		return ul_nomem(err, 5 * n);
	ul_param_get_f32(r->m->embed, r->table);
	for (int j = 0; r->m->tok && j < r->vocab; j++)
		r->barred[j] = !ul_tok_piece(r->m->tok, j) || ul_tok_is_special(r->m->tok, j);
	for (int i = 0; i < (int)rows; i++) {
		r->pos[i] = i;
		r->from[i] = i < r->front.n ? -1 : i - r->front.n;
	}
	return true;
}

bool ul_relax(ul_model *m, const float *hidden, int length, const ul_relax_config *c, int *ids, double *kl, ul_err *err)
{
	struct relax r = {.m = m, .c = c, .hidden = hidden, .length = length, .vocab = m->cfg.vocab, .width = m->cfg.hidden};
	ul_arena a = {0};
	double best = DBL_MAX;
	ul_tape_init(&r.tape, m->be);
	r.tape.record = true;
	bool ok = (length > 0 || ul_fail(err, "a text of %d tokens is nothing to look for", length)) && (!m->tok || ul_tok_encode(m->tok, "", 0, -1, false, &r.front, err));
	if (ok && r.front.n + length > m->cfg.context)
		ok = ul_fail(err, "%d tokens do not fit the context of %d", r.front.n + length, m->cfg.context);
	ok = ok && reserve(&r, &a, err);
	for (int64_t s = 0; ok && s < c->steps && best > 1e-9; s++) {
		if (s % c->restart == 0)
			begin_anew(&r, (uint64_t)(s / c->restart));
		mix(&r);
		ok = gradient(&r, err);
		if (ok)
			update(&r);
		if (ok && ((s + 1) % c->check == 0 || (s + 1) % c->restart == 0 || s + 1 == c->steps))
			ok = try_tokens(&r, ids, &best, err);
	}
	if (ok)
		*kl = best;
	ul_tape_release(&r.tape);
	ul_ids_release(&r.ids);
	ul_ids_release(&r.front);
	ul_arena_release(&a);
	return ok;
}
