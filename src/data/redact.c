/*
 * redact.c: what of a row may be shown. Recognisers miss data, and names are often not marked at all, so it is not enough to cover what
 * is marked: a word stays only if it belongs to the language of the rows, that is, stands in several of them, in small letters, where
 * nothing is marked.
 */
#include "data/redact.h"

#include "text/unicode.h"

#include <ctype.h>
#include <string.h>

enum { COMMON = 3, /* rows that a word must stand in */
	SHOWN = 6, /* rows at most */
	BARE = 2 }; /* of them without a mark, where there are enough with one */
#define BLOCK "█"
#define DOT "·"

/* Words that begin sentences and questions: no row need hold them in small letters. */
static const char *const plain[] = {"a", "an", "the", "in", "on", "at", "to", "of", "for", "is", "are", "was", "what", "when", "where", "which", "who", "whose", "how", "you", "your", "please",
        "can", "it", "this", "that", "and", "question", "answer", NULL};

static bool solid(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* The next run of bytes without blanks from *at on, less the punctuation around it; false at the end. */
static bool chunk(const char *s, size_t *at, size_t *from, size_t *end)
{
	while (s[*at] && isspace((unsigned char)s[*at]))
		++*at;
	if (!s[*at])
		return false;
	*from = *at;
	while (s[*at] && !isspace((unsigned char)s[*at]))
		++*at;
	*end = *at;
	while (*from < *end && !solid(s[*from]))
		++*from;
	while (*end > *from && !solid(s[*end - 1]))
		--*end;
	return true;
}

/* A chunk as a word, in small letters; false if it is anything else than letters, or partly marked (marks, here and below: NULL = none).
 * *small: it was written so. */
static bool word(const char *s, const char *marked, size_t from, size_t end, char out[64], bool *small)
{
	size_t n = end - from;
	*small = true;
	if (!n || n >= 64)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = s[from + i];
		if ((marked && marked[from + i]) || !(isalpha((unsigned char)c) || c == '\'' || c == '-'))
			return false;
		*small &= !isupper((unsigned char)c);
		out[i] = (char)tolower((unsigned char)c);
	}
	out[n] = 0;
	return true;
}

/* ---- the language of the rows ---- */

/* word -> rows · 2^32 + number of the last row it was met in, from 1 on */
static bool learn(json_t *words, const char *s, const char *marked, int row)
{
	char w[64];
	bool small, ok = true;
	for (size_t at = 0, from, end; ok && chunk(s, &at, &from, &end);) {
		if (!word(s, marked, from, end, w, &small) || !small)
			continue;
		json_int_t was = json_integer_value(json_object_get(words, w));
		if ((was & 0xffffffff) != row + 1)
			ok = json_object_set_new(words, w, json_integer(((was >> 32) + 1) << 32 | (row + 1))) == 0;
	}
	return ok;
}

static bool listed(const char *w)
{
	for (int i = 0; plain[i]; i++)
		if (!strcmp(plain[i], w))
			return true;
	return false;
}

/* A word of the person's name? */
static bool names(const char *subject, const char *w)
{
	char own[64];
	bool small;
	for (size_t at = 0, from, end; subject && chunk(subject, &at, &from, &end);) {
		size_t n = end - from < 63 ? end - from : 63;
		char part[64] = "";
		memcpy(part, subject + from, n);
		if (word(part, NULL, 0, n, own, &small) && !strcmp(own, w))
			return true;
	}
	return false;
}

/* ---- a row ---- */

/* Of each byte whether a span covers it; to be freed. */
static char *marks_of(const ul_row *r, const char *s)
{
	size_t n = strlen(s);
	char *m = ul_calloc(n + 1, 1);
	for (int k = 0; m && k < r->spot_n; k++) {
		size_t from = ul_utf8_offset(s, r->spots[k].start), end = ul_utf8_offset(s, r->spots[k].end);
		if (from < end)
			memset(m + from, 1, end - from);
	}
	return m;
}

