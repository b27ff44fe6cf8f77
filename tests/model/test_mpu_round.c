/*
 * test_mpu_round.c: what a round of MPU promises (specification 2.6 and 2.9, tests 3 to 8, 10 and 11), on every committed family.
 */
#include "mpu_bench.h"

static void test_mpu_round__without_noise_or_transform_nothing_differs(void)
{
	rows();
	for (int i = 0; i < FAMILIES; i++) {
		CHECK_MSG(at_zero(families[i], "adamw", UL_REPARAM_NONE, true, NULL) == 0, "%s, all weights", families[i]);
		double d = at_zero(families[i], "adamw", UL_REPARAM_NONE, true, "r=2,alpha=4,target=all-linear");
		CHECK_MSG(d < 1e-6, "%s, adapter: %g", families[i], d);
	}
}

static void test_mpu_round__exact_transforms_let_adamw_do_the_same(void)
{
	rows();
	for (int i = 0; i < FAMILIES; i++)
		for (int mode = UL_REPARAM_PAPER; mode <= UL_REPARAM_FULL; mode++) {
			double d = at_zero(families[i], "adamw", (enum ul_reparam)mode, true, NULL);
			CHECK_MSG(d < 1e-3, "%s, mode %d: %g", families[i], mode, d);
		}
}

static void test_mpu_round__rotations_let_sgd_do_the_same_and_adamw_not(void)
{
	rows();
	for (int i = 0; i < FAMILIES; i++) {
		ul_model *m = open_model(of_family(families[i], "sgd").path);
		bool bears = !m->cfg.qk_norm, turns = m->cfg.rot > 0;
		ul_model_free(m);
		if (!bears)
			continue;
		double sgd = at_zero(families[i], "sgd", UL_REPARAM_FULL, false, NULL);
		CHECK_MSG(sgd < 1e-3, "%s: %g", families[i], sgd);
		double adamw = turns ? at_zero(families[i], "adamw", UL_REPARAM_FULL, false, NULL) : 1;
		CHECK_MSG(adamw > 0.02, "%s: AdamW differs by %g only, so this test could not fail", families[i], adamw);
	}
}

/* ---- the error law: slopes over κ ---- */

static double slope(double lo, double hi, double factor)
{
	return log(hi / lo) / log(factor);
}

/* Two errors that have nothing to do with one another add up in squares. */
static double beyond(double all, double part)
{
	return sqrt(fmax(all * all - part * part, 0));
}

/* TABLE=FILE writes the table of docs/mpu.md there. */
static void test_mpu_round__error_falls_with_the_square_of_noise(void)
{
	FILE *table = getenv("TABLE") ? fopen(getenv("TABLE"), "w") : NULL;
	rows();
	for (int i = 0; i < FAMILIES; i++) {
		bench b = of_family(families[i], "sgd");
		double *u = malloc(count_of(b.path) * sizeof *u);
		NEED(u);
		run(&b, u);
		errors tiny = errors_at(&b, 0.0004, u), lo = errors_at(&b, 0.002, u), hi = errors_at(&b, 0.008, u);
		double two = slope(lo.harmonic, hi.harmonic, 4), one = slope(lo.single, hi.single, 4), mean = slope(tiny.plain, lo.plain, 5);
		CHECK_MSG(two > 1.8 && two < 2.2, "%s: zero-sum noise, slope %.3f (errors %.2e, %.2e)", families[i], two, lo.harmonic, hi.harmonic);
		CHECK_MSG(one > 0.8 && one < 1.2, "%s: a single copy, slope %.3f", families[i], one);
		CHECK_MSG(mean > 0.8 && mean < 1.3, "%s: the plain mean under unequal α, slope %.3f", families[i], mean);
		if (table)
			fprintf(table, "| %s | %.1e | %.1e | %.2f | %.1e | %.2f | %.2f |", families[i], lo.harmonic, hi.harmonic, two, hi.single, one, mean);
		b.own_order = true;
		b.how = (ul_mpu_how){.copies = 4, .rounds = 1, .server_lr = 1, .exact = true};
		run(&b, u); /* the same orders without noise, so that what differs is what the noise did */
		double left = errors_at(&b, 4e-6, u).harmonic; /* what rounding to float32 leaves of any noise */
		tiny = errors_at(&b, 0.0001, u), lo = errors_at(&b, 0.0004, u); /* so small that the second order is far below the first */
		mean = slope(beyond(tiny.harmonic, left), beyond(lo.harmonic, left), 4);
		CHECK_MSG(mean > 0.8 && mean < 1.2, "%s: copies in different orders, slope %.3f (errors %.2e, %.2e, rounding %.2e)", families[i], mean, tiny.harmonic, lo.harmonic, left);
		if (table)
			fprintf(table, " %.2f |\n", mean);
		free(u);
	}
	if (table)
		fclose(table);
}

