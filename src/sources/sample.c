/*
 * sample.c: the model tells what it remembers. Texts are drawn from it, personal data in them are annotated, repetitions are dropped
 * (after Carlini et al. 2021, "Extracting Training Data from Large Language Models": sampling with a decaying temperature).
 *
 * Departures. Blind sampling from an empty prompt finds few of the records of a model that has learnt much else, so prompts are learnt
 * too: the harvest goes in rounds, and each spends its draws on the openings that have brought most that was new:
 *
 *   starts   tokens that begin or end texts, and every likely first token, those first whose continuation the model is surest of:
 *            what was learnt by heart is recited without doubt
 *   heads    what stood in front of a name in a text drawn before ("Notes about")
 *   pairs    a head with a name met elsewhere ("Notes about" + "Anna Smith"), recited greedily
 *
 * For the same reason a text ends where the model begins to doubt, and only data it is sure of count as found.
 */
#include "sources/source.h"

#include "base/file.h"
#include "data/annotate.h"
#include "data/openings.h"
#include "model/decode.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { RANK_NEW,
	RANK_LOGP,
	RANK_ZLIB };
enum { MAX_FINDINGS = 256,
	MAX_HEAD = 200 };
#define ASKED_FOR 2.0 /* priors: openings of the user */
#define START 1.5 /* tokens that begin or end texts */
#define HEAD 1.2 /* what stood in front of a name; sweeps are below 1 */

struct config {
	int64_t n, tries, max_new, round, openings, top_k, min_pii, patience, temperature_steps;
	double temperature, temperature_from, top_p, doubt, sure, max_share, similar;
	const char *prompts, *names, *types;
	int rank;
	bool learn_names, mask_names;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"n", UL_OPT_INT, AT(n), "400", 1, 1000000, NULL, "rows kept at most", "N"},
        {"tries", UL_OPT_INT, AT(tries), "2000", 1, 100000000, NULL, "texts drawn at most", "N"},
        {"sample-tokens", UL_OPT_INT, AT(max_new), "128", 1, 65536, NULL, "tokens of a text", "N"},
        {"sample-temperature", UL_OPT_REAL, AT(temperature), "0.3", 0, 100, NULL, "of the draws, once begun; 0 recites", "T"},
        {"temperature-from", UL_OPT_REAL, AT(temperature_from), "1", 0, 100, NULL, "begin texts there and fall to the temperature; 0 is off (Carlini et al.: from 10 to 1)", "T"},
        {"temperature-steps", UL_OPT_INT, AT(temperature_steps), "12", 0, 65536, NULL, "over so many tokens", "N"},
        {"doubt", UL_OPT_REAL, AT(doubt), "1.5", 0, 100, NULL, "end a text where the model's surprise at its own words exceeds so many nats a token; 0 is off", "X"},
        {"sure", UL_OPT_REAL, AT(sure), "0.9", 0, 1, NULL, "geometric mean probability from which a datum counts as remembered", "P"},
        {"sample-top-k", UL_OPT_INT, AT(top_k), "0", 0, 1 << 24, NULL, "only the k most probable tokens; 0 means all", "K"},
        {"sample-top-p", UL_OPT_REAL, AT(top_p), "1", 0, 1, NULL, "only the most probable tokens that make up this probability", "P"},
        {"prompts", UL_OPT_TEXT, AT(prompts), NULL, 0, 0, NULL, "openings of texts, one a line, tried before any other", "F"},
        {"openings", UL_OPT_INT, AT(openings), "1024", 0, 1 << 20, NULL, "first tokens that are tried as openings", "N"},
        {"round", UL_OPT_INT, AT(round), "64", 1, 4096, NULL, "texts drawn together before the openings are weighed again", "N"},
        {"patience", UL_OPT_INT, AT(patience), "6", 1, 1000, NULL, "rounds without a new datum that end the harvest", "N"},
        {"types", UL_OPT_TEXT, AT(types), NULL, 0, 0, NULL, "kinds of personal data, separated by commas; all by default", "LIST"},
        {"names", UL_OPT_TEXT, AT(names), NULL, 0, 0, NULL, "names to be recognised, one a line", "F"},
        {"learn-names", UL_OPT_BOOL, AT(learn_names), "yes", 0, 0, NULL, "prompt with names met beside personal data", NULL},
        {"mask-names", UL_OPT_BOOL, AT(mask_names), "no", 0, 0, NULL, "treat such names as personal data too", NULL},
        {"min-pii", UL_OPT_INT, AT(min_pii), "1", 0, MAX_FINDINGS, NULL, "personal data that a row must hold; 0 keeps every row", "N"},
        {"max-share", UL_OPT_REAL, AT(max_share), "0.8", 0, 1, NULL, "rows covered by personal data beyond this share are dropped", "X"},
        {"similar", UL_OPT_REAL, AT(similar), "0.8", 0, 1, NULL, "rows more alike than this are dropped unless they hold something new", "X"},
        {"rank", UL_OPT_ENUM, AT(rank), "new", 0, 0, "new|logp|zlib", "which rows stay when there are too many: those that brought something new, then the likeliest; or the likeliest, or the likeliest for their compressed size", NULL},
        {0},
};

