/*
 * backend.h: one table of kernels per device and element type. Operators (ops_*.c) know calculus and shapes; kernels know loops.
 *
 * `ref` is plain C compiled for float and for double (ref/ is included twice with `real` defined); `cpu` is float with OpenBLAS
 * or own kernels and OpenMP. Pointers are backend memory. Kernels that "add" accumulate into their output.
 */
#ifndef UL_BACKEND_H
#define UL_BACKEND_H

#include "tensor/tensor.h"

typedef struct ul_attend_args {
	int q_heads, kv_heads, head_dim;
	double scale;
	int window;
	int seqs;
	const int *q_start;     /* [seqs + 1] rows of q */
	const int *past;        /* [seqs] positions in front of the first q row (0 without a cache) */
	const void *const *k;   /* [seqs] first key row of each sequence; row i lies i * kv_heads * head_dim elements on */
	const void *const *v;
} ul_attend_args;

struct ul_backend {
	const char *name;
	size_t elem; /* 4 or 8 */

	/* memory */
	void (*from_f64)(void *dst, const double *src, size_t n);
	void (*to_f64)(double *dst, const void *src, size_t n);
	void (*from_f32)(void *dst, const float *src, size_t n);
	void (*to_f32)(float *dst, const void *src, size_t n);

	/* C[m,n] = alpha · op(A) op(B) + beta · C; A is [m,k] or with ta [k,m]; ld* are row lengths in elements */
	void (*gemm)(bool ta, bool tb, int m, int n, int k, double alpha, const void *a, int lda, const void *b, int ldb, double beta, void *c, int ldc);

	/* elementwise over n */
	void (*fill)(void *y, double c, size_t n);
	void (*copy)(void *y, const void *x, size_t n);
	void (*axpby)(void *y, double a, const void *x, double b, size_t n);            /* y = a x + b y */
	void (*mul)(void *y, const void *x, const void *z, double beta, size_t n);      /* y = x z + beta y */
	void (*act)(int f, void *y, const void *x, size_t n);
	void (*act_grad)(int f, void *dx, const void *x, const void *dy, size_t n);     /* adds */
	void (*gate)(int f, void *y, const void *g, const void *u, size_t n);
	void (*gate_grad)(int f, void *dg, void *du, const void *g, const void *u, const void *dy, size_t n); /* adds; either may be NULL */
	void (*fn)(int f, void *y, const void *x, size_t n);
	void (*fn_grad)(int f, void *dx, const void *x, const void *y, const void *dy, size_t n); /* adds */

	/* rows */
	void (*add_bias)(void *y, const void *b, int rows, int cols);
	void (*sum_rows)(void *b, const void *y, int rows, int cols);                   /* b[cols] += Σ rows */
	void (*gather)(void *y, const void *x, const int *index, int n, int cols, double scale);
	void (*scatter_add)(void *dx, const void *dy, const int *index, int n, int cols, double scale); /* fixed order */
	void (*cols_copy)(void *y, const void *x, int rows, int xcols, int start, int width, int stride, int count);
	void (*cols_add)(void *dx, const void *dy, int rows, int xcols, int start, int width, int stride, int count);
	double (*dot)(const void *x, const void *y, size_t n); /* accumulated in double, fixed order */

	/* norms; stat keeps per group: rms: 1/rms; layernorm: mean, 1/sd (two numbers) */
	void (*rmsnorm)(void *y, double *stat, const void *x, const void *w, int groups, int cols, double eps, bool plus_one);
	void (*rmsnorm_grad)(void *dx, void *dw, const double *stat, const void *x, const void *w, const void *dy, int groups, int cols, bool plus_one);
	void (*layernorm)(void *y, double *stat, const void *x, const void *w, const void *b, int groups, int cols, double eps);
	void (*layernorm_grad)(void *dx, void *dw, void *db, const double *stat, const void *x, const void *w, const void *dy, int groups, int cols);

	/* attention */
	void (*rotate)(void *y, const void *x, const double *cs, int rows, int cols, int head_dim, int rot, bool back); /* cs [rows, rot]: cos then sin */
	void (*attend)(void *y, void *lse, const void *q, const ul_attend_args *a);   /* lse [rows, q_heads] */
	void (*attend_grad)(void *dq, void *const *dk, void *const *dv, const void *q, const void *y, const void *lse, const void *dy, const ul_attend_args *a); /* adds */

	/* softmax over logits z [rows, vocab], used by head chunks; everything per row */
	void (*logp)(void *z, double *lse, double *logp, const int *target, const ul_head_stats *want, int rows, int vocab); /* z untouched */
	void (*logp_grad)(void *z, const double *lse, const double *dlogp, const int *target, int rows, int vocab);          /* z <- dlogp (onehot - p) */
	void (*soft)(int kind, void *z, void *zref, double *loss, const double *dloss, double drop, const int *target, int rows, int vocab); /* loss; with dloss also z <- dz */

	/* optimisers, one fused pass over a parameter */
	void (*adamw)(void *w, const void *g, void *m, void *v, size_t n, double lr, double beta1, double beta2, double eps, double decay, double c1, double c2, double gscale);
	void (*sgd)(void *w, const void *g, void *m, size_t n, double lr, double momentum, double decay, double gscale);
};

extern const ul_backend ul_backend_ref, ul_backend_ref64, ul_backend_cpu;

#endif
