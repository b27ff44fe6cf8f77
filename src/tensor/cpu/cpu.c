/*
 * cpu.c: the fast backend, in float.
 */
#include "tensor/backend.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

typedef float real;

#include "tensor/ref/ref_elements.h"
#include "tensor/ref/ref_rows.h"

static void product(const ul_gemm *g)
{
	cblas_sgemm(CblasRowMajor, g->ta ? CblasTrans : CblasNoTrans, g->tb ? CblasTrans : CblasNoTrans, g->m, g->n, g->k, (float)g->alpha, g->a, g->lda, g->b, g->ldb, (float)g->beta, g->c, g->ldc);
}

const ul_backend ul_backend_cpu = {
        .name = "cpu",
        .elem = sizeof(real),
        .gemm = product,
#include "tensor/ref/ref_table.h"
};
