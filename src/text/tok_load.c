/*
 * tok_load.c: the model and the added tokens of a tokenizer.json. The rules of the reference library hold, also where they surprise: a
 * merge must join two tokens into a third, the last of two equal merges counts, and an added token that the vocabulary lacks gets the
 * next free id whatever the file says.
 */
#include "text/tok.h"

#include <string.h>

uint32_t tok_byte_char(int b)
{
	if ((b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE)
		return (uint32_t)b;
	return 0x100u + (uint32_t)(b <= 0x20 ? b : b <= 0xA0 ? b - 0x7F + 0x21
	                                                     : 0x43);
}

int tok_char_byte(uint32_t c)
{
	if (c < 0x100)
		return tok_byte_char((int)c) == c ? (int)c : -1;
	if (c <= 0x120)
		return (int)(c - 0x100);
	return c <= 0x142 ? (int)(c - 0x121 + 0x7F) : c == 0x143 ? 0xAD
	                                                         : -1;
}

/* ---- vocabulary ---- */

static bool id_of(const json_t *v, int *id)
{
	json_int_t n = json_integer_value(v);
	*id = (int)n;
	return json_is_integer(v) && n >= 0 && n < TOK_MAX_ID;
}

static bool reserve_ids(ul_tok *t, int size, ul_err *err)
{
	const char **piece = ul_alloc(&t->arena, (size_t)size * sizeof *piece);
	uint32_t *len = ul_alloc(&t->arena, (size_t)size * sizeof *len);
	bool *special = ul_alloc(&t->arena, (size_t)size * sizeof *special);
	bool *strips = ul_alloc(&t->arena, (size_t)size * sizeof *strips);
	if (!piece || !len || !special || !strips)
		return ul_nomem(err, (size_t)size * sizeof *piece);
	for (int i = 0; i < t->size; i++) {
		piece[i] = t->piece[i];
		len[i] = t->piece_len[i];
		special[i] = t->special[i];
	}
	t->piece = piece;
	t->piece_len = len;
	t->special = special;
	t->strips = strips;
	t->size = size;
	return true;
}

static const char *keep(ul_tok *t, const char *s, size_t n)
{
	char *copy = ul_alloc_raw(&t->arena, n + 1);
	if (copy) {
		memcpy(copy, s, n);
		copy[n] = 0;
	}
	return copy;
}

static bool load_vocab(ul_tok *t, json_t *vocab, ul_err *err)
{
	const char *key;
	size_t n;
	json_t *v;
	int top = -1, id;
	if (!json_is_object(vocab))
		return ul_fail(err, "tokenizer.json: model.vocab is no object");
	json_object_foreach(vocab, key, v)
	{
		if (!id_of(v, &id))
			return ul_fail(err, "tokenizer.json: the id of token \"%.40s\" is no integer from 0 to %d", key, TOK_MAX_ID - 1);
		top = id > top ? id : top;
	}
	if (!reserve_ids(t, top + 1, err) || !tok_map_init(&t->vocab, &t->arena, json_object_size(vocab)))
		return ul_nomem(err, json_object_size(vocab));
	t->words = (int)json_object_size(vocab);
	json_object_keylen_foreach(vocab, key, n, v)
	{
		const char *s = keep(t, key, n);
		if (!s)
			return ul_nomem(err, n);
		id_of(v, &id);
		tok_map_put(&t->vocab, s, n, id);
		t->piece[id] = s;
		t->piece_len[id] = (uint32_t)n;
	}
	return true;
}

static void find_bytes(ul_tok *t)
{
	for (int b = 0; b < 256; b++) {
		char c[8];
		t->byte_id[b] = tok_map_get(&t->vocab, c, (size_t)ul_utf8_put(tok_byte_char(b), c));
		snprintf(c, sizeof c, "<0x%02X>", (unsigned)b);
		t->fallback_id[b] = tok_map_get(&t->vocab, c, 6);
	}
}

/* ---- merges ---- */

static bool known(const ul_tok *t, const char *s, size_t n, int *id, ul_err *err)
{
	*id = tok_map_get(&t->vocab, s, n);
	return *id >= 0 ||
	       ul_fail(err, "tokenizer.json: the merges need \"%.*s\", which is not in the vocabulary", (int)(n > 60 ? 60 : n), s);
}

/* "left right", or ["left", "right"]. */
static bool pair_of(const json_t *m, const char **left, size_t *ln, const char **right, size_t *rn)
{
	if (json_is_string(m)) {
		const char *s = json_string_value(m), *space = strchr(s, ' ');
		if (!space || strchr(space + 1, ' '))
			return false;
		*left = s;
		*ln = (size_t)(space - s);
		*right = space + 1;
		*rn = strlen(space + 1);
		return true;
	}
	const json_t *l = json_array_get(m, 0), *r = json_array_get(m, 1);
	if (json_array_size(m) != 2 || !json_is_string(l) || !json_is_string(r))
		return false;
	*left = json_string_value(l);
	*ln = json_string_length(l);
	*right = json_string_value(r);
	*rn = json_string_length(r);
	return true;
}

static void put_merge(ul_tok *t, int left, int right, int rank)
{
	uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
	uint64_t h = pair * 0x9E3779B97F4A7C15u;
	size_t i = (h ^ h >> 32) & t->merge_mask;
	while (t->merge[i].rank != UINT32_MAX && t->merge[i].pair != pair)
		i = (i + 1) & t->merge_mask;
	t->merge[i] = (struct tok_merge){pair, (uint32_t)rank};
}

static bool load_merge(ul_tok *t, const json_t *m, int rank, ul_buf *joined, ul_err *err)
{
	const char *l, *r;
	size_t ln, rn;
	int left, right, id;
	if (!pair_of(m, &l, &ln, &r, &rn))
		return ul_fail(err, "tokenizer.json: merge %d is no pair of tokens", rank + 1);
	joined->len = 0;
	ul_buf_add(joined, l, ln);
	ul_buf_add(joined, r, rn);
	if (joined->failed)
		return ul_nomem(err, ln + rn);
	if (!known(t, l, ln, &left, err) || !known(t, r, rn, &right, err) || !known(t, joined->data, joined->len, &id, err))
		return false;
	t->merged[rank] = id;
	t->merge_pair[rank][0] = left;
	t->merge_pair[rank][1] = right;
	put_merge(t, left, right, rank);
	return true;
}

static bool load_merges(ul_tok *t, const json_t *merges, ul_err *err)
{
	size_t n = json_array_size(merges), slots = 16, i, rank = 0;
	json_t *m;
	if (!json_is_array(merges))
		return ul_fail(err, "tokenizer.json: model.merges is no list");
	while (slots < 2 * n)
		slots *= 2;
	t->merge = ul_alloc_raw(&t->arena, slots * sizeof *t->merge);
	t->merged = ul_alloc(&t->arena, (n + 1) * sizeof *t->merged);
	t->merge_pair = ul_alloc(&t->arena, (n + 1) * sizeof *t->merge_pair);
	if (!t->merge || !t->merged || !t->merge_pair)
		return ul_nomem(err, slots * sizeof *t->merge);
	memset(t->merge, 0xFF, slots * sizeof *t->merge);
	t->merge_mask = slots - 1;
	ul_buf joined = {0};
	bool ok = true;
	json_array_foreach(merges, i, m)
	{
		if (json_is_string(m) && !strncmp(json_string_value(m), "#version", 8))
			continue;
		if (!(ok = load_merge(t, m, (int)rank, &joined, err)))
			break;
		rank++;
	}
	t->merges = (int)rank;
	ul_buf_release(&joined);
	return ok;
}

static bool must_be_empty(const json_t *model, const char *key, ul_err *err)
{
	const char *s = ul_json_str(model, key);
	return !s || !*s || ul_fail(err, "tokenizer.json: model.%s \"%.40s\" is not supported", key, s);
}

static bool load_model(ul_tok *t, const json_t *model, ul_err *err)
{
	const char *type = ul_json_str(model, "type"), *unk = ul_json_str(model, "unk_token");
	double dropout = 0;
	if (!json_is_object(model))
		return ul_fail(err, "tokenizer.json has no model");
	if (type && strcmp(type, "BPE"))
		return ul_fail(err, "tokenizer.json: a model of type \"%.40s\" is not supported, only BPE", type);
	if (!ul_json_bool(model, "byte_fallback", &t->byte_fallback, err) || !ul_json_bool(model, "fuse_unk", &t->fuse_unk, err) ||
	        !ul_json_bool(model, "ignore_merges", &t->ignore_merges, err) || !ul_json_real(model, "dropout", 0, 1, &dropout, err) ||
	        !must_be_empty(model, "continuing_subword_prefix", err) || !must_be_empty(model, "end_of_word_suffix", err))
		return false;
	if (dropout > 0)
		return ul_fail(err, "tokenizer.json: model.dropout %g would make encoding random; it is not supported", dropout);
	if (!load_vocab(t, json_object_get(model, "vocab"), err) || !load_merges(t, json_object_get(model, "merges"), err))
		return false;
	find_bytes(t);
	t->unk = unk ? tok_map_get(&t->vocab, unk, strlen(unk)) : -1;
	if (unk && t->unk < 0)
		t->unk = -2;
	return true;
}

/* ---- added tokens ---- */

static bool load_added(ul_tok *t, const json_t *v, struct tok_added *a, ul_err *err)
{
	const json_t *content = json_object_get(v, "content");
	if (!json_is_string(content))
		return ul_fail(err, "tokenizer.json: an added token has no content");
	*a = (struct tok_added){.n = json_string_length(content), .normalized = true};
	if (a->n > TOK_MAX_ADDED_BYTES)
		return ul_fail(err, "tokenizer.json: an added token of %zu bytes; the limit is %d", a->n, TOK_MAX_ADDED_BYTES);
	if (!(a->s = keep(t, json_string_value(content), a->n)))
		return ul_nomem(err, a->n);
	return ul_json_bool(v, "single_word", &a->single_word, err) && ul_json_bool(v, "lstrip", &a->lstrip, err) &&
	       ul_json_bool(v, "rstrip", &a->rstrip, err) && ul_json_bool(v, "normalized", &a->normalized, err) &&
	       ul_json_bool(v, "special", &a->special, err);
}

/* The id of a token: the vocabulary's, or that of an equal token before it, or the next one. */
static int place(const ul_tok *t, const struct tok_added *a, const struct tok_map *seen, int *top)
{
	int id = tok_map_get(seen, a->s, a->n);
	if (id < 0)
		id = tok_map_get(&t->vocab, a->s, a->n);
	if (id < 0)
		id = *top >= t->words || !t->words ? *top + 1 : t->words;
	*top = id > *top ? id : *top;
	return id;
}

static bool load_added_tokens(ul_tok *t, const json_t *list, ul_err *err)
{
	size_t n = json_array_size(list), i;
	struct tok_map seen;
	json_t *v;
	int top = -1, size = t->size;
	t->added = ul_alloc(&t->arena, (n + 1) * sizeof *t->added);
	if (!t->added || !tok_map_init(&seen, &t->arena, n))
		return ul_nomem(err, n * sizeof *t->added);
	json_array_foreach(list, i, v)
	{
		struct tok_added a;
		if (!load_added(t, v, &a, err))
			return false;
		if (!a.n)
			continue;
		a.id = place(t, &a, &seen, &top);
		size = a.id >= size ? a.id + 1 : size;
		tok_map_put(&seen, a.s, a.n, a.id);
		t->added[t->n_added++] = a;
	}
	if (size > TOK_MAX_ID || !reserve_ids(t, size, err))
		return ul_fail(err, "tokenizer.json: %d ids; the limit is %d", size, TOK_MAX_ID);
	for (int k = 0; k < t->n_added; k++) {
		const struct tok_added *a = &t->added[k];
		t->piece[a->id] = a->s;
		t->piece_len[a->id] = (uint32_t)a->n;
		t->special[a->id] |= a->special;
		t->strips[a->id] = a->lstrip || a->rstrip;
	}
	return true;
}

bool tok_load(ul_tok *t, const json_t *root, ul_err *err)
{
	if (!json_is_object(root))
		return ul_fail(err, "tokenizer.json is no object");
	return load_model(t, json_object_get(root, "model"), err) && load_added_tokens(t, json_object_get(root, "added_tokens"), err) &&
	       tok_load_steps(t, root, err) && tok_load_post(t, json_object_get(root, "post_processor"), err) && tok_build_tries(t, err);
}
