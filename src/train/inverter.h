/*
 * inverter.h: from what a model expects next back to the text in front of it: the first stage of DFSU (arXiv 2601.15595), built as
 * the "logits to embeddings" inverter of vec2text (Morris et al. 2023, "Language Model Inversion").
 *
 *   target   text ─► last hidden row ─► head ─► log-probabilities ℓ                      [V_M]
 *   map      τ joins the target's tokens into the inverter's: ℓ'_j = log Σ_{τ(i)=j} e^ℓ_i  [V_I]
 *   whiten   ℓ' - u, u a running mean over the texts of training
 *   groups   ids in S runs of V_I / S, each the weighted sum of frozen embeddings         [S, d]
 *   project  Linear, GELU, Linear                                                         [S, d]
 *   decoder  those S rows stand in front of a causal model that writes the text
 *
 * Departure: the paper's inverter is Flan-T5; here it is a causal model of the target's own family, the target itself with an
 * adapter or a small one from random weights, so that nothing foreign has to be at hand.
 */
#ifndef UL_INVERTER_H
#define UL_INVERTER_H

#include "model/generate.h"
#include "train/train.h"

typedef struct ul_inverter_config {
	const char *model; /* "self": the target with an adapter; a preset: random weights; else a checkpoint */
	const char *lora; /* of a model that is not random; "none" trains all of it */
	int64_t groups, width; /* S; hidden width of the projection, 0 = the target's */
	int64_t epochs, batch, length; /* tokens of a text, at both ends */
	double lr, beta; /* β of the running mean */
	uint64_t seed;
} ul_inverter_config;

typedef struct ul_inverter {
	ul_arena arena;
	ul_inverter_config c;
	ul_model *target; /* borrowed */
	ul_model *model; /* the decoder */
	int *map; /* τ [V_M], NULL = identity */
	float *table; /* [V_I, d]: its embeddings as they were before training */
	double *unigram; /* u [V_I] */
	bool seen; /* u has met a batch */
	ul_param *w1, *b1, *w2, *b2;
	ul_param **param; /* all that is trained */
	int params;
	ul_ids front; /* ids that its tokenizer puts in front of every text */
} ul_inverter;

/* Texts with the target's last hidden row behind each: with the head that is the whole distribution, at a hundredth of its size. */
typedef struct ul_pairs {
	const char *const *text;
	int n, width;
	float *hidden; /* [n, width] */
	bool cached; /* read from the cache */
} ul_pairs;
/* cache: a folder, or NULL. Its file is named by the model's hash and the texts. */
bool ul_pairs_make(ul_pairs *p, ul_model *m, const char *const *text, int n, int length, const char *cache, const ul_progress *progress, ul_err *err);
void ul_pairs_release(ul_pairs *p);
/* The final hidden row of each sequence's last token: out [n, hidden]. */
bool ul_last_rows(ul_model *m, const ul_ids *seq, int n, float *out, const ul_progress *progress, ul_err *err);
/* Log-probabilities behind hidden rows: out [n, vocab]. */
bool ul_rows_logp(ul_model *m, const float *hidden, int n, double *out, ul_err *err);
bool ul_rows_kl(ul_model *m, const float *p, const float *q, int n, double *out, ul_err *err); /* KL(P ‖ Q) of each pair of rows */

ul_inverter *ul_inverter_new(ul_model *target, const ul_inverter_config *c, ul_err *err);
void ul_inverter_free(ul_inverter *v);
bool ul_inverter_fit(ul_inverter *v, const ul_pairs *p, double *nll, const ul_progress *progress, ul_err *err); /* nll: a token, over the last epoch */
/* Texts for hidden rows [n, width] of the target, c->samples for each; in arena a. */
bool ul_inverter_say(ul_inverter *v, const float *hidden, int n, ul_gen_config c, ul_arena *a, ul_gen **out, ul_err *err);
bool ul_inverter_write(const ul_inverter *v, const char *path, ul_err *err); /* what was trained, and u: one safetensors file */
bool ul_inverter_read(ul_inverter *v, const char *path, ul_err *err); /* over one just made from the same configuration */
/* Reads an inverter that was trained on the same pairs with the same settings, or trains one and keeps it (cache may be NULL).
 * summary (an object) learns whether, for how long, and to which loss. */
bool ul_inverter_make(ul_inverter *v, const ul_pairs *p, const char *cache, json_t *summary, const ul_progress *progress, ul_err *err);

/* ---- the steps, one by one ---- */

/* τ: the first token of what a token says, or the second where the first is a blank or an unknown one. */
bool ul_invert_map(const ul_tok *from, int n, const ul_tok *to, int *map, ul_err *err);
bool ul_invert_same_vocab(const ul_tok *a, const ul_tok *b);
void ul_invert_join(const double *logp, int n, const int *map, double *out, int m); /* ℓ', -FLT_MAX where no token goes */
/* x [n, vocab] becomes x - u; `learn`: u takes part of it in first. */
void ul_invert_whiten(double *x, int n, int vocab, double *unigram, bool *seen, double beta, bool learn);
/* out [n, groups, width] = Σ over each group of x · table; ids past the vocabulary count as 0. */
void ul_invert_groups(const double *x, int n, int vocab, const float *table, int width, int groups, float *out);
/* All of it up to the projection, for hidden rows of the target: out [n · groups, d]. */
bool ul_inverter_look(ul_inverter *v, const float *hidden, int n, bool learn, float *out, ul_err *err);
ul_val *ul_inverter_project(const ul_inverter *v, ul_val *x);

#endif
