/*
 * distinct_2.c: distinct word pairs in what the model says to retained prompts: a broken model repeats itself.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_fluency(q, false, out);
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
