/*
 * data.h: JSON Lines in, packed batches out. Nothing is ever padded.
 */
#ifndef UL_DATA_H
#define UL_DATA_H

#include "model/model.h"

enum ul_shape { UL_SHAPE_NONE,
	UL_SHAPE_TEXT,
	UL_SHAPE_PAIR,
	UL_SHAPE_CHAT,
	UL_SHAPE_IDS };
enum { UL_COMPAT_NONE,
	UL_COMPAT_OPEN_UNLEARNING }; /* its rule: labels start at the token count of the prompt encoded alone */
enum { UL_EOS_RESPONSE,
	UL_EOS_NONE,
	UL_EOS_ALL }; /* where the tokenizer's end token is appended and labelled: after responses, nowhere, after texts too */
enum { UL_ROW_LABEL = 1,
	UL_ROW_SPAN = 2 }; /* per token: predicted and counted; overlaps a span (personal data) */

typedef struct ul_spot { /* a span of the text or the response, in Unicode code points, end exclusive */
	int start, end;
	const char *type;
} ul_spot;

typedef struct ul_row {
	enum ul_shape shape;
	int n; /* tokens, 0 until ul_dataset_tokenize */
	int *ids;
	unsigned char *flags; /* [n] UL_ROW_* of the token itself: a label flag on token t means p(ids[t] | before) counts */
	const char *text, *prompt, *response; /* text alone, or prompt and response; NULL otherwise */
	const char *id, *subject;
	ul_spot *spots;
	int spot_n;
	json_t *json; /* the record as read: audits find `paraphrase`, `perturbed`, … here */
	int line; /* of the file, or 1 + its number among rows made by a source */
} ul_row;

typedef struct ul_dataset {
	ul_arena arena;
	ul_row *row;
	int n, cap;
	enum ul_shape shape; /* of the first row, and of all unless they were mixed */
	char *path; /* NULL for rows made by a source */
	char sha256[65]; /* of the file */
	int cut; /* rows cut by max_length */
	int64_t tokens, labels;
} ul_dataset;

typedef struct ul_data_config {
	const char *map; /* "prompt=KEY,response=KEY,text=KEY" (also messages, ids, labels, spans, subject, id) or NULL */
	const char *templ; /* NULL = chat where the model has one, else qa; "plain" | "qa" | "chat" | a file with {prompt} and {response} */
	int max_length; /* 0 = the model's context; -1 = rows are not cut at all (windows) */
	int compat; /* UL_COMPAT_* */
	bool mixed; /* the file is one the program wrote: its rows may differ in shape */
	int eos; /* UL_EOS_*; chat templates end a turn themselves */
} ul_data_config;

/* JSON Lines or one JSON array. Shapes are found by their keys; a file that mixes shapes, an empty one, or a broken line is one
 * sentence with the line number. */
bool ul_dataset_read(ul_dataset *d, const char *path, const ul_data_config *c, ul_err *err);
bool ul_dataset_add(ul_dataset *d, const json_t *record, ul_err *err); /* the same for rows made by a source */
bool ul_dataset_mix(ul_dataset *d, const json_t *record, ul_err *err); /* a row whose shape may differ from that of others */
bool ul_dataset_tokenize(ul_dataset *d, const ul_model *m, const ul_data_config *c, ul_err *err);
/* ids and flags of one prompt with one response under the model's template (audits: paraphrases, wrong answers). */
bool ul_row_encode(const ul_model *m, const ul_data_config *c, const char *prompt, const char *response, ul_arena *a, ul_row *out, ul_err *err);
/* ids of the prompt alone, as generation starts from it: what ul_row_encode puts in front of the labelled tokens. */
bool ul_prompt_encode(const ul_model *m, const ul_data_config *c, const char *prompt, ul_ids *out, ul_err *err);
/* A user's turn in the model's chat template that has begun with `said` and goes on; what will end it goes to stop. */
bool ul_turn_open(const ul_model *m, const char *said, ul_ids *out, char stop[64], ul_err *err);
/* A text as it stands, with the specials that the tokenizer puts in front but none behind: the start of a continuation. The empty
 * text begins with the token that begins texts, or that ends them where there is none. */
bool ul_text_encode(const ul_model *m, const char *text, size_t n, ul_ids *out, ul_err *err);
/* What generation starts from for a row of any shape: its prompt, its text, the turns before the assistant's last, or its
 * ids before the first label. Appended to out. */
bool ul_row_prompt(const ul_model *m, const ul_data_config *c, const ul_row *r, ul_ids *out, ul_err *err);
int ul_dataset_overlap(const ul_dataset *a, const ul_dataset *b); /* rows of a whose text also stands in b */
void ul_dataset_release(ul_dataset *d);

/* ---- packed batches ---- */

typedef struct ul_batch {
	int rows, seqs;
	int *ids, *pos; /* [rows] */
	ul_span span;
	int *item; /* [seqs] index of the row in its dataset */
	/* Predicted positions, in order: row `at` of the hidden states predicts `target`. */
	int labels;
	int *at, *target, *seq; /* [labels]; seq = sequence 0 … seqs-1 */
	unsigned char *spot; /* [labels] 1 = the target token overlaps a span */
	int *seq_labels; /* [seqs] labelled tokens of each */
} ul_batch;

/* Rows `item[0..n-1]` of d, end to end. all_labels: every position is predicted (pscu, whole-text losses). */
bool ul_pack(const ul_dataset *d, const int *item, int n, bool all_labels, ul_arena *a, ul_batch *out, ul_err *err);
/* The same for passes without gradients: what a row begins with and a row before it as well is computed once (ul_span's lead). */
int ul_row_alike(const ul_row *a, const ul_row *b); /* tokens that b begins with like a and can share: its last is always its own */
bool ul_pack_shared(const ul_dataset *d, const int *item, int n, ul_arena *a, ul_batch *out, ul_err *err);
ul_pass ul_batch_pass(const ul_batch *b, ul_tape *t);

/* The order of an epoch: (seed, purpose, epoch) decides; batches of `rows`, or as many rows as fit `tokens`. */
typedef struct ul_sampler {
	const ul_dataset *d;
	uint64_t seed;
	const char *purpose;
	int batch_rows, batch_tokens;
	int64_t epoch; /* state: what a checkpoint keeps */
	int at;
	int *order;
} ul_sampler;
void ul_sampler_init(ul_sampler *s, const ul_dataset *d, uint64_t seed, const char *purpose, int batch_rows, int batch_tokens);
int ul_sampler_next(ul_sampler *s, int *item, int max); /* number of rows; wraps into the next epoch only at its start */
int ul_sampler_batches(const ul_sampler *s); /* batches per epoch */
void ul_sampler_seek(ul_sampler *s, int64_t epoch, int at);
void ul_sampler_release(ul_sampler *s);

#endif
