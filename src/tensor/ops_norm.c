/*
 * ops_norm.c: RMSNorm (Zhang & Sennrich 2019) and LayerNorm (Ba et al. 2016), over rows or over groups of w->cols columns within
 * a row (query and key norm per head).
 */
#include "tensor/node.h"

struct norm {
	ul_param *w, *b;
	bool plus_one;
	double *stat;
};

typedef void (*kernel)(const ul_norm_args *a);

static ul_val *norm(ul_val *x, struct norm c, double eps, kernel forward, void (*backward)(ul_val *y))
{
	ul_tape *t = x->tape;
	bool needs = x->needs_grad || c.w->trainable || (c.b && c.b->trainable);
	ul_val *y = ul_node(t, x->rows, x->cols, needs);
	int groups = x->rows * (x->cols / c.w->cols);

	c.stat = ul_remember(t, NULL, (size_t)groups * 2 * sizeof *c.stat);
	if (t->failed)
		return y;
	UL_ASSERT(c.w->rows == 1 && x->cols % c.w->cols == 0, "%s is [%d, %d], x is [%d, %d]", c.w->name, c.w->rows, c.w->cols, x->rows, x->cols);
	forward(&(ul_norm_args){.groups = groups, .cols = c.w->cols, .eps = eps, .plus_one = c.plus_one, .x = x->data, .w = c.w->data, .b = c.b ? c.b->data : NULL, .y = y->data, .stat = c.stat});
	if (ul_recorded(y))
		y->ctx = ul_remember(t, &c, sizeof c);
	return t->failed ? y : ul_record(y, backward, (ul_val *[]){x, NULL});
}

static void norm_backward(ul_val *y, kernel grad)
{
	ul_tape *t = y->tape;
	struct norm *c = y->ctx;
	ul_val *x = y->in[0];
	void *dx = ul_grad(x);

	if (t->failed)
		return;
	grad(&(ul_norm_args){.groups = x->rows * (x->cols / c->w->cols), .cols = c->w->cols, .plus_one = c->plus_one, .x = x->data, .w = c->w->data, .stat = c->stat, .dy = y->grad, .dx = dx, .dw = c->w->trainable ? c->w->grad : NULL, .db = c->b && c->b->trainable ? c->b->grad : NULL, .work = &t->scratch});
	t->failed |= t->scratch.failed;
}

static void rmsnorm_backward(ul_val *y)
{
	norm_backward(y, y->tape->be->rmsnorm_grad);
}

ul_val *ul_rmsnorm(ul_val *x, ul_param *w, double eps, bool plus_one)
{
	return norm(x, (struct norm){.w = w, .plus_one = plus_one}, eps, x->tape->be->rmsnorm, rmsnorm_backward);
}

static void layernorm_backward(ul_val *y)
{
	norm_backward(y, y->tape->be->layernorm_grad);
}

ul_val *ul_layernorm(ul_val *x, ul_param *w, ul_param *b, double eps)
{
	return norm(x, (struct norm){.w = w, .b = b}, eps, x->tape->be->layernorm, layernorm_backward);
}
