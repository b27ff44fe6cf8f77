/*
 * vendi.c: the Vendi score (Friedman and Dieng 2023, arXiv 2210.02410):
 *
 *     K_ij = cos(x_i, x_j)    λ eigenvalues of K / n    VS = exp(-Σ λ log λ)
 *
 * and the weighted harmonic mean of relevance and diversity by which Reveal and Release judges an instruction (arXiv 2509.14624).
 */
#include "sources/reveal/vendi.h"

#include <lapacke.h>
#include <math.h>

static double dot(const double *x, const double *y, int n)
{
	double s = 0;
	for (int i = 0; i < n; i++)
		s += x[i] * y[i];
	return s;
}

bool ul_vendi(const double *x, int n, int width, double *out, ul_err *err)
{
	size_t side = (size_t)n;
	double *k = ul_calloc(side * side + side, sizeof *k), *lambda = k ? k + side * side : NULL, entropy = 0;
	if (!k)
		return ul_nomem(err, (side + 1) * side * sizeof *k);
	for (int i = 0; i < n; i++) /* lambda keeps the norms until the eigenvalues come */
		lambda[i] = sqrt(dot(x + (size_t)i * (size_t)width, x + (size_t)i * (size_t)width, width));
	for (int i = 0; i < n; i++)
		for (int j = 0; j <= i; j++) {
			double norms = lambda[i] * lambda[j];
			k[(size_t)i * side + (size_t)j] = (i == j ? 1 : norms > 0 ? dot(x + (size_t)i * (size_t)width, x + (size_t)j * (size_t)width, width) / norms
			                                                          : 0) /
			                                  n;
		}
	int bad = LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'L', n, k, n, lambda);
	for (int i = 0; i < n; i++)
		entropy -= lambda[i] > 1e-15 ? lambda[i] * log(lambda[i]) : 0;
	ul_free(k);
	if (bad)
		return ul_fail(err, "the eigenvalues of %d texts' similarities were not found (LAPACK says %d): are there numbers among the features that are none?", n, bad);
	*out = exp(entropy);
	return true;
}

double ul_vendi_share(double vendi, int n)
{
	double d = n > 1 ? (vendi - 1) / (n - 1) : 0;
	return d < 0 ? 0 : d > 1 ? 1
	                         : d;
}

double ul_harmonic(double r, double wr, double d, double wd)
{
	return r > 0 && d > 0 ? (wr + wd) / (wr / r + wd / d) : 0;
}
