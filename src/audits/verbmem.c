/*
 * verbmem.c: verbatim memorisation: ROUGE-L F1 between a greedy continuation of a document and how it really goes on.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	const ul_dataset *d = ul_exam_data(q->e, q->split);
	if (d && d->n > 0 && d->row[0].prompt)
		return ul_not_here(q, "the forget rows are questions with answers, not documents");
	return ul_items_rouge(q, false, false, out);
}

const ul_audit_def ul_audit_verbmem = {
        .name = "verbmem",
        .title = "Text continued word for word",
        .paper = "Shi et al. 2024, MUSE",
        .notes = "Known: no stemmer, at most 128 new tokens; the text is cut before its first piece of personal data, or in the middle.",
        .kind = UL_K_FORGET,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = +1,
        .margin = 0.05,
        .rate = true,
        .level = UL_QUICK,
        .items = items,
};
