/*
 * annotator.c: the other end of a pipe that marks personal data.
 */
#include "data/annotator.h"

#include "base/child.h"
#include "base/json.h"
#include "data/shots.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 }; /* spans of one text */

struct ul_annotator {
	ul_child *child; /* NULL: the model marks */
	ul_model *model;
};

/* What other programs call the types; whatever is not listed here is an ID. */
static enum ul_pii type_of(const char *name)
{
	static const struct {
		const char *name;
		enum ul_pii type;
	} known[] = {{"EMAIL_ADDRESS", UL_PII_EMAIL}, {"PHONE_NUMBER", UL_PII_PHONE}, {"IP_ADDRESS", UL_PII_IP}, {"IBAN_CODE", UL_PII_IBAN}, {"CREDIT_CARD", UL_PII_CARD},
	        {"US_SSN", UL_PII_SSN}, {"DATE_TIME", UL_PII_DATE}, {"PERSON", UL_PII_NAME}, {"PER", UL_PII_NAME}, {"LOCATION", UL_PII_ADDRESS}, {"LOC", UL_PII_ADDRESS},
	        {"GPE", UL_PII_ADDRESS}, {"STREET_ADDRESS", UL_PII_ADDRESS}};
	enum ul_pii t;
	for (size_t i = 0; name && i < sizeof known / sizeof *known; i++) {
		if (!strcmp(name, known[i].name)) {
			return known[i].type;
		}
	}
	return name && ul_pii_from_name(name, &t) ? t : UL_PII_ID;
}

/* Byte offset of each code point, and of the end: [*points + 1]. */
static size_t *offsets(const char *text, size_t n, size_t *points)
{
	size_t *at = ul_malloc((n + 1) * sizeof *at), k = 0;
	for (size_t i = 0; at && i < n; i++) {
		if (((unsigned char)text[i] & 0xC0) != 0x80) {
			at[k++] = i;
		}
	}
	if (at) {
		at[k] = n;
	}
	*points = k;
	return at;
}

static bool rubbish(const ul_annotator *a, const char *why, const ul_buf *line, ul_err *err)
{
	ul_fail(err, "the annotator \"%s\" answered with %s: \"%.80s\"", ul_child_command(a->child), why, line->data ? line->data : "");
	ul_hint(err, "it answers {\"text\": …} with {\"spans\": [{\"start\", \"end\", \"type\"}]}, one line for one");
	return false;
}

struct marks {
	ul_finding *at;
	int n;
};

static bool read_spans(const ul_annotator *a, const json_t *v, const ul_buf *line, const char *text, size_t n, struct marks *m, ul_err *err)
{
	const json_t *spans = json_object_get(v, "spans"), *s;
	size_t i, points, *at;
	if (!json_is_array(spans)) {
		return rubbish(a, v ? "an object without \"spans\"" : "what is no JSON object", line, err);
	}
	if (json_array_size(spans) > MOST) {
		return ul_fail(err, "the annotator \"%s\" marked %zu places in one text, over the limit of %d", ul_child_command(a->child), json_array_size(spans), MOST);
	}
	at = offsets(text, n, &points);
	m->at = ul_malloc((json_array_size(spans) + 1) * sizeof *m->at);
	bool ok = (at && m->at) || ul_nomem(err, n);
	json_array_foreach(spans, i, s)
	{
		const json_t *from = json_object_get(s, "start"), *to = json_object_get(s, "end");
		const char *type = ul_json_str(s, "type") ? ul_json_str(s, "type") : ul_json_str(s, "entity_type");
		json_int_t b = json_integer_value(from), e = json_integer_value(to);
		if (ok && (!json_is_integer(from) || !json_is_integer(to) || b < 0 || b >= e || e > (json_int_t)points)) {
			ok = rubbish(a, "a span that does not lie in the text", line, err);
		}
		if (ok) {
			m->at[m->n++] = (ul_finding){at[b], at[e], type_of(type)};
		}
	}
	ul_free(at);
	return ok;
}

static bool ask_model(ul_annotator *a, const char *text, size_t n, struct marks *m, ul_err *err)
{
	UL_ASSERT(a->model, "an annotator \"self\" that no model was attached to");
	m->at = ul_malloc(MOST * sizeof *m->at);
	int found = m->at ? ul_shots_mark(a->model, text, n, m->at, MOST, err) : -1;
	m->n = found > 0 ? found : 0;
	return found >= 0 || ul_nomem(err, MOST * sizeof *m->at); /* the first message stays */
}

