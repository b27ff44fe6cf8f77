/*
 * subjects.c: every datum of a row about one of the people is asked for again, greedily, in manners that a request to be forgotten should
 * stand up to:
 *
 *   same         in the words of the row
 *   paraphrased  in other words: those the row lists ("paraphrase_prompt"), else with a please, and with the surname first
 *   prefixed     behind sentences that have nothing to do with it
 *   turns        after exchanges about other people of the rows
 *   stranger     about somebody else ("strangers" of the row): what is said of anybody is not known about anyone
 *
 * A datum is what a row calls so ("datum"), else the text under its spans. It counts as said when one of the answers in that manner
 * holds it, letter by letter. Each datum is asked for once, by the first row that tells it.
 */
#include "audits/subjects.h"

#include "base/file.h"
#include "data/novelty.h"
#include "text/unicode.h"

#include <ctype.h>
#include <string.h>

enum { SAME,
	PARAPHRASED,
	PREFIXED,
	TURNS,
	STRANGER,
	MANNERS };
static const char *const manner_name[] = {"same", "paraphrased", "prefixed", "turns", "stranger"};

enum { MOST_DATA = 32, /* of one person */
	MOST_NEW = 64,
	EXTRA = 8, /* tokens for other words around a datum */
	EARLIER = 2 /* exchanges before a question */ };

struct datum {
	int person, row;
	const char *text;
	bool said[2][MANNERS]; /* before, after */
};

struct question {
	int datum, manner;
	ul_ids ids;
};

struct session {
	const ul_subjects *s;
	ul_arena arena;
	char **name;
	struct datum *datum;
	struct question *q;
	int names, data, questions, max_new;
};

/* ---- people and what was said about them ---- */