static void test_mpu_round__independent_noises_do_not_cancel(void)
{
	rows();
	for (int i = 0; i < FAMILIES; i++) {
		bench b = of_family(families[i], "sgd");
		size_t n = count_of(b.path);
		double *u = malloc(n * sizeof *u);
		NEED(u);
		run(&b, u);
		double lo = independent(&b, 0.002, u, n), hi = independent(&b, 0.008, u, n), one = slope(lo, hi, 4);
		CHECK_MSG(one > 0.8 && one < 1.2, "%s: slope %.3f (errors %.2e, %.2e)", families[i], one, lo, hi);
		free(u);
	}
}

/* AdamW divides by the size of its gradients, so that the error does not fall as fast: reported in docs/mpu.md, and here only below it. */
static void test_mpu_round__under_adamw_it_falls_more_slowly(void)
{
	double sum = 0;
	rows();
	for (int i = 0; i < FAMILIES; i++) {
		bench b = of_family(families[i], "adamw");
		double *u = malloc(count_of(b.path) * sizeof *u);
		NEED(u);
		run(&b, u);
		errors lo = errors_at(&b, 0.002, u), hi = errors_at(&b, 0.008, u);
		sum += slope(lo.harmonic, hi.harmonic, 4) / FAMILIES;
		free(u);
	}
	CHECK_MSG(sum < 1.8, "the mean slope is %.2f", sum);
}

/* ---- more copies: the fluctuation falls, the bias does not ---- */

/* Four keys tell a fluctuation that halves, give or take one that a key more or less would change, from one that stays. */
static void sweep(const char *family)
{
	enum { KEYS = 4 };
	bench b = of_family(family, "sgd");
	size_t n = count_of(b.path);
	double bias[2], spread[2], *u = malloc((KEYS + 2) * n * sizeof *u), *mean = u + n, *out = u + 2 * n;
	NEED(u);
	run(&b, u);
	for (int s = 0; s < 2; s++) {
		memset(mean, 0, n * sizeof *mean);
		b.how = (ul_mpu_how){.copies = s ? 8 : 2, .rounds = 1, .server_lr = 1, .noise = 0.02, .exact = true};
		for (int k = 0; k < KEYS; k++) {
			b.key.bytes[0] = (unsigned char)k;
			run(&b, out + (size_t)k * n);
			for (size_t e = 0; e < n; e++)
				mean[e] += out[(size_t)k * n + e] / KEYS;
		}
		bias[s] = distance(mean, u, n);
		spread[s] = 0;
		for (int k = 0; k < KEYS; k++)
			spread[s] += distance(out + (size_t)k * n, mean, n) / KEYS;
	}
	CHECK_MSG(spread[0] / spread[1] > 1.4 && spread[0] / spread[1] < 4, "%s: fluctuation %g with 2 copies, %g with 8", family, spread[0], spread[1]);
	CHECK_MSG(bias[0] / bias[1] > 0.5 && bias[0] / bias[1] < 2, "%s: bias %g with 2 copies, %g with 8", family, bias[0], bias[1]);
	free(u);
}

static void test_mpu_round__copies_take_the_fluctuation_but_not_the_bias(void)
{
	rows();
	for (int i = 0; i < FAMILIES; i++)
		sweep(families[i]);
}

/* ---- what is published ---- */

static void published(const char *name, unsigned char key, double kappa, enum ul_reparam mode, int k, float *out, size_t *noised, size_t *moved)
{
	ul_err err = {0};
	ul_mpu_plan plan;
	bench b = of_family(name, "sgd");
	ul_mpu m = {.theta = open_model(b.path), .round = 1, .how = {.copies = 3, .rounds = 1, .noise = kappa, .reparam = mode, .exact = true}, .key = {{key}}};
	NEED_OK(ul_mpu_begin(&m, &err), err);
	NEED_OK(ul_mpu_plan_make(&plan, m.theta, mode, true, &m.key, 1, k, &err), err);
	*noised = *moved = 0;
	for (int i = 0; i < m.theta->params; i++) {
		const ul_param *p = m.theta->param[i];
		size_t n = (size_t)p->rows * (size_t)p->cols;
		float *w = malloc(n * sizeof *w);
		NEED(w);
		ul_param_get_f32(p, w);
		NEED_OK(ul_mpu_perturb(&m, &plan, k, i, out, &err), err);
		for (size_t e = 0; e < n && ul_mpu_layer_of(m.theta, p) >= 0; e++)
			*noised += 1, *moved += out[e] != w[e];
		out += n;
		free(w);
	}
	ul_mpu_plan_release(&plan);
	ul_model_free(m.theta);
	ul_mpu_release(&m);
}

static void decides(const char *family)
{
	char path[256];
	snprintf(path, sizeof path, "tests/golden/families/%s", family);
	size_t n = count_of(path), noised, moved, same = 0;
	float *a = malloc(2 * n * sizeof *a), *b = a + n;
	NEED(a);
	published(family, 1, 0.01, UL_REPARAM_FULL, 1, a, &noised, &moved);
	published(family, 1, 0.01, UL_REPARAM_FULL, 1, b, &noised, &moved);
	CHECK(!memcmp(a, b, n * sizeof *a));
	published(family, 2, 0.01, UL_REPARAM_FULL, 1, b, &noised, &moved);
	for (size_t e = 0; e < n; e++)
		same += a[e] == b[e];
	CHECK_MSG(same < n / 10, "%s: %zu of %zu weights are the same under another key", family, same, n);
	free(a);
}

