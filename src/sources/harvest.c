/*
 * harvest.c: from what a model has written to rows of forget data. A text is worth a row when it holds personal data that the model
 * was sure of; what stood in front of a name in it becomes an opening, and the name one more to ask for.
 */
#include "sources/harvest.h"
#include "text/unicode.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MAX_HEAD = 200 };
#define HEAD 1.2 /* prior of what stood in front of a name: above a sweep's, below a start's */

const ul_ids *ul_draw_prompt(const ul_harvest *h, const ul_draw *d)
{
	return d->own ? &d->ids : &h->pool.at[d->opening].ids;
}

/* ---- a text, and what is recognised in it ---- */

struct text { /* one drawn text with what was recognised in it */
	ul_buf s;
	size_t given; /* bytes that were the prompt */
	ul_finding f[UL_ROW_FINDINGS];
	int n, sure, fresh;
};

/* The whole text, mended; one that did not end by itself loses its last, perhaps unfinished word. */
static bool write_text(ul_harvest *h, const ul_draw *d, const ul_gen *g, struct text *t, ul_err *err)
{
	const ul_ids *p = ul_draw_prompt(h, d);
	ul_buf raw = {0};
	bool bare = !d->own && !*h->pool.at[d->opening].text && !h->pool.at[d->opening].chat; /* drawn from a start: the prompt is no text */
	bool fronted = h->front.n <= p->n && (h->front.n == 0 || !memcmp(p->id, h->front.id, (size_t)h->front.n * sizeof *p->id));
	int skip = bare ? p->n : fronted ? h->front.n
	                                 : 0;
	ul_tok_decode(h->j->model->tok, p->id + skip, p->n - skip, false, &raw);
	t->given = raw.len;
	ul_gen_text(h->j->model->tok, p->id + skip, p->n - skip, g->ids, g->n, &raw);
	size_t end = raw.len;
	while (g->finish != UL_FINISH_EOS && end > t->given && !isspace((unsigned char)raw.data[end - 1]))
		end--;
	while (end && isspace((unsigned char)raw.data[end - 1]))
		end--;
	for (size_t i = 0; i < end; i++) /* a NUL would end the text for whoever reads the row */
		raw.data[i] = raw.data[i] ? raw.data[i] : ' ';
	ul_utf8_mend(raw.data ? raw.data : "", end, &t->s);
	bool ok = !(raw.failed || t->s.failed) || ul_nomem(err, raw.cap);
	ul_buf_release(&raw);
	return ok;
}

/* Mean log-probability of the tokens that wrote bytes [start, end) of the text; -INFINITY where the prompt wrote some of them. */
static double certainty(const ul_harvest *h, const ul_draw *d, const ul_gen *g, const struct text *t, const ul_finding *f)
{
	const ul_ids *p = ul_draw_prompt(h, d);
	double sum = 0;
	int n = 0;
	size_t at = t->given;
	ul_buf part = {0};
	if (f->start < t->given)
		return -INFINITY;
	for (int i = 0; i < g->n && at < f->end; i++) {
		size_t before = at;
		part.len = 0;
		ul_gen_text(h->j->model->tok, p->id, p->n, g->ids, i + 1, &part);
		at = t->given + part.len;
		if (at > f->start && before < f->end) {
			sum += g->token_logp[i];
			n++;
		}
	}
	ul_buf_release(&part);
	return n ? sum / n : -INFINITY;
}

/* Recognises personal data; those the model was sure of, and has not said before, make the text worth having. */
static bool recognise(ul_harvest *h, const ul_draw *d, const ul_gen *g, struct text *t, ul_err *err)
{
	t->n = ul_annotate(h->j->annotator, t->s.data, t->s.len, h->types, h->names, t->f, UL_ROW_FINDINGS, err);
	for (int i = 0; i < t->n; i++) {
		const ul_finding *f = &t->f[i];
		if (f->type == UL_PII_NAME || certainty(h, d, g, t, f) < log(h->c->sure))
			continue;
		t->sure++;
		t->fresh += ul_seen_add(&h->data, ul_digest(t->s.data + f->start, f->end - f->start) + (uint64_t)f->type);
	}
	return t->n >= 0;
}

