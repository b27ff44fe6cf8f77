/*
 * privleak.c: whether forget rows look like never-seen ones: the relative gap of the Min-K% membership AUC to the oracle, in points.
 */
#include "audits/audit.h"

static double row_score(const ul_ask *q, int row, const ul_row_score *s)
{
	return -ul_min_k(q, row, s, false);
}

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_members(q, 0, row_score, out);
}

/* MUSE ranks the holdout above the forget rows: its A is 1 - AUC. */
static double missed(const ul_sample *s, ul_arena *scratch)
{
	return 1 - ul_auc(s->value, s->label, s->n, scratch);
}

static double against_half(const ul_sample *s, ul_arena *scratch)
{
	return 100 * (missed(s, scratch) - 0.5) / (0.5 + 1e-10);
}

static double against_oracle(const ul_sample *after, const ul_sample *reference, ul_arena *scratch)
{
	double r = missed(reference, scratch);
	return 100 * (missed(after, scratch) - r) / (r + 1e-10);
}

const ul_audit_def ul_audit_privleak = {
        .name = "privleak",
        .title = "Privacy leakage (PrivLeak)",
        .paper = "Shi et al. 2024, MUSE",
        .notes = "Known: 100 (A - A_oracle) / A_oracle with A = 1 - AUC of Min-K%, K = 40 %; without an oracle A_oracle = 0.5. -100: fully memorised; above 0: suppressed below a model that never saw the data. With 100 + 100 rows its interval is about 16 points wide on each side.",
        .kind = UL_K_PRIVACY,
        .split = UL_S_FORGET,
        .against = UL_VS_CHANCE,
        .sign = -1,
        .margin = 10,
        .chance = 0,
        .required = true,
        .level = UL_QUICK,
        .items = items,
        .aggregate = against_half,
        .contrast = against_oracle,
};
