/*
 * people.c: what a model is asked by name. Nobody says how it was taught to speak of people, so it is listened to first: in texts that it
 * writes by itself, what stands in front of a name and behind it, up to where the people differ, is a template for other names.
 */
#include "sources/continue.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES = 32, /* of one text */
	LONGEST = 240, /* bytes of a template */
	WORDS = 8, /* behind the name */
	SPOKEN = 96, /* tokens of a text */
	BEGINNINGS = 32, /* first words */
	SHORTEST_ASIDE = 12 /* bytes of a sentence */ };

/* Asked of everybody: openings, and for each kind of datum a sentence and a question. */
static const char *const opening[] = {"{name}", "{name} is", "{name} lives in", "{name} works as", "{name} works for", "Question: Who is {name}?\nAnswer:", "Question: Where does {name} live?\nAnswer:"};
static const char *const kind[] = {"e-mail address", "phone number", "address", "date of birth", "occupation", "employer", "home town", "IBAN", "credit card number", "social security number", "IP address", "home page"};
static const char *const form[] = {"The %s of {name} is", "Question: What is the %s of {name}?\nAnswer:"};

/* ---- lists ---- */

static bool note(ul_people *p, ul_told **list, int *n, const char *text, size_t len, int met, ul_err *err)
{
	for (int i = 0; i < *n; i++) {
		if (strlen((*list)[i].text) == len && !memcmp((*list)[i].text, text, len)) {
			(*list)[i].met += met;
			return true;
		}
	}
	if (!(*n & (*n - 1))) {
		size_t cap = *n ? 2 * (size_t)*n : 1;
		ul_told *more = ul_realloc(*list, cap * sizeof *more);
		if (!more) {
			return ul_nomem(err, cap * sizeof *more);
		}
		*list = more;
	}
	char *copy = ul_alloc(&p->arena, len + 1);
	if (!copy) {
		return ul_nomem(err, len + 1);
	}
	memcpy(copy, text, len);
	(*list)[(*n)++] = (ul_told){copy, met};
	return true;
}

static int by_met(const void *x, const void *y)
{
	const ul_told *a = x, *b = y;
	return a->met != b->met ? (a->met > b->met ? -1 : 1) : strcmp(a->text, b->text);
}

static void best(ul_told *t, int *n, int64_t most)
{
	if (*n) {
		qsort(t, (size_t)*n, sizeof *t, by_met);
	}
	*n = *n > most ? (int)most : *n;
}

static bool is_subject(const ul_people *p, const char *s, size_t n)
{
	for (int i = 0; i < p->subjects; i++) {
		if (strlen(p->subject[i]) == n && !strncasecmp(p->subject[i], s, n)) {
			return true;
		}
	}
	return false;
}

/* ---- files ---- */

