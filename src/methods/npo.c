/*
 * npo.c: negative preference optimisation (Zhang et al. 2024, arXiv 2404.05868): DPO without a winner,
 *
 *     L = -(2/β) mean_rows log σ(-β (S - S_ref)) + α L_R,   S = Σ_t l_t of a row
 *
 * At the start its gradient is that of ascent on S; it fades as a row is forgotten. β -> 0 is ascent throughout. L_R is absent
 * without retain rows, their mean NLL (NPO-RT), or with --retain-loss kl the distance to the start (NPO-KL).
 */
#include "train/train.h"

struct config {
	double beta, forget, retain;
};

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	ul_val *now = ul_seq_sum(ul_token_logp(r, r->model, &r->forget), &r->forget); /* [seqs, 1] */
	ul_val *then = ul_cached_ref(r, &r->forget);
	ul_val *gap = ul_scale(ul_sub(now, then), -c->beta);
	ul_val *rows = ul_scale(ul_logsigmoid(gap), -2 / c->beta);
	return ul_forget_retain(r, ul_row_mean(r, rows, &r->forget), c->forget, c->retain);
}

static const ul_opt opts[] = {
        {"beta", UL_OPT_REAL, offsetof(struct config, beta), "0.1", 1e-6, 1e3, NULL, "β, how soon a forgotten row is left alone", "X"},
        {"forget-weight", UL_OPT_REAL, offsetof(struct config, forget), "1", 0, 1e6, NULL, "γ, weight of the forget term", "X"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "1", 0, 1e6, NULL, "α, weight of the retain term, if there are retain rows", "X"},
        {0},
};

const ul_method ul_method_npo = {
        .name = "npo",
        .title = "Negative preference optimisation",
        .paper = "Zhang et al. 2024, Negative Preference Optimization, arXiv 2404.05868",
        .notes = "Equal to open-unlearning's NPO: sums over the labelled tokens of a row, mean over rows.",
        .needs = UL_NEEDS_REF | UL_USES_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .loss = loss,
};
