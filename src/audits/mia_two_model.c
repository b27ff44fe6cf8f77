/*
 * mia_two_model.c: who holds the model of before and the model of after looks at what became harder. Retraining shows this too:
 * it is a risk of giving both away, not a fault of forgetting, and has no verdict.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	static const enum ul_split part[] = {UL_S_FORGET, UL_S_HOLDOUT};
	if (!ul_exam_has(q->e, UL_BEFORE))
		return ul_not_here(q, "the model before was not given (--before)");
	if (!ul_exam_data(q->e, UL_S_HOLDOUT))
		return ul_not_here(q, "no holdout data were given: membership needs rows of the same kind that were never trained on");
	out->labelled = true;
	for (int k = 0; k < 2; k++) {
		const ul_scores *own = ul_exam_scores(q->e, q->who, part[k], 0, q->err), *was = ul_exam_scores(q->e, UL_BEFORE, part[k], 0, q->err);
		if (!own || !was)
			return false;
		for (int i = 0; i < own->n; i++) {
			if (own->row[i].n > 0 && !ul_items_add(q->e, out, part[k], i, (own->row[i].nll - was->row[i].nll) / own->row[i].n, k == 0, q->err))
				return false;
		}
	}
	return out->n > 0 || ul_not_here(q, "no row has what it measures");
}

const ul_audit_def ul_audit_mia_two_model = {
        .name = "mia_two_model",
        .title = "Membership by what became harder",
        .paper = "Du et al. 2024, Textual Unlearning Gives a False Sense of Unlearning, arXiv 2406.13348",
        .notes = "Known: loss of the model minus loss of the model before, so that an AUC of 1 means that whoever holds both can tell whose data were forgotten. The oracle has a high one as well. No verdict.",
        .kind = UL_K_INFO,
        .split = UL_S_FORGET,
        .against = UL_VS_CHANCE,
        .sign = +1,
        .margin = 0.05,
        .chance = 0.5,
        .unjudged = true,
        .level = UL_QUICK,
        .items = items,
        .aggregate = ul_sample_auc,
        .more = ul_more_roc,
};
