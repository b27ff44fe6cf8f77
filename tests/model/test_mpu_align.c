/*
 * test_mpu_align.c: the attacks on published copies find what they should (specification 2.8 and 2.9, test 9), on every committed
 * family, and stop finding it where something does stand in their way.
 */
#include "protocols/mpu_align.h"
#include "mpu_families.h"

enum { M = 3 };

typedef struct siege {
	ul_mpu m;
	ul_model *copy[M], *guess;
} siege;

static ul_model *open_model(const char *path)
{
	ul_err err = {0};
	ul_model *m = ul_model_open_with(path, &(ul_open){.no_tokenizer = true}, &err);
	NEED_OK(m, err);
	return m;
}

static siege begin(const char *path, ul_mpu_how how)
{
	ul_err err = {0};
	siege s = {.m = {.theta = open_model(path), .how = how, .round = 1, .key = {"thirty-two bytes of a secret key"}}};
	NEED_OK(ul_mpu_begin(&s.m, &err), err);
	float *x = malloc(ul_mpu_largest(s.m.theta) * sizeof *x);
	NEED(x);
	for (int k = 0; k <= M; k++) {
		ul_mpu_plan plan;
		ul_model *c = ul_model_clone(s.m.theta, &err);
		NEED_OK(c && ul_mpu_plan_make(&plan, s.m.theta, how.reparam, how.exact, &s.m.key, 1, k, &err), err);
		for (int i = 0; k < M && i < c->params; i++) {
			NEED_OK(ul_param_own(c->param[i], &err) && ul_mpu_perturb(&s.m, &plan, k, i, x, &err), err);
			ul_param_set_f32(c->param[i], x);
		}
		ul_mpu_plan_release(&plan);
		*(k < M ? &s.copy[k] : &s.guess) = c;
	}
	free(x);
	return s;
}

static void end(siege *s)
{
	for (int k = 0; k < M; k++)
		ul_model_free(s->copy[k]);
	ul_model_free(s->guess);
	ul_model_free(s->m.theta);
	ul_mpu_release(&s->m);
}

/* Noise left after the copies were aligned to `to` (NULL: to the first of them). */
static double aligned(siege *s, const ul_model *to)
{
	ul_err err = {0};
	ul_mpu_plan plan[M] = {0}, turned = {0};
	const ul_mpu_plan *use[M] = {0};
	ul_mpu_found f;
	for (int k = to ? 0 : 1; k < M; k++) {
		NEED_OK(ul_mpu_align(&plan[k], to ? to : s->copy[0], s->copy[k], s->m.how.reparam, s->m.how.exact, &err), err);
		use[k] = &plan[k];
	}
	NEED_OK(ul_mpu_mean(s->copy, use, M, s->guess, &err), err);
	NEED_OK(ul_mpu_plan_make(&turned, s->m.theta, s->m.how.reparam, s->m.how.exact, &s->m.key, 1, 0, &err), err);
	NEED_OK(ul_mpu_judge(&s->m, s->guess, to ? NULL : &turned, &f, &err), err);
	for (int k = 0; k < M; k++)
		ul_mpu_plan_release(&plan[k]);
	ul_mpu_plan_release(&turned);
	return f.residual;
}

static double mean(siege *s)
{
	ul_err err = {0};
	ul_mpu_found f;
	NEED_OK(ul_mpu_mean(s->copy, NULL, M, s->guess, &err) && ul_mpu_judge(&s->m, s->guess, NULL, &f, &err), err);
	return f.residual;
}

static ul_mpu_how how(enum ul_reparam mode, bool exact, double noise)
{
	return (ul_mpu_how){.copies = M, .rounds = 1, .noise = noise, .reparam = mode, .exact = exact};
}

static void test_mpu_align__the_mean_is_the_secret_where_nothing_turns(void)
{
	for (int i = 0; i < FAMILIES; i++) {
		char path[256];
		snprintf(path, sizeof path, "tests/golden/families/%s", families[i]);
		siege s = begin(path, how(UL_REPARAM_NONE, true, 0.1));
		CHECK_MSG(mean(&s) < 1e-5, "%s", families[i]);
		end(&s);
		s = begin(path, how(UL_REPARAM_FULL, true, 0.1));
		CHECK_MSG(mean(&s) > 1, "%s: the mean of turned copies is no estimate", families[i]);
		end(&s);
	}
}

