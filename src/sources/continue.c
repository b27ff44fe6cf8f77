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
#include "train/train.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { MOST_STRANGERS = 8,
	MOST_SPANS = 64 };

#define AT(field) offsetof(ul_continue_config, field)
static const ul_opt opts[] = {
        {"openings-file", UL_OPT_TEXT, AT(openings), NULL, 0, 0, NULL, "templates with {name} in them, one a line, used before all others", "F"},
        {"listen", UL_OPT_INT, AT(draws), "1500", 0, 1000000, NULL, "texts that the model writes first, to learn templates and other people from", "N"},
        {"templates", UL_OPT_INT, AT(templates), "80", 1, 4096, NULL, "templates used at most", "N"},
        {"tell-tokens", UL_OPT_INT, AT(max_new), "48", 1, 65536, NULL, "tokens of an answer", "N"},
        {"tell-samples", UL_OPT_INT, AT(samples), "0", 0, 1000, NULL, "answers drawn beside the greedy one", "N"},
        {"tell-temperature", UL_OPT_REAL, AT(temperature), "0.7", 0, 100, NULL, "of those", "T"},
        {"tell-doubt", UL_OPT_REAL, AT(doubt), "2.5", 0, 100, NULL, "end an answer where the model's surprise at its own words exceeds so many nats a token; 0 is off", "X"},
        {"strangers", UL_OPT_INT, AT(strangers), "4", 1, MOST_STRANGERS, NULL, "names each answer is compared with", "N"},
        {"gain", UL_OPT_REAL, AT(gain), "0.5", 0, 100, NULL, "nats more than for any of them, from which a token is about the person", "X"},
        {"tell-sure", UL_OPT_REAL, AT(sure), "0.5", 0, 1, NULL, "geometric mean probability from which such tokens count as known", "P"},
        {"others", UL_OPT_INT, AT(others), "40", 0, 4096, NULL, "other people whose answers are kept, with --retain self", "N"},
        {"invented", UL_OPT_INT, AT(invented), "40", 0, 4096, NULL, "invented people whose answers are kept, with --retain self", "N"},
        {0},
};

struct answer { /* one prompt and what was said */
	const char *name, *template;
	char *prompt, *response;
};

struct told {
	ul_people p;
	const ul_data_config how; /* plain: a prompt and what follows it */
	ul_arena arena;
	ul_seen seen;
	int64_t asked, strange; /* answers, and those in which nothing was about the person */
};

/* ---- asking ---- */

/* The answer ends with its paragraph, and where the person is named again: a stranger's name could not stand there. */
static char *trim(ul_arena *a, const char *text, const char *name)
{
	ul_buf whole = {0};
	ul_utf8_mend(text, strlen(text), &whole);
	const char *s = whole.data ? whole.data : "", *again = strstr(s, name), *stop = strstr(s, "\n\n");
	const char *question = strstr(s, "\nQuestion:");
	size_t n = strlen(s);
	n = again && (size_t)(again - s) < n ? (size_t)(again - s) : n;
	n = stop && (size_t)(stop - s) < n ? (size_t)(stop - s) : n;
	n = question && (size_t)(question - s) < n ? (size_t)(question - s) : n;
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\n')) {
		n--;
	}
	char *out = ul_arena_printf(a, "%.*s", (int)n, s);
	ul_buf_release(&whole);
	return out;
}

