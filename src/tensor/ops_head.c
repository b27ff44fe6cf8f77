/*
 * ops_head.c: head and loss in one operator, by chunks of rows, so that [tokens, vocab] never exists.
 *
 * The gradient of a row's loss by its hidden row does not depend on what happens to the loss later but for one factor. So when the
 * head itself is frozen, forward also computes that gradient, [rows, width], while the logits are at hand, and backward only
 * scales it. When the head is trained backward computes the logits of each chunk again.
 */
#include "tensor/node.h"

#include <string.h>

enum { CHUNK_BYTES = 64 << 20,
	CHUNK_MIN = 32,
	CHUNK_MAX = 512 };

struct head {
	ul_param *w, *b;
	int *target;
	double *lse; /* of hard targets */
	void *unit; /* [rows, width]: d loss / d h of each row, when the head is frozen */
	int kind; /* enum ul_soft, or HARD */
	void *ref; /* [rows, ref_w->cols] hidden rows of the reference */
	ul_param *ref_w, *ref_b;
	double drop;
};
enum { HARD = -1 };

static int chunk_rows(const ul_tape *t, int vocab)
{
	int n = (int)(CHUNK_BYTES / ((size_t)vocab * t->be->elem)) / CHUNK_MIN * CHUNK_MIN;

	return n < CHUNK_MIN ? CHUNK_MIN : n > CHUNK_MAX ? CHUNK_MAX
	                                                 : n;
}

static void *row(const ul_tape *t, const void *base, int r, int cols)
{
	return (char *)base + (size_t)r * (size_t)cols * t->be->elem;
}

/* z [n, vocab] = h Wᵀ + b */
static void logits(ul_tape *t, void *z, const void *h, int n, const ul_param *w, const ul_param *b)
{
	ul_product(t, (ul_gemm){.tb = true, .m = n, .n = w->rows, .k = w->cols, .alpha = 1, .a = h, .lda = w->cols, .b = ul_weights(w), .b_as = ul_weights_as(w), .ldb = w->cols, .c = z, .ldc = w->rows});
	if (b)
		t->be->add_bias(z, b->data, n, w->rows);
}

static ul_head_stats stats_from(const ul_head_stats *s, int r)
{
	return (ul_head_stats){
	        .argmax = s->argmax ? s->argmax + r : NULL,
	        .entropy = s->entropy ? s->entropy + r : NULL,
	        .mean = s->mean ? s->mean + r : NULL,
	        .var = s->var ? s->var + r : NULL,
	        .max_logit = s->max_logit ? s->max_logit + r : NULL,
	        .mean_logit = s->mean_logit ? s->mean_logit + r : NULL,
	};
}

/* One chunk of rows in scratch memory. */
struct chunk {
	int r, n; /* first row, rows */
	void *z, *zref; /* [n, vocab] */
	double *loss; /* [rows] */
	const double *d; /* [rows]: d total / d loss, or NULL: forward, loss only */
};

/* Losses of the chunk; where `d` is given z becomes d total / d logits. */
static void chunk_loss(ul_tape *t, const struct head *c, const void *h, const struct chunk *k, const ul_head_stats *want)
{
	int shape[2] = {k->n, c->w->rows};
	const double *d = k->d ? k->d + k->r : NULL;

	logits(t, k->z, row(t, h, k->r, c->w->cols), k->n, c->w, c->b);
	if (c->kind == HARD) {
		ul_head_stats s = want ? stats_from(want, k->r) : (ul_head_stats){0};
		if (k->loss)
			t->be->logp(k->z, c->target + k->r, c->lse + k->r, k->loss + k->r, want ? &s : NULL, shape);
		if (d)
			t->be->logp_grad(k->z, c->lse + k->r, d, c->target + k->r, shape);
		return;
	}
	double unused[CHUNK_MAX];
	logits(t, k->zref, row(t, c->ref, k->r, c->ref_w->cols), k->n, c->ref_w, c->ref_b);
	t->be->soft(&(ul_soft_args){.kind = c->kind, .rows = k->n, .vocab = c->w->rows, .z = k->z, .zref = k->zref, .drop = c->drop, .target = c->target ? c->target + k->r : NULL, .loss = k->loss ? k->loss + k->r : unused, .dloss = d});
}

static bool chunk_new(ul_tape *t, const struct head *c, struct chunk *k)
{
	size_t bytes = (size_t)chunk_rows(t, c->w->rows) * (size_t)c->w->rows * t->be->elem;

	k->z = ul_scratch(t, bytes);
	k->zref = c->kind == HARD ? NULL : ul_scratch(t, bytes);
	return !t->failed;
}

/* dst [n, width] = beta · dst + dz W */
static void through_head(ul_tape *t, void *dst, double beta, const struct head *c, const struct chunk *k)
{
	int width = c->w->cols, vocab = c->w->rows;

	ul_product(t, (ul_gemm){.m = k->n, .n = width, .k = vocab, .alpha = 1, .beta = beta, .a = k->z, .lda = vocab, .b = ul_weights(c->w), .b_as = ul_weights_as(c->w), .ldb = width, .c = row(t, dst, k->r, width), .ldc = width});
}

static bool trained(const struct head *c)
{
	return c->w->trainable || (c->b && c->b->trainable);
}

