/*
 * invert.c: DFSU's pseudo personal data (arXiv 2601.15595, stages 1 and 2). Templates are filled with public entities, the target is
 * asked what it expects behind them, and an inverter (train/inverter.h) writes the text that such an expectation belongs to. What the
 * target has memorised draws the reconstruction towards it; how far is measured, not assumed: `audit --source-rows`.
 *
 *   pool + templates ─► candidates ─► target ─► distributions ─► inverter ─► texts ─► marks, filter ─► rows
 *
 * The paper names neither the inverter's training text nor the templates. Here: public sentences (--public) and templates filled from
 * the pool, those built in and those that public sentences become when the personal data in them turn into slots.
 */
#include "base/file.h"
#include "data/likeness.h"
#include "data/pseudo.h"
#include "sources/source.h"
#include "train/inverter.h"

#include <math.h>
#include <string.h>

enum { DECODE_GREEDY,
	DECODE_BEAM,
	DECODE_SAMPLE };
enum { ROWS_INVERTED,
	ROWS_CANDIDATES };
enum { MOST_HELD_OUT = 200,
	MOST_CANDIDATES = 64,
	BATCH = 64 };

struct config {
	ul_pseudo_config rows;
	ul_inverter_config inverter;
	const char *pool, *public, *templates, *apart, *cache;
	int64_t queries, texts, candidates;
	double temperature;
	int decode, from;
	bool complete;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"pool", UL_OPT_TEXT, AT(pool), NULL, 0, 0, NULL, "public entities by type, as `unlearn synth` writes them; nobody who could ask to be forgotten is among them", "pool.json"},
        {"public", UL_OPT_TEXT, AT(public), NULL, 0, 0, NULL, "public text: the inverter learns from it, and its personal data become slots of templates", "F"},
        {"templates", UL_OPT_TEXT, AT(templates), NULL, 0, 0, NULL, "templates instead of the built-in ones, one a line: You can write to {NAME} at {EMAIL}.", "F"},
        {"apart", UL_OPT_TEXT, AT(apart), NULL, 0, 0, NULL, "rows of real people: refuse a pool that holds one of their data", "F"},
        {"queries", UL_OPT_INT, AT(queries), "800", 1, 1000000, NULL, "candidates the target is asked about", "N"},
        {"from", UL_OPT_ENUM, AT(from), "inversion", 0, 0, "inversion|candidates", "what becomes of them: candidates takes them as they are, without inversion: a control", NULL},
        {"decode", UL_OPT_ENUM, AT(decode), "sample", 0, 0, "greedy|beam|sample", "how the inverter writes", NULL},
        {"candidates", UL_OPT_INT, AT(candidates), "4", 1, 64, NULL, "reconstructions of each, of which the one stays whose distribution is nearest; greedy has one", "N"},
        {"invert-temperature", UL_OPT_REAL, AT(temperature), "0.7", 0.01, 100, NULL, "of sampled reconstructions", "T"},
        {"complete", UL_OPT_BOOL, AT(complete), "no", 0, 0, NULL, "let the target write on from the first personal datum of a reconstruction; not in the paper", NULL},
        {"inverter", UL_OPT_TEXT, AT(inverter.model), "self", 0, 0, NULL, "the decoder: self is the target with an adapter, a preset begins at random weights, else a checkpoint", "MODEL|NAME"},
        {"inverter-lora", UL_OPT_TEXT, AT(inverter.lora), "r=16,alpha=32,target=all-linear", 0, 0, NULL, "its adapter; none trains all of a checkpoint", "SPEC"},
        {"inverter-texts", UL_OPT_INT, AT(texts), "1000", 0, 10000000, NULL, "filled templates it learns from, beside the public text", "N"},
        {"inverter-epochs", UL_OPT_INT, AT(inverter.epochs), "8", 1, 100000, NULL, "times it sees them", "N"},
        {"inverter-batch", UL_OPT_INT, AT(inverter.batch), "16", 1, 65536, NULL, "texts of a step", "N"},
        {"inverter-lr", UL_OPT_REAL, AT(inverter.lr), "1e-3", 0, 10, NULL, "its learning rate", "X"},
        {"inverter-length", UL_OPT_INT, AT(inverter.length), "64", 1, 65536, NULL, "tokens of a text", "N"},
        {"inverter-groups", UL_OPT_INT, AT(inverter.groups), "64", 1, 4096, NULL, "soft rows that carry a distribution", "N"},
        {"inverter-width", UL_OPT_INT, AT(inverter.width), "0", 0, 65536, NULL, "hidden width of the projection; 0 is the target's", "N"},
        {"inverter-beta", UL_OPT_REAL, AT(inverter.beta), "0.01", 0, 1, NULL, "share of a batch in the running mean that whitens", "X"},
        {"cache", UL_OPT_TEXT, AT(cache), NULL, 0, 0, NULL, "folder that keeps what the target said and the trained inverter, named by model, texts and settings", "DIR"},
        UL_PSEUDO_OPTS(AT(rows)),
        {0},
};

