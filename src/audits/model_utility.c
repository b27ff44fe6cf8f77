/*
 * model_utility.c: TOFU's (Maini et al. 2024) one number for all that should have stayed: the harmonic mean of probability, ROUGE-L
 * recall and truth ratio over several sets. Any zero makes it zero.
 */
#include "audits/audit.h"

#include <math.h>

enum { PARTS = 3,
	SETS = 3 };

/* open-unlearning measures an answer of the sets beside the retained one among its wrong answers: c / (c + sum of wrong). */
static bool normalised(const ul_ask *q, ul_items *prob)
{
	const ul_answers *wrong = ul_exam_answers(q->e, q->who, q->split, UL_PERTURBED, q->err);
	for (int i = 0; wrong && i < prob->n; i++) {
		int row = prob->row[i];
		double sum = 0;
		for (int k = 0; k < wrong->n[row]; k++) {
			const ul_row_score *s = &wrong->row[row][k];
			sum += s->n > 0 ? exp(-s->nll / s->n) : 0;
		}
		prob->value[i] /= prob->value[i] + sum + 1e-10;
	}
	return !q->err->msg[0];
}

/* Label: set · 3 + part. */
static bool add_set(const ul_ask *q, int set, ul_items *out)
{
	ul_items part[PARTS] = {{0}};
	const char *why = NULL;
	ul_ask ask = *q;
	ask.why = &why;
	bool have[] = {ul_items_prob(&ask, &part[0]), ul_items_rouge(&ask, true, true, &part[1]), ul_items_truth_ratio(&ask, &part[2])};
	if (set > 0 && ul_exam_settings(q->e)->compat && have[0] && !normalised(&ask, &part[0]))
		return false;
	for (int p = 0; p < PARTS; p++) {
		for (int i = 0; have[p] && i < part[p].n; i++) {
			double v = p == 2 ? fmax(0, 1 - part[p].value[i]) : part[p].value[i];
			if (!ul_items_add(q->e, out, q->split, part[p].row[i], v, set * PARTS + p, q->err))
				return false;
		}
	}
	return !q->err->msg[0];
}

static bool items(const ul_ask *q, ul_items *out)
{
	static const enum ul_split set[SETS] = {UL_S_RETAIN, UL_S_NEIGHBOURS, UL_S_GENERAL};
	if (!ul_exam_data(q->e, UL_S_RETAIN))
		return ul_not_here(q, "no retain data were given");
	out->labelled = true;
	for (int k = 0; k < SETS; k++) {
		ul_ask ask = *q;
		ask.split = set[k];
		const ul_dataset *d = ul_exam_data(q->e, set[k]);
		/* Continuing plain text is no answer to a question: only sets of questions count beside the retained one. */
		if (d && d->n > 0 && (k == 0 || d->row[0].prompt) && !add_set(&ask, k, out))
			return false;
	}
	return out->n > 0 || ul_not_here(q, "no row has what it measures");
}

static double harmonic(const ul_sample *s, ul_arena *scratch)
{
	double sum[SETS * PARTS] = {0}, inverse = 0;
	int n[SETS * PARTS] = {0}, kinds = 0;
	for (int i = 0; i < s->n; i++) {
		sum[(int)s->label[i]] += s->value[i];
		n[(int)s->label[i]]++;
	}
	for (int k = 0; k < SETS * PARTS; k++) {
		if (n[k] == 0)
			continue;
		if (sum[k] <= 0)
			return 0;
		inverse += n[k] / sum[k];
		kinds++;
	}
	return kinds ? kinds / inverse : NAN;
}

const ul_audit_def ul_audit_model_utility = {
        .name = "model_utility",
        .title = "Utility, all in one",
        .paper = "Maini et al. 2024, TOFU",
        .notes = "Known as a formula: harmonic mean of probability, ROUGE-L recall and max(0, 1 - truth ratio). Departure: TOFU's sets (retain, real authors, world facts) are here the retain rows and, where they are questions, neighbours and general rows; --compat open-unlearning normalises the probability of the latter by the wrong answers, as that framework does.",
        .kind = UL_K_UTILITY,
        .split = UL_S_RETAIN,
        .against = UL_VS_BEFORE,
        .sign = +1,
        .margin = 0.05,
        .relative = true,
        .level = UL_QUICK,
        .items = items,
        .aggregate = harmonic,
};
