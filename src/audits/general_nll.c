/*
 * general_nll.c: the second utility gate: negative log-likelihood per token of general text that has nothing to do with the request.
 */
#include "audits/audit.h"

const ul_audit_def ul_audit_general_nll = {
        .name = "general_nll",
        .title = "Surprise at general text",
        .paper = "Merity et al. 2017, WikiText (held-out loss)",
        .notes = "Known: nats per token, mean over texts. Gate: at most 0.05 nats worse than before.",
        .kind = UL_K_UTILITY,
        .split = UL_S_GENERAL,
        .against = UL_VS_BEFORE,
        .sign = -1,
        .margin = 0.05,
        .gate = true,
        .level = UL_QUICK,
        .items = ul_items_nll,
};
