/*
 * gd_kl.c: gradient ascent held by the distance to the start (the "KL" baseline of Maini et al. 2024, TOFU),
 *
 *     L = -γ mean_F l + α mean_R KL(p_ref ‖ p)
 *
 * over labelled tokens. The framework averages the divergence over every position of a padded grid, prompt and padding included,
 * which makes it smaller by the share of those positions.
 */
#include "train/train.h"

struct config {
	double forget, retain;
};

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	ul_val *forget = ul_scale(ul_term(r, "forget", ul_scale(ul_nll(r, &r->forget), -1)), c->forget);
	return ul_add(forget, ul_scale(ul_term(r, "retain", ul_kl_to_ref(r, &r->retain)), c->retain));
}

static const ul_opt opts[] = {
        {"forget-weight", UL_OPT_REAL, offsetof(struct config, forget), "1", 0, 1e6, NULL, "γ, weight of the ascent", "X"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "1", 0, 1e6, NULL, "α, weight of the divergence", "X"},
        {0},
};

const ul_method ul_method_gd_kl = {
        .name = "gd-kl",
        .title = "Gradient ascent with a KL anchor",
        .paper = "Maini et al. 2024, TOFU: A Task of Fictitious Unlearning for LLMs, arXiv 2401.06121",
        .notes = "Departs from the framework by averaging over labelled tokens only: its grid counts prompt and padding too.",
        .needs = UL_NEEDS_RETAIN | UL_NEEDS_REF_PASS,
        .config = sizeof(struct config),
        .opts = opts,
        .loss = loss,
};
