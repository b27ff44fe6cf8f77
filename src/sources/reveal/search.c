/*
 * search.c: the outer loop tries arms by chance and gives the best of them to the network; in the inner loop the network picks
 * (Reveal and Release, arXiv 2509.14624; the numbers of both loops are not published and are options).
 */
#include "sources/reveal/ucb.h"

#include <stdlib.h>
#include <string.h>

struct run {
	const ul_search *s;
	ul_ucb *u;
	ul_try *out;
	int n;
	int *order; /* [arms]: those not tried yet stand first, in random order */
	int left;
	double *x, *y, *worth, *bonus; /* of arms to learn from, or to judge: [arms, in], [arms] */
	ul_rng rng;
};

static const double *features(const ul_search *s, int arm)
{
	return s->x + (size_t)arm * (size_t)s->ucb.in;
}

static bool attempt(struct run *r, int place, bool chosen, ul_err *err)
{
	int arm = r->order[place];
	double reward = 0;
	if (!r->s->reward(r->s->ud, arm, &reward, err))
		return false;
	r->order[place] = r->order[--r->left];
	r->out[r->n++] = (ul_try){.arm = arm, .reward = reward, .chosen = chosen};
	return true;
}

static int by_reward(const void *a, const void *b)
{
	const ul_try *x = a, *y = b;
	return x->reward != y->reward ? (x->reward > y->reward ? -1 : 1) : x->arm - y->arm;
}

/* The best `keep` of the first n tries, and all after them. */
static int lessons(struct run *r, int n)
{
	const ul_search *s = r->s;
	int rows = 0;
	ul_try *best = ul_malloc((size_t)(n + 1) * sizeof *best);
	if (!best)
		return -1;
	memcpy(best, r->out, (size_t)n * sizeof *best);
	qsort(best, (size_t)n, sizeof *best, by_reward);
	for (int i = 0; i < r->n; i++) {
		const ul_try *t = i < n ? &best[i] : &r->out[i];
		if (i < n && s->keep && i >= s->keep)
			continue;
		memcpy(r->x + (size_t)rows * (size_t)s->ucb.in, features(s, t->arm), (size_t)s->ucb.in * sizeof *r->x);
		r->y[rows++] = t->reward;
	}
	ul_free(best);
	return rows;
}

/* The place in `order` of the most promising among the arms looked at. */
static int promising(struct run *r, ul_err *err)
{
	const ul_search *s = r->s;
	int look = s->scored && s->scored < r->left ? s->scored : r->left, best = 0;
	for (int i = 0; i < look; i++) {
		int j = i + (int)ul_rng_below(&r->rng, (uint32_t)(r->left - i)), arm = r->order[j];
		r->order[j] = r->order[i];
		r->order[i] = arm;
		memcpy(r->x + (size_t)i * (size_t)s->ucb.in, features(s, arm), (size_t)s->ucb.in * sizeof *r->x);
	}
	if (!ul_ucb_judge(r->u, r->x, look, r->worth, r->bonus, err))
		return -1;
	for (int i = 1; i < look; i++)
		if (r->worth[i] + r->bonus[i] > r->worth[best] + r->bonus[best])
			best = i;
	return best;
}

static bool inner(struct run *r, ul_err *err)
{
	int seeds = r->n;
	for (int i = 0; i < r->s->picks && r->left; i++) {
		int rows = lessons(r, seeds);
		if (rows < 0)
			return ul_nomem(err, (size_t)seeds * sizeof *r->out);
		int place = ul_ucb_fit(r->u, r->x, r->y, rows, err) ? promising(r, err) : -1;
		if (place < 0 || !ul_ucb_picked(r->u, features(r->s, r->order[place]), err) || !attempt(r, place, true, err))
			return false;
	}
	return true;
}

static bool outer(struct run *r, ul_err *err)
{
	for (int round = 0; round < r->s->rounds; round++) {
		for (int i = 0; i < r->s->first && r->left; i++)
			if (!attempt(r, (int)ul_rng_below(&r->rng, (uint32_t)r->left), false, err))
				return false;
		if (!inner(r, err))
			return false;
	}
	return true;
}

bool ul_search_run(const ul_search *s, ul_try *out, int *n, ul_err *err)
{
	ul_arena a = {0};
	size_t arms = (size_t)s->arms;
	struct run r = {.s = s, .out = out, .left = s->arms, .rng = ul_rng_at(s->ucb.seed, "search", 0)};
	r.order = ul_alloc(&a, arms * sizeof *r.order + 1);
	r.x = ul_alloc(&a, arms * (size_t)s->ucb.in * sizeof *r.x + 1);
	r.y = ul_alloc(&a, arms * sizeof *r.y + 1);
	r.worth = ul_alloc(&a, arms * sizeof *r.worth + 1);
	r.bonus = ul_alloc(&a, arms * sizeof *r.bonus + 1);
	bool ok = !a.failed || ul_nomem(err, arms * (size_t)s->ucb.in * sizeof *r.x);
	r.u = ok ? ul_ucb_new(&s->ucb, err) : NULL;
	for (int i = 0; r.u && i < s->arms; i++)
		r.order[i] = i;
	ok = r.u && outer(&r, err);
	if (ok)
		*n = r.n;
	ul_ucb_free(r.u);
	ul_arena_release(&a);
	return ok;
}
