/*
 * reference.c: what the frozen start of a run says about each row, asked once.
 *
 * With LoRA the reference is the base with its adapters off; full training keeps a clone, but only when a loss needs hidden
 * states during the run. NPO and DPO need one number per row: those are computed before the first step, so no clone is made for
 * them. KL, UNDIAL and RMU need hidden states [tokens, hidden] per row: they are kept up to a budget and recomputed beyond it,
 * always row by row alone, so that a resumed run sees the same bits.
 */
#include "train/reference.h"

#include <string.h>

enum { FILL_TOKENS = 2048 };
static const size_t budget = (size_t)256 << 20; /* bytes of hidden states per stream */

struct ul_refcache {
	int rows;
	double *sum; /* [rows] Σ log p over the labels */
	bool filled;
	void **hidden; /* [rows] backend elements, or NULL */
	int layer; /* what `hidden` holds */
	size_t bytes;
};

ul_refcache *ul_refcache_new(int rows, ul_err *err)
{
	ul_refcache *c = ul_calloc(1, sizeof *c);
	if (c) {
		c->rows = rows;
		c->sum = ul_calloc((size_t)rows + 1, sizeof *c->sum);
		c->hidden = ul_calloc((size_t)rows + 1, sizeof *c->hidden);
	}
	if (!c || !c->sum || !c->hidden) {
		ul_refcache_free(c);
		ul_nomem(err, (size_t)rows * sizeof(double));
		return NULL;
	}
	return c;
}

void ul_refcache_free(ul_refcache *c)
{
	if (!c) {
		return;
	}
	for (int i = 0; c->hidden && i < c->rows; i++) {
		ul_free(c->hidden[i]);
	}
	ul_free(c->hidden);
	ul_free(c->sum);
	ul_free(c);
}

ul_model *ul_ref_model(const ul_run *r)
{
	return r->ref ? r->ref : r->model;
}

static bool all_labels(const ul_run *r, enum ul_stream s)
{
	return s == UL_FORGET && r->method->needs & UL_ALL_TOKENS;
}

enum ul_stream ul_stream_of(const ul_run *r, const ul_batch *b)
{
	UL_ASSERT(b == &r->forget || b == &r->retain || b == &r->alt, "a reference is kept for the batches of the run only");
	return b == &r->forget ? UL_FORGET : b == &r->retain ? UL_RETAIN
	                                                     : UL_ALT;
}

/* Σ log p of rows item[0..n-1], which are packed together. */
static bool fill_chunk(ul_run *r, enum ul_stream s, const int *item, int n, ul_err *err)
{
	ul_mark mark = ul_arena_mark(&r->step_arena);
	ul_batch b = {0};
	if (!ul_pack(r->data[s], item, n, all_labels(r, s), &r->step_arena, &b, err)) {
		return false;
	}
	ul_model *m = ul_ref_model(r);
	ul_val *h = ul_label_rows(&r->ref_tape, m, &b);
	ul_val *logp = ul_head_logp(h, m->head, m->head_b, b.target, NULL); /* [labels, 1] */
	double *x = ul_alloc(&r->step_arena, (size_t)(b.labels + 1) * sizeof *x);
	if (!ul_tape_ok(&r->ref_tape, err) || !x) {
		return ul_nomem(err, (size_t)b.labels * sizeof *x);
	}
	ul_read(logp, x);
	for (int i = 0; i < b.labels; i++) {
		r->cache[s]->sum[item[b.seq[i]]] += x[i];
	}
	ul_tape_reset(&r->ref_tape);
	ul_arena_reset(&r->step_arena, mark);
	return true;
}

bool ul_refcache_fill(ul_run *r, enum ul_stream s, ul_err *err)
{
	const ul_dataset *d = r->data[s];
	ul_refcache *c = r->cache[s];
	int *item = ul_malloc(((size_t)d->n + 1) * sizeof *item);
	if (!item) {
		return ul_nomem(err, (size_t)d->n * sizeof *item);
	}
	memset(c->sum, 0, (size_t)d->n * sizeof *c->sum);
	/* Chunks follow the order of the file, so a resumed run computes the same sums. */
	bool ok = true;
	for (int at = 0; ok && at < d->n;) {
		int n = 0, tokens = 0;
		while (at < d->n && (n == 0 || tokens + d->row[at].n <= FILL_TOKENS)) {
			tokens += d->row[at].n;
			item[n++] = at++;
		}
		ok = fill_chunk(r, s, item, n, err);
	}
	ul_free(item);
	c->filled = ok;
	return ok;
}

