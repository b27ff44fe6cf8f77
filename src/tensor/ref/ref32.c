/*
 * ref32.c: the plain backend in float.
 */
#include "tensor/backend.h"

#include <math.h>
#include <string.h>

typedef float real;

#include "tensor/ref/ref_gemm.h"
#include "tensor/ref/ref_elements.h"
#include "tensor/ref/ref_rows.h"

const ul_backend ul_backend_ref = {
        .name = "ref",
        .elem = sizeof(real),
        .gemm = gemm,
#include "tensor/ref/ref_table.h"
};
