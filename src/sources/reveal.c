/*
 * reveal.c: the model is asked until it tells (Reveal and Release, Zhu et al. 2025, arXiv 2509.14624). Instructions are looked for
 * that make it say much of what a scorer looks for, and many different things of that:
 *
 *     point of the cube ─► soft prompt ─► the model writes an instruction ─► it answers it n times ─► relevance R, Vendi score D
 *     reward H(R, D) ─► NeuralUCB ─► the next point                         answers with score ≥ threshold are rows to forget
 *
 * The paper names these parts and not their sizes, nor whether the instruction is written out; here it is, so that a reader sees what
 * was asked. Features, network and bonus are INSTINCT's (arXiv 2310.02905), Vendi's features the model's own mean hidden states.
 */
#include "sources/source.h"

#include "data/novelty.h"
#include "data/vectors.h"
#include "scorers/scorer.h"
#include "sources/reveal/arms.h"
#include "sources/reveal/ucb.h"
#include "sources/reveal/sobol.h"
#include "sources/reveal/vendi.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_AUTO,
	ASK_PLAIN,
	ASK_QA,
	ASK_CHAT };

struct config {
	const char *scorer, *meta;
	double scorer_seconds;
	int64_t n, soft_rows, dims, arms, scored, rounds, first, keep, picks, responses, instruction_tokens, response_tokens, best, more, fit;
	double relevance_weight, diversity_weight, threshold, temperature, instruction_temperature, scale, surprise, nu;
	int ask;
	ul_scoring *ready; /* a scorer that was opened before the model */
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"scorer", UL_OPT_TEXT, AT(scorer), NULL, 0, 0, NULL, "what is looked for (`unlearn scorers`); with --subjects, their names by default", "NAME:ARG"},
        {"scorer-seconds", UL_OPT_REAL, AT(scorer_seconds), "120", 0.01, 86400, NULL, "how long a scorer that is a command may take for one text", "X"},
        {"n", UL_OPT_INT, AT(n), "400", 1, 1000000, NULL, "rows kept at most", "N"},
        {"threshold", UL_OPT_REAL, AT(threshold), "0.5", 0, 1, NULL, "score from which an answer is a row to forget", "X"},
        {"ask", UL_OPT_ENUM, AT(ask), "auto", 0, 0, "auto|plain|qa|chat", "how an instruction is put: as the beginning of a text, as a question, as a turn; auto is chat where the model has a template, else plain", NULL},
        {"meta-prompt", UL_OPT_TEXT, AT(meta), NULL, 0, 0, NULL, "what stands behind the soft rows when the instruction is written; where that is the beginning of a text, it begins with this", "TEXT"},
        {"soft-tokens", UL_OPT_INT, AT(soft_rows), "5", 1, 64, NULL, "soft rows of an arm", "N"},
        {"soft-dims", UL_OPT_INT, AT(dims), "10", 1, UL_SOBOL_MOST, NULL, "dimensions that arms are drawn in", "N"},
        {"soft-scale", UL_OPT_REAL, AT(scale), "1", 0, 1e3, NULL, "length of a soft row, in lengths of an average embedding", "X"},
        {"arms", UL_OPT_INT, AT(arms), "1000", 2, 1000000, NULL, "points of the cube", "N"},
        {"arms-scored", UL_OPT_INT, AT(scored), "1000", 0, 1000000, NULL, "of them the network looks at before a pick; 0 is all", "N"},
        {"rounds", UL_OPT_INT, AT(rounds), "3", 1, 1000, NULL, "of the outer loop", "N"},
        {"first", UL_OPT_INT, AT(first), "40", 1, 100000, NULL, "arms tried by chance in each round", "N"},
        {"keep", UL_OPT_INT, AT(keep), "0", 0, 100000, NULL, "of the best so far the network learns; 0 is all", "N"},
        {"picks", UL_OPT_INT, AT(picks), "20", 0, 100000, NULL, "arms of each round that the network picks; 0 searches by chance alone", "N"},
        {"fit-steps", UL_OPT_INT, AT(fit), "1000", 1, 1000000, NULL, "steps by which the network learns before a pick", "N"},
        {"explore", UL_OPT_REAL, AT(nu), "0.1", 0, 1e6, NULL, "ν, weight of what the network does not know", "X"},
        {"responses", UL_OPT_INT, AT(responses), "16", 2, 4096, NULL, "answers drawn to judge an instruction", "N"},
        {"instruction-tokens", UL_OPT_INT, AT(instruction_tokens), "0", 0, 4096, NULL, "of an instruction at most; 0 is 64, or 8 where it is the beginning of a text", "N"},
        {"instruction-temperature", UL_OPT_REAL, AT(instruction_temperature), "-1", -1, 100, NULL, "by which it is written; below 0 it is 0, or 1 where it is the beginning of a text", "T"},
        {"response-tokens", UL_OPT_INT, AT(response_tokens), "64", 1, 65536, NULL, "of an answer at most", "N"},
        {"reveal-temperature", UL_OPT_REAL, AT(temperature), "1", 0, 100, NULL, "of the answers", "T"},
        {"surprise", UL_OPT_REAL, AT(surprise), "6", 0, 100, NULL, "answers of which the model itself is less sure than this, in nats a token, are gibberish; 0 is off", "X"},
        {"relevance-weight", UL_OPT_REAL, AT(relevance_weight), "1", 0, 1e6, NULL, "w_R of the harmonic mean", "W"},
        {"diversity-weight", UL_OPT_REAL, AT(diversity_weight), "1", 0, 1e6, NULL, "w_D of the harmonic mean", "W"},
        {"best", UL_OPT_INT, AT(best), "10", 1, 100000, NULL, "instructions that are answered again at the end, to fill the rows", "N"},
        {"more", UL_OPT_INT, AT(more), "4", 0, 1000, NULL, "times, at most, that each is", "N"},
        {0},
};

