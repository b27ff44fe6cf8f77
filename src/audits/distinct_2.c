/*
 * distinct_2.c: distinct word pairs in what the model says to retained prompts: a broken model repeats itself.
 */
#include "audits/audit.h"
#include "audits/match/match.h"

static bool items(const ul_ask *q, ul_items *out)
{
	const ul_dataset *d = ul_exam_data(q->e, q->split);
	if (!d)
		return ul_not_here(q, "no retain data were given");
	if (!ul_exam_settings(q->e)->model[UL_AFTER]->tok)
		return ul_not_here(q, "the model has no tokenizer to speak with");
	const ul_gen *said = ul_exam_greedy(q->e, q->who, q->split, q->err);
	for (int i = 0; said && i < d->n; i++) {
		double distinct, repeated;
		bool failed;
		if (!said[i].text)
			continue;
		ul_fluency(said[i].text, &distinct, &repeated, &failed);
		if (failed)
			return ul_nomem(q->err, 0);
		if (!ul_items_add(q->e, out, q->split, i, distinct, 0, q->err))
			return false;
	}
	return said && (out->n > 0 || ul_not_here(q, "nothing was said"));
}

const ul_audit_def ul_audit_distinct_2 = {
        .name = "distinct_2",
        .title = "Variety of what is said (distinct-2)",
        .paper = "Li et al. 2016",
        .notes = "Known: share of distinct word pairs in each continuation of a retain row (Li et al. 2016). Gate: at most 10 % below the model before.",
        .kind = UL_K_UTILITY,
        .split = UL_S_RETAIN,
        .against = UL_VS_BEFORE,
        .sign = +1,
        .margin = 0.1,
        .relative = true,
        .gate = true,
        .level = UL_QUICK,
        .items = items,
};