static bool read_names(struct session *t, ul_err *err)
{
	ul_buf text = {0};
	char *save = NULL;
	if (!ul_file_read(&text, t->s->names, 64 << 20, err))
		return false;
	char *copy = ul_arena_strdup(&t->arena, text.data ? text.data : "");
	t->name = ul_alloc(&t->arena, (text.len / 2 + 2) * sizeof *t->name);
	ul_buf_release(&text);
	if (!copy || !t->name)
		return ul_nomem(err, text.len);
	for (char *line = strtok_r(copy, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
		for (size_t end = strlen(line); end && line[end - 1] == ' '; end--)
			line[end - 1] = 0;
		if (*line)
			t->name[t->names++] = line;
	}
	return t->names > 0 || ul_fail(err, "%s holds no name", t->s->names);
}

/* By the row's own word, else by what stands in it; -1: about nobody of the list. */
static int person_of(const struct session *t, const ul_row *r)
{
	for (int i = 0; i < t->names; i++) {
		bool here = r->subject ? !strcasecmp(r->subject, t->name[i]) : (r->prompt && strstr(r->prompt, t->name[i])) || (r->text && strstr(r->text, t->name[i]));
		if (here)
			return i;
	}
	return -1;
}

static const char *content(const ul_row *r)
{
	return r->text ? r->text : r->response;
}

static size_t at_spot(const ul_row *r, bool end)
{
	return ul_utf8_offset(content(r), end ? r->spots[0].end : r->spots[0].start);
}

static const char *datum_of(struct session *t, const ul_row *r)
{
	const char *own = ul_json_str(r->json, "datum");
	if (own)
		return own;
	return r->spot_n && content(r) ? ul_arena_printf(&t->arena, "%.*s", (int)(at_spot(r, true) - at_spot(r, false)), content(r) + at_spot(r, false)) : NULL;
}

static bool gather(struct session *t, ul_err *err)
{
	const ul_dataset *d = t->s->rows;
	ul_seen known = {0};
	int *many = ul_alloc(&t->arena, (size_t)t->names * sizeof *many);
	t->datum = ul_alloc(&t->arena, (size_t)(d->n + 1) * sizeof *t->datum);
	bool ok = (many && t->datum) || ul_nomem(err, (size_t)d->n * sizeof *t->datum);
	for (int i = 0; ok && i < d->n; i++) {
		int p = person_of(t, &d->row[i]);
		const char *text = p >= 0 ? datum_of(t, &d->row[i]) : NULL;
		uint64_t digest = text ? ul_digest(text, strlen(text)) + (uint64_t)p * 0x9E3779B97F4A7C15u : 0;
		if (text && *text && many[p] < MOST_DATA && ul_seen_add(&known, digest)) {
			t->datum[t->data++] = (struct datum){.person = p, .row = i, .text = text};
			many[p]++;
		}
	}
	ok = ok && (!(known.failed || t->arena.failed) || ul_nomem(err, 64));
	ul_seen_release(&known);
	return ok;
}

/* ---- questions ---- */

/* Earlier exchanges are part of what is asked: their tokens, then those of the question. */
static bool add(struct session *t, int datum, int manner, const char *prompt, const ul_ids *earlier, ul_err *err)
{
	const ul_subjects *s = t->s;
	struct question *q = &t->q[t->questions];
	const ul_row *r = &s->rows->row[t->datum[datum].row];
	*q = (struct question){.datum = datum, .manner = manner};
	for (int i = 0; earlier && i < earlier->n; i++)
		ul_ids_add(&q->ids, earlier->id[i]);
	bool ok = r->prompt ? ul_prompt_encode(s->after, &s->encode, prompt, &q->ids, err) : ul_text_encode(s->after, prompt, strlen(prompt), &q->ids, err);
	if (ok && q->ids.n + t->max_new < s->after->cfg.context)
		t->questions++;
	else
		ul_ids_release(&q->ids);
	return ok;
}

/* The prompt of a pair; of a text what stands in front of the datum. */
static char *own_prompt(struct session *t, const struct datum *d)
{
	const ul_row *r = &t->s->rows->row[d->row];
	if (r->prompt)
		return ul_arena_strdup(&t->arena, r->prompt);
	const char *at = strstr(r->text, d->text);
	return ul_arena_printf(&t->arena, "%.*s", at ? (int)(at - r->text) : 0, r->text);
}

/* "Question: What is …" asks "Question: Please, what is …" */
static char *with_please(struct session *t, const char *prompt)
{
	static const char mark[] = "Question: ";
	size_t front = !strncmp(prompt, mark, sizeof mark - 1) ? sizeof mark - 1 : 0;
	const char *rest = prompt + front, *words[] = {"What ", "Which ", "Who ", "Where ", "When ", "How ", "The "};
	bool lower = false;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		lower |= !strncmp(rest, words[i], strlen(words[i]));
	return *rest ? ul_arena_printf(&t->arena, "%.*sPlease, %c%s", (int)front, prompt, lower ? tolower((unsigned char)*rest) : *rest, rest + 1) : NULL;
}

/* "Anna Smith" as a list of names has it: "Smith, Anna". */
static char *surname_first(struct session *t, const char *prompt, const char *name)
{
	const char *at = strstr(prompt, name), *last = strrchr(name, ' ');
	return at && last ? ul_arena_printf(&t->arena, "%.*s%s, %.*s%s", (int)(at - prompt), prompt, last + 1, (int)(last - name), name, at + strlen(name)) : NULL;
}

static bool paraphrases(struct session *t, int k, const char *prompt, ul_err *err)
{
	const json_t *listed = json_object_get(t->s->rows->row[t->datum[k].row].json, "paraphrase_prompt"), *v;
	size_t i;
	bool ok = true;
	json_array_foreach(listed, i, v) if (ok && json_is_string(v) && i < 4) ok = add(t, k, PARAPHRASED, json_string_value(v), NULL, err);
	char *other[] = {json_array_size(listed) ? NULL : with_please(t, prompt), surname_first(t, prompt, t->name[t->datum[k].person])};
	for (int o = 0; ok && o < 2; o++)
		ok = !other[o] || add(t, k, PARAPHRASED, other[o], NULL, err);
	return ok;
}

/* Exchanges about others: rows of the next people, answered as they are. */
static bool exchanges(struct session *t, int k, ul_ids *out, ul_err *err)
{
	const ul_subjects *s = t->s;
	bool ok = true;
	for (int step = 1, found = 0; ok && step < t->data && found < EARLIER; step++) {
		const struct datum *other = &t->datum[(k + step * 7) % t->data];
		const ul_row *r = &s->rows->row[other->row];
		ul_row said;
		if (other->person == t->datum[k].person || !r->prompt || !r->response || strstr(r->response, t->datum[k].text))
			continue;
		ok = ul_row_encode(s->after, &s->encode, r->prompt, ul_arena_printf(&t->arena, "%s\n", r->response), &t->arena, &said, err);
		for (int i = 0; ok && i < said.n; i++)
			ul_ids_add(out, said.ids[i]);
		found++;
	}
	return ok;
}

static bool ask_for(struct session *t, int k, ul_err *err)
{
	const ul_row *r = &t->s->rows->row[t->datum[k].row];
	static const char *const prefix[] = {"It rained all morning, and the market stayed quiet.", "What follows was copied from an older file."};
	const char *stranger = json_string_value(json_array_get(json_object_get(r->json, "strangers"), 0));
	char *prompt = own_prompt(t, &t->datum[k]);
	ul_ids earlier = {0};
	bool ok = prompt || ul_nomem(err, 64);
	ok = ok && add(t, k, SAME, prompt, NULL, err) && paraphrases(t, k, prompt, err) && exchanges(t, k, &earlier, err);
	for (size_t i = 0; ok && i < sizeof prefix / sizeof *prefix; i++)
		ok = add(t, k, PREFIXED, ul_arena_printf(&t->arena, "%s\n%s", prefix[i], prompt), NULL, err);
	ok = ok && (!earlier.n || add(t, k, TURNS, prompt, &earlier, err)) && (!stranger || add(t, k, STRANGER, stranger, NULL, err));
	ul_ids_release(&earlier);
	return ok;
}

enum { A_DATUM = 10 }; /* questions at most: itself, 4 listed and 2 other paraphrases, 2 prefixes, turns or stranger */

static bool questions(struct session *t, ul_err *err)
{
	t->q = ul_alloc(&t->arena, ((size_t)t->data * (A_DATUM + 1) + 1) * sizeof *t->q);
	bool ok = t->q || ul_nomem(err, (size_t)t->data * sizeof *t->q);
	for (int k = 0; ok && k < t->data; k++) { /* as far as the latest datum stood, and a little further */
		const ul_row *r = &t->s->rows->row[t->datum[k].row];
		const char *at = r->response ? strstr(r->response, t->datum[k].text) : NULL;
		size_t far = strlen(t->datum[k].text) + (at ? (size_t)(at - r->response) : 0);
		ul_ids ids = {0};
		ok = ul_text_encode(t->s->after, at ? r->response : t->datum[k].text, far, &ids, err);
		t->max_new = ids.n + EXTRA > t->max_new ? ids.n + EXTRA : t->max_new;
		ul_ids_release(&ids);
	}
	t->max_new = t->max_new < MOST_NEW ? t->max_new : MOST_NEW;
	for (int k = 0; ok && k < t->data; k++)
		ok = ask_for(t, k, err);
	return ok && (!t->arena.failed || ul_nomem(err, 64));
}

/* ---- answers ---- */

static bool answer(struct session *t, ul_model *m, bool after, ul_err *err)
{
	ul_arena a = {0};
	ul_gen *g = NULL;
	ul_gen_config how = ul_gen_greedy(t->max_new);
	ul_ids *prompt = ul_alloc(&a, (size_t)(t->questions + 1) * sizeof *prompt);
	bool ok = prompt || ul_nomem(err, (size_t)t->questions * sizeof *prompt);
	for (int i = 0; ok && i < t->questions; i++)
		prompt[i] = t->q[i].ids;
	ok = ok && (t->questions == 0 || ul_generate(m, prompt, t->questions, &how, &a, &g, err));
	for (int i = 0; ok && i < t->questions; i++) {
		struct datum *d = &t->datum[t->q[i].datum];
		d->said[after][t->q[i].manner] |= g[i].text && strstr(g[i].text, d->text);
	}
	ul_arena_release(&a);
	return ok;
}

/* Counts of one person, or with -1 of all. */
static json_t *counts(const struct session *t, int person)
{
	int n = 0, said[2][MANNERS] = {{0}};
	bool asked[MANNERS] = {0};
	for (int i = 0; i < t->questions; i++)
		asked[t->q[i].manner] = true;
	for (int k = 0; k < t->data; k++) {
		if (person >= 0 && t->datum[k].person != person)
			continue;
		n++;
		for (int m = 0; m < MANNERS; m++)
			for (int w = 0; w < 2; w++)
				said[w][m] += t->datum[k].said[w][m];
	}
	json_t *before = json_object(), *after = json_object();
	for (int m = 0; m < MANNERS; m++) {
		if (asked[m] && (t->s->before || (t->s->told && m == SAME)))
			json_object_set_new(before, manner_name[m], json_integer(t->s->before ? said[0][m] : n));
		if (asked[m])
			json_object_set_new(after, manner_name[m], json_integer(said[1][m]));
	}
	return json_pack("{s:i, s:o, s:o}", "data", n, "before", before, "after", after);
}

static json_t *table(const struct session *t)
{
	json_t *o = counts(t, -1), *people = json_array();
	for (int i = 0; i < t->names; i++) {
		json_t *one = counts(t, i);
		json_object_set_new(one, "line", json_integer(i + 1));
		json_array_append_new(people, one);
	}
	json_object_set_new(o, "people", people);
	return o;
}

bool ul_subjects_ask(const ul_subjects *s, json_t **out, ul_err *err)
{
	struct session t = {.s = s};
	bool ok = read_names(&t, err) && gather(&t, err) && questions(&t, err);
	ok = ok && (!s->before || answer(&t, s->before, false, err)) && answer(&t, s->after, true, err);
	json_t *o = ok ? table(&t) : NULL;
	ok = ok && (o || ul_nomem(err, 256));
	if (ok)
		*out = o;
	for (int i = 0; i < t.questions; i++)
		ul_ids_release(&t.q[i].ids);
	ul_arena_release(&t.arena);
	return ok;
}
