/*
 * tape.c: the life of a value: made by an operator, remembered in order, gone through backwards, forgotten with the step.
 */
#include "tensor/node.h"

#include <string.h>

/* Gradients of inner values are needed only until their operator has gone back; the memory is used again for the next of its size. */
struct ul_spare {
	struct ul_spare *next;
	void *data;
	size_t bytes;
};

void ul_tape_init(ul_tape *t, const ul_backend *be)
{
	*t = (ul_tape){.be = be, .record = true};
}

static void forget(ul_tape *t)
{
	t->last = NULL;
	t->turns = NULL;
	t->spare = NULL;
	t->keep = NULL;
	t->run = UL_RUN_PLAIN;
	t->depth = 0;
}

void ul_tape_reset(ul_tape *t)
{
	ul_arena_reset(&t->arena, (ul_mark){0});
	ul_arena_reset(&t->scratch, (ul_mark){0});
	ul_arena_reset(&t->tables, (ul_mark){0});
	forget(t);
}

void ul_tape_release(ul_tape *t)
{
	ul_arena_release(&t->arena);
	ul_arena_release(&t->scratch);
	ul_arena_release(&t->tables);
	forget(t);
}

bool ul_tape_ok(const ul_tape *t, ul_err *err)
{
	if (t->failed || t->arena.failed || t->scratch.failed || t->tables.failed)
		return ul_nomem(err, t->arena.used + t->scratch.used + t->tables.used);
	return true;
}

/* ---- memory ---- */

/* While a block runs for its result only, its inside lives in scratch and goes with it. */
static ul_arena *here(ul_tape *t)
{
	return t->run == UL_RUN_FIRST ? &t->scratch : &t->arena;
}

void *ul_elems(ul_tape *t, size_t n)
{
	void *p = ul_alloc_raw(here(t), n * t->be->elem);

	t->failed |= !p;
	return p;
}

void *ul_remember(ul_tape *t, const void *bytes, size_t n)
{
	void *p = ul_alloc_raw(here(t), n);

	t->failed |= !p;
	if (p && bytes)
		memcpy(p, bytes, n);
	return p;
}

void *ul_scratch(ul_tape *t, size_t bytes)
{
	void *p = ul_alloc_raw(&t->scratch, bytes);

	t->failed |= !p;
	return p;
}

/* ---- nodes ---- */

static ul_val *make(ul_tape *t, int rows, int cols, void *data)
{
	ul_val *y = ul_alloc(here(t), sizeof *y);

	t->failed |= !y || !data || t->tables.failed;
	if (t->failed) {
		t->lost = (ul_val){.rows = rows, .cols = cols, .tape = t};
		return &t->lost;
	}
	*y = (ul_val){.rows = rows, .cols = cols, .tape = t, .data = data, .depth = t->depth};
	return y;
}

ul_val *ul_node_of(ul_tape *t, int rows, int cols, bool needs, void *data)
{
	ul_val *y = make(t, rows, cols, data);

	y->needs_grad = needs && !t->failed && (t->record || (t->run == UL_RUN_FIRST && t->comes_back));
	return y;
}

ul_val *ul_node(ul_tape *t, int rows, int cols, bool needs)
{
	UL_ASSERT(rows >= 0 && cols > 0, "[%d, %d]", rows, cols);
	return ul_node_of(t, rows, cols, needs, ul_elems(t, (size_t)rows * (size_t)cols));
}

bool ul_recorded(const ul_val *y)
{
	return y->needs_grad && y->tape->record && !y->tape->failed;
}

ul_val *ul_record(ul_val *y, void (*backward)(ul_val *y), ul_val *const *in)
{
	ul_tape *t = y->tape;

	for (int i = 0; in[i]; i++)
		UL_ASSERT(!in[i]->needs_grad || in[i]->depth == y->depth || t->failed, "a recomputed block may take gradients only through its x");
	if (!ul_recorded(y))
		return y;
	for (int i = 0; in[i]; i++)
		y->in[i] = in[i];
	y->backward = backward;
	y->prev = t->last;
	t->last = y;
	return y;
}

ul_val *ul_const(ul_tape *t, int rows, int cols, const double *x)
{
	ul_val *y = ul_node(t, rows, cols, false);

	if (!t->failed)
		t->be->from_f64(y->data, x, ul_count(y));
	return y;
}

