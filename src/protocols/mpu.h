/*
 * mpu.h: Multiple Perturbed Copies Unlearning (MPU, arXiv 2602.23798; rules read from the published code).
 *
 * A server holds the weights θ, a client holds the forget set, and neither shows it. In each round the server publishes m copies
 * T_k(θ + ε_k) whose noises cancel in the harmonic mean, the client unlearns each copy with any method, and the server averages the
 * updates after undoing T_k. This is obfuscation with exact bookkeeping, not a formal guarantee: docs/mpu.md says what remains visible.
 */
#ifndef UL_MPU_H
#define UL_MPU_H

#include "model/model.h"

enum ul_reparam { UL_REPARAM_NONE,
	UL_REPARAM_PAPER,
	UL_REPARAM_FULL };

/* ---- noise: keyed, addressed by (round, tensor, copy, element), never stored ---- */

typedef struct ul_mpu_key {
	unsigned char bytes[32];
} ul_mpu_key;

/* n standard normals of elements first … first+n-1; The same address gives the same numbers in any order of
 * tensors and on any number of threads. */
bool ul_mpu_normals(const ul_mpu_key *key, int round, const char *tensor, int copy, size_t first, float *out, size_t n, ul_err *err);

/* The same stream as words, for drawing transforms. */
bool ul_mpu_words(const ul_mpu_key *key, int round, const char *purpose, int copy, uint32_t *out, size_t n, ul_err *err);

/* Zero-sum noise: ε_k = α_k √(m/(m-1)) (z_k - z̄) σ, so that Σ ε_k / α_k = 0. Of elements first … first+n-1 it is added to out[k] [n],
 * for each copy k < m that is wanted (out[k] not NULL). The m normals of an element are drawn once for all copies that are asked for together. */
typedef struct ul_mpu_copies {
	int m;
	const double *alpha; /* [m]; default 1 + k/(m-1) */
} ul_mpu_copies;
bool ul_mpu_add_noise(const ul_mpu_key *key, int round, const char *tensor, const ul_mpu_copies *c, double sigma, size_t first, float *const *out, size_t n, ul_err *err);

/* ---- transforms that keep the function ---- */

/* y[i] = c[0][i] x[src[0][i]] + c[1][i] x[src[1][i]]: signed permutations and plane rotations, and everything composed of them. */
typedef struct ul_turns {
	int n;
	int *src[2];
	double *c[2];
} ul_turns;

typedef struct ul_mpu_layer {
	ul_turns *q, *k, *v, *o, *ffn, *qkv; /* rows of q, k, v, qkv; columns of o; rows of gate and up, columns of down */
	ul_turns *qk_norm; /* of q_norm and k_norm, or NULL */
} ul_mpu_layer;

typedef struct ul_mpu_plan {
	enum ul_reparam mode;
	bool exact; /* signed permutations only: AdamW is equivariant under them, rotations only under SGD */
	const ul_model *model;
	ul_mpu_layer *layer;
	ul_turns *residual; /* the residual stream, or NULL */
	ul_arena arena;
} ul_mpu_plan;

ul_turns *ul_turns_new(ul_arena *a, int n); /* the identity */
int ul_turns_fused(const ul_model *m, int which, int i); /* row of a fused weight that holds row i of q, k or v (0, 1, 2) */
ul_turns *ul_turns_fuse(ul_arena *a, const ul_mpu_layer *l, const ul_model *m); /* l->qkv from l->q, l->k, l->v */

/* What a family bears: hidden units are permuted, heads within their groups and values under signs in every one. */
typedef struct ul_mpu_bears {
	bool planes; /* q and k have rotary planes to turn; otherwise all of their columns take a signed permutation */
	bool angles; /* by any angle: not where one norm weight serves both columns of a plane (QK-norm), which bear quarter turns */
	bool signs; /* of the residual stream: not where its mean is subtracted (LayerNorm), which bears a permutation */
} ul_mpu_bears;
ul_mpu_bears ul_mpu_borne(const ul_model *m);
json_t *ul_mpu_all_families(ul_err *err); /* the same as words: [{"model_type", "ffn", "heads", "values", "queries", "residual", "adamw"}, …] of all that open */

/* Draws the transform of (key, round, copy) for a model. Fails with a sentence when the family cannot bear what is asked. */
bool ul_mpu_plan_make(ul_mpu_plan *p, const ul_model *m, enum ul_reparam mode, bool exact, const ul_mpu_key *key, int round, int copy, ul_err *err);
void ul_mpu_plan_release(ul_mpu_plan *p);
/* w [rows, cols] of `param` -> T(w), or T⁻¹ with back; in place. T is linear, so updates go the same way. Norm weights and biases
 * included. */
bool ul_mpu_apply(const ul_mpu_plan *p, const ul_param *param, float *w, bool back, ul_err *err);
/* The same for a product B [rows, rank] A [rank, cols] added to param: O(rank) instead of O(rows · cols). */
bool ul_mpu_apply_factors(const ul_mpu_plan *p, const ul_param *param, int rank, float *b, float *a, bool back, ul_err *err);

