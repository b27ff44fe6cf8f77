/*
 * generate.c: many prompts and many samples decoded together. A sequence that ends leaves its slot to the next one in the queue, and
 * the prompt of several samples is computed once and copied. Every sample draws from its own stream, so that neither the size
 * nor the company of a batch changes what it says.
 */
#include "model/decode.h"

#include "tensor/backend.h"
#include "text/unicode.h"

#include <string.h>

/* ---- text ---- */

size_t ul_utf8_whole(const char *s, size_t n)
{
	size_t back = 0;
	while (back < 3 && back < n && ((unsigned char)s[n - 1 - back] & 0xC0) == 0x80)
		back++;
	if (back == n)
		return n; /* stray continuation bytes: nothing to wait for */
	unsigned char lead = (unsigned char)s[n - 1 - back];
	size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3
	                         : lead >= 0xC0       ? 2
	                                              : 1;
	return want > back + 1 ? n - 1 - back : n;
}

void ul_utf8_mend(const char *s, size_t n, ul_buf *out)
{
	const unsigned char *p = (const unsigned char *)s;
	for (size_t i = 0; i < n;) {
		int skip = 1, whole = ul_utf8_valid(p + i, n - i, &skip);
		if (whole)
			ul_buf_add(out, s + i, (size_t)whole);
		else
			ul_buf_str(out, "\xEF\xBF\xBD");
		i += (size_t)(whole ? whole : skip);
	}
}

/* A few ids of the prompt go in front, so that a decoder which drops the first blank of a text drops it there. */
void ul_gen_text(const ul_tok *t, const int *prompt, int prompt_n, const int *ids, int n, ul_buf *out)
{
	enum { CONTEXT = 4 };
	int from = prompt_n;
	ul_buf front = {0}, whole = {0};
	while (from > 0 && prompt_n - from < CONTEXT && !ul_tok_is_special(t, prompt[from - 1]))
		from--;
	int all = prompt_n - from + n, *joined = ul_malloc((size_t)(all + 1) * sizeof *joined);
	if (!joined) {
		out->failed = true;
		return;
	}
	if (prompt_n > from)
		memcpy(joined, prompt + from, (size_t)(prompt_n - from) * sizeof *joined);
	if (n)
		memcpy(joined + prompt_n - from, ids, (size_t)n * sizeof *joined);
	ul_tok_decode(t, joined, prompt_n - from, false, &front);
	ul_tok_decode(t, joined, all, false, &whole);
	if (front.len <= whole.len && (front.len == 0 || !memcmp(front.data, whole.data, front.len)))
		ul_buf_add(out, whole.data + front.len, whole.len - front.len);
	else
		ul_tok_decode(t, ids, n, false, out);
	ul_buf_release(&front);
	ul_buf_release(&whole);
	ul_free(joined);
}

/* ---- ends ---- */

bool ul_gen_is_eos(const ul_model *m, const ul_gen_config *c, int id)
{
	if (c->ignore_eos)
		return false;
	for (int i = 0; i < m->cfg.eos_n; i++)
		if (m->cfg.eos[i] == id)
			return true;
	return m->tok && ul_tok_eos(m->tok) == id;
}

/* Where the earliest stop string begins in s, or SIZE_MAX. */
static size_t find_stop(const ul_gen_config *c, const ul_buf *s)
{
	size_t first = SIZE_MAX;
	for (size_t i = 0; c->stop && c->stop[i] && s->data; i++) {
		const char *at = *c->stop[i] ? memmem(s->data, s->len, c->stop[i], strlen(c->stop[i])) : NULL;
		if (at && (size_t)(at - s->data) < first)
			first = (size_t)(at - s->data);
	}
	return first;
}

ul_gen_stop ul_gen_stopped(const ul_model *m, const ul_gen_config *c, const ul_ids *prompt, const int *ids, int n)
{
	ul_gen_stop s = {.keep = n, .cut = SIZE_MAX};
	if (!c->stop || !m->tok)
		return s;
	ul_buf text = {0};
	ul_gen_text(m->tok, prompt->id, prompt->n, ids, n, &text);
	s.cut = find_stop(c, &text);
	s.found = s.cut != SIZE_MAX;
	for (; s.found && s.keep > 0; s.keep--) {
		text.len = 0;
		ul_gen_text(m->tok, prompt->id, prompt->n, ids, s.keep - 1, &text);
		if (text.len < s.cut)
			break;
	}
	ul_buf_release(&text);
	return s;
}

