/*
 * stat.h: the statistics audits are judged with: exact tests, intervals for rates, paired cluster bootstrap, and the rule that
 * turns an interval and a margin into a verdict.
 */
#ifndef UL_STAT_H
#define UL_STAT_H

#include "base/base.h"

/* ---- two samples ---- */

typedef struct ul_ks {
	double d; /* sup |F_a - F_b| */
	double p; /* two-sided; 0 when below the range of double */
	double log10_p; /* also where p underflows */
	double shift; /* median(a) - median(b) */
	bool exact;
} ul_ks;
/* Exact for samples up to 10 000 each, else Kolmogorov's limit with Stephens' factor. False only when out of memory. */
bool ul_ks_two_sample(const double *a, int na, const double *b, int nb, ul_ks *out, ul_err *err);
double ul_ks_distance(const double *a, int na, const double *b, int nb, ul_arena *scratch);
double ul_ks_critical(int na, int nb, double alpha); /* asymptotic D with p = alpha */

/* P(score of a member > score of a non-member) + ½ P(tie): exact Mann-Whitney. label 1 = member. NaN when a class is empty. */
double ul_auc(const double *score, const double *label, int n, ul_arena *scratch);
/* Share of members above the threshold that lets at most `fpr` of the non-members pass; NaN ("n too small") when there are
 * fewer than 10 / fpr non-members. */
double ul_tpr_at_fpr(const double *score, const double *label, int n, double fpr, ul_arena *scratch);
double ul_auc_se(double auc, int members, int others); /* Hanley & McNeil 1982 */

double ul_average(const double *x, int n);
double ul_median(const double *x, int n, ul_arena *scratch);
double ul_quantile(const double *sorted, int n, double q); /* linear interpolation */
void ul_sort(double *x, int n);

/* ---- rates ---- */

void ul_wilson(int hits, int n, double z, double *lo, double *hi);
/* Of a rate over items that come in clusters: Wilson's for as many independent items as have the standard error `se` (of a bootstrap
 * over clusters); where all items are alike, the rule of three over clusters. */
typedef struct ul_rate {
	int hits, n, clusters;
	double se;
} ul_rate;
void ul_rate_interval(const ul_rate *r, double *lo, double *hi);
double ul_zero_hits_bound(int n, double alpha); /* upper bound of a rate that gave 0 hits in n: 1 - alpha^(1/n), about 3/n */

/* ---- one value per item, with its cluster ---- */

typedef struct ul_sample {
	int n;
	const double *value; /* [n] */
	const double *label; /* [n] or NULL */
	const int *cluster; /* [n] ids of subjects: resampled together */
	const int *stratum; /* [n] or NULL: clusters are resampled within their stratum (member and non-member sets apart) */
} ul_sample;

/* The metric of one resample; `b` is the reference, or NULL. Scratch is reset between resamples. */
typedef double (*ul_stat_fn)(void *ud, const ul_sample *a, const ul_sample *b, ul_arena *scratch);

typedef struct ul_boot {
	const ul_sample *a, *b; /* b may be NULL */
	bool paired; /* a and b are the same items: one draw of subjects serves both */
	ul_stat_fn stat;
	void *ud;
	int reps;
	uint64_t seed;
	const char *line, *purpose; /* address of the random stream: adding a line never moves another's numbers */
} ul_boot;

typedef struct ul_interval {
	double estimate, lo, hi, se;
	int clusters; /* of a, or the smaller of both when unpaired */
} ul_interval;
/* Percentile interval at 95 %. With fewer than 2 clusters in a stratum lo and hi are -∞ and +∞: nothing is known. */
bool ul_bootstrap(const ul_boot *b, ul_interval *out, ul_err *err);

/* p of the hypothesis that two models are exchangeable within each subject: `rounds` random swaps per subject of a and b (the
 * same items, in order). */
bool ul_permutation_p(const ul_boot *b, int rounds, double *p, ul_err *err);

/* ---- verdicts ---- */

enum ul_verdict { UL_PASS,
	UL_INCONCLUSIVE,
	UL_UNVERIFIED,
	UL_OVER,
	UL_UNDER,
	UL_COLLAPSED };
const char *ul_verdict_name(enum ul_verdict v);

typedef struct ul_margin {
	double under, over; /* allowed above and below the reference, both positive; over may be infinite (one-sided) */
} ul_margin;
/* Two one-sided tests at 5 % by the interval of d = value - reference (positive: leaks more). An interval wider than the margin
 * never passes. */
enum ul_verdict ul_decide(const ul_interval *d, ul_margin m);
/* Items that would decide, from n items with this interval; 0 when no number would (d lies on the margin) or it is decided. */
int64_t ul_items_needed(const ul_interval *d, ul_margin m, int n);
/* Two-sided p of "d lies within the margin", from the interval's normal width: what Holm's step-down works on. */
double ul_claim_p(const ul_interval *d, ul_margin m);
/* Items after which a claim with this p (of n items) would survive a correction that multiplies p by `times`. */
int64_t ul_claim_needed(double p, double times, int n);
/* Holm 1979: adjusted p-values in place. */
bool ul_holm(double *p, int n, ul_err *err);

/* ---- skew-normal tail, for exposure ---- */

typedef struct ul_skew {
	double at, scale, alpha;
} ul_skew;
ul_skew ul_skew_fit(const double *x, int n); /* by moments */
double ul_skew_log_cdf(const ul_skew *s, double x); /* natural log of P(X <= x), deep into the tail */

#endif
