/*
 * test_cpu.c: the fast backend on every path this machine can run: products at every edge of their blocking, functions against libm
 * over their whole range, attention's blocks, the same bits again and again.
 */
#include "tensor/cpu/cpu.h"
#include "products.h"

/* A test runs in a process of its own, and the path is chosen at the first use. */
static void path(const char *name)
{
	setenv("UNLEARN_KERNELS", name, 1);
	if (!strcmp(name, "avx512") || !strcmp(name, "avx2"))
		if (strcmp(ul_cpu()->name, name))
			SKIP("this processor does not run %s", name);
}

/* ---- products ---- */

static const struct arithmetic floats = {.terms = 1};

static void products_on(const char *name)
{
	path(name);
	for (int threads = 1; threads <= 3; threads++) {
		ul_set_threads(threads);
		products(threads == 1 ? SMALL | LARGE : LARGE, &floats);
		packed();
	}
}

static void test_cpu__products_avx512(void)
{
	products_on("avx512");
}

static void test_cpu__products_avx512_emulated(void) /* slow: what is small takes one thread in any case */
{
	path("avx512-emulated");
	ul_set_threads(3);
	products(SMALL | LARGE, &floats);
	packed();
}

static void test_cpu__products_avx2(void)
{
	products_on("avx2");
}

static void test_cpu__products_base(void)
{
	products_on("base");
}

static void test_cpu__products_blas(void)
{
	products_on("blas");
}

static void test_cpu__products_ref(void)
{
	products_on("ref");
}

/* ---- functions ---- */

static double silu(double x, double *d)
{
	double s = 1 / (1 + exp(-x));
	*d = s * (1 + x * (1 - s));
	return x * s;
}

static double gelu(double x, double *d)
{
	double s = 0.5 * erfc(-x / sqrt(2));
	*d = s + x * exp(-0.5 * x * x) / sqrt(2 * M_PI);
	return x * s;
}

static double gelu_tanh(double x, double *d)
{
	double u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x), t = tanh(u);
	*d = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
	return 0.5 * x * (1 + t);
}

/* |error| <= 3e-7 max(1, |x|) over [-30, 30]: a few units in the last place of the larger of x and 1. */
static void functions(void)
{
	static const struct {
		int f;
		double (*f_at)(double x, double *d);
		const char *name;
	} known[] = {{UL_SILU, silu, "silu"}, {UL_GELU, gelu, "gelu"}, {UL_GELU_TANH, gelu_tanh, "gelu_tanh"}};
	enum { N = 60001 };
	float *x = ul_malloc(N * 4 * sizeof *x), *y = x + N, *one = y + N, *dx = one + N;

	NEED(x != NULL);
	for (size_t k = 0; k < 3; k++) {
		double worst = 0, worst_d = 0;
		for (int i = 0; i < N; i++) {
			x[i] = (float)(i - N / 2) * 0.001f;
			one[i] = 1;
			dx[i] = 0;
		}
		ul_backend_cpu.act(known[k].f, y, x, N);
		ul_backend_cpu.act_grad(known[k].f, dx, x, one, N);
		for (int i = 0; i < N; i++) {
			double d, v = known[k].f_at((double)x[i], &d), unit = fmax(1, fabs((double)x[i]));
			worst = fmax(worst, fabs((double)y[i] - v) / unit);
			worst_d = fmax(worst_d, fabs((double)dx[i] - d) / unit);
		}
		CHECK_MSG(worst < 3e-7 && worst_d < 4e-7, "%s: off by %.2g, derivative by %.2g", known[k].name, worst, worst_d);
	}
	ul_free(x);
}

static void test_cpu__functions_avx512(void)
{
	path("avx512");
	functions();
}

static void test_cpu__functions_avx512_emulated(void)
{
	path("avx512-emulated");
	functions();
}

static void test_cpu__functions_avx2(void)
{
	path("avx2");
	functions();
}

static void test_cpu__functions_base(void)
{
	path("base");
	functions();
}

/* Extreme inputs give what libm gives, and a NaN is never lost. */
static void extremes(void)
{
	static const float x[16] = {0, -0.0f, 1e-30f, 89, 200, -89, -104, -1e4f, 1e4f, INFINITY, -INFINITY, NAN, 1e7f, -1e7f, 88.5f, -87.4f};
	float y[16];
	double d;

	ul_backend_cpu.act(UL_SILU, y, x, 16);
	for (int i = 0; i < 16; i++) {
		double want = silu((double)x[i], &d);
		if (x[i] != x[i])
			CHECK(y[i] != y[i]);
		else if (i != 10) /* -inf · 0 */
			CHECK_MSG(fabs((double)y[i] - want) <= 1e-6 * fabs(want) + 1e-30 || (double)y[i] == want, "silu(%g) = %g, not %g", (double)x[i], (double)y[i], want);
	}
}

