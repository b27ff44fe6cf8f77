/*
 * sobol.h: points that fill the unit cube evenly.
 */
#ifndef UL_SOBOL_H
#define UL_SOBOL_H

#include "base/base.h"

enum { UL_SOBOL_MOST = 21 }; /* dimensions */

/* Points 0 … n-1 of the sequence in [0,1)^dims; `scramble`: a random one with the same evenness, drawn from seed. out: [n, dims] */
void ul_sobol(int n, int dims, bool scramble, uint64_t seed, double *out);

#endif
