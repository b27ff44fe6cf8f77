/*
 * mia_zlib.c: membership inference by loss over compressed size: surprise that the text itself does not explain.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_members(q, 0, ul_mia_zlib, out);
}

const ul_audit_def ul_audit_mia_zlib = {
        .name = "mia_zlib",
        .title = "Membership by loss over zlib size",
        .paper = "Carlini et al. 2021",
        .notes = "Known: mean loss over the bytes of zlib level 6 of the text or the answer. AUC 1 means that forget rows are recognised as training data.",
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
