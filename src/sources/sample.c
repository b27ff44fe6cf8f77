/*
 * sample.c: the model tells what it remembers. Texts are drawn from it, personal data in them are annotated, repetitions are dropped
 * (after Carlini et al. 2021, "Extracting Training Data from Large Language Models": sampling with a decaying temperature).
 *
 * Departure: blind sampling from an empty prompt finds few of the records of a model that has learnt much else. So prompts are
 * learnt too. The harvest goes in rounds; each round spends its draws on the openings that have brought most that was new:
 *
 *   start    the token that begins texts, or its absence: every likely first token, those first whose greedy continuation the model
 *            is surest of (what was learnt by heart is recited without doubt)
 *   heads    what stood in front of a name or of the first personal datum in a text drawn before ("Notes about")
 *   pairs    a head with a name met elsewhere ("Notes about" + "Anna Smith")
 *
 * It ends when enough rows are there, or when rounds bring nothing new.
 */
#include "sources/source.h"

#include "base/file.h"
#include "data/annotate.h"
#include "data/novelty.h"
#include "model/decode.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { RANK_NONE,
	RANK_LOGP,
	RANK_ZLIB };
enum { MAX_FINDINGS = 256,
	MAX_HEAD = 200,
	MAX_OPENINGS = 16384,
	MAX_NAMES = 16384 };

struct config {
	int64_t n, tries, max_new, round, openings, top_k, min_pii, patience, temperature_steps;
	double temperature, temperature_from, top_p, max_share, similar;
	const char *prompts, *names, *types;
	int rank;
	bool learn_names, mask_names;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"n", UL_OPT_INT, AT(n), "400", 1, 1000000, NULL, "rows wanted", "N"},
        {"tries", UL_OPT_INT, AT(tries), "4000", 1, 100000000, NULL, "texts drawn at most", "N"},
        {"sample-tokens", UL_OPT_INT, AT(max_new), "128", 1, 65536, NULL, "tokens of a text", "N"},
        {"sample-temperature", UL_OPT_REAL, AT(temperature), "0.9", 0, 100, NULL, "of the draws; 0 recites", "T"},
        {"temperature-from", UL_OPT_REAL, AT(temperature_from), "0", 0, 100, NULL, "begin texts there and fall to the temperature; 0 is off (Carlini et al.: 10)", "T"},
        {"temperature-steps", UL_OPT_INT, AT(temperature_steps), "20", 0, 65536, NULL, "over so many tokens", "N"},
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
        {"rank", UL_OPT_ENUM, AT(rank), "none", 0, 0, "none|logp|zlib", "which rows are kept when there are too many: the first, the likeliest, the likeliest for their length when compressed", NULL},
        {0},
};

/* ---- what the harvest knows ---- */

struct opening { /* a text that draws begin with, and what it brought */
	char *text;
	ul_ids ids;
	int draws, fresh;
	double prior; /* in front of others before the first draw */
	bool head; /* may be followed by a name */
	int paired; /* names it has met */
};

struct name {
	char *text;
	int rows;
};

struct row {
	json_t *record;
	ul_sketch sketch;
	double worth;
};

struct draw {
	int opening; /* -1: a pair, made for this draw */
	int head; /* of a pair */
	ul_ids ids; /* of a pair */
	const ul_ids *prompt;
};

struct harvest {
	ul_source_job *j;
	const struct config *c;
	ul_arena arena;
	ul_gazetteer *names, *subjects;
	unsigned types;
	ul_ids start; /* what stands in front of every text, or nothing */
	struct opening *opening;
	int openings;
	struct name *name;
	int name_n, subject_n;
	struct row *row;
	int rows;
	ul_seen texts, data, used, known; /* digests of rows, of personal data, of pairs, of openings and names */
	int64_t drawn, tokens, none, repeated, alike, covered, elsewhere, rounds;
	int idle;
};

static bool grow(void *array, int n, size_t size, ul_err *err)
{
	void **a = array;
	if (n && (n & (n - 1))) /* only at powers of two */
		return true;
	void *more = ul_realloc(*a, (size_t)(n ? 2 * n : 1) * size);
	if (!more)
		return ul_nomem(err, (size_t)n * size);
	*a = more;
	return true;
}

