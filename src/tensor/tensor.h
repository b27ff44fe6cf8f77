/*
 * tensor.h: values, operators and their gradients, as the floors above see them.
 *
 * An eager tape over coarse, fused operators. Everything is a matrix [rows, cols], dense and row-major; sequences are packed end
 * to end and their boundaries travel as spans. No strides, views, broadcasting, in-place operators or padding masks: that is why
 * a backward rule is a few lines and can stand directly beside its operator.
 *
 * Elements are of the backend's type: float, or double for the judge (`ref64`). No code above tensor/ dereferences the memory of
 * a value; it asks for a copy with ul_read.
 */
#ifndef UL_TENSOR_H
#define UL_TENSOR_H

#include "base/base.h"

/* ---- dtypes of files ---- */

enum ul_dtype {
	UL_F32,
	UL_F16,
	UL_BF16,
	UL_F64,
	UL_Q8_0,
	UL_Q4_0,
	UL_Q4_1,
	UL_Q5_0,
	UL_Q5_1,
	UL_Q4_K,
	UL_Q5_K,
	UL_Q6_K,
	UL_DTYPES
};

const char *ul_dtype_name(enum ul_dtype t); /* "F32", "BF16", "Q4_K", … */
size_t ul_dtype_bytes(enum ul_dtype t, size_t n); /* bytes of n elements; n must fill whole blocks */
size_t ul_dtype_block(enum ul_dtype t); /* elements per block: 1, 32 or 256 */
void ul_dequantize(enum ul_dtype t, const void *src, float *dst, size_t n);
void ul_quantize(enum ul_dtype t, const float *src, void *dst, size_t n); /* F32 F16 BF16 Q8_0 */

/* ---- backend: memory and kernels, chosen at run time ---- */

typedef struct ul_backend ul_backend; /* the table of kernels: tensor/backend.h */

const ul_backend *ul_backend_get(const char *name, ul_err *err); /* "cpu", "ref", "ref64" */
/* Products over so few rows take another way than over more: the bits of a row then depend on how many there are. */
bool ul_rows_alone(const ul_backend *be, int rows);
void ul_set_threads(int n); /* 0 = physical cores; before the first operator */
int ul_threads(void);

/* What the factors of a matrix product on "cpu" are rounded to; sums are f32 either way. Before the first operator. False: the
 * path in use multiplies floats only. Products over so few rows that ul_rows_alone says so stay in f32. */
enum ul_precision { UL_PRECISION_F32,
	UL_PRECISION_BF16 };
bool ul_set_precision(enum ul_precision p, ul_err *err);
enum ul_precision ul_precision(void);
double ul_product_error(void); /* of a product of random numbers in that precision, measured: ‖C - exact C‖ / ‖exact C‖ */
const char *ul_path_off(int i); /* the i-th path that only its name in UNLEARN_KERNELS switches on, or NULL */

typedef struct ul_probe { /* cpu/probe.c: the limits of this machine, measured in some 100 ms */
	const char *kernels; /* instruction set of the kernels in use: "avx512", "avx2", "base" */
	const char *products; /* whose matrix products: "own", "blas", "ref", "amx", "avx512-bf16" */
	bool proven; /* false: these products have never passed their tests on a processor that has them */
	double error; /* ul_product_error */
	int threads;
	double flops, bytes; /* per second on these threads: f32 multiply-adds from registers, memory read */
} ul_probe;
bool ul_probe_machine(ul_probe *out, ul_err *err);

/* ---- parameters ---- */

typedef struct ul_param ul_param;

/* One adapter on a linear weight: y += scale · (x Aᵀ) Bᵀ. Several may be stacked on one weight. */
typedef struct ul_lora {
	ul_param *a, *b; /* a: [rank, in], b: [out, rank] */
	int rank;
	double scale; /* alpha / rank, or alpha / sqrt(rank) for rsLoRA */
	struct ul_lora *next;
} ul_lora;

