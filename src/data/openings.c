/*
 * openings.c: a bandit over the beginnings of texts. The value of an opening is new finds per draw, with half a find and one draw put
 * in front so that nothing is written off after one failure.
 */
#include "data/openings.h"

#include <string.h>

enum { MAX_OPENINGS = 16384,
	MAX_NAMES = 16384,
	MAX_PAIR = 400 };

/* Room for one more; arrays grow at powers of two. */
static bool grow(void *array, int n, size_t size, ul_err *err)
{
	void **a = array;
	if (n & (n - 1))
		return true;
	void *more = ul_realloc(*a, (size_t)(n ? 2 * n : 1) * size);
	if (!more)
		return ul_nomem(err, (size_t)n * size);
	*a = more;
	return true;
}

static char *copy(ul_openings *p, const char *text, size_t n, ul_err *err)
{
	char *s = ul_alloc(&p->arena, n + 1);
	if (s)
		memcpy(s, text, n);
	else
		ul_nomem(err, n);
	return s;
}

bool ul_opening_add(ul_openings *p, const char *text, size_t n, const ul_ids *ids, double prior, bool head, ul_err *err)
{
	uint64_t digest = ids ? ul_digest(ids->id, (size_t)ids->n * sizeof *ids->id) : ul_digest(text, n);
	if (p->n >= MAX_OPENINGS || !ul_seen_add(&p->known, digest))
		return !p->known.failed || ul_nomem(err, p->known.cap * sizeof digest);
	ul_opening o = {.prior = prior, .head = head};
	if (!grow(&p->at, p->n, sizeof *p->at, err) || !(o.text = copy(p, text, n, err)))
		return false;
	bool ok = ids || ul_text_encode(p->m, o.text, n, &o.ids, err);
	for (int i = 0; ids && i < ids->n; i++)
		ul_ids_add(&o.ids, ids->id[i]);
	ok = ok && (!o.ids.failed || ul_nomem(err, n));
	if (ok && o.ids.n > 0 && o.ids.n < p->m->cfg.context)
		p->at[p->n++] = o;
	else
		ul_ids_release(&o.ids);
	return ok;
}

static const ul_data_config in_chat = {.templ = "chat"};

bool ul_opening_chat(ul_openings *p, const char *said, bool whole, double prior, bool head, ul_err *err)
{
	ul_ids ids = {0};
	char stop[64];
	int before = p->n;
	bool ok = whole ? ul_prompt_encode(p->m, &in_chat, said, &ids, err) : ul_turn_open(p->m, said, &ids, stop, err);
	ok = ok && ul_opening_add(p, said, strlen(said), &ids, prior, head, err);
	if (p->n > before) {
		p->at[before].chat = true;
		p->at[before].whole = whole;
	}
	ul_ids_release(&ids);
	return ok;
}

bool ul_opening_name(ul_openings *p, const char *text, size_t n, ul_err *err)
{
	for (int i = 0; i < p->names; i++)
		if (strlen(p->name[i]) == n && !memcmp(p->name[i], text, n)) {
			p->rows[i]++;
			return true;
		}
	if (p->names >= MAX_NAMES)
		return true;
	if (!grow(&p->name, p->names, sizeof *p->name, err) || !grow(&p->rows, p->names, sizeof *p->rows, err) || !(p->name[p->names] = copy(p, text, n, err)))
		return false;
	p->rows[p->names++] = 1;
	return true;
}

int ul_opening_new(const ul_openings *p, double least)
{
	int best = -1;
	for (int i = 0; i < p->n; i++)
		if (p->at[i].draws == 0 && p->at[i].prior >= least && (best < 0 || p->at[i].prior > p->at[best].prior))
			best = i;
	return best;
}

static double rate(const ul_opening *o)
{
	return (o->fresh + 0.5) / (o->draws + 1.0);
}

int ul_opening_best(const ul_openings *p)
{
	int best = -1;
	for (int i = 0; i < p->n; i++)
		if (p->at[i].draws && (best < 0 || rate(&p->at[i]) > rate(&p->at[best])))
			best = i;
	return best;
}

/* -1 without a message: every head has met every name. */
int ul_opening_pair(ul_openings *p, int names, ul_ids *ids, ul_err *err)
{
	for (;;) {
		ul_opening *best = NULL;
		for (int i = 0; i < p->n; i++) {
			ul_opening *o = &p->at[i];
			if (o->head && o->fresh && o->paired < names && (!best || rate(o) > rate(best)))
				best = o;
		}
		if (!best)
			return -1;
		char text[MAX_PAIR];
		int n = snprintf(text, sizeof text, best->chat ? "%s %s?" : "%s %s", best->text, p->name[best->paired++]);
		if (n >= MAX_PAIR || !ul_seen_add(&p->met, ul_digest(text, (size_t)n)))
			continue;
		bool ok = best->chat ? ul_prompt_encode(p->m, &in_chat, text, ids, err) : ul_text_encode(p->m, text, (size_t)n, ids, err);
		return ok ? (int)(best - p->at) : -1;
	}
}

void ul_openings_release(ul_openings *p)
{
	for (int i = 0; i < p->n; i++)
		ul_ids_release(&p->at[i].ids);
	ul_free(p->at);
	ul_free(p->name);
	ul_free(p->rows);
	ul_seen_release(&p->known);
	ul_seen_release(&p->met);
	ul_arena_release(&p->arena);
}
