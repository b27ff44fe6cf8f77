/*
 * npo_strangers.c: negative preference optimisation that knows where to stop. NPO (arXiv 2404.05868) compares a row with what the start says
 * of it, and lets go of it some nats below, wherever that is. Here it is compared with what the start says of a stranger in its place,
 *
 *     L = -(2/β) mean_rows log σ(-β (S - S_stranger)) + α L_R,   S = Σ_t l_t over the tokens that both rows have
 *
 * so that every row is pushed with full force as long as the person is better known than somebody who does not exist, and left alone
 * where that is reached. SimNPO has a constant in that place (arXiv 2410.07163); a level for each row is ours, from no paper.
 */
#include "train/train.h"

struct config {
	double beta, forget, retain;
};

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	ul_val *now = ul_seq_sum(ul_token_logp(r, r->model, &r->forget), &r->forget); /* [seqs, 1] */
	ul_val *stranger = ul_cached_ref(r, &r->alt);
	ul_val *gap = ul_scale(ul_sub(now, stranger), -c->beta);
	ul_val *rows = ul_scale(ul_logsigmoid(gap), -2 / c->beta);
	return ul_forget_retain(r, ul_row_mean(r, rows, &r->forget), c->forget, c->retain);
}

static const ul_opt opts[] = {
        {"beta", UL_OPT_REAL, offsetof(struct config, beta), "0.1", 1e-6, 1e3, NULL, "β, how sharply a row is left alone at the level of strangers", "X"},
        {"forget-weight", UL_OPT_REAL, offsetof(struct config, forget), "1", 0, 1e6, NULL, "γ, weight of the forget term", "X"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "1", 0, 1e6, NULL, "α, weight of the retain term, if there are retain rows", "X"},
        {0},
};

const ul_method ul_method_npo_strangers = {
        .name = "npo-strangers",
        .title = "Negative preference optimisation down to what is said of strangers",
        .paper = "after Zhang et al. 2024, Negative Preference Optimization, arXiv 2404.05868",
        .notes = "From no paper: NPO with another reference. Rows must say whom they are about (subject); the stranger is named after other people of the rows.",
        .needs = UL_NEEDS_REF | UL_NEEDS_ALT | UL_ALT_ALIGNED | UL_USES_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .alternatives = ul_strangers_make,
        .loss = loss,
};