static void test_cpu__extremes_avx512(void)
{
	path("avx512");
	extremes();
}

static void test_cpu__extremes_avx512_emulated(void)
{
	path("avx512-emulated");
	extremes();
}

static void test_cpu__extremes_avx2(void)
{
	path("avx2");
	extremes();
}

static void test_cpu__extremes_base(void)
{
	path("base");
	extremes();
}

/* ---- softmax ---- */

static void test_cpu__logp_of_far_logits(void)
{
	enum { V = 1000 };
	float z[V];
	double lse, lp;
	int target = 999, shape[2] = {1, V};

	for (int i = 0; i < V; i++)
		z[i] = i == 5 ? 300 : -300;
	ul_backend_cpu.logp(z, &target, &lse, &lp, NULL, shape);
	CHECK_NEAR(lp, -600, 1e-9);
	z[7] = NAN;
	ul_backend_cpu.logp(z, &target, &lse, &lp, NULL, shape);
	CHECK(lp != lp);
}

/* A distribution compared with itself has no distance, not even a small one. */
static void test_cpu__kl_of_equal_logits_is_zero(void)
{
	enum { V = 777 };
	float z[V], ref[V];
	double loss, one = 1;

	for (int kind = UL_KL_REF; kind <= UL_KL_MODEL; kind++) {
		for (int i = 0; i < V; i++)
			z[i] = ref[i] = (float)(any("kl", (uint64_t)i) * 10);
		ul_backend_cpu.soft(&(ul_soft_args){.kind = kind, .rows = 1, .vocab = V, .z = z, .zref = ref, .loss = &loss, .dloss = &one});
		CHECK(loss == 0);
		for (int i = 0; i < V; i++)
			CHECK(fabsf(z[i]) < 1e-12f);
	}
}

/* ---- the same bits ---- */

/* What stands in for AVX-512 rounds as it does. */
static void test_cpu__emulated_avx512_gives_the_bits_of_avx512(void)
{
	enum { N = 30011 };
	const ul_kernels *k[] = {&ul_kernels_avx512, &ul_kernels_avx512_emulated};
	float *x = ul_malloc(4 * N * sizeof *x), *y[] = {x + N, x + 2 * (size_t)N}, *work = ul_malloc(k[0]->floats.work());
	ul_err err = {0};

	setenv("UNLEARN_KERNELS", "avx512", 1);
	if (!ul_cpu_runs(&err))
		SKIP("this processor does not run avx512");
	NEED(x && work);
	for (int i = 0; i < N; i++)
		x[i] = (float)any("bits", (uint64_t)i) * 30;
	for (int how = 0; how < 4; how++) {
		for (int i = 0; i < 2; i++)
			k[i]->floats.gemm(&(ul_gemm){.ta = how & 1, .tb = how & 2, .m = 97, .n = 101, .k = 103, .lda = 103, .ldb = 103, .ldc = 101, .alpha = 0.75, .a = x, .b = x + 7, .c = y[i]}, work);
		CHECK(!memcmp(y[0], y[1], 97 * 101 * sizeof *x));
	}
	for (int f = UL_SILU; f <= UL_RELU; f++) {
		for (int i = 0; i < 2; i++)
			k[i]->act(&(ul_span_args){.f = f, .y = y[i], .x = x}, 0, N);
		CHECK(!memcmp(y[0], y[1], N * sizeof *x));
	}
	ul_free(x);
	ul_free(work);
}

static void test_cpu__sums_do_not_depend_on_threads(void)
{
	enum { N = 1 << 20 };
	float *x = ul_malloc(N * sizeof *x);
	double sum[4];

	NEED(x != NULL);
	for (int i = 0; i < N; i++)
		x[i] = (float)any("sum", (uint64_t)i);
	for (int t = 1; t <= 3; t++) {
		ul_set_threads(t);
		sum[t] = ul_backend_cpu.dot(x, x, N - 5);
	}
	CHECK(sum[1] == sum[2] && sum[1] == sum[3]);
	ul_free(x);
}

static void test_cpu__blas_is_checked_before_it_is_used(void)
{
	setenv("UNLEARN_KERNELS", "blas", 1);
	CHECK(ul_cpu_products() == UL_PRODUCT_BLAS || ul_cpu_products() == UL_PRODUCT_OWN);
}
