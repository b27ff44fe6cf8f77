/*
 * tok_form.c: the normalisation forms (Unicode Standard Annex 15) as Unicode 9 had them.
 *
 * utf8proc does the work and knows newer characters. Because normalisation of assigned characters never changes, hiding from it every
 * character that Unicode 9 did not have gives exactly the older forms: text is normalised between such characters, piece by piece.
 * A piece ends before each character that neither moves nor combines with what stands before it.
 */
#include "text/tok.h"

#include <stdlib.h>
#include <utf8proc.h>

enum { STACK = 64 };

/* May be changed by, or change, its neighbours. */
static bool stirs(uint32_t c, enum ul_form f)
{
	if (c < (f == UL_NFC ? 0x300u : 0xA0u) || !ul_uni_in_range(ul_uni_in9, ul_uni_in9_n, c))
		return false;
	if (c >= 0xAC00 && c <= 0xD7A3)
		return f != UL_NFC; /* a Hangul syllable is composed already; the jamo that may follow it stir */
	const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)c);
	if (p->combining_class || (c >= 0x1160 && c <= 0x11FF))
		return true;
	if (p->decomp_seqindex != UINT16_MAX && (f != UL_NFC || !p->decomp_type))
		return true;
	return (f == UL_NFC || f == UL_NFKC) && p->comb_index != UINT16_MAX;
}

/* Joins the piece that is open rather than starting a new one. */
static bool joins(uint32_t c)
{
	if (!ul_uni_in_range(ul_uni_in9, ul_uni_in9_n, c))
		return false;
	const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)c);
	if (p->combining_class || (c >= 0x1160 && c <= 0x11FF))
		return true;
	if (p->decomp_seqindex != UINT16_MAX) {
		utf8proc_int32_t d[STACK];
		int bound = 0;
		utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, d, STACK, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &bound);
		if (n > 0 && utf8proc_get_property(d[0])->combining_class)
			return true;
	}
	return p->comb_index != UINT16_MAX;
}

struct unit {
	uint32_t c;
	int class, order, used; /* combining class; place before sorting; old characters it stands for */
};

static int class_of(uint32_t c)
{
	return utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

static int by_class(const void *a, const void *b)
{
	const struct unit *x = a, *y = b;
	return x->class != y->class ? x->class - y->class : x->order - y->order;
}

/* The characters of [i, j) taken apart and put into canonical order. Only the first part of a character stands for it. */
static struct unit *take_apart(enum ul_form f, const struct tok_text *in, size_t i, size_t j, int *count)
{
	int options = UTF8PROC_DECOMPOSE | (f == UL_NFKC || f == UL_NFKD ? UTF8PROC_COMPAT : 0), n = 0, cap = 0;
	struct unit *u = NULL;
	while (i < j) {
		utf8proc_int32_t d[STACK];
		int bound = 0;
		utf8proc_ssize_t parts = utf8proc_decompose_char((utf8proc_int32_t)ul_utf8_next(in->s, &i), d, STACK, options, &bound);
		if (n + STACK > cap) {
			cap = cap * 2 + 4 * STACK;
			struct unit *more = ul_realloc(u, (size_t)cap * sizeof *u);
			if (!more) {
				ul_free(u);
				return NULL;
			}
			u = more;
		}
		for (int k = 0; k < parts && k < STACK; k++, n++)
			u[n] = (struct unit){(uint32_t)d[k], class_of((uint32_t)d[k]), n, k == 0};
	}
	for (int k = 0; k < n;) {
		int from = k;
		while (k < n && u[k].class)
			k++;
		if (k - from > 1)
			qsort(u + from, (size_t)(k - from), sizeof *u, by_class);
		k += k == from;
	}
	*count = n;
	return u;
}

static bool compose(uint32_t *a, uint32_t b)
{
	utf8proc_int32_t pair[2] = {(utf8proc_int32_t)*a, (utf8proc_int32_t)b};
	if (utf8proc_normalize_utf32(pair, 2, UTF8PROC_STABLE | UTF8PROC_COMPOSE) != 1)
		return false;
	*a = (uint32_t)pair[0];
	return true;
}

/* Each character joins the last starter unless one of its own or a higher class stands between. */
static int put_together(struct unit *u, int n)
{
	int m = 0, starter = -1;
	for (int i = 0; i < n; i++) {
		bool near = starter >= 0 && (m - 1 == starter || u[m - 1].class < u[i].class);
		if (near && compose(&u[starter].c, u[i].c)) {
			u[starter].used += u[i].used;
			continue;
		}
		if (!u[i].class)
			starter = m;
		u[m++] = u[i];
	}
	return m;
}

/* Piece [i, j) into the form. As in the reference library a new character comes from the first of the old ones it stands for, in the
 * order in which they stood; one that stands for none comes from the one before it. */
static bool convert(enum ul_form f, const struct tok_text *in, size_t i, size_t j, struct tok_out *out, bool *changed)
{
	int n = 0;
	struct unit *u = take_apart(f, in, i, j, &n);
	if (!u)
		return false;
	if (f == UL_NFC || f == UL_NFKC)
		n = put_together(u, n);
	size_t at = i, last = i;
	for (int k = 0; k < n; k++) {
		char b[4];
		int from, to, len = ul_utf8_put(u[k].c, b);
		size_t here = u[k].used && at < j ? at : last, next = here;
		*changed |= !u[k].used || ul_utf8_next(in->s, &next) != u[k].c || u[k].used > 1;
		tok_origin(in, here, here + 1, &from, &to);
		for (int old = 0; old < u[k].used && at < j; old++) {
			last = at;
			ul_utf8_next(in->s, &at);
		}
		tok_put(out, b, (size_t)len, from, to);
	}
	ul_free(u);
	return true;
}

bool tok_normal_form(enum ul_form f, const struct tok_text *in, struct tok_out *out, bool *changed)
{
	size_t done = 0, start = 0; /* copied up to; where the open piece starts */
	bool stirred = false;
	for (size_t i = 0; i <= in->n;) {
		size_t at = i;
		bool last = i == in->n;
		uint32_t c = last ? 0 : ul_utf8_next(in->s, &i);
		bool moves = !last && stirs(c, f);
		if (last || c < 0x80 || !moves || !joins(c)) {
			if (stirred) {
				tok_put_slice(out, in, done, start);
				if (!convert(f, in, start, at, out, changed))
					return false;
				done = at;
			}
			start = last || c < 0x300 || ul_uni_in_range(ul_uni_in9, ul_uni_in9_n, c) ? at : i;
			stirred = false;
		}
		if (last)
			break;
		stirred |= moves;
	}
	if (*changed)
		tok_put_slice(out, in, done, in->n);
	return true;
}
