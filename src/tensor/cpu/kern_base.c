/*
 * kern_base.c: the kernels compiled for what every x86-64 has.
 */
#pragma GCC optimize("O3")
#define UL_ISA 128
#define UL_KERNELS ul_kernels_base
#define UL_KERNELS_NAME "base"
#include "tensor/cpu/kern_all.h"
