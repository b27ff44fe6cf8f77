/*
 * align.c: two ways to write a row, side by side. Where a method compares what is said at the same place of both, a label may stand only
 * on tokens that both have: the longest common subsequence of their labelled tokens.
 */
#include "train/train.h"

#include <string.h>

/* Labelled tokens of a row: where they stand. */
static int labelled(const ul_row *r, int *at)
{
	int n = 0;
	for (int t = 1; t < r->n; t++) {
		if (r->flags[t] & UL_ROW_LABEL) {
			at[n++] = t;
		}
	}
	return n;
}

/* longest[i * (m + 1) + j]: of a's labelled tokens from i on and b's from j on. Rows of answers are short: 16 bits count their tokens. */
static void fill(const ul_row *a, const int *at, int n, const ul_row *b, const int *bt, int m, uint16_t *longest)
{
	size_t w = (size_t)m + 1;
	memset(longest, 0, (size_t)(n + 1) * w * sizeof *longest);
	for (int i = n - 1; i >= 0; i--) {
		for (int j = m - 1; j >= 0; j--) {
			uint16_t *x = &longest[(size_t)i * w + (size_t)j];
			*x = a->ids[at[i]] == b->ids[bt[j]] ? (uint16_t)(x[w + 1] + 1) : x[w] > x[1] ? x[w]
			                                                                             : x[1];
		}
	}
}

static bool align(ul_row *a, ul_row *b, ul_arena *arena, ul_err *err)
{
	int *at = ul_alloc(arena, ((size_t)a->n + 1) * sizeof *at), *bt = ul_alloc(arena, ((size_t)b->n + 1) * sizeof *bt);
	int n = at && bt ? labelled(a, at) : 0, m = at && bt ? labelled(b, bt) : 0;
	size_t w = (size_t)m + 1, size = (size_t)(n + 1) * w;
	uint16_t *longest = n <= UINT16_MAX ? ul_alloc(arena, size * sizeof *longest) : NULL;
	if (!at || !bt || !longest) {
		return ul_nomem(err, size * sizeof *longest);
	}
	fill(a, at, n, b, bt, m, longest);
	int i = 0, j = 0;
	while (i < n || j < m) {
		bool same = i < n && j < m && a->ids[at[i]] == b->ids[bt[j]];
		bool leave_a = !same && (j == m || (i < n && longest[(size_t)(i + 1) * w + (size_t)j] >= longest[(size_t)i * w + (size_t)j + 1]));
		if (leave_a) {
			a->flags[at[i]] &= (unsigned char)~UL_ROW_LABEL;
		} else if (!same) {
			b->flags[bt[j]] &= (unsigned char)~UL_ROW_LABEL;
		}
		i += same || leave_a;
		j += same || !leave_a;
	}
	return true;
}

bool ul_align_labels(ul_dataset *a, ul_dataset *b, ul_err *err)
{
	ul_arena arena = {0};
	bool ok = true;
	for (int i = 0; ok && i < a->n; i++) {
		ul_mark mark = ul_arena_mark(&arena);
		ok = align(&a->row[i], &b->row[i], &arena, err);
		ul_arena_reset(&arena, mark);
	}
	ul_arena_release(&arena);
	return ok;
}
