/*
 * knowmem.c: knowledge memorisation: ROUGE-L F1 of short answers.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	const ul_dataset *d = ul_exam_data(q->e, q->split);
	if (d && d->n > 0 && !d->row[0].prompt)
		return ul_not_here(q, "the forget rows are no questions with answers");
	return ul_items_rouge(q, false, false, out);
}

const ul_audit_def ul_audit_knowmem = {
        .name = "knowmem",
        .title = "Knowledge still shown",
        .paper = "Shi et al. 2024, MUSE",
        .notes = "Known, with a departure: questions are asked in the template of the rows, without the examples that MUSE puts in front: those are in knowmem_few_shot.",
        .kind = UL_K_FORGET,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = +1,
        .margin = 0.05,
        .rate = true,
        .level = UL_QUICK,
        .items = items,
};
