/*
 * canary.h: the space a canary was drawn from, and how probable a model finds each member of it.
 */
#ifndef UL_CANARY_H
#define UL_CANARY_H

#include "audits/audit.h"

/* Members of the space as token paths: what differs between them, without the text all of them share. */
typedef struct ul_canary {
	int n; /* members; member 0 is the true one */
	bool whole; /* all of the space, else a uniform sample of it */
	double bits; /* log2 of its size */
	int *given, given_n; /* tokens that all of them share, in front */
	int **path; /* [n] */
	int *len; /* [n] */
} ul_canary;

/* Reads {"canary": {"slots": "dddd", …}} of a row: d a digit, a a small letter, A a capital one, anything else itself. The code is
 * the first piece of its text or response that fits. NULL without err: the row is no canary. */
const ul_canary *ul_canary_of(ul_exam *e, enum ul_split s, int row, ul_err *err);
/* -log p of each member's path, by a walk over the tree of their prefixes: each is read once. */
bool ul_canary_nll(ul_model *m, const ul_canary *c, double *nll, ul_err *err);
/* log2 |R| - log2 rank of the true one. */
double ul_canary_exposure(const ul_canary *c, const double *nll);

#endif