struct instruction {
	char *text; /* "" where the model wrote none */
	int arm; /* the first that led to it */
	double relevance, vendi, reward;
};

struct telling {
	ul_source_job *j;
	const struct config *c;
	ul_model *m;
	ul_scoring own, *scorer; /* own: opened here */
	ul_arms arms;
	ul_arena arena;
	ul_ids meta;
	int ask; /* settled */
	struct instruction *told; /* [tries]: distinct ones */
	int distinct, tries, tried;
	ul_seen rows;
	int64_t drawn, tokens, beside, gibberish, repeated, empty;
	double sum; /* of scores at the end, and their number */
	int64_t summed;
};

/* ---- asking ---- */

static const char *template_of(const struct telling *t)
{
	return t->ask == ASK_QA ? "qa" : t->ask == ASK_CHAT ? "chat"
	                                                    : "plain";
}

static bool encode(const struct telling *t, const char *instruction, ul_ids *out, ul_err *err)
{
	ul_data_config how = {.templ = template_of(t)};
	if (t->ask == ASK_PLAIN)
		return ul_text_encode(t->m, instruction, strlen(instruction), out, err);
	return ul_prompt_encode(t->m, &how, instruction, out, err);
}

/* The first line with something in it; of a text that is only begun, what it begins with too. */
static char *first_line(ul_arena *a, const char *front, const char *text)
{
	ul_buf whole = {0};
	ul_buf_str(&whole, front);
	ul_utf8_mend(text, strlen(text), &whole);
	const char *s = whole.data ? whole.data : "";
	s += *front ? 0 : strspn(s, " \t\r\n");
	size_t front_n = strlen(front), n = whole.len ? front_n + strcspn(s + front_n, "\r\n") : 0;
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	char *out = ul_arena_printf(a, "%.*s", (int)n, s);
	ul_buf_release(&whole);
	return out;
}

