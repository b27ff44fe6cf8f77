/*
 * beams.c: the most probable continuations, by beam search over sums of log-probabilities without a length penalty. Since a sum can
 * only fall, the search ends as soon as no living beam can beat the worst of those that have ended.
 *
 * Searches of several prompts go side by side, in slots of one decoder: weights that are read for one are read for all.
 */
#include "model/decode.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

struct beam {
	int slot, n;
	int *ids; /* [max_new] */
	double logp;
	enum ul_finish finish;
	size_t cut; /* of the text */
};

struct option { /* one beam longer by one token */
	int beam, id;
	double logp;
};

enum { TOGETHER = 32 }; /* slots, unless one search takes more */

struct search { /* of one prompt; its slots are first … first + width - 1 */
	ul_model *m;
	const ul_gen_config *c;
	const ul_ids *prompt;
	ul_decoder *d;
	int width, first, number; /* of the prompt */
	bool over;
	struct beam *live, *next, *done; /* [width] each */
	int lives, dones;
	ul_choice *best; /* [width, 2 * width] */
	struct option *option; /* [2 * width * width] */
	int *found; /* [width] choices of each beam */
	bool *taken; /* [width] slots */
	int *parent; /* [width] */
};

static int by_logp(const void *x, const void *y)
{
	const struct option *a = x, *b = y;
	if (a->logp != b->logp)
		return a->logp > b->logp ? -1 : 1;
	return a->beam != b->beam ? a->beam - b->beam : a->id - b->id;
}

static ul_gen_stop whole(int n)
{
	return (ul_gen_stop){.keep = n, .cut = SIZE_MAX};
}

/* Keeps the best `width` of those that have ended, in order; earlier ones stay in front of equals. */
static void keep_done(struct search *s, const struct beam *b, ul_gen_stop end, double logp, enum ul_finish how)
{
	int at = s->dones;
	while (at > 0 && s->done[at - 1].logp < logp)
		at--;
	if (at == s->width)
		return;
	if (s->dones == s->width)
		s->dones--;
	int *ids = s->done[s->dones].ids; /* the buffer of the one that falls out */
	memmove(&s->done[at + 1], &s->done[at], (size_t)(s->dones - at) * sizeof *s->done);
	memcpy(ids, b->ids, (size_t)end.keep * sizeof *ids);
	s->done[at] = (struct beam){.n = end.keep, .ids = ids, .logp = logp, .finish = how, .cut = end.cut};
	s->dones++;
}

static int options(struct search *s)
{
	int n = 0, k = 2 * s->width;
#pragma omp parallel for schedule(dynamic, 1) num_threads(ul_threads())
	for (int i = 0; i < s->lives; i++)
		s->found[i] = ul_choose_best(ul_decoder_logits(s->d, s->live[i].slot), s->d->vocab, k < s->d->vocab ? k : s->d->vocab, s->best + (size_t)i * (size_t)k, ul_decoder_work(s->d));
	for (int i = 0; i < s->lives; i++)
		for (int o = 0; o < s->found[i]; o++)
			s->option[n++] = (struct option){i, s->best[i * k + o].id, s->live[i].logp + s->best[i * k + o].logp};
	qsort(s->option, (size_t)n, sizeof *s->option, by_logp);
	return n;
}

/* The first child of a beam keeps its slot; others get a copy in the slot of a beam that has no child. */
static void settle(struct search *s, int n)
{
	const int *parent = s->parent;
	bool *taken = s->taken - s->first;
	memset(s->taken, 0, (size_t)s->width);
	for (int i = 0; i < n; i++)
		s->next[i].slot = -1;
	for (int i = 0; i < n; i++)
		if (!taken[s->live[parent[i]].slot]) {
			s->next[i].slot = s->live[parent[i]].slot;
			taken[s->next[i].slot] = true;
		}
	for (int i = 0, free = s->first; i < n; i++) {
		if (s->next[i].slot >= 0)
			continue;
		while (taken[free])
			free++;
		taken[s->next[i].slot = free] = true;
		ul_decoder_share(s->d, s->live[parent[i]].slot, free, s->d->cache.layer[0].len[s->live[parent[i]].slot]);
	}
}

/* From all options to the next beams. */
static bool step(struct search *s, ul_err *err)
{
	int n = options(s), lives = 0;
	bool end = false;
	if (n == 0)
		return ul_fail(err, "the model's output is not a number");
	for (int i = 0; i < n && lives < s->width; i++) {
		const struct option *o = &s->option[i];
		const struct beam *b = &s->live[o->beam];
		struct beam *x = &s->next[lives];
		if (ul_gen_is_eos(s->m, s->c, o->id)) {
			keep_done(s, b, whole(b->n), o->logp, UL_FINISH_EOS);
			continue;
		}
		memcpy(x->ids, b->ids, (size_t)b->n * sizeof *x->ids);
		x->ids[b->n] = o->id;
		x->n = b->n + 1;
		x->logp = o->logp;
		ul_gen_stop stop = ul_gen_stopped(s->m, s->c, s->prompt, x->ids, x->n);
		if (stop.found) {
			keep_done(s, x, stop, x->logp, UL_FINISH_STOP);
			continue;
		}
		s->parent[lives++] = o->beam;
	}
	if (lives) {
		settle(s, lives);
		end = s->next[0].n == s->c->max_new || s->c->soft_rows + s->prompt->n + s->next[0].n >= s->m->cfg.context;
	}
	for (int i = 0; end && i < lives; i++)
		keep_done(s, &s->next[i], whole(s->next[i].n), s->next[i].logp, s->next[i].n == s->c->max_new ? UL_FINISH_LENGTH : UL_FINISH_CONTEXT);
	s->over = end || lives == 0 || (s->dones == s->width && s->done[s->dones - 1].logp >= s->next[0].logp);
	struct beam *swap = s->live;
	s->live = s->next;
	s->next = swap;
	s->lives = lives;
	return true;
}

