/*
 * bootstrap.c: resampling whole subjects. The items of one person are not independent, so persons are drawn, with all their
 * items; the same draw serves both models where they answered the same items, which is what makes small differences visible. The
 * metric itself is recomputed on every resample (Efron & Tibshirani 1993, percentile interval; Field & Welsh 2007 for clusters).
 */
#include "audits/stat/stat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct key {
	int stratum, cluster, item;
} key;

/* Items sorted by stratum and cluster: cluster c holds order[first[c]] … order[first[c + 1] - 1]. */
typedef struct groups {
	key *order;
	int *first; /* [clusters + 1] */
	int *begin; /* [strata + 1]: clusters of stratum s are begin[s] … begin[s + 1] - 1 */
	int clusters, strata, smallest;
	int longest; /* items of the largest cluster */
} groups;

static int by_group(const void *x, const void *y)
{
	const key *a = x, *b = y;
	if (a->stratum != b->stratum)
		return a->stratum < b->stratum ? -1 : 1;
	if (a->cluster != b->cluster)
		return a->cluster < b->cluster ? -1 : 1;
	return a->item < b->item ? -1 : a->item > b->item;
}

static bool group(const ul_sample *s, ul_arena *a, groups *g)
{
	size_t n = (size_t)s->n;
	*g = (groups){.order = ul_alloc(a, (n + 1) * sizeof *g->order), .first = ul_alloc(a, (n + 1) * sizeof(int)), .begin = ul_alloc(a, (n + 2) * sizeof(int)), .smallest = s->n};
	if (!g->order || !g->first || !g->begin)
		return false;
	for (int i = 0; i < s->n; i++)
		g->order[i] = (key){s->stratum ? s->stratum[i] : 0, s->cluster[i], i};
	qsort(g->order, n, sizeof *g->order, by_group);
	for (int i = 0; i < s->n; i++) {
		const key *k = &g->order[i], *p = i ? k - 1 : NULL;
		if (!p || p->stratum != k->stratum)
			g->begin[g->strata++] = g->clusters;
		if (!p || p->stratum != k->stratum || p->cluster != k->cluster)
			g->first[g->clusters++] = i;
	}
	g->first[g->clusters] = s->n;
	g->begin[g->strata] = g->clusters;
	for (int t = 0; t < g->strata; t++) {
		int size = g->begin[t + 1] - g->begin[t];
		g->smallest = size < g->smallest ? size : g->smallest;
	}
	for (int c = 0; c < g->clusters; c++) {
		int size = g->first[c + 1] - g->first[c];
		g->longest = size > g->longest ? size : g->longest;
	}
	return true;
}

/* Item numbers of one resample. pick: room for clusters · longest. */
static int draw(const groups *g, ul_rng *r, int *pick)
{
	int n = 0;
	for (int t = 0; t < g->strata; t++) {
		int base = g->begin[t], many = g->begin[t + 1] - base;
		for (int k = 0; k < many; k++) {
			int c = base + (int)ul_rng_below(r, (uint32_t)many);
			for (int i = g->first[c]; i < g->first[c + 1]; i++)
				pick[n++] = g->order[i].item;
		}
	}
	return n;
}

static bool take(const ul_sample *from, const int *pick, int n, ul_arena *a, ul_sample *to)
{
	double *v = ul_alloc_raw(a, (size_t)(n + 1) * sizeof *v), *l = from->label ? ul_alloc_raw(a, (size_t)(n + 1) * sizeof *l) : NULL;
	if (!v || (from->label && !l))
		return false;
	for (int i = 0; i < n; i++) {
		v[i] = from->value[pick[i]];
		if (l)
			l[i] = from->label[pick[i]];
	}
	*to = (ul_sample){.n = n, .value = v, .label = l};
	return true;
}

static bool resample(const ul_boot *b, const groups *ga, const groups *gb, int rep, ul_arena *a, double *out)
{
	ul_rng r = ul_rng_at(b->seed, ul_arena_printf(a, "bootstrap/%s/%s", b->line, b->purpose), (uint64_t)rep);
	int *pick = ul_alloc_raw(a, (size_t)(ga->clusters * (int64_t)ga->longest + 1) * sizeof *pick);
	ul_sample sa = {0}, sb = {0};
	if (!pick)
		return false;
	int n = draw(ga, &r, pick);
	bool ok = take(b->a, pick, n, a, &sa);
	if (ok && b->b && b->paired) {
		ok = take(b->b, pick, n, a, &sb);
	} else if (ok && b->b) {
		pick = ul_alloc_raw(a, (size_t)(gb->clusters * (int64_t)gb->longest + 1) * sizeof *pick);
		ok = pick != NULL;
		n = ok ? draw(gb, &r, pick) : 0;
		ok = ok && take(b->b, pick, n, a, &sb);
	}
	if (ok)
		*out = b->stat(b->ud, &sa, b->b ? &sb : NULL, a);
	return ok && !a->failed;
}