/* What the model writes behind the soft rows of an arm: greedily, as INSTINCT does, when it can be asked for an instruction; a model that
 * only goes on with texts writes much the same behind most soft prompts then, and draws. */
static char *write_instruction(struct telling *t, int arm, ul_err *err)
{
	ul_arena a = {0};
	ul_gen *g = NULL;
	int most = t->c->instruction_tokens ? (int)t->c->instruction_tokens : t->ask == ASK_PLAIN ? 8
	                                                                                          : 64;
	ul_gen_config how = ul_gen_greedy(most);
	size_t n = (size_t)t->arms.rows * (size_t)t->arms.width;
	float *soft = ul_alloc(&a, n * sizeof *soft);
	char *text = NULL;
	if (!soft) {
		ul_nomem(err, n * sizeof *soft);
	} else {
		ul_arms_soft(&t->arms, arm, soft);
		how.soft = soft;
		how.soft_rows = t->arms.rows;
		how.temperature = t->c->instruction_temperature >= 0 ? t->c->instruction_temperature : t->ask == ASK_PLAIN;
		how.seed = t->j->seed + (uint64_t)arm;
		if (ul_generate(t->m, &t->meta, 1, &how, &a, &g, err)) {
			t->tokens += g->n;
			text = first_line(&t->arena, t->ask == ASK_PLAIN && t->c->meta ? t->c->meta : "", g->text);
			if (!text)
				ul_nomem(err, strlen(g->text));
		}
	}
	ul_arena_release(&a);
	return text;
}

/* ---- answers ---- */

struct answers {
	ul_arena arena;
	ul_gen *g;
	const char **text;
	double *score;
	int n;
};

static bool answer(struct telling *t, const char *instruction, uint64_t draw, struct answers *a, ul_err *err)
{
	const struct config *c = t->c;
	ul_ids prompt = {0};
	ul_gen_config how = {.max_new = (int)c->response_tokens, .temperature = c->temperature, .top_p = 1, .beams = 1, .samples = (int)c->responses};
	how.seed = t->j->seed + ul_digest(instruction, strlen(instruction)) + draw;
	*a = (struct answers){.n = (int)c->responses};
	a->text = ul_alloc(&a->arena, (size_t)a->n * sizeof *a->text);
	a->score = ul_alloc(&a->arena, (size_t)a->n * sizeof *a->score);
	bool ok = !a->arena.failed || ul_nomem(err, (size_t)a->n * sizeof *a->text);
	ok = ok && encode(t, instruction, &prompt, err) && ul_generate(t->m, &prompt, 1, &how, &a->arena, &a->g, err);
	for (int i = 0; ok && i < a->n; i++) {
		ul_buf mended = {0}; /* the beginning of a text is part of what was said */
		ul_buf_str(&mended, t->ask == ASK_PLAIN ? instruction : "");
		ul_utf8_mend(a->g[i].text, strlen(a->g[i].text), &mended);
		a->text[i] = ul_arena_strdup(&a->arena, mended.data ? mended.data : "");
		ok = (a->text[i] && !mended.failed) || ul_nomem(err, mended.len);
		ul_buf_release(&mended);
		t->tokens += a->g[i].n;
	}
	ul_ids_release(&prompt);
	t->drawn += a->n;
	return ok && ul_scoring_run(t->scorer, a->text, a->n, a->score, err);
}

static double surprise(const ul_gen *g)
{
	return g->n ? -g->logp / g->n : INFINITY;
}

static bool gibberish(const struct telling *t, const ul_gen *g)
{
	return t->c->surprise > 0 && surprise(g) > t->c->surprise;
}

static bool blank(const char *s)
{
	return !s[strspn(s, " \t\r\n")];
}

