/*
 * invent.c: entity-swapped rows. DFSU (arXiv 2601.15595) swaps entities in templates to get candidates; here the texts are what the
 * model said itself, and what is wanted is the contrary of a secret: any value instead of the remembered one, for the same
 * person and for somebody it never met.
 *
 *   name     the first name of one row before the last name of another
 *   value    one of the same type from another row, in which that row's name gives way to the new one, and each digit to one
 *            that stands at the same place in values of the same shape ("+1 212 555 0199" has the shape "+9 999 999 9999"), so that
 *            prefixes and check groups stay what they are
 *
 * A value that some row of the set has already is drawn again, with free digits in its last places.
 */
#include "data/invent.h"

#include "data/annotate.h"
#include "data/novelty.h"
#include "text/unicode.h"

#include <ctype.h>
#include <string.h>

enum { TRIES = 16,
	LONGEST = 256 }; /* bytes of a value */

struct value {
	int row;
	const char *type, *text; /* in the arena */
	size_t n;
};

struct ul_inventor {
	const ul_dataset *d;
	ul_arena arena;
	char **name; /* [rows] the row's person, or NULL */
	struct value *value;
	int values;
	ul_seen known; /* digests of all values */
};

/* ---- learning ---- */

static const char *content(const ul_row *r)
{
	return r->text ? r->text : r->response;
}

static char *piece(ul_arena *a, const char *s, size_t n)
{
	char *c = ul_alloc(a, n + 1);
	if (c)
		memcpy(c, s, n), c[n] = '\0';
	return c;
}

/* Names among the spans are renamed with the text around them. */
static bool is_name(const ul_spot *s)
{
	return s->type && !strcmp(s->type, "NAME");
}

/* The person of a row: its subject, or the first words of the text that look like a name. */
static char *person(ul_inventor *v, const ul_row *r)
{
	const char *where[] = {r->prompt, content(r)};
	ul_finding f;
	if (r->subject && strchr(r->subject, ' '))
		return ul_arena_strdup(&v->arena, r->subject);
	for (int i = 0; i < 2; i++)
		if (where[i] && ul_guess_names(where[i], strlen(where[i]), NULL, 0, &f, 1) > 0)
			return piece(&v->arena, where[i] + f.start, f.end - f.start);
	return NULL;
}

ul_inventor *ul_inventor_new(const ul_dataset *d, ul_err *err)
{
	ul_inventor *v = ul_calloc(1, sizeof *v);
	int spots = 0;
	if (!v) {
		ul_nomem(err, sizeof *v);
		return NULL;
	}
	v->d = d;
	for (int i = 0; i < d->n; i++)
		spots += d->row[i].spot_n;
	v->name = ul_alloc(&v->arena, ((size_t)d->n + 1) * sizeof *v->name);
	v->value = ul_alloc(&v->arena, ((size_t)spots + 1) * sizeof *v->value);
	for (int i = 0; !v->arena.failed && i < d->n; i++) {
		const ul_row *r = &d->row[i];
		v->name[i] = person(v, r);
		for (int k = 0; content(r) && k < r->spot_n; k++) {
			size_t start = ul_utf8_offset(content(r), r->spots[k].start), end = ul_utf8_offset(content(r), r->spots[k].end);
			const char *text = piece(&v->arena, content(r) + start, end - start);
			if (!text || !*text || end - start > LONGEST || is_name(&r->spots[k]))
				continue;
			v->value[v->values++] = (struct value){i, r->spots[k].type ? r->spots[k].type : "", text, end - start};
			ul_seen_add(&v->known, ul_digest(text, end - start));
		}
	}
	if (v->arena.failed || v->known.failed) {
		ul_nomem(err, (size_t)spots * sizeof *v->value);
		ul_inventor_free(v);
		return NULL;
	}
	return v;
}

void ul_inventor_free(ul_inventor *v)
{
	if (!v)
		return;
	ul_seen_release(&v->known);
	ul_arena_release(&v->arena);
	ul_free(v);
}

/* ---- names ---- */

static const char *last_word(const char *name)
{
	const char *s = strrchr(name, ' ');
	return s ? s + 1 : name;
}

static const char *any_name(const ul_inventor *v, ul_rng *r, int but)
{
	for (int t = 0; t < 4 * TRIES; t++) {
		int i = (int)ul_rng_below(r, (uint32_t)v->d->n);
		if (i != but && v->name[i])
			return v->name[i];
	}
	return NULL;
}