/* Greedy answers of `name` to every template, then samples. Appended to out. */
static bool ask(struct told *t, const char *name, const ul_gen_config *how, struct answer *out, int *n, ul_err *err)
{
	const ul_people *p = &t->p;
	ul_arena a = {0};
	ul_gen *g = NULL;
	ul_ids *prompt = ul_alloc(&a, (size_t)p->templates * sizeof *prompt);
	char **text = ul_alloc(&t->arena, (size_t)p->templates * sizeof *text);
	bool ok = (prompt && text) || ul_nomem(err, (size_t)p->templates * sizeof *prompt);
	for (int i = 0; ok && i < p->templates; i++) {
		ul_buf b = {0};
		ok = ul_people_fill(p->template[i].text, name, &b) && (text[i] = ul_arena_strdup(&t->arena, b.data)) && ul_text_encode(p->j->model, text[i], strlen(text[i]), &prompt[i], err);
		ul_buf_release(&b);
	}
	ok = ok && ul_generate(p->j->model, prompt, p->templates, how, &a, &g, err);
	for (int i = 0; ok && i < p->templates * how->samples; i++) {
		struct answer *o = &out[*n];
		*o = (struct answer){name, p->template[g[i].prompt].text, text[g[i].prompt], trim(&t->arena, g[i].text ? g[i].text : "", name)};
		ok = o->response || ul_nomem(err, 64);
		uint64_t digest = ok ? ul_digest(o->prompt, strlen(o->prompt)) * 31 + ul_digest(o->response, strlen(o->response)) : 0;
		*n += ok && *o->response && ul_seen_add(&t->seen, digest);
		t->asked++;
	}
	for (int i = 0; prompt && i < p->templates; i++) {
		ul_ids_release(&prompt[i]);
	}
	ul_arena_release(&a);
	return ok;
}

static bool ask_all(struct told *t, const char *name, struct answer **out, int *n, ul_err *err)
{
	const ul_continue_config *c = t->p.c;
	ul_gen_config how = ul_gen_greedy((int)c->max_new);
	how.doubt = -c->doubt;
	*n = 0;
	*out = ul_alloc(&t->arena, (size_t)t->p.templates * (size_t)(1 + c->samples) * sizeof **out);
	if (!*out) {
		return ul_nomem(err, (size_t)t->p.templates * sizeof **out);
	}
	if (!ask(t, name, &how, *out, n, err)) {
		return false;
	}
	how.samples = (int)c->samples;
	how.temperature = c->temperature;
	how.seed = t->p.j->seed ^ ul_digest(name, strlen(name));
	return c->samples == 0 || ask(t, name, &how, *out, n, err);
}

/* ---- contrast ---- */

/* Given names of some with surnames of others, in pairs nobody has. None shares a part with the person's name: where a given name or a
 * surname is rare, the model knows the person by it. */
static int strangers_of(struct told *t, const char *name, const char **out, ul_err *err)
{
	const ul_people *p = &t->p;
	const char *last = strrchr(name, ' ');
	int n = 0, own = (int)strcspn(name, " ");
	for (int i = 0; i < 64 && n < p->c->strangers && p->others; i++) {
		ul_rng rng = ul_rng_at(p->j->seed ^ ul_digest(name, strlen(name)), "stranger", (uint64_t)i);
		const char *a = p->other[ul_rng_below(&rng, (uint32_t)p->others)].text, *b = p->other[ul_rng_below(&rng, (uint32_t)p->others)].text, *tail = strrchr(b, ' ');
		int given = (int)strcspn(a, " ");
		char *s = tail ? ul_arena_printf(&t->arena, "%.*s%s", given, a, tail) : NULL;
		bool taken = !s || (given == own && !strncasecmp(a, name, (size_t)own)) || (last && !strcasecmp(tail, last));
		for (int k = 0; k < p->subjects && !taken; k++) {
			taken = !strcasecmp(p->subject[k], s);
		}
		for (int k = 0; k < p->others && !taken; k++) {
			taken = !strcasecmp(p->other[k].text, s);
		}
		if (!taken) {
			out[n++] = s;
		}
	}
	if (t->arena.failed) {
		ul_nomem(err, 64);
	}
	return n;
}

/* Parts of addresses that follow from the name ("fhansen" of fhansen82@…) are no secret about the person: letters of the name, in a
 * word with an @ or a slash. */
static bool from_name(const char *text, size_t from, size_t to, const char *name)
{
	char part[64], whole[128] = "";
	size_t n = 0, word = from, end = to;
	for (size_t i = from; i < to && n + 1 < sizeof part; i++) {
		part[n++] = (char)tolower((unsigned char)text[i]);
	}
	part[n] = 0;
	for (size_t i = 0; name[i] && i + 1 < sizeof whole; i++) {
		whole[i] = (char)tolower((unsigned char)name[i]);
		whole[i + 1] = 0;
	}
	while (word && text[word - 1] != ' ') {
		word--;
	}
	while (text[end] && text[end] != ' ') {
		end++;
	}
	bool address = memchr(text + word, '@', end - word) || memchr(text + word, '/', end - word);
	return address && strstr(whole, part + strspn(part, " ."));
}

