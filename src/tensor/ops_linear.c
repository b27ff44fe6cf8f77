/*
 * ops_linear.c: where weights meet activations: embedding, linear layers with their adapters (Hu et al. 2021, LoRA), and the moving of
 * rows and columns.
 */
#include "tensor/node.h"

static void same_backend(const ul_tape *t, const ul_param *p)
{
	UL_ASSERT(p->be == t->be, "%s lives in backend %s, the tape in %s", p->name, p->be->name, t->be->name);
}

/* ---- embedding ---- */

struct embed {
	ul_param *table;
	int *ids;
	double scale;
};

static void embed_backward(ul_val *y)
{
	struct embed *c = y->ctx;

	y->tape->be->scatter_add(c->table->grad, y->grad, c->ids, y->rows, y->cols, c->scale);
}

static void look_up(ul_tape *t, void *y, const ul_param *table, const int *ids, int n, double scale)
{
	size_t cols = (size_t)table->cols;

	if (!table->packed) {
		t->be->gather(y, table->data, ids, n, table->cols, scale);
		return;
	}
	for (int i = 0; i < n; i++)
		ul_param_rows_f32(table, ids[i], 1, (float *)y + (size_t)i * cols);
	if (scale != 1)
		t->be->axpby(y, scale, y, 0, (size_t)n * cols);
}

ul_val *ul_embed(ul_tape *t, ul_param *table, const int *ids, int n, double scale) /* [n, width] */
{
	ul_val *y = ul_node(t, n, table->cols, table->trainable);

	if (t->failed)
		return y;
	same_backend(t, table);
	for (int i = 0; i < n; i++)
		UL_ASSERT(ids[i] >= 0 && ids[i] < table->rows, "id %d of %d", ids[i], table->rows);
	look_up(t, y->data, table, ids, n, scale);
	if (!ul_recorded(y))
		return y;
	struct embed c = {table, ul_remember(t, ids, (size_t)n * sizeof *ids), scale};
	y->ctx = ul_remember(t, &c, sizeof c);
	return t->failed ? y : ul_record(y, embed_backward, (ul_val *[]){NULL});
}

/* ---- y = x Wᵀ + b + Σ scale · (x Aᵀ) Bᵀ ---- */

struct low { /* x Aᵀ of one adapter */
	ul_lora *lora;
	void *u; /* [rows, rank] */
};

struct linear {
	ul_param *w, *b;
	int lows;
	struct low *low;
};

static bool lora_trains(const ul_lora *l)
{
	return l->a->trainable || l->b->trainable;
}

/* c [m,n] of rows dense: the three products a linear layer consists of. */
static void x_wt(ul_tape *t, void *y, double beta, const void *x, const ul_param *w, int rows)
{
	ul_product(t, (ul_gemm){.tb = true, .m = rows, .n = w->rows, .k = w->cols, .alpha = 1, .beta = beta, .a = x, .lda = w->cols, .b = ul_weights(w), .b_as = ul_weights_as(w), .ldb = w->cols, .c = y, .ldc = w->rows});
}

static void dy_w(ul_tape *t, void *dx, double alpha, double beta, const void *dy, const ul_param *w, int rows)
{
	ul_product(t, (ul_gemm){.m = rows, .n = w->cols, .k = w->rows, .alpha = alpha, .beta = beta, .a = dy, .lda = w->rows, .b = ul_weights(w), .b_as = ul_weights_as(w), .ldb = w->cols, .c = dx, .ldc = w->cols});
}

static void dyt_x(ul_tape *t, const ul_param *w, double alpha, const void *dy, const void *x, int rows)
{
	ul_product(t, (ul_gemm){.ta = true, .m = w->rows, .n = w->cols, .k = rows, .alpha = alpha, .beta = 1, .a = dy, .lda = w->rows, .b = x, .ldb = w->cols, .c = w->grad, .ldc = w->cols});
}

static void low_backward(ul_val *y, const struct low *low)
{
	ul_tape *t = y->tape;
	ul_val *x = y->in[0];
	const ul_lora *l = low->lora;
	ul_mark mark = ul_arena_mark(&t->scratch);
	void *du = ul_scratch(t, (size_t)x->rows * (size_t)l->rank * t->be->elem); /* scale · dy B */

	if (du && (x->needs_grad || l->a->trainable))
		dy_w(t, du, l->scale, 0, y->grad, l->b, x->rows);
	if (du && l->b->trainable)
		dyt_x(t, l->b, l->scale, y->grad, low->u, x->rows);
	if (du && l->a->trainable)
		dyt_x(t, l->a, 1, du, x->data, x->rows);
	if (du && x->needs_grad)
		dy_w(t, x->grad, 1, 1, du, l->a, x->rows);
	ul_arena_reset(&t->scratch, mark);
}