ul_val *ul_const_f32(ul_tape *t, int rows, int cols, const float *x)
{
	ul_val *y = ul_node(t, rows, cols, false);

	if (!t->failed)
		t->be->from_f32(y->data, x, ul_count(y));
	return y;
}

ul_val *ul_leaf(ul_tape *t, int rows, int cols, const double *x)
{
	ul_val *y = ul_const(t, rows, cols, x);

	y->needs_grad = t->record && !t->failed;
	return y;
}

static void leaf_param_backward(ul_val *y)
{
	ul_param *p = y->ctx;

	y->tape->be->axpby(p->grad, 1, y->grad, 1, ul_count(y));
}

ul_val *ul_leaf_param(ul_tape *t, ul_param *p)
{
	ul_val *y = ul_node_of(t, p->rows, p->cols, p->trainable, p->data);

	UL_ASSERT(p->be == t->be && !p->packed, "%s lives in backend %s%s, the tape in %s", p->name, p->be->name, p->packed ? ", packed" : "", t->be->name);
	y->ctx = p;
	return ul_record(y, leaf_param_backward, (ul_val *[]){NULL});
}

/* ---- reading ---- */

void ul_read(const ul_val *x, double *out)
{
	if (x->data)
		x->tape->be->to_f64(out, x->data, ul_count(x));
	else
		memset(out, 0, ul_count(x) * sizeof *out);
}

void ul_read_f32(const ul_val *x, float *out)
{
	if (x->data)
		x->tape->be->to_f32(out, x->data, ul_count(x));
	else
		memset(out, 0, ul_count(x) * sizeof *out);
}

double ul_item(const ul_val *x)
{
	double v = 0;

	UL_ASSERT(x->tape->failed || (x->rows == 1 && x->cols == 1), "[%d, %d]", x->rows, x->cols);
	if (x->data)
		x->tape->be->to_f64(&v, x->data, 1);
	return v;
}

void ul_read_grad(const ul_val *x, double *out)
{
	UL_ASSERT(!x->backward || x->tape->failed, "gradients are kept for leaves only");
	if (x->grad)
		x->tape->be->to_f64(out, x->grad, ul_count(x));
	else
		memset(out, 0, ul_count(x) * sizeof *out);
}

/* ---- backward ---- */

static void *spare_take(ul_tape *t, size_t bytes)
{
	for (struct ul_spare **s = &t->spare; *s; s = &(*s)->next)
		if ((*s)->bytes == bytes) {
			void *p = (*s)->data;
			*s = (*s)->next;
			return p;
		}
	void *p = ul_alloc_raw(&t->arena, bytes);
	t->failed |= !p;
	return p;
}

static void spare_give(ul_tape *t, void *data, size_t bytes)
{
	struct ul_spare *s = data;

	if (bytes < sizeof *s)
		return;
	*s = (struct ul_spare){t->spare, data, bytes};
	t->spare = s;
}

void *ul_grad_beta(ul_val *x, double *beta)
{
	if (!x->needs_grad || x->tape->failed)
		return NULL;
	*beta = x->grad ? 1 : 0;
	if (!x->grad)
		x->grad = spare_take(x->tape, ul_count(x) * x->tape->be->elem);
	return x->grad;
}

void *ul_grad(ul_val *x)
{
	double beta;
	void *g = ul_grad_beta(x, &beta);

	if (g && beta == 0)
		x->tape->be->fill(g, 0, ul_count(x));
	return g;
}

void ul_run_backward(ul_tape *t)
{
	for (ul_val *y = t->last; y && !t->failed; y = y->prev) {
		if (!y->grad)
			continue;
		y->backward(y);
		spare_give(t, y->grad, ul_count(y) * t->be->elem);
		y->grad = NULL;
	}
}

void ul_backward(ul_val *loss, double scale)
{
	ul_tape *t = loss->tape;

	if (t->failed)
		return;
	UL_ASSERT(loss->rows == 1 && loss->cols == 1, "the loss is [%d, %d]", loss->rows, loss->cols);
	void *g = ul_grad(loss);
	if (!g)
		return; /* nothing trainable below */
	t->be->from_f64(g, &scale, 1);
	ul_run_backward(t);
}

void ul_product(ul_tape *t, ul_gemm g)
{
	g.work = &t->scratch;
	t->be->gemm(&g);
	t->flops += 2 * (int64_t)g.m * g.n * g.k;
	t->failed |= t->scratch.failed;
}
