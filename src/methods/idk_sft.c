/*
 * idk_sft.c: teach a refusal (Maini et al. 2024, TOFU, "preference optimisation by SFT"; IdkNLL elsewhere): cross-entropy on the
 * forget prompts answered by a refusal, and on the retain rows,
 *
 *     L = γ mean l(y_idk | x_F) + α L_R
 */
#include "train/train.h"

struct config {
	double forget, retain;
};

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	return ul_forget_retain(r, ul_nll(r, &r->alt), c->forget, c->retain);
}

static const ul_opt opts[] = {
        {"forget-weight", UL_OPT_REAL, offsetof(struct config, forget), "1", 0, 1e6, NULL, "γ, weight of the refusals", "X"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "1", 0, 1e6, NULL, "α, weight of the retain term", "X"},
        {0},
};

const ul_method ul_method_idk_sft = {
        .name = "idk-sft",
        .title = "Fine-tuning on refusals",
        .paper = "Maini et al. 2024, TOFU: A Task of Fictitious Unlearning for LLMs, arXiv 2401.06121",
        .notes = "Each row keeps one refusal for the whole run; the framework draws a new one at each access. It does not lower the likelihood of the old answer by itself.",
        .needs = UL_NEEDS_ALT | UL_USES_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .loss = loss,
};
