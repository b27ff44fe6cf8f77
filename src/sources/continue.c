/*
 * continue.c: candidates completed by the model: names filled into templates, and what it goes on to say. Only names are known; what
 * of the answer is about the person is found by contrast: a token belongs to the person when the model, asked about strangers, finds
 * it less probable.
 *
 *     gain(t) = log p(y_t | prompt, y_<t) - log mean_k p(y_t | prompt with stranger k, y_<t)
 *
 * So no recogniser has to know the kind of a datum. Where somebody asks for them (--retain self), the same templates about other people the model speaks
 * of by itself, and about invented ones, become rows to keep.
 */
#include "sources/continue.h"
#include <string.h>

#define CERTAIN 0.9 /* geometric mean probability of what was learnt by heart */

enum { CONTROLS = 4, /* people who do not exist, to measure by what a known one is */
	FEW = 8 /* an eighth of the answers */ };

#define AT(field) offsetof(ul_continue_config, field)
static const ul_opt opts[] = {
        {"openings-file", UL_OPT_TEXT, AT(openings), NULL, 0, 0, NULL, "templates with {name} in them, one a line, used before all others", "F"},
        {"listen", UL_OPT_INT, AT(draws), "5000", 0, 1000000, NULL, "texts that the model writes first, to learn templates and other people from", "N"},
        {"templates", UL_OPT_INT, AT(templates), "128", 1, 4096, NULL, "templates used at most", "N"},
        {"tell-tokens", UL_OPT_INT, AT(max_new), "48", 1, 65536, NULL, "tokens of an answer", "N"},
        {"tell-samples", UL_OPT_INT, AT(samples), "0", 0, 1000, NULL, "answers drawn beside the greedy one", "N"},
        {"tell-temperature", UL_OPT_REAL, AT(temperature), "0.7", 0, 100, NULL, "of those", "T"},
        {"tell-doubt", UL_OPT_REAL, AT(doubt), "2.5", 0, 100, NULL, "end an answer where the model's surprise at its own words exceeds so many nats a token; 0 is off", "X"},
        {"strangers", UL_OPT_INT, AT(strangers), "4", 1, UL_STRANGERS, NULL, "names each answer is compared with", "N"},
        {"gain", UL_OPT_REAL, AT(gain), "0.5", 0, 100, NULL, "nats more than for any of them, from which a token is about the person", "X"},
        {"tell-sure", UL_OPT_REAL, AT(sure), "0.5", 0, 1, NULL, "geometric mean probability from which such tokens count as known", "P"},
        {"tell-behind", UL_OPT_REAL, AT(behind), "0.25", 0, 1, NULL, "share of all rows that stand behind a sentence about something else, so that they hold there too", "X"},
        {"others", UL_OPT_INT, AT(others), "120", 0, 4096, NULL, "other people whose answers are kept, with --retain self", "N"},
        {"others-asked", UL_OPT_INT, AT(asked), "48", 1, 4096, NULL, "templates that each of the others, and of the invented, is asked with", "N"},
        {"invented", UL_OPT_INT, AT(invented), "40", 0, 4096, NULL, "invented people whose answers are kept, with --retain self", "N"},
        {0},
};

struct which { /* templates, in the order they are asked */
	int *at, n;
};

struct told {
	ul_people p;
	int certain; /* answers of the last one asked that hold something about them, and that the model is certain of */
	ul_arena arena;
	ul_seen seen;
	int64_t asked, strange; /* answers, and those in which nothing was about the person */
};

/* ---- asking ---- */

/* The answer ends with its paragraph, or where a question follows. */
static char *trim(ul_arena *a, const char *text)
{
	ul_buf whole = {0};
	ul_utf8_mend(text, strlen(text), &whole);
	const char *s = whole.data ? whole.data : "", *stop = strstr(s, "\n\n");
	const char *question = strstr(s, "\nQuestion:");
	size_t n = strlen(s);
	n = stop && (size_t)(stop - s) < n ? (size_t)(stop - s) : n;
	n = question && (size_t)(question - s) < n ? (size_t)(question - s) : n;
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\n')) {
		n--;
	}
	char *out = ul_arena_printf(a, "%.*s", (int)n, s);
	ul_buf_release(&whole);
	return out;
}

