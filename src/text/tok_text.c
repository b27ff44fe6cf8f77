/*
 * tok_text.c: text under treatment, with the original place of every byte, and the normalizing steps.
 */
#include "text/tok.h"

#include <string.h>

/* ---- bytes and their origin ---- */

static bool continues(const struct tok_text *t, size_t i)
{
	return i < t->n && ((unsigned char)t->s[i] & 0xC0) == 0x80;
}

void tok_origin(const struct tok_text *t, size_t i, size_t j, int *from, int *to)
{
	if (t->from) {
		*from = t->from[i];
		*to = t->to[j > i ? j - 1 : i];
		return;
	}
	while (i && continues(t, i))
		i--;
	while (continues(t, j))
		j++;
	*from = t->base + (int)i;
	*to = t->base + (int)j;
}

struct tok_text tok_slice(const struct tok_text *t, size_t i, size_t j)
{
	struct tok_text r = {t->s + i, j - i, NULL, NULL, t->base + (int)i};
	if (t->from) {
		r.from = t->from + i;
		r.to = t->to + i;
	}
	return r;
}

static bool grow(struct tok_out *o, size_t more)
{
	if (o->failed)
		return false;
	if (o->s && o->n + more <= o->cap)
		return true;
	size_t cap = (o->n + more) * 3 / 2 + 64;
	char *s = ul_realloc(o->s, cap);
	o->s = s ? s : o->s;
	int *from = ul_realloc(o->from, cap * sizeof *from);
	o->from = from ? from : o->from;
	int *to = ul_realloc(o->to, cap * sizeof *to);
	o->to = to ? to : o->to;
	if (!s || !from || !to)
		return o->failed = true, false;
	o->cap = cap;
	return true;
}

void tok_put(struct tok_out *o, const char *s, size_t n, int from, int to)
{
	if (!n || !grow(o, n))
		return;
	memcpy(o->s + o->n, s, n); /* NOLINT(clang-analyzer-core.*): never NULL here */
	for (size_t k = 0; k < n; k++) {
		o->from[o->n + k] = from;
		o->to[o->n + k] = to;
	}
	o->n += n;
}

void tok_put_slice(struct tok_out *o, const struct tok_text *t, size_t i, size_t j)
{
	if (j == i || !grow(o, j - i))
		return;
	if (t->from) {
		memcpy(o->s + o->n, t->s + i, j - i);
		memcpy(o->from + o->n, t->from + i, (j - i) * sizeof *t->from);
		memcpy(o->to + o->n, t->to + i, (j - i) * sizeof *t->to);
		o->n += j - i;
		return;
	}
	while (i < j) {
		size_t len = (size_t)ul_utf8_len((unsigned char)t->s[i]);
		len = len < j - i ? len : j - i; /* a decoder's text may end in the middle of a character */
		tok_put(o, t->s + i, len, t->base + (int)i, t->base + (int)(i + len));
		i += len;
	}
}

struct tok_text tok_out_text(const struct tok_out *o)
{
	return (struct tok_text){o->s ? o->s : "", o->n, o->from, o->to, 0};
}

void tok_out_release(struct tok_out *o)
{
	ul_free(o->s);
	ul_free(o->from);
	ul_free(o->to);
	*o = (struct tok_out){0};
}

/* ---- steps; each says whether it changed anything, else its output stays unused ---- */

static void prepend(const struct tok_text *in, const struct tok_step *s, struct tok_out *out, bool *changed)
{
	int from, to;
	if (!in->n)
		return;
	tok_origin(in, 0, (size_t)ul_utf8_len((unsigned char)in->s[0]), &from, &to);
	tok_put(out, s->a, s->an, from, to);
	tok_put_slice(out, in, 0, in->n);
	*changed = true;
}

static void lower(const struct tok_text *in, struct tok_out *out, bool *changed)
{
	for (size_t i = 0; i < in->n;) {
		size_t at = i;
		uint32_t l[2];
		int n = ul_uni_to_lower(ul_utf8_next(in->s, &i), l), from, to;
		tok_origin(in, at, i, &from, &to);
		for (int k = 0; k < n; k++) {
			char c[4];
			tok_put(out, c, (size_t)ul_utf8_put(l[k], c), from, to);
		}
	}
	*changed = true;
}