/* ---- what the harvest knows ---- */

struct row {
	json_t *record;
	ul_sketch sketch;
	int fresh;
	double worth;
};

struct harvest {
	ul_source_job *j;
	const struct config *c;
	ul_gazetteer *names, *subjects;
	int subject_n; /* the first names of the pool are the subjects */
	unsigned types;
	ul_ids front; /* what the tokenizer puts in front of every text, or nothing */
	ul_openings pool;
	struct row *row;
	int rows, cap;
	ul_seen texts, data; /* digests of rows, and of personal data the model was sure of */
	int64_t drawn, tokens, rounds;
	int64_t none, repeated, alike, covered, elsewhere; /* texts that were dropped, and why */
	int idle;
};

struct draw {
	int opening; /* of a pair: its head */
	bool pair;
	ul_ids ids; /* of a pair */
};

static const ul_ids *prompt_of(const struct harvest *h, const struct draw *d)
{
	return d->pair ? &d->ids : &h->pool.at[d->opening].ids;
}

/* ---- first openings ---- */

static bool lines(const char *path, bool (*each)(struct harvest *h, const char *line, size_t n, ul_err *err), struct harvest *h, ul_err *err)
{
	ul_buf text = {0};
	char *save = NULL;
	bool ok = ul_file_read(&text, path, 64 << 20, err);
	for (char *line = ok && text.data ? strtok_r(text.data, "\r\n", &save) : NULL; ok && line; line = strtok_r(NULL, "\r\n", &save))
		ok = each(h, line, strlen(line), err);
	ul_buf_release(&text);
	return ok;
}

static bool prompt_line(struct harvest *h, const char *line, size_t n, ul_err *err)
{
	return ul_opening_add(&h->pool, line, n, NULL, ASKED_FOR, true, err);
}

static bool subject_line(struct harvest *h, const char *line, size_t n, ul_err *err)
{
	bool ok = ul_gazetteer_add(h->subjects, UL_PII_NAME, line) || ul_fail(err, "\"%.60s\" cannot be a subject", line);
	ok = ok && ul_opening_name(&h->pool, line, n, err) && ul_opening_add(&h->pool, line, n, NULL, ASKED_FOR, false, err);
	h->subject_n = h->pool.names;
	return ok;
}

/* The likeliest tokens behind `start`; -1 on an error. */
static int first_tokens(ul_model *m, int start, int k, ul_choice *out, ul_err *err)
{
	ul_tape tape;
	int span[] = {0, 1}, pos = 0, last = 0, n = -1;
	ul_tape_init(&tape, m->be);
	tape.record = false;
	ul_pass pass = {.tape = &tape, .ids = &start, .pos = &pos, .span = {1, span}};
	ul_val *z = ul_head_logits(ul_rows(ul_forward(m, &pass), &last, 1), m->head, m->head_b); /* [1, vocab] */
	size_t vocab = (size_t)m->cfg.vocab;
	float *logits = ul_malloc(2 * vocab * sizeof *logits); /* and as much to sort in */
	if (!logits)
		ul_nomem(err, 2 * vocab * sizeof *logits);
	else if (ul_tape_ok(&tape, err)) {
		ul_read_f32(z, logits);
		n = ul_choose_best(logits, m->cfg.vocab, k, out, logits + vocab);
	}
	ul_free(logits);
	ul_tape_release(&tape);
	return n;
}

