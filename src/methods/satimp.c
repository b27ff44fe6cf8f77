/*
 * satimp.c: saturation and importance (Yang et al. 2025, arXiv 2505.11953): ascent weighted per token,
 *
 *     L = -γ mean_t p_t^β1 (1 - p_t)^β2 l_t + α L_R,   weights not differentiated
 *
 * where p^β1 leaves forgotten tokens alone (saturation) and (1-p)^β2 spares those that are certain anyway (importance).
 */
#include "train/train.h"

struct config {
	double beta1, beta2, forget, retain;
};

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	ul_val *logp = ul_token_logp(r, r->model, &r->forget);
	ul_val *sure = ul_min(ul_detach(logp), -1e-12); /* log(1 - p) stays finite where p rounds to 1 */
	ul_val *log_weight = ul_add(ul_scale(sure, c->beta1), ul_scale(ul_map_fn(sure, UL_LOG1MEXP), c->beta2));
	ul_val *weight = ul_map_fn(log_weight, UL_EXP);
	return ul_forget_retain(r, ul_token_mean(r, ul_mul(weight, logp), &r->forget), c->forget, c->retain);
}

static const ul_opt opts[] = {
        {"satimp-beta1", UL_OPT_REAL, offsetof(struct config, beta1), "5", 0, 1e3, NULL, "β1, power of p: saturation", "X"},
        {"satimp-beta2", UL_OPT_REAL, offsetof(struct config, beta2), "1", 0, 1e3, NULL, "β2, power of 1 - p: importance", "X"},
        {"forget-weight", UL_OPT_REAL, offsetof(struct config, forget), "0.1", 0, 1e6, NULL, "γ, weight of the ascent", "X"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "1", 0, 1e6, NULL, "α, weight of the retain term, if there are retain rows", "X"},
        {0},
};

const ul_method ul_method_satimp = {
        .name = "satimp",
        .title = "Ascent weighted by saturation and importance",
        .paper = "Yang et al. 2025, Exploring Criteria of Loss Reweighting to Enhance LLM Unlearning, arXiv 2505.11953",
        .notes = "Defaults (γ, α) = (0.1, 1) are those of open-unlearning's configuration; its class says the opposite.",
        .needs = UL_USES_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .loss = loss,
};
