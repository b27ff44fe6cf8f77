/*
 * kern_avx2.c: the kernels compiled for AVX2 and FMA.
 */
#pragma GCC target("avx2,fma,f16c")
#pragma GCC optimize("O3")
#define UL_ISA 256
#define UL_KERNELS ul_kernels_avx2
#define UL_KERNELS_NAME "avx2"
#include "tensor/cpu/kern_all.h"
