/*
 * repetition.c: share of words that stand in an immediate repetition, in what the model says to retained prompts.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_fluency(q, true, out);
}

const ul_audit_def ul_audit_repetition = {
        .name = "repetition",
        .title = "Words repeated at once",
        .paper = "Li et al. 2016",
        .notes = "Ours: a word that closes a repetition of the one to four words before it.",
        .kind = UL_K_UTILITY,
        .split = UL_S_RETAIN,
        .against = UL_VS_BEFORE,
        .sign = -1,
        .margin = 0.1,
        .level = UL_QUICK,
        .items = items,
};
