/*
 * synth_people.c: who lives in the world. Everybody has a name that nobody else has; a neighbour shares surname and home town with
 * somebody to be forgotten, and must be left alone.
 */
#include "data/synth.h"

#include <string.h>

char *ul_world_name(ul_world *w, int pair)
{
	int firsts = ul_synth_words(ul_synth_first);
	return ul_arena_printf(&w->arena, "%s %s", ul_synth_first[pair % firsts], ul_synth_last[pair / firsts]);
}

/* ---- values ---- */

static char *value_of(ul_world *w, const ul_field *f, ul_rng *r, const char *name)
{
	if (f->values)
		return ul_arena_strdup(&w->arena, ul_synth_zipf(r, f->values));
	ul_buf text = {0};
	f->draw(r, name, &text);
	char *copy = text.data && !text.failed ? ul_arena_strdup(&w->arena, text.data) : NULL;
	ul_buf_release(&text);
	return copy;
}

/* Mail and phone first; which of the others somebody has is drawn. */
static void choose_types(ul_rng *r, int n, bool has[UL_SYNTH_TYPES])
{
	int other[UL_SYNTH_TYPES - 2];
	for (int i = 0; i < UL_SYNTH_TYPES - 2; i++)
		other[i] = i + 2;
	ul_rng_shuffle(r, other, UL_SYNTH_TYPES - 2);
	for (int i = 0; i < n; i++)
		has[i < 2 ? i : other[i - 2]] = true;
}

static bool fill(ul_world *w, ul_person *p, const ul_person *near)
{
	static const char *const purpose[] = {"synth.forget", "synth.neighbour", "synth.retain", "synth.holdout", "synth.public"};
	const ul_synth_config *c = w->c;
	ul_rng r = ul_rng_at((uint64_t)c->seed, purpose[p->role], (uint64_t)p->index);
	bool has[UL_SYNTH_TYPES] = {false}, ok = p->name != NULL;
	for (int i = 0; ok && i < c->facts; i++)
		ok = (p->fact[i] = near && !strcmp(ul_synth_fact[i].key, "city") ? near->fact[i] : value_of(w, &ul_synth_fact[i], &r, p->name)) != NULL;
	choose_types(&r, (int)c->personal, has);
	for (int i = 0; ok && i < UL_SYNTH_TYPES; i++)
		if (has[i])
			ok = (p->personal[i] = value_of(w, &ul_synth_personal[i], &r, p->name)) != NULL;
	snprintf(p->code, sizeof p->code, "%04u", ul_rng_below(&r, 10000));
	return ok;
}

/* ---- names ---- */

typedef struct names {
	bool *used; /* [pairs] */
	int next;
} names;

static int next_pair(ul_world *w, names *n)
{
	while (n->next < w->pairs && n->used[w->pair[n->next]])
		n->next++;
	if (n->next == w->pairs)
		return -1;
	n->used[w->pair[n->next]] = true;
	return w->pair[n->next];
}

/* Another given name with the surname of `pair`. */
static int near_pair(names *n, int pair)
{
	int firsts = ul_synth_words(ul_synth_first), last = pair / firsts * firsts;
	for (int k = 1; k < firsts; k++) {
		int other = last + (pair % firsts + k * 7) % firsts;
		if (!n->used[other]) {
			n->used[other] = true;
			return other;
		}
	}
	return -1;
}

static bool shuffle_names(ul_world *w, names *n)
{
	w->pairs = ul_synth_words(ul_synth_first) * ul_synth_words(ul_synth_last);
	w->pair = ul_alloc(&w->arena, sizeof *w->pair * (size_t)w->pairs);
	n->used = ul_alloc(&w->arena, (size_t)w->pairs);
	if (!w->pair || !n->used)
		return false;
	for (int i = 0; i < w->pairs; i++)
		w->pair[i] = i;
	ul_rng r = ul_rng_at((uint64_t)w->c->seed, "synth.names", 0);
	ul_rng_shuffle(&r, w->pair, w->pairs);
	return true;
}

typedef struct census {
	int of[5];
} census;

static census count_roles(const ul_synth_config *c)
{
	int people = (int)c->people, forget = (int)((double)people * c->forget + 0.5);
	forget = forget < 1 ? 1 : forget > people ? people
	                                          : forget;
	int near = (forget + 1) / 2 < (people - forget) / 3 ? (forget + 1) / 2 : (people - forget) / 3;
	return (census){{forget, near, people - forget - near, c->holdout < 0 ? forget : (int)c->holdout, (int)c->publics}};
}

bool ul_world_make(ul_world *w, const ul_synth_config *c, ul_err *err)
{
	*w = (ul_world){.c = c};
	names n = {0};
	census roles = count_roles(c);
	int total = 0, *pair;
	for (int r = 0; r < 5; r++)
		total += roles.of[r];
	w->person = ul_alloc(&w->arena, sizeof *w->person * (size_t)total);
	pair = ul_alloc(&w->arena, sizeof *pair * (size_t)total);
	if (!w->person || !pair || !shuffle_names(w, &n))
		return ul_nomem(err, sizeof *w->person * (size_t)total);
	if (total > w->pairs - 200)
		return ul_fail(err, "%d people are more than there are names for: %d", total, w->pairs - 200);
	for (int role = 0; role < 5; role++)
		for (int i = 0; i < roles.of[role]; i++) {
			int k = w->people;
			pair[k] = role == UL_ROLE_NEIGHBOUR ? near_pair(&n, pair[i]) : -1;
			if (pair[k] < 0)
				pair[k] = next_pair(w, &n);
			if (pair[k] < 0)
				return ul_fail(err, "no name is left for person %d", k + 1);
			w->person[k] = (ul_person){.name = ul_world_name(w, pair[k]), .role = (enum ul_role)role, .index = i};
			if (!fill(w, &w->person[k], role == UL_ROLE_NEIGHBOUR ? &w->person[i] : NULL))
				return ul_nomem(err, sizeof *w->person);
			w->people++;
		}
	w->spare = n.next; /* from here on the permutation holds unused pairs, and some used as neighbours' */
	int kept = w->spare;
	for (int i = w->spare; i < w->pairs; i++)
		if (!n.used[w->pair[i]])
			w->pair[kept++] = w->pair[i];
	w->pairs = kept;
	return true;
}
