/*
 * gradient_inversion.c: as the source invert, without an inverter: a text with the expectation that a filled template leaves is searched
 * by gradient descent over relaxed inputs (SODA, arXiv 2507.01693; train/relax.h). Nothing is trained, each text costs a descent of its
 * own, and what is found need not read like language.
 */
#include "base/file.h"
#include "data/pseudo.h"
#include "sources/source.h"
#include "train/inverter.h"
#include "train/relax.h"

#include <string.h>

struct config {
	ul_pseudo_config rows;
	ul_relax_config relax;
	const char *pool, *templates, *apart;
	int64_t queries, length;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"pool", UL_OPT_TEXT, AT(pool), NULL, 0, 0, NULL, "public entities by type, as `unlearn synth` writes them", "pool.json"},
        {"templates", UL_OPT_TEXT, AT(templates), NULL, 0, 0, NULL, "templates instead of the built-in ones, one a line: You can write to {NAME} at {EMAIL}.", "F"},
        {"apart", UL_OPT_TEXT, AT(apart), NULL, 0, 0, NULL, "rows of real people: refuse a pool that holds one of their data", "F"},
        {"queries", UL_OPT_INT, AT(queries), "100", 1, 1000000, NULL, "candidates the target is asked about", "N"},
        {"length", UL_OPT_INT, AT(length), "0", 0, 65536, NULL, "tokens of a text; 0 is as many as the candidate has", "N"},
        {"relax-steps", UL_OPT_INT, AT(relax.steps), "400", 1, 1000000, NULL, "steps of a descent, at most", "N"},
        {"relax-restart", UL_OPT_INT, AT(relax.restart), "25", 1, 1000000, NULL, "steps between new beginnings", "N"},
        {"relax-check", UL_OPT_INT, AT(relax.check), "5", 1, 1000000, NULL, "steps between looks at the nearest tokens", "N"},
        {"relax-lr", UL_OPT_REAL, AT(relax.lr), "0.1", 0, 100, NULL, "learning rate of the relaxed inputs", "X"},
        {"relax-beta1", UL_OPT_REAL, AT(relax.beta1), "0.9", 0, 0.999999, NULL, "Adam's first moment", "X"},
        {"relax-beta2", UL_OPT_REAL, AT(relax.beta2), "0.99", 0, 0.999999, NULL, "Adam's second moment", "X"},
        {"relax-decay", UL_OPT_REAL, AT(relax.decay), "0.02", 0, 1, NULL, "share of the parameters that is lost a step", "X"},
        {"relax-temperature", UL_OPT_REAL, AT(relax.temperature), "0.1", 0.01, 100, NULL, "of the mixtures of tokens", "T"},
        UL_PSEUDO_OPTS(AT(rows)),
        {0},
};

struct search {
	ul_source_job *j;
	const struct config *c;
	ul_pool pool;
	ul_templates templates;
	ul_pseudo rows;
	double kl;
	int64_t exact; /* the candidate itself was found again */
};

static bool read_inputs(struct search *s, ul_err *err)
{
	const struct config *c = s->c;
	ul_dataset apart = {0};
	ul_data_config how = {0};
	if (!c->pool) {
		ul_fail(err, "the source \"gradient-inversion\" fills its templates from a pool of public entities, and none is given");
		ul_hint(err, "--pool F: `unlearn synth` writes one as pool.json");
		return false;
	}
	bool ok = ul_pool_read(&s->pool, c->pool, err);
	if (ok && c->apart)
		ok = ul_dataset_read(&apart, c->apart, &how, err) && ul_pool_apart(&s->pool, &apart, c->apart, err);
	ul_dataset_release(&apart);
	return ok && (c->templates ? ul_templates_read(&s->templates, c->templates, &s->pool, false, err) : ul_templates_builtin(&s->templates, &s->pool, err));
}