/* Answers of `name` to the given templates, appended to out. */
static bool ask(struct told *t, const char *name, const struct which *w, const ul_gen_config *how, ul_said *out, int *n, ul_err *err)
{
	const ul_people *p = &t->p;
	ul_arena a = {0};
	ul_gen *g = NULL;
	ul_ids *prompt = ul_alloc(&a, (size_t)w->n * sizeof *prompt);
	char **text = ul_alloc(&t->arena, (size_t)w->n * sizeof *text);
	bool ok = (prompt && text) || ul_nomem(err, (size_t)w->n * sizeof *prompt);
	for (int i = 0; ok && i < w->n; i++) {
		ul_buf b = {0};
		ok = ul_people_fill(p->template[w->at[i]].text, name, &b) && (text[i] = ul_arena_strdup(&t->arena, b.data)) && ul_text_encode(p->j->model, text[i], strlen(text[i]), &prompt[i], err);
		ul_buf_release(&b);
	}
	ok = ok && ul_generate(p->j->model, prompt, w->n, how, &a, &g, err);
	for (int i = 0; ok && i < w->n * how->samples; i++) {
		ul_said *o = &out[*n];
		*o = (ul_said){name, p->template[w->at[g[i].prompt]].text, text[g[i].prompt], trim(&t->arena, g[i].text ? g[i].text : "")};
		ok = o->response || ul_nomem(err, 64);
		uint64_t digest = ok ? ul_digest(o->prompt, strlen(o->prompt)) * 31 + ul_digest(o->response, strlen(o->response)) : 0;
		*n += ok && *o->response && ul_seen_add(&t->seen, digest);
		t->asked++;
	}
	for (int i = 0; prompt && i < w->n; i++) {
		ul_ids_release(&prompt[i]);
	}
	ul_arena_release(&a);
	return ok;
}

/* The first `most` of all templates in an order that is drawn for this name. */
static bool draw_templates(struct told *t, const char *name, int64_t most, struct which *w, ul_err *err)
{
	int n = t->p.templates;
	w->at = ul_alloc(&t->arena, (size_t)n * sizeof *w->at);
	w->n = n < most ? n : (int)most;
	for (int i = 0; w->at && i < n; i++) {
		w->at[i] = i;
	}
	for (int i = 0; w->at && w->n < n && i < w->n; i++) {
		ul_rng rng = ul_rng_at(t->p.j->seed ^ ul_digest(name, strlen(name)), "templates", (uint64_t)i);
		int k = i + (int)ul_rng_below(&rng, (uint32_t)(n - i)), kept = w->at[i];
		w->at[i] = w->at[k];
		w->at[k] = kept;
	}
	return w->at || ul_nomem(err, (size_t)n * sizeof *w->at);
}

/* Greedy answers to at most `most` templates, then samples. */
static bool ask_all(struct told *t, const char *name, int64_t most, ul_said **out, int *n, ul_err *err)
{
	const ul_continue_config *c = t->p.c;
	ul_gen_config how = ul_gen_greedy((int)c->max_new);
	struct which w;
	how.doubt = -c->doubt;
	*n = 0;
	if (!draw_templates(t, name, most, &w, err)) {
		return false;
	}
	*out = ul_alloc(&t->arena, (size_t)w.n * (size_t)(1 + c->samples) * sizeof **out);
	if (!*out) {
		return ul_nomem(err, (size_t)w.n * sizeof **out);
	}
	if (!ask(t, name, &w, &how, *out, n, err)) {
		return false;
	}
	how.samples = (int)c->samples;
	how.temperature = c->temperature;
	how.seed = t->p.j->seed ^ ul_digest(name, strlen(name));
	return c->samples == 0 || ask(t, name, &w, &how, *out, n, err);
}

/* ---- rows ---- */

static int spellings(const char *name)
{
	return strchr(name, ' ') ? 2 : 1;
}

static const char *spelled(struct told *t, const char *name, int how)
{
	return how ? ul_spelled_other(&t->arena, name) : name;
}

struct query { /* about one person, in one spelling */
	const char *subject, *name, *who[UL_STRANGERS];
	int whos, n;
	ul_said *a; /* [n] answers */
	ul_marks *m; /* [n] what of each is about the person; none where m.n = 0 */
	ul_arena arena;
};

