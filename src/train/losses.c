/*
 * losses.c: the words methods are written with.
 *
 * Every mean divides by what the whole optimiser step holds (r->total), not by what the micro-batch holds: the sum over
 * micro-batches is then the loss of the batch, whatever --accumulate says. Frameworks that average micro-batch means weigh a
 * token more the fewer its neighbours are.
 */
#include "train/reference.h"

#include <string.h>

/* Failure inside mathematics is sticky on the tape: the operators above go on over a value that holds nothing. */
ul_val *ul_lost(ul_tape *t)
{
	double zero = 0;
	t->failed = true;
	return ul_const(t, 1, 1, &zero);
}

ul_val *ul_label_rows(ul_tape *t, ul_model *m, const ul_batch *b)
{
	ul_pass *p = ul_alloc(&t->arena, sizeof *p);
	if (!p) {
		return ul_lost(t);
	}
	*p = ul_batch_pass(b, t);
	return ul_rows(ul_forward(m, p), b->at, b->labels);
}

ul_val *ul_token_logp_stats(ul_run *r, ul_model *m, const ul_batch *b, const ul_head_stats *want)
{
	ul_val *h = m == r->model ? ul_trained_rows(r, b) : ul_label_rows(&r->ref_tape, m, b);
	return ul_head_logp(h, m->head, m->head_b, b->target, want);
}

ul_val *ul_token_logp(ul_run *r, ul_model *m, const ul_batch *b)
{
	return ul_token_logp_stats(r, m, b, NULL);
}

ul_val *ul_seq_sum(ul_val *token, const ul_batch *b)
{
	return ul_group_sum(token, b->seq, b->seqs);
}

ul_val *ul_seq_mean(ul_val *token, const ul_batch *b)
{
	ul_val *sum = ul_seq_sum(token, b);
	double *w = ul_alloc(&token->tape->arena, (size_t)b->seqs * sizeof *w);
	if (!w) {
		return ul_lost(token->tape);
	}
	for (int i = 0; i < b->seqs; i++) {
		w[i] = 1.0 / (b->seq_labels[i] > 0 ? b->seq_labels[i] : 1);
	}
	return ul_mul_rows(sum, w);
}

ul_totals ul_batch_totals(const ul_run *r, const ul_batch *b)
{
	if (b == &r->forget) {
		return r->total[UL_FORGET];
	}
	if (b == &r->retain) {
		return r->total[UL_RETAIN];
	}
	if (b == &r->alt) {
		return r->total[UL_ALT];
	}
	ul_totals t = {.labels = b->labels, .seqs = b->seqs};
	for (int i = 0; i < b->labels; i++) {
		t.spots += b->spot[i];
	}
	return t;
}

static ul_val *over(ul_val *x, int64_t n)
{
	return ul_scale(ul_sum(x), n > 0 ? 1.0 / (double)n : 0);
}

ul_val *ul_token_mean(ul_run *r, ul_val *token, const ul_batch *b)
{
	return over(token, ul_batch_totals(r, b).labels);
}

ul_val *ul_row_mean(ul_run *r, ul_val *row, const ul_batch *b)
{
	return over(row, ul_batch_totals(r, b).seqs);
}

bool ul_row_whole(const ul_row *row)
{
	const json_t *labels = row->json ? json_object_get(row->json, "labels") : NULL;
	if (row->text) {
		return true;
	}
	return !row->prompt && row->json && json_object_get(row->json, "ids") && (!labels || json_integer_value(json_array_get(labels, 0)) != -100);
}

ul_val *ul_nll(ul_run *r, const ul_batch *b)
{
	return ul_scale(ul_token_mean(r, ul_token_logp(r, r->model, b), b), -1);
}

/* Mean over labelled tokens of a loss to the reference's distribution at those of `said`, which are as many: its hidden rows are kept, its logits
 * made per chunk. */
static ul_val *soft(ul_run *r, const ul_batch *b, const ul_batch *said, double drop, enum ul_soft kind)
{
	UL_ASSERT(b->labels == said->labels, "%d labelled tokens against %d", b->labels, said->labels);
	ul_val *h = ul_trained_rows(r, b);
	const void *hidden = ul_ref_hidden(r, said, UL_FINAL_ROWS);
	if (!hidden) {
		return ul_lost(&r->tape);
	}
	ul_model *m = ul_ref_model(r);
	ul_soft_ref ref = {.w = m->head, .b = m->head_b, .drop = drop, .target = b->target};
	if (r->model->be->elem == 8) {
		ref.hidden64 = hidden;
	} else {
		ref.hidden = hidden;
	}
	return ul_token_mean(r, ul_head_soft(h, r->model->head, r->model->head_b, &ref, kind), b);
}

ul_val *ul_kl_to_ref(ul_run *r, const ul_batch *b)
{
	return soft(r, b, b, 0, UL_KL_REF);
}

ul_val *ul_kl_to_ref_of(ul_run *r, const ul_batch *b, const ul_batch *said)
{
	return soft(r, b, said, 0, UL_KL_REF);
}

ul_val *ul_soft_ce_to_ref(ul_run *r, const ul_batch *b, double drop)
{
	return soft(r, b, b, drop, UL_SOFT_CE);
}

ul_val *ul_term(ul_run *r, const char *name, ul_val *x)
{
	if (!ul_tape_ok(&r->tape, NULL)) {
		return x;
	}
	int i = 0;
	while (i < r->terms && strcmp(r->term[i].name, name)) {
		i++;
	}
	int room = (int)(sizeof r->term / sizeof r->term[0]);
	UL_ASSERT(i < room, "a loss notes %d terms, %d fit", i + 1, room);
	if (i == r->terms) {
		r->term[i].name = name;
		r->term[i].value = 0;
		r->terms++;
	}
	r->term[i].value += ul_item(x); /* each micro-batch brings its share of the step's mean */
	return x;
}

ul_val *ul_retain(ul_run *r)
{
	if (!r->data[UL_RETAIN]) {
		double zero = 0;
		return ul_const(&r->tape, 1, 1, &zero);
	}
	return ul_term(r, "retain", r->train.retain_loss == UL_RETAIN_KL ? ul_kl_to_ref(r, &r->retain) : ul_nll(r, &r->retain));
}

ul_val *ul_forget_retain(ul_run *r, ul_val *x, double forget, double retain)
{
	ul_val *f = ul_scale(ul_term(r, "forget", x), forget);
	if (retain == 0 || !r->data[UL_RETAIN]) {
		return f;
	}
	return ul_add(f, ul_scale(ul_retain(r), retain));
}
