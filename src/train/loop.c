/*
 * loop.c: one optimiser step after the other, for every method that is a loss.
 *
 * Each step draws rows of the forget stream in epoch order, pairs them with as many rows of the retain stream (its own epoch
 * order, without replacement, unlike open-unlearning's independent draws, which --compat restores), cuts them into micro-batches,
 * adds up their gradients, clips by the global norm and updates.
 */
#include "tensor/backend.h"
#include "train/train.h"

#include <math.h>
#include <string.h>
#include <time.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void draw_retain(ul_run *r)
{
	int n = 0;
	if (r->train.compat == UL_TRAIN_OPEN_UNLEARNING) {
		ul_rng rng = ul_rng_at((uint64_t)r->train.seed, "retain-draw", (uint64_t)r->step);
		while (n < r->items) {
			r->item[UL_RETAIN][n++] = (int)ul_rng_below(&rng, (uint32_t)r->data[UL_RETAIN]->n);
		}
	}
	while (n < r->items) {
		n += ul_sampler_next(&r->sampler[UL_RETAIN], r->item[UL_RETAIN] + n, r->items - n);
	}
}

static bool all_labels(const ul_run *r, enum ul_stream s)
{
	return s == UL_FORGET && r->method->needs & UL_ALL_TOKENS;
}

static ul_totals row_totals(const ul_row *row, bool all)
{
	ul_totals t = {.seqs = 1};
	for (int i = 1; i < row->n; i++) {
		bool label = all || row->flags[i] & UL_ROW_LABEL;
		t.labels += label;
		t.spots += label && row->flags[i] & UL_ROW_SPAN;
	}
	return t;
}

static void add_totals(ul_run *r, enum ul_stream s)
{
	r->total[s] = (ul_totals){0};
	for (int i = 0; r->data[s] && i < r->items; i++) {
		ul_totals t = row_totals(&r->data[s]->row[r->item[s][i]], all_labels(r, s));
		r->total[s].labels += t.labels;
		r->total[s].seqs += t.seqs;
		r->total[s].spots += t.spots;
	}
}

/* Which rows this step learns from. Row i of the alternative belongs to row i of the forget data. */
static void draw(ul_run *r)
{
	const ul_dataset *d = r->data[UL_FORGET];
	int max = r->train.batch_tokens > 0 ? d->n : (int)r->train.batch;
	r->items = ul_sampler_next(&r->sampler[UL_FORGET], r->item[UL_FORGET], max);
	if (r->data[UL_RETAIN]) {
		draw_retain(r);
	}
	if (r->data[UL_ALT]) {
		memcpy(r->item[UL_ALT], r->item[UL_FORGET], (size_t)r->items * sizeof(int));
	}
	for (int s = 0; s < UL_STREAMS; s++) {
		add_totals(r, s);
	}
	r->micros = r->train.accumulate < r->items ? (int)r->train.accumulate : r->items;
}

static ul_batch *batch_of(ul_run *r, enum ul_stream s)
{
	return s == UL_FORGET ? &r->forget : s == UL_RETAIN ? &r->retain
	                                                    : &r->alt;
}

static bool pack(ul_run *r, enum ul_stream s, const int *item, int n, ul_err *err)
{
	return ul_pack(r->data[s], item, n, all_labels(r, s), &r->step_arena, batch_of(r, s), err);
}

bool ul_loop_pack(ul_run *r, enum ul_stream s, const int *item, int n, ul_err *err)
{
	if (!pack(r, s, item, n, err)) {
		return false;
	}
	r->micro = 0;
	r->micros = 1;
	r->total[s] = (ul_totals){0};
	for (int i = 0; i < n; i++) {
		ul_totals t = row_totals(&r->data[s]->row[item[i]], all_labels(r, s));
		r->total[s].labels += t.labels;
		r->total[s].seqs += t.seqs;
		r->total[s].spots += t.spots;
	}
	return true;
}

