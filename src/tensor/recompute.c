/*
 * recompute.c: blocks whose inside is not kept (Chen et al. 2016, "Training deep nets with sublinear memory cost").
 *
 * The block first runs in scratch memory for its result only; backward runs it again on a leaf that stands for x and goes back
 * through it at once. With tape->recompute nothing but x is kept. Without, the results of products (ul_linear, ul_attend) are
 * kept too and taken from there the second time: what is computed twice is then only the cheap rest, norms and gates, at two
 * thirds of the memory that keeping everything would need. Both give the same bits.
 */
#include "tensor/node.h"

struct kept {
	struct kept *next;
	void *data;
};

struct ul_keep {
	struct kept *first, **last; /* in the order of the products; `last` is where the next one is hooked in or taken from */
};

struct block {
	ul_body body;
	const void *ud;
	bool adapters_off, bare; /* bare: nothing but x was kept */
	struct ul_keep keep;
};

void *ul_product_result(ul_tape *t, size_t n, bool *first)
{
	struct ul_keep *keep = t->keep;

	*first = true;
	if (!keep)
		return ul_elems(t, n);
	if (t->run == UL_RUN_AGAIN) {
		struct kept *k = *keep->last;
		UL_ASSERT(k, "the block ran differently the second time");
		keep->last = &k->next;
		*first = false;
		return k->data;
	}
	struct kept *k = ul_alloc(&t->arena, sizeof *k);
	void *data = k ? ul_alloc_raw(&t->arena, n * t->be->elem) : NULL;
	t->failed |= !data;
	if (!data)
		return NULL;
	k->data = data;
	*keep->last = k;
	keep->last = &k->next;
	return data;
}

/* Runs the block once more, recording, and back through it. The outer tape is set aside meanwhile. */
static void backward(ul_val *y)
{
	ul_tape *t = y->tape;
	struct block *b = y->ctx;
	ul_val *x = y->in[0];

	if (x->needs_grad && !ul_grad(x))
		return;
	ul_tape outer = *t; /* only now: the gradient of x may have come out of t->spare */
	ul_mark mark = ul_arena_mark(&t->arena);
	ul_val leaf = {.rows = x->rows, .cols = x->cols, .tape = t, .data = x->data, .grad = x->grad, .needs_grad = x->needs_grad, .depth = t->depth + 1};

	t->last = NULL;
	t->spare = NULL;
	t->record = true;
	t->adapters_off = b->adapters_off;
	t->run = UL_RUN_AGAIN;
	t->depth++;
	b->keep.last = &b->keep.first;
	t->keep = b->bare ? NULL : &b->keep;
	ul_val *z = b->body(&leaf, b->ud);
	if (!t->failed) {
		UL_ASSERT(z->rows == y->rows && z->cols == y->cols && z->needs_grad, "the block ran differently the second time");
		if (z == &leaf) /* the block did nothing */
			t->be->axpby(leaf.grad, 1, y->grad, 1, ul_count(y));
		else
			z->grad = y->grad;
		ul_run_backward(t);
	}
	ul_arena_reset(&t->arena, mark);
	t->last = outer.last;
	t->spare = outer.spare;
	t->record = outer.record;
	t->adapters_off = outer.adapters_off;
	t->run = outer.run;
	t->depth = outer.depth;
	t->keep = outer.keep;
}

ul_val *ul_recompute(ul_val *x, ul_body body, const void *ud)
{
	ul_tape *t = x->tape, outer = *t;

	if (t->run != UL_RUN_PLAIN || t->failed) /* inside another block that will run again as a whole */
		return body(x, ud);

	struct block *b = ul_remember(t, NULL, sizeof *b);
	if (!b)
		return body(x, ud);
	*b = (struct block){.body = body, .ud = ud, .adapters_off = t->adapters_off, .bare = t->recompute};
	b->keep.last = &b->keep.first;
	ul_mark mark = ul_arena_mark(&t->scratch), kept = ul_arena_mark(&t->arena);
	ul_val stand_in = *x; /* at the depth of the block; operators may point to it no longer than the block lasts */
	stand_in.depth = t->depth + 1;
	t->run = UL_RUN_FIRST;
	t->comes_back = outer.record;
	t->record = false;
	t->depth++;
	t->keep = outer.record && !t->recompute ? &b->keep : NULL;
	ul_val *z = body(&stand_in, ud);
	t->run = outer.run;
	t->record = outer.record;
	t->depth = outer.depth;
	t->keep = outer.keep;

	const void *result = z->data;
	if (!z->needs_grad && !t->failed) { /* nobody will come back: what was kept goes, after the result has left it */
		void *aside = ul_scratch(t, ul_count(z) * t->be->elem);
		if (aside)
			t->be->copy(aside, result, ul_count(z));
		result = aside;
		ul_arena_reset(&t->arena, kept);
	}
	ul_val *y = ul_node(t, z->rows, z->cols, z->needs_grad);
	if (!t->failed)
		t->be->copy(y->data, result, ul_count(y));
	ul_arena_reset(&t->scratch, mark);
	y->ctx = b;
	return ul_record(y, backward, (ul_val *[]){x, NULL});
}