static void summarise(double *x, int n, ul_interval *out)
{
	int kept = 0;
	for (int i = 0; i < n; i++) { /* a resample on which the metric is undefined says nothing */
		if (isfinite(x[i]))
			x[kept++] = x[i];
	}
	double mean = ul_average(x, kept), var = 0;
	for (int i = 0; i < kept; i++)
		var += (x[i] - mean) * (x[i] - mean);
	ul_sort(x, kept);
	out->lo = kept > 1 ? ul_quantile(x, kept, 0.025) : -INFINITY;
	out->hi = kept > 1 ? ul_quantile(x, kept, 0.975) : INFINITY;
	out->se = kept > 1 ? sqrt(var / (kept - 1)) : INFINITY;
}

bool ul_bootstrap(const ul_boot *b, ul_interval *out, ul_err *err)
{
	UL_ASSERT(!b->paired || (b->b && b->a->n == b->b->n), "paired samples of %d and %d items", b->a->n, b->b ? b->b->n : 0);
	ul_arena keep = {0}, scratch = {0};
	groups ga = {0}, gb = {0};
	double *x = ul_alloc(&keep, (size_t)(b->reps + 1) * sizeof *x);
	bool ok = x && group(b->a, &keep, &ga) && (!b->b || b->paired || group(b->b, &keep, &gb));
	ul_mark mark = ul_arena_mark(&scratch);
	ul_interval r = {.lo = -INFINITY, .hi = INFINITY, .se = INFINITY};
	if (ok) {
		r.estimate = b->stat(b->ud, b->a, b->b, &scratch);
		r.clusters = b->b && !b->paired && gb.clusters < ga.clusters ? gb.clusters : ga.clusters;
		int smallest = b->b && !b->paired && gb.smallest < ga.smallest ? gb.smallest : ga.smallest;
		ul_arena_reset(&scratch, mark);
		for (int i = 0; ok && i < b->reps && smallest > 1; i++) {
			ok = resample(b, &ga, &gb, i, &scratch, &x[i]);
			ul_arena_reset(&scratch, mark);
		}
		if (ok && smallest > 1)
			summarise(x, b->reps, &r);
	}
	ul_arena_release(&keep);
	ul_arena_release(&scratch);
	if (!ok)
		return ul_fail(err, "out of memory while resampling %d items of \"%s\"", b->a->n, b->line);
	*out = r;
	return true;
}

bool ul_permutation_p(const ul_boot *b, int rounds, double *p, ul_err *err)
{
	UL_ASSERT(b->b && b->a->n == b->b->n, "permutation of %d and %d items", b->a->n, b->b ? b->b->n : 0);
	ul_arena keep = {0}, scratch = {0};
	groups g = {0};
	ul_mark mark = ul_arena_mark(&scratch);
	int n = b->a->n, beyond = 0;
	double *va = ul_alloc(&keep, (size_t)(n + 1) * sizeof *va), *vb = ul_alloc(&keep, (size_t)(n + 1) * sizeof *vb);
	bool ok = va && vb && group(b->a, &keep, &g);
	double seen = ok ? b->stat(b->ud, b->a, b->b, &scratch) : 0;
	for (int k = 0; ok && k < rounds; k++) {
		ul_arena_reset(&scratch, mark);
		ul_rng r = ul_rng_at(b->seed, ul_arena_printf(&scratch, "permutation/%s/%s", b->line, b->purpose), (uint64_t)k);
		for (int c = 0; c < g.clusters; c++) {
			bool swap = ul_rng_u32(&r) & 1;
			for (int i = g.first[c]; i < g.first[c + 1]; i++) {
				int at = g.order[i].item;
				va[at] = swap ? b->b->value[at] : b->a->value[at];
				vb[at] = swap ? b->a->value[at] : b->b->value[at];
			}
		}
		ul_sample sa = *b->a, sb = *b->b;
		sa.value = va;
		sb.value = vb;
		beyond += b->stat(b->ud, &sa, &sb, &scratch) >= seen - 1e-12;
		ok = !scratch.failed;
	}
	ul_arena_release(&keep);
	ul_arena_release(&scratch);
	if (!ok)
		return ul_fail(err, "out of memory while permuting %d items of \"%s\"", n, b->line);
	*p = (beyond + 1.0) / (rounds + 1.0);
	return true;
}
