/*
 * auc.c: how well a score tells members from non-members: exact Mann-Whitney with ties, the share found at a small false positive
 * rate, and Hanley & McNeil's (1982) standard error as a cross-check of the bootstrap.
 */
#include "audits/stat/stat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct scored {
	double score, label;
} scored;

static int by_score(const void *a, const void *b)
{
	double x = ((const scored *)a)->score, y = ((const scored *)b)->score;
	return (x > y) - (x < y);
}

static scored *ranked(const double *score, const double *label, int n, ul_arena *scratch)
{
	scored *s = ul_alloc_raw(scratch, (size_t)(n > 0 ? n : 1) * sizeof *s);
	for (int i = 0; s && i < n; i++)
		s[i] = (scored){score[i], label[i]};
	if (s)
		qsort(s, (size_t)n, sizeof *s, by_score);
	return s;
}

double ul_auc(const double *score, const double *label, int n, ul_arena *scratch)
{
	scored *s = ranked(score, label, n, scratch);
	if (!s)
		return NAN;
	double below = 0, members = 0, wins = 0; /* non-members seen; halves are exact in double */
	for (int i = 0, j; i < n; i = j) {
		double in = 0, out = 0;
		for (j = i; j < n && s[j].score == s[i].score; j++) {
			in += s[j].label > 0.5;
			out += s[j].label <= 0.5;
		}
		wins += in * (below + out / 2);
		below += out;
		members += in;
	}
	return members > 0 && below > 0 ? wins / (members * below) : NAN;
}

double ul_tpr_at_fpr(const double *score, const double *label, int n, double fpr, ul_arena *scratch)
{
	scored *s = ranked(score, label, n, scratch);
	int others = 0, members = 0, passed = 0, found = 0, best = 0;
	for (int i = 0; s && i < n; i++) {
		others += s[i].label <= 0.5;
		members += s[i].label > 0.5;
	}
	if (!s || members == 0 || others < 10 / fpr - 1e-9)
		return NAN;
	for (int i = n - 1, j; i >= 0; i = j) {
		for (j = i; j >= 0 && s[j].score == s[i].score; j--) {
			passed += s[j].label <= 0.5;
			found += s[j].label > 0.5;
		}
		if (passed > fpr * others + 1e-9)
			break;
		best = found;
	}
	return (double)best / members;
}

double ul_auc_se(double auc, int members, int others)
{
	double q1 = auc / (2 - auc), q2 = 2 * auc * auc / (1 + auc);
	double v = auc * (1 - auc) + (members - 1) * (q1 - auc * auc) + (others - 1) * (q2 - auc * auc);
	return sqrt(v / ((double)members * others));
}
