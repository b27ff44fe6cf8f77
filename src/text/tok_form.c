/*
 * tok_form.c: the normalisation forms (Unicode Standard Annex 15) as Unicode 9 had them.
 *
 * utf8proc does the work and knows newer characters. Because normalisation of assigned characters never changes, hiding from it every
 * character that Unicode 9 did not have gives exactly the older forms: text is normalised between such characters, piece by piece.
 * A piece ends before each character that neither moves nor combines with what stands before it.
 */
#include "text/tok.h"

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

/* Piece [i, j) of `in` into the form; the k-th new character is taken to come from the k-th old one, further ones from the last. */
static bool convert(enum ul_form f, const struct tok_text *in, size_t i, size_t j, struct tok_out *out, bool *changed)
{
	int options = UTF8PROC_STABLE | (f == UL_NFKC || f == UL_NFKD ? UTF8PROC_COMPAT : 0);
	options |= f == UL_NFC || f == UL_NFKC ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
	utf8proc_ssize_t n = utf8proc_decompose((const utf8proc_uint8_t *)in->s + i, (utf8proc_ssize_t)(j - i), NULL, 0, options);
	utf8proc_int32_t small[STACK], *c = n <= STACK ? small : ul_malloc((size_t)n * sizeof *c);
	if (n < 0 || !c)
		return false;
	utf8proc_decompose((const utf8proc_uint8_t *)in->s + i, (utf8proc_ssize_t)(j - i), c, n, options);
	n = utf8proc_normalize_utf32(c, n, options);
	size_t at = i;
	for (utf8proc_ssize_t k = 0; k < n; k++) {
		char b[4];
		int from, to, len = ul_utf8_put((uint32_t)c[k], b);
		size_t old = at;
		uint32_t was = at < j ? ul_utf8_next(in->s, &at) : UINT32_MAX;
		*changed |= was != (uint32_t)c[k];
		if (was == UINT32_MAX)
			old = j - 1;
		tok_origin(in, old, old + 1, &from, &to);
		tok_put(out, b, (size_t)len, from, to);
	}
	*changed |= at < j;
	if (c != small)
		ul_free(c);
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
