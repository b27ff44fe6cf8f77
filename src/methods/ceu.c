/*
 * ceu.c: cross-entropy unlearning: the model learns its own distribution with the true token struck out,
 *
 *     L = mean_t CE(q, p),   q = softmax(z with z_y = -∞), not differentiated,
 *
 * over the labelled tokens of a row after the first --skip ones. Its gradient is that of token unlikelihood, -log(1 - p_y)
 * (Welleck et al. 2019), which is what is differentiated here; the value is CE's own, (H + p_y log p_y) / (1 - p_y).
 */
#include "train/train.h"

#include <math.h>

struct config {
	int64_t skip;
};

/* How many labelled tokens of the whole step count: all but the first `skip` of each row. */
static int64_t counted(const ul_run *r, int64_t skip)
{
	const ul_batch *b = &r->forget;
	bool stepping = r->items > 0; /* else a batch packed by hand */
	int64_t sum = 0;
	for (int i = 0; i < (stepping ? r->items : b->seqs); i++) {
		const ul_row *row = &r->data[UL_FORGET]->row[stepping ? r->item[UL_FORGET][i] : b->item[i]];
		int64_t n = 0;
		for (int t = 1; t < row->n; t++) {
			n += (row->flags[t] & UL_ROW_LABEL) != 0;
		}
		sum += n > skip ? n - skip : 0;
	}
	return sum;
}

static void weigh(const ul_run *r, int64_t skip, double *w)
{
	const ul_batch *b = &r->forget;
	int64_t n = counted(r, skip);
	for (int i = 0, seen = 0; i < b->labels; i++) {
		seen = i > 0 && b->seq[i] == b->seq[i - 1] ? seen + 1 : 0;
		w[i] = seen < skip ? 0 : 1.0 / (double)n;
	}
}

/* What CE adds to -log(1 - p) at each token: a constant for the gradient. */
static ul_val *rest(ul_run *r, ul_val *logp, const double *entropy)
{
	int n = logp->rows;
	double *x = ul_alloc(&r->step_arena, ((size_t)n + 1) * sizeof *x);
	if (!x || !ul_tape_ok(&r->tape, NULL)) {
		r->tape.failed = true;
		return logp;
	}
	ul_read(logp, x);
	for (int i = 0; i < n; i++) {
		double p = exp(x[i]), other = -expm1(x[i]);
		x[i] = other > 0 ? (entropy[i] + p * x[i]) / other + log(other) : 0;
	}
	return ul_const(&r->tape, n, 1, x);
}

static ul_val *loss(ul_run *r, const void *config)
{
	const struct config *c = config;
	const ul_batch *b = &r->forget;
	double *w = ul_alloc(&r->step_arena, ((size_t)b->labels + 1) * sizeof *w);
	double *entropy = ul_alloc(&r->step_arena, ((size_t)b->labels + 1) * sizeof *entropy);
	if (!w || !entropy) {
		r->tape.failed = true;
		return ul_nll(r, b);
	}
	weigh(r, c->skip, w);
	ul_val *logp = ul_token_logp_stats(r, r->model, b, &(ul_head_stats){.entropy = entropy});
	ul_val *unlikelihood = ul_scale(ul_map_fn(ul_min(logp, -1e-12), UL_LOG1MEXP), -1);
	return ul_term(r, "forget", ul_wsum(ul_add(unlikelihood, rest(r, logp, entropy)), w));
}

static const ul_opt opts[] = {
        {"skip", UL_OPT_INT, offsetof(struct config, skip), "1", 0, 1e6, NULL, "labelled tokens at the start of each answer that are left alone", "N"},
        {0},
};

const ul_method ul_method_ceu = {
        .name = "ceu",
        .title = "Cross-entropy unlearning",
        .paper = "Yang 2025, CE-U: Cross Entropy Unlearning, arXiv 2503.01224",
        .notes = "As open-unlearning's CEU, which has no retain term. Its gradient equals token unlikelihood.",
        .config = sizeof(struct config),
        .opts = opts,
        .loss = loss,
};