ul_val *ul_cached_ref(ul_run *r, const ul_batch *b)
{
	const ul_refcache *c = r->cache[ul_stream_of(r, b)];
	UL_ASSERT(c && c->filled, "the method uses a reference it did not ask for with UL_NEEDS_REF");
	double *x = ul_alloc(&r->tape.arena, (size_t)b->seqs * sizeof *x);
	if (!x) {
		return ul_lost(&r->tape);
	}
	for (int i = 0; i < b->seqs; i++) {
		x[i] = c->sum[b->item[i]];
	}
	return ul_const(&r->tape, b->seqs, 1, x);
}

/* ---- hidden states ---- */

static ul_val *stop_at(void *ud, enum ul_site site, int layer, ul_val *h)
{
	return site == UL_SITE_BLOCK && layer == *(const int *)ud ? NULL : h;
}

ul_val *ul_pass_to(ul_tape *t, ul_model *m, const ul_batch *b, int layer)
{
	ul_pass *p = ul_alloc(&t->arena, sizeof *p);
	int *stop = ul_alloc(&t->arena, sizeof *stop);
	if (!p || !stop) {
		return ul_lost(t);
	}
	*stop = layer;
	*p = ul_batch_pass(b, t);
	p->tap = stop_at;
	p->ud = stop;
	p->tap_sites = 1u << UL_SITE_BLOCK;
	return ul_forward(m, p);
}

void ul_copy_out(const ul_val *h, void *out)
{
	if (h->tape->be->elem == 8) {
		ul_read(h, out);
	} else {
		ul_read_f32(h, out);
	}
}

/* One row of the data set, alone. Returns its states in the step arena. */
static void *row_hidden(ul_run *r, enum ul_stream s, int item, int layer, size_t *bytes)
{
	ul_batch one = {0};
	if (!ul_pack(r->data[s], &item, 1, all_labels(r, s), &r->step_arena, &one, NULL)) {
		return NULL;
	}
	ul_model *m = ul_ref_model(r);
	ul_val *h = layer == UL_FINAL_ROWS ? ul_label_rows(&r->ref_tape, m, &one) : ul_pass_to(&r->ref_tape, m, &one, layer);
	if (!ul_tape_ok(&r->ref_tape, NULL)) {
		return NULL;
	}
	*bytes = (size_t)h->rows * (size_t)h->cols * r->model->be->elem;
	void *out = ul_alloc(&r->step_arena, *bytes);
	if (out) {
		ul_copy_out(h, out);
	}
	ul_tape_reset(&r->ref_tape);
	return out;
}

static const void *cached_hidden(ul_run *r, enum ul_stream s, int item, int layer, size_t *bytes)
{
	ul_refcache *c = r->cache[s];
	UL_ASSERT(c, "the method uses reference passes it did not ask for");
	UL_ASSERT(c->bytes == 0 || c->layer == layer, "one run keeps the states of one site, not of %d and %d", c->layer, layer);
	if (c->hidden[item]) {
		return c->hidden[item];
	}
	void *x = row_hidden(r, s, item, layer, bytes);
	if (x && c->bytes + *bytes <= budget) {
		void *keep = ul_malloc(*bytes + 1);
		if (!keep) {
			return NULL;
		}
		memcpy(keep, x, *bytes);
		c->hidden[item] = keep;
		c->layer = layer;
		c->bytes += *bytes;
	}
	return x;
}

const void *ul_ref_hidden(ul_run *r, const ul_batch *b, int layer)
{
	enum ul_stream s = ul_stream_of(r, b);
	size_t width = (size_t)r->model->cfg.hidden * r->model->be->elem, at = 0;
	size_t rows = (size_t)(layer == UL_FINAL_ROWS ? b->labels : b->rows);
	char *out = ul_alloc(&r->step_arena, rows * width + 1);
	for (int i = 0; out && i < b->seqs; i++) {
		size_t n = (size_t)(layer == UL_FINAL_ROWS ? b->seq_labels[i] : b->span.start[i + 1] - b->span.start[i]) * width;
		size_t made = n;
		const void *x = cached_hidden(r, s, b->item[i], layer, &made);
		if (!x || made != n) {
			return NULL;
		}
		memcpy(out + at, x, n);
		at += n;
	}
	return out;
}

ul_val *ul_hidden(ul_run *r, const ul_batch *b, int layer, bool reference)
{
	if (!reference) {
		return ul_pass_to(&r->tape, r->model, b, layer);
	}
	const void *x = ul_ref_hidden(r, b, layer);
	int width = r->model->cfg.hidden;
	if (!x) {
		return ul_lost(&r->tape);
	}
	return r->model->be->elem == 8 ? ul_const(&r->tape, b->rows, width, x) : ul_const_f32(&r->tape, b->rows, width, x);
}
