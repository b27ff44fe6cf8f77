/*
 * vendi.h: how many different things a set of texts says, and what a set is worth that must also be to the point.
 */
#ifndef UL_VENDI_H
#define UL_VENDI_H

#include "base/base.h"

/* The effective number of different rows of x [n, width], 1 … n; similarity is the cosine. */
bool ul_vendi(const double *x, int n, int width, double *out, ul_err *err);
double ul_vendi_share(double vendi, int n); /* from 0, all alike, to 1, none alike */
/* (w_R + w_D) / (w_R / R + w_D / D); 0 where R or D is. */
double ul_harmonic(double r, double wr, double d, double wd);

#endif
