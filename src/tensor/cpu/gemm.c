/*
 * gemm.c: products shared out to threads. Each thread owns a range of columns or rows of C and packs for itself, so that nobody
 * waits for anybody and no bit depends on who was faster.
 */
#include "tensor/cpu/cpu.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <string.h>

enum { SMALL = 2 << 20 }; /* multiplications, some 20 µs: less is not worth waking a thread */

__attribute__((weak)) void openblas_set_num_threads(int n);

static void by_blas(const ul_gemm *g)
{
	if (openblas_set_num_threads)
		openblas_set_num_threads(ul_threads());
	cblas_sgemm(CblasRowMajor, g->ta ? CblasTrans : CblasNoTrans, g->tb ? CblasTrans : CblasNoTrans, g->m, g->n, g->k, (float)g->alpha, g->a, g->lda, g->b, g->ldb, (float)g->beta, g->c, g->ldc);
}

static void plainly(const ul_gemm *g)
{
	const float *a = g->a, *b = g->b;
	size_t ai = g->ta ? 1 : (size_t)g->lda, ap = g->ta ? (size_t)g->lda : 1, bp = g->tb ? 1 : (size_t)g->ldb, bj = g->tb ? (size_t)g->ldb : 1;

	for (int i = 0; i < g->m; i++)
		for (int j = 0; j < g->n; j++) {
			float *c = (float *)g->c + (size_t)i * (size_t)g->ldc + j, sum = 0;
			for (int p = 0; p < g->k; p++)
				sum += a[(size_t)i * ai + (size_t)p * ap] * b[(size_t)p * bp + (size_t)j * bj];
			*c = (float)g->alpha * sum + (g->beta != 0 ? (float)g->beta * *c : 0);
		}
}

/* B of a product that knows only floats, unpacked as a whole. */
static bool widen(ul_gemm *g)
{
	size_t rows = (size_t)(g->tb ? g->n : g->k), n = rows * (size_t)g->ldb;
	float *b = g->b_as == UL_F32 ? NULL : ul_alloc_raw(g->work, n * sizeof *b);

	if (g->b_as == UL_F32)
		return true;
	if (b)
		ul_dequantize(g->b_as, g->b, b, n);
	g->b_as = UL_F32;
	g->b = b;
	return b != NULL;
}

static void plain_way(const ul_gemm *g, void (*product)(const ul_gemm *g))
{
	ul_gemm wide = *g;
	ul_mark mark = ul_arena_mark(g->work);

	if (widen(&wide))
		product(&wide);
	ul_arena_reset(g->work, mark);
}

/* Rows [r, r + m) and columns [c, c + n) of the product. */
static ul_gemm part_of(const ul_gemm *g, int r, int m, int c, int n)
{
	ul_gemm p = *g;

	p.m = m;
	p.n = n;
	p.a = (const float *)g->a + (g->ta ? (size_t)r : (size_t)r * (size_t)g->lda);
	p.b = (const char *)g->b + ul_dtype_bytes(g->b_as, g->tb ? (size_t)c * (size_t)g->ldb : (size_t)c);
	p.c = (float *)g->c + (size_t)r * (size_t)g->ldc + c;
	return p;
}

static int units(int n, int unit)
{
	return (n + unit - 1) / unit;
}

/* The t-th of `threads` parts of n, cut at multiples of unit. */
static void cut(int n, int unit, int t, int threads, int *from, int *count)
{
	int u = units(n, unit), lo = (int)((int64_t)u * t / threads) * unit, hi = (int)((int64_t)u * (t + 1) / threads) * unit;

	lo = lo < n ? lo : n;
	hi = hi < n ? hi : n;
	*from = lo;
	*count = hi - lo;
}

static void by_own(const ul_gemm *g)
{
	const ul_products *k = ul_cpu_own();
	int threads = (double)g->m * g->n * g->k < SMALL ? 1 : ul_threads();
	size_t each = (k->work() + 63) / 64 * 64;
	ul_mark mark = ul_arena_mark(g->work);
	char *work = ul_alloc_raw(g->work, each * (size_t)threads);
	int panel = g->b_as == UL_F32 ? k->panel : k->panel_packed;
	/* by columns unless whole panels would leave threads idle */
	int wide = (units(units(g->n, panel), threads)) * panel, tall = units(units(g->m, k->rows), threads) * k->rows;
	bool by_cols = (double)wide * g->m <= 1.1 * (double)tall * g->n;

	if (!work)
		return;
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
	for (int t = 0; t < threads; t++) {
		int r = 0, m = g->m, c = 0, n = g->n;
		if (by_cols)
			cut(g->n, panel, t, threads, &c, &n);
		else
			cut(g->m, k->rows, t, threads, &r, &m);
		ul_gemm p = part_of(g, r, m, c, n);
		if (m > 0 && n > 0)
			k->gemm(&p, (float *)(void *)(work + (size_t)t * each));
	}
	ul_arena_reset(g->work, mark);
}

static void scaled(const ul_gemm *g) /* C = beta C */
{
	for (int i = 0; i < g->m; i++)
		for (int j = 0; j < g->n; j++) {
			float *c = (float *)g->c + (size_t)i * (size_t)g->ldc + j;
			*c = g->beta != 0 ? (float)g->beta * *c : 0;
		}
}

/* A few rows of x: the weights are read once. Beyond UL_FEW_ALONE x is turned, [k, lanes], zeros behind the last row. */
static void by_few(const ul_gemm *g)
{
	int lanes = (g->m + UL_FEW_LANES - 1) / UL_FEW_LANES * UL_FEW_LANES;
	ul_mark mark = ul_arena_mark(g->work);
	ul_gemm few = *g;

	if (g->m > UL_FEW_ALONE) {
		float *turned = ul_alloc(g->work, (size_t)g->k * (size_t)lanes * sizeof *turned);
		if (!turned)
			return;
		ul_cpu()->turn(turned, lanes, g->a, (size_t)g->lda, g->k, g->m);
		few.ta = true;
		few.a = turned;
		few.lda = lanes;
	}
	ul_cpu_share(ul_cpu()->few_rows, &few, (size_t)g->n, UL_FEW_WIDE, (size_t)(SMALL / 16 / g->k + 1));
	ul_arena_reset(g->work, mark);
}

void ul_cpu_gemm(const ul_gemm *g)
{
	UL_ASSERT(g->work, "a product needs an arena to work in");
	if (g->m <= 0 || g->n <= 0)
		return;
	if (g->k <= 0)
		scaled(g);
	else if (ul_cpu_products() == UL_PRODUCT_BLAS)
		plain_way(g, by_blas);
	else if (ul_cpu_products() == UL_PRODUCT_REF)
		plain_way(g, plainly);
	else if (g->tb && !g->ta && g->m <= UL_FEW_ROWS && g->k <= UL_FEW_DEEP)
		by_few(g);
	else
		by_own(g);
}
