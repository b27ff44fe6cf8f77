/*
 * ops_attend.c: rotary positions (Su et al. 2021) and causal attention over packed sequences, grouped heads (Ainslie et al. 2023)
 * and sliding windows included, blockwise so that no [tokens, tokens] matrix exists (Dao 2023).
 */
#include "tensor/node.h"

#include <math.h>
#include <string.h>

/* ---- rotation ---- */

/* Cosines and sines of a set of positions. Every layer of a step turns by the same angles, so they are kept until the reset. */
struct ul_turns {
	struct ul_turns *next;
	int rows, rot;
	double scale;
	int *pos;
	double *inv_freq;
	void *cs; /* [rows, rot] elements */
};

static struct ul_turns *known(ul_tape *t, const ul_rope *r, const int *pos, int rows)
{
	for (struct ul_turns *k = t->turns; k; k = k->next)
		if (k->rows == rows && k->rot == r->rot && k->scale == r->scale && !memcmp(k->pos, pos, (size_t)rows * sizeof *pos) && !memcmp(k->inv_freq, r->inv_freq, (size_t)(r->rot / 2) * sizeof *r->inv_freq))
			return k;
	return NULL;
}

static void fill_turns(ul_tape *t, struct ul_turns *k)
{
	int half = k->rot / 2;
	ul_mark mark = ul_arena_mark(&t->scratch);
	double *row = ul_scratch(t, (size_t)k->rot * sizeof *row);

	for (int i = 0; row && i < k->rows; i++) {
		for (int j = 0; j < half; j++) {
			row[j] = cos(k->pos[i] * k->inv_freq[j]) * k->scale;
			row[half + j] = sin(k->pos[i] * k->inv_freq[j]) * k->scale;
		}
		t->be->from_f64((char *)k->cs + (size_t)i * (size_t)k->rot * t->be->elem, row, (size_t)k->rot);
	}
	ul_arena_reset(&t->scratch, mark);
}

static const struct ul_turns *turns(ul_tape *t, const ul_rope *r, const int *pos, int rows)
{
	struct ul_turns *k = known(t, r, pos, rows);

	if (k)
		return k;
	k = ul_alloc(&t->tables, sizeof *k);
	int *own_pos = ul_alloc_raw(&t->tables, (size_t)rows * sizeof *pos);
	double *own_freq = ul_alloc_raw(&t->tables, (size_t)(r->rot / 2) * sizeof *own_freq);
	void *cs = ul_alloc_raw(&t->tables, (size_t)rows * (size_t)r->rot * t->be->elem);
	t->failed |= !k || !own_pos || !own_freq || !cs;
	if (t->failed)
		return NULL;
	memcpy(own_pos, pos, (size_t)rows * sizeof *pos);
	memcpy(own_freq, r->inv_freq, (size_t)(r->rot / 2) * sizeof *own_freq);
	*k = (struct ul_turns){t->turns, rows, r->rot, r->scale, own_pos, own_freq, cs};
	fill_turns(t, k);
	t->turns = k;
	return k;
}

static void rotate_backward(ul_val *y)
{
	double beta = 0;
	void *dx = ul_grad_beta(y->in[0], &beta);
	ul_rotate_args a = *(ul_rotate_args *)y->ctx;

	a.back = true;
	a.add = beta != 0;
	if (dx)
		y->tape->be->rotate(dx, y->grad, &a);
}

ul_val *ul_rotate(ul_val *x, const ul_rope *r, const int *pos)
{
	ul_tape *t = x->tape;
	ul_val *y = ul_node(t, x->rows, x->cols, x->needs_grad);
	const struct ul_turns *k = t->failed ? NULL : turns(t, r, pos, x->rows);

	if (t->failed)
		return y;
	UL_ASSERT(x->cols % r->head_dim == 0 && r->rot <= r->head_dim && r->rot % 2 == 0, "x is [%d, %d], heads of %d, %d turn", x->rows, x->cols, r->head_dim, r->rot);
	ul_rotate_args a = {.rows = x->rows, .cols = x->cols, .head_dim = r->head_dim, .rot = r->rot, .cs = k->cs};
	t->be->rotate(y->data, x->data, &a);
	if (ul_recorded(y))
		y->ctx = ul_remember(t, &a, sizeof a);
	return t->failed ? y : ul_record(y, rotate_backward, (ul_val *[]){x, NULL});
}

/* ---- attention ---- */

/* Addresses of the sequences inside a packed matrix. */
static const void *const *sequences(ul_tape *t, const void *base, const ul_span *s, int cols)
{
	const void **p = ul_remember(t, NULL, (size_t)s->n * sizeof *p);

	for (int i = 0; p && i < s->n; i++)
		p[i] = (const char *)base + (size_t)s->start[i] * (size_t)cols * t->be->elem;
	return p;
}

/* The same where sequences begin with positions of others: those rows are copied in front of their own. Leaders come first, so that
 * what they borrowed themselves is there already. */
static const void *const *joined(ul_tape *t, const void *base, const ul_span *s, int cols)
{
	size_t row = (size_t)cols * t->be->elem;
	const void **p = ul_remember(t, NULL, (size_t)s->n * sizeof *p);

	for (int i = 0; p && i < s->n; i++) {
		int own = s->start[i + 1] - s->start[i], past = s->shared[i];
		const char *rows = (const char *)base + (size_t)s->start[i] * row;
		char *to = past ? ul_scratch(t, (size_t)(past + own) * row) : NULL;
		p[i] = past ? to : rows;
		if (!past)
			continue;
		UL_ASSERT(s->lead[i] >= 0 && s->lead[i] < i, "sequence %d begins like %d", i, s->lead[i]);
		if (!to)
			return NULL;
		t->be->copy(to, p[s->lead[i]], (size_t)past * (size_t)cols);
		t->be->copy(to + (size_t)past * row, rows, (size_t)own * (size_t)cols);
	}
	return p;
}