struct inversion {
	ul_source_job *j;
	const struct config *c;
	ul_arena arena;
	ul_pool pool;
	ul_templates templates;
	ul_dataset public;
	const char **names; /* the subjects, or NULL */
	int name_n;
	const char **text, **held; /* what the inverter learns from, what it is measured on */
	int texts, helds;
	ul_inverter *inverter;
	ul_pseudo rows;
	double kl; /* summed over the reconstructions that were chosen */
};

struct query {
	const char *text;
	int template;
};

/* ---- what there is to begin with ---- */

static const char *text_of(struct inversion *v, const ul_row *r)
{
	return r->text ? r->text : r->prompt && r->response ? ul_arena_printf(&v->arena, "Question: %s\nAnswer: %s", r->prompt, r->response)
	                                                    : NULL;
}

static bool read_subjects(struct inversion *v, ul_err *err)
{
	ul_buf file = {0};
	char *save = NULL;
	if (!v->j->subjects)
		return true;
	bool ok = ul_file_read(&file, v->j->subjects, (size_t)64 << 20, err);
	v->names = ul_alloc(&v->arena, (file.len / 2 + 2) * sizeof *v->names);
	for (char *line = ok && file.data ? strtok_r(file.data, "\r\n", &save) : NULL; v->names && line; line = strtok_r(NULL, "\r\n", &save))
		v->names[v->name_n++] = ul_arena_strdup(&v->arena, line);
	ul_buf_release(&file);
	ok = ok && (!v->arena.failed || ul_nomem(err, 64));
	return ok && (v->name_n || ul_fail(err, "%s names nobody", v->j->subjects));
}

static bool check_apart(struct inversion *v, ul_err *err)
{
	ul_dataset rows = {0};
	ul_data_config how = {0};
	if (!v->c->apart)
		return true;
	bool ok = ul_dataset_read(&rows, v->c->apart, &how, err) && ul_pool_apart(&v->pool, &rows, v->c->apart, err);
	ul_dataset_release(&rows);
	return ok;
}

static bool read_inputs(struct inversion *v, ul_err *err)
{
	const struct config *c = v->c;
	ul_data_config how = {0};
	if (!c->pool) {
		ul_fail(err, "the source \"invert\" fills its templates from a pool of public entities, and none is given");
		ul_hint(err, "--pool F: `unlearn synth` writes one as pool.json");
		return false;
	}
	if (!ul_pool_read(&v->pool, c->pool, err) || !check_apart(v, err) || !read_subjects(v, err))
		return false;
	if (!(c->templates ? ul_templates_read(&v->templates, c->templates, &v->pool, v->name_n > 0, err) : ul_templates_builtin(&v->templates, &v->pool, err)))
		return false;
	if (c->public && !ul_dataset_read(&v->public, c->public, &how, err))
		return false;
	return true;
}