/* An opening that is not there yet. With ids NULL the text is tokenized. */
static bool add_opening(struct harvest *h, const char *text, size_t n, const ul_ids *ids, double prior, bool head, ul_err *err)
{
	if (h->openings >= MAX_OPENINGS || !ul_seen_add(&h->known, ul_digest(text, n) + (ids ? 7 : 0)))
		return true;
	if (!grow(&h->opening, h->openings, sizeof *h->opening, err))
		return false;
	struct opening o = {.prior = prior, .head = head};
	o.text = ul_alloc(&h->arena, n + 1);
	if (!o.text)
		return ul_nomem(err, n);
	memcpy(o.text, text, n);
	bool ok = true;
	for (int i = 0; ids && i < ids->n; i++)
		ul_ids_add(&o.ids, ids->id[i]);
	if (!ids)
		ok = ul_text_encode(h->j->model, o.text, n, &o.ids, err);
	if (ok && o.ids.n > 0 && o.ids.n < h->j->model->cfg.context)
		h->opening[h->openings++] = o;
	else
		ul_ids_release(&o.ids);
	return ok;
}

static bool add_name(struct harvest *h, const char *text, size_t n, ul_err *err)
{
	for (int i = 0; i < h->name_n; i++)
		if (strlen(h->name[i].text) == n && !memcmp(h->name[i].text, text, n)) {
			h->name[i].rows++;
			return true;
		}
	if (h->name_n >= MAX_NAMES)
		return true;
	if (!grow(&h->name, h->name_n, sizeof *h->name, err))
		return false;
	struct name x = {ul_alloc(&h->arena, n + 1), 1};
	if (!x.text)
		return ul_nomem(err, n);
	memcpy(x.text, text, n);
	h->name[h->name_n++] = x;
	return true;
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
	return add_opening(h, line, n, NULL, 2, true, err);
}

static bool subject_line(struct harvest *h, const char *line, size_t n, ul_err *err)
{
	h->subject_n++;
	return add_name(h, line, n, err) && (ul_gazetteer_add(h->subjects, UL_PII_NAME, line) || ul_nomem(err, n)) && add_opening(h, line, n, NULL, 2, false, err);
}

/* The likeliest tokens behind `start`, as log-probabilities. */
static int first_tokens(ul_model *m, int start, int k, ul_choice *out, ul_err *err)
{
	ul_tape tape;
	int span[] = {0, 1}, pos = 0, last = 0, n = -1;
	ul_tape_init(&tape, m->be);
	tape.record = false;
	ul_pass pass = {.tape = &tape, .ids = &start, .pos = &pos, .span = {1, span}};
	ul_val *z = ul_head_logits(ul_rows(ul_forward(m, &pass), &last, 1), m->head, m->head_b); /* [1, vocab] */
	float *logits = ul_malloc(2 * (size_t)m->cfg.vocab * sizeof *logits);
	if (!logits)
		ul_nomem(err, 2 * (size_t)m->cfg.vocab * sizeof *logits);
	else if (ul_tape_ok(&tape, err)) {
		ul_read_f32(z, logits);
		n = ul_choose_best(logits, m->cfg.vocab, k, out, logits + m->cfg.vocab);
	}
	ul_free(logits);
	ul_tape_release(&tape);
	return n;
}

/* Every likely first token becomes an opening; its prior is how sure the model is of the words that follow it. */
static bool sweep(struct harvest *h, int start, ul_err *err)
{
	ul_model *m = h->j->model;
	int k = (int)(h->c->openings < m->cfg.vocab ? h->c->openings : m->cfg.vocab), n = 0;
	ul_arena a = {0};
	ul_choice *best = ul_alloc(&a, (size_t)k * sizeof *best);
	ul_ids *prompt = ul_alloc(&a, (size_t)k * sizeof *prompt);
	ul_gen *g = NULL;
	ul_gen_config greedy = ul_gen_greedy(4);
	bool ok = (best && prompt) || ul_nomem(err, (size_t)k * sizeof *prompt);
	int found = ok && k ? first_tokens(m, start, k, best, err) : 0;
	for (int i = 0; ok && i < found; i++) {
		if (ul_tok_is_special(m->tok, best[i].id))
			continue;
		for (int t = 0; t < h->start.n; t++)
			ul_ids_add(&prompt[n], h->start.id[t]);
		ul_ids_add(&prompt[n++], best[i].id);
	}
	ok = ok && found >= 0 && (n == 0 || ul_generate(m, prompt, n, &greedy, &a, &g, err));
	for (int i = 0; i < n; i++) {
		ul_buf text = {0};
		ul_tok_decode(m->tok, prompt[i].id + h->start.n, 1, true, &text);
		if (ok && text.len)
			ok = add_opening(h, text.data, text.len, &prompt[i], g[i].n ? exp(g[i].logp / g[i].n) : 0, false, err);
		ul_buf_release(&text);
		ul_ids_release(&prompt[i]);
	}
	h->tokens += 4 * n;
	ul_arena_release(&a);
	return ok;
}