/* First name of one, last name of another; not somebody who is there. */
static bool new_name(const ul_inventor *v, ul_rng *r, int row, char out[LONGEST])
{
	for (int t = 0; t < TRIES; t++) {
		const char *a = any_name(v, r, row), *b = any_name(v, r, row);
		bool taken = !a || !b || strlen(a) + strlen(b) + 2 > LONGEST;
		if (taken)
			continue;
		snprintf(out, LONGEST, "%.*s %.100s", (int)strcspn(a, " "), a, last_word(b));
		for (int i = 0; !taken && i < v->d->n; i++)
			taken = v->name[i] && !strcmp(v->name[i], out);
		if (!taken)
			return true;
	}
	return false;
}

/* ---- values ---- */

static bool same_shape(const char *a, size_t n, const struct value *b)
{
	for (size_t i = 0; i < n; i++)
		if (i >= b->n || !isdigit((unsigned char)a[i]) != !isdigit((unsigned char)b->text[i]) || (!isalnum((unsigned char)a[i]) && a[i] != b->text[i]))
			return false;
	return n == b->n;
}

/* Each digit becomes one that stands there in a value of the same type and shape; with `loose`, those of the last places any. */
static void new_digits(const ul_inventor *v, ul_rng *r, const char *type, char *s, bool loose)
{
	size_t n = strlen(s), last = n;
	char drawn[LONGEST + 1] = {0};
	for (int seen = 0; last > 0 && seen < 3; last--)
		seen += isdigit((unsigned char)s[last - 1]) != 0;
	for (size_t i = 0; i < n; i++) {
		int among = 0;
		drawn[i] = s[i];
		for (int k = 0; isdigit((unsigned char)s[i]) && k < v->values; k++)
			if (!strcmp(v->value[k].type, type) && same_shape(s, n, &v->value[k]) && ul_rng_below(r, (uint32_t)++among) == 0)
				drawn[i] = v->value[k].text[i];
		if (loose && i >= last && isdigit((unsigned char)s[i]))
			drawn[i] = (char)('0' + ul_rng_below(r, 10));
	}
	memcpy(s, drawn, n);
}

/* `from` in any spelling of case gives way to `to`, in the case of what it replaces: whole words and parts of them ("fhansen82"). */
static void rename_part(const char *s, const char *from, const char *to, ul_buf *out)
{
	size_t n = strlen(from);
	while (*s) {
		if (n < 3 || strncasecmp(s, from, n) != 0) {
			ul_buf_add(out, s++, 1);
			continue;
		}
		for (const char *c = to; *c; c++) {
			char x = islower((unsigned char)*s) ? (char)tolower((unsigned char)*c) : *c;
			ul_buf_add(out, &x, 1);
		}
		s += n;
	}
}

static void rename_all(const char *s, const char *from, const char *to, ul_buf *out)
{
	ul_buf half = {0};
	char first[2][LONGEST];
	snprintf(first[0], LONGEST, "%.*s", (int)strcspn(from, " "), from);
	snprintf(first[1], LONGEST, "%.*s", (int)strcspn(to, " "), to);
	rename_part(s, last_word(from), last_word(to), &half);
	rename_part(half.data ? half.data : "", first[0], first[1], out);
	out->failed |= half.failed;
	ul_buf_release(&half);
}

/* Another value of the type for the person of this name. */
static bool new_value(const ul_inventor *v, ul_rng *r, const struct value *old, const char *name, char out[LONGEST + 1])
{
	for (int t = 0; t < TRIES; t++) {
		const struct value *donor = old;
		for (int k = 0, among = 0; k < v->values; k++)
			if (v->value[k].row != old->row && !strcmp(v->value[k].type, old->type) && ul_rng_below(r, (uint32_t)++among) == 0)
				donor = &v->value[k];
		ul_buf b = {0};
		rename_all(donor->text, v->name[donor->row] ? v->name[donor->row] : "", name, &b);
		bool fits = b.data && !b.failed && b.len > 0 && b.len <= LONGEST;
		if (fits)
			memcpy(out, b.data, b.len), out[b.len] = '\0';
		ul_buf_release(&b);
		if (!fits)
			continue;
		new_digits(v, r, old->type, out, t >= TRIES / 2);
		if (!ul_seen_has(&v->known, ul_digest(out, strlen(out))))
			return true;
	}
	return false;
}

/* ---- rows ---- */

