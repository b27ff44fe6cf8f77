/*
 * tok_encode.c: bytes to ids. Ill-formed UTF-8 becomes U+FFFD, one for each maximal subpart (Unicode Standard, section 3.9, and Rust's
 * from_utf8_lossy); added tokens are cut out, the rest is normalized, cut again, pre-tokenized and given to the model.
 */
#include "text/tok.h"

#include <string.h>

/* ---- lists of ids ---- */

static bool grow(ul_ids *ids, bool offsets)
{
	if (ids->failed)
		return false;
	int cap = ids->n == ids->cap ? ids->cap + ids->cap / 2 + 64 : ids->cap;
	if (cap != ids->cap) {
		int *id = ul_realloc(ids->id, (size_t)cap * sizeof *id);
		ids->id = id ? id : ids->id;
		ids->failed |= !id;
	}
	if ((offsets || ids->begin) && (cap != ids->cap || !ids->begin)) {
		bool had = ids->begin != NULL;
		int *begin = ul_realloc(ids->begin, (size_t)cap * sizeof *begin);
		ids->begin = begin ? begin : ids->begin;
		int *end = ul_realloc(ids->end, (size_t)cap * sizeof *end);
		ids->end = end ? end : ids->end;
		ids->failed |= !begin || !end;
		for (int i = 0; !had && !ids->failed && i < ids->n; i++)
			begin[i] = end[i] = 0;
	}
	if (!ids->failed)
		ids->cap = cap;
	return !ids->failed;
}

static bool append(ul_ids *ids, int id, bool offsets, int begin, int end)
{
	if ((ids->n == ids->cap || (offsets && !ids->begin)) && !grow(ids, offsets))
		return false;
	ids->id[ids->n] = id;
	if (ids->begin) {
		ids->begin[ids->n] = begin;
		ids->end[ids->n] = end;
	}
	ids->n++;
	return true;
}

void ul_ids_add(ul_ids *ids, int id)
{
	append(ids, id, false, 0, 0);
}

void ul_ids_release(ul_ids *ids)
{
	ul_free(ids->id);
	ul_free(ids->begin);
	ul_free(ids->end);
	*ids = (ul_ids){0};
}

bool tok_nomem(struct tok_enc *e)
{
	return ul_fail(e->err, "out of memory while a text is tokenized");
}

bool tok_emit(struct tok_enc *e, int id, int begin, int end)
{
	return append(e->out, id, e->offsets, begin, end) || tok_nomem(e);
}

/* ---- added tokens ---- */

static size_t spaces_before(const char *s, size_t i, size_t floor)
{
	while (i > floor) {
		size_t k = i - 1;
		while (k > floor && ((unsigned char)s[k] & 0xC0) == 0x80)
			k--;
		size_t at = k;
		if (!ul_uni_space(ul_utf8_next(s, &k)))
			break;
		i = at;
	}
	return i;
}

static size_t spaces_after(const char *s, size_t n, size_t i)
{
	for (size_t k = i; k < n && ul_uni_space(ul_utf8_next(s, &k));)
		i = k;
	return i;
}

static bool inside_word(const struct tok_text *t, size_t i, size_t j)
{
	size_t k = i;
	while (k && ((unsigned char)t->s[--k] & 0xC0) == 0x80)
		;
	size_t after = j;
	return (i && ul_uni_word(ul_utf8_next(t->s, &k), UL_WORD_RUST)) || (j < t->n && ul_uni_word(ul_utf8_next(t->s, &after), UL_WORD_RUST));
}

typedef bool (*piece_fn)(struct tok_enc *e, const struct tok_text *piece);

/* Emits the tokens found (those that take spaces on their right may overlap, as in the reference library) and hands what lies between them to `rest`. */
static bool cut(struct tok_enc *e, const ul_trie *trie, const struct tok_text *in, piece_fn rest)
{
	size_t done = 0, at = 0, i, j;
	int found, from, to;
	while ((found = tok_trie_find(trie, in->s, in->n, at, &i, &j)) >= 0) {
		const struct tok_added *a = &e->t->added[found];
		at = j;
		if (a->single_word && inside_word(in, i, j))
			continue;
		if (a->lstrip)
			i = i > done ? spaces_before(in->s, i, done) : done;
		if (a->rstrip)
			j = spaces_after(in->s, in->n, j);
		if (done < i) {
			struct tok_text piece = tok_slice(in, done, i);
			if (!rest(e, &piece))
				return false;
		}
		done = j;
		if (i >= j) /* spaces only, which the token before has taken */
			continue;
		tok_origin(in, i, j, &from, &to);
		if (!tok_emit(e, a->id, from, to))
			return false;
	}
	if (done >= in->n)
		return true;
	struct tok_text piece = tok_slice(in, done, in->n);
	return rest(e, &piece);
}

