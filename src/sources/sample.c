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
 *   turns    in a model that chats, a user's turn, empty or with a likely first word: the model asks, and answers
 *   pairs    a head with a name met elsewhere ("Notes about" + "Anna Smith"), recited greedily
 *
 * For the same reason a text ends where the model begins to doubt, and only data it is sure of count as found.
 */
#include "base/file.h"
#include "sources/harvest.h"
#include "text/unicode.h"

#include <string.h>

#define ASKED_FOR 2.0 /* priors: openings of the user */
#define START 1.5 /* tokens that begin or end texts; heads follow, and sweeps are below 1 */

#define AT(field) offsetof(ul_sample_config, field)
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
        {"min-pii", UL_OPT_INT, AT(min_pii), "1", 0, UL_ROW_FINDINGS, NULL, "personal data that a row must hold; 0 keeps every row", "N"},
        {"max-share", UL_OPT_REAL, AT(max_share), "0.8", 0, 1, NULL, "rows covered by personal data beyond this share are dropped", "X"},
        {"similar", UL_OPT_REAL, AT(similar), "0.8", 0, 1, NULL, "rows more alike than this are dropped unless they hold something new", "X"},
        {"rank", UL_OPT_ENUM, AT(rank), "new", 0, 0, "new|logp|zlib", "which rows stay when there are too many: those that brought something new, then the likeliest; or the likeliest, or the likeliest for their compressed size", NULL},
        {0},
};

/* ---- first openings ---- */

static bool lines(const char *path, bool (*each)(ul_harvest *h, const char *line, size_t n, ul_err *err), ul_harvest *h, ul_err *err)
{
	ul_buf text = {0};
	char *save = NULL;
	bool ok = ul_file_read(&text, path, 64 << 20, err);
	for (char *line = ok && text.data ? strtok_r(text.data, "\r\n", &save) : NULL; ok && line; line = strtok_r(NULL, "\r\n", &save))
		ok = each(h, line, strlen(line), err);
	ul_buf_release(&text);
	return ok;
}

static bool prompt_line(ul_harvest *h, const char *line, size_t n, ul_err *err)
{
	return ul_opening_add(&h->pool, line, n, NULL, ASKED_FOR, true, err) && (!h->chats || ul_opening_chat(&h->pool, line, true, ASKED_FOR, false, err));
}

static bool subject_line(ul_harvest *h, const char *line, size_t n, ul_err *err)
{
	bool ok = ul_gazetteer_add(h->subjects, UL_PII_NAME, line) || ul_fail(err, "\"%.60s\" cannot be a subject", line);
	ok = ok && ul_opening_name(&h->pool, line, n, err) && ul_opening_add(&h->pool, line, n, NULL, ASKED_FOR, false, err);
	ok = ok && (!h->chats || ul_opening_chat(&h->pool, line, true, ASKED_FOR, false, err));
	h->subject_n = h->pool.names;
	return ok;
}

static bool first_openings(ul_harvest *h, ul_err *err)
{
	ul_model *m = h->j->model;
	bool ok = ul_tok_encode(m->tok, "", 0, -1, true, &h->front, err);
	ul_err unknown = {0};
	char system[256];
	enum ul_chat chat;
	const char *jinja = ul_tok_chat_template(m->tok);
	h->chats = jinja && ul_chat_detect(jinja, &chat, system, &unknown);
	if (jinja && !h->chats && h->j->progress && h->j->progress->note)
		h->j->progress->note(h->j->progress->ud, "the model's chat template is not known: no conversations are tried, only texts");
	while (h->front.n && h->front.id[h->front.n - 1] == ul_tok_eos(m->tok) && ul_tok_eos(m->tok) != ul_tok_bos(m->tok))
		h->front.n--; /* what stands behind a text is no opening */
	ok = ok && (!h->j->subjects || lines(h->j->subjects, subject_line, h, err)) && (!h->c->prompts || lines(h->c->prompts, prompt_line, h, err));
	ok = ok && ul_openings_suggest(&h->pool, m, &h->front, (int)h->c->openings, START, err);
	if (ok && h->pool.n == 0) {
		ok = ul_fail(err, "there is nothing to begin with: the tokenizer has no token that begins texts");
		ul_hint(err, "give openings with --prompts F");
	}
	return ok;
}

