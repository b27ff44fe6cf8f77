/*
 * holdout_nll.c: mean negative log-likelihood on rows of the same kind that were never trained on: what not knowing looks like.
 */
#include "audits/audit.h"

const ul_audit_def ul_audit_holdout_nll = {
        .name = "holdout_nll",
        .title = "Surprise at never-seen data",
        .paper = "Shi et al. 2024, MUSE",
        .notes = "Known. Information: the level that forgetting should reach.",
        .kind = UL_K_INFO,
        .split = UL_S_HOLDOUT,
        .against = UL_VS_BEFORE,
        .sign = -1,
        .margin = 0.1,
        .level = UL_QUICK,
        .items = ul_items_nll,
};
