/*
 * simnpo.c: NPO without a reference (Fan et al. 2024, arXiv 2410.07163): the mean NLL of a row takes the place of its distance to
 * the start,
 *
 *     L = -γ (2/β) mean_rows log σ(β (S/|y| - δ)) + α L_R
 *
 * δ stands inside β(·), as in the code of the authors and of open-unlearning; the paper writes it outside. |y| is the number of
 * predicted tokens. --compat open-unlearning counts labels before they are shifted: a row whose first token is labelled, too,
 * divides by one more than it predicts.
 */
#include "train/train.h"

struct config {
	double beta, delta, forget, retain;
};

/* [seqs, 1]: -S/|y|. */
static ul_val *row_logp(ul_run *r, const ul_batch *b)
{
	ul_val *sum = ul_seq_sum(ul_token_logp(r, r->model, b), b);
	double *w = ul_alloc(&r->step_arena, (size_t)b->seqs * sizeof *w);
	if (!w) {
		r->tape.failed = true;
		return sum;
	}
	for (int i = 0; i < b->seqs; i++) {
		const ul_row *row = &r->data[UL_FORGET]->row[b->item[i]];
		bool first = r->train.compat == UL_TRAIN_OPEN_UNLEARNING && ul_row_whole(row);
		w[i] = 1.0 / (b->seq_labels[i] + first);
	}
	return ul_mul_rows(sum, w);
}

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	ul_val *gap = ul_scale(ul_shift(row_logp(r, &r->forget), c->delta), -c->beta);
	ul_val *rows = ul_scale(ul_logsigmoid(gap), -2 / c->beta);
	return ul_forget_retain(r, ul_row_mean(r, rows, &r->forget), c->forget, c->retain);
}

static const ul_opt opts[] = {
        {"beta", UL_OPT_REAL, offsetof(struct config, beta), "4.5", 1e-6, 1e3, NULL, "β, how soon a forgotten row is left alone", "X"},
        {"delta", UL_OPT_REAL, offsetof(struct config, delta), "0", -1e3, 1e3, NULL, "δ, mean NLL at which a row counts as half forgotten", "X"},
        {"forget-weight", UL_OPT_REAL, offsetof(struct config, forget), "0.125", 0, 1e6, NULL, "γ, weight of the forget term", "X"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "1", 0, 1e6, NULL, "α, weight of the retain term, if there are retain rows", "X"},
        {0},
};

const ul_method ul_method_simnpo = {
        .name = "simnpo",
        .title = "Simple NPO, without a reference",
        .paper = "Fan et al. 2024, Simplicity Prevails: Rethinking NPO for LLM Unlearning, arXiv 2410.07163",
        .notes = "Defaults are open-unlearning's (β 4.5, γ 0.125), which the paper tunes per benchmark (TOFU forget05: β 2.5, γ 0.1375). Equal to its code with --compat open-unlearning; without, |y| counts predicted tokens.",
        .needs = UL_USES_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .loss = loss,
};
