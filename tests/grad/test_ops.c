/*
 * test_ops.c: every operator of the table in cases.h is checked three ways: the gradients of `ref64` against differences, `ref` and
 * `cpu` against `ref64`, and two runs against each other, bit for bit.
 *
 * Differences are five-point central ones in double, h = 1e-3: truncation h^4/30 and rounding 1e-16/h are both near 1e-13 of the
 * loss, so a gradient is known to about 1e-11 of the largest one and 1e-7 leaves room for values of high curvature only.
 */
#include "cases.h"

/* ---- the three checks ---- */

static double largest(const double *x, size_t n)
{
	double most = 0;

	for (size_t i = 0; i < n; i++)
		most = fmax(most, fabs(x[i]));
	return most;
}

static void nudge(struct world *w, ul_param *p, const double *x, size_t at, double by)
{
	double v = x[at] + by;

	w->be->from_f64((double *)p->data + at, &v, 1);
}

static double difference(struct world *w, const struct grad_case *c, ul_param *p, const double *x, size_t at)
{
	static const double step[] = {-2, -1, 1, 2}, factor[] = {1, -8, 8, -1};
	const double h = 1e-3;
	double d = 0;

	for (int i = 0; i < 4; i++) {
		nudge(w, p, x, at, step[i] * h);
		d += factor[i] * world_value(w, c);
	}
	nudge(w, p, x, at, 0);
	return d / (12 * h);
}

static void test_ops__gradients_equal_differences(void)
{
	for (int i = 0; i < CASES; i++) {
		const struct grad_case *c = &cases[i];
		struct world w;
		double value, *g, worst = 0;
		if (c->large)
			continue;
		world_open(&w, "ref64", c->name);
		g = world_grads(&w, c, &value);
		CHECK_MSG(world_value(&w, c) == value, "%s: another value without recording", c->name);
		for (int j = 0, at = 0; j < w.n; at += (int)size_of(w.param[j++])) {
			ul_param *p = w.param[j];
			double x[512], most = largest(g + at, size_of(p));
			if (!p->trainable)
				continue;
			NEED(size_of(p) <= 512);
			ul_param_get(p, x);
			for (size_t e = 0; e < size_of(p); e++)
				worst = fmax(worst, fabs(difference(&w, c, p, x, e) - g[at + (int)e]) / fmax(most, 1e-3));
		}
		CHECK_MSG(worst < 1e-9, "%s: gradient off by %.2g of the largest", c->name, worst);
		ul_free(g);
		world_close(&w);
	}
}

/* Float kernels against the judge: 24 bits, errors growing with the square root of the longest sum, at most 700 here; and `lost` where
 * the factors of products have fewer. */
static void against_judge(const char *backend, bool large_only, double lost)
{
	for (int i = 0; i < CASES; i++) {
		struct world w, j;
		double value, judged;
		if (large_only && !cases[i].large)
			continue; /* one thread does them whatever is allowed */
		world_open(&w, backend, cases[i].name);
		world_open(&j, "ref64", cases[i].name);
		double *g = world_grads(&w, &cases[i], &value), *truth = world_grads(&j, &cases[i], &judged);
		double scale = fmax(fabs(judged), 1);
		CHECK_MSG(fabs(value - judged) < (2e-5 + lost) * scale, "%s %s: value %.9g, judged %.9g", backend, cases[i].name, value, judged);
		for (int p = 0, at = 0; p < w.n; at += (int)size_of(w.param[p++])) {
			double worst = 0, most = largest(truth + at, size_of(w.param[p]));
			for (size_t e = 0; e < size_of(w.param[p]); e++)
				worst = fmax(worst, fabs(g[at + (int)e] - truth[at + (int)e]) / fmax(most, 1e-3));
			CHECK_MSG(worst < 5e-6 + lost, "%s %s: gradient of parameter %d off by %.2g of the largest", backend, cases[i].name, p, worst);
		}
		ul_free(g);
		ul_free(truth);
		world_close(&w);
		world_close(&j);
	}
}

static void test_ops__ref_agrees_with_judge(void)
{
	against_judge("ref", false, 0);
}

static void test_ops__cpu_agrees_with_judge_one_thread(void)
{
	ul_set_threads(1);
	against_judge("cpu", false, 0);
}

static void test_ops__cpu_agrees_with_judge_three_threads(void)
{
	ul_set_threads(3);
	against_judge("cpu", true, 0);
}

/* Packing, edges and masks of 512-bit vectors, on any machine. */
static void test_ops__avx512_emulated_agrees_with_judge(void)
{
	setenv("UNLEARN_KERNELS", "avx512-emulated", 1);
	ul_set_threads(2);
	against_judge("cpu", false, 0);
}

/* Gradients come out of several products, whose errors have no sign in common: together they stay below what one may lose at worst
 * (test_tiles.c says how much). */
static void test_ops__amx_emulated_agrees_with_judge(void)
{
	setenv("UNLEARN_KERNELS", "amx-emulated", 1);
	against_judge("cpu", false, 3 * 0x1p-16);
}

static void test_ops__bf16_agrees_with_judge(void)
{
	ul_err err = {0};

	setenv("UNLEARN_KERNELS", "amx-emulated", 1);
	NEED_OK(ul_set_precision(UL_PRECISION_BF16, &err), err);
	against_judge("cpu", false, 0x1p-7 + 0x1p-16);
}

static void same_bits(const char *backend)
{
	for (int i = 0; i < CASES; i++) {
		struct world a, b;
		double va, vb;
		size_t n = 0;
		world_open(&a, backend, cases[i].name);
		world_open(&b, backend, cases[i].name);
		double *ga = world_grads(&a, &cases[i], &va), *gb = world_grads(&b, &cases[i], &vb);
		for (int p = 0; p < a.n; p++)
			n += size_of(a.param[p]);
		CHECK_MSG(va == vb && !memcmp(ga, gb, n * sizeof *ga), "%s: two runs differ", cases[i].name);
		ul_free(ga);
		ul_free(gb);
		world_close(&a);
		world_close(&b);
	}
}

static void test_ops__two_runs_give_the_same_bits(void)
{
	ul_set_threads(2);
	same_bits("cpu");
}