static void test_mpu_align__copies_give_one_another_away(void)
{
	for (int i = 0; i < FAMILIES; i++)
		for (int mode = UL_REPARAM_PAPER; mode <= UL_REPARAM_FULL; mode++) {
			char path[256];
			snprintf(path, sizeof path, "tests/golden/families/%s", families[i]);
			siege s = begin(path, how((enum ul_reparam)mode, true, 0.02));
			double left = aligned(&s, NULL);
			CHECK_MSG(left < 1e-3, "%s, mode %d: %g of the noise is left", families[i], mode, left);
			left = aligned(&s, s.m.theta); /* the best of bases */
			CHECK_MSG(left < 1e-3, "%s, mode %d, from the weights themselves: %g", families[i], mode, left);
			end(&s);
		}
}

/* A public base that is not the model: its weights are a third of their spread away, those of the embedding too. */
static ul_model *base_of(const ul_model *theta)
{
	ul_err err = {0};
	ul_model *base = ul_model_clone(theta, &err);
	NEED_OK(base, err);
	for (int i = 0; i < base->params; i++) {
		ul_param *p = base->param[i];
		size_t n = (size_t)p->rows * (size_t)p->cols;
		float *x = malloc(n * sizeof *x);
		double square = 0;
		ul_rng r = ul_rng_at(3, "base", (uint64_t)i);
		NEED(x);
		NEED_OK(ul_param_own(p, &err), err);
		ul_param_get_f32(p, x);
		for (size_t e = 0; e < n; e++)
			square += (double)x[e] * x[e];
		for (size_t e = 0; e < n; e++)
			x[e] += (float)(0.33 * sqrt(square / (double)n) * ul_rng_normal(&r));
		ul_param_set_f32(p, x);
		free(x);
	}
	return base;
}

static void test_mpu_align__a_base_gives_copies_away(void)
{
	for (int i = 0; i < FAMILIES; i++)
		for (int mode = UL_REPARAM_PAPER; mode <= UL_REPARAM_FULL; mode++) {
			siege s = begin(family_path(families[i]), how((enum ul_reparam)mode, true, 0.02));
			ul_model *base = base_of(s.m.theta);
			double left = aligned(&s, base);
			CHECK_MSG(left < 1e-3, "%s, mode %d: %g of the noise is left", families[i], mode, left);
			ul_model_free(base);
			end(&s);
		}
}

static void test_mpu_align__rotations_are_found_on_every_family(void)
{
	for (int i = 0; i < FAMILIES; i++) {
		ul_model *m = family_open(families[i], "cpu");
		bool bears = !m->cfg.qk_norm;
		ul_model_free(m);
		if (!bears)
			continue;
		siege s = begin(family_path(families[i]), how(UL_REPARAM_FULL, false, 0.02));
		double apart = mean(&s), left = aligned(&s, NULL);
		CHECK_MSG(apart > 1 && left < 0.5, "%s: %g of the noise is left, %g before", families[i], left, apart);
		end(&s);
	}
}

static void test_mpu_align__rotations_are_found_in_closed_form(void)
{
	siege s = begin("tests/golden/methods/theta", how(UL_REPARAM_FULL, false, 0.02));
	double left = aligned(&s, NULL);
	CHECK_MSG(left < 0.2, "%g of the noise is left", left);
	end(&s);
}

static void test_mpu_align__what_helps_and_what_does_not(void)
{
	ul_mpu_how h = how(UL_REPARAM_FULL, true, 0.02);
	h.random_alpha = true;
	siege s = begin("tests/golden/methods/theta", h);
	double left = aligned(&s, NULL);
	CHECK_MSG(left > 0.02 && left < 0.6, "α that nobody knows: %g is left", left);
	end(&s);
	h.random_alpha = false;
	h.common = 1;
	s = begin("tests/golden/methods/theta", h);
	left = aligned(&s, NULL);
	CHECK_MSG(left > 0.9 && left < 1.1, "noise that all copies share: %g is left", left);
	end(&s);
}
