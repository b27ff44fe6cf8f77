/* ref_gemm.h: the judge's product, a template over `real`: every sum in double, in order. */

static void gemm(const ul_gemm *g)
{
	const real *a = g->a, *b = g->b;
	real *c = g->c;
	size_t arow = g->ta ? 1 : (size_t)g->lda, acol = g->ta ? (size_t)g->lda : 1;
	UL_ASSERT(g->b_as == UL_F32, "the judge multiplies %s", ul_dtype_name(g->b_as));
	size_t brow = g->tb ? 1 : (size_t)g->ldb, bcol = g->tb ? (size_t)g->ldb : 1;

	for (int i = 0; i < g->m; i++)
		for (int j = 0; j < g->n; j++) {
			const real *ai = a + (size_t)i * arow, *bj = b + (size_t)j * bcol;
			real *cij = c + (size_t)i * (size_t)g->ldc + j;
			double sum = 0;
			for (int p = 0; p < g->k; p++)
				sum += (double)ai[(size_t)p * acol] * (double)bj[(size_t)p * brow];
			*cij = (real)(g->alpha * sum + (g->beta != 0 ? g->beta * (double)*cij : 0));
		}
}
