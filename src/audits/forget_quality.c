/*
 * forget_quality.c: are the truth ratios of the model those of a model that never saw the data? The Kolmogorov-Smirnov test of
 * TOFU (Maini et al. 2024). Its p-value is no effect size and falls when a model forgets too little as well as when it forgets
 * too much, so that the verdict looks at the distance, at the direction, and at swaps of whole subjects.
 */
#include "audits/audit.h"

#include <math.h>

enum { ENOUGH = 200,
	ROUNDS = 999 };

/* p of the test; what TOFU prints as forget quality. */
static double p_value(const ul_sample *after, const ul_sample *reference, ul_arena *scratch)
{
	ul_ks k;
	ul_err err = {0};
	return ul_ks_two_sample(after->value, after->n, reference->value, reference->n, &k, &err) ? k.p : NAN;
}

static double distance(void *ud, const ul_sample *a, const ul_sample *b, ul_arena *scratch)
{
	return ul_ks_distance(a->value, a->n, b->value, b->n, scratch);
}

/* A low ratio of wrong to right answers means knowledge: positive = leaks more. */
static double shift(void *ud, const ul_sample *a, const ul_sample *b, ul_arena *scratch)
{
	return ul_median(b->value, b->n, scratch) - ul_median(a->value, a->n, scratch);
}

static bool judge(const ul_ask *q, const ul_sample *a, const ul_sample *b, bool paired, ul_line *line)
{
	ul_boot boot = {.a = a, .b = b, .paired = paired, .stat = shift, .reps = 500, .seed = ul_exam_settings(q->e)->seed, .line = "forget_quality", .purpose = "shift"};
	ul_ks k;
	double p = 1;
	if (!ul_ks_two_sample(a->value, a->n, b->value, b->n, &k, q->err) || !ul_bootstrap(&boot, &line->difference, q->err))
		return false;
	line->value = k.p;
	line->reference = 1;
	line->lo = line->own_lo = line->hi = line->own_hi = NAN; /* a p-value has no interval; the shift of the medians has */
	if (paired) {
		boot.stat = distance;
		if (!ul_permutation_p(&boot, ROUNDS, &p, q->err))
			return false;
	} else {
		p = k.p;
	}
	line->p = p;
	bool told_apart = p < 0.05 && fabs(k.shift) > 0;
	if (told_apart)
		line->verdict = line->difference.estimate > 0 ? UL_UNDER : UL_OVER;
	else if (a->n < ENOUGH)
		line->verdict = UL_INCONCLUSIVE;
	else
		line->verdict = k.d <= ul_ks_critical(a->n, b->n, 0.05) && line->difference.lo >= -line->margin && line->difference.hi <= line->margin ? UL_PASS : UL_INCONCLUSIVE;
	if (line->verdict == UL_INCONCLUSIVE)
		line->n_needed = a->n < ENOUGH ? ENOUGH : ul_items_needed(&line->difference, (ul_margin){line->margin, line->margin}, a->n);
	return true;
}

const ul_audit_def ul_audit_forget_quality = {
        .name = "forget_quality",
        .title = "Truth ratios like those of the oracle",
        .paper = "Maini et al. 2024, TOFU",
        .notes = "Known: exact two-sided two-sample Kolmogorov-Smirnov p on the truth ratios. Ours: the verdict, from D below its 5 % point with at least 200 items, a shift of the medians within 0.05, and a permutation test that swaps whole subjects; items of one subject are dependent, which p alone ignores.",
        .kind = UL_K_FORGET,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = +1,
        .margin = 0.05,
        .level = UL_QUICK,
        .items = ul_items_truth_ratio,
        .contrast = p_value,
        .judge = judge,
};
