/*
 * rope.c: rotary frequencies (Su et al. 2021) and the ways to stretch them, as transformers' ROPE_INIT_FUNCTIONS compute them,
 * but in double.
 */
#include "model/config.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

static bool number(const json_t *p, const char *key, double fallback, double *out, ul_err *err)
{
	*out = fallback;
	if (!ul_json_real(p, key, -1e12, 1e12, out, err))
		return false;
	return !isnan(*out) || ul_fail(err, "config.json: the rope scaling has no %s", key);
}

/* Llama 3.1: long waves are slowed by `factor`, short ones stay, between them a blend. */
static bool llama3(const ul_rope_config *r, double *f, ul_err *err)
{
	double factor, low, high, old;
	if (!number(r->params, "factor", NAN, &factor, err) || !number(r->params, "low_freq_factor", NAN, &low, err) ||
	        !number(r->params, "high_freq_factor", NAN, &high, err) || !number(r->params, "original_max_position_embeddings", r->context, &old, err))
		return false;
	if (factor < 1 || low <= 0 || high <= low || old < 1)
		return ul_fail(err, "config.json: llama3 rope scaling with factor %g, low %g, high %g, original context %g makes no sense", factor, low, high, old);
	for (int i = 0; i < r->rot / 2; i++) {
		double wave = 2 * pi / f[i];
		double blend = (old / wave - low) / (high - low);
		if (wave > old / low)
			f[i] /= factor;
		else if (wave >= old / high)
			f[i] = (1 - blend) * f[i] / factor + blend * f[i];
	}
	return true;
}

static double magnitude(double scale, double m)
{
	return scale <= 1 ? 1 : 0.1 * m * log(scale) + 1;
}

static double correction_dim(double rotations, const ul_rope_config *r, double old)
{
	return r->rot * log(old / (rotations * 2 * pi)) / (2 * log(r->theta));
}

/* YaRN (Peng et al. 2023). */
static bool yarn(const ul_rope_config *r, double *f, double *scale, ul_err *err)
{
	double factor, old, fast, slow, m, m_all, attention;
	if (!number(r->params, "original_max_position_embeddings", r->context, &old, err) || old < 1)
		return ul_fail(err, "config.json: yarn rope scaling without its original context");
	if (!number(r->params, "factor", r->context / old, &factor, err) || !number(r->params, "beta_fast", 32, &fast, err) ||
	        !number(r->params, "beta_slow", 1, &slow, err) || !number(r->params, "mscale", 0, &m, err) || !number(r->params, "mscale_all_dim", 0, &m_all, err))
		return false;
	bool truncate = true;
	if (factor < 1 || fast <= 0 || slow <= 0)
		return ul_fail(err, "config.json: yarn rope scaling with factor %g, beta %g and %g makes no sense", factor, fast, slow);
	attention = m != 0 && m_all != 0 ? magnitude(factor, m) / magnitude(factor, m_all) : magnitude(factor, 1);
	if (!number(r->params, "attention_factor", attention, scale, err) || !ul_json_bool(r->params, "truncate", &truncate, err))
		return false;
	double low = correction_dim(fast, r, old), high = correction_dim(slow, r, old);
	if (truncate) {
		low = floor(low);
		high = ceil(high);
	}
	low = fmax(low, 0);
	high = fmin(high, r->rot - 1);
	if (low == high)
		high += 0.001;
	for (int i = 0; i < r->rot / 2; i++) {
		double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
		f[i] = f[i] / factor * ramp + f[i] * (1 - ramp);
	}
	return true;
}

/* LongRoPE: one divisor per frequency. Two lists, one for sequences inside the original context and one for longer ones, would
 * make a token's meaning depend on what follows it; they are read where they agree. */
static bool longrope(const ul_rope_config *r, double *f, double *scale, ul_err *err)
{
	double old, factor;
	if (!number(r->params, "original_max_position_embeddings", r->context, &old, err) || !number(r->params, "factor", r->context / old, &factor, err))
		return false;
	const json_t *list = json_object_get(r->params, "short_factor");
	if (!json_is_array(list) || json_array_size(list) != (size_t)(r->rot / 2))
		return ul_fail(err, "config.json: short_factor must list %d numbers", r->rot / 2);
	if (!json_equal(list, json_object_get(r->params, "long_factor")))
		return ul_fail(err, "config.json: longrope with a long_factor that differs from short_factor is not implemented");
	for (int i = 0; i < r->rot / 2; i++) {
		double x = json_number_value(json_array_get(list, (size_t)i));
		if (!(x > 0 && x < 1e12))
			return ul_fail(err, "config.json: entry %d of short_factor is %g, a positive number is needed", i, x);
		f[i] /= x;
	}
	double attention = factor <= 1 || old <= 1 ? 1 : sqrt(1 + log(factor) / log(old));
	return number(r->params, "attention_factor", attention, scale, err);
}

bool ul_rope_freqs(const ul_rope_config *r, double **inv_freq, double *scale, ul_arena *a, ul_err *err)
{
	int n = r->rot / 2;
	double *f = ul_alloc(a, (size_t)(n + 1) * sizeof *f), factor = 1;
	if (!f)
		return ul_nomem(err, (size_t)n * sizeof *f);
	if (!(r->theta > 0 && r->theta < 1e12))
		return ul_fail(err, "config.json: a rope base of %g, a positive number is needed", r->theta);
	for (int i = 0; i < n; i++)
		f[i] = pow(r->theta, -2.0 * i / r->rot);
	const char *type = ul_json_str(r->params, "rope_type");
	if (!type)
		type = ul_json_str(r->params, "type");
	bool ok = true;
	*scale = 1;
	if (!type || !strcmp(type, "default") || !strcmp(type, "dynamic")) {
		/* Dynamic NTK scaling changes nothing as long as a sequence stays inside the context. */
	} else if (!strcmp(type, "linear")) {
		ok = number(r->params, "factor", NAN, &factor, err) && (factor > 0 || ul_fail(err, "config.json: a rope factor of %g", factor));
		for (int i = 0; i < n; i++)
			f[i] /= factor;
	} else if (!strcmp(type, "llama3")) {
		ok = llama3(r, f, err);
	} else if (!strcmp(type, "yarn")) {
		ok = yarn(r, f, scale, err);
	} else if (!strcmp(type, "longrope") || !strcmp(type, "su")) {
		ok = longrope(r, f, scale, err);
	} else {
		ok = ul_fail(err, "config.json asks for the rope scaling \"%.64s\"; default, linear, dynamic, llama3, yarn and longrope are known", type);
	}
	if (ok)
		*inv_freq = f;
	return ok;
}

bool ul_config_rope(const json_t *config, const char *theta_key, double theta, ul_config *c, ul_arena *a, ul_err *err)
{
	const json_t *params = json_object_get(config, "rope_parameters");
	if (!json_is_object(params))
		params = json_object_get(config, "rope_scaling");
	if (!json_is_object(params))
		params = NULL;
	c->rope_theta = theta;
	if (!ul_json_real(config, "rope_theta", 1e-6, 1e12, &c->rope_theta, err) || !ul_json_real(config, theta_key, 1e-6, 1e12, &c->rope_theta, err) ||
	        !ul_json_real(params, "rope_theta", 1e-6, 1e12, &c->rope_theta, err))
		return false;
	ul_rope_config r = {.params = params, .theta = c->rope_theta, .rot = c->rot, .context = c->context};
	return ul_rope_freqs(&r, &c->inv_freq, &c->rope_scale, a, err);
}