static void begin(struct search *s, const ul_ids *prompt, int number)
{
	s->prompt = prompt;
	s->number = number;
	s->live[0].slot = s->first;
	s->live[0].n = 0;
	s->live[0].logp = 0;
	s->lives = 1;
	s->dones = 0;
	s->over = false;
	ul_decoder_clear(s->d, s->first);
}

/* Searches that have begun are brought to their ends. feed: [n * width], number: [n] */
static bool search(struct search *s, int n, ul_feed *feed, int *number, ul_err *err)
{
	int fed = n;
	for (int i = 0; i < n; i++) {
		feed[i] = (ul_feed){.slot = s[i].first, .ids = s[i].prompt->id, .n = s[i].prompt->n};
		number[i] = s[i].number;
	}
	bool ok = ul_gen_feed(s->d, s->c, feed, number, n, err);
	while (ok && fed) {
		fed = 0;
		for (int i = 0; ok && i < n; i++) {
			ok = s[i].over || step(&s[i], err);
			for (int b = 0; ok && !s[i].over && b < s[i].lives; b++)
				feed[fed++] = (ul_feed){.slot = s[i].live[b].slot, .ids = &s[i].live[b].ids[s[i].live[b].n - 1], .n = 1};
		}
		ok = ok && (!fed || ul_decoder_feed(s->d, feed, fed, err));
	}
	return ok;
}

static bool reserve(struct search *s, ul_arena *own, ul_err *err)
{
	size_t w = (size_t)s->width;
	struct beam **set[] = {&s->live, &s->next, &s->done};
	s->parent = ul_alloc(own, w * sizeof *s->parent);
	s->best = ul_alloc(own, 2 * w * w * sizeof *s->best);
	s->option = ul_alloc(own, 2 * w * w * sizeof *s->option);
	s->found = ul_alloc(own, w * sizeof *s->found);
	s->taken = ul_alloc(own, w * sizeof *s->taken);
	for (size_t i = 0; i < 3; i++) {
		*set[i] = ul_alloc(own, w * sizeof **set[i]);
		for (size_t b = 0; *set[i] && b < w; b++)
			(*set[i])[b].ids = ul_alloc(own, (size_t)s->c->max_new * sizeof(int));
	}
	return !own->failed || ul_nomem(err, w * w * sizeof *s->option);
}

/* The beams of an ended search, best first. out: [samples] */
static bool tell(const struct search *s, int samples, ul_arena *a, ul_gen *out, ul_err *err)
{
	bool ok = true;
	for (int b = 0; ok && b < samples; b++) {
		out[b] = (ul_gen){.prompt = s->number, .sample = b};
		if (b < s->dones) /* a vocabulary smaller than the beam may not fill it: an empty text then */
			out[b] = (ul_gen){.prompt = s->number, .sample = b, .ids = s->done[b].ids, .n = s->done[b].n, .logp = s->done[b].logp, .finish = s->done[b].finish};
		ok = ul_gen_finish(s->m, s->prompt, &out[b], b < s->dones ? s->done[b].cut : SIZE_MAX, a, err);
	}
	if (ok && s->c->on_token && !s->c->on_token(s->c->ud, s->number, 0, -1))
		ok = ul_fail(err, "interrupted");
	return ok;
}

bool ul_generate_beams(ul_model *m, const ul_ids *prompt, int n, const ul_gen_config *c, ul_arena *a, ul_gen *out, ul_err *err)
{
	int longest = 0, samples = c->samples > 0 ? c->samples : 1, together = c->beams < TOGETHER ? TOGETHER / c->beams : 1;
	if (c->beams > 1024)
		return ul_fail(err, "%d beams are over the limit of 1024", c->beams);
	for (int i = 0; i < n; i++)
		longest = c->soft_rows + prompt[i].n > longest ? c->soft_rows + prompt[i].n : longest;
	if (together > n)
		together = n;
	int capacity = c->max_new > m->cfg.context - longest ? m->cfg.context : longest + c->max_new;
	ul_decoder d = {0};
	ul_arena own = {0};
	struct search *s = ul_alloc(&own, (size_t)together * sizeof *s);
	ul_feed *feed = ul_alloc(&own, (size_t)together * (size_t)c->beams * sizeof *feed);
	int *number = ul_alloc(&own, (size_t)together * sizeof *number);
	bool ok = !own.failed || ul_nomem(err, (size_t)together * sizeof *s);
	for (int i = 0; ok && i < together; i++) {
		s[i] = (struct search){.m = m, .c = c, .d = &d, .width = c->beams, .first = i * c->beams};
		ok = reserve(&s[i], &own, err);
	}
	ok = ok && ul_decoder_init(&d, m, together * c->beams, capacity, err);
	for (int i = 0, k; ok && i < n; i += k) {
		k = n - i < together ? n - i : together;
		for (int g = 0; g < k; g++)
			begin(&s[g], &prompt[i + g], i + g);
		ok = search(s, k, feed, number, err);
		for (int g = 0; ok && g < k; g++)
			ok = tell(&s[g], samples, a, out + (size_t)(i + g) * (size_t)samples, err);
	}
	ul_decoder_release(&d);
	ul_arena_release(&own);
	return ok;
}
