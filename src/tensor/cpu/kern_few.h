/*
 * kern_few.h: x Wᵀ for a few rows of x, as in decoding: the weights are read once, where they lie, and every number read is used
 * for all rows at hand. A template over the vector width.
 */

/* Rows of weights that are fetched before their turn: the streams of four rows at once are too short for the hardware to follow. */
enum { AHEAD = 12 };

/* dot products of M rows of x and 4 rows of w, whole vectors; the rest of k follows in the caller */
#define FEW(M)                                                                                                              \
	static void few_##M(const float *x, size_t ldx, const float *w, size_t ldw, size_t k, float out[4][4])              \
	{                                                                                                                   \
		vf acc[M][4];                                                                                               \
		size_t p = 0;                                                                                               \
		_Pragma("GCC unroll 4") for (int i = 0; i < M; i++)                                                         \
		        _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++) acc[i][j] = (vf){0};                            \
		for (; p + VW <= k; p += VW) {                                                                              \
			vf b[4];                                                                                            \
			_Pragma("GCC unroll 4") for (int j = 0; j < 4; j++)                                                 \
			{                                                                                                   \
				__builtin_prefetch(w + (AHEAD + (size_t)j) * ldw + p);                                      \
				b[j] = vf_load(w + (size_t)j * ldw + p);                                                    \
			}                                                                                                   \
			_Pragma("GCC unroll 4") for (int i = 0; i < M; i++)                                                 \
			{                                                                                                   \
				vf a = vf_load(x + (size_t)i * ldx + p);                                                    \
				_Pragma("GCC unroll 4") for (int j = 0; j < 4; j++) acc[i][j] = vf_fma(a, b[j], acc[i][j]); \
			}                                                                                                   \
		}                                                                                                           \
		_Pragma("GCC unroll 4") for (int i = 0; i < M; i++)                                                         \
		        _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++)                                                 \
		{                                                                                                           \
			out[i][j] = vf_sum(acc[i][j]);                                                                      \
			for (size_t r = p; r < k; r++)                                                                      \
				out[i][j] += x[(size_t)i * ldx + r] * w[(size_t)j * ldw + r];                               \
		}                                                                                                           \
	}
FEW(1)
FEW(2)
FEW(3)
FEW(4)

/* Rows j … j + n - 1 of the weights as floats: where they lie, or unpacked into `room` [n, k]. */
static const float *rows_of(const ul_gemm *g, size_t j, size_t n, float *room, size_t *step)
{
	if (g->b_as == UL_F32) {
		*step = (size_t)g->ldb;
		return (const float *)g->b + j * (size_t)g->ldb;
	}
	size_t bytes = ul_dtype_bytes(g->b_as, (size_t)g->ldb), k = (size_t)g->k;
	for (size_t i = 0; i < n; i++)
		unpack(g->b_as, (const uint8_t *)g->b + (j + i) * bytes, 0, k, room + i * k);
	*step = k;
	return room;
}

/* One row of x with four rows of packed weights, unpacked in registers; the sums run as in few_1. False where k is no multiple of 32. */
#define ONE(type, bytes, read)                                                                  \
	case type:                                                                              \
		for (size_t p = 0; p < k; p += 32, w += (bytes))                                \
			_Pragma("GCC unroll 4") for (int j = 0; j < 4; j++)                     \
			{                                                                       \
				__builtin_prefetch(w + (AHEAD + (size_t)j) * step);             \
				vf v[PER];                                                      \
				read(w + (size_t)j * step, v);                                  \
				_Pragma("GCC unroll 4") for (int i = 0; i < PER; i++)           \
				        acc[j] = vf_fma(vf_load(x + p + i * VW), v[i], acc[j]); \
			}                                                                       \
		break;

static bool one_packed(enum ul_dtype t, const float *x, const uint8_t *w, size_t step, size_t k, float out[4])
{
	vf acc[4] = {{0}, {0}, {0}, {0}};

	if (k % 32)
		return false;
	switch (t) {
		PACKED_FORMATS(ONE)
	default:
		return false;
	}
	for (int j = 0; j < 4; j++)
		out[j] = vf_sum(acc[j]);
	return true;
}

/* Columns j … j + n - 1, n <= 4, of x Wᵀ into `to`, whose rows are UL_FEW_WIDE long. */
static void four(const ul_gemm *g, size_t j, size_t n, float *room, float *to)
{
	static void (*const dots[])(const float *, size_t, const float *, size_t, size_t, float[4][4]) = {few_1, few_2, few_3, few_4};
	/* the last columns are computed with the ones before them, so that four rows of w can be read; of fewer than four the first again */
	size_t back = g->n >= 4 && j + 4 > (size_t)g->n ? j + 4 - (size_t)g->n : 0, k = (size_t)g->k, step;
	bool four = g->n >= 4;
	float out[4][4];

	if (g->m == 1 && four && g->b_as != UL_F32) {
		size_t bytes = ul_dtype_bytes(g->b_as, (size_t)g->ldb);
		if (one_packed(g->b_as, g->a, (const uint8_t *)g->b + (j - back) * bytes, bytes, k, out[0])) {
			memcpy(to, out[0] + back, n * sizeof *to);
			return;
		}
	}
	const float *w = rows_of(g, j - back, four ? 4 : n, room, &step);
	for (int i = 0; i < g->m; i += 4) {
		int m = g->m - i < 4 ? g->m - i : 4;
		const float *a = (const float *)g->a + (size_t)i * (size_t)g->lda;
		dots[m - 1](a, (size_t)g->lda, w, four ? step : 0, k, out);
		for (size_t q = 0; q < n; q++) {
			if (!four && q > 0)
				dots[m - 1](a, (size_t)g->lda, w + q * step, 0, k, out);
			for (int r = 0; r < m; r++)
				to[(size_t)(i + r) * UL_FEW_WIDE + q] = out[r][four ? q + back : 0];
		}
	}
}

/* C is written a cache line at a time: its rows may lie a power of two apart, where lines displace one another. */
static void few_rows(const void *args, size_t lo, size_t hi)
{
	const ul_gemm *g = args;
	float alpha = (float)g->alpha, beta = (float)g->beta, room[4 * UL_FEW_DEEP], tile[UL_FEW_ROWS * UL_FEW_WIDE];

	for (size_t j = lo; j < hi; j += UL_FEW_WIDE) {
		size_t n = hi - j < UL_FEW_WIDE ? hi - j : UL_FEW_WIDE;
		for (size_t q = 0; q < n; q += 4)
			four(g, j + q, n - q < 4 ? n - q : 4, room, tile + q);
		for (int r = 0; r < g->m; r++) {
			float *c = (float *)g->c + (size_t)r * (size_t)g->ldc + j;
			for (size_t q = 0; q < n; q++)
				c[q] = alpha * tile[(size_t)r * UL_FEW_WIDE + q] + (beta != 0 ? beta * c[q] : 0);
		}
	}
}