struct ul_param {
	const char *name; /* Hugging Face state-dict name */
	int rows, cols; /* linear weights [out, in]; vectors [1, n] */
	bool vector; /* 1-d in the file */
	bool transposed; /* the file stores [in, out] (GPT-2's Conv1D); in memory it is [out, in] like every other */
	enum ul_dtype dtype; /* in the file it came from */
	void *data; /* backend elements; may be mapped read-only while not trainable. NULL while `packed` stands for it */
	const void *packed; /* rows as the file stores them, which products read as they are; NULL once anybody wants to write */
	void *grad; /* backend elements, or NULL while not trainable */
	bool trainable;
	bool borrowed; /* data, or packed, is not ours to free (a mapped file, or shared with another model) */
	ul_lora *lora;
	const ul_backend *be;
};

ul_param *ul_param_new(ul_arena *a, const ul_backend *be, const char *name, int rows, int cols); /* data zeroed, owned */
void ul_param_release(ul_param *p); /* frees data and grad it owns */
bool ul_param_own(ul_param *p, ul_err *err); /* data that may be written, without being trained: a copy, or unpacked */
bool ul_param_train(ul_param *p, bool on, ul_err *err); /* the same, and allocates grad; or frees grad */
bool ul_packs(const ul_backend *be, enum ul_dtype t, int cols); /* products of this backend read such rows as they are */
void ul_param_get(const ul_param *p, double *out); /* copies; row-major as in memory */
void ul_param_set(ul_param *p, const double *in);
void ul_param_get_f32(const ul_param *p, float *out);
void ul_param_rows_f32(const ul_param *p, int row, int n, float *out); /* [n, cols] */
void ul_param_set_f32(ul_param *p, const float *in);
void ul_param_grad(const ul_param *p, double *out);

/* ---- sequences inside a packed matrix ---- */

typedef struct ul_span {
	int n; /* sequences */
	const int *start; /* [n + 1]: rows of sequence i are start[i] … start[i+1]-1 */
	/* NULL, or [n]: sequence i begins with the first shared[i] positions of sequence lead[i] < i, which are computed there; its rows
	 * are those behind. No gradient flows through that. */
	const int *lead, *shared;
} ul_span;

/* Keys and values of earlier positions, for decoding. One per layer; sequence i of the span is slot[i]. */
typedef struct ul_kv {
	int slots, capacity, width; /* sequences, positions, kv columns */
	int *len; /* [slots]: positions held */
	void *k, *v; /* [slots][capacity][width] backend elements */
} ul_kv;

/* ---- the tape ---- */

typedef struct ul_tape ul_tape;
typedef struct ul_val ul_val;

struct ul_val {
	int rows, cols;
	ul_tape *tape;
	void *data; /* backend elements */
	void *grad; /* NULL until backward reaches it */
	bool needs_grad; /* some trainable parameter lies below */
	ul_val *in[4]; /* operands, for backward */
	void (*backward)(ul_val *y);
	void *ctx; /* what backward remembers: always in tape memory */
	ul_val *prev; /* tape order */
	int depth; /* of the recomputed block it was made in, 0 outside */
};

struct ul_tape {
	const ul_backend *be;
	ul_arena arena; /* activations and gradients of one step */
	ul_arena scratch; /* one recomputed block, one chunk of head + loss */
	ul_val *last;
	bool record; /* false: values only, nothing to go back through */
	bool adapters_off; /* the base model under its adapters: the reference of NPO, DPO, KL */
	int recompute_blocks; /* with recompute: only so many of a model's first blocks, 0 = all of them */
	bool recompute; /* blocks given to ul_recompute keep only their input; false: their products too, the rest is cheap */
	bool failed; /* out of memory inside mathematics: sticky, reported by ul_tape_ok */
	int64_t flops; /* of products with parameters so far, 2mnk each (attention's are not counted) */

