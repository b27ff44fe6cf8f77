/*
 * likeness.h: how much of a text a reconstruction of it gives back: F1 over words, BLEU-4 (Papineni et al. 2002), exactness. Words are
 * runs of letters and digits; every other mark is a word of its own.
 */
#ifndef UL_LIKENESS_H
#define UL_LIKENESS_H

#include "base/base.h"

typedef struct ul_likeness { /* sums over texts; zeroed = none yet */
	int n, exact;
	double f1;
	int64_t match[4], possible[4]; /* n-grams of the reconstructions: found in the texts, all */
	int64_t words, written; /* words of the texts, of the reconstructions */
} ul_likeness;

bool ul_likeness_add(ul_likeness *l, const char *text, const char *written, ul_err *err);
double ul_likeness_f1(const ul_likeness *l); /* mean over texts */
double ul_likeness_bleu(const ul_likeness *l); /* of the corpus, 0 to 1 */
double ul_likeness_exact(const ul_likeness *l);

#endif
