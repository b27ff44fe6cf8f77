/*
 * decide.c: from an interval and a margin to a verdict. Equivalence is shown, never assumed: two one-sided tests (Schuirmann 1987)
 * by the interval rule. Claims of a difference over many lines are corrected by Holm (1979).
 */
#include "audits/stat/stat.h"

#include <math.h>
#include <stdlib.h>

const char *ul_verdict_name(enum ul_verdict v)
{
	static const char *const name[] = {"PASS", "INCONCLUSIVE", "UNVERIFIED", "OVER", "UNDER", "COLLAPSED"};
	return name[v];
}

enum ul_verdict ul_decide(const ul_interval *d, ul_margin m)
{
	if (!(isfinite(d->lo) && isfinite(d->hi)))
		return UL_INCONCLUSIVE;
	if (d->lo > m.under)
		return UL_UNDER;
	if (d->hi < -m.over)
		return UL_OVER;
	if (d->lo >= -m.over && d->hi <= m.under)
		return UL_PASS;
	return UL_INCONCLUSIVE;
}

int64_t ul_items_needed(const ul_interval *d, ul_margin m, int n)
{
	enum ul_verdict v = ul_decide(d, m);
	if (v != UL_INCONCLUSIVE || !isfinite(d->lo) || !isfinite(d->hi) || n < 1)
		return 0;
	/* The half-width on the side that straddles, against the distance of the estimate to that margin; it shrinks as 1/√n. */
	double up = (d->hi - d->estimate) / fabs(m.under - d->estimate), down = (d->estimate - d->lo) / fabs(d->estimate + m.over);
	double worst = fmax(d->hi > m.under ? up : 0, d->lo < -m.over ? down : 0);
	if (d->estimate > m.under) /* it will be UNDER: the lower end must pass the margin */
		worst = (d->estimate - d->lo) / (d->estimate - m.under);
	else if (d->estimate < -m.over)
		worst = (d->hi - d->estimate) / (-m.over - d->estimate);
	double need = ceil(n * worst * worst);
	return isfinite(need) && need > n && need < 1e12 ? (int64_t)need : 0;
}

double ul_claim_p(const ul_interval *d, ul_margin m)
{
	double half = (d->hi - d->lo) / 2, beyond = fmax(d->estimate - m.under, -m.over - d->estimate);
	if (!isfinite(half))
		return 1;
	if (half <= 0)
		return beyond > 0 ? 0 : 1;
	return fmin(1, erfc(beyond * 1.959964 / half / sqrt(2)));
}

/* z with two-sided p, by halving. */
static double two_sided_z(double p)
{
	double lo = 0, hi = 40;
	for (int i = 0; i < 80; i++) {
		double z = (lo + hi) / 2;
		*(erfc(z / sqrt(2)) > p ? &lo : &hi) = z;
	}
	return lo;
}

int64_t ul_claim_needed(double p, double times, int n)
{
	double have = two_sided_z(p), want = two_sided_z(0.05 / fmax(times, 1));
	if (have < 1e-6)
		return 0;
	return (int64_t)ceil(n * fmax(1, want * want / (have * have)));
}

typedef struct ranked {
	double p;
	int at;
} ranked;

static int by_p(const void *a, const void *b)
{
	double x = ((const ranked *)a)->p, y = ((const ranked *)b)->p;
	return (x > y) - (x < y);
}

bool ul_holm(double *p, int n, ul_err *err)
{
	ranked *r = ul_malloc((size_t)(n + 1) * sizeof *r);
	if (!r)
		return ul_nomem(err, (size_t)(n + 1) * sizeof *r);
	for (int i = 0; i < n; i++)
		r[i] = (ranked){p[i], i};
	qsort(r, (size_t)n, sizeof *r, by_p);
	double most = 0;
	for (int i = 0; i < n; i++) {
		most = fmax(most, fmin(1, r[i].p * (n - i)));
		p[r[i].at] = most;
	}
	ul_free(r);
	return true;
}
