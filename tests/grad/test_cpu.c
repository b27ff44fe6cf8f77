/*
 * test_cpu.c: the fast backend on every path this machine can run: products at every edge of their blocking, functions against libm
 * over their whole range, attention's blocks, the same bits again and again.
 */
#include "tensor/cpu/cpu.h"
#include "grad.h"

/* A test runs in a process of its own, and the path is chosen at the first use. */
static void path(const char *name)
{
	setenv("UNLEARN_KERNELS", name, 1);
	if (!strcmp(name, "avx512") || !strcmp(name, "avx2"))
		if (strcmp(ul_cpu()->name, name))
			SKIP("this processor does not run %s", name);
}

/* ---- products ---- */

static double at(const float *a, int ld, bool t, int i, int p)
{
	return (double)(t ? a[(size_t)p * (size_t)ld + (size_t)i] : a[(size_t)i * (size_t)ld + (size_t)p]);
}

struct sides {
	int m, n, k;
};

/* In units of what rounding may do at worst, (k + 3) 2^-24 Σ |a b|. Rows are longer than needed, what lies between them must stay as it was, and what beta 0 finds in C must not be read. */
static double product_error(struct sides s, int how, double beta, ul_arena *arena)
{
	bool ta = how & 1, tb = how & 2;
	int lda = (ta ? s.m : s.k) + 3, ldb = (tb ? s.k : s.n) + 1, ldc = s.n + 2;
	size_t na = (size_t)lda * (size_t)(ta ? s.k : s.m), nb = (size_t)ldb * (size_t)(tb ? s.n : s.k), nc = (size_t)ldc * (size_t)s.m;
	ul_mark mark = ul_arena_mark(arena);
	float *a = ul_alloc(arena, na * 4), *b = ul_alloc(arena, nb * 4), *c = ul_alloc(arena, nc * 4), *was = ul_alloc(arena, nc * 4);
	double worst = 0;

	for (size_t i = 0; i < na; i++)
		a[i] = (float)any("a", i);
	for (size_t i = 0; i < nb; i++)
		b[i] = (float)any("b", i);
	for (size_t i = 0; i < nc; i++)
		was[i] = c[i] = beta == 0 ? NAN : (float)any("c", i);
	ul_backend_cpu.gemm(&(ul_gemm){.ta = ta, .tb = tb, .m = s.m, .n = s.n, .k = s.k, .lda = lda, .ldb = ldb, .ldc = ldc, .alpha = 0.75, .beta = beta, .a = a, .b = b, .c = c, .work = arena});
	for (int i = 0; i < s.m; i++)
		for (int j = 0; j < ldc; j++) {
			size_t e = (size_t)i * (size_t)ldc + (size_t)j;
			double sum = 0, size = 0;
			if (j >= s.n) {
				worst = memcmp(&c[e], &was[e], 4) ? INFINITY : worst;
				continue;
			}
			for (int p = 0; p < s.k; p++)
				sum += at(a, lda, ta, i, p) * at(b, ldb, !tb, j, p), size += fabs(at(a, lda, ta, i, p) * at(b, ldb, !tb, j, p));
			double old = beta != 0 ? beta * (double)was[e] : 0, off = fabs((double)c[e] - (0.75 * sum + old)) / ((s.k + 3) * 0x1p-24 * (0.75 * size + fabs(old)) + 1e-30);
			worst = off > worst || off != off ? off : worst;
		}
	ul_arena_reset(arena, mark);
	return worst;
}

static void products(bool small_too)
{
	static const int few[] = {1, 2, 3, 4, 5, 8, 9, 17}, wide[] = {1, 3, 4, 15, 16, 17, 31, 47, 48, 49, 95, 100}, deep[] = {0, 1, 7, 8, 19, 64};
	static const struct sides large[] = {{70, 129, 700}, {12, 300, 385}, {13, 500, 64}, {257, 33, 31}, {64, 2100, 390}, {3, 1030, 333}, {33, 8, 1100}, {4, 3000, 400}, {1500, 8, 300}};
	static const double betas[] = {0, 1, -0.5};
	ul_arena arena = {0};

	for (int how = 0; how < 4; how++) {
		double worst = 0;
		for (size_t i = 0; small_too && i < sizeof few / sizeof *few; i++)
			for (size_t j = 0; j < sizeof wide / sizeof *wide; j++)
				for (size_t p = 0; p < sizeof deep / sizeof *deep; p++)
					worst = fmax(worst, product_error((struct sides){few[i], wide[j], deep[p]}, how, betas[(i + j + p) % 3], &arena));
		for (size_t i = 0; i < sizeof large / sizeof *large; i++)
			worst = fmax(worst, product_error(large[i], how, betas[i % 3], &arena));
		CHECK_MSG(worst <= 1, "%s%s: off by %.2g times the bound", how & 1 ? "Aᵀ" : "A", how & 2 ? "Bᵀ" : "B", worst);
	}
	ul_arena_release(&arena);
}