static bool cover(const json_t *words, const char *subject, const char *s, const char *marked, ul_buf *out)
{
	char *keep = ul_calloc(strlen(s) + 1, 1), w[64];
	bool small;
	for (size_t at = 0, from, end; keep && chunk(s, &at, &from, &end);)
		if (word(s, marked, from, end, w, &small) && !names(subject, w) && (listed(w) || json_integer_value(json_object_get(words, w)) >> 32 >= COMMON))
			memset(keep + from, 1, end - from);
	for (size_t i = 0; keep && s[i]; i += (size_t)ul_utf8_len((unsigned char)s[i])) {
		bool mark = marked && marked[i];
		if (isspace((unsigned char)s[i]) || (!mark && (keep[i] || !solid(s[i]))))
			ul_buf_add(out, s + i, 1);
		else
			ul_buf_str(out, mark ? BLOCK : DOT);
	}
	bool ok = keep && !out->failed;
	ul_free(keep);
	return ok;
}

static const char *text_of(const ul_row *r)
{
	return r->text ? r->text : r->response;
}

static bool learn_row(json_t *words, const ul_row *r, int number)
{
	const char *s = text_of(r), *prompt = r->text ? NULL : r->prompt;
	char *marked = s ? marks_of(r, s) : NULL;
	bool ok = (!s || (marked && learn(words, s, marked, number))) && (!prompt || learn(words, prompt, NULL, number));
	ul_free(marked);
	return ok;
}

static json_t *redact(const json_t *words, const ul_row *r)
{
	ul_buf text = {0}, prompt = {0};
	char *marked = marks_of(r, text_of(r));
	json_t *spans = json_array(), *o = NULL;
	bool ok = marked && spans && cover(words, r->subject, text_of(r), marked, &text) && (r->text || !r->prompt || cover(words, r->subject, r->prompt, NULL, &prompt));
	if (ok) {
		for (int k = 0; k < r->spot_n; k++)
			json_array_append_new(spans, json_pack("{s:i, s:i, s:s}", "start", r->spots[k].start, "end", r->spots[k].end, "type", r->spots[k].type ? r->spots[k].type : ""));
		o = json_pack("{s:s, s:O}", "text", text.data ? text.data : "", "spans", spans);
		if (o && prompt.len)
			json_object_set_new(o, "prompt", json_string(prompt.data));
	}
	json_decref(spans);
	ul_free(marked);
	ul_buf_release(&text);
	ul_buf_release(&prompt);
	return o;
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

/* `want` of the `all` rows that have a text and marks, or none, evenly. */
static bool choose(json_t *list, const json_t *words, const ul_dataset *d, bool marked, int all, int want)
{
	bool ok = true;
	for (int i = 0, k = 0, taken = 0; ok && taken < want; i++) {
		const ul_row *r = &d->row[i];
		if (!text_of(r) || (r->spot_n > 0) != marked)
			continue;
		if (k++ == (int)((int64_t)taken * all / want)) {
			ok = json_array_append_new(list, redact(words, r)) == 0;
			taken++;
		}
	}
	return ok;
}

json_t *ul_redacted(const ul_dataset *d)
{
	json_t *words = json_object(), *list = json_array();
	bool ok = words && list;
	for (int i = 0; ok && i < d->n; i++)
		ok = learn_row(words, &d->row[i], i);
	int marked = 0, bare = 0;
	for (int i = 0; i < d->n; i++)
		*(d->row[i].spot_n ? &marked : &bare) += text_of(&d->row[i]) != NULL;
	int fewest = marked < SHOWN - BARE ? SHOWN - marked : BARE, without = least(bare, fewest);
	ok = ok && choose(list, words, d, true, marked, least(marked, SHOWN - without)) && choose(list, words, d, false, bare, without);
	json_decref(words);
	if (!ok) {
		json_decref(list);
		return NULL;
	}
	return list;
}