static bool diversity(struct telling *t, const struct answers *a, double *vendi, ul_err *err)
{
	size_t width = (size_t)t->m->cfg.hidden;
	double *x = ul_malloc((size_t)a->n * width * sizeof *x);
	bool ok = x || ul_nomem(err, (size_t)a->n * width * sizeof *x);
	ok = ok && ul_text_vectors(t->m, a->text, a->n, x, err) && ul_vendi(x, a->n, (int)width, vendi, err);
	ul_free(x);
	return ok;
}

static json_t *record_of(const struct telling *t, const struct instruction *in, const struct answers *a, int i, int64_t draw)
{
	json_t *source = json_pack("{s:s, s:s, s:s, s:i, s:f, s:f, s:f, s:I, s:I, s:i, s:f, s:f}", "name", "reveal", "scorer", t->c->scorer, "instruction", in->text, "arm", in->arm,
	        "reward", in->reward, "relevance", in->relevance, "vendi", in->vendi, "seed", (json_int_t)t->j->seed, "again", (json_int_t)draw, "draw", i, "score", a->score[i], "logp", a->g[i].logp);
	if (t->ask != ASK_PLAIN)
		return json_pack("{s:s, s:s, s:o}", "prompt", in->text, "response", a->text[i], "source", source);
	return json_pack("{s:s, s:o}", "text", a->text[i], "source", source);
}

/* Relevant answers that were not given before become rows. */
static bool keep(struct telling *t, const struct instruction *in, const struct answers *a, int64_t draw, ul_err *err)
{
	for (int i = 0; i < a->n && t->j->out->n < t->c->n; i++) {
		int64_t *why = NULL;
		if (blank(a->g[i].text))
			why = &t->empty;
		else if (a->score[i] < t->c->threshold || a->score[i] == 0)
			why = &t->beside;
		else if (gibberish(t, &a->g[i]))
			why = &t->gibberish;
		else if (!ul_seen_add(&t->rows, ul_digest(a->text[i], strlen(a->text[i])) + (t->ask == ASK_PLAIN ? 0 : ul_digest(in->text, strlen(in->text)))))
			why = &t->repeated;
		if (why) {
			++*why;
			continue;
		}
		json_t *record = record_of(t, in, a, i, draw);
		bool ok = record ? ul_dataset_add(t->j->out, record, err) : ul_nomem(err, strlen(a->text[i]));
		json_decref(record);
		if (!ok)
			return false;
	}
	return !t->rows.failed || ul_nomem(err, 64);
}

/* ---- the search ---- */

static struct instruction *known(struct telling *t, const char *text)
{
	for (int i = 0; i < t->distinct; i++)
		if (!strcmp(t->told[i].text, text))
			return &t->told[i];
	return NULL;
}

static bool judge(struct telling *t, struct instruction *in, ul_err *err)
{
	struct answers a;
	bool ok = answer(t, in->text, 0, &a, err) && diversity(t, &a, &in->vendi, err);
	for (int i = 0; ok && i < a.n; i++)
		in->relevance += gibberish(t, &a.g[i]) ? 0 : a.score[i] / a.n;
	in->reward = ul_harmonic(in->relevance, t->c->relevance_weight, ul_vendi_share(in->vendi, a.n), t->c->diversity_weight);
	ok = ok && keep(t, in, &a, 0, err);
	ul_arena_release(&a.arena);
	return ok;
}

/* Soft prompts that lead to the same instruction are worth the same, and it is answered once. */
static bool reward(void *ud, int arm, double *out, ul_err *err)
{
	struct telling *t = ud;
	const ul_progress *p = t->j->progress;
	char *text = write_instruction(t, arm, err);
	if (!text)
		return false;
	struct instruction *in = known(t, text);
	if (!in) {
		in = &t->told[t->distinct++];
		*in = (struct instruction){.text = text, .arm = arm};
		if (*text && !judge(t, in, err))
			return false;
	}
	*out = in->reward;
	t->tried++;
	if (p && p->tick)
		p->tick(p->ud, "reveal", t->tried, t->tries, in->reward, 0);
	return !(p && p->stop && p->stop(p->ud)) || ul_fail(err, "interrupted after %d of %d instructions", t->tried, t->tries);
}

