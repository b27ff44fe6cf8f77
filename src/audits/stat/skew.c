/*
 * skew.c: the skew-normal distribution (Azzalini 1985), which Carlini et al. (2019) fit to the losses of canaries that were never
 * inserted, to read off how improbable the inserted one's loss is.
 */
#include "audits/stat/stat.h"

#include <math.h>

ul_skew ul_skew_fit(const double *x, int n)
{
	double mean = ul_average(x, n), m2 = 0, m3 = 0;
	for (int i = 0; i < n; i++) {
		double d = x[i] - mean;
		m2 += d * d / n;
		m3 += d * d * d / n;
	}
	double sd = sqrt(m2), g = m2 > 0 ? m3 / (m2 * sd) : 0;
	g = fmax(-0.99, fmin(0.99, g)); /* beyond 0.995 no skew-normal has such moments */
	double t = pow(fabs(g), 2.0 / 3), c = pow((4 - M_PI) / 2, 2.0 / 3);
	double delta = copysign(sqrt(M_PI / 2 * t / (t + c)), g);
	double scale = sd / sqrt(1 - 2 * delta * delta / M_PI);
	return (ul_skew){.at = mean - scale * delta * sqrt(2 / M_PI), .scale = scale, .alpha = delta / sqrt(1 - delta * delta)};
}

static double log_phi_cdf(double z) /* log Φ(z) */
{
	if (z > -35)
		return log(erfc(-z / sqrt(2)) / 2);
	double y = 1 / (z * z);
	return -z * z / 2 - log(-z) - 0.5 * log(2 * M_PI) + log1p(-y * (1 - 3 * y));
}

static double log_density(double z, double alpha)
{
	return log(2) - z * z / 2 - 0.5 * log(2 * M_PI) + log_phi_cdf(alpha * z);
}

/* ∫ from -∞ to z of the density, scaled by its largest value there so that nothing underflows; Simpson over the part that counts. */
double ul_skew_log_cdf(const ul_skew *s, double x)
{
	if (s->scale <= 0)
		return x >= s->at ? 0 : -INFINITY;
	enum { STEPS = 4000 };
	double z = (x - s->at) / s->scale, top = z;
	double peak = log_density(z, s->alpha), step = 0.01;
	while (log_density(top - step, s->alpha) > peak) { /* the density rises to the left: its mode is the scale */
		top -= step;
		peak = log_density(top, s->alpha);
	}
	double low = top;
	for (double stride = 1e-3; log_density(low, s->alpha) > peak - 45; stride *= 1.3)
		low -= stride;
	double h = (z - low) / STEPS, sum = 0;
	for (int i = 0; i <= STEPS; i++)
		sum += (i == 0 || i == STEPS ? 1 : i % 2 ? 4
		                                         : 2) *
		       exp(log_density(low + i * h, s->alpha) - peak);
	return fmin(0, peak + log(sum * h / 3));
}
