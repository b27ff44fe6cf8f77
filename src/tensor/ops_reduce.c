/*
 * ops_reduce.c: from many numbers to few. Columns of row losses are short, so they are read as doubles and summed in order.
 */
#include "tensor/node.h"

#include <string.h>

/* ---- sum and mean of everything ---- */

static void total_backward(ul_val *y)
{
	ul_val *x = y->in[0];
	const ul_backend *be = y->tape->be;
	double dy, scale = *(double *)y->ctx;
	void *dx = ul_grad(x);
	ul_mark mark = ul_arena_mark(&y->tape->scratch);
	void *ones = ul_scratch(y->tape, ul_count(x) * be->elem);

	if (dx && ones) {
		be->to_f64(&dy, y->grad, 1);
		be->fill(ones, 1, ul_count(x));
		be->axpby(dx, dy * scale, ones, 1, ul_count(x));
	}
	ul_arena_reset(&y->tape->scratch, mark);
}

static ul_val *total(ul_val *x, double scale)
{
	ul_tape *t = x->tape;
	ul_val *y = ul_node(t, 1, 1, x->needs_grad);

	if (t->failed)
		return y;
	double v = t->be->sum(x->data, ul_count(x)) * scale;
	t->be->from_f64(y->data, &v, 1);
	if (ul_recorded(y))
		y->ctx = ul_remember(t, &scale, sizeof scale);
	return t->failed ? y : ul_record(y, total_backward, (ul_val *[]){x, NULL});
}

ul_val *ul_sum(ul_val *x)
{
	return total(x, 1);
}

ul_val *ul_mean(ul_val *x)
{
	return total(x, 1.0 / (double)ul_count(x));
}

/* ---- columns ---- */

/* dx[i] += c[i] for a column */
static void add_column(ul_val *x, const double *c)
{
	ul_tape *t = x->tape;
	void *dx = ul_grad(x);
	ul_mark mark = ul_arena_mark(&t->scratch);
	void *e = ul_scratch(t, (size_t)x->rows * t->be->elem);

	if (dx && e) {
		t->be->from_f64(e, c, (size_t)x->rows);
		t->be->axpby(dx, 1, e, 1, (size_t)x->rows);
	}
	ul_arena_reset(&t->scratch, mark);
}

static void wsum_backward(ul_val *y)
{
	ul_tape *t = y->tape;
	ul_val *x = y->in[0];
	const double *w = y->ctx;
	double dy;
	ul_mark mark = ul_arena_mark(&t->scratch);
	double *c = ul_scratch(t, (size_t)x->rows * sizeof *c);

	t->be->to_f64(&dy, y->grad, 1);
	for (int i = 0; c && i < x->rows; i++)
		c[i] = dy * w[i];
	if (c)
		add_column(x, c);
	ul_arena_reset(&t->scratch, mark);
}

ul_val *ul_wsum(ul_val *x, const double *w)
{
	ul_tape *t = x->tape;
	ul_val *y = ul_node(t, 1, 1, x->needs_grad);
	ul_mark mark = ul_arena_mark(&t->scratch);
	double *v = ul_scratch(t, (size_t)x->rows * sizeof *v), sum = 0;

	if (t->failed)
		return y;
	UL_ASSERT(x->cols == 1, "[%d, %d] is not a column", x->rows, x->cols);
	t->be->to_f64(v, x->data, (size_t)x->rows);
	for (int i = 0; i < x->rows; i++)
		sum += w[i] * v[i];
	t->be->from_f64(y->data, &sum, 1);
	ul_arena_reset(&t->scratch, mark);
	if (ul_recorded(y))
		y->ctx = ul_remember(t, w, (size_t)x->rows * sizeof *w);
	return t->failed ? y : ul_record(y, wsum_backward, (ul_val *[]){x, NULL});
}

static void group_sum_backward(ul_val *y)
{
	ul_tape *t = y->tape;
	ul_val *x = y->in[0];
	const int *group = y->ctx;
	ul_mark mark = ul_arena_mark(&t->scratch);
	double *dy = ul_scratch(t, (size_t)y->rows * sizeof *dy), *c = ul_scratch(t, (size_t)x->rows * sizeof *c);

	if (!t->failed) {
		t->be->to_f64(dy, y->grad, (size_t)y->rows);
		for (int i = 0; i < x->rows; i++)
			c[i] = dy[group[i]];
		add_column(x, c);
	}
	ul_arena_reset(&t->scratch, mark);
}