/* Names in a text are to be asked for. What stands in front of one, from the beginning of its line, is a head for others. */
static bool names_in(ul_harvest *h, const char *s, size_t n, const struct text *t, bool asked, ul_err *err)
{
	ul_finding name[32];
	int found = ul_guess_names(s, n, t ? t->f : NULL, t ? t->n : 0, name, 32);
	bool ok = true;
	for (int i = 0; ok && i < found; i++) {
		size_t line = name[i].start, end = name[i].start;
		while (line && s[line - 1] != '\n')
			line--;
		while (end > line && s[end - 1] == ' ')
			end--;
		if (!h->subject_n || h->keeps)
			ok = ul_opening_name(&h->pool, s + name[i].start, name[i].end - name[i].start, err);
		if (!ok || end <= line || end - line >= MAX_HEAD || (i > 0 && name[i - 1].end > line))
			continue;
		if (!asked) {
			ok = ul_opening_add(&h->pool, s + line, end - line, NULL, HEAD, true, err);
		} else {
			char head[MAX_HEAD];
			snprintf(head, sizeof head, "%.*s", (int)(end - line), s + line);
			ok = ul_opening_chat(&h->pool, head, false, HEAD, true, err);
		}
	}
	return ok;
}

/* In a conversation the question teaches, its answer only names. */
static bool learn(ul_harvest *h, const ul_draw *d, const struct text *t, ul_err *err)
{
	if (!h->pool.at[d->opening].chat)
		return names_in(h, t->s.data, t->s.len, t, false, err);
	return !d->said || names_in(h, d->said, strlen(d->said), NULL, true, err);
}

static double worth(const ul_harvest *h, const ul_gen *g, const ul_buf *s)
{
	double mean = g->n ? g->logp / g->n : -INFINITY;
	if (h->c->rank != UL_RANK_ZLIB)
		return mean;
	uLongf n = compressBound((uLong)s->len);
	unsigned char *packed = ul_malloc(n);
	if (!packed || compress2(packed, &n, (const Bytef *)s->data, (uLong)s->len, 6) != Z_OK)
		n = (uLongf)s->len;
	ul_free(packed);
	return g->logp / (8.0 * (double)n);
}

static json_t *record_of(ul_harvest *h, const ul_gen *g, const ul_draw *d, const struct text *t, const char *subject)
{
	size_t given = ul_utf8_whole(t->s.data, t->given < t->s.len ? t->given : t->s.len);
	json_t *source = json_pack("{s:s, s:s%, s:I, s:I, s:i, s:f, s:f, s:i, s:o}", "name", "sample", "prompt", t->s.data, given, "seed", (json_int_t)h->j->seed, "round",
	        (json_int_t)h->rounds, "draw", g->prompt, "temperature", d->own ? 0 : h->c->temperature, "logp", g->logp, "sure", t->sure, "types", ul_types_json(t->f, t->n));
	json_t *v = json_pack("{s:s%, s:o, s:o}", "text", t->s.data, t->s.len, "spans", ul_spans_json(t->s.data, t->f, t->n), "source", source);
	if (v && subject)
		json_object_set_new(v, "subject", json_string(subject));
	return v;
}

/* The subject that a text names, or NULL. */
static const char *subject_in(const ul_harvest *h, const struct text *t)
{
	ul_finding f[1];
	if (!ul_recognise(t->s.data, t->s.len, 1u << UL_PII_NAME, h->subjects, f, 1))
		return NULL;
	for (int i = 0; i < h->subject_n; i++)
		if (strlen(h->pool.name[i]) == f[0].end - f[0].start && !strncasecmp(h->pool.name[i], t->s.data + f[0].start, f[0].end - f[0].start))
			return h->pool.name[i];
	return NULL;
}

/* Of texts about nobody who is to be forgotten those are kept that hold personal data of somebody with a name. */
static bool of_somebody_else(const ul_harvest *h, const struct text *t)
{
	ul_finding f[1];
	return h->keeps && t->n > 0 && ul_guess_names(t->s.data, t->s.len, t->f, t->n, f, 1) > 0;
}

