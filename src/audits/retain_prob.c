/*
 * retain_prob.c: how much of what should stay is still there: the first utility gate.
 */
#include "audits/audit.h"

const ul_audit_def ul_audit_retain_prob = {
        .name = "retain_prob",
        .title = "Probability of the retained data",
        .paper = "Maini et al. 2024, TOFU",
        .notes = "Known. Gate: at least 0.95 of the model before, or within 0.03 of the oracle.",
        .kind = UL_K_UTILITY,
        .split = UL_S_RETAIN,
        .against = UL_VS_BEFORE,
        .sign = +1,
        .margin = 0.05,
        .relative = true,
        .second = 0.03,
        .gate = true,
        .level = UL_QUICK,
        .items = ul_items_prob,
};
