/*
 * gguf_tok.c: the tokenizer inside a GGUF, gathered from its keys and handed to text/.
 */
#include "model/gguf.h"

#include <string.h>

static uint64_t length_at(const unsigned char *p)
{
	uint64_t n = 0;
	for (int i = 0; i < 8; i++)
		n |= (uint64_t)p[i] << (8 * i);
	return n;
}

/* An array of strings as NUL-terminated copies; lengths are kept, since tokens may hold NUL. The reader has checked the bytes. */
static bool strings(const ul_gguf *g, const char *key, ul_arena *a, const char *const **out, const size_t **lens, int *n, ul_err *err)
{
	const ul_gguf_kv *kv = ul_gguf_find(g, key);
	*n = 0;
	if (!kv)
		return true;
	if (kv->type != UL_GGUF_ARRAY || kv->elem != UL_GGUF_STRING || kv->n > 1 << 24)
		return ul_fail(err, "the GGUF key \"%s\" is no array of strings", key);
	const char **s = ul_alloc(a, (size_t)(kv->n + 1) * sizeof *s);
	size_t *len = ul_alloc(a, (size_t)(kv->n + 1) * sizeof *len);
	if (!s || !len)
		return ul_nomem(err, (size_t)kv->n * sizeof *s);
	const unsigned char *p = kv->data;
	for (uint64_t i = 0; i < kv->n; i++) {
		len[i] = (size_t)length_at(p);
		char *copy = ul_alloc_raw(a, len[i] + 1);
		if (!copy)
			return ul_nomem(err, len[i] + 1);
		memcpy(copy, p + 8, len[i]);
		copy[len[i]] = 0;
		s[i] = copy;
		p += 8 + len[i];
	}
	*out = s;
	if (lens)
		*lens = len;
	*n = (int)kv->n;
	return true;
}

/* A numeric array of one 4-byte type, copied so that it is aligned. */
static bool numbers(const ul_gguf *g, const char *key, enum ul_gguf_type elem, int n, ul_arena *a, const void **out, ul_err *err)
{
	const ul_gguf_kv *kv = ul_gguf_find(g, key);
	if (!kv)
		return true;
	bool fits = kv->type == UL_GGUF_ARRAY && (kv->elem == elem || (elem == UL_GGUF_I32 && kv->elem == UL_GGUF_U32));
	if (!fits || kv->n != (uint64_t)n)
		return ul_fail(err, "the GGUF key \"%s\" does not have one number for each of the %d tokens", key, n);
	void *copy = ul_alloc(a, (size_t)(n + 1) * 4);
	if (!copy)
		return ul_nomem(err, (size_t)n * 4);
	memcpy(copy, kv->data, (size_t)n * 4);
	*out = copy;
	return true;
}

static bool id(const ul_gguf *g, const char *key, int n, int *out, ul_err *err)
{
	int64_t x = -1;
	*out = -1;
	if (!ul_gguf_int(g, key, false, &x, err))
		return false;
	if (x == -1 || x == UINT32_MAX) /* both are written for "none" */
		return true;
	if (x < 0 || x >= n)
		return ul_fail(err, "the GGUF key \"%s\" is %lld, the vocabulary has %d tokens", key, (long long)x, n);
	*out = (int)x;
	return true;
}

static bool flag(const ul_gguf *g, const char *key, int *out, ul_err *err)
{
	bool x = false;
	*out = -1;
	if (!ul_gguf_find(g, key))
		return true;
	if (!ul_gguf_bool(g, key, &x, err))
		return false;
	*out = x;
	return true;
}

static bool gather(const ul_gguf *g, ul_tok_gguf *t, ul_arena *a, ul_err *err)
{
	if (!strings(g, "tokenizer.ggml.tokens", a, &t->token, &t->token_len, &t->n, err))
		return false;
	if (!t->n)
		return ul_fail(err, "the GGUF names a tokenizer but has no tokens");
	t->pre = ul_gguf_str(g, "tokenizer.ggml.pre", a);
	t->chat_template = ul_gguf_str(g, "tokenizer.chat_template", a);
	return numbers(g, "tokenizer.ggml.scores", UL_GGUF_F32, t->n, a, (const void **)&t->score, err) &&
	       numbers(g, "tokenizer.ggml.token_type", UL_GGUF_I32, t->n, a, (const void **)&t->type, err) &&
	       strings(g, "tokenizer.ggml.merges", a, &t->merge, NULL, &t->merges, err) &&
	       id(g, "tokenizer.ggml.bos_token_id", t->n, &t->bos, err) && id(g, "tokenizer.ggml.eos_token_id", t->n, &t->eos, err) &&
	       id(g, "tokenizer.ggml.unknown_token_id", t->n, &t->unk, err) && id(g, "tokenizer.ggml.padding_token_id", t->n, &t->pad, err) &&
	       flag(g, "tokenizer.ggml.add_bos_token", &t->add_bos, err) && flag(g, "tokenizer.ggml.add_eos_token", &t->add_eos, err) &&
	       flag(g, "tokenizer.ggml.add_space_prefix", &t->add_space_prefix, err);
}

ul_tok *ul_gguf_tok(const ul_gguf *g, bool *none, ul_err *err)
{
	ul_arena a = {0};
	ul_tok_gguf t = {.model = ul_gguf_str(g, "tokenizer.ggml.model", &a)};
	ul_tok *tok = NULL;
	*none = !t.model || !strcmp(t.model, "none") || !strcmp(t.model, "no_vocab");
	if (*none)
		ul_fail(err, "the GGUF has no tokenizer");
	else if (gather(g, &t, &a, err))
		tok = ul_tok_open_gguf(&t, err);
	ul_arena_release(&a);
	return tok;
}
