/*
 * ref64.c: the plain backend in double: the judge of all others.
 */
#include "tensor/backend.h"

#include <math.h>
#include <string.h>

typedef double real;

#include "tensor/ref/ref_gemm.h"
#include "tensor/ref/ref_elements.h"
#include "tensor/ref/ref_rows.h"

const ul_backend ul_backend_ref64 = {
        .name = "ref64",
        .elem = sizeof(real),
        .gemm = gemm,
#include "tensor/ref/ref_table.h"
};
