/*
 * node.h: what operators are written with. Private to tensor/.
 *
 * An operator asks for its node, leaves when memory is gone, checks shapes, calls kernels, and remembers what its gradient needs:
 *
 *	ul_val *y = ul_node(t, rows, cols, needs);
 *	if (t->failed)
 *		return y;
 *	...
 *	return ul_record(y, backward, ctx, (ul_val *[]){x, NULL});
 */
#ifndef UL_NODE_H
#define UL_NODE_H

#include "tensor/backend.h"

/* A value with memory for its elements, not set. `needs`: some operand or parameter wants a gradient. */
ul_val *ul_node(ul_tape *t, int rows, int cols, bool needs);
ul_val *ul_node_of(ul_tape *t, int rows, int cols, bool needs, void *data); /* the same around memory the caller has */
/* Its operands and gradient, kept only when somebody will go back through it. */
ul_val *ul_record(ul_val *y, void (*backward)(ul_val *y), ul_val *const *in);
bool ul_recorded(const ul_val *y); /* worth remembering things for: ctx may be filled */

static inline size_t ul_count(const ul_val *x)
{
	return (size_t)x->rows * (size_t)x->cols;
}

/* A parameter as the B of a product: its elements, or what stands for them. */
static inline const void *ul_weights(const ul_param *w)
{
	return w->packed ? w->packed : w->data;
}

static inline enum ul_dtype ul_weights_as(const ul_param *w)
{
	return w->packed ? w->dtype : UL_F32;
}

/* Memory of the tape for what a node remembers; NULL (and t->failed) when it has run out. */
void *ul_remember(ul_tape *t, const void *bytes, size_t n); /* a copy; uninitialised when bytes is NULL */
void *ul_elems(ul_tape *t, size_t n); /* n backend elements, not set */

/* The gradient of x, made (zero) at first use; NULL when x needs none or memory is gone. With `beta` it may be unset memory:
 * 0 then says that the caller's product must overwrite, 1 that it must add. */
void *ul_grad(ul_val *x);
void *ul_grad_beta(ul_val *x, double *beta);
void ul_run_backward(ul_tape *t); /* from t->last down, every node whose gradient was reached */

/* A product that is counted. */
void ul_product(ul_tape *t, ul_gemm g);

/* Scratch memory of one operator: mark, ul_scratch, …, release. */
void *ul_scratch(ul_tape *t, size_t bytes);

/* Blocks under ul_recompute keep the results of products; when the block runs again they are taken from there. `first` is true when
 * the caller must compute: memory of n elements that stays as long as the block may run again. */
void *ul_product_result(ul_tape *t, size_t n, bool *first);

#endif