static bool first_openings(struct harvest *h, ul_err *err)
{
	ul_model *m = h->j->model;
	ul_ids empty = {0};
	bool ok = ul_tok_encode(m->tok, "", 0, -1, true, &h->start, err) && ul_text_encode(m, "", 0, &empty, err);
	while (h->start.n && h->start.id[h->start.n - 1] == ul_tok_eos(m->tok) && ul_tok_eos(m->tok) != ul_tok_bos(m->tok))
		h->start.n--; /* what stands behind a text is no opening */
	ok = ok && (!h->j->subjects || lines(h->j->subjects, subject_line, h, err)) && (!h->c->prompts || lines(h->c->prompts, prompt_line, h, err));
	ok = ok && (empty.n == 0 || add_opening(h, "", 0, &empty, 1.5, false, err));
	ok = ok && (empty.n == 0 || h->c->openings == 0 || sweep(h, empty.id[empty.n - 1], err));
	if (ok && h->openings == 0) {
		ok = ul_fail(err, "there is nothing to begin with: the tokenizer has no token that begins texts");
		ul_hint(err, "give openings with --prompts F");
	}
	ul_ids_release(&empty);
	return ok;
}

/* ---- one round of draws ---- */

static double rate(const struct opening *o)
{
	return (o->fresh + 0.5) / (o->draws + 1.0);
}

/* Not drawn from yet: by prior; NULL when all were. */
static struct opening *next_new(struct harvest *h, double least)
{
	struct opening *best = NULL;
	for (int i = 0; i < h->openings; i++) {
		struct opening *o = &h->opening[i];
		if (o->draws == 0 && o->prior >= least && (!best || o->prior > best->prior))
			best = o;
	}
	return best;
}

static struct opening *best_known(struct harvest *h)
{
	struct opening *best = NULL;
	for (int i = 0; i < h->openings; i++)
		if (h->opening[i].draws && (!best || rate(&h->opening[i]) > rate(best)))
			best = &h->opening[i];
	return best;
}

/* The most fruitful head with the next name it has not met; false when all have met. */
static bool next_pair(struct harvest *h, struct draw *d, ul_err *err)
{
	int names = h->subject_n ? h->subject_n : h->name_n;
	for (;;) {
		struct opening *best = NULL;
		for (int i = 0; i < h->openings; i++) {
			struct opening *o = &h->opening[i];
			if (o->head && o->fresh && o->paired < names && (!best || rate(o) > rate(best)))
				best = o;
		}
		if (!best)
			return false;
		char text[MAX_HEAD + 128];
		int n = snprintf(text, sizeof text, "%s %s", best->text, h->name[best->paired++].text);
		if (n >= (int)sizeof text || !ul_seen_add(&h->used, ul_digest(text, (size_t)n)))
			continue;
		*d = (struct draw){.opening = -1, .head = (int)(best - h->opening)};
		return ul_text_encode(h->j->model, text, (size_t)n, &d->ids, err);
	}
}

/* Half a round tries pairs, a quarter new openings; what is left goes to the openings that have brought most. */
static int plan(struct harvest *h, struct draw *draw, int max, ul_err *err)
{
	int n = 0;
	struct opening *o;
	while (n < max && (o = next_new(h, 1.5))) { /* asked for by the user, and the start */
		draw[n++] = (struct draw){.opening = (int)(o - h->opening)};
		o->draws++;
	}
	for (int pairs = 0; pairs < max / 2 && n < max && next_pair(h, &draw[n], err); pairs++)
		n++;
	for (int new = 0; n < max &&new < max / 4 && (o = next_new(h, 0)); new ++) {
		draw[n++] = (struct draw){.opening = (int)(o - h->opening)};
		o->draws++;
	}
	while (n < max && (o = best_known(h))) {
		draw[n++] = (struct draw){.opening = (int)(o - h->opening)};
		o->draws++;
	}
	for (int i = 0; i < n; i++)
		draw[i].prompt = draw[i].opening < 0 ? &draw[i].ids : &h->opening[draw[i].opening].ids;
	return err->msg[0] ? -1 : n;
}

