/*
 * canary.c: Carlini et al. (2019), "The Secret Sharer". A canary was drawn uniformly from a space R; its exposure is log2 |R| minus
 * log2 of its rank among all members by likelihood. Spaces up to 100 000 are ranked whole; of larger ones a sample is scored and the
 * rank follows from a skew-normal fit to its losses.
 */
#include "audits/canary.h"

#include "model/decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WHOLE = 100000,
	SAMPLE = 2000,
	LONGEST = 32,
	SLOTS = 64 };

/* ---- the space ---- */

static int choices(char slot)
{
	return slot == 'd' ? 10 : slot == 'a' || slot == 'A' ? 26
	                                                     : 1;
}

static bool fits(char slot, char c)
{
	return slot == 'd' ? c >= '0' && c <= '9' : slot == 'a' ? c >= 'a' && c <= 'z'
	                                    : slot == 'A'       ? c >= 'A' && c <= 'Z'
	                                                        : c == slot;
}

static char letter(char slot, int k)
{
	return (char)(slot == 'd' ? '0' + k : slot == 'a' ? 'a' + k
	                              : slot == 'A'       ? 'A' + k
	                                                  : slot);
}

static const char *find_code(const char *text, const char *slots)
{
	size_t n = strlen(slots);
	for (const char *s = text; strlen(s) >= n; s++) {
		size_t k = 0;
		while (k < n && fits(slots[k], s[k]))
			k++;
		if (k == n)
			return s;
	}
	return NULL;
}

/* Member `index` of the space, counting like an odometer. */
static void spell(const char *slots, double index, char *out)
{
	for (size_t k = strlen(slots); k-- > 0;) {
		int n = choices(slots[k]);
		out[k] = letter(slots[k], (int)fmod(index, n));
		index = floor(index / n);
	}
}

/* ---- members as tokens ---- */

typedef struct space {
	const ul_row *row;
	const char *text, *code, *slots;
	ul_arena *a; /* scratch */
} space;

static bool encode(const ul_exam *e, const space *s, const char *code, ul_row *out, ul_err *err)
{
	const ul_model *m = ul_exam_settings(e)->model[UL_AFTER];
	size_t at = (size_t)(s->code - s->text), n = strlen(s->slots);
	char *text = ul_arena_strdup(s->a, s->text);
	if (!text)
		return ul_nomem(err, strlen(s->text));
	memcpy(text + at, code, n);
	if (s->row->prompt)
		return ul_row_encode(m, &ul_exam_settings(e)->encode, s->row->prompt, text, s->a, out, err);
	ul_ids ids = {0};
	bool ok = ul_tok_encode(m->tok, text, strlen(text), -1, false, &ids, err);
	*out = (ul_row){.n = ids.n, .ids = ul_alloc(s->a, (size_t)(ids.n + 1) * sizeof(int))};
	if (out->ids)
		memcpy(out->ids, ids.id, (size_t)ids.n * sizeof(int));
	ul_ids_release(&ids);
	return ok && (out->ids || ul_nomem(err, (size_t)out->n * sizeof(int)));
}

/* What all rows share in front and behind is taken off: the shared front is `given`. */
static bool trim(ul_exam *e, const ul_row *r, ul_canary *c, ul_err *err)
{
	ul_arena *keep = ul_exam_arena(e);
	int front = r[0].n - 1, back = r[0].n;
	for (int i = 1; i < c->n; i++) {
		int k = 0, most = (r[i].n < r[0].n ? r[i].n : r[0].n) - 1;
		while (k < front && k < most && r[i].ids[k] == r[0].ids[k])
			k++;
		front = k < front ? k : front;
	}
	for (int i = 1; i < c->n; i++) {
		int k = 0, most = (r[i].n < r[0].n ? r[i].n : r[0].n) - front - 1;
		while (k < back && k < most && r[i].ids[r[i].n - 1 - k] == r[0].ids[r[0].n - 1 - k])
			k++;
		back = k < back ? k : back;
	}
	c->given_n = front;
	c->given = ul_alloc(keep, (size_t)(front + 1) * sizeof *c->given);
	c->path = ul_alloc(keep, (size_t)c->n * sizeof *c->path);
	c->len = ul_alloc(keep, (size_t)c->n * sizeof *c->len);
	if (!c->given || !c->path || !c->len)
		return ul_nomem(err, (size_t)c->n * sizeof *c->path);
	memcpy(c->given, r[0].ids, (size_t)front * sizeof *c->given);
	for (int i = 0; i < c->n; i++) {
		int len = r[i].n - front - back;
		c->len[i] = len;
		c->path[i] = ul_alloc(keep, (size_t)c->len[i] * sizeof(int));
		if (!c->path[i])
			return ul_nomem(err, (size_t)len * sizeof(int));
		memcpy(c->path[i], r[i].ids + front, (size_t)c->len[i] * sizeof(int));
	}
	return true;
}

