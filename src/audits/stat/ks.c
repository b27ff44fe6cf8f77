/*
 * ks.c: Kolmogorov-Smirnov for two samples. The exact p-value counts lattice paths that leave the band |i/na - j/nb| < D
 * (Hodges 1958); the recursion below adds only positive terms, so that it stays exact down to p = 1e-4900 in extended precision,
 * where 1 - P(inside) would have nothing left below 1e-16.
 */
#include "audits/stat/stat.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT_MOST = 10000 };

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

void ul_sort(double *x, int n)
{
	qsort(x, (size_t)n, sizeof *x, by_value);
}

static int64_t gcd(int64_t a, int64_t b)
{
	while (b) {
		int64_t t = a % b;
		a = b;
		b = t;
	}
	return a;
}

/* max |i·(nb/g) - j·(na/g)| over the jumps of both sorted samples: D · lcm, an integer. */
static int64_t scaled_distance(const double *a, int na, const double *b, int nb)
{
	int64_t g = gcd(na, nb), wa = nb / g, wb = na / g, most = 0;
	for (int i = 0, j = 0; i < na && j < nb;) {
		double x = a[i] < b[j] ? a[i] : b[j];
		while (i < na && a[i] == x)
			i++;
		while (j < nb && b[j] == x)
			j++;
		int64_t d = llabs(i * wa - j * wb);
		if (d > most)
			most = d;
	}
	return most;
}

/* u[j]: probability that a random path to (i, j) has touched the outside of the band by then. */
static long double outside(int na, int nb, int64_t h, long double *u)
{
	int64_t g = gcd(na, nb), wa = nb / g, wb = na / g;
	for (int i = 0; i <= na; i++) {
		for (int j = 0; j <= nb; j++) {
			if (llabs(i * wa - j * wb) >= h)
				u[j] = 1;
			else if (i == 0)
				u[j] = j ? u[j - 1] : 0;
			else if (j > 0)
				u[j] = (u[j] * i + u[j - 1] * j) / (i + j);
		}
	}
	return u[nb];
}

/* Equal sizes: 2 Σ (-1)^(k-1) C(2n, n - kh) / C(2n, n), each ratio as a product. */
static long double outside_equal(int n, int64_t h)
{
	long double p = 0;
	for (int64_t k = 1; k * h <= n; k++) {
		long double ratio = 1;
		for (int64_t i = 1; i <= k * h; i++)
			ratio *= (long double)(n - k * h + i) / (n + i);
		p += k % 2 ? ratio : -ratio;
		if (ratio < p * LDBL_EPSILON)
			break;
	}
	return 2 * p;
}

static double limit_p(double d, int na, int nb)
{
	double ne = sqrt((double)na * nb / ((double)na + nb)), x = (ne + 0.12 + 0.11 / ne) * d, p = 0;
	for (int k = 1; k <= 100; k++) {
		double term = exp(-2.0 * k * k * x * x);
		p += k % 2 ? term : -term;
		if (term < 1e-17 * p)
			break;
	}
	return x < 0.2 ? 1 : fmin(1, 2 * p);
}

static double middle(const double *sorted, int n)
{
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

bool ul_ks_two_sample(const double *a, int na, const double *b, int nb, ul_ks *out, ul_err *err)
{
	if (na < 1 || nb < 1)
		return ul_fail(err, "a Kolmogorov-Smirnov test needs two samples, got %d and %d values", na, nb);
	size_t bytes = ((size_t)na + (size_t)nb) * sizeof(double) + ((size_t)nb + 1) * sizeof(long double);
	long double *u = ul_malloc(bytes);
	if (!u)
		return ul_nomem(err, bytes);
	double *x = (double *)(u + nb + 1), *y = x + na;
	memcpy(x, a, (size_t)na * sizeof *a);
	memcpy(y, b, (size_t)nb * sizeof *b);
	ul_sort(x, na);
	ul_sort(y, nb);
	int64_t g = gcd(na, nb), h = scaled_distance(x, na, y, nb);
	*out = (ul_ks){.d = (double)h / ((double)na * (double)(nb / g)), .shift = middle(x, na) - middle(y, nb), .exact = na <= EXACT_MOST && nb <= EXACT_MOST};
	long double p = 1;
	if (h > 0)
		p = !out->exact ? limit_p(out->d, na, nb) : na == nb ? outside_equal(na, h)
		                                                     : outside(na, nb, h, u);
	out->p = (double)fminl(1, p);
	out->log10_p = (double)log10l(fminl(1, p));
	ul_free(u);
	return true;
}

double ul_ks_distance(const double *a, int na, const double *b, int nb, ul_arena *scratch)
{
	double *x = ul_alloc_raw(scratch, (size_t)(na > 0 ? na : 1) * sizeof *x), *y = ul_alloc_raw(scratch, (size_t)(nb > 0 ? nb : 1) * sizeof *y);
	if (!x || !y || na < 1 || nb < 1)
		return NAN;
	memcpy(x, a, (size_t)na * sizeof *a);
	memcpy(y, b, (size_t)nb * sizeof *b);
	ul_sort(x, na);
	ul_sort(y, nb);
	return (double)scaled_distance(x, na, y, nb) / ((double)na * (double)(nb / gcd(na, nb)));
}

double ul_ks_critical(int na, int nb, double alpha)
{
	return sqrt(-0.5 * log(alpha / 2)) * sqrt(((double)na + nb) / ((double)na * nb));
}