bool ul_gen_finish(const ul_model *m, const ul_ids *prompt, ul_gen *g, size_t cut, ul_arena *a, ul_err *err)
{
	int *ids = ul_alloc(a, (size_t)(g->n + 1) * sizeof *ids);
	ul_buf text = {0};
	if (!ids)
		return ul_nomem(err, (size_t)g->n * sizeof *ids);
	if (g->n)
		memcpy(ids, g->ids, (size_t)g->n * sizeof *ids);
	g->ids = ids;
	if (!m->tok)
		return true;
	ul_gen_text(m->tok, prompt->id, prompt->n, g->ids, g->n, &text);
	size_t n = text.len < cut ? text.len : cut;
	g->text = text.failed ? NULL : ul_alloc(a, n + 1);
	if (g->text && n)
		memcpy(g->text, text.data, n);
	ul_buf_release(&text);
	return g->text || ul_nomem(err, (size_t)g->n);
}

/* ---- the batch ---- */

struct seq { /* one sample on its way */
	int prompt, sample, slot, n;
	ul_rng rng;
	int *ids; /* [max_new] */
	double *logp; /* [max_new] */
	ul_choice next;
};

struct job {
	ul_model *m;
	const ul_gen_config *c;
	const ul_ids *prompt;
	int prompts, samples;
	int64_t queued, total; /* samples started, of all */
	ul_decoder d;
	struct seq *live; /* [batch] */
	int lives, batch;
	int held; /* the prompt that the spare slot `batch` holds, -1 = none */
	ul_arena *a;
	ul_gen *out;
};

static int batch_by_memory(const ul_model *m, int capacity, int64_t total)
{
	const size_t budget = (size_t)512 << 20;
	size_t slot = (size_t)capacity * (size_t)m->cfg.kv_heads * (size_t)m->cfg.head_dim * 2 * m->be->elem * (size_t)m->cfg.layers + (size_t)m->cfg.vocab * sizeof(float);
	size_t fit = budget / (slot + 1);
	fit = fit < 1 ? 1 : fit > 64 ? 64
	                             : fit;
	return (int64_t)fit < total ? (int)fit : (int)total;
}

bool ul_gen_feed(ul_decoder *d, const ul_gen_config *c, ul_feed *feed, const int *prompt, int n, ul_err *err)
{
	ul_feed *soft = c->soft ? ul_calloc((size_t)n + 1, sizeof *soft) : NULL;
	size_t width = (size_t)c->soft_rows * (size_t)d->m->cfg.hidden;
	bool ok = !c->soft || soft || ul_nomem(err, (size_t)n * sizeof *soft);
	int ids = 0;
	for (int i = 0; ok && soft && i < n; i++)
		soft[i] = (ul_feed){.slot = feed[i].slot, .n = c->soft_rows, .soft = c->soft + (size_t)prompt[i] * width};
	for (int i = 0; i < n; i++)
		if (feed[i].n)
			feed[ids++] = feed[i];
	ok = ok && (!soft || !n || ul_decoder_feed(d, soft, n, err)) && (!ids || ul_decoder_feed(d, feed, ids, err));
	ul_free(soft);
	return ok;
}

/* Prompts of new sequences are computed here, in one pass unless they are shared between samples. */
static bool refill(struct job *j, ul_err *err)
{
	ul_feed *feed = ul_malloc((size_t)j->batch * sizeof *feed);
	int *of = ul_malloc((size_t)j->batch * sizeof *of), fed = 0;
	bool ok = (feed && of) || ul_nomem(err, (size_t)j->batch * sizeof *feed);
	for (; ok && j->lives < j->batch && j->queued < j->total; j->queued++) {
		struct seq *s = &j->live[j->lives++];
		s->prompt = (int)(j->queued / j->samples);
		s->sample = (int)(j->queued % j->samples);
		s->n = 0;
		s->rng = ul_rng_at(j->c->seed, "generate", (uint64_t)s->prompt * 65536 + (uint64_t)s->sample);
		const ul_ids *p = &j->prompt[s->prompt];
		if (j->samples == 1) {
			ul_decoder_clear(&j->d, s->slot);
			of[fed] = s->prompt;
			feed[fed++] = (ul_feed){.slot = s->slot, .ids = p->id, .n = p->n};
			continue;
		}
		if (j->held != s->prompt) {
			ul_decoder_clear(&j->d, j->batch);
			ok = ul_gen_feed(&j->d, j->c, &(ul_feed){.slot = j->batch, .ids = p->id, .n = p->n}, &s->prompt, 1, err);
			j->held = s->prompt;
		}
		ul_decoder_share(&j->d, j->batch, s->slot, j->c->soft_rows + p->n);
		memcpy(ul_decoder_logits(&j->d, s->slot), ul_decoder_logits(&j->d, j->batch), (size_t)j->d.vocab * sizeof(float));
	}
	ok = ok && ul_gen_feed(&j->d, j->c, feed, of, fed, err);
	ul_free(feed);
	ul_free(of);
	return ok;
}

