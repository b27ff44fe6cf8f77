/*
 * grad.h: what a row of a gradient table is made of. A case builds a value from parameters it asks for in order; the harness
 * weighs the value's elements with fixed random numbers into a loss and asks for the gradient of every trainable parameter.
 *
 * Parameters are random numbers that float can hold exactly, so that all backends see the same problem, and stay 0.05 away from
 * zero, where relu and abs have none.
 */
#ifndef GRAD_H
#define GRAD_H

#include "tensor/backend.h"
#include "test.h"

struct world {
	ul_arena arena;
	const ul_backend *be;
	ul_tape tape;
	ul_param *param[24];
	int n, next;
	const char *name;
};

struct grad_case {
	const char *name;
	ul_val *(*build)(struct world *w);
	bool large; /* too long for differences: only the backends against each other */
};

static inline double any(const char *purpose, uint64_t index) /* in ±(0.05 … 1) */
{
	ul_rng r = ul_rng_at(7, purpose, index);
	double u = ul_rng_uniform(&r) * 1.9 - 0.95;
	return (float)(u < 0 ? u - 0.05 : u + 0.05);
}

static inline ul_param *frozen(struct world *w, int rows, int cols, double scale, double shift)
{
	int i = w->next++;

	if (i < w->n)
		return w->param[i];
	ul_param *p = w->param[w->n++] = ul_param_new(&w->arena, w->be, "p", rows, cols);
	NEED(p != NULL);
	double *x = ul_malloc((size_t)rows * (size_t)cols * sizeof *x);
	NEED(x != NULL);
	for (int j = 0; j < rows * cols; j++)
		x[j] = (float)(any(w->name, (uint64_t)i << 32 | (uint64_t)j) * scale + shift);
	ul_param_set(p, x);
	ul_free(x);
	return p;
}

static inline ul_param *around(struct world *w, int rows, int cols, double scale, double shift)
{
	ul_param *p = frozen(w, rows, cols, scale, shift);
	ul_err err = {0};

	NEED_OK(p->trainable || ul_param_train(p, true, &err), err);
	return p;
}

static inline ul_param *weight(struct world *w, int rows, int cols)
{
	return around(w, rows, cols, 1, 0);
}

static inline ul_val *input(struct world *w, int rows, int cols)
{
	return ul_leaf_param(&w->tape, weight(w, rows, cols));
}

static inline ul_val *constant(struct world *w, int rows, int cols)
{
	return ul_leaf_param(&w->tape, frozen(w, rows, cols, 1, 0));
}

static inline void world_open(struct world *w, const char *backend, const char *name)
{
	ul_err err = {0};

	*w = (struct world){.be = ul_backend_get(backend, &err), .name = name};
	NEED_OK(w->be, err);
	ul_tape_init(&w->tape, w->be);
}

static inline void world_close(struct world *w)
{
	for (int i = 0; i < w->n; i++)
		ul_param_release(w->param[i]);
	ul_tape_release(&w->tape);
	ul_arena_release(&w->arena);
}

static inline ul_val *world_loss(struct world *w, const struct grad_case *c)
{
	ul_err err = {0};

	ul_tape_reset(&w->tape);
	w->next = 0;
	ul_val *y = c->build(w);
	NEED_OK(ul_tape_ok(&w->tape, &err), err);
	int n = y->rows * y->cols;
	double *r = ul_malloc((size_t)n * sizeof *r);
	NEED(r != NULL);
	for (int i = 0; i < n; i++)
		r[i] = any("weights of the loss", (uint64_t)i);
	ul_val *loss = ul_sum(ul_mul(y, ul_const(&w->tape, y->rows, y->cols, r)));
	ul_free(r);
	return loss;
}

static inline double world_value(struct world *w, const struct grad_case *c)
{
	w->tape.record = false;
	double v = ul_item(world_loss(w, c));
	w->tape.record = true;
	return v;
}

static inline size_t size_of(const ul_param *p)
{
	return (size_t)p->rows * (size_t)p->cols;
}

/* Gradients of all parameters, one after the other; zeros for frozen ones. */
static inline double *world_grads(struct world *w, const struct grad_case *c, double *value)
{
	ul_err err = {0};
	ul_val *loss = world_loss(w, c);
	size_t n = 0;

	for (int i = 0; i < w->n; i++)
		if (w->param[i]->grad)
			w->be->fill(w->param[i]->grad, 0, size_of(w->param[i]));
	ul_backward(loss, 1);
	NEED_OK(ul_tape_ok(&w->tape, &err), err);
	*value = ul_item(loss);
	for (int i = 0; i < w->n; i++)
		n += size_of(w->param[i]);
	double *g = ul_malloc((n + 1) * sizeof *g);
	NEED(g != NULL);
	n = 0;
	for (int i = 0; i < w->n; i++) {
		ul_param_grad(w->param[i], g + n);
		n += size_of(w->param[i]);
	}
	return g;
}

#endif