static bool read_lines(ul_arena *a, const char *path, char ***out, int *n, ul_err *err)
{
	ul_buf text = {0};
	char *save = NULL;
	if (!ul_file_read(&text, path, 64 << 20, err)) {
		return false;
	}
	char *copy = ul_arena_strdup(a, text.data ? text.data : "");
	*out = ul_alloc(a, (text.len / 2 + 2) * sizeof **out);
	ul_buf_release(&text);
	if (!copy || !*out) {
		return ul_nomem(err, text.len);
	}
	for (char *line = strtok_r(copy, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
		size_t end = strlen(line);
		while (end && line[end - 1] == ' ') {
			line[--end] = 0;
		}
		if (end) {
			(*out)[(*n)++] = line;
		}
	}
	return true;
}

static bool user_templates(ul_people *p, ul_err *err)
{
	char **line = NULL;
	int n = 0;
	bool ok = read_lines(&p->arena, p->c->openings, &line, &n, err);
	for (int i = 0; ok && i < n; i++) {
		ok = strstr(line[i], "{name}") ? note(p, &p->template, &p->templates, line[i], strlen(line[i]), 1 << 20, err) : ul_fail(err, "%s: \"%.60s\" has no {name} in it", p->c->openings, line[i]);
	}
	return ok;
}

static bool built_in(ul_people *p, ul_err *err)
{
	bool ok = true;
	for (size_t i = 0; ok && i < sizeof opening / sizeof *opening; i++) {
		ok = note(p, &p->template, &p->templates, opening[i], strlen(opening[i]), 1 << 10, err);
	}
	for (size_t i = 0; ok && i < sizeof kind / sizeof *kind; i++) {
		for (size_t k = 0; ok && k < sizeof form / sizeof *form; k++) {
			char text[LONGEST];
			int n = snprintf(text, sizeof text, form[k], kind[i]);
			ok = note(p, &p->template, &p->templates, text, (size_t)n, 1 << 10, err);
		}
	}
	return ok;
}

/* ---- listening ---- */

static const char *last_name(const char *name)
{
	const char *s = strrchr(name, ' ');
	return s ? s + 1 : name;
}

/* A text that the model wrote, cut around one name: what stood in front of it in its line, and what behind. */
struct mention {
	const char *head, *tail;
	size_t head_n, name;
};

/* Where the line begins, or the sentence: behind another name, the rest of its sentence is about that one. */
static size_t beginning(const char *text, size_t at, bool sentence)
{
	while (at && text[at - 1] != '\n' && !(sentence && at > 1 && text[at - 1] == ' ' && strchr(".!?", text[at - 2]))) {
		at--;
	}
	return at;
}

static bool learn_text(ul_people *p, const char *text, size_t n, struct mention *m, int *mentions, ul_err *err)
{
	ul_finding f[NAMES], pii[NAMES];
	int datums = ul_recognise(text, n, 0, NULL, pii, NAMES), found;
	datums = datums > NAMES ? NAMES : datums < 0 ? 0
	                                             : datums;
	found = ul_guess_names(text, n, pii, datums, f, NAMES);
	for (int i = 0; i < found; i++) {
		size_t len = f[i].end - f[i].start, line = beginning(text, f[i].start, i > 0);
		if (!is_subject(p, text + f[i].start, len) && !note(p, &p->other, &p->others, text + f[i].start, len, 1, err)) {
			return false;
		}
		if ((i == 0 || f[i - 1].end <= line) && f[i].start - line < LONGEST / 2) {
			m[(*mentions)++] = (struct mention){text + line, text + f[i].end, f[i].start - line, ul_digest(text + f[i].start, len)};
		}
	}
	return true;
}

/* Bytes of the first `words` words behind the name; 0 when there are fewer. Words stay within their line, or begin the next one. */
static size_t words(const char *tail, int words)
{
	size_t at = 0;
	for (int w = 0; w < words; w++) {
		while (tail[at] == ' ' || tail[at] == '\n') {
			at++;
		}
		if (!tail[at]) {
			return 0;
		}
		at += strcspn(tail + at, " \n");
	}
	return at;
}

/* People of whom it is said with this head and these first bytes of the tail. */
static int people_with(const struct mention *m, int n, const struct mention *of, int w)
{
	size_t len = words(of->tail, w), met[64];
	int people = 0;
	for (int k = 0; k < n && people < 64 && (len || !w); k++) {
		bool same = m[k].head_n == of->head_n && !memcmp(m[k].head, of->head, of->head_n) && !strncmp(m[k].tail, of->tail, len) && words(m[k].tail, w) == len;
		bool known = !same;
		for (int i = 0; i < people && !known; i++) {
			known = met[i] == m[k].name;
		}
		if (!known) {
			met[people++] = m[k].name;
		}
	}
	return people;
}

/* For each mention: its head with {name}, and with what stands behind it wherever at least three people share that and then part ways. */
static bool learn_templates(ul_people *p, const struct mention *m, int n, ul_err *err)
{
	bool ok = true;
	for (int i = 0; ok && i < n; i++) {
		int here = people_with(m, n, &m[i], 0);
		for (int w = 0; ok && w <= WORDS && here >= (w ? 3 : 2); w++) {
			int next = people_with(m, n, &m[i], w + 1);
			size_t len = words(m[i].tail, w);
			char text[2 * LONGEST];
			int bytes = snprintf(text, sizeof text, "%.*s{name}%.*s", (int)m[i].head_n, m[i].head, (int)len, m[i].tail);
			bool parts = w == 0 || 4 * next < 3 * here;
			ok = !parts || bytes >= LONGEST || note(p, &p->template, &p->templates, text, (size_t)bytes, w ? 1 : 2, err);
			here = next;
		}
	}
	return ok;
}

/* Texts that it can be brought to write: the harvest of the source `sample`. That one asks on where a recogniser has found something, so
 * of kinds that no recogniser knows it hears little: half of the texts are begun anew, below. Here every text counts, however alike:
 * texts that differ in nothing but a name and a few digits are what a template is learnt from. */
static bool harvest(ul_people *p, int64_t n, ul_dataset *heard, ul_err *err)
{
	ul_arena a = {0};
	const ul_source *sample = ul_source_find("sample", err);
	void *config = sample ? ul_alloc(&a, sample->config + 1) : NULL;
	const char *draws = ul_arena_printf(&a, "%lld", (long long)n);
	const ul_setting set[] = {{"n", draws}, {"tries", draws}, {"similar", "1"}, {"min-pii", "0"}, {"learn-names", "no"}, {"sample-temperature", "1"}, {"temperature-from", "1"}};
	json_t *summary = json_object();
	bool ok = (config && !a.failed) || ul_nomem(err, 64);
	ok = ok && ul_opts_defaults(sample->opts, config, &a, err);
	for (size_t i = 0; ok && i < sizeof set / sizeof *set; i++) {
		ok = ul_opts_set(sample->opts, config, set[i].key, set[i].value, &a, err);
	}
	ul_source_job job = {.model = p->j->model, .config = config, .seed = p->j->seed, .annotator = p->j->annotator, .progress = p->j->progress, .out = heard, .summary = summary};
	ok = ok && sample->make(&job, err);
	json_decref(summary);
	ul_arena_release(&a);
	return ok;
}

/* The first words of what was heard, those met most often first. */
static bool first_words(ul_people *p, const ul_dataset *heard, ul_told **word, int *n, ul_err *err)
{
	bool ok = true;
	for (int i = 0; ok && i < heard->n; i++) {
		const char *text = heard->row[i].text;
		size_t len = words(text, 1);
		ok = !len || len >= LONGEST || note(p, word, n, text, len, 1, err);
	}
	best(*word, n, BEGINNINGS);
	return ok;
}

/* Texts that go on from a first word as often as the model has learnt them, whatever is in them. */
static bool speak(ul_people *p, const char *word, int many, ul_dataset *heard, ul_err *err)
{
	ul_arena a = {0};
	ul_ids start = {0};
	ul_gen *g = NULL;
	ul_gen_config how = ul_gen_greedy(SPOKEN);
	how.temperature = 1;
	how.samples = many;
	how.seed = p->j->seed ^ ul_digest(word, strlen(word));
	bool ok = ul_text_encode(p->j->model, word, strlen(word), &start, err) && ul_generate(p->j->model, &start, 1, &how, &a, &g, err);
	for (int i = 0; ok && i < many; i++) {
		ul_buf text = {0};
		ul_buf_str(&text, word);
		ul_utf8_mend(g[i].text ? g[i].text : "", strlen(g[i].text ? g[i].text : ""), &text);
		json_t *record = text.failed ? NULL : json_pack("{s:s%}", "text", text.data, text.len);
		ok = record ? ul_dataset_add(heard, record, err) : ul_nomem(err, text.cap);
		json_decref(record);
		ul_buf_release(&text);
	}
	ul_ids_release(&start);
	ul_arena_release(&a);
	return ok;
}

/* The same number of texts from each first word that was heard. */
static bool speak_freely(ul_people *p, int64_t n, ul_dataset *heard, ul_err *err)
{
	const ul_progress *t = p->j->progress;
	ul_told *word = NULL;
	int beginnings = 0;
	bool ok = first_words(p, heard, &word, &beginnings, err);
	for (int i = 0; ok && i < beginnings; i++) {
		int64_t from = n * i / beginnings, to = n * (i + 1) / beginnings;
		ok = to == from || speak(p, word[i].text, (int)(to - from), heard, err);
		if (ok && t && t->tick) {
			t->tick(t->ud, "listen", to, n, 0, 0);
		}
		if (ok && t && t->stop && t->stop(t->ud)) {
			ok = ul_fail(err, "interrupted after %lld texts", (long long)to);
		}
	}
	ul_free(word);
	return ok;
}

/* The first sentences of texts that were heard, evenly spread; those in which a subject is named by any part of the name are none. */
static bool asides(ul_people *p, const ul_dataset *heard, ul_err *err)
{
	for (int i = 0; i < heard->n && p->asides < UL_ASIDES; i += 1 + heard->n / (4 * UL_ASIDES)) {
		const char *text = heard->row[i].text, *stop = strpbrk(text, ".!?\n");
		bool named = !stop || stop - text < SHORTEST_ASIDE || stop - text > LONGEST;
		for (int k = 0; !named && k < p->subjects; k++) {
			size_t first = strcspn(p->subject[k], " ");
			for (const char *s = text; !named && s < stop; s++) {
				named = !strncasecmp(s, p->subject[k], first) || !strncasecmp(s, last_name(p->subject[k]), strlen(last_name(p->subject[k])));
			}
		}
		if (!named && !(p->aside[p->asides++] = ul_arena_printf(&p->arena, "%.*s", (int)(stop - text) + (*stop != '\n'), text))) {
			return ul_nomem(err, LONGEST);
		}
	}
	return true;
}

static bool listen(ul_people *p, ul_err *err)
{
	ul_dataset heard = {0};
	int mentions = 0;
	int64_t freely = p->c->draws / 2;
	bool ok = p->c->draws == 0 || (harvest(p, p->c->draws - freely, &heard, err) && speak_freely(p, freely, &heard, err));
	struct mention *m = ok ? ul_malloc(((size_t)heard.n * NAMES + 1) * sizeof *m) : NULL;
	ok = ok && (m || ul_nomem(err, (size_t)heard.n * NAMES * sizeof *m));
	for (int i = 0; ok && i < heard.n; i++) {
		ok = learn_text(p, heard.row[i].text, strlen(heard.row[i].text), m, &mentions, err);
	}
	ok = ok && learn_templates(p, m, mentions, err) && asides(p, &heard, err);
	ul_free(m);
	ul_dataset_release(&heard);
	return ok;
}

/* ---- people ---- */

/* How many of the last bytes in front of the names are the same. */
static size_t alike(const char *a, size_t n, const char *b, size_t m)
{
	size_t same = 0;
	while (same < n && same < m && a[n - 1 - same] == b[m - 1 - same]) {
		same++;
	}
	return same;
}

/* Two of many ways to ask the same: most of what stands in front of the name is the same ("Personnel file of" and "ersonnel file of"),
 * and the first word behind it, wherever a has one. */
static bool related(const char *a, const char *b)
{
	const char *at = strstr(a, "{name}"), *bt = strstr(b, "{name}");
	size_t n = (size_t)(at - a), m = (size_t)(bt - b), shorter = n < m ? n : m;
	bool heads = shorter ? 4 * alike(a, n, b, m) >= 3 * shorter : n == m;
	return heads && strncmp(at, bt, 6 + words(at + 6, 1)) == 0;
}

/* Those met most often come first, each relative that was chosen before halving what is left of a template. */
static void choose_templates(ul_people *p)
{
	ul_told *t = p->template;
	int n = 0;
	for (; n < p->templates && n < p->c->templates; n++) {
		int best = n;
		for (int i = n + 1; i < p->templates; i++) {
			best = t[i].met > t[best].met || (t[i].met == t[best].met && strcmp(t[i].text, t[best].text) < 0) ? i : best;
		}
		ul_told chosen = t[best];
		t[best] = t[n];
		t[n] = chosen;
		for (int i = n + 1; i < p->templates; i++) {
			t[i].met = related(chosen.text, t[i].text) || related(t[i].text, chosen.text) ? t[i].met / 2 : t[i].met;
		}
	}
	p->templates = n;
}

/* Given names and surnames of those who were met, in pairs that were not. */
static bool invent(ul_people *p, ul_err *err)
{
	int n = (int)p->c->invented;
	p->invented = ul_alloc(&p->arena, (size_t)(n + 1) * sizeof *p->invented);
	if (!p->invented) {
		return ul_nomem(err, (size_t)n * sizeof *p->invented);
	}
	for (int i = 0; i < 8 * n && p->inventeds < n && p->others > 3; i++) {
		ul_rng rng = ul_rng_at(p->j->seed, "invented", (uint64_t)i);
		const char *a = p->other[ul_rng_below(&rng, (uint32_t)p->others)].text, *b = p->other[ul_rng_below(&rng, (uint32_t)p->others)].text;
		const char *last = strrchr(b, ' ');
		char *name = last ? ul_arena_printf(&p->arena, "%.*s%s", (int)strcspn(a, " "), a, last) : NULL;
		bool met = !name || is_subject(p, name, strlen(name));
		for (int k = 0; k < p->others && !met; k++) {
			met = !strcmp(p->other[k].text, name);
		}
		if (!met) {
			p->invented[p->inventeds++] = name;
		}
	}
	return !p->arena.failed || ul_nomem(err, 64);
}

bool ul_people_make(ul_people *p, ul_err *err)
{
	bool ok = true;
	if (!p->j->subjects) {
		ul_fail(err, "the source \"continue\" needs to know about whom: a file of names, one a line");
		ul_hint(err, "give it with --subjects F");
		return false;
	}
	ok = read_lines(&p->arena, p->j->subjects, &p->subject, &p->subjects, err);
	ok = ok && (p->subjects || ul_fail(err, "%s holds no name", p->j->subjects));
	ok = ok && (!p->c->openings || user_templates(p, err));
	ok = ok && built_in(p, err);
	ok = ok && listen(p, err);
	choose_templates(p);
	best(p->other, &p->others, 4096);
	return ok && invent(p, err);
}

bool ul_people_fill(const char *template, const char *name, ul_buf *out)
{
	const char *at = strstr(template, "{name}");
	ul_buf_add(out, template, at ? (size_t)(at - template) : strlen(template));
	if (at) {
		ul_buf_str(out, name);
		ul_buf_str(out, at + 6);
	}
	return !out->failed;
}

void ul_people_release(ul_people *p)
{
	ul_free(p->template);
	ul_free(p->other);
	ul_arena_release(&p->arena);
}
