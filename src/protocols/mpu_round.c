/*
 * mpu_round.c: one round of Multiple Perturbed Copies Unlearning, as the paper's algorithm reads (arXiv 2602.23798, and the order of
 * steps of the published code):
 *
 *     σ_ℓ = κ · RMS(θ_ℓ - θ_base,ℓ)                          for each layer
 *     for k = 1 … m
 *         θ_k  = T_k(θ + ε_k)              Σ ε_k / α_k = 0    the server publishes
 *         θ'_k = U(θ_k; forget set)                           the client unlearns
 *         Δ_k  = T_k⁻¹(θ'_k - θ_k)                            the server turns back
 *     θ ← θ + η · (Σ Δ_k / α_k) / (Σ 1 / α_k)
 *
 * One copy is in memory at a time. The published weights are kept while the client works on them only where that is asked for (a client
 * keeps them too); else the noise, which comes from a keyed counter generator, is drawn again. Departures: sums are float64 and differences float32 whatever the model came in, where the
 * published code sums in the model's own bfloat16.
 */
#include "protocols/mpu.h"

#include <string.h>

typedef struct exchange { /* one copy on its way out and back */
	const ul_mpu *m;
	ul_mpu_plan plan; /* T_k */
	int k;
	ul_model *copy; /* θ_k, then θ'_k */
	float *room; /* [largest parameter] */
	float **kept; /* θ_k, parameter by parameter, or NULL */
} exchange;

static size_t count(const ul_param *p)
{
	return (size_t)p->rows * (size_t)p->cols;
}

static bool keep(exchange *x, int i, ul_err *err)
{
	size_t bytes = count(x->copy->param[i]) * sizeof **x->kept;
	x->kept[i] = ul_malloc(bytes);
	if (!x->kept[i])
		return ul_nomem(err, bytes);
	memcpy(x->kept[i], x->room, bytes);
	return true;
}

static void let_go(exchange *x)
{
	for (int i = 0; x->kept && i < x->m->theta->params; i++)
		ul_free(x->kept[i]);
	ul_free(x->kept);
	x->kept = NULL;
}

/* θ_k, a model of its own. */
static bool publish(exchange *x, ul_err *err)
{
	x->copy = ul_model_clone(x->m->theta, err);
	bool ok = x->copy != NULL;
	for (int i = 0; ok && i < x->copy->params; i++) {
		ok = ul_param_own(x->copy->param[i], err) && ul_mpu_perturb(x->m, &x->plan, x->k, i, x->room, err);
		if (ok)
			ul_param_set_f32(x->copy->param[i], x->room);
		if (ok && x->kept)
			ok = keep(x, i, err);
	}
	return ok;
}

/* θ'_k - θ_k of parameter i, or the adapter that the client left on it. */
static bool delta(void *ud, int i, float *room, ul_mpu_delta *out, ul_err *err)
{
	exchange *x = ud;
	const ul_param *p = x->copy->param[i];
	*out = (ul_mpu_delta){.lora = p->lora};
	if (x->copy->adapter)
		return true;
	if (!x->kept && !ul_mpu_perturb(x->m, &x->plan, x->k, i, x->room, err))
		return false;
	const float *before = x->kept ? x->kept[i] : x->room;
	ul_param_get_f32(p, room);
	for (size_t e = 0, n = count(p); e < n; e++)
		room[e] -= before[e];
	out->full = room;
	return true;
}

/* sum += T_k⁻¹(Δ'_k) / α_k */
static bool turn_back(exchange *x, double **sum, ul_err *err)
{
	ul_mpu_update u = {x, delta, x->k};
	double length, theta, shrink = 1;
	size_t most = ul_mpu_largest(x->m->theta);
	float *room = ul_malloc(most * sizeof *room);
	bool ok = room || ul_nomem(err, most * sizeof *room);
	if (ok && x->m->how.clip > 0) {
		ok = ul_mpu_length(x->m, &u, &length, &theta, err);
		shrink = ok ? ul_mpu_shrink(x->m, length, theta) : 1;
	}
	for (int i = 0; ok && i < x->m->theta->params; i++)
		ok = ul_mpu_take(x->m, &x->plan, &u, i, shrink, room, &sum[i], err);
	ul_free(room);
	return ok;
}

static bool one_copy(const ul_mpu *m, int k, ul_mpu_client_fn unlearn, void *ud, double **sum, ul_err *err)
{
	exchange x = {.m = m, .k = k, .room = ul_malloc(ul_mpu_largest(m->theta) * sizeof(float))};
	bool ok = x.room || ul_nomem(err, ul_mpu_largest(m->theta) * sizeof(float));
	if (ok && m->keep)
		ok = (x.kept = ul_calloc((size_t)m->theta->params, sizeof *x.kept)) != NULL || ul_nomem(err, (size_t)m->theta->params * sizeof *x.kept);
	ok = ok && ul_mpu_plan_make(&x.plan, m->theta, m->how.reparam, m->how.exact, &m->key, m->round, k, err);
	ok = ok && publish(&x, err) && unlearn(ud, x.copy, k, err) && turn_back(&x, sum, err);
	let_go(&x);
	ul_model_free(x.copy);
	ul_mpu_plan_release(&x.plan);
	ul_free(x.room);
	return ok;
}

bool ul_mpu_round(ul_mpu *m, ul_mpu_client_fn unlearn, void *ud, ul_err *err)
{
	int params = m->theta->params;
	double **sum = ul_calloc((size_t)params, sizeof *sum);
	bool ok = (sum || ul_nomem(err, (size_t)params * sizeof *sum)) && ul_mpu_begin(m, err);
	for (int k = 0; ok && k < m->how.copies; k++)
		ok = one_copy(m, k, unlearn, ud, sum, err);
	for (int i = 0; ok && i < params; i++)
		ok = ul_mpu_step(m, i, sum[i], err);
	for (int i = 0; sum && i < params; i++)
		ul_free(sum[i]);
	ul_free(sum);
	m->round += ok;
	return ok;
}
