/*
 * unicode.c: UTF-8 and character properties over the generated tables. Runs are found by binary search; ASCII never gets there.
 */
#include "text/unicode.h"

#include <string.h>

enum ul_gc ul_uni_category(uint32_t c)
{
	int lo = 0, hi = ul_uni_runs_n;
	uint32_t key = c << 5 | 31;
	while (hi - lo > 1) {
		int mid = (lo + hi) / 2;
		if (ul_uni_runs[mid] <= key)
			lo = mid;
		else
			hi = mid;
	}
	return (enum ul_gc)(ul_uni_runs[lo] & 31);
}

bool ul_uni_in_range(const ul_uni_range *r, int n, uint32_t c)
{
	int lo = 0, hi = n;
	while (lo < hi) {
		int mid = (lo + hi) / 2;
		if (c > r[mid].last)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && c >= r[lo].first;
}

bool ul_uni_space(uint32_t c)
{
	if (c < 0x80)
		return c == ' ' || (c >= 9 && c <= 13);
	return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
	       c == 0x205F || c == 0x3000;
}

/* Alphabetic symbols: circled and squared Latin letters, the only alphabetic characters that are neither letter, mark nor number. */
static bool alphabetic_symbol(uint32_t c)
{
	return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
	       (c >= 0x1F170 && c <= 0x1F189);
}

bool ul_uni_word(uint32_t c, enum ul_word which)
{
	if (c < 0x80)
		return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
	if (ul_uni_mask(c) & (UL_GC_LETTER | UL_GC_MARK | UL_GC(ND) | UL_GC(NL) | UL_GC(PC)))
		return true;
	if (which == UL_WORD_RUST && (c == 0x200C || c == 0x200D))
		return true;
	if (which == UL_WORD_BARE && (c == 0xB2 || c == 0xB3 || c == 0xB9 || (c >= 0xBC && c <= 0xBE)))
		return true;
	return alphabetic_symbol(c);
}

bool ul_uni_numeric(uint32_t c)
{
	if (c < 0x80)
		return c >= '0' && c <= '9';
	return (ul_uni_mask(c) & UL_GC_NUMBER) || ul_uni_in_range(ul_uni_new_digits, ul_uni_new_digits_n, c);
}

bool ul_uni_punctuation(uint32_t c)
{
	return ul_uni_in_range(ul_uni_punct8, ul_uni_punct8_n, c);
}

bool ul_uni_mark(uint32_t c)
{
	return c >= 0x300 && ul_uni_in_range(ul_uni_marks9, ul_uni_marks9_n, c);
}

int ul_uni_to_lower(uint32_t c, uint32_t out[2])
{
	out[0] = c;
	if (c < 0x80)
		return out[0] += c >= 'A' && c <= 'Z' ? 32 : 0, 1;
	if (c == 0x130)
		return out[0] = 'i', out[1] = 0x307, 2;
	int lo = 0, hi = ul_uni_lower_n;
	while (lo < hi) {
		int mid = (lo + hi) / 2;
		if (c > ul_uni_lower[mid].last)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* Runs of step 2 may interleave with single characters between them, so the neighbour is looked at too. */
	for (int i = lo; i < ul_uni_lower_n && i < lo + 2; i++) {
		const ul_uni_case *r = &ul_uni_lower[i];
		if (c >= r->first && c <= r->last && (c - r->first) % (uint32_t)r->step == 0)
			return out[0] = (uint32_t)((int)c + r->delta), 1;
	}
	return 1;
}

int ul_utf8_valid(const unsigned char *s, size_t n, int *bad)
{
	unsigned char a = s[0], lo = 0x80, hi = 0xBF;
	*bad = 1;
	if (a < 0x80)
		return 1;
	if (a < 0xC2 || a > 0xF4)
		return 0;
	int len = ul_utf8_len(a);
	if (a == 0xE0)
		lo = 0xA0;
	else if (a == 0xED)
		hi = 0x9F;
	else if (a == 0xF0)
		lo = 0x90;
	else if (a == 0xF4)
		hi = 0x8F;
	for (int i = 1; i < len; i++, lo = 0x80, hi = 0xBF) {
		if ((size_t)i >= n || s[i] < lo || s[i] > hi)
			return *bad = i, 0;
	}
	return len;
}

bool ul_utf8_ok(const char *s, size_t n)
{
	int bad;
	for (size_t i = 0; i < n;) {
		int len = ul_utf8_valid((const unsigned char *)s + i, n - i, &bad);
		if (!len)
			return false;
		i += (size_t)len;
	}
	return true;
}

static size_t step(const char *s, size_t n)
{
	int bad, len = ul_utf8_valid((const unsigned char *)s, n, &bad);
	return len ? (size_t)len : 1;
}

int ul_utf8_length(const char *s, size_t n)
{
	int points = 0;
	for (size_t i = 0; i < n; i += step(s + i, n - i))
		points++;
	return points;
}

size_t ul_utf8_prefix(const char *s, size_t n, int points)
{
	size_t i = 0;
	while (points-- > 0 && i < n)
		i += step(s + i, n - i);
	return i;
}

size_t ul_utf8_offset(const char *s, int point)
{
	return ul_utf8_prefix(s, strlen(s), point);
}

int ul_utf8_put(uint32_t c, char out[4])
{
	if (c < 0x80)
		return out[0] = (char)c, 1;
	if (c < 0x800)
		return out[0] = (char)(0xC0 | c >> 6), out[1] = (char)(0x80 | (c & 0x3F)), 2;
	if (c < 0x10000)
		return out[0] = (char)(0xE0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 0x3F)), out[2] = (char)(0x80 | (c & 0x3F)), 3;
	out[0] = (char)(0xF0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3F));
	out[2] = (char)(0x80 | (c >> 6 & 0x3F));
	out[3] = (char)(0x80 | (c & 0x3F));
	return 4;
}
