/*
 * backend.h: one table of kernels per device and element type. Operators (ops_*.c) know calculus and shapes; kernels know loops.
 *
 * `ref` is plain C compiled for float and for double (the files of ref/ are templates over `real`); `cpu` is float, with own or
 * OpenBLAS products and OpenMP. Pointers named void are backend memory. Kernels that "add" accumulate into their output. `work` is
 * an arena a kernel may use and leaves as it found it; running out is sticky there and the tape reports it.
 */
#ifndef UL_BACKEND_H
#define UL_BACKEND_H

#include "tensor/tensor.h"

/* C[m,n] = alpha · op(A) op(B) + beta · C; A is [m,k] or with ta [k,m], B is [k,n] or with tb [n,k]; ld* are row lengths in
 * elements. With beta 0 what C held is not read. B may be weights as a file stores them (only in backend cpu): ul_packs says which. */
typedef struct ul_gemm {
	bool ta, tb;
	enum ul_dtype b_as; /* UL_F32: elements of the backend */
	int m, n, k;
	int lda, ldb, ldc;
	double alpha, beta;
	const void *a, *b;
	void *c;
	ul_arena *work;
} ul_gemm;

typedef struct ul_gate_args { /* y = f(g) ⊙ u over n; the gradients add and may be NULL */
	int f; /* enum ul_act */
	size_t n;
	const void *g, *u, *dy;
	void *y, *dg, *du;
} ul_gate_args;

typedef struct ul_cols_args { /* `count` groups of `width` columns, the i-th at start + i·stride of rows of xcols */
	int rows, xcols, start, width, stride, count;
} ul_cols_args;

typedef struct ul_norm_args {
	int groups, cols;
	double eps;
	bool plus_one; /* rms: the weight is 1 + w */
	const void *x, *w, *b, *dy;
	void *y;
	double *stat; /* per group; rms: 1/rms; layernorm: mean, 1/sd (two numbers) */
	void *dx, *dw, *db; /* add; may be NULL */
	ul_arena *work;
} ul_norm_args;

typedef struct ul_rotate_args {
	int rows, cols, head_dim, rot;
	const void *cs; /* [rows, rot]: rot/2 cosines, then rot/2 sines */
	bool back, add; /* the inverse turn; y += instead of y = */
} ul_rotate_args;

typedef struct ul_attend_args {
	int q_heads, kv_heads, head_dim, window, seqs;
	double scale;
	const int *start; /* [seqs + 1]: rows of q, y, dy, dq */
	const int *past; /* [seqs]: positions in front of the first q row (0 without a cache) */
	const void *const *k, *const *v; /* [seqs]: first key row of each sequence; rows are kv_heads · head_dim long */
	const void *q;
	void *y, *lse; /* [rows, q_heads · head_dim], [rows, q_heads] */
	const void *dy; /* backward, without a past; the gradients add and may be NULL */
	void *dq, *const *dk, *const *dv;
	ul_arena *work;
} ul_attend_args;

typedef struct ul_soft_args { /* one row of loss per row of logits */
	int kind, rows, vocab;
	void *z, *zref; /* logits of the model and of the reference; zref is spoilt */
	double drop; /* taken off the reference's logit of the target first */
	const int *target;
	double *loss;
	const double *dloss; /* NULL, or z <- dloss · d loss / d z */
} ul_soft_args;

typedef struct ul_adamw {
	double lr, beta1, beta2, eps, decay; /* decay is decoupled: w -= lr · decay · w */
	double c1, c2; /* bias corrections 1 - beta^step */
	double gscale; /* on the gradient: clipping */
} ul_adamw;

typedef struct ul_sgd {
	double lr, momentum, decay, gscale; /* torch.optim.SGD: decay joins the gradient; m = momentum · m + g; w -= lr · m */
} ul_sgd;

struct ul_backend {
	const char *name;
	size_t elem; /* 4 or 8 */

	/* memory */
	void (*from_f64)(void *dst, const double *src, size_t n);
	void (*to_f64)(double *dst, const void *src, size_t n);
	void (*from_f32)(void *dst, const float *src, size_t n);
	void (*to_f32)(float *dst, const void *src, size_t n);

	void (*gemm)(const ul_gemm *g);

	/* elementwise over n */
	void (*fill)(void *y, double c, size_t n);
	void (*copy)(void *y, const void *x, size_t n);
	void (*axpby)(void *y, double a, const void *x, double b, size_t n); /* y = a x + b y; with b 0 y is not read */
	void (*add)(void *y, const void *x, double c, const void *z, size_t n); /* y = x + c z */
	void (*mul)(void *y, const void *x, const void *z, double beta, size_t n); /* y = x z + beta y */
	void (*act)(int f, void *y, const void *x, size_t n);
	void (*act_grad)(int f, void *dx, const void *x, const void *dy, size_t n); /* adds */
	void (*gate)(const ul_gate_args *a);
	void (*gate_grad)(const ul_gate_args *a);
	void (*fn)(int f, void *y, const void *x, size_t n);
	void (*fn_grad)(int f, void *dx, const void *x, const void *dy, size_t n); /* adds */
	void (*cap)(void *y, const void *x, double cap, size_t n); /* min(x, cap) */
	void (*cap_grad)(void *dx, const void *x, const void *dy, double cap, size_t n); /* adds */

	/* rows */
	void (*add_bias)(void *y, const void *b, int rows, int cols);
	void (*sum_rows)(void *b, const void *y, int rows, int cols, ul_arena *work); /* b[cols] += Σ rows */
	void (*gather)(void *y, const void *x, const int *index, int n, int cols, double scale);
	void (*scatter_add)(void *dx, const void *dy, const int *index, int n, int cols, double scale); /* fixed order */
	void (*cols_copy)(void *y, const void *x, const ul_cols_args *a);
	void (*cols_add)(void *dx, const void *dy, const ul_cols_args *a);
	void (*rows_axpy)(void *y, const double *c, const void *x, int rows, int cols); /* y[r] += c[r] · x[r] */
	void (*rows_dot)(double *out, const void *x, const void *y, int rows, int cols);
	void (*rows_sqdist)(double *out, const void *x, const void *y, int rows, int cols); /* Σ (x - y)² */
	double (*dot)(const void *x, const void *y, size_t n); /* accumulated in double, fixed order */
	double (*sum)(const void *x, size_t n); /* the same */

	void (*rmsnorm)(const ul_norm_args *a);
	void (*rmsnorm_grad)(const ul_norm_args *a);
	void (*layernorm)(const ul_norm_args *a);
	void (*layernorm_grad)(const ul_norm_args *a);

	void (*rotate)(void *y, const void *x, const ul_rotate_args *a);
	void (*attend)(const ul_attend_args *a);
	void (*attend_grad)(const ul_attend_args *a);

	/* softmax over logits z [rows, vocab] of one chunk of head + loss */
	void (*logp)(const void *z, const int *target, double *lse, double *logp, const ul_head_stats *want, const int shape[2]);
	void (*logp_grad)(void *z, const double *lse, const double *dlogp, const int *target, const int shape[2]); /* z <- dlogp (onehot - p) */
	void (*soft)(const ul_soft_args *a);

	/* optimisers, one fused pass over a parameter */
	void (*adamw)(void *w, const void *g, void *m, void *v, size_t n, const ul_adamw *o);
	void (*sgd)(void *w, const void *g, void *m, size_t n, const ul_sgd *o); /* m may be NULL without momentum */
};

extern const ul_backend ul_backend_ref, ul_backend_ref64, ul_backend_cpu;

#endif