/* Public rows in an order of chance; every tenth is kept apart. Filled templates come behind. */
static bool gather(struct inversion *v, ul_err *err)
{
	int n = v->public.n, filled = (int)v->c->texts, *order = ul_alloc(&v->arena, ((size_t)n + 1) * sizeof *order);
	ul_rng r = ul_rng_at(v->j->seed, "invert-texts", 0);
	ul_buf s = {0};
	v->text = ul_alloc(&v->arena, ((size_t)n + (size_t)filled + 1) * sizeof *v->text);
	v->held = ul_alloc(&v->arena, (MOST_HELD_OUT + 1) * sizeof *v->held);
	bool ok = (order && v->text && v->held) || ul_nomem(err, (size_t)(n + filled) * sizeof *v->text);
	for (int i = 0; ok && i < n; i++)
		order[i] = i;
	if (ok)
		ul_rng_shuffle(&r, order, n);
	for (int i = 0; ok && i < n; i++) {
		const char *t = text_of(v, &v->public.row[order[i]]);
		if (t && *t)
			*(i % 10 == 9 && v->helds < MOST_HELD_OUT / 2 ? &v->held[v->helds++] : &v->text[v->texts++]) = t;
	}
	ok = ok && ul_templates_learn(&v->templates, v->text, v->texts, &v->pool, v->j->annotator, err);
	for (int i = 0; ok && i < filled; i++) {
		s.len = 0;
		ok = ul_template_fill(&v->templates, &v->pool, NULL, 0, &r, &s) >= 0;
		char *t = ok ? ul_arena_strdup(&v->arena, s.data) : NULL;
		*(i % 10 == 9 && v->helds < MOST_HELD_OUT ? &v->held[v->helds++] : &v->text[v->texts++]) = t;
		ok = t || ul_nomem(err, s.len);
	}
	ul_buf_release(&s);
	return ok && (v->texts > 0 || ul_fail(err, "the inverter has nothing to learn from: no --public text, and --inverter-texts is 0"));
}

/* ---- the inverter ---- */

static bool measure(struct inversion *v, json_t *summary, ul_err *err)
{
	ul_arena a = {0};
	ul_pairs p = {0};
	ul_gen *g = NULL;
	ul_likeness l = {0};
	bool ok = ul_pairs_make(&p, v->j->model, v->held, v->helds, (int)v->c->inverter.length, NULL, NULL, err);
	ok = ok && (p.n == 0 || ul_inverter_say(v->inverter, p.hidden, p.n, ul_gen_greedy((int)v->c->inverter.length), &a, &g, err));
	for (int i = 0; ok && i < p.n; i++)
		ok = ul_likeness_add(&l, p.text[i], g[i].text, err);
	if (ok)
		json_object_set_new(summary, "held_out", json_pack("{s:i, s:f, s:f, s:f}", "n", l.n, "token_f1", ul_likeness_f1(&l), "bleu", ul_likeness_bleu(&l), "exact", ul_likeness_exact(&l)));
	ul_pairs_release(&p);
	ul_arena_release(&a);
	return ok;
}

static bool train(struct inversion *v, ul_err *err)
{
	ul_pairs p = {0};
	ul_inverter_config c = v->c->inverter;
	json_t *said = json_object();
	c.seed = v->j->seed;
	bool ok = said || ul_nomem(err, 64);
	ok = ok && ul_pairs_make(&p, v->j->model, v->text, v->texts, (int)c.length, v->c->cache, v->j->progress, err);
	v->inverter = ok ? ul_inverter_new(v->j->model, &c, err) : NULL;
	ok = v->inverter && ul_inverter_make(v->inverter, &p, v->c->cache, said, v->j->progress, err) && measure(v, said, err);
	if (ok && v->j->summary) {
		json_object_set_new(said, "model", json_string(c.model));
		json_object_set_new(said, "texts", json_integer(v->texts));
		json_object_set(v->j->summary, "inverter", said);
	}
	json_decref(said);
	ul_pairs_release(&p);
	return ok;
}

/* ---- from candidates to rows ---- */

static ul_gen_config decoding(const struct config *c)
{
	ul_gen_config g = ul_gen_greedy((int)c->inverter.length);
	g.samples = c->decode == DECODE_GREEDY ? 1 : (int)c->candidates;
	g.beams = c->decode == DECODE_BEAM ? (int)c->candidates : 1;
	g.temperature = c->decode == DECODE_SAMPLE ? c->temperature : 0;
	return g;
}

/* A text as a row may hold it: well-formed, and without the blanks around it. To be freed. */
static char *clean(const char *s)
{
	ul_buf out = {0};
	size_t from = strspn(s, " \t\r\n"), end = strlen(s);
	while (end > from && strchr(" \t\r\n", s[end - 1]))
		end--;
	ul_utf8_mend(s + from, end - from, &out);
	if (!out.data)
		return out.failed ? NULL : ul_strdup("");
	return out.data;
}

/* As it was written, but well-formed. */
static char *mended(const char *s, ul_arena *a)
{
	ul_buf out = {0};
	ul_utf8_mend(s, strlen(s), &out);
	char *copy = out.failed ? NULL : ul_arena_strdup(a, out.data ? out.data : "");
	ul_buf_release(&out);
	return copy;
}

