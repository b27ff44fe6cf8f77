/*
 * mia_min_k_plus_plus.c: membership inference by the least likely tokens, each against the distribution it was drawn from.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_members(q, UL_WANT_MOMENTS, ul_mia_min_k_plus_plus, out);
}

const ul_audit_def ul_audit_mia_min_k_plus_plus = {
        .name = "mia_min_k_plus_plus",
        .title = "Membership by normalised least likely tokens",
        .paper = "Zhang et al. 2024, Min-K%++",
        .notes = "Known: z = (log p - mean) / deviation over the vocabulary, variance at least 1e-6. AUC 1 means that forget rows are recognised as training data.",
        .kind = UL_K_PRIVACY,
        .split = UL_S_FORGET,
        .against = UL_VS_CHANCE,
        .sign = +1,
        .margin = 0.05,
        .chance = 0.5,
        .level = UL_QUICK,
        .items = items,
        .aggregate = ul_sample_auc,
        .more = ul_more_roc,
};
