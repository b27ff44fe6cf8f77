/*
 * score.c: one teacher-forced pass over a data set. Rows go packed through the model, bounded by tokens, and what they begin with
 * together is computed once; only positions that predict a labelled token reach the head; what audits ask for beyond the
 * log-probability is picked up in the same pass.
 */
#include "train/train.h"

#include "tensor/backend.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum { PASS_TOKENS = 2048,
	PASS_POSITIONS = 4 * PASS_TOKENS }; /* with those that rows share, whose keys are copied */

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What a pass says about its labelled tokens, before it is dealt out to the rows. */
struct pass_result {
	double *logp, *mean, *var;
	int *argmax;
};

static bool reserve(struct pass_result *x, int labels, unsigned want, ul_arena *a, ul_err *err)
{
	size_t n = (size_t)labels;
	x->logp = ul_alloc(a, n * sizeof(double));
	x->argmax = want & UL_WANT_ARGMAX ? ul_alloc(a, n * sizeof(int)) : NULL;
	x->mean = want & UL_WANT_MOMENTS ? ul_alloc(a, n * sizeof(double)) : NULL;
	x->var = want & UL_WANT_MOMENTS ? ul_alloc(a, n * sizeof(double)) : NULL;
	return !a->failed || ul_nomem(err, n * sizeof(double));
}

/* [labels, 1] log-probabilities of one packed batch; their values are copied into x. */
static ul_val *forward(ul_model *m, const ul_batch *b, ul_tape *t, struct pass_result *x, ul_err *err)
{
	ul_pass pass = ul_batch_pass(b, t);
	ul_head_stats stats = {.argmax = x->argmax, .mean = x->mean, .var = x->var};
	ul_val *h = ul_forward(m, &pass); /* [tokens, hidden] */
	h = ul_rows(h, b->at, b->labels);
	ul_val *logp = ul_head_logp(h, m->head, m->head_b, b->target, &stats);
	if (!ul_tape_ok(t, err))
		return NULL;
	ul_read(logp, x->logp);
	return logp;
}

/* Rows lie one after the other in x, in the order of the batch. */
static void deal(const ul_batch *b, const struct pass_result *x, ul_row_score *row)
{
	for (int s = 0, at = 0; s < b->seqs; at += b->seq_labels[s++]) {
		ul_row_score *r = &row[b->item[s]];
		*r = (ul_row_score){.n = b->seq_labels[s], .logp = x->logp + at, .target = b->target + at, .spot = b->spot + at};
		r->argmax = x->argmax ? x->argmax + at : NULL;
		r->mean = x->mean ? x->mean + at : NULL;
		r->var = x->var ? x->var + at : NULL;
		for (int i = 0; i < r->n; i++)
			r->nll -= r->logp[i];
	}
}

/* ---- gradient norms: what is trainable for one backward pass, and back ---- */

struct trainable {
	ul_param **param; /* the adapter's, or all */
	int n;
	bool *was;
};

static bool train_on(struct trainable *t, ul_model *m, ul_arena *a, ul_err *err)
{
	t->param = m->adapter ? m->adapter->param : m->param;
	t->n = m->adapter ? m->adapter->params : m->params;
	t->was = ul_alloc(a, (size_t)t->n * sizeof *t->was);
	if (!t->was)
		return ul_nomem(err, (size_t)t->n);
	for (int i = 0; i < t->n; i++) {
		t->was[i] = t->param[i]->trainable;
		if (!t->was[i] && !ul_param_train(t->param[i], true, err)) {
			t->n = i;
			return false;
		}
	}
	return true;
}

static void train_off(struct trainable *t, ul_model *m)
{
	ul_err none = {0};
	for (int i = 0; t->was && i < t->n; i++)
		if (!t->was[i])
			ul_param_train(t->param[i], false, &none);
	for (int i = 0; i < m->params; i++)
		if (m->param[i]->grad)
			m->be->fill(m->param[i]->grad, 0, (size_t)m->param[i]->rows * (size_t)m->param[i]->cols);
}

/* Mean over parameter tensors of the norm of the gradient of the row's mean NLL; leaves zeroed gradients behind. */
static double grad_norm(ul_val *logp, const ul_model *m, const struct trainable *t)
{
	double sum = 0;
	ul_backward(ul_mean(logp), -1);
	for (int i = 0; i < t->n; i++) {
		size_t n = (size_t)t->param[i]->rows * (size_t)t->param[i]->cols;
		sum += sqrt(m->be->dot(t->param[i]->grad, t->param[i]->grad, n));
		m->be->fill(t->param[i]->grad, 0, n);
	}
	return sum / t->n;
}

/* ---- the pass over a data set ---- */

/* Rows first … first + n - 1 that fit one pass; alone where each row needs its own gradient. */
static int rows_that_fit(const ul_dataset *d, int first, unsigned want)
{
	int n = 1;
	int64_t tokens = d->row[first].n, positions = tokens;
	if (want & UL_WANT_GRADNORM)
		return 1;
	for (; first + n < d->n; n++) {
		const ul_row *r = &d->row[first + n];
		tokens += r->n - ul_row_alike(r - 1, r);
		positions += r->n;
		if (tokens > PASS_TOKENS || positions > PASS_POSITIONS)
			break;
	}
	return n;
}

