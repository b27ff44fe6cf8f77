/*
 * idk_dpo.c: direct preference optimisation (Rafailov et al. 2023) with a refusal as the preferred answer and the forgotten one as
 * the rejected (Maini et al. 2024; Zhang et al. 2024),
 *
 *     L = -(2/β) mean_rows log σ(β [(S_F - S_F,ref) - (S_idk - S_idk,ref)]) + α L_R,   S = Σ_t l_t of a row
 */
#include "train/train.h"

struct config {
	double beta, forget, retain;
};

/* [seqs, 1]: how much less likely than at the start the labelled tokens of each row have become. */
static ul_val *lost(ul_run *r, const ul_batch *b)
{
	return ul_sub(ul_cached_ref(r, b), ul_seq_sum(ul_token_logp(r, r->model, b), b));
}

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	ul_val *margin = ul_sub(lost(r, &r->forget), lost(r, &r->alt));
	ul_val *rows = ul_scale(ul_logsigmoid(ul_scale(margin, c->beta)), -2 / c->beta);
	return ul_forget_retain(r, ul_row_mean(r, rows, &r->forget), c->forget, c->retain);
}

static const ul_opt opts[] = {
        {"beta", UL_OPT_REAL, offsetof(struct config, beta), "0.1", 1e-6, 1e3, NULL, "β, inverse temperature of the preference", "X"},
        {"forget-weight", UL_OPT_REAL, offsetof(struct config, forget), "1", 0, 1e6, NULL, "γ, weight of the preference", "X"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "1", 0, 1e6, NULL, "α, weight of the retain term", "X"},
        {0},
};

const ul_method ul_method_idk_dpo = {
        .name = "idk-dpo",
        .title = "DPO towards refusals",
        .paper = "Rafailov et al. 2023, arXiv 2305.18290; as an unlearning baseline Zhang et al. 2024, arXiv 2404.05868",
        .notes = "Sums over tokens, as the framework. Each row keeps one refusal, so that the reference reads it once.",
        .needs = UL_NEEDS_REF | UL_NEEDS_ALT | UL_USES_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .loss = loss,
};