/* ---- from a draw to a row ---- */

struct text { /* one drawn text with what was recognised in it */
	ul_buf s;
	ul_finding f[MAX_FINDINGS];
	int n, fresh;
};

/* The whole text, mended; one that was cut by the limit loses its last, perhaps unfinished word. */
static void write_text(struct harvest *h, const struct draw *d, const ul_gen *g, ul_buf *out)
{
	int skip = h->start.n < d->prompt->n ? h->start.n : d->prompt->n, n = d->prompt->n - skip + g->n;
	bool bare = d->opening >= 0 && !*h->opening[d->opening].text; /* drawn from the start: the prompt is no text */
	int *ids = ul_malloc((size_t)(n + 1) * sizeof *ids);
	ul_buf raw = {0};
	if (bare)
		skip = d->prompt->n;
	if (ids) {
		memcpy(ids, d->prompt->id + skip, (size_t)(d->prompt->n - skip) * sizeof *ids);
		memcpy(ids + d->prompt->n - skip, g->ids, (size_t)g->n * sizeof *ids);
		ul_tok_decode(h->j->model->tok, ids, d->prompt->n - skip + g->n, false, &raw);
	}
	size_t end = raw.len;
	while (g->finish == UL_FINISH_LENGTH && end > raw.len / 2 && !isspace((unsigned char)raw.data[end - 1]))
		end--;
	while (end && isspace((unsigned char)raw.data[end - 1]))
		end--;
	for (size_t i = 0; i < end; i++) /* a NUL would end the text for whoever reads the row */
		raw.data[i] = raw.data[i] ? raw.data[i] : ' ';
	ul_utf8_mend(raw.data ? raw.data : "", end, out);
	ul_buf_release(&raw);
	ul_free(ids);
}

static uint64_t datum(const struct text *t, const ul_finding *f)
{
	return ul_digest(t->s.data + f->start, f->end - f->start) + (uint64_t)f->type;
}

