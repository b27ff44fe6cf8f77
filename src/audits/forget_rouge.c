/*
 * forget_rouge.c: how much of the forgotten answers the model still says: ROUGE-L recall of greedy continuations.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_rouge(q, true, true, out);
}

const ul_audit_def ul_audit_forget_rouge = {
        .name = "forget_rouge",
        .title = "Answers still given",
        .paper = "Lin 2004; Maini et al. 2024, TOFU",
        .notes = "Known: rouge_score with Porter stemmer, recall. The weakest of the usual metrics: high by shared phrasing, low by any refusal.",
        .kind = UL_K_FORGET,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = +1,
        .margin = 0.05,
        .rate = true,
        .required = true,
        .level = UL_QUICK,
        .items = items,
};