static void attend_backward(ul_val *y)
{
	ul_tape *t = y->tape;
	ul_attend_args a = *(ul_attend_args *)y->ctx;
	ul_val *q = y->in[0], *k = y->in[1], *v = y->in[2];
	ul_span span = {a.seqs, a.start};

	a.dy = y->grad;
	a.dq = ul_grad(q);
	void *dk = ul_grad(k), *dv = ul_grad(v);
	if (t->failed)
		return;
	a.dk = dk ? (void *const *)sequences(t, dk, &span, k->cols) : NULL;
	a.dv = dv ? (void *const *)sequences(t, dv, &span, v->cols) : NULL;
	a.work = &t->scratch;
	if (!t->failed)
		t->be->attend_grad(&a);
	t->failed |= t->scratch.failed;
}

/* Appends k and v of the new rows to the cache and points the sequences there. */
static void append(ul_tape *t, const ul_attention *a, ul_val *k, ul_val *v, ul_attend_args *g)
{
	ul_kv *kv = a->kv;
	size_t row = (size_t)kv->width * t->be->elem;
	const void **kp = ul_remember(t, NULL, (size_t)a->span.n * sizeof *kp), **vp = ul_remember(t, NULL, (size_t)a->span.n * sizeof *vp);
	int *past = ul_remember(t, NULL, (size_t)a->span.n * sizeof *past);

	if (t->failed)
		return;
	UL_ASSERT(kv->width == k->cols, "cache of width %d, keys of %d", kv->width, k->cols);
	for (int i = 0; i < a->span.n; i++) {
		int slot = a->slot[i], start = a->span.start[i], n = a->span.start[i + 1] - start;
		UL_ASSERT(slot >= 0 && slot < kv->slots && kv->len[slot] + n <= kv->capacity, "slot %d of %d holds %d of %d, %d more", slot, kv->slots, kv->len[slot], kv->capacity, n);
		char *kbase = (char *)kv->k + (size_t)slot * (size_t)kv->capacity * row, *vbase = (char *)kv->v + (size_t)slot * (size_t)kv->capacity * row;
		past[i] = kv->len[slot];
		t->be->copy(kbase + (size_t)past[i] * row, (char *)k->data + (size_t)start * row, (size_t)n * (size_t)kv->width);
		t->be->copy(vbase + (size_t)past[i] * row, (char *)v->data + (size_t)start * row, (size_t)n * (size_t)kv->width);
		kv->len[slot] += n;
		kp[i] = kbase;
		vp[i] = vbase;
	}
	g->past = past;
	g->k = kp;
	g->v = vp;
}

static void check(const ul_val *q, const ul_val *k, const ul_val *v, const ul_attention *a)
{
	UL_ASSERT(q->cols % a->head_dim == 0 && k->cols % a->head_dim == 0 && q->cols % k->cols == 0 && v->cols == k->cols, "q %d, k %d, v %d columns, heads of %d", q->cols, k->cols, v->cols, a->head_dim);
	UL_ASSERT(q->rows == k->rows && q->rows == v->rows && a->span.start[0] == 0 && a->span.start[a->span.n] == q->rows, "q %d, k %d, v %d rows, spans end at %d", q->rows, k->rows, v->rows, a->span.start[a->span.n]);
}

ul_val *ul_attend(ul_val *q, ul_val *k, ul_val *v, const ul_attention *a) /* [q->rows, q->cols] */
{
	ul_tape *t = q->tape;
	int heads = q->cols / a->head_dim, seqs = a->span.n;
	bool first, first_lse, needs = q->needs_grad || k->needs_grad || v->needs_grad;
	ul_val *y = ul_node_of(t, q->rows, q->cols, needs, ul_product_result(t, ul_count(q), &first));
	void *lse = ul_product_result(t, (size_t)q->rows * (size_t)heads, &first_lse);
	const int *start = ul_remember(t, a->span.start, (size_t)(seqs + 1) * sizeof *start);
	int *past = ul_remember(t, NULL, (size_t)seqs * sizeof *past);

	if (t->failed)
		return y;
	check(q, k, v, a);
	UL_ASSERT(!(a->kv || a->span.shared) || !needs, "no gradient flows through a cache or a shared beginning");
	UL_ASSERT(!a->kv || !a->span.shared, "a cache shares beginnings by itself");
	memset(past, 0, (size_t)seqs * sizeof *past);
	ul_attend_args g = {.q_heads = heads, .kv_heads = k->cols / a->head_dim, .head_dim = a->head_dim, .window = a->window, .seqs = seqs, .scale = a->scale, .start = start, .past = past, .q = q->data, .y = y->data, .lse = lse, .work = &t->scratch};
	ul_mark mark = ul_arena_mark(&t->scratch);
	if (a->kv) {
		append(t, a, k, v, &g);
	} else if (a->span.shared) {
		g.past = a->span.shared;
		g.k = joined(t, k->data, &a->span, k->cols);
		g.v = joined(t, v->data, &a->span, v->cols);
	} else {
		ul_span span = {seqs, start};
		g.k = sequences(t, k->data, &span, k->cols);
		g.v = sequences(t, v->data, &span, v->cols);
	}
	t->failed |= !g.k || !g.v;
	if (!t->failed && first)
		t->be->attend(&g);
	t->failed |= t->scratch.failed;
	ul_arena_reset(&t->scratch, mark);
	if (ul_recorded(y))
		y->ctx = ul_remember(t, &g, sizeof g);
	return t->failed ? y : ul_record(y, attend_backward, (ul_val *[]){q, k, v, NULL});
}
