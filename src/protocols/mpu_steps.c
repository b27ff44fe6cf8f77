/*
 * mpu_steps.c: the steps of a round, one parameter at a time, so that a round in memory and a round over files are the same sums in
 * the same order, and give the same bits.
 */
#include "protocols/mpu.h"
#include "protocols/mpu_files.h"

#include <math.h>
#include <openssl/crypto.h>
#include <string.h>

static size_t count(const ul_param *p)
{
	return (size_t)p->rows * (size_t)p->cols;
}

size_t ul_mpu_largest(const ul_model *m)
{
	size_t n = 0;
	for (int i = 0; i < m->params; i++)
		n = count(m->param[i]) > n ? count(m->param[i]) : n;
	return n;
}

bool ul_mpu_check(const ul_mpu *m, ul_err *err)
{
	const ul_mpu_how *h = &m->how;
	ul_mpu_plan plan;
	if (h->copies < 2 && (h->noise > 0 || h->reparam != UL_REPARAM_NONE)) {
		ul_fail(err, "%d copy cannot cancel noise: at least 2 are needed", h->copies);
		return false;
	}
	if (m->theta->adapter)
		return ul_fail(err, "the model carries an adapter: it must be merged before it is published");
	if (!ul_mpu_plan_make(&plan, m->theta, h->reparam, h->exact, &m->key, 1, 0, err))
		return false;
	ul_mpu_plan_release(&plan);
	return true;
}

/* ---- σ and α ---- */

int ul_mpu_layer_of(const ul_model *m, const ul_param *p)
{
	for (int i = 0; i < m->cfg.layers; i++) {
		ul_param *const *slot = (ul_param *const *)&m->layer[i];
		for (size_t j = 0; j < sizeof(ul_layer) / sizeof *slot; j++)
			if (slot[j] == p)
				return i;
	}
	return -1;
}

bool ul_mpu_sigma(const ul_model *m, const ul_model *base, double kappa, double *sigma, ul_err *err)
{
	for (int i = 0; i < m->cfg.layers; i++) {
		double sum = 0;
		size_t count = 0;
		for (int j = 0; j < m->params; j++) {
			const ul_param *w = m->param[j], *b = base ? ul_model_param(base, w->name) : NULL;
			if (ul_mpu_layer_of(m, w) != i)
				continue;
			if (base && (!b || b->rows != w->rows || b->cols != w->cols))
				return ul_fail(err, "the base has no tensor %s of shape [%d, %d]", w->name, w->rows, w->cols);
			size_t n = (size_t)w->rows * (size_t)w->cols;
			float *x = ul_malloc(n * 2 * sizeof *x);
			if (!x)
				return ul_nomem(err, n * 2 * sizeof *x);
			ul_param_get_f32(w, x);
			if (b)
				ul_param_get_f32(b, x + n);
			for (size_t e = 0; e < n; e++) {
				double diff = (double)x[e] - (b ? x[n + e] : 0);
				sum += diff * diff;
			}
			count += n;
			ul_free(x);
			ul_model_rest(m);
			if (base)
				ul_model_rest(base);
		}
		sigma[i] = count ? kappa * sqrt(sum / (double)count) : 0;
	}
	return true;
}

bool ul_mpu_begin(ul_mpu *m, ul_err *err)
{
	int copies = m->how.copies;
	m->alpha = ul_alloc(&m->arena, (size_t)copies * sizeof *m->alpha);
	m->sigma = ul_alloc(&m->arena, (size_t)m->theta->cfg.layers * sizeof *m->sigma);
	uint32_t *words = ul_alloc(&m->arena, (size_t)copies * sizeof *words);
	if (!m->alpha || !m->sigma || !words)
		return ul_nomem(err, (size_t)copies * sizeof *m->alpha);
	if (!ul_mpu_words(&m->key, m->round, "alpha", 0, words, (size_t)copies, err))
		return false;
	for (int k = 0; k < copies; k++)
		m->alpha[k] = m->how.random_alpha ? 1 + words[k] / 4294967296.0 : copies > 1 ? 1 + (double)k / (copies - 1)
		                                                                             : 1;
	return ul_mpu_sigma(m->theta, m->base, m->how.noise, m->sigma, err);
}

void ul_mpu_release(ul_mpu *m)
{
	ul_arena_release(&m->arena);
	OPENSSL_cleanse(m, sizeof *m);
}

/* ---- out ---- */

