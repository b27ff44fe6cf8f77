/*
 * exact_memorization.c: tokens reproduced of the forget rows from one teacher-forced pass.
 */
#include "audits/audit.h"
#include "audits/match/match.h"

#include <math.h>

static double row_value(const ul_ask *q, int row, const ul_row_score *s)
{
	int n;
	unsigned char *hit = ul_hits(q, row, s, &n);
	if (!hit)
		return NAN;
	double v = ul_exact_memorization(hit, n);
	ul_free(hit);
	return v;
}

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_by_row(q, UL_WANT_ARGMAX, row_value, out);
}

const ul_audit_def ul_audit_exact_memorization = {
        .name = "exact_memorization",
        .title = "Tokens reproduced",
        .paper = "Tirumala et al. 2022",
        .notes = "Known: share of counted tokens whose argmax is right, teacher-forced; the closing token is left out (compat: the last label, whatever it is). Its floor is the template, so only differences mean anything.",
        .kind = UL_K_FORGET,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = +1,
        .margin = 0.05,
        .rate = true,
        .level = UL_QUICK,
        .items = items,
};