/* ---- one round: mpu_round.c, with the steps in mpu_steps.c ---- */

typedef struct ul_mpu_how { /* what the server decides, for all rounds */
	int copies, rounds;
	double noise; /* κ: the noise of a layer has κ times the root mean square of its task vector, or of its weights without a base */
	double server_lr; /* η */
	double common; /* noise that all copies share and nothing cancels, as a share of σ */
	double clip; /* longest update of a copy, as a share of the length of θ; 0 = any */
	bool random_alpha; /* α drawn anew in each round instead of 1 … 2 in equal steps */
	enum ul_reparam reparam;
	bool exact;
	enum ul_dtype dtype; /* that copies are stored in: F32, or F16 and BF16, which round noise away */
} ul_mpu_how;

typedef struct ul_mpu {
	ul_mpu_how how;
	ul_mpu_key key;
	ul_model *theta; /* the secret weights; a step changes them */
	const ul_model *base; /* public, or NULL */
	int round; /* from 1 on */
	bool keep; /* hold what was published while the client works on it, as it does itself: another copy in memory, instead of drawing it again */
	double *alpha; /* [copies] */
	double *sigma; /* [layers] */
	const ul_progress *progress;
	ul_arena arena;
} ul_mpu;

/* The client: unlearns `copy` where it stands. Either its weights change, or an adapter is left on it. */
typedef bool (*ul_mpu_client_fn)(void *ud, ul_model *copy, int k, ul_err *err);

/* One round with both parties in one process. m->round goes on by one. */
bool ul_mpu_round(ul_mpu *m, ul_mpu_client_fn client, void *ud, ul_err *err);

/* Settings that cannot be meant are refused: one copy with noise, a transform the family cannot bear. */
bool ul_mpu_check(const ul_mpu *m, ul_err *err);
bool ul_mpu_begin(ul_mpu *m, ul_err *err); /* σ and α of m->round */
void ul_mpu_release(ul_mpu *m); /* arena and key; not the models */
/* What rounding to the copies' dtype costs the bookkeeping, from a sample of every tensor: mpu_precision.c. */
typedef struct ul_mpu_precision {
	double reached; /* share of the weights which carry noise that it changes: should be all */
	double left; /* of the noise in the average of all copies, as a share of one copy's: should be 0 */
	double base; /* rounding of a base stored with fewer bits than the model, as a share of the task vector */
} ul_mpu_precision;
bool ul_mpu_precision_of(const ul_mpu *m, ul_mpu_precision *out, ul_err *err); /* after ul_mpu_begin */
void ul_mpu_round_to(enum ul_dtype t, float *x, size_t n); /* F32, F16, BF16 */
/* Parameter i of θ as copy k is given it: T(θ + ε_k), float32 [rows, cols], rounded to the copies' dtype. */
bool ul_mpu_perturb(const ul_mpu *m, const ul_mpu_plan *plan, int k, int i, float *out, ul_err *err);
/* The same of all copies at once: plan[copies], out[copies]. */
bool ul_mpu_perturb_all(const ul_mpu *m, const ul_mpu_plan *plan, int i, float *const *out, ul_err *err);
/* What came back for a copy, one parameter at a time: from memory, from files. */
typedef struct ul_mpu_delta {
	float *full; /* the difference [rows, cols], or NULL */
	const ul_lora *lora; /* else its factors; both NULL: this parameter was not trained */
} ul_mpu_delta;
typedef struct ul_mpu_update {
	void *ud;
	bool (*delta)(void *ud, int i, float *room, ul_mpu_delta *out, ul_err *err); /* room: [rows, cols] to put it in */
	int copy;
} ul_mpu_update;
/* Length of the whole update and of θ; a number that is not finite fails. */
bool ul_mpu_length(const ul_mpu *m, const ul_mpu_update *u, double *length, double *theta, ul_err *err);
double ul_mpu_shrink(const ul_mpu *m, double length, double theta); /* the factor that m->how.clip asks for */
/* *sum [rows, cols] += shrink T⁻¹(Δ) / α_k of parameter i; *sum is made when it is NULL. room: [rows, cols]. */
bool ul_mpu_take(const ul_mpu *m, const ul_mpu_plan *plan, const ul_mpu_update *u, int i, double shrink, float *room, double **sum, ul_err *err);
bool ul_mpu_stepped(const ul_mpu *m, int i, const double *sum, float *out, ul_err *err); /* what the step makes of parameter i */
bool ul_mpu_step(ul_mpu *m, int i, const double *sum, ul_err *err); /* θ += η sum / Σ 1/α; sum NULL: nothing came back */
size_t ul_mpu_largest(const ul_model *m); /* elements of its largest parameter */

/* σ of every layer: kappa times the root mean square of θ - base over all tensors of the layer (of θ without a base). sigma [layers]. */
bool ul_mpu_sigma(const ul_model *m, const ul_model *base, double kappa, double *sigma, ul_err *err);
int ul_mpu_layer_of(const ul_model *m, const ul_param *p); /* -1: embeddings, final norm, head, which get no noise */

#endif