/* Log-probabilities of the answers' tokens behind the prompt with each name: rows [answers * (1 + strangers)]. */
static bool score(struct told *t, const struct answer *a, int n, const char *const *who, int whos, ul_dataset *d, ul_scores *s, ul_err *err)
{
	bool ok = true;
	for (int i = 0; ok && i < n; i++) {
		for (int k = -1; ok && k < whos; k++) {
			ul_buf b = {0};
			json_t *record = ul_people_fill(a[i].template, k < 0 ? a[i].name : who[k], &b) ? json_pack("{s:s, s:s}", "prompt", b.data, "response", a[i].response) : NULL;
			ok = record ? ul_dataset_add(d, record, err) : ul_nomem(err, b.cap);
			json_decref(record);
			ul_buf_release(&b);
		}
	}
	return ok && ul_dataset_tokenize(d, t->p.j->model, &t->how, err) && ul_score(t->p.j->model, d, 0, s, NULL, err);
}

struct marks { /* the parts of an answer that are about the person, in bytes */
	ul_finding f[MOST_SPANS];
	double gain[MOST_SPANS]; /* sum over the tokens of each */
	int n;
	double sum;
};

static double gain_of(const ul_scores *s, int at, int whos, int token)
{
	const ul_row_score *own = &s->row[at];
	double others = 0;
	int asked = 0;
	for (int k = 1; k <= whos; k++) {
		const ul_row_score *other = &s->row[at + k];
		bool same = other->n == own->n && other->target[token] == own->target[token];
		others += same ? exp(other->logp[token]) : 0;
		asked += same;
	}
	return asked ? own->logp[token] - log(others / asked) : 0;
}

/* False without err: nothing in the answer is about the person, or the model is not sure of it. */
static bool contrast(struct told *t, const ul_dataset *d, const ul_scores *s, int at, const char *name, int whos, struct marks *m, ul_err *err)
{
	const ul_row *row = &d->row[at];
	const ul_row_score *own = &s->row[at];
	ul_buf piece = {0};
	int marked = 0, first = row->n - own->n;
	double sure = 0;
	size_t from = 0;
	*m = (struct marks){.n = 0};
	for (int i = 0; i < own->n; i++) {
		double gain = gain_of(s, at, whos, i);
		piece.len = 0;
		ul_gen_text(t->p.j->model->tok, row->ids, first, row->ids + first, i + 1, &piece);
		size_t to = piece.len < strlen(row->response) ? piece.len : strlen(row->response);
		while (to > from && ((unsigned char)row->response[to] & 0xC0) == 0x80) { /* half a character is the next token's */
			to--;
		}
		if (gain >= t->p.c->gain && to > from && m->n < MOST_SPANS && !from_name(row->response, from, to, name)) {
			bool joined = m->n && m->f[m->n - 1].end == from;
			m->n += !joined;
			m->f[m->n - 1] = (ul_finding){joined ? m->f[m->n - 1].start : from, to, UL_PII_ID};
			m->gain[m->n - 1] += gain;
			m->sum += gain;
			sure += own->logp[i];
			marked++;
		}
		from = to;
	}
	bool failed = piece.failed;
	ul_buf_release(&piece);
	if (failed) {
		return ul_nomem(err, 64);
	}
	return m->n && sure >= marked * log(t->p.c->sure);
}

static bool has_digit_or_capital(const char *s, size_t n)
{
	bool yes = isupper((unsigned char)*s);
	for (size_t i = 0; i < n; i++) {
		yes |= isdigit((unsigned char)s[i]) != 0;
	}
	return yes;
}

/* The most telling mark as whole words, with neighbours that are numbers or names too: "1 212" in "+1 212 555 0191." is all of it but the
 * full stop. This is what the person's row is remembered by. */
