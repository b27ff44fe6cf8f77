/*
 * rate.c: means, medians, quantiles, and intervals for rates: Wilson's (1927), and for zero hits the "rule of three".
 */
#include "audits/stat/stat.h"

#include <math.h>
#include <string.h>

double ul_average(const double *x, int n)
{
	double sum = 0;
	for (int i = 0; i < n; i++)
		sum += x[i];
	return n > 0 ? sum / n : NAN;
}

double ul_quantile(const double *sorted, int n, double q)
{
	if (n < 1)
		return NAN;
	double at = q * (n - 1);
	int i = (int)at;
	if (i >= n - 1)
		return sorted[n - 1];
	return sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]);
}

double ul_median(const double *x, int n, ul_arena *scratch)
{
	double *s = ul_alloc_raw(scratch, (size_t)(n > 0 ? n : 1) * sizeof *s);
	if (!s || n < 1)
		return NAN;
	memcpy(s, x, (size_t)n * sizeof *s);
	ul_sort(s, n);
	return ul_quantile(s, n, 0.5);
}

void ul_wilson(int hits, int n, double z, double *lo, double *hi)
{
	if (n < 1) {
		*lo = 0;
		*hi = 1;
		return;
	}
	double p = (double)hits / n, z2 = z * z / n;
	double mid = (p + z2 / 2) / (1 + z2), half = z / (1 + z2) * sqrt(p * (1 - p) / n + z2 / (4.0 * n));
	*lo = hits == 0 ? 0 : fmax(0, mid - half);
	*hi = hits == n ? 1 : fmin(1, mid + half);
}

void ul_rate_interval(const ul_rate *r, double *lo, double *hi)
{
	double p = (double)r->hits / r->n, alike = ul_zero_hits_bound(r->clusters, 0.05);
	if (r->hits == 0 || r->hits == r->n) {
		*lo = r->hits == 0 ? 0 : 1 - alike;
		*hi = r->hits == 0 ? alike : 1;
		return;
	}
	double worth = r->se > 0 ? fmin(r->n, fmax(1, p * (1 - p) / (r->se * r->se))) : r->clusters;
	double z2 = 1.959964 * 1.959964 / worth, mid = (p + z2 / 2) / (1 + z2), half = sqrt(z2 * (p * (1 - p) + z2 / 4)) / (1 + z2);
	*lo = fmax(0, mid - half);
	*hi = fmin(1, mid + half);
}

double ul_zero_hits_bound(int n, double alpha)
{
	return n > 0 ? 1 - pow(alpha, 1.0 / n) : 1;
}
