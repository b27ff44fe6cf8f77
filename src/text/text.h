/*
 * text.h: bytes to ids and back, and conversations to bytes.
 */
#ifndef UL_TEXT_H
#define UL_TEXT_H

#include "base/base.h"
#include "base/json.h"

typedef struct ul_tok ul_tok; /* an immutable tokenizer: tokenizer.json, vocab.json + merges.txt, or a GGUF's */

typedef struct ul_ids {
	int *id;
	int *begin, *end; /* byte offsets into the encoded text, or NULL when not asked for; added specials have begin = end */
	int n, cap;
	bool failed;
} ul_ids;
void ul_ids_add(ul_ids *ids, int id);
void ul_ids_release(ul_ids *ids);

/* From a model directory: tokenizer.json (with tokenizer_config.json for bos/eos and the chat template), else vocab.json +
 * merges.txt. NULL with an error when the directory has none. */
ul_tok *ul_tok_open_dir(const char *dir, ul_err *err);
ul_tok *ul_tok_open_json(const char *json, size_t n, ul_err *err); /* the text of a tokenizer.json */
void ul_tok_free(ul_tok *t);

/* What a GGUF says about its tokenizer; arrays are borrowed during the call. */
typedef struct ul_tok_gguf {
	const char *model, *pre; /* "gpt2" | "llama" | "gemma…"; pre: "smollm", "llama-bpe", "qwen2", … may be NULL */
	int n;
	const char *const *token; /* [n], with explicit lengths: tokens may hold NUL */
	const size_t *token_len;
	const float *score; /* [n] or NULL */
	const int32_t *type; /* [n] or NULL: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte */
	const char *const *merge; /* [merges], "left right" */
	int merges;
	int bos, eos, unk, pad; /* -1 = none */
	int add_bos, add_eos; /* 0, 1; -1 = by model */
	int add_space_prefix; /* likewise */
	const char *chat_template; /* or NULL */
} ul_tok_gguf;
ul_tok *ul_tok_open_gguf(const ul_tok_gguf *g, ul_err *err);

/* Appends ids. Ill-formed UTF-8 is replaced as the reference library's Rust callers see it (U+FFFD per maximal subpart).
 * `specials`: -1 as the tokenizer's own post-processor does, 0 none, 1 the same as -1. Added tokens inside the text are
 * recognised. `offsets`: fill begin/end (byte offsets into text). */
bool ul_tok_encode(const ul_tok *t, const char *text, size_t n, int specials, bool offsets, ul_ids *out, ul_err *err);
/* Appends bytes (may be ill-formed UTF-8 for a partial character: the caller may hold them back). */
void ul_tok_decode(const ul_tok *t, const int *ids, int n, bool skip_specials, ul_buf *out);
int ul_tok_size(const ul_tok *t); /* highest id + 1 */
int ul_tok_id(const ul_tok *t, const char *token); /* -1 = none */
const char *ul_tok_piece(const ul_tok *t, int id); /* as stored in the vocabulary; NULL out of range; borrowed */
bool ul_tok_is_special(const ul_tok *t, int id);
int ul_tok_bos(const ul_tok *t); /* -1 = none */
int ul_tok_eos(const ul_tok *t);
const char *ul_tok_chat_template(const ul_tok *t); /* the jinja text or NULL */
/* Writes tokenizer.json and tokenizer_config.json (byte for byte what was read, when it came from a directory). */
bool ul_tok_save(const ul_tok *t, const char *dir, ul_err *err);
/* Everything export to GGUF needs; strings owned by `a`. */
bool ul_tok_to_gguf(const ul_tok *t, ul_tok_gguf *out, ul_arena *a, ul_err *err);

/* Learns a byte-level BPE (GPT-2 pre-tokenizer) of `vocab` tokens from texts; deterministic. */
ul_tok *ul_tok_train(const char *const *texts, const size_t *lens, int n, int vocab, ul_err *err);

/* ---- chat ---- */

typedef struct ul_turn {
	const char *role, *content;
} ul_turn;

/* Templates this program can render. The jinja text is recognised by what it contains, never executed. Families whose members differ
 * in a space or in the place of the system turn have a value for each; QWEN is Qwen 3 (Qwen 2 is ChatML with a default system turn). */
enum ul_chat {
	UL_CHAT_NONE,
	UL_CHAT_CHATML,
	UL_CHAT_LLAMA2,
	UL_CHAT_LLAMA3,
	UL_CHAT_GEMMA,
	UL_CHAT_MISTRAL,
	UL_CHAT_ZEPHYR,
	UL_CHAT_QWEN,
	UL_CHAT_LLAMA31,
	UL_CHAT_GEMMA3,
	UL_CHAT_MISTRAL_V1,
	UL_CHAT_MISTRAL_SPACED,
	UL_CHAT_MISTRAL_V3
};
const char *ul_chat_name(enum ul_chat c);
/* Fails with a sentence that names --template when the template is none of them. */
bool ul_chat_detect(const char *jinja, enum ul_chat *out, char default_system[256], ul_err *err);
/* Renders turns; with `generate` the opening of the assistant's turn is added. spans (may be NULL): byte ranges [2*i, 2*i+1) of the
 * content of turn i together with what ends the turn, as training labels need it. */
bool ul_chat_render(enum ul_chat c, const char *default_system, const ul_turn *turns, int n, bool generate, ul_buf *out, size_t *spans, ul_err *err);

#endif
