/*
 * forget_nll.c: how surprised the model is by what it should have forgotten: mean negative log-likelihood per labelled token.
 */
#include "audits/audit.h"

const ul_audit_def ul_audit_forget_nll = {
        .name = "forget_nll",
        .title = "Surprise at the forget data",
        .paper = "Maini et al. 2024, TOFU",
        .notes = "Known: mean over items of -log p per labelled token, a closing token that a chat template writes is counted, a bare end token only with --compat. Margin 0.1 nats.",
        .kind = UL_K_FORGET,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = -1,
        .margin = 0.1,
        .level = UL_QUICK,
        .items = ul_items_nll,
};
