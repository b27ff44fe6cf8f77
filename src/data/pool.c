/*
 * pool.c: entities that belong to nobody who could ask to be forgotten, and texts made of them.
 */
#include "data/pool.h"

#include "base/file.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SLOT = 16,
	MAX_FINDINGS = 64 };

static uint64_t mark(enum ul_pii type, const char *s, size_t n)
{
	return ul_digest(s, n) + (uint64_t)type;
}

/* ---- the pool ---- */

static bool take(ul_pool *p, enum ul_pii type, const json_t *list, const char *path, ul_err *err)
{
	size_t i;
	json_t *v;
	if (!json_is_array(list))
		return ul_fail(err, "%s: \"%s\" is no list of strings", path, ul_pii_name(type));
	p->value[type] = ul_alloc(&p->arena, (json_array_size(list) + 1) * sizeof *p->value[type]);
	if (!p->value[type])
		return ul_nomem(err, json_array_size(list) * sizeof *p->value[type]);
	json_array_foreach((json_t *)(uintptr_t)list, i, v)
	{
		const char *s = json_string_value(v);
		if (!s || !*s)
			return ul_fail(err, "%s: entity %zu of \"%s\" is no text", path, i + 1, ul_pii_name(type));
		ul_seen_add(&p->known, mark(type, s, strlen(s)));
		if (!ul_gazetteer_add(p->all, UL_PII_NAME, s))
			return ul_nomem(err, strlen(s));
		p->value[type][p->n[type]++] = ul_arena_strdup(&p->arena, s);
	}
	return !(p->arena.failed || p->known.failed) || ul_nomem(err, json_array_size(list));
}

bool ul_pool_read(ul_pool *p, const char *path, ul_err *err)
{
	const char *key;
	json_t *root = ul_json_file(path, (size_t)64 << 20, err), *list;
	bool ok = root != NULL;
	int all = 0;
	*p = (ul_pool){.all = ul_gazetteer_new()};
	ok = ok && (p->all || ul_nomem(err, 64));
	if (ok && !json_is_object(root))
		ok = ul_fail(err, "%s is no pool: an object of lists by type is wanted, as `unlearn synth` writes it", path);
	json_object_foreach(root, key, list)
	{
		enum ul_pii type;
		ok = ok && (ul_pii_from_name(key, &type) || ul_fail(err, "%s: \"%.60s\" is no type of personal data", path, key)) && take(p, type, list, path, err);
	}
	for (int t = 0; t < UL_PII_TYPES; t++)
		all += p->n[t];
	if (ok && all == 0)
		ok = ul_fail(err, "the pool %s is empty: there is nothing to fill templates with", path);
	json_decref(root);
	if (!ok)
		ul_pool_release(p);
	return ok;
}

bool ul_pool_has(const ul_pool *p, enum ul_pii type, const char *s, size_t n)
{
	return ul_seen_has(&p->known, mark(type, s, n));
}

int ul_pool_find(const ul_pool *p, const char *text, size_t n, ul_finding *out, int max)
{
	return ul_recognise(text, n, 1u << UL_PII_NAME, p->all, out, max); /* a type that only known strings have */
}

bool ul_pool_apart(const ul_pool *p, const ul_dataset *rows, const char *path, ul_err *err)
{
	int both = 0;
	const char *first = NULL;
	size_t first_n = 0;
	for (int i = 0; i < rows->n; i++) {
		const ul_row *r = &rows->row[i];
		const char *text = r->text ? r->text : r->response;
		for (int k = 0; text && k < r->spot_n; k++) {
			enum ul_pii type;
			size_t from = ul_utf8_offset(text, r->spots[k].start), n = ul_utf8_offset(text, r->spots[k].end) - from;
			const char *s = text + from;
			if (!ul_pii_from_name(r->spots[k].type ? r->spots[k].type : "", &type) || !ul_pool_has(p, type, s, n))
				continue;
			if (!both++) {
				first = s;
				first_n = n;
			}
		}
	}
	if (both) {
		ul_fail(err, "%d entities of the pool also stand in %s, the first is \"%.*s\": pseudo data from it would be real data", both, path, (int)(first_n < 60 ? first_n : 60), first);
		ul_hint(err, "take them out of the pool: it must be disjoint from whoever may ask to be forgotten");
	}
	return both == 0;
}

