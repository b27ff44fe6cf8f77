/*
 * memory.c: what one teacher-forced pass says about verbatim memory. Exact memorisation (Tirumala et al. 2022): the share of
 * tokens that greedy decoding would get right. Extraction strength (Carlini et al. 2021): how small a prefix suffices to decode
 * the rest; the pass is exact for it, since greedy decoding that matches so far sees the same context.
 */
#include "audits/match/match.h"

#include <math.h>

double ul_exact_memorization(const unsigned char *hit, int n)
{
	int hits = 0;
	for (int t = 0; t < n; t++)
		hits += hit[t] != 0;
	return n > 0 ? (double)hits / n : NAN;
}

/* open-unlearning stops its search at the last token, so that its floor is 1/n instead of 0: `floor_1_m`. */
double ul_extraction_strength(const unsigned char *hit, int n, bool floor_1_m)
{
	if (n <= 0)
		return floor_1_m ? 0 : NAN;
	int k = n;
	while (k > 0 && hit[k - 1])
		k--;
	if (floor_1_m && k == n)
		k = n - 1;
	return 1 - (double)k / n;
}