static bool too_alike(const ul_harvest *h, const ul_sketch *s)
{
	for (int i = 0; i < h->rows; i++)
		if (ul_sketch_similar(&h->row[i].sketch, s) > h->c->similar)
			return true;
	return false;
}

/* Keeps the text as a row, or counts why not. */
static bool keep(ul_harvest *h, const ul_draw *d, const ul_gen *g, const struct text *t, ul_err *err)
{
	const char *subject = h->subject_n ? subject_in(h, t) : NULL;
	ul_harvest_row r = {.fresh = t->fresh, .worth = worth(h, g, &t->s), .other = h->subject_n && !subject};
	int64_t *why = NULL;
	ul_sketch_of(&r.sketch, t->s.data, t->s.len);
	if (t->sure < h->c->min_pii)
		why = &h->none;
	else if (h->subject_n && !subject && !of_somebody_else(h, t))
		why = &h->elsewhere;
	else if (ul_findings_share(t->s.len, t->f, t->n) > h->c->max_share)
		why = &h->covered;
	else if (!ul_seen_add(&h->texts, ul_digest(t->s.data, t->s.len)))
		why = &h->repeated;
	else if (!t->fresh && too_alike(h, &r.sketch))
		why = &h->alike;
	if (why) {
		++*why;
		return true;
	}
	if (h->rows == h->cap) {
		int cap = h->cap ? 2 * h->cap : 64;
		ul_harvest_row *more = ul_realloc(h->row, (size_t)cap * sizeof *more);
		if (!more)
			return ul_nomem(err, (size_t)cap * sizeof *more);
		h->row = more;
		h->cap = cap;
	}
	r.record = record_of(h, g, d, t, subject);
	if (!r.record)
		return ul_nomem(err, t->s.len);
	h->row[h->rows++] = r;
	return true;
}

bool ul_harvest_take(ul_harvest *h, const ul_draw *d, const ul_gen *g, int *fresh, ul_err *err)
{
	struct text t = {0};
	bool ok = write_text(h, d, g, &t, err);
	h->drawn++;
	h->tokens += g->n;
	if (ok && t.s.len) {
		ok = recognise(h, d, g, &t, err);
		h->pool.at[d->opening].fresh += t.fresh;
		*fresh += t.fresh;
		ok = ok && keep(h, d, g, &t, err) && (t.sure == 0 || learn(h, d, &t, err));
	}
	ul_buf_release(&t.s);
	return ok;
}

/* ---- the end ---- */

/* Names met beside personal data more than once become personal data themselves, in every row. */
static bool mask_names(ul_harvest *h, ul_err *err)
{
	ul_finding f[UL_ROW_FINDINGS];
	bool ok = true;
	for (int i = 0; ok && i < h->pool.names; i++)
		if (h->pool.rows[i] > 1 || i < h->subject_n)
			ok = ul_gazetteer_add(h->names, UL_PII_NAME, h->pool.name[i]) || ul_nomem(err, 64);
	for (int i = 0; ok && i < h->rows; i++) {
		const char *text = ul_json_str(h->row[i].record, "text");
		int n = ul_annotate(h->j->annotator, text, strlen(text), h->types ? h->types | 1u << UL_PII_NAME : 0, h->names, f, UL_ROW_FINDINGS, err);
		if (n < 0)
			return false;
		json_object_set_new(h->row[i].record, "spans", ul_spans_json(text, f, n));
		json_object_set_new(json_object_get(h->row[i].record, "source"), "types", ul_types_json(f, n));
	}
	return ok;
}

static int by_worth(const void *x, const void *y)
{
	const ul_harvest_row *a = x, *b = y;
	return (a->worth < b->worth) - (a->worth > b->worth);
}

static int by_fresh(const void *x, const void *y)
{
	const ul_harvest_row *a = x, *b = y;
	return !a->fresh != !b->fresh ? (a->fresh ? -1 : 1) : by_worth(x, y);
}

