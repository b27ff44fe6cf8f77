/*
 * whp.c: "Who's Harry Potter?" (Eldan and Russinovich 2023, arXiv 2310.02238), as targeted unlearning makes it (Liu et al. 2024, arXiv
 * 2407.16997): the teacher is the model itself, which reads the same row about somebody else; of a person it is to say what it says
 * of a stranger,
 *
 *     L = γ mean_t KL(p_ref(· | the row with a stranger's name, before t) ‖ p(· | the row, before t)) + α L_R
 *
 * over the labelled tokens that both rows have. Where nothing is known of strangers, this is where the forgotten one is to arrive, and no
 * further: what is pushed down without an end becomes rarer than a model that never knew it would have it.
 */
#include "train/train.h"

struct config {
	double forget, retain;
};

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	return ul_forget_retain(r, ul_kl_to_ref_of(r, &r->forget, &r->alt), c->forget, c->retain);
}

static const ul_opt opts[] = {
        {"forget-weight", UL_OPT_REAL, offsetof(struct config, forget), "1", 0, 1e6, NULL, "γ, weight of the forget term", "X"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "1", 0, 1e6, NULL, "α, weight of the retain term, if there are retain rows", "X"},
        {0},
};

const ul_method ul_method_whp = {
        .name = "whp",
        .title = "Distilling what is said of strangers (Who's Harry Potter?)",
        .paper = "Eldan and Russinovich 2023, arXiv 2310.02238; Liu et al. 2024, arXiv 2407.16997",
        .notes = "Known: the teacher reads the row with another name, and the student its own. Reconstructed: one stranger for each person, put together of first and last names of other "
                 "people in the rows, where Liu et al. average over several; only tokens that both rows have; Eldan and Russinovich's reinforced model and dictionary are not here.",
        .needs = UL_NEEDS_REF_PASS | UL_NEEDS_ALT | UL_ALT_ALIGNED | UL_USES_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .alternatives = ul_strangers_make,
        .loss = loss,
};