/* Does a token begin as a text does? In a small vocabulary any may. */
static bool may_begin(const ul_model *m, int id)
{
	ul_buf text = {0};
	if (ul_tok_is_special(m->tok, id))
		return false;
	ul_tok_decode(m->tok, &id, 1, true, &text);
	bool yes = text.len && (m->cfg.vocab <= 4096 || isupper((unsigned char)text.data[0]));
	ul_buf_release(&text);
	return yes;
}

struct first { /* a token that may begin a text, and how sure the model is of what follows */
	int id;
	double sure;
};

static int by_sure(const void *x, const void *y)
{
	const struct first *a = x, *b = y;
	return a->sure != b->sure ? (a->sure > b->sure ? -1 : 1) : a->id - b->id;
}

/* Sorts tokens by the probability, a token, of the `next` tokens that follow each greedily. */
static bool weigh(struct harvest *h, struct first *f, int n, int next, ul_err *err)
{
	ul_arena a = {0};
	ul_gen *g = NULL;
	ul_gen_config greedy = ul_gen_greedy(next);
	ul_ids *prompt = ul_alloc(&a, (size_t)(n + 1) * sizeof *prompt);
	bool ok = prompt || ul_nomem(err, (size_t)n * sizeof *prompt);
	for (int i = 0; ok && i < n; i++) {
		for (int t = 0; t < h->front.n; t++)
			ul_ids_add(&prompt[i], h->front.id[t]);
		ul_ids_add(&prompt[i], f[i].id);
	}
	ok = ok && ul_generate(h->j->model, prompt, n, &greedy, &a, &g, err);
	for (int i = 0; i < n; i++) {
		if (ok)
			f[i].sure = g[i].n ? exp(g[i].logp / g[i].n) : 0;
		if (prompt)
			ul_ids_release(&prompt[i]);
	}
	qsort(f, (size_t)n, sizeof *f, by_sure);
	h->tokens += (int64_t)n * next;
	ul_arena_release(&a);
	return ok;
}

/* First tokens become openings; the prior of each is how sure the model is of the words that follow it. The likeliest behind the
 * starts and, because no training text may ever have stood behind a start, all that look like the beginning of a text. */
static bool sweep(struct harvest *h, const int *start, int starts, ul_err *err)
{
	ul_model *m = h->j->model;
	int most = (int)(h->c->openings < m->cfg.vocab ? h->c->openings : m->cfg.vocab), n = 0;
	ul_arena a = {0};
	ul_choice *best = ul_alloc(&a, (size_t)(most + 1) * sizeof *best);
	bool *in = ul_alloc(&a, (size_t)m->cfg.vocab), ok = true;
	struct first *f = ul_alloc(&a, (size_t)m->cfg.vocab * sizeof *f);
	if (a.failed)
		ok = ul_nomem(err, (size_t)m->cfg.vocab * sizeof *f);
	for (int s = 0; ok && s < starts; s++) {
		int found = first_tokens(m, start[s], most / starts, best, err);
		ok = found >= 0;
		for (int i = 0; i < found; i++)
			in[best[i].id] |= !ul_tok_is_special(m->tok, best[i].id);
	}
	for (int id = 0; ok && id < m->cfg.vocab && id < ul_tok_size(m->tok); id++)
		if (in[id] || may_begin(m, id))
			f[n++].id = id;
	ok = ok && weigh(h, f, n, 1, err);
	n = n < most ? n : most;
	ok = ok && weigh(h, f, n, 4, err);
	for (int i = 0; ok && i < n; i++) {
		ul_ids prompt = {0};
		ul_buf text = {0};
		for (int t = 0; t < h->front.n; t++)
			ul_ids_add(&prompt, h->front.id[t]);
		ul_ids_add(&prompt, f[i].id);
		ul_tok_decode(m->tok, &f[i].id, 1, true, &text);
		ok = ul_opening_add(&h->pool, text.data, text.len, &prompt, f[i].sure, false, err);
		ul_buf_release(&text);
		ul_ids_release(&prompt);
	}
	ul_arena_release(&a);
	return ok;
}

