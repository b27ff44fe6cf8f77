/*
 * exam_say.c: what the models say. Each row is cut into what is given and what is expected; continuations are decoded greedily,
 * and
 * by beams and draws from the text before the first piece of personal data.
 */
#include "audits/exam_parts.h"

#include <string.h>

enum { DRAW_FROM = 40 }; /* the likeliest tokens, at temperature 1 */

const char *ul_row_content(const ul_row *r)
{
	return r->text ? r->text : r->response;
}

static bool closing(const ul_exam *e, int id)
{
	const ul_model *m = e->cfg.model[UL_AFTER];
	for (int i = 0; i < m->cfg.eos_n; i++) {
		if (m->cfg.eos[i] == id)
			return true;
	}
	return m->tok && ul_tok_eos(m->tok) == id;
}

int ul_counted(const ul_exam *e, enum ul_split s, int row, const ul_row_score *score)
{
	const ul_row *r = &e->cfg.data[s]->row[row];
	if (score->n == 0)
		return 0;
	if (e->cfg.compat)
		return score->n - 1;
	return score->n - closing(e, r->ids[r->n - 1]);
}

/* ---- cuts ---- */

static int first_flagged(const ul_row *r, unsigned flag)
{
	for (int t = 0; t < r->n; t++) {
		if (r->flags[t] & flag)
			return t;
	}
	return r->n;
}

static int cut_of(const ul_row *r)
{
	int label = first_flagged(r, UL_ROW_LABEL), span = first_flagged(r, UL_ROW_SPAN);
	if (label > 1 && label < r->n)
		return label;
	if (span > 0 && span < r->n)
		return span;
	return r->n / 2;
}

/* Text of ids without specials and without the blank in front, in the exam's arena. */
static const char *say(ul_exam *e, const int *ids, int n, ul_err *err)
{
	ul_buf b = {0};
	ul_tok_decode(e->cfg.model[UL_AFTER]->tok, ids, n, true, &b);
	const char *s = b.data ? b.data : "";
	const char *kept = ul_arena_strdup(&e->arena, s + strspn(s, " \t\r\n"));
	bool failed = b.failed;
	ul_buf_release(&b);
	if (!kept || failed)
		ul_nomem(err, (size_t)n);
	return failed ? NULL : kept;
}

bool ul_exam_cut(ul_exam *e, enum ul_split s, int row, ul_cut *out, ul_err *err)
{
	const ul_dataset *d = e->cfg.data[s];
	if (!e->cut[s]) {
		e->cut[s] = ul_alloc(&e->arena, (size_t)d->n * sizeof **e->cut);
		if (!e->cut[s])
			return ul_nomem(err, (size_t)d->n * sizeof **e->cut);
	}
	ul_cut *c = &e->cut[s][row];
	const ul_row *r = &d->row[row];
	if (c->at == 0)
		c->at = cut_of(r);
	if (!c->expected && e->cfg.model[UL_AFTER]->tok)
		c->expected = r->response ? r->response : say(e, r->ids + c->at, r->n - c->at, err);
	*out = *c;
	return c->expected || !e->cfg.model[UL_AFTER]->tok;
}

/* ---- continuations ---- */

static int most_asked(const ul_exam *e)
{
	static const int most[] = {100, 300, INT32_MAX};
	return e->cfg.asked > 0 ? e->cfg.asked : most[e->cfg.level];
}

bool ul_exam_asks(const ul_exam *e, enum ul_split s, int row)
{
	int64_t n = e->cfg.data[s]->n, most = most_asked(e);
	return n <= most || row == 0 || row * most / n != (row - 1) * most / n;
}

int ul_exam_beam_count(const ul_exam *e)
{
	static const int beams[] = {4, 40, 40};
	return e->cfg.beams > 0 ? e->cfg.beams : beams[e->cfg.level];
}

int ul_exam_candidate_count(const ul_exam *e)
{
	static const int draws[] = {0, 64, 64};
	return ul_exam_beam_count(e) + (e->cfg.samples > 0 ? e->cfg.samples : e->cfg.samples < 0 ? 0
	                                                                                         : draws[e->cfg.level]);
}

struct telling { /* how far the answers of one model are */
	const ul_progress *p;
	int64_t done, total;
	bool beams;
};

/* Greedy answers come token by token and end early where they end; beams come prompt by prompt. */
static bool tell(void *ud, int prompt, int sample, int id)
{
	struct telling *t = ud;
	(void)sample, (void)id;
	if (t->beams)
		t->done++;
	else if (prompt >= t->done)
		t->done = prompt;
	if (t->p->tick)
		t->p->tick(t->p->ud, t->beams ? "search" : "answer", t->done, t->total, 0, 0);
	return !t->p->stop || !t->p->stop(t->p->ud);
}

