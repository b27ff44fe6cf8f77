/*
 * test_tiles.c: products of bfloat16, in tiles and in vectors, through the case table of all others: with their instructions where a
 * processor has them, and with what stands in for them everywhere.
 */
#include "tensor/cpu/cpu.h"
#include "products.h"

#include <float.h>

/* bfloat16 has 8 significant bits, so rounding to nearest loses up to u = 2^-8 of a number. `one` product of two rounded numbers is
 * off by 2u + u². `three`: x = hi + lo up to u² |x|, so that leaving out the rest of either factor and lo·lo' costs 3u²; rounded
 * numbers exceed the true ones by up to u, which 2^-6 in the sums and 2^-7 here allow for. */
static struct arithmetic one = {.lost = 0x1p-7 + 0x1p-16, .terms = 1 + 0x1p-6}, three = {.lost = 3 * 0x1p-16 * (1 + 0x1p-7), .terms = 3 * (1 + 0x1p-6)};

static void path(const char *name, enum ul_precision p)
{
	ul_err err = {0};

	setenv("UNLEARN_KERNELS", name, 1);
	if (!ul_cpu_runs(&err))
		SKIP("this processor does not run %s", name);
	NEED_OK(ul_set_precision(p, &err), err);
	CHECK(!ul_cpu_proven() && !strcmp(ul_cpu_products_name(), name));
}

/* A product of a few rows takes another way when the backend is asked; this is the way of many rows. */
static void as_many(const ul_gemm *g)
{
	float *work = ul_malloc(ul_cpu_own()->work());

	NEED(work != NULL);
	if (g->m > 0 && g->n > 0 && g->k > 0)
		ul_cpu_own()->gemm(g, work);
	else
		ul_backend_cpu.gemm(g);
	ul_free(work);
}

/* However many threads share a product, its bits are the same. */
static void same_bits_on_threads(struct sides s, int how)
{
	float *x = ul_malloc(((size_t)s.m + (size_t)s.n) * (size_t)s.k * sizeof *x), *y = ul_malloc(2 * (size_t)s.m * (size_t)s.n * sizeof *y);
	ul_arena arena = {0};
	bool ta = how & 1, tb = how & 2;

	NEED(x && y);
	for (size_t i = 0; i < ((size_t)s.m + (size_t)s.n) * (size_t)s.k; i++)
		x[i] = (float)any("x", i);
	for (int t = 0; t < 2; t++) {
		ul_set_threads(1 + 2 * t);
		ul_backend_cpu.gemm(&(ul_gemm){.ta = ta, .tb = tb, .m = s.m, .n = s.n, .k = s.k, .lda = ta ? s.m : s.k, .ldb = tb ? s.k : s.n, .ldc = s.n, .alpha = 1, .a = x, .b = x + (size_t)s.m * (size_t)s.k, .c = y + (size_t)t * (size_t)s.m * (size_t)s.n, .work = &arena});
	}
	CHECK_MSG(!memcmp(y, y + (size_t)s.m * (size_t)s.n, (size_t)s.m * (size_t)s.n * sizeof *y), "%d x %d x %d, %d", s.m, s.n, s.k, how);
	ul_arena_release(&arena);
	ul_free(x);
	ul_free(y);
}

static void products_on(const char *name, enum ul_precision p, struct arithmetic *by)
{
	path(name, p);
	by->gemm = as_many;
	products(SMALL, by);
	by->gemm = NULL;
	ul_set_threads(3);
	products(LARGE, by);
	packed();
	for (int how = 0; how < 4; how++) {
		same_bits_on_threads((struct sides){600, 70, 300}, how);
		same_bits_on_threads((struct sides){70, 600, 530}, how);
	}
}

static void test_tiles__products_amx(void)
{
	products_on("amx", UL_PRECISION_F32, &three);
}

static void test_tiles__products_amx_bf16(void)
{
	products_on("amx", UL_PRECISION_BF16, &one);
}

static void test_tiles__products_avx512_bf16(void)
{
	products_on("avx512-bf16", UL_PRECISION_BF16, &one);
}

static void test_tiles__products_amx_emulated(void)
{
	products_on("amx-emulated", UL_PRECISION_F32, &three);
}

