/*
 * kern_avx512.c: the kernels compiled for AVX-512 (F, BW, DQ, VL).
 */
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#pragma GCC optimize("O3")
#define UL_ISA 512
#define UL_KERNELS ul_kernels_avx512
#define UL_KERNELS_NAME "avx512"
#include "tensor/cpu/kern_all.h"