/* Continues the first at[i] ids of each asked row; at < 1 leaves the row out. out: [rows * samples] */
static ul_gen *continue_rows(ul_exam *e, enum ul_who w, const ul_dataset *d, const int *at, const ul_gen_config *config, ul_err *err)
{
	ul_gen_config c = *config;
	struct telling told = {.p = e->cfg.progress, .beams = c.beams > 1};
	size_t n = (size_t)d->n, per = (size_t)c.samples;
	ul_gen *all = ul_alloc(&e->arena, n * per * sizeof *all), *said = NULL;
	ul_ids *prompt = ul_calloc(n + 1, sizeof *prompt);
	int asked = 0;
	if (!all || !prompt) {
		ul_free(prompt);
		ul_nomem(err, n * per * sizeof *all);
		return NULL;
	}
	for (int i = 0; i < d->n; i++) { /* borrowed: the ids stay the row's */
		if (at[i] > 0)
			prompt[asked++] = (ul_ids){.id = d->row[i].ids, .n = at[i], .cap = at[i]};
	}
	told.total = asked;
	if (told.p) {
		c.on_token = tell;
		c.ud = &told;
	}
	bool ok = asked == 0 || ul_generate(e->cfg.model[w], prompt, asked, &c, &e->arena, &said, err);
	for (int i = 0, k = 0; ok && i < d->n; i++) {
		if (at[i] > 0)
			memcpy(all + (size_t)i * per, said + (size_t)k++ * per, per * sizeof *all);
	}
	ul_free(prompt);
	return ok ? all : NULL;
}

static int longest_answer(const ul_exam *e, const ul_dataset *d, const int *at)
{
	int most = 1;
	for (int i = 0; i < d->n; i++) {
		if (at[i] > 0 && d->row[i].n - at[i] > most)
			most = d->row[i].n - at[i];
	}
	if (e->cfg.max_new > 0)
		return e->cfg.max_new;
	if (e->cfg.compat)
		return 200;
	return most + 4 < 128 ? most + 4 : 128;
}

const ul_gen *ul_exam_greedy(ul_exam *e, enum ul_who w, enum ul_split s, ul_err *err)
{
	const ul_dataset *d = e->cfg.data[s];
	if (!e->cfg.model[w] || !d || !e->cfg.model[w]->tok)
		return NULL;
	if (e->greedy[w][s])
		return e->greedy[w][s];
	int *at = ul_calloc((size_t)d->n + 1, sizeof *at);
	bool ok = at || ul_nomem(err, (size_t)d->n * sizeof *at);
	for (int i = 0; ok && i < d->n; i++) {
		ul_cut c = {0};
		ok = ul_exam_cut(e, s, i, &c, err);
		at[i] = ul_exam_asks(e, s, i) ? c.at : 0;
	}
	if (ok) {
		ul_gen_config c = ul_gen_greedy(longest_answer(e, d, at));
		e->greedy[w][s] = continue_rows(e, w, d, at, &c, err);
	}
	ul_free(at);
	return e->greedy[w][s];
}

const ul_gen *ul_exam_said(const ul_exam *e, enum ul_who w, enum ul_split s)
{
	return e->greedy[w][s];
}

/* Tokens from the first to the last that carry personal data, over all asked rows, and a few for other spellings. */
static int longest_private(const ul_dataset *d, const int *at)
{
	int most = 1;
	for (int i = 0; i < d->n; i++) {
		int last = at[i];
		for (int t = at[i]; at[i] > 0 && t < d->row[i].n; t++)
			last = d->row[i].flags[t] & UL_ROW_SPAN ? t : last;
		if (at[i] > 0 && last + 1 - at[i] > most)
			most = last + 1 - at[i];
	}
	return most + 4 < 128 ? most + 4 : 128;
}

/* Beams are what is likeliest as a whole and often empty phrases; draws reach what is likely word by word as well. */
static ul_gen *search(ul_exam *e, enum ul_who w, const ul_dataset *d, const int *at, ul_err *err)
{
	int beams = ul_exam_beam_count(e), all = ul_exam_candidate_count(e), draws = all - beams;
	ul_gen_config c = ul_gen_greedy(longest_private(d, at));
	c.beams = c.samples = beams;
	ul_gen *likely = continue_rows(e, w, d, at, &c, err);
	if (!likely || draws == 0)
		return likely;
	c.beams = 1;
	c.samples = draws;
	c.temperature = 1;
	c.top_k = DRAW_FROM;
	c.seed = e->cfg.seed;
	ul_gen *drawn = continue_rows(e, w, d, at, &c, err), *both = ul_alloc(&e->arena, (size_t)d->n * (size_t)all * sizeof *both);
	if (!drawn || !both) {
		ul_nomem(err, (size_t)d->n * (size_t)all * sizeof *both);
		return NULL;
	}
	for (int i = 0; i < d->n; i++) {
		memcpy(both + (size_t)i * (size_t)all, likely + (size_t)i * (size_t)beams, (size_t)beams * sizeof *both);
		memcpy(both + (size_t)i * (size_t)all + beams, drawn + (size_t)i * (size_t)draws, (size_t)draws * sizeof *both);
	}
	return both;
}

const ul_gen *ul_exam_candidates(ul_exam *e, enum ul_who w, enum ul_split s, ul_err *err)
{
	const ul_dataset *d = e->cfg.data[s];
	if (!e->cfg.model[w] || !d || !e->cfg.model[w]->tok)
		return NULL;
	if (e->candidates[w][s])
		return e->candidates[w][s];
	int *at = ul_calloc((size_t)d->n + 1, sizeof *at);
	if (!at) {
		ul_nomem(err, (size_t)d->n * sizeof *at);
		return NULL;
	}
	for (int i = 0; i < d->n; i++) {
		int span = first_flagged(&d->row[i], UL_ROW_SPAN);
		at[i] = span < d->row[i].n && ul_exam_asks(e, s, i) ? span : 0;
	}
	e->candidates[w][s] = search(e, w, d, at, err);
	ul_free(at);
	return e->candidates[w][s];
}