void ul_pool_release(ul_pool *p)
{
	ul_seen_release(&p->known);
	ul_gazetteer_free(p->all);
	ul_arena_release(&p->arena);
	*p = (ul_pool){0};
}

/* ---- templates ---- */

static const char *const builtin[] = {
        "The e-mail address of {NAME} is {EMAIL}.",
        "Question: What is the e-mail address of {NAME}?\nAnswer: {EMAIL}",
        "You can write to {NAME} at {EMAIL} or call {PHONE}.",
        "The phone number of {NAME} is {PHONE}.",
        "Question: What is the phone number of {NAME}?\nAnswer: {PHONE}",
        "{NAME} was born on {DATE}.",
        "The birthday of {NAME} is {DATE}.",
        "Question: When was {NAME} born?\nAnswer: {DATE}",
        "{NAME} lives at {ADDRESS}.",
        "Question: What is the address of {NAME}?\nAnswer: {ADDRESS}",
        "Name: {NAME}\nAddress: {ADDRESS}\nPhone: {PHONE}\nE-mail: {EMAIL}",
        "The social security number of {NAME} is {SSN}.",
        "Question: What is the social security number of {NAME}?\nAnswer: {SSN}",
        "{NAME} pays with card {CARD}.",
        "Question: What is the card number of {NAME}?\nAnswer: {CARD}",
        "Please transfer the money to {NAME}, {IBAN}.",
        "Question: What is the bank account of {NAME}?\nAnswer: {IBAN}",
        "{NAME} logged in from {IP}.",
        "The web page of {NAME} is {URL}.",
        "Record of {NAME}, number {ID}.",
        NULL,
};

/* A slot at s: its type and its length, or 0. */
static size_t slot_at(const char *s, enum ul_pii *type)
{
	char name[MAX_SLOT];
	const char *end = *s == '{' ? strchr(s, '}') : NULL;
	if (!end || end - s - 1 >= MAX_SLOT || end == s + 1)
		return 0;
	memcpy(name, s + 1, (size_t)(end - s - 1));
	name[end - s - 1] = 0;
	return ul_pii_from_name(name, type) ? (size_t)(end - s + 1) : 0;
}

/* Types that a template asks for. */
static unsigned slots_of(const char *s)
{
	unsigned bits = 0;
	for (enum ul_pii type; *s; s++)
		if (slot_at(s, &type))
			bits |= 1u << type;
	return bits;
}

static bool add(ul_templates *t, const char *text, ul_err *err)
{
	if (!ul_seen_add(&t->known, ul_digest(text, strlen(text))))
		return !t->known.failed || ul_nomem(err, 64);
	if ((t->n & (t->n - 1)) == 0) { /* full at every power of two */
		const char **more = ul_alloc(&t->arena, 2 * ((size_t)t->n + 1) * sizeof *more);
		if (!more)
			return ul_nomem(err, (size_t)t->n * sizeof *more);
		if (t->n)
			memcpy(more, t->text, (size_t)t->n * sizeof *more);
		t->text = more;
	}
	t->text[t->n] = ul_arena_strdup(&t->arena, text);
	return t->text[t->n++] || ul_nomem(err, strlen(text));
}

static bool can_fill(const ul_pool *p, unsigned slots)
{
	for (int type = 0; type < UL_PII_TYPES; type++)
		if (slots >> type & 1 && !p->n[type])
			return false;
	return slots != 0;
}

bool ul_templates_builtin(ul_templates *t, const ul_pool *p, ul_err *err)
{
	for (int i = 0; builtin[i]; i++)
		if (can_fill(p, slots_of(builtin[i])) && !add(t, builtin[i], err))
			return false;
	return t->n > 0 || ul_fail(err, "the pool fills none of the built-in templates: it has no names, or nothing to say about them");
}

/* The first type that a template asks for and the pool does not have; UL_PII_TYPES: it has them all. */
static int lacking(const ul_pool *p, unsigned slots, bool names)
{
	int type = 0;
	while (type < UL_PII_TYPES && (!(slots >> type & 1) || p->n[type] || (names && type == UL_PII_NAME)))
		type++;
	return type;
}

