/*
 * relax.h: the input of a model from its output, without an inverter: gradient descent over inputs that are mixtures of tokens (SODA,
 * arXiv 2507.01693: relaxed one-hot inputs, Adam, decay, periodic restarts).
 */
#ifndef UL_RELAX_H
#define UL_RELAX_H

#include "model/model.h"

typedef struct ul_relax_config {
	int64_t steps, restart, check; /* in all; between new beginnings; between looks at the nearest tokens */
	double lr, beta1, beta2, decay, temperature; /* decay: share of the parameters that is lost a step; temperature of the mixtures */
	uint64_t seed;
} ul_relax_config;

/* `length` tokens (behind what the tokenizer puts in front) whose next-token distribution is nearest to that of a hidden row of the
 * model; ids [length], kl = KL(P ‖ theirs). Tokens that are no text are left out. */
bool ul_relax(ul_model *m, const float *hidden, int length, const ul_relax_config *c, int *ids, double *kl, ul_err *err);

#endif