ul_val *ul_group_sum(ul_val *x, const int *group, int n)
{
	ul_tape *t = x->tape;
	ul_val *y = ul_node(t, n, 1, x->needs_grad);
	ul_mark mark = ul_arena_mark(&t->scratch);
	double *v = ul_scratch(t, (size_t)x->rows * sizeof *v), *sum = ul_scratch(t, (size_t)n * sizeof *sum);

	if (t->failed)
		return y;
	UL_ASSERT(x->cols == 1, "[%d, %d] is not a column", x->rows, x->cols);
	memset(sum, 0, (size_t)n * sizeof *sum);
	t->be->to_f64(v, x->data, (size_t)x->rows);
	for (int i = 0; i < x->rows; i++) {
		UL_ASSERT(group[i] >= 0 && group[i] < n, "group %d of %d", group[i], n);
		sum[group[i]] += v[i];
	}
	t->be->from_f64(y->data, sum, (size_t)n);
	ul_arena_reset(&t->scratch, mark);
	if (ul_recorded(y))
		y->ctx = ul_remember(t, group, (size_t)x->rows * sizeof *group);
	return t->failed ? y : ul_record(y, group_sum_backward, (ul_val *[]){x, NULL});
}

/* ---- two matrices, row by row ---- */

static void row_pair_backward(ul_val *y, double own, double other)
{
	ul_tape *t = y->tape;
	ul_mark mark = ul_arena_mark(&t->scratch);
	double *dy = ul_scratch(t, (size_t)y->rows * sizeof *dy), *c = ul_scratch(t, (size_t)y->rows * sizeof *c);

	if (!t->failed)
		t->be->to_f64(dy, y->grad, (size_t)y->rows);
	for (int side = 0; side < 2 && !t->failed; side++) { /* d operand += dy · (own · operand + other · the other) */
		ul_val *x = y->in[side], *z = y->in[1 - side];
		void *dx = ul_grad(x);
		if (!dx)
			continue;
		for (int part = 0; part < 2; part++) {
			double factor = part ? other : own;
			for (int i = 0; i < y->rows; i++)
				c[i] = dy[i] * factor;
			if (factor != 0)
				t->be->rows_axpy(dx, c, part ? z->data : x->data, x->rows, x->cols);
		}
	}
	ul_arena_reset(&t->scratch, mark);
}

static void row_sqdist_backward(ul_val *y)
{
	double c = 2.0 / y->in[0]->cols;

	row_pair_backward(y, c, -c);
}

static void row_dot_backward(ul_val *y)
{
	row_pair_backward(y, 0, 1);
}

typedef void (*pair_kernel)(double *out, const void *x, const void *y, int rows, int cols);

static ul_val *row_pair(ul_val *x, ul_val *z, pair_kernel kernel, double scale, void (*backward)(ul_val *y)) /* [rows, 1] */
{
	ul_tape *t = x->tape;
	ul_val *y = ul_node(t, x->rows, 1, x->needs_grad || z->needs_grad);
	ul_mark mark = ul_arena_mark(&t->scratch);
	double *v = ul_scratch(t, (size_t)x->rows * sizeof *v);

	if (t->failed)
		return y;
	UL_ASSERT(x->rows == z->rows && x->cols == z->cols, "[%d, %d] and [%d, %d]", x->rows, x->cols, z->rows, z->cols);
	kernel(v, x->data, z->data, x->rows, x->cols);
	for (int i = 0; i < x->rows; i++)
		v[i] *= scale;
	t->be->from_f64(y->data, v, (size_t)x->rows);
	ul_arena_reset(&t->scratch, mark);
	return ul_record(y, backward, (ul_val *[]){x, z, NULL});
}

ul_val *ul_row_sqdist(ul_val *x, ul_val *y)
{
	return row_pair(x, y, x->tape->be->rows_sqdist, 1.0 / x->cols, row_sqdist_backward);
}

ul_val *ul_row_dot(ul_val *x, ul_val *y)
{
	return row_pair(x, y, x->tape->be->rows_dot, 1, row_dot_backward);
}
