/*
 * task_arithmetic.c: forgetting by negation (Ilharco et al. 2023, arXiv 2212.04089; for adapters Zhang et al. 2023,
 * arXiv 2306.14870). An adapter learns the forget data, then it is subtracted,
 *
 *     θ' = θ - λ s B A
 *
 * by turning the sign of B alone: turning both factors would change nothing.
 */
#include "train/train.h"

#include <string.h>

struct config {
	double lambda;
};

static ul_val *loss(ul_run *r, const void *config)
{
	return ul_term(r, "forget", ul_nll(r, &r->forget));
}

static bool scale_param(ul_param *p, double by, ul_err *err)
{
	size_t n = (size_t)p->rows * (size_t)p->cols;
	double *x = ul_malloc(n * sizeof *x + 1);
	if (!x) {
		return ul_nomem(err, n * sizeof *x);
	}
	ul_param_get(p, x);
	for (size_t i = 0; i < n; i++) {
		x[i] *= by;
	}
	ul_param_set(p, x);
	ul_free(x);
	return true;
}

static bool run(ul_run *r, const void *config, ul_err *err)
{
	const struct config *c = config;
	const ul_adapter *a = r->model->adapter;
	bool stopped = false;
	if (!ul_loop_run(r, &stopped, err)) {
		return false;
	}
	for (int i = 0; !stopped && i < a->params; i++) {
		if (strstr(a->param[i]->name, "lora_B") && !scale_param(a->param[i], -c->lambda, err)) {
			return false;
		}
	}
	return true;
}

static const ul_opt opts[] = {
        {"lambda", UL_OPT_REAL, offsetof(struct config, lambda), "1", 0, 1e3, NULL, "λ, how often the adapter is subtracted", "X"},
        {0},
};

static const ul_setting defaults[] = {{"lora", "r=8,alpha=16,target=all-linear"}, {"lr", "1e-4"}, {NULL, NULL}};

const ul_method ul_method_task_arithmetic = {
        .name = "task-arithmetic",
        .title = "Subtracting what an adapter learnt",
        .paper = "Ilharco et al. 2023, Editing Models with Task Arithmetic, arXiv 2212.04089; Zhang et al. 2023, arXiv 2306.14870",
        .notes = "One round; λ and the length of training decide how far it goes. Also the release step of Reveal and Release.",
        .needs = UL_NEEDS_LORA,
        .config = sizeof(struct config),
        .opts = opts,
        .defaults = defaults,
        .loss = loss,
        .run = run,
};