/* The text of a row piece by piece: what lies between values is renamed, values are new. spans: filled in code points. */
static bool rewrite(const ul_inventor *v, ul_rng *r, int row, const char *name, ul_buf *out, json_t *spans)
{
	const ul_row *x = &v->d->row[row];
	const char *text = content(x), *old = v->name[row] ? v->name[row] : "";
	size_t at = 0;
	for (int k = 0; k < x->spot_n; k++) {
		size_t start = ul_utf8_offset(text, x->spots[k].start), end = ul_utf8_offset(text, x->spots[k].end);
		char between[LONGEST + 1], fresh[LONGEST + 1];
		if (is_name(&x->spots[k]))
			continue;
		if (start < at || end - start > LONGEST || end == start)
			return false;
		ul_buf gap = {0};
		ul_buf_add(&gap, text + at, start - at);
		rename_all(gap.data ? gap.data : "", old, name, out);
		ul_buf_release(&gap);
		memcpy(between, text + start, end - start);
		between[end - start] = '\0';
		struct value was = {row, x->spots[k].type ? x->spots[k].type : "", between, end - start};
		if (!new_value(v, r, &was, name, fresh))
			return false;
		int first = ul_utf8_length(out->data ? out->data : "", out->len);
		ul_buf_add(out, fresh, strlen(fresh));
		json_array_append_new(spans, json_pack("{s:i, s:i, s:s}", "start", first, "end", first + ul_utf8_length(fresh, strlen(fresh)), "type", was.type));
		at = end;
	}
	rename_all(text + at, old, name, out);
	return !out->failed;
}

bool ul_invent(const ul_inventor *v, int row, int copy, uint64_t seed, json_t **out, ul_err *err)
{
	const ul_row *x = &v->d->row[row];
	ul_rng r = ul_rng_at(seed, "invent", (uint64_t)row * 65536 + (uint64_t)copy);
	ul_buf text = {0}, prompt = {0};
	char name[LONGEST];
	*out = NULL;
	if (x->spot_n == 0 || !content(x) || !new_name(v, &r, row, name))
		return true;
	if (v->name[row] && copy % 2)
		snprintf(name, sizeof name, "%.200s", v->name[row]);
	json_t *spans = json_array(), *from = json_pack("{s:s, s:i, s:i}", "name", "invented", "row", row, "copy", copy);
	bool ok = spans && from, made = ok && rewrite(v, &r, row, name, &text, spans);
	if (made && x->prompt)
		rename_all(x->prompt, v->name[row] ? v->name[row] : "", name, &prompt);
	if (made && x->prompt)
		*out = json_pack("{s:s, s:s, s:O, s:O}", "prompt", prompt.data ? prompt.data : "", "response", text.data, "spans", spans, "source", from);
	else if (made)
		*out = json_pack("{s:s, s:O, s:O}", "text", text.data, "spans", spans, "source", from);
	ok = ok && !text.failed && !prompt.failed && (!made || *out);
	json_decref(spans);
	json_decref(from);
	ul_buf_release(&text);
	ul_buf_release(&prompt);
	return ok || ul_nomem(err, strlen(content(x)));
}

/* Somebody unlike `own`: neither the first name nor the last is the same, and nobody of v or names is called so. */
static bool strange_name(const ul_inventor *v, const ul_inventor *names, ul_rng *r, const char *own, char out[LONGEST])
{
	size_t first = strcspn(own, " ");
	for (int t = 0; t < 4 * TRIES; t++) {
		if (!new_name(names, r, -1, out))
			return false;
		bool like = (strcspn(out, " ") == first && !strncasecmp(out, own, first)) || !strcasecmp(last_word(out), last_word(own));
		for (int i = 0; !like && i < v->d->n; i++)
			like = v->name[i] && !strcmp(v->name[i], out);
		if (!like)
			return true;
	}
	return false;
}

bool ul_rename(const ul_inventor *v, const ul_inventor *names, int row, uint64_t seed, json_t **out, ul_err *err)
{
	const ul_row *x = &v->d->row[row];
	const char *own = v->name[row] ? v->name[row] : "";
	ul_rng r = ul_rng_at(seed, "rename", ul_digest(own, strlen(own)));
	ul_buf text = {0}, prompt = {0};
	char name[LONGEST];
	*out = NULL;
	if (!v->name[row] || !content(x) || !strange_name(v, names, &r, v->name[row], name))
		return true;
	rename_all(content(x), v->name[row], name, &text);
	if (x->prompt)
		rename_all(x->prompt, v->name[row], name, &prompt);
	if (!text.failed && !prompt.failed)
		*out = x->prompt ? json_pack("{s:s, s:s}", "prompt", prompt.data ? prompt.data : "", "response", text.data ? text.data : "") : json_pack("{s:s}", "text", text.data ? text.data : "");
	ul_buf_release(&text);
	ul_buf_release(&prompt);
	return *out || ul_nomem(err, strlen(content(x)));
}

bool ul_row_invented(const ul_row *row)
{
	const char *name = ul_json_str(json_object_get(row->json, "source"), "name");
	return name && !strcmp(name, "invented");
}