/* Tokens that a text may follow: what begins texts, what ends them, and what separates documents in models that chat. */
static int starts(const ul_model *m, int out[3])
{
	const int all[3] = {ul_tok_bos(m->tok), ul_tok_eos(m->tok), ul_tok_id(m->tok, "<|endoftext|>")};
	int n = 0;
	for (int i = 0; i < 3; i++) {
		bool there = all[i] < 0;
		for (int k = 0; k < n; k++)
			there |= out[k] == all[i];
		if (!there)
			out[n++] = all[i];
	}
	return n;
}

static bool first_openings(struct harvest *h, ul_err *err)
{
	ul_model *m = h->j->model;
	int start[3], n = starts(m, start);
	bool ok = ul_tok_encode(m->tok, "", 0, -1, true, &h->front, err);
	while (h->front.n && h->front.id[h->front.n - 1] == ul_tok_eos(m->tok) && ul_tok_eos(m->tok) != ul_tok_bos(m->tok))
		h->front.n--; /* what stands behind a text is no opening */
	ok = ok && (!h->j->subjects || lines(h->j->subjects, subject_line, h, err)) && (!h->c->prompts || lines(h->c->prompts, prompt_line, h, err));
	for (int i = 0; ok && i < n; i++)
		ok = ul_opening_add(&h->pool, "", 0, &(ul_ids){.id = &start[i], .n = 1}, START, false, err);
	ok = ok && (h->c->openings == 0 || sweep(h, start, n, err));
	if (ok && h->pool.n == 0) {
		ok = ul_fail(err, "there is nothing to begin with: the tokenizer has no token that begins texts");
		ul_hint(err, "give openings with --prompts F");
	}
	return ok;
}

/* ---- one round of draws ---- */

static void from(struct harvest *h, struct draw *draw, int *n, int opening)
{
	draw[(*n)++] = (struct draw){.opening = opening};
	h->pool.at[opening].draws++;
}

/* What was asked for comes first; half a round may try pairs, a quarter new openings; the rest goes to the openings that brought most. */
static int plan(struct harvest *h, struct draw *draw, int max, ul_err *err)
{
	int n = 0, o, names = h->subject_n ? h->subject_n : h->c->learn_names ? h->pool.names
	                                                                      : 0;
	while (n < max && (o = ul_opening_new(&h->pool, START)) >= 0)
		from(h, draw, &n, o);
	for (int pairs = 0; pairs < max / 2 && n < max; pairs++, n++) {
		draw[n] = (struct draw){.pair = true};
		if ((draw[n].opening = ul_opening_pair(&h->pool, names, &draw[n].ids, err)) < 0)
			break;
		h->pool.at[draw[n].opening].draws++;
	}
	for (int new = 0; n < max &&new < max / 4 && (o = ul_opening_new(&h->pool, 0)) >= 0; new ++)
		from(h, draw, &n, o);
	while (n < max && (o = ul_opening_best(&h->pool)) >= 0)
		from(h, draw, &n, o);
	return n;
}

/* ---- from a draw to a row ---- */

struct text { /* one drawn text with what was recognised in it */
	ul_buf s;
	size_t given; /* bytes that were the prompt */
	ul_finding f[MAX_FINDINGS];
	int n, sure, fresh;
};

