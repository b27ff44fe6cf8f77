/*
 * forget_entity_nll.c: negative log-likelihood of the tokens of personal data alone, without the sentences around them.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_entity(q, true, false, out);
}

const ul_audit_def ul_audit_forget_entity_nll = {
        .name = "forget_entity_nll",
        .title = "Surprise at personal data to be forgotten",
        .paper = "Zhou et al. 2026, DFSU (PSCU)",
        .notes = "Reconstructed: tokens that overlap a span, mean per row.",
        .kind = UL_K_FORGET,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = -1,
        .margin = 0.2,
        .level = UL_QUICK,
        .items = items,
};
