/*
 * forget_prob.c: how probable the model finds the forgotten answers: exp(-mean NLL), length-normalised.
 */
#include "audits/audit.h"

const ul_audit_def ul_audit_forget_prob = {
        .name = "forget_prob",
        .title = "Probability of the forget data",
        .paper = "Maini et al. 2024, TOFU",
        .notes = "Known: as in TOFU, P(a|q)^(1/|a|) the bare end token counted only with --compat.",
        .kind = UL_K_FORGET,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = +1,
        .margin = 0.05,
        .level = UL_QUICK,
        .items = ul_items_prob,
};
