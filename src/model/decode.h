/*
 * decode.h: what generate.c and beams.c share: a cache with slots, one forward pass that appends to some of them, and the choice of
 * a token from logits.
 */
#ifndef UL_DECODE_H
#define UL_DECODE_H

#include "model/generate.h"

typedef struct ul_decoder {
	ul_model *m;
	ul_tape tape;
	ul_cache cache;
	int slots, capacity, vocab;
	float *logits; /* [slots, vocab]: after the last token that each slot was given */
	float *work; /* [threads, 3 * vocab] */
	ul_arena arena;
} ul_decoder;

typedef struct ul_feed { /* tokens appended to one slot */
	int slot;
	const int *ids;
	int n;
	const float *soft; /* NULL, or rows of the input instead of ids: [n, hidden], already scaled */
} ul_feed;

bool ul_decoder_init(ul_decoder *d, ul_model *m, int slots, int capacity, ul_err *err);
void ul_decoder_release(ul_decoder *d);
/* Runs the model over what is fed, packed, each slot once; logits of each slot are those after its last token. */
bool ul_decoder_feed(ul_decoder *d, const ul_feed *feed, int n, ul_err *err);
void ul_decoder_clear(ul_decoder *d, int slot); /* holds nothing */
void ul_decoder_share(ul_decoder *d, int from, int to, int keep); /* first `keep` positions of `from`; logits are not copied */
float *ul_decoder_logits(const ul_decoder *d, int slot);
float *ul_decoder_work(const ul_decoder *d); /* of the calling thread: [3 * vocab] */

typedef struct ul_choice {
	int id; /* -1: no logit is a number */
	double logp; /* under the model as it is, whatever the temperature */
} ul_choice;

/* u in [0, 1) picks among what temperature, top-k and top-p leave, in this order; temperature 0 takes the largest, ties the lowest id. */
ul_choice ul_choose(const float *logits, int vocab, double temperature, const ul_gen_config *c, double u, float *work);
/* The k best ids with log-probabilities, best first, ties by id; fewer when fewer are numbers. work: [k]. */
int ul_choose_best(const float *logits, int vocab, int k, ul_choice *out, float *work);

/* ---- how a continuation ends (generate.c) ---- */

/* Feeds prompts, each behind its soft rows where there are some. `prompt` [n]: whose they are; feed is written to. */
bool ul_gen_feed(ul_decoder *d, const ul_gen_config *c, ul_feed *feed, const int *prompt, int n, ul_err *err);
bool ul_gen_is_eos(const ul_model *m, const ul_gen_config *c, int id);
typedef struct ul_gen_stop { /* a stop string in the text of some ids */
	bool found;
	int keep; /* ids that it takes to write what stands before it */
	size_t cut; /* where it begins: the last of those ids may write more */
} ul_gen_stop;
ul_gen_stop ul_gen_stopped(const ul_model *m, const ul_gen_config *c, const ul_ids *prompt, const int *ids, int n);
/* Copies the ids of a result into arena a and writes its text, up to byte `cut`. */
bool ul_gen_finish(const ul_model *m, const ul_ids *prompt, ul_gen *g, size_t cut, ul_arena *a, ul_err *err);

bool ul_generate_beams(ul_model *m, const ul_ids *prompt, int n, const ul_gen_config *c, ul_arena *a, ul_gen *out, ul_err *err);

#endif