static void test_tiles__products_amx_emulated_bf16(void)
{
	products_on("amx-emulated", UL_PRECISION_BF16, &one);
}

static void test_tiles__products_avx512_bf16_emulated(void)
{
	products_on("avx512-bf16-emulated", UL_PRECISION_BF16, &one);
}

/* ---- what it costs, and that it is paid: the error that a run states lies where rounding to 8 or to 16 bits must bring it ---- */

static double error_on(const char *name, enum ul_precision p)
{
	path(name, p);
	return ul_product_error();
}

static void test_tiles__error_of_three(void)
{
	double e = error_on("amx-emulated", UL_PRECISION_F32);
	CHECK_MSG(e > 0x1p-20 && e < 0x1p-16, "%g", e);
}

static void test_tiles__error_of_one(void)
{
	double e = error_on("amx-emulated", UL_PRECISION_BF16);
	CHECK_MSG(e > 0x1p-10 && e < 0x1p-7, "%g", e);
}

static void test_tiles__error_of_vectors(void)
{
	double e = error_on("avx512-bf16-emulated", UL_PRECISION_BF16);
	CHECK_MSG(e > 0x1p-10 && e < 0x1p-7, "%g", e);
}

static void test_tiles__floats_have_the_error_of_floats(void)
{
	setenv("UNLEARN_KERNELS", "avx512-emulated", 1);
	double e = ul_product_error();
	CHECK_MSG(e > 0 && e < 0x1p-20, "%g", e);
}

static void refused_on(const char *name)
{
	ul_err err = {0};

	setenv("UNLEARN_KERNELS", name, 1);
	CHECK(!ul_set_precision(UL_PRECISION_BF16, &err) && strstr(err.msg, "every matrix product here runs in f32") && ul_precision() == UL_PRECISION_F32);
}

static void test_tiles__bf16_is_refused_by_floats(void)
{
	refused_on("avx512-emulated");
}

static void test_tiles__bf16_is_refused_by_ref(void)
{
	refused_on("ref");
}

/* ---- numbers at the ends of their range ---- */

static float times(double x, double y) /* x in a row of zeros, y in a column of zeros */
{
	float a[40] = {0}, b[40] = {0}, c = 0;

	a[20] = (float)x;
	b[20] = (float)y;
	as_many(&(ul_gemm){.tb = true, .m = 1, .n = 1, .k = 40, .lda = 40, .ldb = 40, .ldc = 1, .alpha = 1, .a = a, .b = b, .c = &c});
	return c;
}

static void ends_on(const char *name, enum ul_precision p, double lost)
{
	path(name, p);
	CHECK(fabs((double)times(FLT_MAX, 0.5) / (0.5 * (double)FLT_MAX) - 1) <= lost);
	CHECK(fabs((double)times(-FLT_MAX, 0.5) / (-0.5 * (double)FLT_MAX) - 1) <= lost);
	CHECK(isnan(times(NAN, 1)) && isnan(times(1, NAN)) && isnan(times(INFINITY, 0)));
	CHECK(p == UL_PRECISION_BF16 ? times(INFINITY, -2) == -INFINITY : !isfinite(times(INFINITY, -2)));
	CHECK(fabsf(times(1e-40, 1)) <= 1e-37f && times(0, 5) == 0);
}

static void test_tiles__ends_amx_emulated(void)
{
	ends_on("amx-emulated", UL_PRECISION_F32, three.lost);
}

static void test_tiles__ends_amx_emulated_bf16(void)
{
	ends_on("amx-emulated", UL_PRECISION_BF16, one.lost);
}

static void test_tiles__ends_avx512_bf16_emulated(void)
{
	ends_on("avx512-bf16-emulated", UL_PRECISION_BF16, one.lost);
}

/* NaNs made of their last bits alone must not round to infinity. */
static void test_tiles__a_small_nan_stays_one(void)
{
	uint32_t bits = 0x7f800001;
	float x;

	memcpy(&x, &bits, sizeof x);
	path("amx-emulated", UL_PRECISION_BF16);
	float a[1] = {x}, b[1] = {1}, c = 0;
	as_many(&(ul_gemm){.m = 1, .n = 1, .k = 1, .lda = 1, .ldb = 1, .ldc = 1, .alpha = 1, .a = a, .b = b, .c = &c});
	CHECK(isnan(c));
}
