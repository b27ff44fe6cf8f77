/*
 * pscu.c: privacy-selective contrastive unlearning, the third stage of DFSU (arXiv 2601.15595). Tokens of personal data are pushed
 * down, all others of the same text are held,
 *
 *     L = α L_gen - β L_priv,   L_priv = mean NLL of the tokens under a span, L_gen of the rest
 *
 * over every token of a row but its first. Means are over the tokens of the batch; whether the paper means rows is not stated
 * there (reconstructed). -β L_priv has no bound: --clamp stops a token at the NLL of a uniform guess, log V, --cap the mean, and
 * --until ends the run; all are off in the formula as published. What has been forgotten should surprise as much as what was never
 * known, and how much that is the model itself says before the first step: --cap -1 asks it about the invented values of its retain rows.
 */
#include "data/invent.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

struct config {
	double alpha, beta, cap, until, retain;
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

enum { ASKED = 256 }; /* rows with invented values suffice to know the mean of a token within a few per cent */

/* Mean NLL of the values in invented retain rows, which nobody can know. */
static bool never_known(ul_run *r, double *mean, ul_err *err)
{
	const ul_dataset *d = r->data[UL_RETAIN];
	ul_dataset some = {.row = ul_alloc(&r->arena, ASKED * sizeof(ul_row))};
	ul_scores s = {0};
	double sum = 0;
	int n = 0, with = 0;
	if (!some.row) {
		return ul_nomem(err, ASKED * sizeof(ul_row));
	}
	for (int i = 0; d && i < d->n; i++) {
		with += ul_row_invented(&d->row[i]);
	}
	for (int i = 0, seen = 0; d && i < d->n && some.n < ASKED; i++) { /* evenly spread */
		if (ul_row_invented(&d->row[i]) && (int64_t)seen++ * ASKED / with >= some.n) {
			some.row[some.n++] = d->row[i];
		}
	}
	if (some.n > 0 && !ul_score(r->model, &some, 0, &s, NULL, err)) {
		return false;
	}
	for (int i = 0; i < s.n; i++) {
		for (int t = 0; t < s.row[i].n; t++) {
			sum -= s.row[i].spot[t] ? s.row[i].logp[t] : 0;
			n += s.row[i].spot[t];
		}
	}
	ul_scores_release(&s);
	*mean = n > 0 ? sum / n : 0;
	if (n == 0 && r->progress && r->progress->note) {
		r->progress->note(r->progress->ud, "there are no invented retain rows to measure --cap -1 by (--invent N): nothing is capped");
	}
	return true;
}

static bool begin(ul_run *r, void *config, ul_err *err)
{
	struct config *c = config;
	return c->cap >= 0 || never_known(r, &c->cap, err);
}

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	ul_val *nll = ul_scale(ul_token_logp(r, r->model, &r->forget), -1); /* [labels, 1] */
	ul_val *general = ul_term(r, "general", part(r, nll, 0));
	ul_val *capped = c->clamp ? ul_min(nll, log(r->model->cfg.vocab)) : nll;
	ul_val *private = ul_term(r, "private", part(r, capped, 1));
	end_when_done(r, c->until);
	ul_val *counted = c->cap > 0 ? ul_min(private, c->cap) : private;
	ul_val *both = ul_sub(ul_scale(general, c->alpha), ul_scale(counted, c->beta));
	if (c->retain == 0 || !r->data[UL_RETAIN]) {
		return both;
	}
	return ul_add(both, ul_scale(ul_retain(r), c->retain));
}

static const ul_opt opts[] = {
        {"alpha", UL_OPT_REAL, offsetof(struct config, alpha), "1", 0, 1e6, NULL, "α, weight of holding the tokens outside of personal data", "X"},
        {"beta", UL_OPT_REAL, offsetof(struct config, beta), "1", 0, 1e6, NULL, "β, weight of forgetting the personal data", "X"},
        {"clamp", UL_OPT_BOOL, offsetof(struct config, clamp), "no", 0, 0, NULL, "a token is pushed no further than the NLL of a uniform guess", NULL},
        {"cap", UL_OPT_REAL, offsetof(struct config, cap), "0", -1, 1e6, NULL, "the mean NLL of personal data in a step counts no further than this; 0 without limit, -1 up to that of invented values at the start (--invent)", "NLL"},
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
        .notes = "Known: the objective, LoRA r=4 a=32 on the MLP, AdamW, cosine, lr 5e-5 to 1e-4, batch 16, 10 epochs, α=β=1. Reconstructed: batch token means; the guards --clamp, --cap and --until, off by default; retain rows, which the paper has not.",
        .needs = UL_ALL_TOKENS | UL_NEEDS_SPANS | UL_USES_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .defaults = defaults,
        .begin = begin,
        .loss = loss,
};
