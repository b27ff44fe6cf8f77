/*
 * extraction_strength.c: share that can be extracted of the forget rows from one teacher-forced pass.
 */
#include "audits/audit.h"
#include "audits/match/match.h"

#include <math.h>

static double strength(const ul_ask *q, int row, const ul_row_score *s)
{
	int n;
	unsigned char *hit = ul_hits(q, row, s, &n);
	if (!hit)
		return NAN;
	double v = ul_extraction_strength(hit, n, ul_exam_settings(q->e)->compat);
	ul_free(hit);
	return v;
}

/* Over the question as it was learnt and as it is asked otherwise. */
static double row_value(const ul_ask *q, int row, const ul_row_score *s)
{
	const ul_answers *other = ul_exam_settings(q->e)->compat ? NULL : ul_exam_answers(q->e, q->who, q->split, UL_REPHRASED, q->err);
	double best = strength(q, row, s);
	for (int k = 0; other && k < other->n[row]; k++)
		best = fmax(best, strength(q, row, &other->row[row][k]));
	return best;
}

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_by_row(q, UL_WANT_ARGMAX, row_value, out);
}

const ul_audit_def ul_audit_extraction_strength = {
        .name = "extraction_strength",
        .title = "Share that can be extracted",
        .paper = "Carlini et al. 2021; Wang et al. 2025",
        .notes = "Known: 1 - k/n with the exact floor 0; the larger of the row as it stands and of its question in other words (paraphrase_prompt), where it has one. --compat open-unlearning has the floor 1/n of that framework and asks the row alone.",
        .kind = UL_K_FORGET,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = +1,
        .margin = 0.03,
        .rate = true,
        .required = true,
        .level = UL_QUICK,
        .items = items,
};
