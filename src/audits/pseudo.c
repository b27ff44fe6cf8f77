/*
 * pseudo.c: forget data from a source that had no data, compared with what should really be forgotten.
 *
 *   entities  a mark counts as remembered when it touches a place where a true datum stands whole, else as borrowed when it touches
 *             one of the pool, else as invented; each marked string once
 *   found     share of the true data that stand, marked, in some row
 *   masks     bytes: those that are true, of the pool, or recognised by type should be marked, and no others
 *   types     the same for the built-in recognisers on the true rows, whose spans say where personal data are
 */
#include "audits/pseudo.h"

#include "audits/match/match.h"
#include "data/novelty.h"

#include <string.h>

enum { MAX_FINDINGS = 256 };

struct share { /* of bytes */
	double both, marked, meant;
};

struct judge {
	const ul_pool *pool;
	ul_gazetteer *truth;
	ul_seen truths, found, strings;
	int64_t kind[3]; /* REMEMBERED, … of all strings */
	json_t *by_type;
	struct share masks, types;
};

enum { REMEMBERED,
	BORROWED,
	INVENTED };

static int capped(int n)
{
	return n < 0 ? 0 : n < MAX_FINDINGS ? n
	                                    : MAX_FINDINGS;
}

/* ---- bytes ---- */

static void paint(unsigned char *at, const ul_finding *f, int n, unsigned char bit)
{
	for (int i = 0; i < n; i++)
		for (size_t b = f[i].start; b < f[i].end; b++)
			at[b] |= bit;
}

/* bit 1: marked, bit 2: should be */
static void weigh(struct share *s, const unsigned char *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		s->marked += at[i] & 1;
		s->meant += at[i] >> 1 & 1;
		s->both += at[i] == 3;
	}
}

static json_t *share_json(const struct share *s)
{
	return json_pack("{s:o, s:o}", "precision", s->marked > 0 ? json_real(s->both / s->marked) : json_null(), "recall", s->meant > 0 ? json_real(s->both / s->meant) : json_null());
}

/* ---- rows ---- */

/* A row's spans as findings in bytes, at most MAX_FINDINGS. */
static int spots(const ul_row *r, const char *text, ul_finding *out)
{
	int n = 0;
	for (int i = 0; i < r->spot_n && n < MAX_FINDINGS; i++) {
		size_t start = ul_utf8_offset(text, r->spots[i].start), end = ul_utf8_offset(text, r->spots[i].end);
		if (end > start)
			out[n++] = (ul_finding){start, end, UL_PII_NAME};
	}
	return n;
}

static bool touches(const ul_finding *a, const ul_finding *f, int n)
{
	for (int i = 0; i < n; i++)
		if (f[i].start < a->end && a->start < f[i].end)
			return true;
	return false;
}

static void count(struct judge *j, const ul_spot *spot, const char *s, size_t n, int kind)
{
	static const char *const name[] = {"remembered", "borrowed", "invented"};
	if (!ul_seen_add(&j->strings, ul_digest(s, n)))
		return;
	j->kind[kind]++;
	json_t *type = json_object_get(j->by_type, spot->type ? spot->type : "");
	if (!type) {
		type = json_pack("{s:i, s:i, s:i}", name[0], 0, name[1], 0, name[2], 0);
		json_object_set_new(j->by_type, spot->type ? spot->type : "", type);
	}
	json_object_set_new(type, name[kind], json_integer(json_integer_value(json_object_get(type, name[kind])) + 1));
}