static bool members(ul_exam *e, const space *s, double size, ul_canary *c, ul_err *err)
{
	char code[LONGEST + 1] = {0}, true_code[LONGEST + 1] = {0};
	ul_rng r = ul_rng_at(ul_exam_settings(e)->seed, "canary", (uint64_t)s->row->line);
	ul_row *row = ul_alloc(s->a, (size_t)(c->n + 1) * sizeof *row);
	if (!row)
		return ul_nomem(err, (size_t)c->n * sizeof *row);
	memcpy(true_code, s->code, strlen(s->slots));
	if (!encode(e, s, true_code, &row[0], err))
		return false;
	int n = 1;
	for (double i = 0; n < c->n; i++) {
		spell(s->slots, c->whole ? i : floor(ul_rng_uniform(&r) * size), code);
		if (strcmp(code, true_code) != 0 && !encode(e, s, code, &row[n++], err))
			return false;
	}
	return trim(e, row, c, err);
}

const ul_canary *ul_canary_of(ul_exam *e, enum ul_split s, int row, ul_err *err)
{
	const ul_dataset *d = ul_exam_data(e, s);
	const char *slots = ul_json_str(json_object_get(d->row[row].json, "canary"), "slots"), *text = ul_row_content(&d->row[row]);
	const char *code = slots && text && *slots && strlen(slots) <= LONGEST ? find_code(text, slots) : NULL;
	void **kept = code ? ul_exam_memo(e, "canaries", s) : NULL;
	if (!code || !ul_exam_settings(e)->model[UL_AFTER]->tok)
		return NULL;
	if (kept && !*kept)
		*kept = ul_alloc(ul_exam_arena(e), (size_t)d->n * sizeof(ul_canary));
	if (!kept || !*kept) {
		ul_nomem(err, (size_t)d->n * sizeof(ul_canary));
		return NULL;
	}
	ul_canary *c = (ul_canary *)*kept + row;
	if (c->n > 0)
		return c;
	double size = 1;
	for (const char *k = slots; *k; k++)
		size *= choices(*k);
	ul_arena scratch = {0};
	ul_canary new = {.whole = size <= WHOLE, .bits = log2(size), .n = size <= WHOLE ? (int)size : SAMPLE + 1};
	bool ok = new.n > 1 && members(e, &(space){&d->row[row], text, code, slots, &scratch}, size, &new, err);
	ul_arena_release(&scratch);
	if (!ok)
		return NULL;
	*c = new;
	return c;
}

/* ---- likelihoods ---- */

typedef struct walk {
	const ul_canary *c;
	int *order; /* [n] members sorted by path */
	struct node {
		int from, to, depth;
	} * node;
	int nodes;
	double *nll;
} walk;

static int by_path(const void *x, const void *y, void *ud)
{
	const ul_canary *c = ud;
	int a = *(const int *)x, b = *(const int *)y;
	for (int k = 0; k < c->len[a] && k < c->len[b]; k++) {
		if (c->path[a][k] != c->path[b][k])
			return c->path[a][k] < c->path[b][k] ? -1 : 1;
	}
	return (c->len[a] > c->len[b]) - (c->len[a] < c->len[b]);
}

/* End of the run of members from `i` that share their token at `depth`. */
static int same_token(const walk *w, int i, int to, int depth)
{
	int j = i + 1, t = w->c->path[w->order[i]][depth];
	while (j < to && w->c->path[w->order[j]][depth] == t)
		j++;
	return j;
}

/* Every prefix that something follows becomes a node. Members that end here stand first in the range. */
static bool grow(walk *w, ul_err *err)
{
	int cap = 0, done = 0;
	for (int from = 0; done <= w->nodes; done++) {
		struct node at = done ? w->node[done - 1] : (struct node){0, w->c->n, -1};
		for (from = at.from; from < at.to;) {
			int depth = at.depth, member = w->order[from];
			int to = done ? (w->c->len[member] <= depth ? from + 1 : same_token(w, from, at.to, depth)) : at.to;
			if (w->c->len[w->order[to - 1]] > depth + 1) {
				if (w->nodes == cap) {
					cap = cap ? 2 * cap : 256;
					struct node *more = ul_realloc(w->node, (size_t)cap * sizeof *more);
					if (!more)
						return ul_nomem(err, (size_t)cap * sizeof *more);
					w->node = more;
				}
				w->node[w->nodes++] = (struct node){from, to, depth + 1};
			}
			from = to;
		}
	}
	return true;
}

