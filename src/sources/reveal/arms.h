/*
 * arms.h: soft prompts to choose from, and how a model sees each of them.
 */
#ifndef UL_ARMS_H
#define UL_ARMS_H

#include "model/model.h"

typedef struct ul_arms {
	int n, dims, rows, width; /* arms; of the cube; soft rows of an arm; hidden size */
	double *z; /* [n, dims] points of the unit cube */
	float *a; /* [rows · width, dims] */
	double *x; /* [n, width] last hidden state behind the soft rows and the prompt */
	ul_arena arena;
} ul_arms;

/* n, dims and rows are set by the caller; scale: length of a soft row in those of an average embedding. */
bool ul_arms_make(ul_arms *s, ul_model *m, const ul_ids *prompt, double scale, uint64_t seed, ul_err *err);
void ul_arms_soft(const ul_arms *s, int arm, float *out); /* [rows, width] */
void ul_arms_release(ul_arms *s);

#endif