/* The whole text, mended; one that did not end by itself loses its last, perhaps unfinished word. */
static bool write_text(struct harvest *h, const struct draw *d, const ul_gen *g, struct text *t, ul_err *err)
{
	const ul_ids *p = prompt_of(h, d);
	ul_buf raw = {0};
	bool bare = !d->pair && !*h->pool.at[d->opening].text; /* drawn from a start: the prompt is no text */
	int skip = bare ? p->n : h->front.n < p->n ? h->front.n
	                                           : p->n;
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
static double certainty(const struct harvest *h, const struct draw *d, const ul_gen *g, const struct text *t, const ul_finding *f)
{
	const ul_ids *p = prompt_of(h, d);
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
static void recognise(struct harvest *h, const struct draw *d, const ul_gen *g, struct text *t)
{
	t->n = ul_recognise(t->s.data, t->s.len, h->types, h->names, t->f, MAX_FINDINGS);
	for (int i = 0; i < t->n; i++) {
		const ul_finding *f = &t->f[i];
		if (f->type == UL_PII_NAME || certainty(h, d, g, t, f) < log(h->c->sure))
			continue;
		t->sure++;
		t->fresh += ul_seen_add(&h->data, ul_digest(t->s.data + f->start, f->end - f->start) + (uint64_t)f->type);
	}
}

/* What stood in front of a name, from the beginning of its line, is a head for other names; the name is one for other heads. */
static bool learn(struct harvest *h, const struct text *t, ul_err *err)
{
	ul_finding name[32];
	int n = ul_guess_names(t->s.data, t->s.len, t->f, t->n, name, 32);
	bool ok = true;
	for (int i = 0; ok && i < n; i++) {
		size_t line = name[i].start, end = name[i].start;
		while (line && t->s.data[line - 1] != '\n')
			line--;
		while (end > line && t->s.data[end - 1] == ' ')
			end--;
		if (!h->subject_n)
			ok = ul_opening_name(&h->pool, t->s.data + name[i].start, name[i].end - name[i].start, err);
		if (ok && end > line && end - line < MAX_HEAD && (i == 0 || name[i - 1].end <= line))
			ok = ul_opening_add(&h->pool, t->s.data + line, end - line, NULL, HEAD, true, err);
	}
	return ok;
}

static double worth(const struct harvest *h, const ul_gen *g, const ul_buf *s)
{
	double mean = g->n ? g->logp / g->n : -INFINITY;
	if (h->c->rank != RANK_ZLIB)
		return mean;
	uLongf n = compressBound((uLong)s->len);
	unsigned char *packed = ul_malloc(n);
	if (!packed || compress2(packed, &n, (const Bytef *)s->data, (uLong)s->len, 6) != Z_OK)
		n = (uLongf)s->len;
	ul_free(packed);
	return g->logp / (8.0 * (double)n);
}

static json_t *record_of(struct harvest *h, const ul_gen *g, const struct draw *d, const struct text *t, const char *subject)
{
	size_t given = ul_utf8_whole(t->s.data, t->given < t->s.len ? t->given : t->s.len);
	json_t *source = json_pack("{s:s, s:s%, s:I, s:I, s:i, s:f, s:f, s:i, s:o}", "name", "sample", "prompt", t->s.data, given, "seed", (json_int_t)h->j->seed, "round",
	        (json_int_t)h->rounds, "draw", g->prompt, "temperature", d->pair ? 0 : h->c->temperature, "logp", g->logp, "sure", t->sure, "types", ul_types_json(t->f, t->n));
	json_t *v = json_pack("{s:s%, s:o, s:o}", "text", t->s.data, t->s.len, "spans", ul_spans_json(t->s.data, t->f, t->n), "source", source);
	if (v && subject)
		json_object_set_new(v, "subject", json_string(subject));
	return v;
}

/* The subject that a text names, or NULL. */
static const char *subject_in(const struct harvest *h, const struct text *t)
{
	ul_finding f[1];
	if (!ul_recognise(t->s.data, t->s.len, 1u << UL_PII_NAME, h->subjects, f, 1))
		return NULL;
	for (int i = 0; i < h->subject_n; i++)
		if (strlen(h->pool.name[i]) == f[0].end - f[0].start && !strncasecmp(h->pool.name[i], t->s.data + f[0].start, f[0].end - f[0].start))
			return h->pool.name[i];
	return NULL;
}

static bool too_alike(const struct harvest *h, const ul_sketch *s)
{
	for (int i = 0; i < h->rows; i++)
		if (ul_sketch_similar(&h->row[i].sketch, s) > h->c->similar)
			return true;
	return false;
}

/* Keeps the text as a row, or counts why not. */
static bool keep(struct harvest *h, const struct draw *d, const ul_gen *g, const struct text *t, ul_err *err)
{
	const char *subject = h->subject_n ? subject_in(h, t) : NULL;
	struct row r = {.fresh = t->fresh, .worth = worth(h, g, &t->s)};
	int64_t *why = NULL;
	ul_sketch_of(&r.sketch, t->s.data, t->s.len);
	if (t->sure < h->c->min_pii)
		why = &h->none;
	else if (h->subject_n && !subject)
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
		struct row *more = ul_realloc(h->row, (size_t)cap * sizeof *more);
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

static bool take(struct harvest *h, const struct draw *d, const ul_gen *g, int *fresh, ul_err *err)
{
	struct text t = {0};
	bool ok = write_text(h, d, g, &t, err);
	h->drawn++;
	h->tokens += g->n;
	if (ok && t.s.len) {
		recognise(h, d, g, &t);
		h->pool.at[d->opening].fresh += t.fresh;
		*fresh += t.fresh;
		ok = keep(h, d, g, &t, err) && (t.sure == 0 || learn(h, &t, err));
	}
	ul_buf_release(&t.s);
	return ok;
}

/* Draws of one kind in one batch: pairs recite, the others begin hot. */
static bool draw_kind(struct harvest *h, const struct draw *draw, int n, bool pairs, int *fresh, ul_err *err)
{
	const struct config *c = h->c;
	ul_arena a = {0};
	ul_gen *g = NULL;
	ul_ids *prompt = ul_alloc(&a, (size_t)(n + 1) * sizeof *prompt);
	const struct draw **of = ul_alloc(&a, (size_t)(n + 1) * sizeof *of);
	ul_gen_config how = {.max_new = (int)c->max_new, .top_k = (int)c->top_k, .top_p = c->top_p, .beams = 1, .samples = 1, .doubt = -c->doubt};
	if (!pairs) {
		how.temperature = c->temperature;
		how.temperature_from = c->temperature_from;
		how.temperature_steps = how.doubt_from = (int)c->temperature_steps;
		how.seed = ul_digest(&h->rounds, sizeof h->rounds) ^ h->j->seed;
	}
	bool ok = (prompt && of) || ul_nomem(err, (size_t)n * sizeof *prompt);
	int kind = 0;
	for (int i = 0; ok && i < n; i++)
		if (draw[i].pair == pairs) {
			prompt[kind] = *prompt_of(h, &draw[i]);
			of[kind++] = &draw[i];
		}
	ok = ok && (kind == 0 || ul_generate(h->j->model, prompt, kind, &how, &a, &g, err));
	for (int i = 0; ok && i < kind; i++)
		ok = take(h, of[i], &g[i], fresh, err);
	ul_arena_release(&a);
	return ok;
}

static bool one_round(struct harvest *h, struct draw *draw, ul_err *err)
{
	int64_t left = h->c->tries - h->drawn;
	int n = plan(h, draw, (int)(left < h->c->round ? left : h->c->round), err), fresh = 0;
	bool ok = !err->msg[0] && draw_kind(h, draw, n, false, &fresh, err) && draw_kind(h, draw, n, true, &fresh, err);
	for (int i = 0; i < n; i++)
		ul_ids_release(&draw[i].ids);
	h->idle = fresh ? 0 : h->idle + 1;
	h->rounds++;
	return ok;
}

/* ---- the harvest ---- */

static bool run(struct harvest *h, ul_err *err)
{
	const struct config *c = h->c;
	const ul_progress *p = h->j->progress;
	struct draw *draw = ul_calloc((size_t)c->round, sizeof *draw);
	bool ok = (draw || ul_nomem(err, (size_t)c->round * sizeof *draw)) && first_openings(h, err);
	while (ok && h->drawn < c->tries && h->idle < c->patience) {
		ok = one_round(h, draw, err);
		if (ok && p && p->tick)
			p->tick(p->ud, "sample", h->drawn, c->tries, 0, 0);
		if (ok && p && p->stop && p->stop(p->ud))
			ok = ul_fail(err, "interrupted after %lld texts", (long long)h->drawn);
	}
	ul_free(draw);
	return ok;
}

/* Names met beside personal data more than once become personal data themselves, in every row. */
static bool mask_names(struct harvest *h, ul_err *err)
{
	ul_finding f[MAX_FINDINGS];
	bool ok = true;
	for (int i = 0; ok && i < h->pool.names; i++)
		if (h->pool.rows[i] > 1 || i < h->subject_n)
			ok = ul_gazetteer_add(h->names, UL_PII_NAME, h->pool.name[i]) || ul_nomem(err, 64);
	for (int i = 0; ok && i < h->rows; i++) {
		const char *text = ul_json_str(h->row[i].record, "text");
		int n = ul_recognise(text, strlen(text), h->types ? h->types | 1u << UL_PII_NAME : 0, h->names, f, MAX_FINDINGS);
		json_object_set_new(h->row[i].record, "spans", ul_spans_json(text, f, n));
		json_object_set_new(json_object_get(h->row[i].record, "source"), "types", ul_types_json(f, n));
	}
	return ok;
}

static int by_worth(const void *x, const void *y)
{
	const struct row *a = x, *b = y;
	return (a->worth < b->worth) - (a->worth > b->worth);
}

static int by_fresh(const void *x, const void *y)
{
	const struct row *a = x, *b = y;
	return !a->fresh != !b->fresh ? (a->fresh ? -1 : 1) : by_worth(x, y);
}

static bool hand_over(struct harvest *h, ul_err *err)
{
	bool ok = !h->c->mask_names || mask_names(h, err);
	if (h->rows > h->c->n)
		qsort(h->row, (size_t)h->rows, sizeof *h->row, h->c->rank == RANK_NEW ? by_fresh : by_worth);
	for (int i = 0; ok && i < h->rows && i < h->c->n; i++)
		ok = ul_dataset_add(h->j->out, h->row[i].record, err);
	return ok;
}

static void summarise(struct harvest *h)
{
	json_t *types = json_object(), *count;
	const char *type;
	for (int i = 0; i < h->j->out->n; i++)
		json_object_foreach(json_object_get(json_object_get(h->j->out->row[i].json, "source"), "types"), type, count)
		        json_object_set_new(types, type, json_integer(json_integer_value(json_object_get(types, type)) + json_integer_value(count)));
	json_t *dropped = json_pack("{s:I, s:I, s:I, s:I, s:I}", "without_personal_data", (json_int_t)h->none, "repeated", (json_int_t)h->repeated, "alike", (json_int_t)h->alike,
	        "covered", (json_int_t)h->covered, "other_subjects", (json_int_t)h->elsewhere);
	json_t *v = json_pack("{s:I, s:I, s:I, s:I, s:i, s:i, s:o, s:o}", "drawn", (json_int_t)h->drawn, "tokens", (json_int_t)h->tokens, "rounds", (json_int_t)h->rounds, "distinct",
	        (json_int_t)h->data.n, "names", h->pool.names, "openings", h->pool.n, "types", types, "dropped", dropped);
	json_object_update(h->j->summary, v);
	json_decref(v);
}

static bool make(ul_source_job *j, ul_err *err)
{
	struct harvest h = {.j = j, .c = j->config, .pool = {.m = j->model}};
	if (!j->model->tok)
		return ul_fail(err, "the source \"sample\" needs a tokenizer, which %s has not", j->model->path ? j->model->path : "the model");
	h.names = ul_gazetteer_new();
	h.subjects = ul_gazetteer_new();
	bool ok = (h.names && h.subjects) || ul_nomem(err, 64);
	ok = ok && ul_types_parse(h.c->types, &h.types, err) && (!h.c->names || ul_gazetteer_file(h.names, h.c->names, err));
	ok = ok && run(&h, err) && hand_over(&h, err);
	if (ok && j->summary)
		summarise(&h);
	for (int i = 0; i < h.rows; i++)
		json_decref(h.row[i].record);
	ul_ids_release(&h.front);
	ul_gazetteer_free(h.names);
	ul_gazetteer_free(h.subjects);
	ul_seen_release(&h.texts);
	ul_seen_release(&h.data);
	ul_openings_release(&h.pool);
	ul_free(h.row);
	return ok;
}

const ul_source ul_source_sample = {
        .name = "sample",
        .title = "texts drawn from the model itself",
        .paper = "Carlini et al. 2021, Extracting Training Data from Large Language Models",
        .notes = "Needs no data: the model is asked for what it remembers, and typed recognisers mark the personal data in its answers. Openings are learnt from "
                 "what was drawn before; a text ends where the model begins to doubt. What a model was never brought to say is not forgotten.",
        .config = sizeof(struct config),
        .opts = opts,
        .make = make,
};
