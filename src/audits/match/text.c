/*
 * text.c: strings as audits compare them: edit distance in characters, personal data without their spelling, compressed size.
 */
#include "audits/match/match.h"

#include <string.h>
#include <utf8proc.h>
#include <zlib.h>

static size_t next(const char *s, size_t n, int32_t *c)
{
	utf8proc_int32_t u;
	utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &u);
	if (used <= 0) { /* ill-formed: a byte stands for itself, outside Unicode */
		*c = 0x110000 + (unsigned char)*s;
		return 1;
	}
	*c = u;
	return (size_t)used;
}

static int32_t *points(const char *s, size_t n, int *len)
{
	int32_t *out = ul_malloc((n + 1) * sizeof *out);
	*len = 0;
	for (size_t i = 0; out && i < n;)
		i += next(s + i, n - i, &out[(*len)++]);
	return out;
}

int ul_utf8_distance(const char *a, size_t na, const char *b, size_t nb)
{
	int la, lb, d = -1;
	int32_t *ca = points(a, na, &la), *cb = points(b, nb, &lb);
	int *row = ul_malloc((nb + 1) * sizeof *row); /* [lb + 1] */
	if (ca && cb && row) {
		for (int j = 0; j <= lb; j++)
			row[j] = j;
		for (int i = 0; i < la; i++) {
			int diagonal = row[0];
			row[0] = i + 1;
			for (int j = 1; j <= lb; j++) {
				int best = diagonal + (ca[i] != cb[j - 1]);
				if (row[j] + 1 < best)
					best = row[j] + 1;
				if (row[j - 1] + 1 < best)
					best = row[j - 1] + 1;
				diagonal = row[j];
				row[j] = best;
			}
		}
		d = row[lb];
	}
	ul_free(ca);
	ul_free(cb);
	ul_free(row);
	return d;
}

bool ul_pii_digits_only(const char *type)
{
	static const char *const numeric[] = {"PHONE", "SSN", "CARD", "CREDIT", "IMEI", "FAX", "TELEPHONE", "SOCIAL", NULL};
	char upper[64];
	size_t n = 0;
	for (; type && type[n] && n + 1 < sizeof upper; n++)
		upper[n] = (char)(type[n] >= 'a' && type[n] <= 'z' ? type[n] - ('a' - 'A') : type[n]);
	upper[n] = '\0';
	for (const char *const *k = numeric; *k; k++) {
		if (strstr(upper, *k))
			return true;
	}
	return false;
}

/* NFC after case folding; ill-formed text is left as its bytes. */
static char *folded(const char *s, size_t n)
{
	const utf8proc_option_t how = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD;
	utf8proc_ssize_t len = utf8proc_decompose((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, NULL, 0, how);
	char *out = ul_malloc((len < 0 ? n : (size_t)len * sizeof(utf8proc_int32_t)) + 1);
	if (!out)
		return NULL;
	if (len >= 0) {
		utf8proc_decompose((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, (utf8proc_int32_t *)out, len, how);
		len = utf8proc_reencode((utf8proc_int32_t *)out, len, how); /* in place, ends with NUL */
	}
	if (len < 0) {
		memcpy(out, s, n);
		out[n] = '\0';
	}
	return out;
}

char *ul_pii_normal(const char *type, const char *s, size_t n)
{
	char *f = folded(s, n);
	if (!f)
		return NULL;
	bool digits = ul_pii_digits_only(type), gap = false;
	char *to = f;
	for (const char *c = f; *c; c++) {
		if (digits) {
			if (*c >= '0' && *c <= '9')
				*to++ = *c;
			continue;
		}
		if (*c == ' ' || *c == '\t' || *c == '\n' || *c == '\r') {
			gap = to > f;
			continue;
		}
		if (gap)
			*to++ = ' ';
		gap = false;
		*to++ = *c;
	}
	*to = '\0';
	return f;
}

int ul_zlib_length(const char *s, size_t n)
{
	uLong bound = compressBound((uLong)n);
	uLongf len = bound;
	unsigned char *out = ul_malloc(bound);
	bool ok = out && compress2(out, &len, (const unsigned char *)s, (uLong)n, 6) == Z_OK;
	ul_free(out);
	return ok ? (int)len : -1;
}
