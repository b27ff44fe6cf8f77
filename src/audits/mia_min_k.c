/*
 * mia_min_k.c: membership inference by the least likely tokens: a member has few outliers.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_members(q, 0, ul_mia_min_k, out);
}

const ul_audit_def ul_audit_mia_min_k = {
        .name = "mia_min_k",
        .title = "Membership by least likely tokens",
        .paper = "Shi et al. 2024, Min-K%",
        .notes = "Known: K = 40 % by default, as MUSE and open-unlearning use it. AUC 1 means that forget rows are recognised as training data.",
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
