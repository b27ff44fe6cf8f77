/*
 * pscu.c: privacy-selective contrastive unlearning, the third stage of DFSU (arXiv 2601.15595). Tokens of personal data are pushed
 * down, all others of the same text are held,
 *
 *     L = α L_gen - β L_priv,   L_priv = mean NLL of the tokens under a span, L_gen of the rest
 *
 * over every token of a row but its first. Means are over the tokens of the batch; whether the paper means rows is not stated
 * there (reconstructed). -β L_priv has no bound: --clamp stops a token at the NLL of a uniform guess, log V, and --until ends the
 * run; both are off in the formula as published.
 */
#include "train/train.h"

#include <math.h>
#include <string.h>

struct config {
	double alpha, beta, until, retain;
	bool clamp;
};

/* Σ over the tokens with spot == `which` of their NLL, divided by how many the whole step has. */
static ul_val *part(ul_run *r, ul_val *nll, int which)
{
	const ul_batch *b = &r->forget;
	int64_t n = which ? r->total[UL_FORGET].spots : r->total[UL_FORGET].labels - r->total[UL_FORGET].spots;
	double *w = ul_alloc(&r->step_arena, ((size_t)b->labels + 1) * sizeof *w);
	if (!w) {
		r->tape.failed = true;
		return ul_mean(nll);
	}
	for (int i = 0; i < b->labels; i++) {
		w[i] = b->spot[i] == which ? 1.0 / (double)n : 0;
	}
	return ul_wsum(nll, w);
}

static void end_when_done(ul_run *r, double until)
{
	for (int i = 0; until > 0 && r->micro == r->micros - 1 && i < r->terms; i++) {
		r->last |= !strcmp(r->term[i].name, "private") && r->term[i].value >= until;
	}
}

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	ul_val *nll = ul_scale(ul_token_logp(r, r->model, &r->forget), -1); /* [labels, 1] */
	ul_val *general = ul_term(r, "general", part(r, nll, 0));
	ul_val *capped = c->clamp ? ul_min(nll, log(r->model->cfg.vocab)) : nll;
	ul_val *private = ul_term(r, "private", part(r, capped, 1));
	end_when_done(r, c->until);
	ul_val *both = ul_sub(ul_scale(general, c->alpha), ul_scale(private, c->beta));
	if (c->retain == 0 || !r->data[UL_RETAIN]) {
		return both;
	}
	return ul_add(both, ul_scale(ul_retain(r), c->retain));
}

static const ul_opt opts[] = {
        {"alpha", UL_OPT_REAL, offsetof(struct config, alpha), "1", 0, 1e6, NULL, "α, weight of holding the tokens outside of personal data", "X"},
        {"beta", UL_OPT_REAL, offsetof(struct config, beta), "1", 0, 1e6, NULL, "β, weight of forgetting the personal data", "X"},
        {"clamp", UL_OPT_BOOL, offsetof(struct config, clamp), "no", 0, 0, NULL, "a token is pushed no further than the NLL of a uniform guess", NULL},
        {"until", UL_OPT_REAL, offsetof(struct config, until), "0", 0, 1e6, NULL, "end the run when the mean NLL of personal data in a step reaches this; 0 never", "NLL"},
        {"retain-weight", UL_OPT_REAL, offsetof(struct config, retain), "1", 0, 1e6, NULL, "weight of the retain term, if there are retain rows", "X"},
        {0},
};

static const ul_setting defaults[] = {
        {"lora", "r=4,alpha=32,target=mlp"},
        {"lr", "1e-4"},
        {"schedule", "cosine"},
        {"batch", "16"},
        {"epochs", "10"},
        {NULL, NULL},
};

const ul_method ul_method_pscu = {
        .name = "pscu",
        .title = "Privacy-selective contrastive unlearning",
        .paper = "Data-Free Selective Unlearning (DFSU) 2026, arXiv 2601.15595",
        .notes = "Known: the objective, LoRA r=4 a=32 on the MLP, AdamW, cosine, lr 5e-5 to 1e-4, batch 16, 10 epochs, α=β=1. Reconstructed: batch token means; the guards --clamp and --until, off by default; retain rows, which the paper has not.",
        .needs = UL_ALL_TOKENS | UL_NEEDS_SPANS | UL_USES_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .defaults = defaults,
        .loss = loss,
};