static void linear_backward(ul_val *y)
{
	ul_tape *t = y->tape;
	struct linear *c = y->ctx;
	ul_val *x = y->in[0];
	double beta = 0;
	void *dx = ul_grad_beta(x, &beta);

	if (t->failed)
		return;
	if (dx)
		dy_w(t, dx, 1, beta, y->grad, c->w, x->rows);
	if (c->w->trainable)
		dyt_x(t, c->w, 1, y->grad, x->data, x->rows);
	if (c->b && c->b->trainable)
		t->be->sum_rows(c->b->grad, y->grad, y->rows, y->cols, &t->scratch);
	for (int i = 0; i < c->lows; i++)
		low_backward(y, &c->low[i]);
}

static void linear_forward(ul_val *y, ul_val *x, const struct linear *c, bool products)
{
	ul_tape *t = y->tape;

	if (products) {
		x_wt(t, y->data, 0, x->data, c->w, x->rows);
		if (c->b)
			t->be->add_bias(y->data, c->b->data, y->rows, y->cols);
	}
	for (int i = 0; i < c->lows; i++) {
		const ul_lora *l = c->low[i].lora;
		void *u = c->low[i].u;
		x_wt(t, u, 0, x->data, l->a, x->rows);
		if (products)
			ul_product(t, (ul_gemm){.tb = true, .m = x->rows, .n = y->cols, .k = l->rank, .alpha = l->scale, .beta = 1, .a = u, .lda = l->rank, .b = l->b->data, .ldb = l->rank, .c = y->data, .ldc = y->cols});
	}
}

ul_val *ul_linear(ul_val *x, ul_param *w, ul_param *b) /* [rows, w->rows] */
{
	ul_tape *t = x->tape;
	bool needs = x->needs_grad || w->trainable || (b && b->trainable), first;
	int lows = 0;

	for (ul_lora *l = t->adapters_off ? NULL : w->lora; l; l = l->next, lows++)
		needs |= lora_trains(l);
	ul_val *y = ul_node_of(t, x->rows, w->rows, needs, ul_product_result(t, (size_t)x->rows * (size_t)w->rows, &first));
	struct linear c = {w, b, lows, ul_remember(t, NULL, (size_t)lows * sizeof *c.low)};
	if (t->failed)
		return y;
	UL_ASSERT(x->cols == w->cols, "%s is [%d, %d], x is [%d, %d]", w->name, w->rows, w->cols, x->rows, x->cols);
	UL_ASSERT(!b || b->rows * b->cols == w->rows, "bias of %s has %d elements", w->name, b->rows * b->cols);
	same_backend(t, w);
	lows = 0;
	for (ul_lora *l = t->adapters_off ? NULL : w->lora; l; l = l->next)
		c.low[lows++] = (struct low){l, ul_elems(t, (size_t)x->rows * (size_t)l->rank)};
	if (t->failed)
		return y;
	linear_forward(y, x, &c, first);
	if (ul_recorded(y))
		y->ctx = ul_remember(t, &c, sizeof c);
	return t->failed ? y : ul_record(y, linear_backward, (ul_val *[]){x, NULL});
}

/* ---- rows and columns of a value ---- */

static void rows_backward(ul_val *y)
{
	void *dx = ul_grad(y->in[0]);

	if (dx)
		y->tape->be->scatter_add(dx, y->grad, y->ctx, y->rows, y->cols, 1);
}

ul_val *ul_rows(ul_val *x, const int *index, int n) /* [n, x->cols] */
{
	ul_tape *t = x->tape;
	ul_val *y = ul_node(t, n, x->cols, x->needs_grad);

	if (t->failed)
		return y;
	for (int i = 0; i < n; i++)
		UL_ASSERT(index[i] >= 0 && index[i] < x->rows, "row %d of %d", index[i], x->rows);
	t->be->gather(y->data, x->data, index, n, x->cols, 1);
	if (ul_recorded(y))
		y->ctx = ul_remember(t, index, (size_t)n * sizeof *index);
	return t->failed ? y : ul_record(y, rows_backward, (ul_val *[]){x, NULL});
}

static void cols_backward(ul_val *y)
{
	void *dx = ul_grad(y->in[0]);

	if (dx)
		y->tape->be->cols_add(dx, y->grad, y->ctx);
}

ul_val *ul_cols(ul_val *x, int start, int width, int stride, int count) /* [x->rows, width * count] */
{
	ul_tape *t = x->tape;
	ul_val *y = ul_node(t, x->rows, width * count, x->needs_grad);
	ul_cols_args c = {x->rows, x->cols, start, width, stride, count};

	if (t->failed)
		return y;
	UL_ASSERT(start >= 0 && start + (count - 1) * stride + width <= x->cols, "columns %d + %d * %d + %d of %d", start, count - 1, stride, width, x->cols);
	t->be->cols_copy(y->data, x->data, &c);
	if (ul_recorded(y))
		y->ctx = ul_remember(t, &c, sizeof c);
	return t->failed ? y : ul_record(y, cols_backward, (ul_val *[]){x, NULL});
}