	/* private to tensor/ */
	ul_arena tables; /* cosines and sines by position: until the reset */
	struct ul_turns *turns;
	struct ul_keep *keep; /* inside a block: products to keep, or kept ones to use again */
	enum { UL_RUN_PLAIN,
		UL_RUN_FIRST,
		UL_RUN_AGAIN } run;
	bool comes_back; /* in the first run of a block: the tape around it records, so gradients will be asked for */
	int depth;
	struct ul_spare *spare; /* gradients whose value is done with, by size */
	ul_val lost; /* what operators return once memory has run out */
};

void ul_tape_init(ul_tape *t, const ul_backend *be);
void ul_tape_reset(ul_tape *t); /* forgets all values, keeps the memory */
void ul_tape_release(ul_tape *t);
bool ul_tape_ok(const ul_tape *t, ul_err *err);

void ul_read(const ul_val *x, double *out); /* [rows * cols], a copy */
void ul_read_f32(const ul_val *x, float *out);
double ul_item(const ul_val *x); /* a [1, 1] value */
void ul_read_grad(const ul_val *x, double *out); /* of a leaf; zeros when nothing reached it */

/* Leaves. */
ul_val *ul_const(ul_tape *t, int rows, int cols, const double *x); /* copied; no gradient */
ul_val *ul_const_f32(ul_tape *t, int rows, int cols, const float *x);
ul_val *ul_leaf(ul_tape *t, int rows, int cols, const double *x); /* copied; gradient kept (ul_read_grad) */
ul_val *ul_leaf_param(ul_tape *t, ul_param *p); /* a parameter as a value, gradient goes to the parameter */

/* loss [1,1]; adds d loss·scale / d parameter to every trainable parameter's grad. */
void ul_backward(ul_val *loss, double scale);

/* ---- operators (each with its gradient in the same file) ---- */

/* ops_linear.c */
ul_val *ul_embed(ul_tape *t, ul_param *table, const int *ids, int n, double scale); /* [n, width] = scale · table[ids] */
ul_val *ul_linear(ul_val *x, ul_param *w, ul_param *b); /* x Wᵀ + b (b may be NULL), plus w's adapters */
ul_val *ul_rows(ul_val *x, const int *index, int n); /* gather rows; index may repeat */
ul_val *ul_cols(ul_val *x, int start, int width, int stride, int count); /* column groups start + i·stride, side by side */

/* ops_norm.c: statistics per row, or per group of w->cols columns when x is wider (QK-norm per head) */
ul_val *ul_rmsnorm(ul_val *x, ul_param *w, double eps, bool plus_one); /* x / rms(x) · w, or · (1 + w) */
ul_val *ul_layernorm(ul_val *x, ul_param *w, ul_param *b, double eps);

/* ops_attend.c */
typedef struct ul_rope {
	int head_dim, rot; /* the first `rot` columns of each head turn; pairs (i, i + rot/2) */
	const double *inv_freq; /* [rot / 2], copied */
	double scale; /* on cos and sin (YaRN-like attention factor), 1 otherwise */
} ul_rope;
ul_val *ul_rotate(ul_val *x, const ul_rope *r, const int *pos); /* pos [rows] */

typedef struct ul_attention {
	int head_dim;
	double scale; /* on q·k, usually 1/sqrt(head_dim) */
	int window; /* 0 = all earlier positions, else the last `window` including itself */
	ul_span span;
	ul_kv *kv; /* NULL, or cache: k and v are appended at slot[i], attention runs over all that is held */
	const int *slot; /* [span.n] with kv */
} ul_attention;
/* Causal, grouped (k and v may have fewer heads), ragged: softmax over the same sequence's earlier positions. */
ul_val *ul_attend(ul_val *q, ul_val *k, ul_val *v, const ul_attention *a);

/* ops_pointwise.c */
enum ul_act { UL_SILU,
	UL_GELU,
	UL_GELU_TANH,
	UL_RELU };