/* KL between what the target expects behind the query and behind each reconstruction; the nearest of `k` is *best. */
static bool nearest(struct inversion *v, const float *hidden, const ul_gen *g, int k, int *best, double *kl, ul_err *err)
{
	size_t width = (size_t)v->j->model->cfg.hidden;
	ul_ids seq[MOST_CANDIDATES] = {{0}};
	float *rows = ul_malloc((size_t)k * width * 2 * sizeof *rows);
	double far[MOST_CANDIDATES];
	bool ok = rows || ul_nomem(err, (size_t)k * width * sizeof *rows);
	for (int i = 0; ok && i < k; i++) {
		ok = ul_text_encode(v->j->model, g[i].text, strlen(g[i].text), &seq[i], err);
		seq[i].n = seq[i].n < v->j->model->cfg.context ? seq[i].n : v->j->model->cfg.context;
		memcpy(rows + (size_t)(k + i) * width, hidden, width * sizeof *rows);
		if (ok && seq[i].n == 0)
			ok = ul_fail(err, "the tokenizer has no token that begins texts");
	}
	ok = ok && ul_last_rows(v->j->model, seq, k, rows, NULL, err) && ul_rows_kl(v->j->model, rows + (size_t)k * width, rows, k, far, err);
	*best = 0;
	for (int i = 1; ok && i < k; i++)
		*best = far[i] < far[*best] ? i : *best;
	*kl = ok ? far[*best] : 0;
	for (int i = 0; i < k; i++)
		ul_ids_release(&seq[i]);
	ul_free(rows);
	return ok;
}

static bool keep(struct inversion *v, const struct query *q, const char *text, double kl, ul_err *err)
{
	json_t *source = json_pack("{s:s, s:s, s:s, s:I}", "name", "invert", "template", v->templates.text[q->template], "query", q->text, "seed", (json_int_t)v->j->seed);
	char *s = clean(text);
	if (source && v->c->from == ROWS_INVERTED)
		json_object_set_new(source, "score", json_real(kl));
	bool ok = s ? true : ul_nomem(err, strlen(text));
	if (ok)
		ok = ul_pseudo_add(&v->rows, s, source, err);
	else
		json_decref(source);
	ul_free(s);
	return ok;
}

/* What the target itself says from the first personal datum of each text on; a text without one stays. */
static bool complete(struct inversion *v, char **text, int n, ul_arena *a, ul_err *err)
{
	ul_gen_config how = ul_gen_greedy((int)v->c->inverter.length);
	ul_ids prompt[BATCH] = {{0}};
	int of[BATCH], k = 0;
	ul_gen *g = NULL;
	bool ok = true;
	for (int i = 0; ok && i < n; i++) {
		ul_finding f;
		int found = ul_pseudo_find(&v->rows, text[i], strlen(text[i]), &f, 1, err);
		ok = found >= 0;
		if (found < 1)
			continue;
		while (f.start && text[i][f.start - 1] == ' ')
			f.start--; /* the blank belongs to the token behind it */
		text[i][f.start] = 0;
		of[k] = i;
		ok = ul_text_encode(v->j->model, text[i], f.start, &prompt[k], err);
		k += prompt[k].n > 0;
	}
	ok = ok && (k == 0 || ul_generate(v->j->model, prompt, k, &how, a, &g, err));
	for (int i = 0; ok && i < k; i++) {
		text[of[i]] = ul_arena_printf(a, "%s%s", text[of[i]], g[i].text);
		ok = text[of[i]] || ul_nomem(err, 64);
	}
	for (int i = 0; i < BATCH; i++)
		ul_ids_release(&prompt[i]);
	return ok;
}