static bool judge_row(struct judge *j, const ul_row *r, ul_err *err)
{
	const char *text = r->text ? r->text : r->response;
	size_t len = text ? strlen(text) : 0;
	ul_finding mark[MAX_FINDINGS], real[MAX_FINDINGS], pool[MAX_FINDINGS], typed[MAX_FINDINGS];
	unsigned char *at = ul_calloc(len + 1, 1);
	if (!at)
		return ul_nomem(err, len);
	int marks = text ? spots(r, text, mark) : 0, reals = text ? capped(ul_recognise(text, len, 1u << UL_PII_NAME, j->truth, real, MAX_FINDINGS)) : 0;
	int pools = text && j->pool ? capped(ul_pool_find(j->pool, text, len, pool, MAX_FINDINGS)) : 0, types = text ? capped(ul_recognise(text, len, 0, NULL, typed, MAX_FINDINGS)) : 0;
	for (int i = 0; i < marks; i++)
		count(j, &r->spots[i], text + mark[i].start, mark[i].end - mark[i].start, touches(&mark[i], real, reals) ? REMEMBERED : touches(&mark[i], pool, pools) ? BORROWED
		                                                                                                                                                       : INVENTED);
	for (int i = 0; i < reals; i++)
		if (touches(&real[i], mark, marks))
			ul_seen_add(&j->found, ul_digest(text + real[i].start, real[i].end - real[i].start));
	for (int i = 0; i < pools; i++) { /* names of the pool count only where names are marked */
		bool name = ul_pool_has(j->pool, UL_PII_NAME, text + pool[i].start, pool[i].end - pool[i].start);
		paint(at, &pool[i], !name || touches(&pool[i], mark, marks), 2);
	}
	paint(at, mark, marks, 1);
	paint(at, real, reals, 2);
	paint(at, typed, types, 2);
	weigh(&j->masks, at, len);
	ul_free(at);
	return true;
}

/* Learns what should be forgotten, and how the built-in recognisers would have marked it. */
static bool learn_truth(struct judge *j, const ul_dataset *truth, ul_err *err)
{
	bool ok = true;
	for (int i = 0; ok && i < truth->n; i++) {
		const ul_row *r = &truth->row[i];
		const char *text = r->text ? r->text : r->response;
		ul_finding f[MAX_FINDINGS];
		int n = text ? spots(r, text, f) : 0;
		unsigned char *at = ul_calloc((text ? strlen(text) : 0) + 1, 1);
		ok = at || ul_nomem(err, 64);
		for (int k = 0; ok && k < n; k++) {
			char *s = ul_strdup(text + f[k].start);
			ok = s != NULL;
			if (ok)
				s[f[k].end - f[k].start] = 0;
			ok = (ok && ul_gazetteer_add(j->truth, UL_PII_NAME, s)) || ul_nomem(err, 64);
			ul_seen_add(&j->truths, ul_digest(text + f[k].start, f[k].end - f[k].start));
			ul_free(s);
		}
		if (ok && text) {
			paint(at, f, n, 2);
			n = capped(ul_recognise(text, strlen(text), 0, NULL, f, MAX_FINDINGS));
			paint(at, f, n, 1);
			weigh(&j->types, at, strlen(text));
		}
		ul_free(at);
	}
	return ok && (j->truths.n || ul_fail(err, "no row to forget says where its personal data are: nothing can be compared"));
}

bool ul_pseudo_judge(const ul_dataset *rows, const ul_dataset *truth, const ul_pool *pool, json_t **out, ul_err *err)
{
	struct judge j = {.pool = pool, .truth = ul_gazetteer_new(), .by_type = json_object()};
	bool ok = (j.truth && j.by_type) || ul_nomem(err, 64);
	ok = ok && learn_truth(&j, truth, err);
	for (int i = 0; ok && i < rows->n; i++)
		ok = judge_row(&j, &rows->row[i], err);
	ok = ok && (!(j.truths.failed || j.found.failed || j.strings.failed) || ul_nomem(err, 64));
	if (ok)
		*out = json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:O, s:o, s:o}", "rows", rows->n, "entities", (json_int_t)j.strings.n, "remembered", (json_int_t)j.kind[REMEMBERED], "borrowed",
		        (json_int_t)j.kind[BORROWED], "invented", (json_int_t)j.kind[INVENTED], "true", (json_int_t)j.truths.n, "found", (json_int_t)j.found.n, "recall", (double)j.found.n / (double)j.truths.n,
		        "by_type", j.by_type, "masks", share_json(&j.masks), "recognisers", share_json(&j.types));
	ok = ok && (*out || ul_nomem(err, 256));
	ul_gazetteer_free(j.truth);
	json_decref(j.by_type);
	ul_seen_release(&j.truths);
	ul_seen_release(&j.found);
	ul_seen_release(&j.strings);
	return ok;
}