/* Noise that every copy carries and no average takes out; the same in every round, so that rounds do not average it either. */
static bool add_common(const ul_mpu *m, const ul_param *p, double sigma, float *const *out, ul_err *err)
{
	float z[1024];
	for (size_t at = 0, n = count(p); at < n; at += 1024) {
		size_t len = n - at < 1024 ? n - at : 1024;
		if (!ul_mpu_normals(&m->key, 0, p->name, m->how.copies, at, z, len, err))
			return false;
		for (int k = 0; k < m->how.copies; k++)
			for (size_t e = 0; out[k] && e < len; e++)
				out[k][at + e] += (float)(m->how.common * sigma * z[e]);
	}
	return true;
}

/* out[k] += ε_k. Every piece has its own place in the stream, so that the bits do not depend on the number of threads. */
static bool add_noise(const ul_mpu *m, const ul_param *p, double sigma, float *const *out, ul_err *err)
{
	enum { PIECE = 16384 };
	ul_mpu_copies c = {m->how.copies, m->alpha};
	size_t n = count(p);
	bool failed = false;
#pragma omp parallel for num_threads(ul_threads()) reduction(|| \
                                                             : failed) if (n > 4 * PIECE)
	for (size_t at = 0; at < n; at += PIECE) {
		float *piece[UL_MPU_MAX_COPIES];
		for (int k = 0; k < c.m; k++)
			piece[k] = out[k] ? out[k] + at : NULL;
		failed |= !ul_mpu_add_noise(&m->key, m->round, p->name, &c, sigma, at, piece, n - at < PIECE ? n - at : PIECE, NULL);
	}
	if (failed)
		return ul_fail(err, "the cryptographic library could not draw noise for %s", p->name);
	return m->how.common <= 0 || add_common(m, p, sigma, out, err);
}

/* Copy k with noise -> as it is published. */
static bool turn_out(const ul_mpu *m, const ul_mpu_plan *plan, const ul_param *p, float *out, ul_err *err)
{
	if (!ul_mpu_apply(plan, p, out, false, err))
		return false;
	ul_mpu_round_to(m->how.dtype, out, count(p));
	for (size_t e = 0, n = m->how.dtype == UL_F16 ? count(p) : 0; e < n; e++)
		if (!isfinite(out[e]))
			return ul_fail(err, "%s holds numbers beyond those of float16: --dtype bf16 and f32 hold them", p->name);
	return true;
}

/* Of the copies whose out[k] is not NULL. */
static bool perturb(const ul_mpu *m, int i, const ul_mpu_plan *const *plan, float *const *out, ul_err *err)
{
	const ul_param *p = m->theta->param[i];
	const float *first = NULL;
	int layer = ul_mpu_layer_of(m->theta, p);
	for (int k = 0; k < m->how.copies; k++)
		if (out[k] && first)
			memcpy(out[k], first, count(p) * sizeof *first);
		else if (out[k])
			ul_param_get_f32(p, out[k]), first = out[k];
	ul_model_rest(m->theta);
	if (layer >= 0 && m->sigma[layer] > 0 && !add_noise(m, p, m->sigma[layer], out, err))
		return false;
	for (int k = 0; k < m->how.copies; k++)
		if (out[k] && !turn_out(m, plan[k], p, out[k], err))
			return false;
	return true;
}

bool ul_mpu_perturb(const ul_mpu *m, const ul_mpu_plan *plan, int k, int i, float *out, ul_err *err)
{
	const ul_mpu_plan *plans[UL_MPU_MAX_COPIES] = {0};
	float *outs[UL_MPU_MAX_COPIES] = {0};
	plans[k] = plan;
	outs[k] = out;
	return perturb(m, i, plans, outs, err);
}

bool ul_mpu_perturb_all(const ul_mpu *m, const ul_mpu_plan *plan, int i, float *const *out, ul_err *err)
{
	const ul_mpu_plan *plans[UL_MPU_MAX_COPIES] = {0};
	for (int k = 0; k < m->how.copies; k++)
		plans[k] = &plan[k];
	return perturb(m, i, plans, out, err);
}

/* ---- back ---- */

/* One row of B A: out [cols] = scale · Σ_r b[r] A[r, :] */
static void product_row(const float *b, const float *a, int rank, int cols, double scale, double *out)
{
	memset(out, 0, (size_t)cols * sizeof *out);
	for (int r = 0; r < rank; r++)
		for (int j = 0; j < cols; j++)
			out[j] += scale * b[r] * a[(size_t)r * cols + j];
}

/* The factors in floats of their own: *b [rows, rank], *a [rank, cols] behind it. */
static bool factors(const ul_lora *l, const ul_param *p, float **b, float **a, ul_err *err)
{
	size_t nb = (size_t)p->rows * (size_t)l->rank, na = (size_t)l->rank * (size_t)p->cols;
	*b = ul_malloc((nb + na) * sizeof **b);
	if (!*b)
		return ul_nomem(err, (nb + na) * sizeof **b);
	*a = *b + nb;
	ul_param_get_f32(l->b, *b);
	ul_param_get_f32(l->a, *a);
	return true;
}

