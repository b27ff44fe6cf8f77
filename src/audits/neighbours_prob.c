/*
 * neighbours_prob.c: whether what is like the forgotten, but was not to be forgotten, survived: collateral damage.
 */
#include "audits/audit.h"

const ul_audit_def ul_audit_neighbours_prob = {
        .name = "neighbours_prob",
        .title = "Probability of neighbouring data",
        .paper = "Jin et al. 2024, RWKU; Jeung et al. 2025, DUSK",
        .notes = "Reconstructed as the probability of rows given as neighbours, against the oracle where there is one, else against the model before.",
        .kind = UL_K_UTILITY,
        .split = UL_S_NEIGHBOURS,
        .against = UL_VS_BEFORE,
        .sign = +1,
        .margin = 0.05,
        .required = true,
        .level = UL_QUICK,
        .items = ul_items_prob,
};
