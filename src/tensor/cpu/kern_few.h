/*
 * kern_few.h: x Wᵀ for a few rows of x, as in decoding: the weights are read once, where they lie, and every number read is used
 * for all rows at hand. A template over the vector width.
 */

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
			_Pragma("GCC unroll 4") for (int j = 0; j < 4; j++) b[j] = vf_load(w + (size_t)j * ldw + p);        \
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

static void few_rows(const void *args, size_t lo, size_t hi)
{
	static void (*const dots[])(const float *, size_t, const float *, size_t, size_t, float[4][4]) = {few_1, few_2, few_3, few_4};
	const ul_gemm *g = args;
	const float *b = g->b;
	float alpha = (float)g->alpha, beta = (float)g->beta;

	for (size_t j = lo; j < hi; j += 4) {
		/* the last columns are computed with the ones before them, so that four rows of w can be read; of fewer the first again */
		size_t n = hi - j < 4 ? hi - j : 4, back = g->n >= 4 && j + 4 > (size_t)g->n ? j + 4 - (size_t)g->n : 0;
		for (int i = 0; i < g->m; i += 4) {
			int m = g->m - i < 4 ? g->m - i : 4;
			const float *a = (const float *)g->a + (size_t)i * (size_t)g->lda;
			float out[4][4];
			dots[m - 1](a, (size_t)g->lda, b + (j - back) * (size_t)g->ldb, g->n >= 4 ? (size_t)g->ldb : 0, (size_t)g->k, out);
			for (size_t q = 0; q < n; q++) {
				if (g->n < 4 && q > 0)
					dots[m - 1](a, (size_t)g->lda, b + q * (size_t)g->ldb, 0, (size_t)g->k, out);
				for (int r = 0; r < m; r++) {
					float *c = (float *)g->c + (size_t)(i + r) * (size_t)g->ldc + j + q;
					*c = alpha * out[r][g->n < 4 ? 0 : q + back] + (beta != 0 ? beta * *c : 0);
				}
			}
		}
	}
}
