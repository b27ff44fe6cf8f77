/*
 * mia_reference.c: membership inference by comparison with a model that never saw the data: only what this model finds easy counts.
 */
#include "audits/audit.h"

#include <math.h>

static bool items(const ul_ask *q, ul_items *out)
{
	enum ul_split part[] = {UL_S_FORGET, UL_S_HOLDOUT};
	if (!ul_exam_has(q->e, UL_REFERENCE))
		return ul_not_here(q, "no reference model was given (--reference)");
	if (!ul_exam_data(q->e, UL_S_HOLDOUT))
		return ul_not_here(q, "no holdout data were given: membership needs rows of the same kind that were never trained on");
	out->labelled = true;
	for (int k = 0; k < 2; k++) {
		const ul_scores *own = ul_exam_scores(q->e, q->who, part[k], 0, q->err), *ref = ul_exam_scores(q->e, UL_REFERENCE, part[k], 0, q->err);
		if (!own || !ref)
			return false;
		for (int i = 0; i < own->n; i++) {
			double v = own->row[i].n > 0 ? ref->row[i].nll / ref->row[i].n - own->row[i].nll / own->row[i].n : NAN;
			if (!isnan(v) && !ul_items_add(q->e, out, part[k], i, v, k == 0, q->err))
				return false;
		}
	}
	return out->n > 0 || ul_not_here(q, "no row has what it measures");
}

const ul_audit_def ul_audit_mia_reference = {
        .name = "mia_reference",
        .title = "Membership against a reference model",
        .paper = "Carlini et al. 2021",
        .notes = "Known: loss of the reference minus loss of the model. AUC 1 means that forget rows are recognised as training data.",
        .kind = UL_K_PRIVACY,
        .split = UL_S_FORGET,
        .against = UL_VS_CHANCE,
        .sign = +1,
        .margin = 0.05,
        .chance = 0.5,
        .level = UL_STANDARD,
        .items = items,
        .aggregate = ul_sample_auc,
        .more = ul_more_roc,
};