static double temperature_at(const ul_gen_config *c, int step)
{
	if (c->temperature_from <= 0 || step >= c->temperature_steps)
		return c->temperature;
	return c->temperature_from + (c->temperature - c->temperature_from) * step / c->temperature_steps;
}

static void choose(struct job *j)
{
#pragma omp parallel for schedule(dynamic, 1) num_threads(ul_threads()) if (j->lives > 1)
	for (int i = 0; i < j->lives; i++) {
		struct seq *s = &j->live[i];
		double t = temperature_at(j->c, s->n), u = t > 0 ? ul_rng_uniform(&s->rng) : 0;
		s->next = ul_choose(ul_decoder_logits(&j->d, s->slot), j->d.vocab, t, j->c, u, ul_decoder_work(&j->d));
	}
}

static bool finish(struct job *j, struct seq *s, ul_gen_stop at, enum ul_finish how, ul_err *err)
{
	ul_gen *g = &j->out[(int64_t)s->prompt * j->samples + s->sample];
	*g = (ul_gen){.prompt = s->prompt, .sample = s->sample, .ids = s->ids, .n = at.keep, .finish = how};
	g->token_logp = ul_alloc(j->a, (size_t)(at.keep + 1) * sizeof *g->token_logp);
	if (!g->token_logp)
		return ul_nomem(err, (size_t)at.keep * sizeof *g->token_logp);
	for (int i = 0; i < at.keep; i++)
		g->logp += g->token_logp[i] = s->logp[i];
	return ul_gen_finish(j->m, &j->prompt[s->prompt], g, at.cut, j->a, err);
}

/* Recitation is sure of every token; a model that has come to the end of what it remembers is not. */
static bool doubts(const ul_gen_config *c, const struct seq *s, int *keep)
{
	enum { WINDOW = 8 };
	double sum = 0;
	if (c->doubt >= 0 || s->n < c->doubt_from + WINDOW)
		return false;
	for (int i = s->n - WINDOW; i < s->n; i++)
		sum += s->logp[i];
	for (*keep = s->n - WINDOW; s->logp[*keep] >= c->doubt && *keep < s->n - 1; ++*keep)
		;
	return sum < WINDOW * c->doubt;
}

/* Takes the chosen token; *over when the sequence has ended with it. */
static bool accept(struct job *j, struct seq *s, bool *over, ul_err *err)
{
	const ul_ids *prompt = &j->prompt[s->prompt];
	ul_gen_stop all = {.keep = s->n, .cut = SIZE_MAX}, part = all;
	*over = true;
	if (s->next.id < 0)
		return ul_fail(err, "the model's output is not a number");
	if (ul_gen_is_eos(j->m, j->c, s->next.id))
		return finish(j, s, all, UL_FINISH_EOS, err);
	s->ids[s->n] = s->next.id;
	s->logp[s->n] = s->next.logp;
	all.keep = ++s->n;
	if (j->c->on_token && !j->c->on_token(j->c->ud, s->prompt, s->sample, s->next.id))
		return ul_fail(err, "interrupted");
	ul_gen_stop stop = ul_gen_stopped(j->m, j->c, prompt, s->ids, s->n);
	if (stop.found)
		return finish(j, s, stop, UL_FINISH_STOP, err);
	if (doubts(j->c, s, &part.keep))
		return finish(j, s, part, UL_FINISH_DOUBT, err);
	if (s->n == j->c->max_new)
		return finish(j, s, all, UL_FINISH_LENGTH, err);
	if (j->c->soft_rows + prompt->n + s->n >= j->m->cfg.context)
		return finish(j, s, all, UL_FINISH_CONTEXT, err);
	*over = false;
	return true;
}

