/*
 * kern_avx512_emulated.c: the kernels of AVX-512 with its width, tiles and masks in plain C, for tests on machines without it.
 */
#define UL_ISA 512
#define UL_EMULATED
#define UL_KERNELS ul_kernels_avx512_emulated
#define UL_KERNELS_NAME "avx512-emulated"
#include "tensor/cpu/kern_all.h"