ul_val *ul_activate(ul_val *x, enum ul_act f);
ul_val *ul_gate(ul_val *gate, ul_val *up, enum ul_act f); /* f(gate) ⊙ up, one pass */
ul_val *ul_add(ul_val *x, ul_val *y);
ul_val *ul_sub(ul_val *x, ul_val *y);
ul_val *ul_mul(ul_val *x, ul_val *y);
ul_val *ul_scale(ul_val *x, double c);
ul_val *ul_shift(ul_val *x, double c); /* x + c */
enum ul_fn { UL_EXP,
	UL_LOG,
	UL_LOGSIGMOID,
	UL_LOG1MEXP,
	UL_SQUARE,
	UL_ABS,
	UL_RELU_FN };
ul_val *ul_map_fn(ul_val *x, enum ul_fn f); /* UL_LOG1MEXP: log(1 - e^x) for x < 0 */
ul_val *ul_logsigmoid(ul_val *x);
ul_val *ul_min(ul_val *x, double cap); /* min(x, cap), gradient 0 beyond */
ul_val *ul_detach(ul_val *x);
ul_val *ul_mul_rows(ul_val *x, const double *w); /* row i times w[i], copied */
ul_val *ul_project_out(ul_val *x, const double *basis, int k); /* x - x CᵀC, rows of C [k, cols] orthonormal, copied */

/* ops_reduce.c */
ul_val *ul_sum(ul_val *x); /* [1,1] */
ul_val *ul_mean(ul_val *x); /* [1,1] */
ul_val *ul_wsum(ul_val *x, const double *w); /* Σ w[i] x[i] of a column [rows, 1] -> [1,1] */
ul_val *ul_group_sum(ul_val *x, const int *group, int n); /* column [rows,1] -> [n,1]: sums by group (sequence) */
ul_val *ul_row_sqdist(ul_val *x, ul_val *y); /* [rows,1]: mean over columns of (x - y)² */
ul_val *ul_row_dot(ul_val *x, ul_val *y); /* [rows,1] */

/* ops_head.c: head and loss, fused and chunked over rows; logits of a batch never exist. */
typedef struct ul_head_stats { /* each may be NULL; [rows], filled at forward, no gradient */
	int *argmax; /* ties go to the lowest id */
	double *entropy; /* -Σ p log p, nats */
	double *mean, *var; /* of log p under p: Min-K%++ */
	double *max_logit, *mean_logit;
} ul_head_stats;
/* One log-probability per row: log softmax(h Wᵀ + b)[target]; target [rows], copied. */
ul_val *ul_head_logp(ul_val *h, ul_param *w, ul_param *b, const int *target, const ul_head_stats *want);
/* Soft targets from a reference that is given by its hidden rows and head (recomputed per chunk):
 * q = softmax(z_ref - drop·onehot(target)); per row [rows,1]. */
enum ul_soft { UL_SOFT_CE, /* -Σ q log p */
	UL_KL_REF, /* Σ q log(q/p):  KL(ref ‖ model) */
	UL_KL_MODEL }; /* Σ p log(p/q):  KL(model ‖ ref) */
typedef struct ul_soft_ref {
	const float *hidden; /* [rows, width], or NULL when hidden64 is used by the judge */
	const double *hidden64;
	ul_param *w, *b; /* head of the reference */
	double drop; /* UNDIAL's β; 0 otherwise */
	const int *target; /* [rows], needed when drop != 0 */
} ul_soft_ref;
ul_val *ul_head_soft(ul_val *h, ul_param *w, ul_param *b, const ul_soft_ref *ref, enum ul_soft kind);
/* Full logits of a few rows (decoding, audits): [rows, vocab]. No gradient. */
ul_val *ul_head_logits(ul_val *h, ul_param *w, ul_param *b);

/* Runs body(x) without keeping its inside; backward runs it again. What body needs besides x comes through ud, which must
 * live until the tape is reset; gradients flow to x and to parameters, not to other values that body might reach. */
typedef ul_val *(*ul_body)(ul_val *x, const void *ud);
ul_val *ul_recompute(ul_val *x, ul_body body, const void *ud);

#endif
