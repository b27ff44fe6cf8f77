/*
 * repetition.c: share of words that stand in an immediate repetition, in what the model says to retained prompts.
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
		if (!ul_items_add(q->e, out, q->split, i, repeated, 0, q->err))
			return false;
	}
	return said && (out->n > 0 || ul_not_here(q, "nothing was said"));
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