static bool score_rows(ul_model *m, const ul_dataset *d, int first, int n, unsigned want, const struct trainable *train, ul_tape *t, ul_scores *out, ul_err *err)
{
	int *item = ul_alloc(&out->arena, (size_t)n * sizeof *item);
	struct pass_result x = {0};
	ul_batch b;
	if (!item)
		return ul_nomem(err, (size_t)n * sizeof *item);
	for (int i = 0; i < n; i++)
		item[i] = first + i;
	bool packed = want & UL_WANT_GRADNORM ? ul_pack(d, item, n, false, &out->arena, &b, err) : ul_pack_shared(d, item, n, &out->arena, &b, err);
	if (!packed || !reserve(&x, b.labels, want, &out->arena, err))
		return false;
	if (b.labels) {
		ul_val *logp = forward(m, &b, t, &x, err);
		if (!logp)
			return false;
		deal(&b, &x, out->row);
		if (want & UL_WANT_GRADNORM)
			out->row[first].grad_norm = grad_norm(logp, m, train);
	}
	out->tokens += b.labels;
	ul_tape_reset(t);
	return ul_tape_ok(t, err);
}

bool ul_score(ul_model *m, const ul_dataset *d, unsigned want, ul_scores *out, const ul_progress *p, ul_err *err)
{
	ul_scores s = {.n = d->n};
	struct trainable train = {0};
	ul_tape tape;
	double start = now();
	ul_tape_init(&tape, m->be);
	tape.record = want & UL_WANT_GRADNORM;
	tape.recompute = true;
	s.row = ul_alloc(&s.arena, (size_t)d->n * sizeof *s.row);
	bool ok = s.row || ul_nomem(err, (size_t)d->n * sizeof *s.row);
	ok = ok && (!(want & UL_WANT_GRADNORM) || train_on(&train, m, &s.arena, err));
	for (int i = 0, n; ok && i < d->n; i += n) {
		n = rows_that_fit(d, i, want);
		ok = score_rows(m, d, i, n, want, &train, &tape, &s, err);
		if (ok && p && p->stop && p->stop(p->ud))
			ok = ul_fail(err, "interrupted after %d of %d rows", i + n, d->n);
		if (ok && p && p->tick)
			p->tick(p->ud, "score", i + n, d->n, 0, (double)s.tokens / (now() - start + 1e-9));
	}
	train_off(&train, m);
	ul_tape_release(&tape);
	s.seconds = now() - start;
	if (!ok) {
		ul_arena_release(&s.arena);
		return false;
	}
	*out = s;
	return true;
}

void ul_scores_release(ul_scores *s)
{
	ul_arena_release(&s->arena);
	*s = (ul_scores){0};
}

/* ---- long texts ---- */

/* Windows begin every `stride` tokens; each scores what no window before it did, with all it holds as context. */
bool ul_score_windows(ul_model *m, const int *ids, int n, int window, int stride, double *nll, int64_t *tokens, ul_err *err)
{
	double sum = 0;
	int64_t count = 0;
	ul_tape tape;
	ul_arena a = {0};
	bool ok = window >= 2 || ul_fail(err, "a window of %d tokens predicts nothing", window);
	if (ok && window > m->cfg.context && m->cfg.context > 0)
		ok = ul_fail(err, "a window of %d tokens is longer than the context of %d", window, m->cfg.context);
	stride = stride < 1 || stride >= window ? window - 1 : stride;
	ul_tape_init(&tape, m->be);
	tape.record = false;
	for (int begin = 0, done = 1; ok && done < n; begin += stride) {
		int end = n - begin < window ? n : begin + window;
		ul_row row = {.n = end - begin, .ids = (int *)(uintptr_t)ids + begin};
		ul_dataset one = {.row = &row, .n = 1};
		struct pass_result x = {0};
		ul_batch b;
		ul_arena_reset(&a, (ul_mark){0});
		row.flags = ul_alloc(&a, (size_t)row.n);
		ok = row.flags || ul_nomem(err, (size_t)row.n);
		for (int i = 0; ok && i < row.n; i++)
			row.flags[i] = begin + i >= done ? UL_ROW_LABEL : 0;
		ok = ok && ul_pack(&one, &(int){0}, 1, false, &a, &b, err) && reserve(&x, b.labels, 0, &a, err) && forward(m, &b, &tape, &x, err);
		for (int i = 0; ok && i < b.labels; i++)
			sum -= x.logp[i];
		count += ok ? b.labels : 0;
		done = end;
		ul_tape_reset(&tape);
	}
	ul_arena_release(&a);
	ul_tape_release(&tape);
	if (ok) {
		*nll = sum;
		*tokens = count;
	}
	return ok;
}
