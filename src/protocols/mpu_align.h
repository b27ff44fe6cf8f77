/*
 * mpu_align.h: what an attacker can do with published copies: find the transform between two models from their weights alone.
 */
#ifndef UL_MPU_ALIGN_H
#define UL_MPU_ALIGN_H

#include "protocols/mpu.h"

/* The transform that makes `from` look most like `to`, as a plan over `from`: another copy, or a public base. `mode` is what was
 * published, which shows; `exact`: angles are quarter turns. Weights only, no key. */
bool ul_mpu_align(ul_mpu_plan *plan, const ul_model *from, const ul_model *to, enum ul_reparam mode, bool exact, ul_err *err);

/* How much of the secret an estimate holds. All over the tensors that carry noise, in true coordinates. */
typedef struct ul_mpu_found {
	double residual; /* ‖estimate - θ‖ / ‖one copy's noise‖: 1 is no better than a copy, 0 is everything */
	double cosine; /* of estimate and θ; of what was learnt beyond the base where there is one */
	double exact; /* share of the numbers that are right to a part in ten thousand of the tensor's root mean square */
} ul_mpu_found;
/* 1/α-weighted mean of the copies, each turned by plan[k] back (NULL: as it is). out: a model of the copies' shapes, overwritten. */
bool ul_mpu_mean(ul_model *const *copy, const ul_mpu_plan *const *plan, int n, ul_model *out, ul_err *err);
/* `turned`: the transform the estimate still stands in, known to the judge only, or NULL. */
bool ul_mpu_judge(const ul_mpu *m, const ul_model *estimate, const ul_mpu_plan *turned, ul_mpu_found *out, ul_err *err);

/* mpu_invert.c: the client's rows from its update, as a tree of prefixes. */
typedef struct ul_mpu_rows {
	int *parent, *token; /* [n]; node 0 is the empty prefix */
	int n;
	int rank, full; /* of the update that was looked at; nothing is looked for where it is full */
} ul_mpu_rows;
/* delta [hidden, ffn]: how the first block's down projection of `copy` changed, in the copy's own coordinates. */
bool ul_mpu_invert(ul_model *copy, const float *delta, ul_mpu_rows *out, ul_err *err);
int ul_mpu_rows_reach(const ul_mpu_rows *r, const int *ids, int n); /* how many of these tokens, from the first on, were found */
void ul_mpu_rows_release(ul_mpu_rows *r);

#endif