/* sum += weight · scale · T⁻¹(B A), or with sum NULL only Σ (B A)² to *squares. */
static bool take_lora(const ul_mpu_plan *plan, const ul_param *p, const ul_lora *l, double weight, double *sum, double *squares, ul_err *err)
{
	float *b = NULL, *a = NULL;
	double *row = ul_malloc((size_t)p->cols * sizeof *row);
	if (!row)
		return ul_nomem(err, (size_t)p->cols * sizeof *row);
	bool ok = factors(l, p, &b, &a, err);
	if (ok) {
		ok = !plan || ul_mpu_apply_factors(plan, p, l->rank, b, a, true, err);
		for (int i = 0; ok && i < p->rows; i++) {
			product_row(b + (size_t)i * l->rank, a, l->rank, p->cols, l->scale * weight, row);
			for (int j = 0; j < p->cols; j++)
				if (sum)
					sum[(size_t)i * p->cols + j] += row[j];
				else
					*squares += row[j] * row[j];
		}
		ul_free(b);
	}
	ul_free(row);
	return ok;
}

bool ul_mpu_take(const ul_mpu *m, const ul_mpu_plan *plan, const ul_mpu_update *u, int i, double shrink, float *room, double **sum, ul_err *err)
{
	const ul_param *p = m->theta->param[i];
	double weight = shrink / m->alpha[u->copy];
	ul_mpu_delta d;
	if (!u->delta(u->ud, i, room, &d, err))
		return false;
	if (!d.full && !d.lora)
		return true;
	if (!*sum && !(*sum = ul_calloc(count(p), sizeof **sum)))
		return ul_nomem(err, count(p) * sizeof **sum);
	if (!d.full)
		return take_lora(plan, p, d.lora, weight, *sum, NULL, err);
	if (!ul_mpu_apply(plan, p, d.full, true, err))
		return false;
	for (size_t e = 0, n = count(p); e < n; e++)
		(*sum)[e] += weight * d.full[e];
	return true;
}

bool ul_mpu_length(const ul_mpu *m, const ul_mpu_update *u, double *length, double *theta, ul_err *err)
{
	double squares = 0, own = 0;
	size_t most = ul_mpu_largest(m->theta);
	float *room = ul_malloc(most * sizeof *room);
	bool ok = room || ul_nomem(err, most * sizeof *room);
	for (int i = 0; ok && i < m->theta->params; i++) {
		const ul_param *p = m->theta->param[i];
		ul_mpu_delta d;
		double before = squares;
		ul_param_get_f32(p, room);
		ul_model_rest(m->theta);
		for (size_t e = 0, n = count(p); e < n; e++)
			own += (double)room[e] * room[e];
		ok = u->delta(u->ud, i, room, &d, err) && (d.full || !d.lora || take_lora(NULL, p, d.lora, 1, NULL, &squares, err));
		for (size_t e = 0, n = ok && d.full ? count(p) : 0; e < n; e++)
			squares += (double)d.full[e] * d.full[e];
		if (ok && !isfinite(squares - before))
			ok = ul_fail(err, "the update of copy %d holds a number that is not finite, in %s", u->copy, p->name);
	}
	ul_free(room);
	if (ok) {
		*length = sqrt(squares);
		*theta = sqrt(own);
	}
	return ok;
}

double ul_mpu_shrink(const ul_mpu *m, double length, double theta)
{
	double most = m->how.clip * theta;
	return m->how.clip > 0 && length > most ? most / length : 1;
}

bool ul_mpu_stepped(const ul_mpu *m, int i, const double *sum, float *out, ul_err *err)
{
	const ul_param *p = m->theta->param[i];
	double weights = 0;
	ul_param_get_f32(p, out);
	ul_model_rest(m->theta);
	for (int k = 0; k < m->how.copies; k++)
		weights += 1 / m->alpha[k];
	for (size_t e = 0, n = sum ? count(p) : 0; e < n; e++) {
		out[e] += (float)(m->how.server_lr * (sum[e] / weights));
		if (!isfinite(out[e]))
			return ul_fail(err, "the averaged update makes %s infinite", p->name);
	}
	return true;
}

bool ul_mpu_step(ul_mpu *m, int i, const double *sum, ul_err *err)
{
	ul_param *p = m->theta->param[i];
	float *w = sum ? ul_malloc(count(p) * sizeof *w) : NULL;
	if (!sum)
		return true;
	bool ok = (w || ul_nomem(err, count(p) * sizeof *w)) && ul_param_own(p, err) && ul_mpu_stepped(m, i, sum, w, err);
	if (ok)
		ul_param_set_f32(p, w);
	ul_free(w);
	return ok;
}