/* ---- one round of draws ---- */

static void from(ul_harvest *h, ul_draw *draw, int *n, int opening)
{
	const ul_opening *o = &h->pool.at[opening];
	draw[(*n)++] = (ul_draw){.opening = opening, .own = o->chat && !o->whole};
	h->pool.at[opening].draws++;
}

/* What was asked for comes first; half a round may try pairs, a quarter new openings; the rest goes to the openings that brought most. */
static int plan(ul_harvest *h, ul_draw *draw, int max, ul_err *err)
{
	int n = 0, o, names = h->subject_n && !h->keeps ? h->subject_n : h->subject_n || h->c->learn_names ? h->pool.names
	                                                                                                   : 0;
	while (n < max && (o = ul_opening_new(&h->pool, START)) >= 0)
		from(h, draw, &n, o);
	for (int pairs = 0; pairs < max / 2 && n < max; pairs++, n++) {
		draw[n] = (ul_draw){.own = true};
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

/* What the model asked, if it came to an end of it: the prompt of a draw. */
static bool asked_for(ul_harvest *h, ul_draw *d, const ul_gen *g, ul_err *err)
{
	ul_buf said = {0};
	h->tokens += g->n;
	bool ended = g->finish == UL_FINISH_EOS || g->finish == UL_FINISH_STOP;
	for (int i = 0; i < g->n; i++)
		ended &= !ul_tok_is_special(h->j->model->tok, g->ids[i]) || g->finish == UL_FINISH_STOP;
	if (!ended) {
		h->drawn++; /* no end, or the marks of another turn: not a question */
		h->none++;
		return true;
	}
	ul_buf_str(&said, h->pool.at[d->opening].text);
	ul_buf_str(&said, g->text);
	ul_ids ids = {0};
	const char *text = said.data ? said.data : "";
	bool ok = !said.failed || ul_nomem(err, said.cap);
	if (ok && *text && ul_utf8_ok(text, said.len))
		ok = ul_prompt_encode(h->j->model, &(ul_data_config){.templ = "chat"}, text, &ids, err);
	if (ok && ids.n && ids.n < h->j->model->cfg.context) {
		d->ids = ids;
		d->said = said.data;
		return true;
	}
	ul_ids_release(&ids);
	ul_buf_release(&said);
	return ok;
}

/* The model asks its questions itself: a user's turn is written to its end, and the draw goes on with the answer. */
static bool ask(ul_harvest *h, ul_draw *draw, int n, ul_err *err)
{
	const ul_sample_config *c = h->c;
	ul_arena a = {0};
	ul_gen *g = NULL;
	ul_ids *prompt = ul_alloc(&a, (size_t)(n + 1) * sizeof *prompt), none = {0};
	ul_draw **of = ul_alloc(&a, (size_t)(n + 1) * sizeof *of);
	char end[64];
	bool ok = (prompt && of) || ul_nomem(err, (size_t)n * sizeof *prompt);
	int asked = 0;
	for (int i = 0; ok && i < n; i++)
		if (draw[i].own && !draw[i].ids.n) {
			prompt[asked] = h->pool.at[draw[i].opening].ids;
			of[asked++] = &draw[i];
		}
	ok = ok && (!asked || ul_turn_open(h->j->model, "", &none, end, err));
	const char *stop[] = {end, NULL};
	ul_gen_config how = {.max_new = (int)(c->max_new < 64 ? c->max_new : 64), .top_p = c->top_p, .beams = 1, .samples = 1, .temperature = c->temperature > 0.7 ? c->temperature : 0.7, .stop = asked && *end ? stop : NULL, .seed = ul_digest(&h->rounds, sizeof h->rounds) ^ h->j->seed ^ 1};
	ok = ok && (!asked || ul_generate(h->j->model, prompt, asked, &how, &a, &g, err));
	for (int i = 0; ok && i < asked; i++)
		ok = asked_for(h, of[i], &g[i], err);
	ul_ids_release(&none);
	ul_arena_release(&a);
	return ok;
}

/* Draws of one kind in one batch: those with prompts of their own recite, the others begin hot. */
static bool draw_kind(ul_harvest *h, const ul_draw *draw, int n, bool own, int *fresh, ul_err *err)
{
	const ul_sample_config *c = h->c;
	ul_arena a = {0};
	ul_gen *g = NULL;
	ul_ids *prompt = ul_alloc(&a, (size_t)(n + 1) * sizeof *prompt);
	const ul_draw **of = ul_alloc(&a, (size_t)(n + 1) * sizeof *of);
	ul_gen_config how = {.max_new = (int)c->max_new, .top_k = (int)c->top_k, .top_p = c->top_p, .beams = 1, .samples = 1, .doubt = -c->doubt};
	if (!own) {
		how.temperature = c->temperature;
		how.temperature_from = c->temperature_from;
		how.temperature_steps = how.doubt_from = (int)c->temperature_steps;
		how.seed = ul_digest(&h->rounds, sizeof h->rounds) ^ h->j->seed;
	}
	bool ok = (prompt && of) || ul_nomem(err, (size_t)n * sizeof *prompt);
	int kind = 0;
	for (int i = 0; ok && i < n; i++)
		if (draw[i].own == own && ul_draw_prompt(h, &draw[i])->n) {
			prompt[kind] = *ul_draw_prompt(h, &draw[i]);
			of[kind++] = &draw[i];
		}
	ok = ok && (kind == 0 || ul_generate(h->j->model, prompt, kind, &how, &a, &g, err));
	for (int i = 0; ok && i < kind; i++)
		ok = ul_harvest_take(h, of[i], &g[i], fresh, err);
	ul_arena_release(&a);
	return ok;
}

static bool one_round(ul_harvest *h, ul_draw *draw, ul_err *err)
{
	int64_t left = h->c->tries - h->drawn;
	int n = plan(h, draw, (int)(left < h->c->round ? left : h->c->round), err), fresh = 0;
	bool ok = !err->msg[0] && ask(h, draw, n, err) && draw_kind(h, draw, n, false, &fresh, err) && draw_kind(h, draw, n, true, &fresh, err);
	for (int i = 0; i < n; i++) {
		ul_ids_release(&draw[i].ids);
		ul_free(draw[i].said);
	}
	h->idle = fresh ? 0 : h->idle + 1;
	h->rounds++;
	return ok;
}

/* ---- the harvest ---- */

static bool run(ul_harvest *h, ul_err *err)
{
	const ul_sample_config *c = h->c;
	const ul_progress *p = h->j->progress;
	ul_draw *draw = ul_calloc((size_t)c->round, sizeof *draw);
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

static bool make(ul_source_job *j, ul_err *err)
{
	ul_harvest h = {.j = j, .c = j->config, .pool = {.m = j->model}};
	if (!j->model->tok)
		return ul_fail(err, "the source \"sample\" needs a tokenizer, which %s has not", j->model->path ? j->model->path : "the model");
	h.names = ul_gazetteer_new();
	h.subjects = ul_gazetteer_new();
	h.keeps = j->subjects && j->keep;
	bool ok = (h.names && h.subjects) || ul_nomem(err, 64);
	ok = ok && ul_types_parse(h.c->types, &h.types, err) && (!h.c->names || ul_gazetteer_file(h.names, h.c->names, err));
	ok = ok && run(&h, err) && ul_harvest_finish(&h, err);
	ul_harvest_release(&h);
	return ok;
}

const ul_source ul_source_sample = {
        .name = "sample",
        .title = "texts drawn from the model itself",
        .paper = "Carlini et al. 2021, Extracting Training Data from Large Language Models",
        .notes = "Needs no data: the model is asked for what it remembers, and typed recognisers mark the personal data in its answers. Openings are learnt from "
                 "what was drawn before; a text ends where the model begins to doubt. What a model was never brought to say is not forgotten.",
        .config = sizeof(ul_sample_config),
        .opts = opts,
        .make = make,
};
