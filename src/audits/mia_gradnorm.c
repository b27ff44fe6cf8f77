/*
 * mia_gradnorm.c: membership inference by the gradient: members pull on the weights less.
 */
#include "audits/audit.h"

static double row_score(const ul_ask *q, int row, const ul_row_score *s)
{
	return -s->grad_norm;
}

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_members(q, UL_WANT_GRADNORM, row_score, out);
}

const ul_audit_def ul_audit_mia_gradnorm = {
        .name = "mia_gradnorm",
        .title = "Membership by gradient norm",
        .paper = "Nasr et al. 2019",
        .notes = "Known: mean over parameter tensors of the 2-norm of the gradient of the mean loss, as open-unlearning takes it. AUC 1 means that forget rows are recognised as training data.",
        .kind = UL_K_PRIVACY,
        .split = UL_S_FORGET,
        .against = UL_VS_CHANCE,
        .sign = +1,
        .margin = 0.05,
        .chance = 0.5,
        .level = UL_HEAVY,
        .items = items,
        .aggregate = ul_sample_auc,
        .more = ul_more_roc,
};
