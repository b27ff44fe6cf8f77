/*
 * s_exp.c: sample-level exposure: some candidate gives away some piece of personal data of the record.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_pii(q, UL_PII_ANY, out);
}

const ul_audit_def ul_audit_s_exp = {
        .name = "s_exp",
        .title = "Records of which something is given away (S-Exp)",
        .paper = "Zhou et al. 2026, DFSU",
        .notes = "Reconstructed: share of rows with at least one entity in at least one candidate; the candidates are those of e_hit.",
        .kind = UL_K_PRIVACY,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = +1,
        .margin = 0.02,
        .rate = true,
        .level = UL_QUICK,
        .items = items,
};