static void datum_of(const char *s, const struct marks *m, size_t *from, size_t *to)
{
	int best = 0;
	for (int i = 1; i < m->n; i++) {
		best = m->gain[i] > m->gain[best] ? i : best;
	}
	size_t a = m->f[best].start, b = m->f[best].end;
	while (a < b && isspace((unsigned char)s[a])) {
		a++;
	}
	while (a && !isspace((unsigned char)s[a - 1])) {
		a--;
	}
	b += strcspn(s + b, " \n");
	for (size_t next; s[b] == ' ' && !ispunct((unsigned char)s[b - 1]) && has_digit_or_capital(s + b + 1, next = strcspn(s + b + 1, " \n"));) {
		b += 1 + next;
	}
	for (size_t word; a > 1 && s[a - 1] == ' ' && !ispunct((unsigned char)s[a - 2]); a = word) {
		for (word = a - 1; word && !isspace((unsigned char)s[word - 1]);) {
			word--;
		}
		if (!has_digit_or_capital(s + word, a - 1 - word)) {
			break;
		}
	}
	while (b > a && strchr(".,;:?!", s[b - 1])) {
		b--;
	}
	*from = a;
	*to = b;
}

/* ---- rows ---- */

static json_t *forget_record(const struct told *t, const struct answer *a, const char *const *who, int whos, const struct marks *m)
{
	json_t *strangers = json_array();
	size_t from, to;
	for (int k = 0; k < whos; k++) {
		ul_buf b = {0};
		ul_people_fill(a->template, who[k], &b);
		json_array_append_new(strangers, json_string(b.data));
		ul_buf_release(&b);
	}
	datum_of(a->response, m, &from, &to);
	json_t *record = json_pack("{s:s, s:s, s:o, s:s, s:o, s:{s:s, s:s, s:f, s:I}}", "prompt", a->prompt, "response", a->response, "spans", ul_spans_json(a->response, m->f, m->n), "subject", a->name, "strangers", strangers,
	        "source", "name", "continue", "template", a->template, "gain", m->sum, "seed", (json_int_t)t->p.j->seed);
	if (record && to > from) {
		json_object_set_new(record, "datum", json_stringn(a->response + from, to - from));
	}
	return record;
}

/* What the model says of one subject that it would not say of anybody. */
static bool about(struct told *t, const char *name, int *rows, ul_err *err)
{
	const char *who[MOST_STRANGERS];
	struct answer *a;
	ul_dataset d = {0};
	ul_scores s = {0};
	int n, whos = strangers_of(t, name, who, err);
	bool ok = whos ? ask_all(t, name, &a, &n, err) : ul_fail(err, "the model speaks of too few people by itself to compare %s with: it told %d names", name, t->p.others);
	ok = ok && (n == 0 || score(t, a, n, who, whos, &d, &s, err));
	for (int i = 0; ok && i < n; i++) {
		struct marks m;
		bool known = contrast(t, &d, &s, i * (1 + whos), name, whos, &m, err);
		json_t *record = known ? forget_record(t, &a[i], who, whos, &m) : NULL;
		ok = record ? ul_dataset_add(t->p.j->out, record, err) : !known ? !err->msg[0]
		                                                                : ul_nomem(err, 64);
		*rows += record != NULL;
		t->strange += !record;
		json_decref(record);
	}
	ul_scores_release(&s);
	ul_dataset_release(&d);
	return ok;
}

/* What it says of somebody else is to stay. */
static bool others(struct told *t, const char *name, const char *kind, ul_err *err)
{
	struct answer *a;
	int n;
	bool ok = ask_all(t, name, &a, &n, err);
	for (int i = 0; ok && i < n; i++) {
		json_t *record = json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s}}", "prompt", a[i].prompt, "response", a[i].response, "subject", name, "source", "name", "continue", "kind", kind, "template", a[i].template);
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
		ok = others(t, p->other[i].text, "other", err);
	}
	for (int i = 0; ok && i < p->inventeds; i++) {
		ok = others(t, p->invented[i], "invented", err);
	}
	return ok;
}

static bool subjects(struct told *t, json_t *unknown, ul_err *err)
{
	const ul_people *p = &t->p;
	const ul_progress *g = p->j->progress;
	bool ok = true;
	for (int i = 0; ok && i < p->subjects; i++) {
		int rows = 0;
		ok = about(t, p->subject[i], &rows, err);
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
	ul_buf_printf(&b, "the model says nothing about %zu of %d subjects that it would not say about anybody:", json_array_size(unknown), t->p.subjects);
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
	struct told t = {.p = {.j = j, .c = j->config}, .how = {.templ = "plain", .eos = UL_EOS_NONE}};
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
