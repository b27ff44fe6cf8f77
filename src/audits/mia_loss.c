/*
 * mia_loss.c: membership inference by the loss: members are less surprising.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_members(q, 0, ul_mia_loss, out);
}

const ul_audit_def ul_audit_mia_loss = {
        .name = "mia_loss",
        .title = "Membership by loss",
        .paper = "Yeom et al. 2018",
        .notes = "Known. AUC 1 means that forget rows are recognised as training data.",
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
