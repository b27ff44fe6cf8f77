/*
 * graddiff.c: gradient difference (Liu et al. 2022; Maini et al. 2024, TOFU): ascent on forget rows, descent on retain rows,
 *
 *     L = -γ mean_F l + α L_R
 *
 * where L_R is the mean NLL of the retain rows, or with --retain-loss kl the distance to the start. α = 0 is ga.
 */
#include "train/train.h"

struct config {
	double forget, retain;
};

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	return ul_forget_retain(r, ul_scale(ul_nll(r, &r->forget), -1), c->forget, c->retain);
}

static const ul_opt opts[] = {
        {"forget-weight", UL_OPT_REAL, offsetof(struct config, forget), "1", 0, 1e6, NULL, "γ, weight of the ascent", "X"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "1", 0, 1e6, NULL, "α, weight of the retain term", "X"},
        {0},
};

const ul_method ul_method_graddiff = {
        .name = "graddiff",
        .title = "Gradient difference",
        .paper = "Maini et al. 2024, TOFU: A Task of Fictitious Unlearning for LLMs, arXiv 2401.06121",
        .notes = "Equal to open-unlearning's GradDiff with NLL on retain rows. Unbounded in its forget term.",
        .needs = UL_NEEDS_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .loss = loss,
};