static bool words(struct tok_enc *e, const struct tok_text *in)
{
	return tok_pretokenize(e, 0, in);
}

static bool normalize(struct tok_enc *e, const struct tok_text *in)
{
	struct tok_text t;
	struct tok_out mem;
	if (!tok_normalize(e->t, in, &t, &mem, e->err))
		return false;
	bool ok = cut(e, &e->t->normalized, &t, words);
	tok_out_release(&mem);
	return ok;
}

/* ---- the whole ---- */

/* Well-formed text, each replacement character standing for the bytes it replaces. */
void tok_repair(const char *s, size_t n, struct tok_out *out)
{
	for (size_t i = 0; i < n;) {
		int bad, len = ul_utf8_valid((const unsigned char *)s + i, n - i, &bad);
		if (len)
			tok_put(out, s + i, (size_t)len, (int)i, (int)i + len);
		else
			tok_put(out, "\xEF\xBF\xBD", 3, (int)i, (int)i + bad);
		i += (size_t)(len ? len : bad);
	}
}

/* Spaces at the edges of a token, written as such or as GPT-2's visible one, are left out of its range. */
static void trim(const ul_tok *t, ul_ids *ids, int first, const char *text)
{
	for (int i = first; i < ids->n; i++) {
		const char *s = t->strips[ids->id[i]] ? text + ids->begin[i] : t->piece[ids->id[i]];
		size_t n = t->strips[ids->id[i]] ? (size_t)(ids->end[i] - ids->begin[i]) : t->piece_len[ids->id[i]];
		int lead = 0, trail = 0, chars = 0, *begin = &ids->begin[i], *end = &ids->end[i];
		for (size_t k = 0; s && k < n && k + (size_t)ul_utf8_len((unsigned char)s[k]) <= n; chars++) {
			uint32_t c = ul_utf8_next(s, &k);
			bool space = c == 0x120 || ul_uni_space(c);
			lead += space && lead == chars;
			trail = space ? trail + 1 : 0;
		}
		if (lead == 1 && t->trim_keeps_space && (i == first || *begin == 0))
			lead = 0;
		for (; lead && *begin < *end; lead--) /* by characters of the text */
			do
				++*begin;
			while (*begin < *end && (text[*begin] & 0xC0) == 0x80);
		for (; trail && *begin < *end; trail--)
			do
				--*end;
			while (*begin < *end && (text[*end] & 0xC0) == 0x80);
	}
}

static bool run(struct tok_enc *e, const struct tok_text *in, bool specials, const char *text)
{
	const ul_tok *t = e->t;
	for (int i = 0; specials && i < t->n_before; i++)
		if (!tok_emit(e, t->before[i], 0, 0))
			return false;
	int first = e->out->n;
	if (!cut(e, &t->raw, in, normalize))
		return false;
	if (e->offsets && t->trim_offsets)
		trim(t, e->out, first, text);
	for (int i = 0; specials && i < t->n_after; i++)
		if (!tok_emit(e, t->after[i], 0, 0))
			return false;
	return true;
}

bool ul_tok_encode(const ul_tok *t, const char *text, size_t n, int specials, bool offsets, ul_ids *out, ul_err *err)
{
	if (n > TOK_MAX_TEXT)
		return ul_fail(err, "a text of %zu bytes; the limit is %d", n, TOK_MAX_TEXT);
	struct tok_enc e = {.t = t, .out = out, .offsets = offsets, .err = err};
	struct tok_text in = {text, n, NULL, NULL, 0};
	struct tok_out repaired = {0};
	bool ok = true;
	int had = out->n;
	if (!ul_utf8_ok(text, n)) {
		tok_repair(text, n, &repaired);
		in = tok_out_text(&repaired);
		ok = !repaired.failed || tok_nomem(&e);
	}
	ok = ok && run(&e, &in, specials != 0, text);
	if (!ok)
		out->n = had;
	tok_out_release(&repaired);
	ul_free(e.sym);
	ul_free(e.heap);
	ul_buf_release(&e.word);
	return ok;
}