/* Packed weights give the bits that the same weights give once they are floats, in every format, at every edge. */
static bool packed_same(enum ul_dtype t, struct sides s, bool tb, ul_arena *arena)
{
	int rows = tb ? s.n : s.k, cols = tb ? s.k : s.n;
	size_t n = (size_t)rows * (size_t)cols, bytes = ul_dtype_bytes(t, n);
	ul_mark mark = ul_arena_mark(arena);
	unsigned char *packed = ul_alloc(arena, bytes);
	float *x = ul_alloc(arena, (size_t)s.m * (size_t)s.k * 4), *wide = ul_alloc(arena, n * 4), *y = ul_alloc(arena, (size_t)s.m * (size_t)s.n * 8), *z = y + (size_t)s.m * (size_t)s.n;

	for (size_t i = 0; i < bytes; i++)
		packed[i] = (unsigned char)(any("packed", i) * 100 + 128);
	for (size_t at = 0, block = ul_dtype_bytes(t, ul_dtype_block(t)); at + 1 < bytes; at += block)
		packed[at + 1] = 0x24, packed[at + (block > 4 ? 3 : 1)] = 0x25; /* scales and offsets of a usual size; ordinary 16-bit numbers */
	for (size_t i = 0; i < (size_t)s.m * (size_t)s.k; i++)
		x[i] = (float)any("x", i);
	ul_dequantize(t, packed, wide, n);
	ul_gemm g = {.tb = tb, .m = s.m, .n = s.n, .k = s.k, .lda = s.k, .ldb = cols, .ldc = s.n, .alpha = 0.75, .a = x, .b = packed, .b_as = t, .c = y, .work = arena};
	ul_backend_cpu.gemm(&g);
	g.b = wide;
	g.b_as = UL_F32;
	g.c = z;
	ul_backend_cpu.gemm(&g);
	bool same = !memcmp(y, z, (size_t)s.m * (size_t)s.n * 4);
	ul_arena_reset(arena, mark);
	return same;
}

static void packed(void)
{
	static const enum ul_dtype types[] = {UL_BF16, UL_F16, UL_Q8_0, UL_Q4_0, UL_Q4_1, UL_Q5_0, UL_Q5_1};
	static const struct sides sides[] = {{1, 3, 64}, {1, 101, 288}, {2, 50, 32}, {5, 17, 96}, {2, 9, 8192}, {3, 33, 32}, {4, 18, 96}, {9, 40, 64}, {16, 23, 576}, {17, 37, 96}, {32, 16, 64}, {33, 96, 64}, {40, 160, 416}, {64, 1056, 800}, {1, 40, 8224}};
	ul_arena arena = {0};

	for (size_t t = 0; t < sizeof types / sizeof *types; t++)
		for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
			struct sides s = sides[i];
			CHECK_MSG(packed_same(types[t], s, true, &arena), "x Wᵀ, %d x %d x %d of %s", s.m, s.n, s.k, ul_dtype_name(types[t]));
			if (s.n % 32 == 0 || ul_dtype_block(types[t]) == 1)
				CHECK_MSG(packed_same(types[t], s, false, &arena), "dy W, %d x %d x %d of %s", s.m, s.n, s.k, ul_dtype_name(types[t]));
		}
	CHECK(packed_same(UL_BF16, (struct sides){1, 7, 45}, true, &arena) && packed_same(UL_F16, (struct sides){3, 9, 77}, true, &arena));
	ul_arena_release(&arena);
}

static void products_on(const char *name)
{
	path(name);
	for (int threads = 1; threads <= 3; threads++) {
		ul_set_threads(threads);
		products(threads == 1);
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
	products(true);
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
	float *x = ul_malloc(4 * N * sizeof *x), *y[] = {x + N, x + 2 * (size_t)N}, *work = ul_malloc(k[0]->gemm_work());
	ul_err err = {0};

	setenv("UNLEARN_KERNELS", "avx512", 1);
	if (!ul_cpu_runs(&err))
		SKIP("this processor does not run avx512");
	NEED(x && work);
	for (int i = 0; i < N; i++)
		x[i] = (float)any("bits", (uint64_t)i) * 30;
	for (int how = 0; how < 4; how++) {
		for (int i = 0; i < 2; i++)
			k[i]->gemm(&(ul_gemm){.ta = how & 1, .tb = how & 2, .m = 97, .n = 101, .k = 103, .lda = 103, .ldb = 103, .ldc = 101, .alpha = 0.75, .a = x, .b = x + 7, .c = y[i]}, work);
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
