/*
 * tok_make.h: tokenizer.json put together from parts, for tokenizers that came from elsewhere.
 */
#ifndef UL_TOK_MAKE_H
#define UL_TOK_MAKE_H

#include "text/tok.h"

struct tok_parts { /* references are taken over; NULL = null */
	json_t *vocab, *merges, *added, *normalizer, *pre, *post, *decoder;
	const char *unk;
	bool byte_fallback, fuse_unk, ignore_merges;
};
json_t *tok_assemble(struct tok_parts p, ul_err *err);

json_t *tok_make_byte_level(bool add_prefix_space, bool use_regex);
json_t *tok_make_split(const char *regex);
json_t *tok_make_sequence(const char *list, json_t *first, json_t *second);
json_t *tok_make_added(int id, const char *content, size_t n, bool special);
/* before and after: NULL = none. */
json_t *tok_make_template(const char *before, int before_id, const char *after, int after_id);

/* The pre-tokenizers that GGUF knows by name. */
struct tok_pre_name {
	const char *name; /* as exported */
	const char *aliases; /* " a b c " */
	const char *const *pattern; /* NULL: GPT-2's own, inside ByteLevel */
	bool digits; /* every digit alone first */
	bool ignore_merges, add_bos;
};
const struct tok_pre_name *tok_pre_by_name(const char *name);
const struct tok_pre_name *tok_pre_of(const ul_tok *t); /* NULL = none of them */
json_t *tok_make_pre(const struct tok_pre_name *p);

#endif
