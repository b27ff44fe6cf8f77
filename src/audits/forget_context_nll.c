/*
 * forget_context_nll.c: negative log-likelihood of the sentences around personal data: selective forgetting leaves them alone.
 */
#include "audits/audit.h"

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_entity(q, false, false, out);
}

const ul_audit_def ul_audit_forget_context_nll = {
        .name = "forget_context_nll",
        .title = "Surprise at the text around personal data",
        .paper = "Zhou et al. 2026, DFSU (PSCU)",
        .notes = "Reconstructed: labelled tokens that overlap no span, mean per row; compared with the model before.",
        .kind = UL_K_INFO,
        .split = UL_S_FORGET,
        .against = UL_VS_BEFORE,
        .sign = -1,
        .margin = 0.1,
        .level = UL_QUICK,
        .items = items,
};
