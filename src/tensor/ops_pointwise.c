/*
 * ops_pointwise.c: operators that look at one element at a time, and two that weigh or project whole rows.
 */
#include "tensor/node.h"

static ul_val *like(ul_val *x, bool needs)
{
	return ul_node(x->tape, x->rows, x->cols, needs);
}

static void same_shape(const ul_val *x, const ul_val *y)
{
	UL_ASSERT(x->rows == y->rows && x->cols == y->cols, "[%d, %d] and [%d, %d]", x->rows, x->cols, y->rows, y->cols);
}

/* ---- activations ---- */

static void activate_backward(ul_val *y)
{
	ul_val *x = y->in[0];
	void *dx = ul_grad(x);

	if (dx)
		y->tape->be->act_grad(*(int *)y->ctx, dx, x->data, y->grad, ul_count(y));
}

ul_val *ul_activate(ul_val *x, enum ul_act f)
{
	ul_tape *t = x->tape;
	ul_val *y = like(x, x->needs_grad);
	int kind = f;

	if (t->failed)
		return y;
	t->be->act(f, y->data, x->data, ul_count(y));
	if (ul_recorded(y))
		y->ctx = ul_remember(t, &kind, sizeof kind);
	return t->failed ? y : ul_record(y, activate_backward, (ul_val *[]){x, NULL});
}

static void gate_backward(ul_val *y)
{
	ul_val *g = y->in[0], *u = y->in[1];
	void *dg = ul_grad(g), *du = ul_grad(u);

	if (!y->tape->failed)
		y->tape->be->gate_grad(&(ul_gate_args){.f = *(int *)y->ctx, .n = ul_count(y), .g = g->data, .u = u->data, .dy = y->grad, .dg = dg, .du = du});
}

ul_val *ul_gate(ul_val *gate, ul_val *up, enum ul_act f)
{
	ul_tape *t = gate->tape;
	ul_val *y = like(gate, gate->needs_grad || up->needs_grad);
	int kind = f;

	if (t->failed)
		return y;
	same_shape(gate, up);
	t->be->gate(&(ul_gate_args){.f = f, .n = ul_count(y), .g = gate->data, .u = up->data, .y = y->data});
	if (ul_recorded(y))
		y->ctx = ul_remember(t, &kind, sizeof kind);
	return t->failed ? y : ul_record(y, gate_backward, (ul_val *[]){gate, up, NULL});
}

/* ---- arithmetic ---- */

static void accumulate(ul_val *x, double c, const void *dy)
{
	double beta = 0;
	void *dx = ul_grad_beta(x, &beta);

	if (dx)
		x->tape->be->axpby(dx, c, dy, beta, ul_count(x));
}

static void add_backward(ul_val *y)
{
	accumulate(y->in[0], 1, y->grad);
	accumulate(y->in[1], 1, y->grad);
}

static void sub_backward(ul_val *y)
{
	accumulate(y->in[0], 1, y->grad);
	accumulate(y->in[1], -1, y->grad);
}

static ul_val *sum_of(ul_val *x, double c, ul_val *y, void (*backward)(ul_val *z)) /* x + c y */
{
	ul_tape *t = x->tape;
	ul_val *z = like(x, x->needs_grad || y->needs_grad);

	if (t->failed)
		return z;
	same_shape(x, y);
	t->be->add(z->data, x->data, c, y->data, ul_count(z));
	return ul_record(z, backward, (ul_val *[]){x, y, NULL});
}

ul_val *ul_add(ul_val *x, ul_val *y)
{
	return sum_of(x, 1, y, add_backward);
}

ul_val *ul_sub(ul_val *x, ul_val *y)
{
	return sum_of(x, -1, y, sub_backward);
}

static void mul_backward(ul_val *y)
{
	const ul_backend *be = y->tape->be;

	for (int i = 0; i < 2; i++) {
		void *dx = ul_grad(y->in[i]);
		if (dx)
			be->mul(dx, y->grad, y->in[1 - i]->data, 1, ul_count(y));
	}
}

ul_val *ul_mul(ul_val *x, ul_val *y)
{
	ul_tape *t = x->tape;
	ul_val *z = like(x, x->needs_grad || y->needs_grad);

	if (t->failed)
		return z;
	same_shape(x, y);
	t->be->mul(z->data, x->data, y->data, 0, ul_count(z));
	return ul_record(z, mul_backward, (ul_val *[]){x, y, NULL});
}

static void scale_backward(ul_val *y)
{
	accumulate(y->in[0], *(double *)y->ctx, y->grad);
}

static ul_val *affine(ul_val *x, double c, double shift) /* c x + shift */
{
	ul_tape *t = x->tape;
	ul_val *y = like(x, x->needs_grad);

	if (t->failed)
		return y;
	t->be->fill(y->data, shift, ul_count(y));
	t->be->axpby(y->data, c, x->data, 1, ul_count(y));
	if (ul_recorded(y))
		y->ctx = ul_remember(t, &c, sizeof c);
	return t->failed ? y : ul_record(y, scale_backward, (ul_val *[]){x, NULL});
}