static void forward(ul_val *y, ul_val *h, struct head *c, const ul_head_stats *want)
{
	ul_tape *t = y->tape;
	int rows = y->rows, step = chunk_rows(t, c->w->rows);
	ul_mark mark = ul_arena_mark(&t->scratch);
	struct chunk k = {.loss = ul_scratch(t, (size_t)rows * sizeof *k.loss)};
	double *ones = c->unit ? ul_scratch(t, (size_t)rows * sizeof *ones) : NULL;

	if (chunk_new(t, c, &k)) {
		for (int i = 0; ones && i < rows; i++)
			ones[i] = 1;
		k.d = ones;
		for (k.r = 0; k.r < rows; k.r += step) {
			k.n = rows - k.r < step ? rows - k.r : step;
			chunk_loss(t, c, h->data, &k, want);
			if (ones)
				through_head(t, c->unit, 0, c, &k);
		}
		t->be->from_f64(y->data, k.loss, (size_t)rows);
	}
	ul_arena_reset(&t->scratch, mark);
}

static void backward_trained(ul_val *y, const double *d)
{
	ul_tape *t = y->tape;
	struct head *c = y->ctx;
	ul_val *h = y->in[0];
	int rows = y->rows, step = chunk_rows(t, c->w->rows), width = c->w->cols, vocab = c->w->rows;
	double beta = 0;
	void *dh = ul_grad_beta(h, &beta);
	struct chunk k = {.d = d};

	if (!chunk_new(t, c, &k))
		return;
	for (k.r = 0; k.r < rows; k.r += step) {
		k.n = rows - k.r < step ? rows - k.r : step;
		chunk_loss(t, c, h->data, &k, NULL);
		if (dh)
			through_head(t, dh, beta, c, &k);
		if (c->w->trainable)
			ul_product(t, (ul_gemm){.ta = true, .m = vocab, .n = width, .k = k.n, .alpha = 1, .beta = 1, .a = k.z, .lda = vocab, .b = row(t, h->data, k.r, width), .ldb = width, .c = c->w->grad, .ldc = width});
		if (c->b && c->b->trainable)
			t->be->sum_rows(c->b->grad, k.z, k.n, vocab, &t->scratch);
	}
}

static void backward(ul_val *y)
{
	ul_tape *t = y->tape;
	struct head *c = y->ctx;
	ul_val *h = y->in[0];
	ul_mark mark = ul_arena_mark(&t->scratch);
	double *d = ul_scratch(t, (size_t)y->rows * sizeof *d);

	if (d) {
		t->be->to_f64(d, y->grad, (size_t)y->rows);
		if (!c->unit)
			backward_trained(y, d);
		else if (ul_grad(h))
			t->be->rows_axpy(h->grad, d, c->unit, h->rows, h->cols);
	}
	ul_arena_reset(&t->scratch, mark);
}

static void check(const ul_val *h, const ul_param *w, const int *target)
{
	UL_ASSERT(h->cols == w->cols, "the head is [%d, %d], h is [%d, %d]", w->rows, w->cols, h->rows, h->cols);
	UL_ASSERT(!w->lora, "%s is the head and has an adapter: not supported", w->name);
	for (int i = 0; target && i < h->rows; i++)
		UL_ASSERT(target[i] >= 0 && target[i] < w->rows, "target %d of %d", target[i], w->rows);
}

static ul_val *run(ul_val *y, ul_val *h, struct head *c, const ul_head_stats *want)
{
	ul_tape *t = y->tape;

	if (!t->failed && ul_recorded(y) && !trained(c))
		c->unit = ul_elems(t, ul_count(h));
	if (!t->failed)
		forward(y, h, c, want);
	if (ul_recorded(y))
		y->ctx = ul_remember(t, c, sizeof *c);
	return t->failed ? y : ul_record(y, backward, (ul_val *[]){h, NULL});
}

ul_val *ul_head_logp(ul_val *h, ul_param *w, ul_param *b, const int *target, const ul_head_stats *want) /* [rows, 1] */
{
	ul_tape *t = h->tape;
	ul_val *y = ul_node(t, h->rows, 1, h->needs_grad || w->trainable || (b && b->trainable));

	if (t->failed)
		return y;
	check(h, w, target);
	struct head c = {.w = w, .b = b, .kind = HARD, .target = ul_remember(t, target, (size_t)h->rows * sizeof *target), .lse = ul_remember(t, NULL, (size_t)h->rows * sizeof(double))};
	return run(y, h, &c, want);
}

ul_val *ul_head_soft(ul_val *h, ul_param *w, ul_param *b, const ul_soft_ref *ref, enum ul_soft kind) /* [rows, 1] */
{
	ul_tape *t = h->tape;
	ul_val *y = ul_node(t, h->rows, 1, h->needs_grad || w->trainable || (b && b->trainable));

	if (t->failed)
		return y;
	check(h, w, ref->target);
	UL_ASSERT(ref->w->rows == w->rows && (ref->drop == 0 || ref->target), "reference of %d words, %d here, drop %g", ref->w->rows, w->rows, ref->drop);
	size_t n = (size_t)h->rows * (size_t)ref->w->cols;
	struct head c = {.w = w, .b = b, .kind = kind, .ref = ul_elems(t, n), .ref_w = ref->w, .ref_b = ref->b, .drop = ref->drop};
	if (ref->drop != 0)
		c.target = ul_remember(t, ref->target, (size_t)h->rows * sizeof *c.target);
	if (!t->failed && ref->hidden)
		t->be->from_f32(c.ref, ref->hidden, n);
	else if (!t->failed)
		t->be->from_f64(c.ref, ref->hidden64, n);
	return run(y, h, &c, NULL);
}

ul_val *ul_head_logits(ul_val *h, ul_param *w, ul_param *b) /* [rows, vocab] */
{
	ul_tape *t = h->tape;
	ul_val *y = ul_node(t, h->rows, w->rows, false);

	if (t->failed)
		return y;
	check(h, w, NULL);
	logits(t, y->data, h->data, h->rows, w, b);
	return y;
}