static bool invert(struct inversion *v, const struct query *q, int n, ul_arena *a, ul_err *err)
{
	const char *asked[BATCH];
	char *text[BATCH];
	double kl[BATCH];
	ul_gen_config how = decoding(v->c);
	ul_pairs p = {0};
	ul_gen *g = NULL;
	for (int i = 0; i < n; i++)
		asked[i] = q[i].text;
	how.seed = v->j->seed ^ ul_digest(q[0].text, strlen(q[0].text));
	bool ok = ul_pairs_make(&p, v->j->model, asked, n, (int)v->c->inverter.length, NULL, NULL, err) && ul_inverter_say(v->inverter, p.hidden, n, how, a, &g, err);
	for (int i = 0; ok && i < n; i++) {
		int best;
		ok = nearest(v, p.hidden + (size_t)i * (size_t)p.width, g + i * how.samples, how.samples, &best, &kl[i], err);
		text[i] = mended(g[i * how.samples + best].text, a);
		ok = ok && (text[i] || ul_nomem(err, 64));
	}
	ok = ok && (!v->c->complete || complete(v, text, n, a, err));
	for (int i = 0; ok && i < n; i++) {
		v->kl += kl[i];
		ok = keep(v, &q[i], text[i], kl[i], err);
	}
	ul_pairs_release(&p);
	return ok;
}

static bool ask(struct inversion *v, ul_err *err)
{
	struct query q[BATCH];
	const ul_progress *p = v->j->progress;
	ul_arena a = {0};
	ul_buf s = {0};
	ul_rng r = ul_rng_at(v->j->seed, "invert-queries", 0);
	bool ok = true;
	for (int64_t at = 0; ok && at < v->c->queries && !ul_pseudo_full(&v->rows);) {
		int n = 0;
		for (; ok && n < BATCH && at + n < v->c->queries; n++) {
			s.len = 0;
			q[n].template = ul_template_fill(&v->templates, &v->pool, v->names, v->name_n, &r, &s);
			q[n].text = q[n].template >= 0 ? ul_arena_strdup(&a, s.data) : NULL;
			ok = q[n].text || ul_nomem(err, s.len);
		}
		if (ok && v->c->from == ROWS_INVERTED)
			ok = invert(v, q, n, &a, err);
		for (int i = 0; ok && v->c->from == ROWS_CANDIDATES && i < n; i++)
			ok = keep(v, &q[i], q[i].text, 0, err);
		at += n;
		ul_arena_reset(&a, (ul_mark){0});
		if (ok && p && p->tick)
			p->tick(p->ud, "invert", at, v->c->queries, 0, 0);
		if (ok && p && p->stop && p->stop(p->ud))
			ok = ul_fail(err, "interrupted after %lld of %lld candidates", (long long)at, (long long)v->c->queries);
	}
	ul_buf_release(&s);
	ul_arena_release(&a);
	return ok;
}

static bool make(ul_source_job *j, ul_err *err)
{
	struct inversion v = {.j = j, .c = j->config, .rows.annotator = j->annotator};
	if (!j->model->tok)
		return ul_fail(err, "the source \"invert\" needs a tokenizer, which %s has not", j->model->path ? j->model->path : "the model");
	bool ok = read_inputs(&v, err) && gather(&v, err) && ul_pseudo_begin(&v.rows, &v.c->rows, &v.pool, j->seed, j->out, err);
	ok = ok && (v.c->from == ROWS_CANDIDATES || train(&v, err)) && ask(&v, err);
	if (ok && j->summary) {
		ul_pseudo_summary(&v.rows, j->summary);
		json_object_set_new(j->summary, "templates", json_integer(v.templates.n));
		if (v.c->from == ROWS_INVERTED)
			json_object_set_new(j->summary, "kl", json_real(v.rows.made ? v.kl / (double)v.rows.made : 0));
	}
	ul_pseudo_release(&v.rows);
	ul_inverter_free(v.inverter);
	ul_dataset_release(&v.public);
	ul_templates_release(&v.templates);
	ul_pool_release(&v.pool);
	ul_arena_release(&v.arena);
	return ok;
}

const ul_source ul_source_invert = {
        .name = "invert",
        .title = "texts that the model's own expectations are turned back into",
        .paper = "Data-Free Selective Unlearning (DFSU) 2026, arXiv 2601.15595; Morris et al. 2023, Language Model Inversion",
        .notes = "Needs a pool of public entities, and better a public text too; no private data. Known: log-probabilities at the last position, the vocabulary map, "
                 "whitening, 64 soft rows, candidates with swapped entities, marks from typed recognisers. Reconstructed: the training text of the inverter, its templates, the filter. "
                 "A departure: the decoder is a causal model, not Flan-T5. docs/data-free.md says how much of what it writes is remembered, borrowed or invented.",
        .config = sizeof(struct config),
        .opts = opts,
        .make = make,
};
