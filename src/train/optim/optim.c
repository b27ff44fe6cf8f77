/*
 * optim.c: what every optimiser shares: its moments, the norm of all gradients, and one update of all parameters.
 */
#include "tensor/backend.h"
#include "train/optim/optim.h"

#include <math.h>

static size_t count(const ul_param *p)
{
	return (size_t)p->rows * (size_t)p->cols;
}

static bool moments_new(ul_optim *o, int k, ul_err *err)
{
	o->moment[k] = ul_calloc((size_t)o->params + 1, sizeof(void *));
	if (!o->moment[k]) {
		return ul_nomem(err, (size_t)o->params * sizeof(void *));
	}
	for (int i = 0; i < o->params; i++) {
		const ul_param *p = o->param[i];
		o->moment[k][i] = ul_calloc(count(p), p->be->elem);
		if (!o->moment[k][i]) {
			return ul_nomem(err, count(p) * p->be->elem);
		}
	}
	return true;
}

ul_optim *ul_optim_new(const ul_train_config *c, ul_param **param, int params, ul_err *err)
{
	ul_optim *o = ul_calloc(1, sizeof *o);
	if (!o) {
		ul_nomem(err, sizeof *o);
		return NULL;
	}
	*o = (ul_optim){.def = c->optim == UL_OPTIM_SGD ? &ul_optim_sgd : &ul_optim_adamw, .c = c, .param = param, .params = params};
	/* SGD without momentum keeps nothing. */
	int moments = o->def == &ul_optim_sgd && c->momentum == 0 ? 0 : o->def->moments;
	for (int k = 0; k < moments; k++) {
		if (!moments_new(o, k, err)) {
			ul_optim_free(o);
			return NULL;
		}
	}
	return o;
}

void ul_optim_free(ul_optim *o)
{
	if (!o) {
		return;
	}
	for (int k = 0; k < 2; k++) {
		for (int i = 0; o->moment[k] && i < o->params; i++) {
			ul_free(o->moment[k][i]);
		}
		ul_free(o->moment[k]);
	}
	ul_free(o);
}

void ul_optim_update(ul_optim *o, double lr, double gscale)
{
	o->t++;
	for (int i = 0; i < o->params; i++) {
		o->def->update(o, i, o->param[i], lr, gscale);
	}
}

double ul_grad_norm(ul_param *const *param, int params)
{
	double sum = 0;
	for (int i = 0; i < params; i++) {
		const ul_param *p = param[i];
		sum += p->be->dot(p->grad, p->grad, count(p));
	}
	return sqrt(sum);
}

void ul_grad_zero(ul_param *const *param, int params)
{
	for (int i = 0; i < params; i++) {
		param[i]->be->fill(param[i]->grad, 0, count(param[i]));
	}
}