static double log_sum(const float *z, int n)
{
	double sum = 0;
	float max = z[0];
	for (int i = 1; i < n; i++)
		max = z[i] > max ? z[i] : max;
	for (int i = 0; i < n; i++)
		sum += exp((double)z[i] - (double)max);
	return max + log(sum);
}

/* Adds the log-probability of the token after the prefix to every member below it. */
static void settle(walk *w, const struct node *at, const float *logits, int vocab)
{
	double all = log_sum(logits, vocab);
	for (int i = at->from; i < at->to; i++) {
		int m = w->order[i];
		if (w->c->len[m] > at->depth)
			w->nll[m] += all - (double)logits[w->c->path[m][at->depth]];
	}
}

/* Slot SLOTS holds the shared front without its last token; each prefix is appended to a copy of it. */
static bool read_nodes(walk *w, ul_decoder *d, int *ids, int stride, ul_err *err)
{
	const ul_canary *c = w->c;
	int front = c->given_n - 1;
	if (front > 0 && !ul_decoder_feed(d, &(ul_feed){.slot = SLOTS, .ids = c->given, .n = front}, 1, err))
		return false;
	for (int first = 0; first < w->nodes; first += SLOTS) {
		ul_feed feed[SLOTS];
		int n = w->nodes - first < SLOTS ? w->nodes - first : SLOTS;
		for (int i = 0; i < n; i++) {
			const struct node *at = &w->node[first + i];
			int *p = ids + i * stride;
			p[0] = c->given[front];
			memcpy(p + 1, c->path[w->order[at->to - 1]], (size_t)at->depth * sizeof *p);
			ul_decoder_clear(d, i);
			if (front > 0)
				ul_decoder_share(d, SLOTS, i, front);
			feed[i] = (ul_feed){.slot = i, .ids = p, .n = at->depth + 1};
		}
		if (!ul_decoder_feed(d, feed, n, err))
			return false;
		for (int i = 0; i < n; i++)
			settle(w, &w->node[first + i], ul_decoder_logits(d, i), d->vocab);
	}
	return true;
}

bool ul_canary_nll(ul_model *m, const ul_canary *c, double *nll, ul_err *err)
{
	walk w = {.c = c, .order = ul_malloc((size_t)c->n * sizeof *w.order), .nll = nll};
	int longest = 1;
	for (int i = 0; i < c->n; i++)
		longest = c->len[i] > longest ? c->len[i] : longest;
	int *ids = ul_malloc((size_t)SLOTS * (size_t)(longest + 1) * sizeof *ids);
	ul_decoder d = {0};
	bool ok = (w.order && ids) || ul_nomem(err, (size_t)c->n * sizeof *w.order);
	ok = ok && (c->given_n > 0 || ul_fail(err, "a canary needs text in front of its code"));
	for (int i = 0; ok && i < c->n; i++) {
		w.order[i] = i;
		nll[i] = 0;
	}
	if (ok)
		qsort_r(w.order, (size_t)c->n, sizeof *w.order, by_path, (void *)(uintptr_t)c);
	ok = ok && grow(&w, err);
	if (ok && ul_decoder_init(&d, m, SLOTS + 1, c->given_n + longest + 1, err)) {
		ok = read_nodes(&w, &d, ids, longest + 1, err);
		ul_decoder_release(&d);
	} else {
		ok = false;
	}
	ul_free(w.order);
	ul_free(w.node);
	ul_free(ids);
	return ok;
}

double ul_canary_exposure(const ul_canary *c, const double *nll)
{
	if (!c->whole) { /* P(a random member is at least as likely) from the sample's fit */
		ul_skew s = ul_skew_fit(nll + 1, c->n - 1);
		return fmin(c->bits, -ul_skew_log_cdf(&s, nll[0]) / log(2));
	}
	double rank = 1;
	for (int i = 1; i < c->n; i++)
		rank += nll[i] < nll[0] ? 1 : nll[i] == nll[0] ? 0.5
		                                               : 0;
	return c->bits - log2(rank);
}
