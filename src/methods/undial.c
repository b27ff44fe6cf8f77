/*
 * undial.c: self-distillation on adjusted logits (Dong et al. 2024, arXiv 2402.10052): the student learns what the start says once
 * the logit of the true token is lowered by β,
 *
 *     L = γ mean_t CE(softmax(z_ref - β e_y), p) + α L_R
 *
 * over labelled tokens. The executed open-unlearning code averages over every position of the padded grid, where a label of -100
 * indexes a token from the end of the vocabulary; that is not offered.
 */
#include "train/train.h"

struct config {
	double beta, forget, retain;
};

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	return ul_forget_retain(r, ul_soft_ce_to_ref(r, &r->forget, c->beta), c->forget, c->retain);
}

static const ul_opt opts[] = {
        {"beta", UL_OPT_REAL, offsetof(struct config, beta), "10", 0, 1e3, NULL, "β, by how much the logit of the true token is lowered", "X"},
        {"forget-weight", UL_OPT_REAL, offsetof(struct config, forget), "1", 0, 1e6, NULL, "γ, weight of the forget term", "X"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "0", 0, 1e6, NULL, "α, weight of the retain term", "X"},
        {0},
};

static const ul_setting defaults[] = {{"lr", "1e-4"}, {NULL, NULL}};

const ul_method ul_method_undial = {
        .name = "undial",
        .title = "Self-distillation with adjusted logits",
        .paper = "Dong et al. 2024, UNDIAL, arXiv 2402.10052",
        .notes = "Means are over labelled tokens; the framework's executed mean covers prompt and padding too.",
        .needs = UL_NEEDS_REF_PASS | UL_USES_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .defaults = defaults,
        .loss = loss,
};
