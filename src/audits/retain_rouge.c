/*
 * retain_rouge.c: how much of what should stay the model still says: ROUGE-L recall of greedy continuations.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_rouge(q, true, true, out);
}

const ul_audit_def ul_audit_retain_rouge = {
        .name = "retain_rouge",
        .title = "Retained answers still given",
        .paper = "Lin 2004; Maini et al. 2024, TOFU",
        .notes = "Known: rouge_score with Porter stemmer, recall.",
        .kind = UL_K_UTILITY,
        .split = UL_S_RETAIN,
        .against = UL_VS_BEFORE,
        .sign = +1,
        .margin = 0.05,
        .rate = true,
        .level = UL_QUICK,
        .items = items,
};