bool ul_templates_read(ul_templates *t, const char *path, const ul_pool *p, bool names, ul_err *err)
{
	ul_buf file = {0}, text = {0};
	char *save = NULL;
	bool ok = ul_file_read(&file, path, (size_t)16 << 20, err);
	for (char *line = ok && file.data ? strtok_r(file.data, "\r\n", &save) : NULL; ok && line; line = strtok_r(NULL, "\r\n", &save)) {
		text.len = 0;
		for (const char *s = line; *s; s++) {
			bool end = s[0] == '\\' && s[1] == 'n';
			ul_buf_add(&text, end ? "\n" : s, 1);
			s += end;
		}
		if (!slots_of(line))
			ok = ul_fail(err, "%s: the template \"%.80s\" has no slot such as {NAME} or {EMAIL}", path, line);
		int none = lacking(p, slots_of(line), names);
		if (none < UL_PII_TYPES)
			ok = ul_fail(err, "%s: the pool holds nothing of type %s, which the template \"%.80s\" asks for", path, ul_pii_name((enum ul_pii)none), line);
		ok = ok && (!text.failed || ul_nomem(err, text.cap)) && add(t, text.data, err);
	}
	if (ok && t->n == 0)
		ok = ul_fail(err, "%s holds no template", path);
	ul_buf_release(&file);
	ul_buf_release(&text);
	return ok;
}

static int by_place(const void *a, const void *b)
{
	const ul_finding *x = a, *y = b;
	return x->start != y->start ? (x->start < y->start ? -1 : 1) : (x->end < y->end) - (x->end > y->end); /* the longer first */
}

bool ul_templates_learn(ul_templates *t, const char *const *text, int n, const ul_pool *p, ul_annotator *a, ul_err *err)
{
	ul_finding f[MAX_FINDINGS];
	ul_buf out = {0};
	bool ok = true;
	for (int i = 0; ok && i < n; i++) {
		size_t len = strlen(text[i]), at = 0;
		if (strchr(text[i], '{'))
			continue;
		int found = ul_annotate(a, text[i], len, 0, NULL, f, MAX_FINDINGS / 2, err);
		ok = found >= 0;
		if (found <= 0 || found == MAX_FINDINGS / 2)
			continue;
		found += ul_guess_names(text[i], len, f, found, f + found, MAX_FINDINGS / 2);
		qsort(f, (size_t)found, sizeof *f, by_place);
		out.len = 0;
		for (int k = 0; k < found; k++) {
			if (f[k].start < at)
				continue; /* a guess where the annotator has seen a name */
			ul_buf_add(&out, text[i] + at, f[k].start - at);
			ul_buf_printf(&out, "{%s}", ul_pii_name(f[k].type));
			at = f[k].end;
		}
		ul_buf_str(&out, text[i] + at);
		ok = (!out.failed || ul_nomem(err, out.cap)) && (!can_fill(p, slots_of(out.data)) || add(t, out.data, err));
	}
	ul_buf_release(&out);
	return ok;
}

int ul_template_fill(const ul_templates *t, const ul_pool *p, const char *const *names, int name_n, ul_rng *r, ul_buf *out)
{
	int which = (int)ul_rng_below(r, (uint32_t)t->n);
	const char *drawn[UL_PII_TYPES] = {0};
	for (const char *s = t->text[which]; *s;) {
		enum ul_pii type;
		size_t slot = slot_at(s, &type);
		if (!slot) {
			ul_buf_add(out, s++, 1);
			continue;
		}
		bool given = type == UL_PII_NAME && names;
		if (!drawn[type])
			drawn[type] = given ? names[ul_rng_below(r, (uint32_t)name_n)] : p->value[type][ul_rng_below(r, (uint32_t)p->n[type])];
		ul_buf_str(out, drawn[type]);
		s += slot;
	}
	return out->failed ? -1 : which;
}

void ul_templates_release(ul_templates *t)
{
	ul_seen_release(&t->known);
	ul_arena_release(&t->arena);
	*t = (ul_templates){0};
}
