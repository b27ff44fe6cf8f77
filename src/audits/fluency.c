/*
 * fluency.c: entropy of word pairs and triples in what the model says to retained prompts.
 */
#include "audits/audit.h"
#include "audits/match/match.h"

#include <math.h>

static double value(const ul_ask *q, const char *text)
{
	double h = ul_fluency_entropy(text);
	if (h < 0)
		ul_nomem(q->err, 0);
	return h < 0 ? NAN : h;
}

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_said(q, value, out);
}

const ul_audit_def ul_audit_fluency = {
        .name = "fluency",
        .title = "Fluency (entropy of word pairs and triples)",
        .paper = "Jin et al. 2024, RWKU",
        .notes = "Known: ½ (⅔ H₂ + 4⁄3 H₃) in bits for each continuation of a retain row, mean over rows. No gate, for answers of a word or two have no entropy to lose.",
        .kind = UL_K_UTILITY,
        .split = UL_S_RETAIN,
        .against = UL_VS_BEFORE,
        .sign = +1,
        .margin = 0.1,
        .relative = true,
        .level = UL_QUICK,
        .items = items,
};