/* Adds the data of a row to `data`, or finds one of them there. */
static bool data_of(const ul_harvest_row *r, ul_seen *data, bool add)
{
	const char *text = ul_json_str(r->record, "text"), *type;
	json_t *span;
	size_t i;
	bool there = false;
	json_array_foreach(json_object_get(r->record, "spans"), i, span)
	{
		size_t from = ul_utf8_offset(text, (int)json_integer_value(json_object_get(span, "start"))), to = ul_utf8_offset(text, (int)json_integer_value(json_object_get(span, "end")));
		type = ul_json_str(span, "type");
		uint64_t digest = !type || !strcmp(type, "NAME") ? 0 : ul_digest(text + from, to - from);
		there |= digest && (add ? !ul_seen_add(data, digest) : ul_seen_has(data, digest));
	}
	return there;
}

/* What the model also says of somebody else may be a subject's all the same: such rows are not kept. */
static bool drop_shared(ul_harvest *h, ul_err *err)
{
	ul_seen data = {0};
	int n = 0;
	for (int i = 0; i < h->rows; i++)
		if (!h->row[i].other)
			data_of(&h->row[i], &data, true);
	bool ok = !data.failed || ul_nomem(err, data.cap * sizeof(uint64_t));
	for (int i = 0; ok && i < h->rows; i++) {
		if (h->row[i].other && data_of(&h->row[i], &data, false)) {
			json_decref(h->row[i].record);
			h->shared++;
		} else {
			h->row[n++] = h->row[i];
		}
	}
	h->rows = ok ? n : h->rows;
	ul_seen_release(&data);
	return ok;
}

/* The best n rows about subjects, or about anybody where there are none, and the best n about others. */
static bool hand_over(ul_harvest *h, ul_err *err)
{
	bool ok = (!h->c->mask_names || mask_names(h, err)) && (!h->keeps || drop_shared(h, err));
	int64_t n[2] = {0};
	for (int i = 0; i < h->rows; i++)
		n[h->row[i].other]++;
	if (n[0] > h->c->n || n[1] > h->c->n)
		qsort(h->row, (size_t)h->rows, sizeof *h->row, h->c->rank == UL_RANK_NEW ? by_fresh : by_worth);
	n[0] = n[1] = 0;
	for (int i = 0; ok && i < h->rows; i++)
		if (n[h->row[i].other]++ < h->c->n)
			ok = ul_dataset_add(h->row[i].other ? h->j->keep : h->j->out, h->row[i].record, err);
	return ok;
}

static void summarise(ul_harvest *h)
{
	json_t *types = json_object(), *count;
	const char *type;
	for (int i = 0; i < h->j->out->n; i++)
		json_object_foreach(json_object_get(json_object_get(h->j->out->row[i].json, "source"), "types"), type, count)
		        json_object_set_new(types, type, json_integer(json_integer_value(json_object_get(types, type)) + json_integer_value(count)));
	json_t *dropped = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "without_personal_data", (json_int_t)h->none, "repeated", (json_int_t)h->repeated, "alike", (json_int_t)h->alike,
	        "covered", (json_int_t)h->covered, "other_subjects", (json_int_t)h->elsewhere, "shared", (json_int_t)h->shared);
	json_t *v = json_pack("{s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:o, s:o}", "drawn", (json_int_t)h->drawn, "tokens", (json_int_t)(h->tokens + h->pool.tokens), "rounds", (json_int_t)h->rounds, "distinct",
	        (json_int_t)h->data.n, "names", h->pool.names, "openings", h->pool.n, "kept", h->keeps ? h->j->keep->n : 0, "types", types, "dropped", dropped);
	json_object_update(h->j->summary, v);
	json_decref(v);
}

bool ul_harvest_finish(ul_harvest *h, ul_err *err)
{
	if (!hand_over(h, err))
		return false;
	if (h->j->summary)
		summarise(h);
	return true;
}

void ul_harvest_release(ul_harvest *h)
{
	for (int i = 0; i < h->rows; i++)
		json_decref(h->row[i].record);
	ul_ids_release(&h->front);
	ul_gazetteer_free(h->names);
	ul_gazetteer_free(h->subjects);
	ul_seen_release(&h->texts);
	ul_seen_release(&h->data);
	ul_openings_release(&h->pool);
	ul_free(h->row);
}
