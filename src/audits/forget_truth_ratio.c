/*
 * forget_truth_ratio.c: whether the true answer is told from false ones: mean of min(x, 1/x) over the truth ratios x = P(wrong)/P(correct).
 */
#include "audits/audit.h"

#include <math.h>

static bool items(const ul_ask *q, ul_items *out)
{
	if (!ul_items_truth_ratio(q, out))
		return false;
	for (int i = 0; i < out->n; i++)
		out->value[i] = fmin(out->value[i], 1 / (out->value[i] + 1e-10));
	return true;
}

const ul_audit_def ul_audit_forget_truth_ratio = {
        .name = "forget_truth_ratio",
        .title = "True answers told from false ones",
        .paper = "Maini et al. 2024, TOFU",
        .notes = "Known: geometric mean over wrong answers as in the code of TOFU and open-unlearning; --truth-ratio arithmetic is the formula of the paper.",
        .kind = UL_K_FORGET,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = -1,
        .margin = 0.05,
        .level = UL_QUICK,
        .items = items,
};