static bool advance(struct job *j, ul_feed *feed, ul_err *err)
{
	choose(j);
	for (int i = 0; i < j->lives;) {
		struct seq *s = &j->live[i];
		bool over;
		if (!accept(j, s, &over, err))
			return false;
		if (over) { /* the last takes its place; buffers and slot stay with the empty one */
			struct seq gone = *s;
			*s = j->live[--j->lives];
			j->live[j->lives] = gone;
			continue;
		}
		i++;
	}
	for (int i = 0; i < j->lives; i++)
		feed[i] = (ul_feed){.slot = j->live[i].slot, .ids = &j->live[i].ids[j->live[i].n - 1], .n = 1};
	return j->lives == 0 || ul_decoder_feed(&j->d, feed, j->lives, err);
}

static bool run(struct job *j, ul_err *err)
{
	ul_arena own = {0};
	ul_feed *feed = ul_alloc(&own, (size_t)j->batch * sizeof *feed);
	j->live = ul_alloc(&own, (size_t)j->batch * sizeof *j->live);
	for (int i = 0; !own.failed && i < j->batch; i++) {
		j->live[i].slot = i;
		j->live[i].ids = ul_alloc(&own, (size_t)j->c->max_new * sizeof(int));
		j->live[i].logp = ul_alloc(&own, (size_t)j->c->max_new * sizeof(double));
	}
	bool ok = !own.failed || ul_nomem(err, (size_t)j->batch * (size_t)j->c->max_new);
	while (ok && (j->queued < j->total || j->lives)) {
		/* While many wait, a few free slots are filled at once: one pass over several prompts costs little more than over one. */
		if (j->lives <= j->batch - (j->batch + 7) / 8 || j->lives == 0)
			ok = refill(j, err);
		ok = ok && advance(j, feed, err);
	}
	ul_arena_release(&own);
	return ok;
}

static bool check(const ul_model *m, const ul_ids *prompt, int n, const ul_gen_config *c, int *longest, ul_err *err)
{
	if (c->max_new < 1)
		return ul_fail(err, "%d new tokens are asked for, at least 1 is needed", c->max_new);
	if (c->samples > 65536)
		return ul_fail(err, "%d samples of a prompt are over the limit of 65536", c->samples);
	if (c->beams > 1 && c->samples > c->beams)
		return ul_fail(err, "%d samples are asked of %d beams", c->samples, c->beams);
	for (int i = 0; i < n; i++) {
		if (prompt[i].n + c->soft_rows < 1)
			return ul_fail(err, "prompt %d is empty and the tokenizer puts nothing in front of it", i + 1);
		if (prompt[i].n > m->cfg.context - 1 - c->soft_rows)
			return ul_fail(err, "prompt %d has %d tokens, the context holds %d and one more must fit", i + 1, c->soft_rows + prompt[i].n, m->cfg.context);
		for (int t = 0; t < prompt[i].n; t++)
			if (prompt[i].id[t] < 0 || prompt[i].id[t] >= m->cfg.vocab)
				return ul_fail(err, "token id %d of prompt %d is outside the vocabulary of %d", prompt[i].id[t], i + 1, m->cfg.vocab);
		*longest = c->soft_rows + prompt[i].n > *longest ? c->soft_rows + prompt[i].n : *longest;
	}
	return true;
}

bool ul_generate(ul_model *m, const ul_ids *prompt, int n, const ul_gen_config *c, ul_arena *a, ul_gen **out, ul_err *err)
{
	int longest = 0, samples = c->samples > 0 ? c->samples : 1;
	if (!check(m, prompt, n, c, &longest, err))
		return false;
	ul_gen *g = ul_alloc(a, ((size_t)n * (size_t)samples + 1) * sizeof *g);
	if (!g)
		return ul_nomem(err, (size_t)n * (size_t)samples * sizeof *g);
	bool ok = true;
	if (c->beams > 1) {
		ok = ul_generate_beams(m, prompt, n, c, a, g, err);
	} else if (n > 0) {
		struct job j = {.m = m, .c = c, .prompt = prompt, .prompts = n, .samples = samples, .total = (int64_t)n * samples, .held = -1, .a = a, .out = g};
		int capacity = c->max_new > m->cfg.context - longest ? m->cfg.context : longest + c->max_new;
		j.batch = batch_by_memory(m, capacity, j.total);
		if (c->batch > 0)
			j.batch = c->batch < j.total ? c->batch : (int)j.total;
		ok = ul_decoder_init(&j.d, m, j.batch + (samples > 1), capacity, err) && run(&j, err);
		ul_decoder_release(&j.d);
	}
	if (ok)
		*out = g;
	return ok;
}

ul_gen_config ul_gen_greedy(int max_new)
{
	return (ul_gen_config){.max_new = max_new, .top_p = 1, .beams = 1, .samples = 1};
}