ul_val *ul_scale(ul_val *x, double c)
{
	return affine(x, c, 0);
}

ul_val *ul_shift(ul_val *x, double c)
{
	return affine(x, 1, c);
}

/* ---- functions ---- */

static void map_fn_backward(ul_val *y)
{
	ul_val *x = y->in[0];
	void *dx = ul_grad(x);

	if (dx)
		y->tape->be->fn_grad(*(int *)y->ctx, dx, x->data, y->grad, ul_count(y));
}

ul_val *ul_map_fn(ul_val *x, enum ul_fn f)
{
	ul_tape *t = x->tape;
	ul_val *y = like(x, x->needs_grad);
	int kind = f;

	if (t->failed)
		return y;
	t->be->fn(f, y->data, x->data, ul_count(y));
	if (ul_recorded(y))
		y->ctx = ul_remember(t, &kind, sizeof kind);
	return t->failed ? y : ul_record(y, map_fn_backward, (ul_val *[]){x, NULL});
}

ul_val *ul_logsigmoid(ul_val *x)
{
	return ul_map_fn(x, UL_LOGSIGMOID);
}

static void min_backward(ul_val *y)
{
	ul_val *x = y->in[0];
	void *dx = ul_grad(x);

	if (dx)
		y->tape->be->cap_grad(dx, x->data, y->grad, *(double *)y->ctx, ul_count(y));
}

ul_val *ul_min(ul_val *x, double cap)
{
	ul_tape *t = x->tape;
	ul_val *y = like(x, x->needs_grad);

	if (t->failed)
		return y;
	t->be->cap(y->data, x->data, cap, ul_count(y));
	if (ul_recorded(y))
		y->ctx = ul_remember(t, &cap, sizeof cap);
	return t->failed ? y : ul_record(y, min_backward, (ul_val *[]){x, NULL});
}

ul_val *ul_detach(ul_val *x)
{
	return ul_node_of(x->tape, x->rows, x->cols, false, x->data);
}

/* ---- whole rows ---- */

static void mul_rows_backward(ul_val *y)
{
	void *dx = ul_grad(y->in[0]);

	if (dx)
		y->tape->be->rows_axpy(dx, y->ctx, y->grad, y->rows, y->cols);
}

ul_val *ul_mul_rows(ul_val *x, const double *w)
{
	ul_tape *t = x->tape;
	ul_val *y = like(x, x->needs_grad);

	if (t->failed)
		return y;
	t->be->fill(y->data, 0, ul_count(y));
	t->be->rows_axpy(y->data, w, x->data, x->rows, x->cols);
	if (ul_recorded(y))
		y->ctx = ul_remember(t, w, (size_t)x->rows * sizeof *w);
	return t->failed ? y : ul_record(y, mul_rows_backward, (ul_val *[]){x, NULL});
}

struct basis {
	void *c; /* [k, cols] */
	int k;
};

/* y -= (x Cᵀ) C, rows of x and y the same */
static void take_out(ul_tape *t, void *y, const ul_val *shape, const void *x, const struct basis *b)
{
	int rows = shape->rows, cols = shape->cols;
	ul_mark mark = ul_arena_mark(&t->scratch);
	void *u = ul_scratch(t, (size_t)rows * (size_t)b->k * t->be->elem); /* [rows, k] */

	if (u) {
		ul_product(t, (ul_gemm){.tb = true, .m = rows, .n = b->k, .k = cols, .alpha = 1, .a = x, .lda = cols, .b = b->c, .ldb = cols, .c = u, .ldc = b->k});
		ul_product(t, (ul_gemm){.m = rows, .n = cols, .k = b->k, .alpha = -1, .beta = 1, .a = u, .lda = b->k, .b = b->c, .ldb = cols, .c = y, .ldc = cols});
	}
	ul_arena_reset(&t->scratch, mark);
}

static void project_out_backward(ul_val *y)
{
	accumulate(y->in[0], 1, y->grad);
	if (y->in[0]->grad)
		take_out(y->tape, y->in[0]->grad, y, y->grad, y->ctx);
}

ul_val *ul_project_out(ul_val *x, const double *basis, int k)
{
	ul_tape *t = x->tape;
	ul_val *y = like(x, x->needs_grad);
	struct basis b = {ul_elems(t, (size_t)k * (size_t)x->cols), k};

	if (t->failed)
		return y;
	t->be->from_f64(b.c, basis, (size_t)k * (size_t)x->cols);
	t->be->copy(y->data, x->data, ul_count(y));
	take_out(t, y->data, y, x->data, &b);
	if (ul_recorded(y))
		y->ctx = ul_remember(t, &b, sizeof b);
	return t->failed ? y : ul_record(y, project_out_backward, (ul_val *[]){x, NULL});
}
