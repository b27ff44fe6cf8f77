/*
 * kern_all.h: one instruction set's kernels and their table. Included by kern_<set>.c after its target pragma, with UL_ISA, UL_KERNELS
 * and UL_KERNELS_NAME defined.
 */
#include "tensor/cpu/cpu.h"

#include <math.h>
#include <string.h>

#include "tensor/cpu/simd.h"
#include "tensor/cpu/kern_elements.h"
#include "tensor/cpu/kern_unpack.h"
#include "tensor/cpu/kern_gemm.h"
#include "tensor/cpu/kern_few.h"
#if UL_ISA == 512
#include "tensor/cpu/tiles.h"
#include "tensor/cpu/kern_tiles.h"
#endif
#include "tensor/cpu/kern_rows.h"
#include "tensor/cpu/kern_attend.h"
#include "tensor/cpu/kern_probe.h"

const ul_kernels UL_KERNELS = {
        .name = UL_KERNELS_NAME,
        .floats = {8, NR, NB, gemm_work, gemm_one},
#if UL_ISA == 512
        .tiles_one = {SIDE, SIDE, SIDE, tiles_work, tiles_one},
        .tiles_three = {SIDE, SIDE, SIDE, tiles_work, tiles_three},
        .words_one = {SIDE, SIDE, SIDE, tiles_work, words_one},
#endif
        .few_rows = few_rows,
        .turn = turn,
        .act = act,
        .act_grad = act_grad,
        .gate = gate,
        .gate_grad = gate_grad,
        .axpby = axpby,
        .add = add,
        .mul = mul,
        .adamw = adamw,
        .sgd = sgd,
        .rows_axpy = rows_axpy,
        .gather = gather,
        .add_bias = add_bias,
        .scatter_add = scatter_add,
        .sum_rows = sum_rows,
        .rmsnorm = rmsnorm,
        .rmsnorm_dx = rmsnorm_dx,
        .layernorm = layernorm,
        .layernorm_dx = layernorm_dx,
        .rmsnorm_dw = rmsnorm_dw,
        .layernorm_dw = layernorm_dw,
        .rotate = rotate,
        .logp = logp,
        .logp_grad = logp_grad,
        .soft = soft,
        .dot = dot,
        .sqdist = sqdist,
        .transpose_keys = transpose_keys,
        .attend_work = attend_work,
        .attend = attend,
        .attend_few = attend_few,
        .attend_grad = attend_grad,
        .probe_flops = 2 * CHAINS * VW,
        .probe_fma = probe_fma,
        .probe_read = probe_read,
};
