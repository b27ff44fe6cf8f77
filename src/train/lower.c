/*
 * lower.c: what stands below the lowest trained block is the same in every step, so it is computed once for each row of the data and
 * kept, as far as the budget goes; a step then begins at that block. Beyond the budget it is computed as the step needs it.
 *
 * A row's states do not depend on the company it was computed in, so that a resumed run, whose cache is empty, goes on with the same
 * bits: rows so short that products would take another way are computed alone (ul_rows_alone).
 */
#include "train/reference.h"

#include <string.h>

static const size_t budget = (size_t)512 << 20; /* bytes of hidden states per stream */

struct ul_lower {
	int first; /* lowest trained block, > 0 */
	struct kept {
		int rows;
		void **hidden; /* [rows] backend elements [tokens, hidden], or NULL */
		size_t bytes;
	} kept[UL_STREAMS];
};

/* 0 when something at the bottom is trained: the embedding, or a head tied to it. */
static int lowest_trained(const ul_run *r)
{
	const ul_model *m = r->model;
	int lowest = m->cfg.layers;
	for (int i = 0; i < r->params; i++) {
		const ul_param *p = r->param[i];
		int layer = ul_param_layer(p);
		if (p == m->embed || p == m->pos_embed) {
			return 0;
		}
		if (layer >= 0 && layer < lowest) {
			lowest = layer;
		}
	}
	return lowest < m->cfg.layers ? lowest : 0;
}

bool ul_lower_begin(ul_run *r, ul_err *err)
{
	int first = lowest_trained(r);
	if (first == 0) {
		return true;
	}
	r->lower = ul_calloc(1, sizeof *r->lower);
	if (!r->lower) {
		return ul_nomem(err, sizeof *r->lower);
	}
	r->lower->first = first;
	for (int s = 0; s < UL_STREAMS; s++) {
		int rows = r->data[s] ? r->data[s]->n : 0;
		r->lower->kept[s] = (struct kept){.rows = rows, .hidden = ul_calloc((size_t)rows + 1, sizeof(void *))};
		if (!r->lower->kept[s].hidden) {
			return ul_nomem(err, (size_t)rows * sizeof(void *));
		}
	}
	return true;
}

void ul_lower_end(ul_run *r)
{
	for (int s = 0; r->lower && s < UL_STREAMS; s++) {
		struct kept *k = &r->lower->kept[s];
		for (int i = 0; k->hidden && i < k->rows; i++) {
			ul_free(k->hidden[i]);
		}
		ul_free(k->hidden);
	}
	ul_free(r->lower);
	r->lower = NULL;
}

/* ---- filling ---- */

struct missing {
	enum ul_stream s;
	const int *item;
	int n;
};

/* The states of some rows of a data set, which are packed together; each is copied to out[i]. */
static bool compute(ul_run *r, const struct missing *x, void **out)
{
	ul_batch b = {0};
	ul_tape *t = &r->ref_tape;
	size_t width = (size_t)r->model->cfg.hidden * r->model->be->elem;
	bool was = t->adapters_off;
	if (!ul_pack(r->data[x->s], x->item, x->n, false, &r->step_arena, &b, NULL)) {
		return false;
	}
	t->adapters_off = false; /* an adapter that is frozen belongs to the model */
	const ul_val *h = ul_pass_to(t, r->model, &b, r->lower->first - 1); /* [rows, hidden] */
	t->adapters_off = was;
	char *all = ul_alloc_raw(&r->step_arena, (size_t)b.rows * width + 1);
	if (!ul_tape_ok(t, NULL) || !all) {
		return false;
	}
	ul_copy_out(h, all);
	ul_tape_reset(t);
	for (int i = 0; i < x->n; i++) {
		out[i] = all + (size_t)b.span.start[i] * width;
	}
	return true;
}

/* Rows of b that are not kept, in one pass but for those that must go alone. at[i] is where the states of sequence i lie. */
static bool fill(ul_run *r, enum ul_stream s, const ul_batch *b, void **at)
{
	struct kept *k = &r->lower->kept[s];
	size_t n = (size_t)b->seqs + 1;
	int *item = ul_alloc(&r->step_arena, n * sizeof *item), *seq = ul_alloc(&r->step_arena, n * sizeof *seq), together = 0;
	void **made = ul_alloc(&r->step_arena, n * sizeof *made);
	if (!item || !seq || !made) {
		return false;
	}
	for (int i = 0; i < b->seqs; i++) {
		int rows = b->span.start[i + 1] - b->span.start[i];
		at[i] = k->hidden[b->item[i]];
		if (at[i]) {
			continue;
		}
		if (!ul_rows_alone(r->model->be, rows)) {
			item[together] = b->item[i];
			seq[together++] = i;
		} else if (!compute(r, &(struct missing){s, &b->item[i], 1}, &at[i])) {
			return false;
		}
	}
	if (together && !compute(r, &(struct missing){s, item, together}, made)) {
		return false;
	}
	for (int i = 0; i < together; i++) {
		at[seq[i]] = made[i];
	}
	return true;
}

static bool keep(ul_run *r, enum ul_stream s, const ul_batch *b, void **at)
{
	struct kept *k = &r->lower->kept[s];
	for (int i = 0; i < b->seqs; i++) {
		size_t bytes = (size_t)(b->span.start[i + 1] - b->span.start[i]) * (size_t)r->model->cfg.hidden * r->model->be->elem;
		void **place = &k->hidden[b->item[i]];
		if (*place || k->bytes + bytes > budget) {
			continue;
		}
		*place = ul_malloc(bytes + 1);
		if (!*place) {
			return false;
		}
		memcpy(*place, at[i], bytes);
		k->bytes += bytes;
	}
	return true;
}

/* ---- the pass above ---- */

/* [rows, hidden] in front of block `first`. */
static ul_val *states(ul_run *r, enum ul_stream s, const ul_batch *b)
{
	int width = r->model->cfg.hidden;
	size_t row = (size_t)width * r->model->be->elem;
	void **at = ul_alloc(&r->step_arena, ((size_t)b->seqs + 1) * sizeof *at);
	char *all = ul_alloc_raw(&r->step_arena, (size_t)b->rows * row + 1);
	if (!at || !all || !fill(r, s, b, at) || !keep(r, s, b, at)) {
		return ul_lost(&r->tape);
	}
	for (int i = 0; i < b->seqs; i++) {
		memcpy(all + (size_t)b->span.start[i] * row, at[i], (size_t)(b->span.start[i + 1] - b->span.start[i]) * row);
	}
	return r->model->be->elem == 8 ? ul_const(&r->tape, b->rows, width, (double *)(void *)all) : ul_const_f32(&r->tape, b->rows, width, (float *)(void *)all);
}

ul_val *ul_trained_rows(ul_run *r, const ul_batch *b)
{
	bool ours = b == &r->forget || b == &r->retain || b == &r->alt;
	if (!r->lower || !ours) {
		return ul_label_rows(&r->tape, r->model, b);
	}
	ul_pass *p = ul_alloc(&r->tape.arena, sizeof *p);
	if (!p) {
		return ul_lost(&r->tape);
	}
	*p = ul_batch_pass(b, &r->tape);
	p->soft = states(r, ul_stream_of(r, b), b);
	p->first = r->lower->first;
	if (r->tape.failed) {
		return p->soft;
	}
	return ul_rows(ul_forward(r->model, p), b->at, b->labels);
}
