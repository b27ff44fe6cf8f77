/*
 * generate.h: decoding with a key/value cache; many prompts and samples in one batch.
 */
#ifndef UL_GENERATE_H
#define UL_GENERATE_H

#include "model/model.h"

typedef struct ul_gen_config {
	int max_new; /* tokens */
	double temperature; /* 0 = greedy */
	double temperature_from;
	int temperature_steps; /* falls linearly from `from` to `temperature` over the first steps (Carlini et al. 2021); 0 = off */
	int top_k; /* 0 = all */
	double top_p; /* 1 = all */
	int beams; /* 1 = none; sum of log-probabilities, no length penalty */
	int samples; /* per prompt; with beams: how many of the best beams are returned */
	const char *const *stop; /* strings, NULL-terminated, or NULL; the text is cut before them */
	bool ignore_eos;
	double doubt; /* below 0: a sequence ends once its last 8 tokens are less probable than this on average, in front of the first of them that is; 0 = off */
	int doubt_from; /* tokens that are not held against it: a hot beginning */
	uint64_t seed; /* stream (seed, "generate", prompt · 65536 + sample) */
	const float *soft; /* NULL, or what stands in front of each prompt: [prompts, soft_rows, hidden], scaled like embeddings; prompts may be empty then */
	int soft_rows;
	int batch; /* sequences decoded together, 0 = by memory; no result depends on it but by rounding of the backend */
	bool (*on_token)(void *ud, int prompt, int sample, int id); /* streaming; false stops; or NULL. Beams call it once a prompt, with id -1 */
	void *ud;
} ul_gen_config;

enum ul_finish {
	UL_FINISH_LENGTH,
	UL_FINISH_EOS,
	UL_FINISH_STOP,
	UL_FINISH_CONTEXT,
	UL_FINISH_DOUBT,
};

typedef struct ul_gen { /* one continuation, prompt excluded; the token that ended it (end of text) is not among the ids */
	int prompt, sample;
	int *ids, n;
	char *text; /* special tokens written out; NULL without a tokenizer */
	double logp; /* sum over ids */
	double *token_logp; /* [n], NULL from beams */
	enum ul_finish finish;
} ul_gen;

/* out: [n * samples], prompt-major, in arena a. Prompts longer than the context minus one are refused. */
bool ul_generate(ul_model *m, const ul_ids *prompt, int n, const ul_gen_config *c, ul_arena *a, ul_gen **out, ul_err *err);
ul_gen_config ul_gen_greedy(int max_new);
/* The text of ids as they continue the prompt (a first blank that a decoder would drop at the start of a text stays). */
void ul_gen_text(const ul_tok *t, const int *prompt, int prompt_n, const int *ids, int n, ul_buf *out);
/* Bytes of s in front of a UTF-8 character that is not complete yet: what may be shown. */
size_t ul_utf8_whole(const char *s, size_t n);
/* What a model writes need not be UTF-8: ill-formed parts become U+FFFD, one for each maximal subpart, as decoders elsewhere do. */
void ul_utf8_mend(const char *s, size_t n, ul_buf *out);

#endif