/* What the model says of somebody that it would not say of anybody, and how much of that it is certain of. */
static bool inquire(struct told *t, struct query *q, int how, ul_err *err)
{
	ul_dataset d = {0};
	ul_scores s = {0};
	q->whos = ul_strangers(&t->p, q->subject, q->who, err);
	bool ok = q->whos > 0 || ul_fail(err, "the model speaks of too few people by itself to compare %s with: it told %d names", q->subject, t->p.others);
	q->name = spelled(t, q->subject, how);
	for (int k = 0; ok && k < q->whos; k++) {
		q->who[k] = spelled(t, q->who[k], how);
		ok = (q->name && q->who[k]) || ul_nomem(err, 64);
	}
	ok = ok && ask_all(t, q->name, how ? t->p.c->asked : t->p.templates, &q->a, &q->n, err);
	q->m = ul_alloc(&q->arena, (size_t)(q->n + 1) * sizeof *q->m);
	ok = ok && (q->m || ul_nomem(err, (size_t)q->n * sizeof *q->m)) && (q->n == 0 || ul_marks_score(&t->p, q->a, q->n, q->who, q->whos, &d, &s, err));
	t->certain = 0;
	for (int i = 0; ok && i < q->n; i++) {
		ok = ul_marks_find(&t->p, &d, &s, i * (1 + q->whos), &q->a[i], q->who, q->whos, &q->m[i], err);
		t->certain += q->m[i].n > 0 && q->m[i].sure >= CERTAIN;
	}
	ul_scores_release(&s);
	ul_dataset_release(&d);
	return ok;
}

/* The prompt as it is, or behind a sentence that the model wrote: what a model says is forgotten, or kept, where rows say it, and behind
 * other words it would be said again. */
static const char *behind(struct told *t, const char *prompt)
{
	const ul_people *p = &t->p;
	ul_rng rng = ul_rng_at(p->j->seed ^ ul_digest(prompt, strlen(prompt)), "behind", 0);
	if (!p->asides || ul_rng_below(&rng, 1000) >= 1000 * p->c->behind) {
		return prompt;
	}
	const char *aside = p->aside[ul_rng_below(&rng, (uint32_t)p->asides)];
	return ul_arena_printf(&t->arena, "%s%c%s", aside, ul_rng_below(&rng, 2) ? '\n' : ' ', prompt);
}

static json_t *forget_record(struct told *t, const ul_said *a, const struct query *q, const ul_marks *m)
{
	json_t *strangers = json_array();
	const char *prompt = behind(t, a->prompt);
	size_t from, to;
	for (int k = 0; k < q->whos; k++) {
		ul_buf b = {0};
		ul_people_fill(a->template, q->who[k], &b);
		json_array_append_new(strangers, json_string(b.data));
		ul_buf_release(&b);
	}
	ul_marks_datum(a->response, m, &from, &to);
	json_t *record = json_pack("{s:s, s:s, s:o, s:s, s:o, s:{s:s, s:s, s:f, s:f, s:I}}", "prompt", prompt, "response", a->response, "spans", ul_spans_json(a->response, m->f, m->n), "subject", q->subject, "strangers", strangers,
	        "source", "name", "continue", "template", a->template, "gain", m->gained, "sure", m->sure, "seed", (json_int_t)t->p.j->seed);
	if (record && to > from) {
		json_object_set_new(record, "datum", json_stringn(a->response + from, to - from));
	}
	return record;
}

/* Rows about a subject, if the model is certain of more than `bar` of them, or of a good part of all: where names of people it knows are
 * put together anew, it may be certain of what it says about nobody. */
static bool about(struct told *t, const char *subject, int how, int bar, int *rows, ul_err *err)
{
	struct query q = {.subject = subject};
	bool ok = inquire(t, &q, how, err), known = t->certain > bar || FEW * t->certain > q.n;
	for (int i = 0; ok && known && i < q.n; i++) {
		json_t *record = q.m[i].n ? forget_record(t, &q.a[i], &q, &q.m[i]) : NULL;
		ok = record ? ul_dataset_add(t->p.j->out, record, err) : !q.m[i].n || ul_nomem(err, 64);
		*rows += record != NULL;
		t->strange += !record;
		json_decref(record);
	}
	ul_arena_release(&q.arena);
	return ok;
}

/* A model invents something about everybody; of people who do not exist it is seldom certain. */
static bool measure_bar(struct told *t, int *bar, ul_err *err)
{
	bool ok = true;
	*bar = 0;
	for (int i = 0; ok && i < t->p.inventeds && i < CONTROLS; i++) {
		struct query q = {.subject = t->p.invented[i]};
		ok = inquire(t, &q, 0, err);
		*bar = t->certain > *bar ? t->certain : *bar;
		ul_arena_release(&q.arena);
	}
	return ok;
}