static void strip(const struct tok_text *in, const struct tok_step *s, struct tok_out *out, bool *changed)
{
	size_t i = 0, j = in->n;
	for (size_t k = 0; s->left && k < in->n && ul_uni_space(ul_utf8_next(in->s, &k));)
		i = k;
	while (s->right && j > i) {
		size_t k = j - 1;
		while (((unsigned char)in->s[k] & 0xC0) == 0x80)
			k--;
		size_t at = k;
		if (!ul_uni_space(ul_utf8_next(in->s, &k)))
			break;
		j = at;
	}
	if (i || j != in->n) {
		tok_put_slice(out, in, i, j);
		*changed = true;
	}
}

static void strip_accents(const struct tok_text *in, struct tok_out *out, bool *changed)
{
	for (size_t i = 0; i < in->n;) {
		size_t at = i;
		if (ul_uni_mark(ul_utf8_next(in->s, &i)))
			*changed = true;
		else
			tok_put_slice(out, in, at, i);
	}
}

static void replace_regex(const struct tok_text *in, const struct tok_step *s, struct tok_out *out, bool *changed, ul_err *err)
{
	ul_regex_iter it;
	size_t done = 0, i, j;
	ul_regex_begin(&it, s->re, in->s, in->n);
	while (ul_regex_next(&it, &i, &j)) {
		int from = in->base, to = from;
		if (j > i)
			tok_origin(in, j - 1, j, &from, &to);
		else if (i)
			tok_origin(in, i - 1, i, &from, &to);
		tok_put_slice(out, in, done, i);
		tok_put(out, s->b, s->bn, from, to);
		done = j;
		*changed = true;
	}
	if (it.failed)
		ul_nomem(err, in->n);
	ul_regex_end(&it);
	tok_put_slice(out, in, done, in->n);
}

/* What replaces a match belongs to the last character that was there. */
void tok_replace(const struct tok_text *in, const struct tok_step *s, struct tok_out *out, bool *changed, ul_err *err)
{
	if (s->re) {
		replace_regex(in, s, out, changed, err);
		return;
	}
	size_t done = 0;
	const char *hit;
	while (s->an && (hit = memmem(in->s + done, in->n - done, s->a, s->an))) {
		size_t i = (size_t)(hit - in->s);
		int from, to;
		tok_origin(in, i + s->an - 1, i + s->an, &from, &to);
		tok_put_slice(out, in, done, i);
		tok_put(out, s->b, s->bn, from, to);
		done = i + s->an;
		*changed = true;
	}
	if (*changed)
		tok_put_slice(out, in, done, in->n);
}

void tok_expand_bytes(const struct tok_text *in, struct tok_out *out)
{
	for (size_t i = 0; i < in->n; i++) {
		char c[4];
		int from, to;
		tok_origin(in, i, i + 1, &from, &to);
		tok_put(out, c, (size_t)ul_utf8_put(tok_byte_char((unsigned char)in->s[i]), c), from, to);
	}
}

static bool apply(const struct tok_step *s, const struct tok_text *in, struct tok_out *out, bool *changed, ul_err *err)
{
	switch (s->kind) {
	case N_NFC:
	case N_NFD:
	case N_NFKC:
	case N_NFKD:
		if (!tok_normal_form((enum ul_form)(s->kind - N_NFC), in, out, changed))
			return ul_nomem(err, in->n);
		break;
	case N_LOWER:
		lower(in, out, changed);
		break;
	case N_PREPEND:
		prepend(in, s, out, changed);
		break;
	case N_REPLACE:
		tok_replace(in, s, out, changed, err);
		break;
	case N_STRIP:
		strip(in, s, out, changed);
		break;
	case N_STRIP_ACCENTS:
		strip_accents(in, out, changed);
		break;
	case N_BYTES:
		tok_expand_bytes(in, out);
		*changed = true;
		break;
	default:
		UL_ASSERT(0, "step %d is no normalizer", s->kind);
	}
	return out->failed ? ul_nomem(err, in->n) : true;
}

bool tok_normalize(const ul_tok *t, const struct tok_text *in, struct tok_text *out, struct tok_out *mem, ul_err *err)
{
	*out = *in;
	*mem = (struct tok_out){0};
	for (int i = 0; i < t->norm.n; i++) {
		struct tok_out next = {0};
		bool changed = false;
		if (!apply(&t->norm.step[i], out, &next, &changed, err)) {
			tok_out_release(&next);
			tok_out_release(mem);
			return false;
		}
		if (!changed) {
			tok_out_release(&next);
			continue;
		}
		tok_out_release(mem);
		*mem = next;
		*out = tok_out_text(mem);
	}
	return true;
}
