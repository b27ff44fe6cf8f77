/*
 * pack.c: rows end to end in one matrix; boundaries travel as spans, nothing is padded.
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

bool ul_pack(const ul_dataset *d, const int *item, int n, bool all_labels, ul_arena *a, ul_batch *out, ul_err *err)
{
	ul_batch b = {0};
	size_t rows = 0;
	int labels = 0;
	for (int i = 0; i < n; i++) {
		const ul_row *r = &d->row[item[i]];
		UL_ASSERT(r->n > 0, "row %d is not tokenized", item[i]);
		rows += (size_t)r->n;
		for (int t = 0; t < r->n; t++)
			labels += predicted(r, t, all_labels);
	}
	if (rows > INT32_MAX / 4)
		return ul_fail(err, "a batch of %zu tokens is over the limit of %d", rows, INT32_MAX / 4);
	if (!reserve(&b, (int)rows, labels, n, a, err))
		return false;
	int *start = (int *)(uintptr_t)b.span.start;
	for (int i = 0; i < n; i++) {
		const ul_row *r = &d->row[item[i]];
		start[i] = b.rows;
		b.item[i] = item[i];
		memcpy(b.ids + b.rows, r->ids, (size_t)r->n * sizeof *b.ids);
		for (int t = 0; t < r->n; t++) {
			b.pos[b.rows + t] = t;
			if (!predicted(r, t, all_labels))
				continue;
			b.at[b.labels] = b.rows + t - 1;
			b.target[b.labels] = r->ids[t];
			b.seq[b.labels] = i;
			b.spot[b.labels] = (r->flags[t] & UL_ROW_SPAN) != 0;
			b.labels++;
			b.seq_labels[i]++;
		}
		b.rows += r->n;
	}
	start[n] = b.rows;
	b.seqs = n;
	*out = b;
	return true;
}

ul_pass ul_batch_pass(const ul_batch *b, ul_tape *t)
{
	return (ul_pass){.tape = t, .ids = b->ids, .pos = b->pos, .span = b->span};
}