static bool keep(struct search *s, const char *query, int template, const int *ids, int n, double kl, ul_err *err)
{
	ul_buf raw = {0}, text = {0};
	ul_tok_decode(s->j->model->tok, ids, n, true, &raw);
	for (size_t i = 0; i < raw.len; i++) /* a NUL would end the text for whoever reads the row */
		raw.data[i] = raw.data[i] ? raw.data[i] : ' ';
	ul_utf8_mend(raw.data ? raw.data : "", raw.len, &text);
	s->kl += kl;
	s->exact += text.data && !strcmp(text.data, query);
	bool ok = !(raw.failed || text.failed) || ul_nomem(err, raw.cap);
	if (ok)
		ok = ul_pseudo_add(&s->rows, text.data ? text.data : "", json_pack("{s:s, s:s, s:s, s:I, s:f}", "name", "gradient-inversion", "template", s->templates.text[template], "query", query, "seed", (json_int_t)s->j->seed, "score", kl), err);
	ul_buf_release(&raw);
	ul_buf_release(&text);
	return ok;
}

static bool one(struct search *s, ul_rng *r, int64_t number, ul_err *err)
{
	ul_model *m = s->j->model;
	ul_relax_config how = s->c->relax;
	ul_buf query = {0};
	ul_ids bare = {0};
	ul_pairs p = {0};
	double kl = 0;
	int template = ul_template_fill(&s->templates, &s->pool, NULL, 0, r, &query);
	bool ok = (template >= 0 || ul_nomem(err, query.cap)) && ul_tok_encode(m->tok, query.data, query.len, 0, false, &bare, err);
	ok = ok && ul_pairs_make(&p, m, &(const char *){query.data}, 1, m->cfg.context, NULL, NULL, err);
	int n = s->c->length > 0 ? (int)s->c->length : bare.n, *ids = ok ? ul_calloc((size_t)n + 1, sizeof *ids) : NULL;
	how.seed = s->j->seed + (uint64_t)number;
	ok = ok && (ids || ul_nomem(err, (size_t)n * sizeof *ids)) && ul_relax(m, p.hidden, n, &how, ids, &kl, err) && keep(s, query.data, template, ids, n, kl, err);
	ul_free(ids);
	ul_pairs_release(&p);
	ul_ids_release(&bare);
	ul_buf_release(&query);
	return ok;
}

static bool make(ul_source_job *j, ul_err *err)
{
	struct search s = {.j = j, .c = j->config, .rows.annotator = j->annotator};
	const ul_progress *p = j->progress;
	ul_rng r = ul_rng_at(j->seed, "invert-queries", 0); /* those of the source invert, to compare */
	if (!j->model->tok)
		return ul_fail(err, "the source \"gradient-inversion\" needs a tokenizer, which %s has not", j->model->path ? j->model->path : "the model");
	bool ok = read_inputs(&s, err) && ul_pseudo_begin(&s.rows, &s.c->rows, &s.pool, j->seed, j->out, err);
	for (int64_t i = 0; ok && i < s.c->queries && !ul_pseudo_full(&s.rows); i++) {
		ok = one(&s, &r, i, err);
		if (ok && p && p->tick)
			p->tick(p->ud, "descend", i + 1, s.c->queries, 0, 0);
		if (ok && p && p->stop && p->stop(p->ud))
			ok = ul_fail(err, "interrupted after %lld of %lld candidates", (long long)i + 1, (long long)s.c->queries);
	}
	if (ok && j->summary) {
		ul_pseudo_summary(&s.rows, j->summary);
		json_object_set_new(j->summary, "kl", json_real(s.rows.made ? s.kl / (double)s.rows.made : 0));
		json_object_set_new(j->summary, "exact", json_real(s.rows.made ? (double)s.exact / (double)s.rows.made : 0));
	}
	ul_pseudo_release(&s.rows);
	ul_templates_release(&s.templates);
	ul_pool_release(&s.pool);
	return ok;
}

const ul_source ul_source_gradient_inversion = {
        .name = "gradient-inversion",
        .title = "texts found by descent towards the model's own expectations",
        .paper = "SODA 2025, arXiv 2507.01693",
        .notes = "Known: relaxed one-hot inputs, Adam, decay, periodic restarts; the paper finds short inputs again and fails on private text from 15 tokens on. Reconstructed: the constants. "
                 "No inverter is trained, but every text costs some hundred passes with gradients.",
        .config = sizeof(struct config),
        .opts = opts,
        .make = make,
};
