/*
 * mpu_judge.c: how much of the secret an attacker's estimate holds.
 */
#include "protocols/mpu_align.h"

#include <math.h>

static size_t count(const ul_param *p)
{
	return (size_t)p->rows * (size_t)p->cols;
}

bool ul_mpu_mean(ul_model *const *copy, const ul_mpu_plan *const *plan, int n, ul_model *out, ul_err *err)
{
	size_t most = ul_mpu_largest(out);
	float *x = ul_malloc(most * sizeof *x);
	double *sum = ul_malloc(most * sizeof *sum), weights = 0;
	bool ok = (x && sum) || ul_nomem(err, most * sizeof *sum);
	for (int k = 0; k < n; k++)
		weights += 1 / (n > 1 ? 1 + (double)k / (n - 1) : 1); /* the published default, which an attacker tries first */
	for (int i = 0; ok && i < out->params; i++) {
		ul_param *p = out->param[i];
		for (size_t e = 0; e < count(p); e++)
			sum[e] = 0;
		for (int k = 0; ok && k < n; k++) {
			double w = 1 / (n > 1 ? 1 + (double)k / (n - 1) : 1) / weights;
			ul_param_get_f32(copy[k]->param[i], x);
			/* plans stand over the model they were aligned from, which has the same parameters in the same order */
			ok = !plan || !plan[k] || ul_mpu_apply(plan[k], plan[k]->model->param[i], x, true, err);
			for (size_t e = 0; e < count(p); e++)
				sum[e] += w * x[e];
		}
		ok = ok && ul_param_own(p, err);
		for (size_t e = 0; ok && e < count(p); e++)
			x[e] = (float)sum[e];
		if (ok)
			ul_param_set_f32(p, x);
	}
	ul_free(sum);
	ul_free(x);
	return ok;
}

typedef struct tally {
	double off, noise, dot, a, b;
	size_t right, all;
} tally;

static void compare(const float *guess, const float *secret, const float *base, size_t n, double sigma, tally *t)
{
	double square = 0;
	for (size_t e = 0; e < n; e++)
		square += (double)secret[e] * secret[e];
	double near = 1e-4 * sqrt(square / (double)n);
	for (size_t e = 0; e < n; e++) {
		double g = guess[e] - (base ? base[e] : 0), s = secret[e] - (base ? base[e] : 0), d = (double)guess[e] - secret[e];
		t->off += d * d;
		t->dot += g * s;
		t->a += g * g;
		t->b += s * s;
		t->right += fabs(d) <= near;
	}
	t->noise += sigma * sigma * (double)n;
	t->all += n;
}

bool ul_mpu_judge(const ul_mpu *m, const ul_model *estimate, const ul_mpu_plan *turned, ul_mpu_found *out, ul_err *err)
{
	size_t most = ul_mpu_largest(m->theta);
	float *x = ul_malloc(3 * most * sizeof *x);
	bool ok = x || ul_nomem(err, 3 * most * sizeof *x);
	tally t = {0};
	for (int i = 0; ok && i < m->theta->params; i++) {
		const ul_param *p = m->theta->param[i], *b = m->base ? ul_model_param(m->base, p->name) : NULL;
		int layer = ul_mpu_layer_of(m->theta, p);
		if (layer < 0)
			continue;
		ul_param_get_f32(estimate->param[i], x);
		ul_param_get_f32(p, x + most);
		if (b)
			ul_param_get_f32(b, x + 2 * most);
		ok = !turned || ul_mpu_apply(turned, p, x, true, err);
		if (ok)
			compare(x, x + most, b ? x + 2 * most : NULL, count(p), m->sigma[layer], &t);
	}
	ul_free(x);
	if (ok)
		*out = (ul_mpu_found){t.noise > 0 ? sqrt(t.off / t.noise) : NAN, t.dot / sqrt(t.a * t.b), (double)t.right / (double)t.all};
	return ok;
}