/* What stood in front of a name, from the beginning of its line, is a head for other names; the name is one for other heads. */
static bool learn(struct harvest *h, const struct text *t, ul_err *err)
{
	ul_finding name[32];
	size_t first = t->n ? t->f[0].start : t->s.len;
	int n = ul_guess_names(t->s.data, t->s.len, t->f, t->n, name, 32);
	bool ok = true;
	for (int i = 0; ok && i < n; i++) {
		size_t line = name[i].start;
		while (line && t->s.data[line - 1] != '\n')
			line--;
		size_t end = name[i].start;
		while (end > line && t->s.data[end - 1] == ' ')
			end--;
		if (h->c->learn_names && !h->subject_n)
			ok = add_name(h, t->s.data + name[i].start, name[i].end - name[i].start, err);
		if (ok && end > line && end - line < MAX_HEAD && (i == 0 || name[i - 1].end < line))
			ok = add_opening(h, t->s.data + line, end - line, NULL, 1.2, true, err);
		first = name[i].start < first ? name[i].start : first;
	}
	while (first && t->s.data[first - 1] == ' ')
		first--;
	return ok && (n || !first || first >= MAX_HEAD || add_opening(h, t->s.data, first, NULL, 1.1, false, err));
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

static json_t *record_of(struct harvest *h, const struct draw *d, const ul_gen *g, const struct text *t, const char *subject)
{
	const struct config *c = h->c;
	char *prompt = NULL;
	if (d->opening < 0) {
		ul_buf b = {0}, mended = {0};
		ul_tok_decode(h->j->model->tok, d->ids.id + h->start.n, d->ids.n - h->start.n, false, &b);
		ul_utf8_mend(b.data ? b.data : "", b.len, &mended);
		prompt = ul_arena_strdup(&h->arena, mended.data ? mended.data : "");
		ul_buf_release(&b);
		ul_buf_release(&mended);
	} else {
		ul_buf mended = {0};
		ul_utf8_mend(h->opening[d->opening].text, strlen(h->opening[d->opening].text), &mended);
		prompt = ul_arena_strdup(&h->arena, mended.data ? mended.data : "");
		ul_buf_release(&mended);
	}
	json_t *source = json_pack("{s:s, s:s, s:I, s:I, s:i, s:f, s:f, s:o}", "name", "sample", "prompt", prompt ? prompt : "", "seed", (json_int_t)h->j->seed, "round", (json_int_t)h->rounds, "draw", g->prompt, "temperature", c->temperature, "logp", g->logp, "types", ul_types_json(t->f, t->n));
	json_t *v = json_pack("{s:s%, s:o, s:o}", "text", t->s.data, t->s.len, "spans", ul_spans_json(t->s.data, t->f, t->n), "source", source);
	if (subject)
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
		if (strlen(h->name[i].text) == f[0].end - f[0].start && !strncasecmp(h->name[i].text, t->s.data + f[0].start, f[0].end - f[0].start))
			return h->name[i].text;
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
	struct row r;
	int64_t *why = NULL;
	ul_sketch_of(&r.sketch, t->s.data, t->s.len);
	if (t->n < h->c->min_pii)
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
	if (!grow(&h->row, h->rows, sizeof *h->row, err))
		return false;
	r.record = record_of(h, d, g, t, subject);
	r.worth = worth(h, g, &t->s);
	h->row[h->rows++] = r;
	return r.record || ul_nomem(err, t->s.len);
}

static bool take(struct harvest *h, const struct draw *d, const ul_gen *g, int *fresh, ul_err *err)
{
	struct text t = {0};
	write_text(h, d, g, &t.s);
	h->drawn++;
	h->tokens += g->n;
	if (!t.s.len)
		return true;
	t.n = ul_recognise(t.s.data, t.s.len, h->types, h->names, t.f, MAX_FINDINGS);
	for (int i = 0; i < t.n; i++)
		t.fresh += t.f[i].type != UL_PII_NAME && ul_seen_add(&h->data, datum(&t, &t.f[i]));
	int at = d->opening < 0 ? d->head : d->opening;
	h->opening[at].fresh += t.fresh;
	h->opening[at].draws += d->opening < 0;
	*fresh += t.fresh;
	bool ok = keep(h, d, g, &t, err) && (t.n == 0 || learn(h, &t, err));
	ul_buf_release(&t.s);
	return ok;
}

static bool one_round(struct harvest *h, struct draw *draw, ul_err *err)
{
	const struct config *c = h->c;
	int64_t left = c->tries - h->drawn;
	int n = plan(h, draw, (int)(left < c->round ? left : c->round), err), fresh = 0;
	ul_arena a = {0};
	ul_gen *g = NULL;
	ul_ids *prompt = n > 0 ? ul_alloc(&a, (size_t)n * sizeof *prompt) : NULL;
	ul_gen_config how = {.max_new = (int)c->max_new, .temperature = c->temperature, .temperature_from = c->temperature_from, .temperature_steps = (int)c->temperature_steps, .top_k = (int)c->top_k, .top_p = c->top_p, .beams = 1, .samples = 1, .seed = ul_digest(&h->rounds, sizeof h->rounds) ^ h->j->seed};
	bool ok = n >= 0 && (n == 0 || prompt || ul_nomem(err, (size_t)n * sizeof *prompt));
	for (int i = 0; ok && i < n; i++)
		prompt[i] = *draw[i].prompt;
	ok = ok && (n == 0 || ul_generate(h->j->model, prompt, n, &how, &a, &g, err));
	for (int i = 0; ok && i < n; i++)
		ok = take(h, &draw[i], &g[i], &fresh, err);
	for (int i = 0; i < n; i++)
		ul_ids_release(&draw[i].ids);
	ul_arena_release(&a);
	h->idle = fresh ? 0 : h->idle + 1;
	h->rounds++;
	return ok;
}

/* ---- the harvest ---- */

static int by_worth(const void *x, const void *y)
{
	const struct row *a = x, *b = y;
	return (a->worth < b->worth) - (a->worth > b->worth);
}

/* Names met beside personal data more than once become personal data themselves, in every row. */
static bool mask_names(struct harvest *h, ul_err *err)
{
	ul_finding f[MAX_FINDINGS];
	bool ok = true;
	for (int i = 0; ok && i < h->name_n; i++)
		if (h->name[i].rows > 1)
			ok = ul_gazetteer_add(h->names, UL_PII_NAME, h->name[i].text) || ul_nomem(err, 64);
	for (int i = 0; ok && i < h->rows; i++) {
		const char *text = ul_json_str(h->row[i].record, "text");
		int n = ul_recognise(text, strlen(text), h->types ? h->types | 1u << UL_PII_NAME : 0, h->names, f, MAX_FINDINGS);
		json_object_set_new(h->row[i].record, "spans", ul_spans_json(text, f, n));
		json_object_set_new(json_object_get(h->row[i].record, "source"), "types", ul_types_json(f, n));
	}
	return ok;
}

static bool hand_over(struct harvest *h, ul_err *err)
{
	bool ok = !h->c->mask_names || mask_names(h, err);
	if (h->c->rank != RANK_NONE && h->rows > 1)
		qsort(h->row, (size_t)h->rows, sizeof *h->row, by_worth);
	for (int i = 0; ok && i < h->rows && i < h->c->n; i++)
		ok = ul_dataset_add(h->j->out, h->row[i].record, err);
	return ok;
}

static void summarise(struct harvest *h)
{
	json_t *s = h->j->summary, *types = json_object();
	for (int i = 0; i < h->j->out->n; i++) {
		const char *type;
		json_t *count;
		json_object_foreach(json_object_get(json_object_get(h->j->out->row[i].json, "source"), "types"), type, count)
		        json_object_set_new(types, type, json_integer(json_integer_value(json_object_get(types, type)) + json_integer_value(count)));
	}
	json_object_update_new(s, json_pack("{s:I, s:I, s:I, s:I, s:i, s:i, s:o}", "drawn", (json_int_t)h->drawn, "tokens", (json_int_t)h->tokens, "rounds", (json_int_t)h->rounds, "distinct", (json_int_t)h->data.n, "names", h->name_n, "openings", h->openings, "types", types));
	json_object_set_new(s, "dropped", json_pack("{s:I, s:I, s:I, s:I, s:I}", "without_personal_data", (json_int_t)h->none, "repeated", (json_int_t)h->repeated, "alike", (json_int_t)h->alike, "covered", (json_int_t)h->covered, "other_subjects", (json_int_t)h->elsewhere));
}

static bool run(struct harvest *h, ul_err *err)
{
	const struct config *c = h->c;
	const ul_progress *p = h->j->progress;
	int64_t wanted = c->rank == RANK_NONE ? c->n : INT64_MAX;
	struct draw *draw = ul_calloc((size_t)c->round, sizeof *draw);
	bool ok = (draw || ul_nomem(err, (size_t)c->round * sizeof *draw)) && first_openings(h, err);
	while (ok && h->drawn < c->tries && h->rows < wanted && (h->idle < c->patience || next_new(h, 1))) {
		ok = one_round(h, draw, err);
		if (ok && p && p->tick)
			p->tick(p->ud, "sample", h->rows, c->n, 0, 0);
		if (ok && p && p->stop && p->stop(p->ud))
			ok = ul_fail(err, "interrupted after %lld texts", (long long)h->drawn);
	}
	ul_free(draw);
	return ok;
}

static void release(struct harvest *h)
{
	for (int i = 0; i < h->openings; i++)
		ul_ids_release(&h->opening[i].ids);
	for (int i = 0; i < h->rows; i++)
		json_decref(h->row[i].record);
	ul_ids_release(&h->start);
	ul_gazetteer_free(h->names);
	ul_gazetteer_free(h->subjects);
	ul_seen_release(&h->texts);
	ul_seen_release(&h->data);
	ul_seen_release(&h->used);
	ul_seen_release(&h->known);
	ul_free(h->opening);
	ul_free(h->name);
	ul_free(h->row);
	ul_arena_release(&h->arena);
}

static bool make(ul_source_job *j, ul_err *err)
{
	struct harvest h = {.j = j, .c = j->config};
	if (!j->model->tok)
		return ul_fail(err, "the source \"sample\" needs a tokenizer, which %s has not", j->model->path ? j->model->path : "the model");
	h.names = ul_gazetteer_new();
	h.subjects = ul_gazetteer_new();
	bool ok = (h.names && h.subjects) || ul_nomem(err, 64);
	ok = ok && ul_types_parse(h.c->types, &h.types, err) && (!h.c->names || ul_gazetteer_file(h.names, h.c->names, err));
	ok = ok && run(&h, err) && hand_over(&h, err);
	if (ok && j->summary)
		summarise(&h);
	release(&h);
	return ok;
}

const ul_source ul_source_sample = {
        .name = "sample",
        .title = "texts drawn from the model itself",
        .paper = "Carlini et al. 2021, Extracting Training Data from Large Language Models",
        .notes = "Needs no data: the model is asked for what it remembers, and typed recognisers mark the personal data in its answers. Openings are learnt from "
                 "what was drawn before. What a model was never brought to say is not forgotten.",
        .config = sizeof(struct config),
        .opts = opts,
        .make = make,
};