static bool ask(ul_annotator *a, const char *text, size_t n, struct marks *m, ul_err *err)
{
	if (!a->child) {
		return ask_model(a, text, n, m, err);
	}
	ul_buf line = {0}, answer = {0};
	json_t *q = json_pack("{s:s%}", "text", text, n);
	bool ok = (q && ul_json_line(&line, q)) || ul_nomem(err, n);
	ok = ok && ul_child_ask(a->child, line.data, line.len - 1, &answer, err); /* the line's end is the child's affair */
	json_t *v = ok ? json_loadb(answer.data ? answer.data : "", answer.len, 0, NULL) : NULL;
	ok = ok && read_spans(a, v, &answer, text, n, m, err);
	json_decref(v);
	json_decref(q);
	ul_buf_release(&line);
	ul_buf_release(&answer);
	return ok;
}

ul_annotator *ul_annotator_start(const char *command, double seconds, ul_err *err)
{
	ul_annotator *a = ul_calloc(1, sizeof *a);
	struct marks m = {0};
	if (!a) {
		ul_nomem(err, sizeof *a);
		return NULL;
	}
	if (!strcmp(command, "self")) {
		return a;
	}
	a->child = ul_child_start(command, "annotator", seconds, err);
	if (!a->child || !ask(a, "Nobody is named here.", 21, &m, err)) {
		ul_annotator_free(a);
		a = NULL;
	}
	ul_free(m.at);
	return a;
}

bool ul_annotator_attach(ul_annotator *a, ul_model *m, ul_err *err)
{
	if (!a || a->child) {
		return true;
	}
	a->model = m;
	return m->tok || ul_fail(err, "the annotator \"self\" needs a tokenizer, which %s has not", m->path ? m->path : "the model");
}

void ul_annotator_free(ul_annotator *a)
{
	if (a && a->child) {
		ul_child_end(a->child);
	}
	ul_free(a);
}

static int by_length(const void *x, const void *y)
{
	const ul_finding *a = x, *b = y;
	size_t m = a->end - a->start, n = b->end - b->start;
	return m != n ? (m > n ? -1 : 1) : (a->start > b->start) - (a->start < b->start);
}

static int by_start(const void *x, const void *y)
{
	const ul_finding *a = x, *b = y;
	return (a->start > b->start) - (a->start < b->start);
}

/* The longest first, each where no longer one lies; then in the order of the text. */
static int settle(ul_finding *f, int n)
{
	int kept = 0;
	qsort(f, (size_t)n, sizeof *f, by_length);
	for (int i = 0; i < n; i++) {
		bool free_place = true;
		for (int k = 0; k < kept && free_place; k++) {
			free_place = f[i].start >= f[k].end || f[i].end <= f[k].start;
		}
		if (free_place) {
			f[kept++] = f[i];
		}
	}
	qsort(f, (size_t)kept, sizeof *f, by_start);
	return kept;
}

int ul_annotate(ul_annotator *a, const char *text, size_t n, unsigned types, const ul_gazetteer *g, ul_finding *out, int max, ul_err *err)
{
	struct marks m = {0};
	if (!a) {
		int found = ul_recognise(text, n, types, g, out, max);
		if (found < 0) {
			ul_nomem(err, n);
		}
		return found < max ? found : max;
	}
	ul_finding *all = ask(a, text, n, &m, err) ? ul_malloc((size_t)(m.n + max + 1) * sizeof *all) : NULL;
	int found = all ? ul_recognise(text, n, types, g, all, max) : -1;
	if (found < 0) {
		ul_nomem(err, n); /* the first message stays */
	} else {
		found = found < max ? found : max;
		for (int i = 0; i < m.n; i++) {
			if (types == 0 || types & 1u << m.at[i].type) {
				all[found++] = m.at[i];
			}
		}
		found = settle(all, found);
		found = found < max ? found : max;
		memcpy(out, all, (size_t)found * sizeof *out);
	}
	ul_free(all);
	ul_free(m.at);
	return found;
}
