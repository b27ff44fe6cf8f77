/*
 * cpu.h: inside of the fast backend. Kernels (kern_*.h) work on a range of elements, rows or tasks with one thread's registers and
 * are compiled once per instruction set; drivers (cpu.c, gemm.c, attend.c) share ranges out to threads. Which thread computes what
 * never changes a bit: no output has two writers, and sums that cross ranges are cut at fixed places.
 */
#ifndef UL_CPU_H
#define UL_CPU_H

#include "tensor/backend.h"

/* Elements: every argument an elementwise kernel may have. */
typedef struct ul_span_args {
	int f;
	double a, b;
	float *y, *y2, *y3;
	const float *x, *z, *w;
	const void *more;
} ul_span_args;

typedef struct ul_row_args {
	int cols;
	double scale;
	float *y;
	const float *x, *z;
	const int *index;
	const double *c;
	double *out;
	int rows;
	const void *more;
} ul_row_args;

typedef struct ul_softmax_args {
	int vocab;
	float *z;
	double *lse, *logp;
	const double *dlogp;
	const int *target;
	const ul_head_stats *want;
} ul_softmax_args;

/* One sequence of one head, prepared by attend.c. */
typedef struct ul_attend_head {
	int n, past, window, head_dim;
	float scale;
	size_t q_step, kv_step; /* elements from row to row */
	const float *q, *k, *v, *dy, *y_in, *lse_in;
	float *y, *lse, *dq, *dk, *dv; /* dk, dv: [n, head_dim] of this query head alone */
	size_t lse_step;
	const float *kt, *vt; /* transposed by blocks of UL_KEYS keys: [block][head_dim][UL_KEYS] */
	float *work;
} ul_attend_head;
enum { UL_KEYS = 96,
	UL_QUERIES = 64,
	UL_FEW_ROWS = 32, /* rows of x up to which streaming the weights as they lie beats packing them */
	UL_FEW_ALONE = 4, /* rows of x that few_rows takes as they lie; more it takes turned */
	UL_FEW_LANES = 16, /* to a multiple of so many */
	UL_FEW_DEEP = 8192, /* columns of weights that few_rows takes: room for some rows of packed ones */
	UL_FEW_WIDE = 16 }; /* columns of its result written at once */

typedef void (*ul_range)(const void *args, size_t lo, size_t hi);

typedef struct ul_products { /* a way of making products */
	int rows, panel, panel_packed; /* rows and columns a product is computed in; columns in whole blocks of quantised weights */
	size_t (*work)(void); /* bytes of packing memory per thread */
	void (*gemm)(const ul_gemm *g, float *work); /* one thread */
} ul_products;

typedef struct ul_kernels {
	const char *name;
	ul_products floats; /* of floats */
	ul_products tiles_one, tiles_three, words_one; /* of bfloat16: kern_tiles.h; only where vectors are of 512 bits */
	ul_range few_rows; /* ul_gemm with m small, b transposed, and a as well above UL_FEW_ALONE rows: columns lo … hi - 1 of C */

	void (*turn)(float *to, int nr, const float *from, size_t ldfrom, int k, int n); /* to[p · nr + j] = from[j · ldfrom + p] for n rows j */

	ul_range act, act_grad, gate, gate_grad, axpby, add, mul; /* ul_span_args, ul_gate_args: elements */
	ul_range adamw, sgd; /* ul_span_args: elements */
	ul_range rows_axpy, gather, add_bias; /* ul_row_args: rows */
	ul_range scatter_add, sum_rows; /* ul_row_args: columns */
	ul_range rmsnorm, rmsnorm_dx, layernorm, layernorm_dx; /* ul_norm_args: groups */
	ul_range rmsnorm_dw, layernorm_dw; /* ul_norm_args: columns */
	ul_range rotate; /* ul_rotate_pair: rows */
	ul_range logp, logp_grad; /* ul_softmax_args: rows */
	ul_range soft; /* ul_soft_args: rows */
	double (*dot)(const float *x, const float *y, size_t n);
	double (*sqdist)(const float *x, const float *y, size_t n);

	void (*transpose_keys)(float *to, const float *from, size_t step, int n, int head_dim);
	size_t (*attend_work)(int n, int head_dim, int heads); /* elements per thread; n keys, heads that share them */
	void (*attend)(const ul_attend_head *h, int first, int rows); /* a block of query rows */
	void (*attend_few)(const ul_attend_head *h, int heads); /* a few rows of all heads that share keys, against a cache */
	void (*attend_grad)(const ul_attend_head *h);

	int probe_flops; /* of one round */
	double (*probe_fma)(size_t rounds);
	double (*probe_read)(const float *p, size_t n); /* n a multiple of 1024 */
} ul_kernels;

typedef struct ul_rotate_pair {
	const ul_rotate_args *a;
	float *y;
	const float *x;
} ul_rotate_pair;

extern const ul_kernels ul_kernels_avx512, ul_kernels_avx2, ul_kernels_base;
extern const ul_kernels ul_kernels_avx512_emulated; /* for tests: never chosen by itself */

/* paths.c: what this machine runs best, found once; the environment variable UNLEARN_KERNELS forces a path for tests. */
enum ul_product_path { UL_PRODUCT_OWN,
	UL_PRODUCT_BLAS,
	UL_PRODUCT_REF };
const ul_kernels *ul_cpu(void);
enum ul_product_path ul_cpu_products(void);
const ul_products *ul_cpu_own(void); /* of UL_PRODUCT_OWN, in the precision that was set */
const char *ul_cpu_products_name(void);
bool ul_cpu_proven(void); /* false: no processor that has these products has passed their tests */
bool ul_cpu_runs(ul_err *err); /* false: UNLEARN_KERNELS names a path that this machine or this build has not */

/* f over [0, n), cut into one range per thread at multiples of `unit`; not worth a second thread below `grain` elements each. */
void ul_cpu_share(ul_range f, const void *args, size_t n, size_t unit, size_t grain);

void ul_cpu_gemm(const ul_gemm *g);
void ul_cpu_attend(const ul_attend_args *a);
void ul_cpu_attend_grad(const ul_attend_args *a);

#endif
