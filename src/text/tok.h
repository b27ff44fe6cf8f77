/*
 * tok.h: the inside of a tokenizer, shared by the files tok_*.c and by nobody else.
 *
 * Every tokenizer is held as a tokenizer.json says: a list of normalizing steps, a list of pre-tokenizing steps, a BPE model, a list of
 * decoding steps, added tokens, and ids put before and after. Tokenizers of other origin (GGUF, vocab.json, trained) are first turned
 * into a tokenizer.json; there is one way to encode.
 */
#ifndef UL_TOK_H
#define UL_TOK_H

#include "text/regex.h"
#include "text/text.h"
#include "text/trie.h"
#include "text/unicode.h"

enum { TOK_MAX_ID = 1 << 24,
	TOK_MAX_STEPS = 64,
	TOK_MAX_ADDED_BYTES = 4096,
	TOK_MAX_TEXT = 1 << 30 };

/* ---- strings to numbers ---- */

struct tok_map {
	struct tok_slot {
		const char *s; /* borrowed; NULL = free */
		uint32_t n;
		int id;
	} * slot;
	size_t mask; /* slots - 1 */
};
bool tok_map_init(struct tok_map *m, ul_arena *a, size_t entries);
int tok_map_get(const struct tok_map *m, const char *s, size_t n); /* -1 = none */
void tok_map_put(struct tok_map *m, const char *s, size_t n, int id); /* a later value replaces an earlier one */

/* ---- text under treatment: bytes, and where each came from ---- */

struct tok_text {
	const char *s; /* well-formed UTF-8 */
	size_t n;
	const int *from, *to; /* [n] original byte range of the character each byte belongs to; NULL = as it is, from `base` on */
	int base;
};
struct tok_out { /* the same, being built */
	char *s;
	int *from, *to;
	size_t n, cap;
	bool failed;
};
void tok_origin(const struct tok_text *t, size_t i, size_t j, int *from, int *to); /* of bytes [i, j), i < j */
struct tok_text tok_slice(const struct tok_text *t, size_t i, size_t j);
void tok_put(struct tok_out *o, const char *s, size_t n, int from, int to);
void tok_put_slice(struct tok_out *o, const struct tok_text *t, size_t i, size_t j);
struct tok_text tok_out_text(const struct tok_out *o);
void tok_out_release(struct tok_out *o);

/* ---- steps ---- */

enum tok_kind {
	N_NFC,
	N_NFD,
	N_NFKC,
	N_NFKD,
	N_LOWER,
	N_PREPEND,
	N_REPLACE,
	N_STRIP,
	N_STRIP_ACCENTS,
	N_BYTES,
	P_BYTES,
	P_SPLIT,
	P_DIGITS,
	P_WHITESPACE,
	P_WHITESPACE_SPLIT,
	P_PUNCTUATION,
	P_METASPACE,
	P_DELIMITER,
	D_BYTES,
	D_BYTE_FALLBACK,
	D_FUSE,
	D_STRIP,
	D_REPLACE,
	D_METASPACE
};
enum tok_split { SPLIT_REMOVED,
	SPLIT_ISOLATED,
	SPLIT_WITH_PREVIOUS,
	SPLIT_WITH_NEXT,
	SPLIT_CONTIGUOUS };
enum tok_prepend { PREPEND_ALWAYS,
	PREPEND_NEVER,
	PREPEND_FIRST };

struct tok_step {
	enum tok_kind kind;
	const char *a, *b; /* pattern or character; replacement */
	size_t an, bn;
	ul_regex *re; /* instead of `a` */
	enum tok_split split;
	enum tok_prepend prepend;
	bool invert, individual, use_regex, add_space, left, right, no_split;
	int start, stop;
};
struct tok_steps {
	struct tok_step *step;
	int n;
};

/* ---- added tokens ---- */

struct tok_added {
	const char *s;
	size_t n;
	int id;
	bool single_word, lstrip, rstrip, normalized, special;
};
struct tok_file {
	const char *name;
	char *data;
	size_t len;
};

struct ul_tok {
	ul_arena arena;
	int size;
	const char **piece; /* [size], NULL = no such id; the added token where there is one */
	uint32_t *piece_len;
	struct tok_map vocab; /* of the model alone */
	int words; /* in it */
	bool *special, *strips; /* [size] special; takes the spaces around it */

	/* model: merges[pair] = rank, merged[rank] = id */
	struct tok_merge {
		uint64_t pair; /* left << 32 | right */
		uint32_t rank; /* UINT32_MAX = free */
	} * merge;
	size_t merge_mask;
	int merges, *merged, (*merge_pair)[2];
	int byte_id[256], fallback_id[256]; /* -1 = none */
	int unk; /* -1 = unknown characters vanish, -2 = named but not in the vocabulary: an error when needed */
	bool byte_level, byte_fallback, fuse_unk, ignore_merges;

	struct tok_steps norm, pre, dec;
	bool has_decoder;
	struct tok_added *added;
	int n_added;
	ul_trie raw, normalized;

	int *before, *after, n_before, n_after;
	bool trim_offsets, trim_keeps_space;

	int bos, eos, pad, unknown; /* as configured; -1 = none */
	char *chat_template;
	char *json; /* the tokenizer.json, as read or as generated */
	size_t json_len;
	struct tok_file file[4]; /* what stood beside it */
	int files;
};

extern const char *const tok_gpt2_pattern, *const tok_llama3_pattern, *const tok_qwen2_pattern;
uint32_t tok_byte_char(int byte); /* GPT-2's visible character for each byte */
int tok_char_byte(uint32_t c); /* and back; -1 = none */

bool tok_load(ul_tok *t, const json_t *root, ul_err *err); /* tok_load.c */
bool tok_load_steps(ul_tok *t, const json_t *root, ul_err *err); /* tok_steps.c */
bool tok_load_post(ul_tok *t, const json_t *post, ul_err *err);
bool tok_build_tries(ul_tok *t, ul_err *err); /* tok_added.c */
/* Finds the next added token at or after *at: its range in *start, *end; -1 = none. */
int tok_trie_find(const ul_trie *r, const char *s, size_t n, size_t at, size_t *start, size_t *end);

/* Applies all normalizing steps; *out is `in` itself or lies in *mem, which the caller releases. */
bool tok_normalize(const ul_tok *t, const struct tok_text *in, struct tok_text *out, struct tok_out *mem, ul_err *err);
bool tok_normal_form(enum ul_form f, const struct tok_text *in, struct tok_out *out, bool *changed); /* tok_form.c */
void tok_replace(const struct tok_text *in, const struct tok_step *s, struct tok_out *out, bool *changed, ul_err *err);
void tok_expand_bytes(const struct tok_text *in, struct tok_out *out);

void tok_repair(const char *s, size_t n, struct tok_out *out); /* ill-formed UTF-8 to U+FFFD */

struct tok_enc { /* one call of encode */
	const ul_tok *t;
	ul_ids *out;
	bool offsets;
	ul_err *err;
	struct tok_sym *sym;
	uint64_t *heap;
	size_t cap;
	ul_buf word;
};
bool tok_pretokenize(struct tok_enc *e, int step, const struct tok_text *in); /* ends in tok_word for each word */
bool tok_word(struct tok_enc *e, const struct tok_text *w);
size_t tok_gpt2_next(const char *s, size_t n, size_t i); /* end of the word at i, by GPT-2's pattern */
bool tok_emit(struct tok_enc *e, int id, int begin, int end);
bool tok_nomem(struct tok_enc *e);

ul_tok *tok_new_from_json(json_t *root, ul_err *err); /* steals root; keeps its text */

#endif