static void test_mpu_round__a_key_decides_what_is_published(void)
{
	for (int i = 0; i < FAMILIES; i++)
		decides(families[i]);
}

static void test_mpu_round__noise_reaches_every_float(void)
{
	for (int i = 0; i < FAMILIES; i++) {
		char path[256];
		size_t noised, moved;
		snprintf(path, sizeof path, "tests/golden/families/%s", families[i]);
		float *x = malloc(count_of(path) * sizeof *x);
		NEED(x);
		published(families[i], 1, 0.01, UL_REPARAM_NONE, 0, x, &noised, &moved);
		CHECK_MSG(moved > 0.99 * (double)noised, "%s: %zu of %zu weights changed", families[i], moved, noised);
		free(x);
	}
}

static void test_mpu_round__sigma_is_a_share_of_the_task_vector(void)
{
	ul_err err = {0};
	double sigma[64], sum = 0;
	size_t n = 0;
	ul_model *m = open_model("tests/golden/methods/theta"), *base = open_model("tests/golden/methods/ref");
	NEED_OK(ul_mpu_sigma(m, base, 0.1, sigma, &err), err);
	for (int i = 0; i < m->params; i++) {
		const ul_param *p = m->param[i], *q = ul_model_param(base, p->name);
		size_t k = (size_t)p->rows * (size_t)p->cols;
		double *x = malloc(2 * k * sizeof *x);
		NEED(x);
		ul_param_get(p, x);
		ul_param_get(q, x + k);
		for (size_t e = 0; e < k && strstr(p->name, ".layers.1."); e++, n++)
			sum += (x[e] - x[k + e]) * (x[e] - x[k + e]);
		free(x);
	}
	CHECK_CLOSE(sigma[1], 0.1 * sqrt(sum / (double)n), 1e-6);
	ul_model_free(m);
	ul_model_free(base);
}

/* ---- adapters ---- */

/* T⁻¹ of a product is the product of what each factor becomes. */
static void test_mpu_round__factors_turn_like_their_product(void)
{
	enum { R = 2 };
	ul_err err = {0};
	const ul_mpu_key key = {"thirty-two bytes of a secret key"};
	for (int f = 0; f < FAMILIES; f++) {
		bench bn = of_family(families[f], "sgd");
		ul_model *m = open_model(bn.path);
		ul_mpu_plan plan;
		NEED_OK(ul_mpu_plan_make(&plan, m, UL_REPARAM_FULL, true, &key, 1, 1, &err), err);
		for (int i = 0; i < m->params; i++) {
			const ul_param *p = m->param[i];
			size_t rows_n = (size_t)p->rows, cols = (size_t)p->cols;
			float *x = malloc((2 * rows_n * cols + R * (rows_n + cols)) * sizeof *x), *y = x + rows_n * cols, *b = y + rows_n * cols, *a = b + R * rows_n;
			ul_rng r = ul_rng_at(1, "factors", (uint64_t)i);
			NEED(x);
			for (size_t e = 0; e < R * (rows_n + cols); e++)
				b[e] = (float)ul_rng_normal(&r);
			for (int pass = 0; pass < 2; pass++) {
				float *to = pass ? y : x;
				for (size_t e = 0; e < rows_n * cols; e++)
					to[e] = b[e / cols * R] * a[e % cols] + b[e / cols * R + 1] * a[cols + e % cols];
				NEED_OK(pass || ul_mpu_apply(&plan, p, x, true, &err), err);
				NEED_OK(pass || ul_mpu_apply_factors(&plan, p, R, b, a, true, &err), err);
			}
			if (!p->vector)
				CHECK_ARRAY(y, x, rows_n * cols, 1e-6);
			free(x);
		}
		ul_mpu_plan_release(&plan);
		ul_model_free(m);
	}
}

/* ---- what cannot be meant ---- */

static void test_mpu_round__one_copy_with_noise_is_refused(void)
{
	ul_err err = {0};
	ul_mpu m = {.theta = open_model("tests/golden/families/llama"), .round = 1, .how = {.copies = 1, .rounds = 1, .noise = 0.1}};
	CHECK_FAILS(ul_mpu_check(&m, &err), err, "at least 2");
	ul_model_free(m.theta);
}

static void test_mpu_round__a_long_update_is_shortened(void)
{
	ul_err err = {0};
	ul_mpu m = {.how = {.clip = 0.1}};
	CHECK_CLOSE(ul_mpu_shrink(&m, 5, 10), 0.2, 1e-12);
	CHECK(ul_mpu_shrink(&m, 0.5, 10) == 1);
	m.how.clip = 0;
	CHECK(ul_mpu_shrink(&m, 5, 10) == 1 && !err.msg[0]);
}
