/*
 * retain_nll.c: mean negative log-likelihood per labelled token on what should stay.
 */
#include "audits/audit.h"

const ul_audit_def ul_audit_retain_nll = {
        .name = "retain_nll",
        .title = "Surprise at the retained data",
        .paper = "Maini et al. 2024, TOFU",
        .notes = "Known. Compared with the model before; not a gate, since retain_prob is.",
        .kind = UL_K_UTILITY,
        .split = UL_S_RETAIN,
        .against = UL_VS_BEFORE,
        .sign = -1,
        .margin = 0.1,
        .level = UL_QUICK,
        .items = ul_items_nll,
};
