/*
 * wga.c: weighted gradient ascent (Wang et al. 2025, arXiv 2502.19301): each token is pushed down by how sure the model is of it,
 *
 *     L = -γ mean_t p_t^β l_t + α L_R,   p_t not differentiated
 *
 * so that tokens already forgotten are left alone. β = 0 is graddiff.
 */
#include "train/train.h"

struct config {
	double beta, forget, retain;
};

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	ul_val *logp = ul_token_logp(r, r->model, &r->forget);
	ul_val *weight = ul_map_fn(ul_scale(ul_detach(logp), c->beta), UL_EXP);
	return ul_forget_retain(r, ul_token_mean(r, ul_mul(weight, logp), &r->forget), c->forget, c->retain);
}

static const ul_opt opts[] = {
        {"beta", UL_OPT_REAL, offsetof(struct config, beta), "1", 0, 1e3, NULL, "β, power of the probability in a token's weight", "X"},
        {"forget-weight", UL_OPT_REAL, offsetof(struct config, forget), "1", 0, 1e6, NULL, "γ, weight of the ascent", "X"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "1", 0, 1e6, NULL, "α, weight of the retain term, if there are retain rows", "X"},
        {0},
};

const ul_method ul_method_wga = {
        .name = "wga",
        .title = "Weighted gradient ascent",
        .paper = "Wang et al. 2025, Rethinking LLM Unlearning Objectives: A Gradient Perspective, arXiv 2502.19301",
        .notes = "As open-unlearning's WGA.",
        .needs = UL_USES_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .loss = loss,
};
