/*
 * products.h: the case table of matrix products: every edge of every blocking, against sums in double, within what the arithmetic
 * of a path may do at worst.
 */
#ifndef PRODUCTS_H
#define PRODUCTS_H

#include "grad.h"

/* What a product of two numbers may lose, and how many products are summed for each of them. */
struct arithmetic {
	double lost, terms;
	void (*gemm)(const ul_gemm *g); /* NULL: the backend's */
};

static inline double at(const float *a, int ld, bool t, int i, int p)
{
	return (double)(t ? a[(size_t)p * (size_t)ld + (size_t)i] : a[(size_t)i * (size_t)ld + (size_t)p]);
}

struct sides {
	int m, n, k;
};

/* In units of what rounding may do at worst, (lost + (terms k + 3) 2^-24) Σ |a b|. Rows are longer than needed, what lies between them must stay as it was, and what beta 0 finds in C must not be read. */
static inline double product_error(struct sides s, int how, double beta, const struct arithmetic *by, ul_arena *arena)
{
	bool ta = how & 1, tb = how & 2;
	int lda = (ta ? s.m : s.k) + 3, ldb = (tb ? s.k : s.n) + 1, ldc = s.n + 2;
	size_t na = (size_t)lda * (size_t)(ta ? s.k : s.m), nb = (size_t)ldb * (size_t)(tb ? s.n : s.k), nc = (size_t)ldc * (size_t)s.m;
	ul_mark mark = ul_arena_mark(arena);
	float *a = ul_alloc(arena, na * 4), *b = ul_alloc(arena, nb * 4), *c = ul_alloc(arena, nc * 4), *was = ul_alloc(arena, nc * 4);
	double worst = 0, bound = by->lost + (by->terms * s.k + 3) * 0x1p-24;

	for (size_t i = 0; i < na; i++)
		a[i] = (float)any("a", i);
	for (size_t i = 0; i < nb; i++)
		b[i] = (float)any("b", i);
	for (size_t i = 0; i < nc; i++)
		was[i] = c[i] = beta == 0 ? NAN : (float)any("c", i);
	(by->gemm ? by->gemm : ul_backend_cpu.gemm)(&(ul_gemm){.ta = ta, .tb = tb, .m = s.m, .n = s.n, .k = s.k, .lda = lda, .ldb = ldb, .ldc = ldc, .alpha = 0.75, .beta = beta, .a = a, .b = b, .c = c, .work = arena});
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
			double old = beta != 0 ? beta * (double)was[e] : 0, off = fabs((double)c[e] - (0.75 * sum + old)) / (bound * 0.75 * size + (s.k + 3) * 0x1p-24 * fabs(old) + 1e-30);
			worst = off > worst || off != off ? off : worst;
		}
	ul_arena_reset(arena, mark);
	return worst;
}

enum { SMALL = 1,
	LARGE = 2 };

static inline void products(int which, const struct arithmetic *by)
{
	static const int few[] = {1, 2, 3, 4, 5, 8, 9, 17}, wide[] = {1, 3, 4, 15, 16, 17, 31, 47, 48, 49, 95, 100}, deep[] = {0, 1, 7, 8, 19, 64};
	static const struct sides large[] = {{70, 129, 700}, {12, 300, 385}, {13, 500, 64}, {257, 33, 31}, {64, 2100, 390}, {3, 1030, 333}, {33, 8, 1100}, {4, 3000, 400}, {1500, 8, 300}};
	static const double betas[] = {0, 1, -0.5};
	ul_arena arena = {0};

	for (int how = 0; how < 4; how++) {
		double worst = 0;
		for (size_t i = 0; which & SMALL && i < sizeof few / sizeof *few; i++)
			for (size_t j = 0; j < sizeof wide / sizeof *wide; j++)
				for (size_t p = 0; p < sizeof deep / sizeof *deep; p++)
					worst = fmax(worst, product_error((struct sides){few[i], wide[j], deep[p]}, how, betas[(i + j + p) % 3], by, &arena));
		for (size_t i = 0; which & LARGE && i < sizeof large / sizeof *large; i++)
			worst = fmax(worst, product_error(large[i], how, betas[i % 3], by, &arena));
		CHECK_MSG(worst <= 1, "%s%s: off by %.2g times the bound", how & 1 ? "Aᵀ" : "A", how & 2 ? "Bᵀ" : "B", worst);
	}
	ul_arena_release(&arena);
}

/* Packed weights give the bits that the same weights give once they are floats, in every format, at every edge. */
static inline bool packed_same(enum ul_dtype t, struct sides s, bool tb, ul_arena *arena)
{
	int rows = tb ? s.n : s.k, cols = tb ? s.k : s.n;
	size_t n = (size_t)rows * (size_t)cols, bytes = ul_dtype_bytes(t, n);
	ul_mark mark = ul_arena_mark(arena);
	unsigned char *packed = ul_malloc(bytes); /* of its own: a sanitizer sees what reads past its end */
	float *x = ul_alloc(arena, (size_t)s.m * (size_t)s.k * 4), *wide = ul_alloc(arena, n * 4), *y = ul_alloc(arena, (size_t)s.m * (size_t)s.n * 8), *z = y + (size_t)s.m * (size_t)s.n;

	NEED(packed != NULL);
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
	ul_free(packed);
	ul_arena_reset(arena, mark);
	return same;
}

static inline void packed(void)
{
	static const enum ul_dtype types[] = {UL_BF16, UL_F16, UL_Q8_0, UL_Q4_0, UL_Q4_1, UL_Q5_0, UL_Q5_1};
	static const struct sides sides[] = {{1, 3, 64}, {1, 101, 288}, {2, 50, 32}, {5, 17, 96}, {2, 9, 8192}, {3, 33, 32}, {4, 18, 96}, {9, 40, 64}, {16, 23, 576}, {17, 37, 96}, {32, 16, 64}, {33, 96, 64}, {40, 160, 416}, {64, 1056, 800}, {64, 1060, 416}, {1, 40, 8224}};
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

#endif