/* One micro-batch: its share of the step's loss and gradient. `rows` grows by the tokens it ran over. */
static bool micro_step(ul_run *r, int64_t *rows, ul_err *err)
{
	int from = (int)((int64_t)r->items * r->micro / r->micros), to = (int)((int64_t)r->items * (r->micro + 1) / r->micros);
	for (int s = 0; s < UL_STREAMS; s++) {
		if (r->data[s] && !pack(r, s, r->item[s] + from, to - from, err)) {
			return false;
		}
		*rows += r->data[s] ? batch_of(r, s)->rows : 0;
	}
	ul_val *loss = r->method->loss(r, r->config);
	if (!ul_tape_ok(&r->tape, err) || !ul_tape_ok(&r->ref_tape, err)) {
		return false;
	}
	r->loss += ul_item(loss);
	if (loss->needs_grad) {
		ul_backward(loss, 1);
	}
	if (!ul_tape_ok(&r->tape, err)) {
		return false;
	}
	ul_tape_reset(&r->tape);
	ul_tape_reset(&r->ref_tape);
	ul_arena_reset(&r->step_arena, (ul_mark){0});
	return true;
}

static bool finite_or_fail(const ul_run *r, const char *what, double x, ul_err *err)
{
	if (isfinite(x)) {
		return true;
	}
	ul_fail(err, "%s: the %s of step %lld is %g: the run was ended", r->method->name, what, (long long)r->step + 1, x);
	ul_hint(err, "a smaller --lr or a --clip keeps it finite");
	return false;
}

bool ul_loop_step(ul_run *r, ul_err *err)
{
	const ul_train_config *c = &r->train;
	double start = now();
	int64_t rows = 0;
	draw(r);
	ul_grad_zero(r->param, r->params);
	r->loss = 0;
	r->terms = 0;
	for (r->micro = 0; r->micro < r->micros; r->micro++) {
		if (!micro_step(r, &rows, err)) {
			return false;
		}
	}
	r->grad_norm = ul_grad_norm(r->param, r->params);
	r->lr = ul_schedule(c, r->step, r->steps);
	if (!finite_or_fail(r, "loss", r->loss, err) || !finite_or_fail(r, "gradient norm", r->grad_norm, err)) {
		return false;
	}
	/* torch.nn.utils.clip_grad_norm_ to the letter, the 1e-6 included. */
	double gscale = c->clip > 0 && r->grad_norm + 1e-6 > c->clip ? c->clip / (r->grad_norm + 1e-6) : 1;
	ul_optim_update(r->optim, r->lr, gscale);
	r->step++;
	r->tokens += r->total[UL_FORGET].labels + r->total[UL_RETAIN].labels + r->total[UL_ALT].labels;
	double took = now() - start;
	r->seconds += took;
	if (r->progress && r->progress->tick) {
		r->progress->tick(r->progress->ud, r->method->name, r->step, r->steps, r->loss, (double)rows / (took > 0 ? took : 1));
	}
	return ul_journal_step(r, took, err);
}

static bool point(const ul_run *r)
{
	int64_t every = r->train.eval_every > 0 ? r->train.eval_every : ul_sampler_batches(&r->sampler[UL_FORGET]);
	return r->step == r->steps || r->step % (every > 0 ? every : 1) == 0;
}

static bool state_due(const ul_run *r)
{
	int64_t every = r->train.checkpoint_every;
	return r->dir && every > 0 && r->step % every == 0 && r->step < r->steps;
}

static bool evaluate(ul_run *r, ul_err *err)
{
	ul_scores s = {0};
	double nll = 0;
	if (!ul_score(r->model, r->eval, 0, &s, NULL, err)) {
		return false;
	}
	for (int i = 0; i < s.n; i++) {
		nll += s.row[i].nll;
	}
	bool ok = ul_journal_eval(r, nll, s.tokens, err);
	ul_scores_release(&s);
	return ok;
}

static bool look(ul_run *r, bool *end, ul_err *err)
{
	return (!r->eval || evaluate(r, err)) && (!r->watch || r->watch(r, end, err));
}

bool ul_loop_run(ul_run *r, bool *stopped, ul_err *err)
{
	bool end = false, measured = false;
	*stopped = false;
	while (r->step < r->steps && !r->last && !end) {
		if (r->progress && r->progress->stop && r->progress->stop(r->progress->ud)) {
			*stopped = r->stopped = true;
			return !r->dir || ul_state_save(r, err);
		}
		if (!ul_loop_step(r, err) || (!measured && !ul_memory_measured(r, err))) {
			return false;
		}
		measured = true;
		if (point(r) && !look(r, &end, err)) {
			return false;
		}
		if (state_due(r) && !end && !ul_state_save(r, err)) {
			return false;
		}
	}
	return true;
}