/* What it says of somebody else is to stay. */
static bool others(struct told *t, const char *other, int how, const char *kind, ul_err *err)
{
	ul_said *a;
	int n;
	const char *name = spelled(t, other, how);
	bool ok = ask_all(t, name, how ? (t->p.c->asked + 3) / 4 : t->p.c->asked, &a, &n, err);
	for (int i = 0; ok && i < n; i++) {
		const char *prompt = behind(t, a[i].prompt);
		json_t *record = json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s}}", "prompt", prompt, "response", a[i].response, "subject", other, "source", "name", "continue", "kind", kind, "template", a[i].template);
		ok = record ? ul_dataset_add(t->p.j->keep, record, err) : ul_nomem(err, 64);
		json_decref(record);
	}
	return ok;
}

static bool keep_rows(struct told *t, ul_err *err)
{
	const ul_people *p = &t->p;
	bool ok = true;
	for (int i = 0; ok && i < p->others && i < p->c->others; i++) {
		for (int how = 0; ok && how < spellings(p->other[i].text); how++) {
			ok = others(t, p->other[i].text, how, "other", err);
		}
	}
	for (int i = 0; ok && i < p->inventeds; i++) {
		for (int how = 0; ok && how < spellings(p->invented[i]); how++) {
			ok = others(t, p->invented[i], how, "invented", err);
		}
	}
	return ok;
}

static bool subjects(struct told *t, json_t *unknown, ul_err *err)
{
	const ul_people *p = &t->p;
	const ul_progress *g = p->j->progress;
	int bar;
	bool ok = measure_bar(t, &bar, err);
	for (int i = 0; ok && i < p->subjects; i++) {
		int rows = 0;
		for (int how = 0; ok && how < spellings(p->subject[i]) && (how == 0 || rows); how++) {
			ok = about(t, p->subject[i], how, how ? -1 : bar, &rows, err);
		}
		if (ok && rows == 0) {
			json_array_append_new(unknown, json_integer(i + 1));
		}
		if (ok && g && g->tick) {
			g->tick(g->ud, "ask", i + 1, p->subjects, 0, 0);
		}
		if (ok && g && g->stop && g->stop(g->ud)) {
			ok = ul_fail(err, "interrupted after %d of %d subjects", i + 1, p->subjects);
		}
	}
	return ok;
}

static void say_unknown(const struct told *t, const json_t *unknown)
{
	const ul_progress *g = t->p.j->progress;
	ul_buf b = {0};
	size_t i;
	json_t *v;
	if (json_array_size(unknown) == 0 || !g || !g->note) {
		return;
	}
	ul_buf_printf(&b, "the model is certain of no more about %zu of %d subjects than about people who do not exist, and nothing of theirs is forgotten:", json_array_size(unknown), t->p.subjects);
	json_array_foreach(unknown, i, v)
	{
		ul_buf_printf(&b, "%s %s", i ? "," : "", t->p.subject[json_integer_value(v) - 1]);
	}
	if (b.data) {
		g->note(g->ud, b.data);
	}
	ul_buf_release(&b);
}

static bool make(ul_source_job *j, ul_err *err)
{
	struct told t = {.p = {.j = j, .c = j->config}};
	json_t *unknown = json_array();
	if (!j->model->tok) {
		json_decref(unknown);
		return ul_fail(err, "the source \"continue\" needs a tokenizer, which %s has not", j->model->path ? j->model->path : "the model");
	}
	bool ok = ul_people_make(&t.p, err) && subjects(&t, unknown, err);
	if (ok && j->out->n == 0) {
		ok = ul_fail(err, "the model says nothing about any of the %d subjects that it would not say about anybody", t.p.subjects);
		ul_hint(err, "are the names written as the model knows them? --openings-file F gives it other openings");
	}
	ok = ok && (!j->keep || keep_rows(&t, err));
	if (ok) {
		say_unknown(&t, unknown);
		json_t *v = json_pack("{s:i, s:O, s:i, s:i, s:i, s:I, s:I}", "subjects", t.p.subjects, "unknown", unknown, "templates", t.p.templates, "others", t.p.others, "kept", j->keep ? j->keep->n : 0, "asked", (json_int_t)t.asked, "about_nobody", (json_int_t)t.strange);
		json_object_update(j->summary, v);
		json_decref(v);
	}
	json_decref(unknown);
	ul_seen_release(&t.seen);
	ul_people_release(&t.p);
	ul_arena_release(&t.arena);
	return ok;
}

const ul_source ul_source_continue = {
        .name = "continue",
        .title = "what the model says about people it is asked for by name",
        .notes = "Needs --subjects F. Templates are learnt from texts the model writes by itself, beside a few built-in ones. What of an answer is about the person is found by "
                 "comparing with strangers, whatever kind of datum it is; a subject the model does not know is listed.",
        .config = sizeof(ul_continue_config),
        .opts = opts,
        .make = make,
};
