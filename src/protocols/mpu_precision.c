/*
 * mpu_precision.c: what is left of the noise when the numbers around it are rounded.
 *
 * The average of the copies loses their noise because Σ ε_k / α_k = 0. A copy stores θ + ε_k, rounded: noise smaller than the last bit of
 * its weight is lost, and what rounding adds no average takes out. Sampled here, before transforms, which move numbers and change
 * none of this: in float32 all is well; in bfloat16 noise of a hundredth of a task vector hardly arrives (the published code's case).
 */
#include "protocols/mpu.h"
#include "protocols/mpu_files.h"

#include <math.h>
#include <string.h>

enum { SAMPLE = 4096 }; /* elements of each tensor that are looked at; even */

void ul_mpu_round_to(enum ul_dtype t, float *x, size_t n)
{
	uint16_t half[256];
	for (size_t at = 0; t != UL_F32 && at < n; at += 256) {
		size_t len = n - at < 256 ? n - at : 256;
		ul_quantize(t, x + at, half, len);
		ul_dequantize(t, half, x + at, len);
	}
}

typedef struct counts {
	double left, noise, rounded, task;
	size_t moved, all;
} counts;

/* The first elements of p, at most SAMPLE. */
static size_t sample(const ul_param *p, float *x, float *room)
{
	int rows = p->cols > 0 ? (SAMPLE + p->cols - 1) / p->cols : 0;
	size_t n = (size_t)p->rows * (size_t)p->cols;
	ul_param_rows_f32(p, 0, rows < p->rows ? rows : p->rows, room);
	n = n < SAMPLE ? n : SAMPLE;
	for (size_t e = 0; e < n; e++)
		x[e] = room[e];
	return n;
}

static bool look(const ul_mpu *m, const ul_param *p, double sigma, const float *w, size_t n, counts *c, ul_err *err)
{
	ul_mpu_copies copies = {m->how.copies, m->alpha};
	size_t count = (size_t)m->how.copies;
	float without[SAMPLE], *at = ul_malloc((count * n + 1) * sizeof *at), *out[UL_MPU_MAX_COPIES] = {0}; /* [copies, n] */
	double left[SAMPLE] = {0}, weights = 0;
	if (!at)
		return ul_nomem(err, count * n * sizeof *at);
	memcpy(without, w, n * sizeof *w);
	ul_mpu_round_to(m->how.dtype, without, n);
	for (int k = 0; k < m->how.copies; k++) {
		weights += 1 / m->alpha[k];
		out[k] = at + (size_t)k * n;
		memcpy(out[k], w, n * sizeof *w);
	}
	bool ok = ul_mpu_add_noise(&m->key, m->round, p->name, &copies, sigma, 0, out, n, err);
	for (int k = 0; ok && k < m->how.copies; k++) {
		ul_mpu_round_to(m->how.dtype, out[k], n);
		for (size_t i = 0; i < n; i++) {
			c->moved += out[k][i] != without[i];
			left[i] += ((double)out[k][i] - w[i]) / m->alpha[k] / weights;
		}
		c->all += n;
	}
	ul_free(at);
	for (size_t i = 0; i < n; i++)
		c->left += left[i] * left[i];
	c->noise += sigma * sigma * (double)n;
	return ok;
}

/* Rounding of a base that was stored with fewer bits than the model counts as a change of the model. */
static void look_at_base(const ul_param *p, const ul_param *base, float *x, float *y, float *room, counts *c)
{
	size_t n = sample(base, y, room);
	for (size_t e = 0; e < n; e++) {
		c->task += ((double)x[e] - y[e]) * ((double)x[e] - y[e]);
		y[e] = x[e];
	}
	if (p->dtype == base->dtype || (base->dtype != UL_F16 && base->dtype != UL_BF16))
		return;
	ul_mpu_round_to(base->dtype, y, n);
	for (size_t e = 0; e < n; e++)
		c->rounded += ((double)x[e] - y[e]) * ((double)x[e] - y[e]);
}

bool ul_mpu_precision_of(const ul_mpu *m, ul_mpu_precision *out, ul_err *err)
{
	counts c = {0};
	size_t widest = SAMPLE;
	for (int i = 0; i < m->theta->params; i++)
		widest = (size_t)m->theta->param[i]->cols > widest ? (size_t)m->theta->param[i]->cols : widest;
	float *x = ul_malloc((2 * SAMPLE + SAMPLE + widest) * sizeof *x), *y = x + SAMPLE, *room = y + SAMPLE;
	bool ok = x || ul_nomem(err, (3 * SAMPLE + widest) * sizeof *x);
	for (int i = 0; ok && i < m->theta->params; i++) {
		const ul_param *p = m->theta->param[i], *b = m->base ? ul_model_param(m->base, p->name) : NULL;
		int layer = ul_mpu_layer_of(m->theta, p);
		if (layer < 0 || m->sigma[layer] <= 0)
			continue;
		size_t n = sample(p, x, room);
		ok = look(m, p, m->sigma[layer], x, n, &c, err);
		if (b)
			look_at_base(p, b, x, y, room, &c);
	}
	ul_free(x);
	*out = (ul_mpu_precision){.reached = c.all ? (double)c.moved / (double)c.all : 1, .left = c.noise > 0 ? sqrt(c.left / c.noise) : 0, .base = c.task > 0 ? sqrt(c.rounded / c.task) : 0};
	return ok;
}