static int by_reward(const void *x, const void *y)
{
	const struct instruction *a = x, *b = y;
	return a->reward != b->reward ? (a->reward > b->reward ? -1 : 1) : a->arm - b->arm;
}

static int best_of(const struct telling *t)
{
	int n = t->distinct < t->c->best ? t->distinct : (int)t->c->best;
	while (n && t->told[n - 1].reward <= 0)
		n--;
	return n;
}

/* The best instructions are answered again and again until there are rows enough. */
static bool fill(struct telling *t, ul_err *err)
{
	qsort(t->told, (size_t)t->distinct, sizeof *t->told, by_reward);
	int best = best_of(t);
	for (int i = 0; i < best; i++) {
		t->sum += t->told[i].relevance;
		t->summed++;
	}
	for (int64_t again = 1; again <= t->c->more; again++)
		for (int i = 0; i < best && t->j->out->n < t->c->n; i++) {
			struct answers a;
			bool ok = answer(t, t->told[i].text, (uint64_t)again << 32, &a, err) && keep(t, &t->told[i], &a, again, err);
			ul_arena_release(&a.arena);
			if (!ok)
				return false;
		}
	return true;
}

static void summarise(struct telling *t, const ul_try *tried, int n)
{
	double chance = 0, chosen = 0;
	for (int i = 0; i < n; i++) {
		double *best = tried[i].chosen ? &chosen : &chance;
		*best = tried[i].reward > *best ? tried[i].reward : *best;
	}
	json_t *dropped = json_pack("{s:I, s:I, s:I, s:I}", "beside_the_point", (json_int_t)t->beside, "gibberish", (json_int_t)t->gibberish, "repeated", (json_int_t)t->repeated, "empty", (json_int_t)t->empty);
	json_t *v = json_pack("{s:i, s:i, s:f, s:f, s:f, s:I, s:I, s:o}", "tried", n, "instructions", t->distinct, "best_by_chance", chance, "best_picked", chosen, "relevance",
	        t->summed ? t->sum / (double)t->summed : 0.0, "drawn", (json_int_t)t->drawn, "tokens", (json_int_t)t->tokens, "dropped", dropped);
	json_object_update(t->j->summary, v);
	json_decref(v);
	if (t->j->out->n == 0) {
		double best = 0;
		for (int i = 0; i < t->distinct; i++)
			best = t->told[i].relevance > best ? t->told[i].relevance : best;
		char text[320];
		snprintf(text, sizeof text, "the model reveals nothing that \"%.120s\" looks for: of %d answers to %d instructions none scores %g (the best instruction: %.2g on average)",
		        t->c->scorer, (int)t->drawn, t->distinct, t->c->threshold, best);
		json_object_set_new(t->j->summary, "nothing", json_string(text));
	}
}

static bool search(struct telling *t, ul_err *err)
{
	const struct config *c = t->c;
	ul_search s = {.arms = t->arms.n, .x = t->arms.x, .rounds = (int)c->rounds, .first = (int)c->first, .keep = (int)c->keep, .picks = (int)c->picks, .scored = (int)c->scored};
	ul_try *tried = ul_calloc((size_t)t->tries + 1, sizeof *tried);
	int n = 0;
	s.ucb = ul_ucb_defaults(t->arms.width);
	s.ucb.seed = t->j->seed;
	s.ucb.steps = (int)c->fit;
	s.ucb.nu = c->nu;
	s.reward = reward;
	s.ud = t;
	bool ok = (tried || ul_nomem(err, (size_t)t->tries * sizeof *tried)) && ul_search_run(&s, tried, &n, err) && fill(t, err);
	if (ok && t->j->summary)
		summarise(t, tried, n);
	ul_free(tried);
	return ok;
}

