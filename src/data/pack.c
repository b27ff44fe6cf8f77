/*
 * pack.c: rows end to end in one matrix; boundaries travel as spans, nothing is padded, and where nobody asks for gradients a beginning
 * that rows share, such as a question with several answers, stands there once.
 */
#include "data/data.h"

#include <string.h>

static bool predicted(const ul_row *r, int t, bool all_labels)
{
	return t > 0 && (all_labels || (r->flags[t] & UL_ROW_LABEL));
}

static bool reserve(ul_batch *b, int rows, int labels, int seqs, ul_arena *a, ul_err *err)
{
	int *start = ul_alloc(a, (size_t)(seqs + 1) * sizeof *start);
	b->ids = ul_alloc(a, (size_t)rows * sizeof *b->ids);
	b->pos = ul_alloc(a, (size_t)rows * sizeof *b->pos);
	b->item = ul_alloc(a, (size_t)seqs * sizeof *b->item);
	b->at = ul_alloc(a, (size_t)labels * sizeof *b->at);
	b->target = ul_alloc(a, (size_t)labels * sizeof *b->target);
	b->seq = ul_alloc(a, (size_t)labels * sizeof *b->seq);
	b->spot = ul_alloc(a, (size_t)labels);
	b->seq_labels = ul_alloc(a, (size_t)seqs * sizeof *b->seq_labels);
	b->span = (ul_span){seqs, start};
	return !a->failed || ul_nomem(err, (size_t)rows * 2 * sizeof(int));
}

/* ---- beginnings that rows share ---- */

enum { WORTH = 4 }; /* tokens: fewer are cheaper computed again than fetched */

int ul_row_alike(const ul_row *a, const ul_row *b)
{
	int n = 0, most = a->n < b->n ? a->n : b->n - 1;
	while (n < most && a->ids[n] == b->ids[n])
		n++;
	return n >= WORTH ? n : 0;
}

/* Each row's longest beginning that a row before it has too. */
static bool find_shared(const ul_dataset *d, const int *item, int n, ul_arena *a, ul_span *out, ul_err *err)
{
	int *lead = ul_alloc(a, (size_t)n * sizeof *lead), *shared = ul_alloc(a, (size_t)n * sizeof *shared);
	if (!lead || !shared)
		return ul_nomem(err, (size_t)n * 2 * sizeof *lead);
	for (int i = 0; i < n; i++) {
		for (int k = i - 1; k >= 0 && shared[i] < d->row[item[i]].n - 1; k--) {
			int same = ul_row_alike(&d->row[item[k]], &d->row[item[i]]);
			if (same > shared[i]) {
				lead[i] = k;
				shared[i] = same;
			}
		}
	}
	out->lead = lead;
	out->shared = shared;
	return true;
}

/* The row of the batch that holds position p of sequence i: its own, or that of the sequence it begins like. */
static int row_at(const ul_span *s, int i, int p)
{
	while (s->shared && p < s->shared[i])
		i = s->lead[i];
	return s->start[i] + p - (s->shared ? s->shared[i] : 0);
}

/* ---- rows end to end ---- */

static void add_row(ul_batch *b, const ul_row *r, int i, bool all_labels)
{
	int shared = b->span.shared ? b->span.shared[i] : 0, own = r->n - shared;
	memcpy(b->ids + b->rows, r->ids + shared, (size_t)own * sizeof *b->ids);
	for (int t = 0; t < own; t++)
		b->pos[b->rows + t] = shared + t;
	for (int t = 0; t < r->n; t++) {
		if (!predicted(r, t, all_labels))
			continue;
		b->at[b->labels] = row_at(&b->span, i, t - 1);
		b->target[b->labels] = r->ids[t];
		b->seq[b->labels] = i;
		b->spot[b->labels] = (r->flags[t] & UL_ROW_SPAN) != 0;
		b->labels++;
		b->seq_labels[i]++;
	}
	b->rows += own;
}

struct how {
	bool all_labels, share;
};

static bool pack(const ul_dataset *d, const int *item, int n, struct how how, ul_arena *a, ul_batch *out, ul_err *err)
{
	ul_batch b = {0};
	ul_span s = {0};
	size_t rows = 0;
	int labels = 0;
	if (how.share && !find_shared(d, item, n, a, &s, err))
		return false;
	for (int i = 0; i < n; i++) {
		const ul_row *r = &d->row[item[i]];
		UL_ASSERT(r->n > 0, "row %d is not tokenized", item[i]);
		rows += (size_t)(r->n - (s.shared ? s.shared[i] : 0));
		for (int t = 0; t < r->n; t++)
			labels += predicted(r, t, how.all_labels);
	}
	if (rows > INT32_MAX / 4)
		return ul_fail(err, "a batch of %zu tokens is over the limit of %d", rows, INT32_MAX / 4);
	if (!reserve(&b, (int)rows, labels, n, a, err))
		return false;
	b.span.lead = s.lead;
	b.span.shared = s.shared;
	int *start = (int *)(uintptr_t)b.span.start;
	for (int i = 0; i < n; i++) {
		start[i] = b.rows;
		b.item[i] = item[i];
		add_row(&b, &d->row[item[i]], i, how.all_labels);
	}
	start[n] = b.rows;
	b.seqs = n;
	*out = b;
	return true;
}

bool ul_pack(const ul_dataset *d, const int *item, int n, bool all_labels, ul_arena *a, ul_batch *out, ul_err *err)
{
	return pack(d, item, n, (struct how){.all_labels = all_labels}, a, out, err);
}

bool ul_pack_shared(const ul_dataset *d, const int *item, int n, ul_arena *a, ul_batch *out, ul_err *err)
{
	return pack(d, item, n, (struct how){.share = true}, a, out, err);
}

ul_pass ul_batch_pass(const ul_batch *b, ul_tape *t)
{
	return (ul_pass){.tape = t, .ids = b->ids, .pos = b->pos, .span = b->span};
}
