/*
 * lora_stack.h: arithmetic with adapters that hang on a model one above the other; the weights below them are never touched.
 */
#ifndef UL_LORA_STACK_H
#define UL_LORA_STACK_H

#include "model/lora.h"

/* ΔW of the adapter times `by`: B alone is scaled, since turning both factors changes nothing. */
bool ul_lora_scale(ul_adapter *ad, double by, ul_err *err);
/* The `n` adapters attached last become one, whose update is their sum and whose ranks add up. */
bool ul_lora_fold(ul_model *m, int n, ul_err *err);
/* The best approximation of the adapter attached last by one of `rank` (Eckart and Young 1936); *kept: the least share of any
 * module's squared update that is still there. */
bool ul_lora_truncate(ul_model *m, int rank, double *kept, ul_err *err);
int ul_lora_depth(const ul_model *m); /* adapters on the model */

/* The two adapters attached last, f on top of r, become r - λ (f - what f shares with r), row by row of the update (Ext-Sub, Hu et
 * al. 2024, arXiv 2308.08090): c = normalise(r̂ + f̂), shared = ⟨f, c⟩ c. Both must adapt the same modules. */
bool ul_lora_ext_sub(ul_model *m, double lambda, ul_err *err);
/* Cosine of the updates of the two adapters attached last, over all modules; and the mean over modules of ‖A Aᵀ'‖ / ‖A‖‖A'‖, the share of
 * their input directions that they have in common. */
bool ul_lora_interference(const ul_model *m, double *cosine, double *overlap, ul_err *err);

#endif