/* ---- before it ---- */

static bool settle(struct telling *t, ul_err *err)
{
	static const char asked[] = "Write one question or request about a particular subject.";
	const struct config *c = t->c;
	bool chats = ul_tok_chat_template(t->m->tok) != NULL;
	t->ask = c->ask != ASK_AUTO ? c->ask : chats ? ASK_CHAT
	                                             : ASK_PLAIN;
	if (t->ask == ASK_CHAT && !chats)
		return ul_fail(err, "--ask chat: the model has no chat template");
	t->tries = (int)(c->rounds * (c->first + c->picks) < c->arms ? c->rounds * (c->first + c->picks) : c->arms);
	t->told = ul_alloc(&t->arena, ((size_t)t->tries + 1) * sizeof *t->told);
	if (!t->told)
		return ul_nomem(err, (size_t)t->tries * sizeof *t->told);
	if (t->ask == ASK_CHAT)
		return encode(t, c->meta ? c->meta : asked, &t->meta, err);
	return ul_text_encode(t->m, c->meta ? c->meta : "", c->meta ? strlen(c->meta) : 0, &t->meta, err);
}

static bool prepare(void *config, ul_err *err)
{
	struct config *c = config;
	if (!c->scorer || !ul_scoring_early(c->scorer))
		return true;
	c->ready = ul_calloc(1, sizeof *c->ready);
	if (!c->ready)
		return ul_nomem(err, sizeof *c->ready);
	return ul_scoring_open(c->ready, c->scorer, NULL, 0, c->scorer_seconds, err);
}

static void end(void *config)
{
	struct config *c = config;
	if (c->ready)
		ul_scoring_close(c->ready);
	ul_free(c->ready);
	c->ready = NULL;
}

static bool make(ul_source_job *j, ul_err *err)
{
	struct config c = *(const struct config *)j->config;
	struct telling t = {.j = j, .c = &c, .m = j->model, .arms = {.n = (int)c.arms, .dims = (int)c.dims, .rows = (int)c.soft_rows}};
	if (!t.m->tok)
		return ul_fail(err, "the source \"reveal\" needs a tokenizer, which %s has not", t.m->path ? t.m->path : "the model");
	if (!c.scorer && j->subjects)
		c.scorer = ul_arena_printf(&t.arena, "terms:@%s", j->subjects);
	if (!c.scorer) {
		ul_fail(err, "the source \"reveal\" must know what to look for");
		ul_hint(err, "--scorer NAME:ARG says it, for example --scorer entities:EMAIL; `unlearn scorers` lists them");
	}
	t.scorer = c.ready ? c.ready : &t.own;
	t.scorer->model = t.m;
	bool ok = c.scorer && (c.ready || ul_scoring_open(&t.own, c.scorer, t.m, j->seed, c.scorer_seconds, err)) && settle(&t, err);
	ok = ok && ul_arms_make(&t.arms, t.m, &t.meta, c.scale, j->seed, err) && search(&t, err);
	ul_scoring_close(&t.own);
	ul_arms_release(&t.arms);
	ul_ids_release(&t.meta);
	ul_seen_release(&t.rows);
	ul_arena_release(&t.arena);
	return ok;
}

const ul_source ul_source_reveal = {
        .name = "reveal",
        .title = "what the model tells when it is asked the right way",
        .paper = "Zhu et al. 2025, Reveal and Release: Iterative LLM Unlearning with Self-generated Data, arXiv 2509.14624",
        .notes = "NeuralUCB looks for instructions whose answers are relevant, as a scorer sees it, and diverse (Vendi score); the weighted harmonic mean of both is the reward. "
                 "Known from the paper: the search, its two loops, the score's parts. Reconstructed: sizes, weights, the embedding of answers, and that instructions are written out.",
        .config = sizeof(struct config),
        .opts = opts,
        .prepare = prepare,
        .end = end,
        .make = make,
};
