/*
 * inverter_fit.c: an inverter learns to write the texts of its pairs: cross-entropy of the decoder behind the soft rows. And it
 * writes texts for distributions it has not seen.
 */
#include "train/inverter.h"

#include "tensor/backend.h"

#include <math.h>
#include <string.h>

struct fit {
	ul_inverter *v;
	const ul_pairs *p;
	ul_ids *text; /* [n]: what the decoder is to write, its front ids and its end included */
	int *order;
	ul_tape tape;
	ul_arena step;
	ul_train_config train;
	ul_optim *optim;
	double nll; /* of this epoch, and its tokens */
	int64_t tokens;
};

static int end_of(const ul_model *m)
{
	return m->cfg.eos_n ? m->cfg.eos[0] : ul_tok_eos(m->tok);
}

static bool encode(struct fit *f, ul_err *err)
{
	const ul_model *m = f->v->model;
	int room = (int)f->v->c.length + f->v->front.n;
	for (int i = 0; i < f->p->n; i++) {
		ul_ids *x = &f->text[i];
		if (!ul_text_encode(m, f->p->text[i], strlen(f->p->text[i]), x, err)) {
			return false;
		}
		if (x->n > room) {
			x->n = room; /* cut: it does not end here */
		} else if (end_of(m) >= 0) {
			ul_ids_add(x, end_of(m));
		}
		if (x->failed) {
			return ul_nomem(err, (size_t)x->cap * sizeof(int));
		}
	}
	return true;
}

/* ---- one step ---- */

struct packed { /* soft rows and texts of some pairs, end to end */
	int rows, labels, seqs;
	int *ids, *pos, *start, *from; /* [rows], [rows], [seqs + 1], [rows] */
	int *at, *target; /* [labels] */
};

static bool pack(struct fit *f, const int *item, int n, struct packed *b, ul_err *err)
{
	int soft = (int)f->v->c.groups, front = f->v->front.n;
	ul_arena *a = &f->step;
	*b = (struct packed){.seqs = n};
	for (int i = 0; i < n; i++) {
		b->rows += soft + f->text[item[i]].n;
	}
	size_t bytes = (size_t)b->rows * sizeof(int);
	b->ids = ul_alloc(a, bytes);
	b->pos = ul_alloc(a, bytes);
	b->from = ul_alloc(a, bytes);
	b->at = ul_alloc(a, bytes);
	b->target = ul_alloc(a, bytes);
	b->start = ul_alloc(a, ((size_t)n + 1) * sizeof(int));
	if (a->failed) {
		return ul_nomem(err, 5 * bytes);
	}
	for (int i = 0, row = 0; i < n; i++) {
		const ul_ids *x = &f->text[item[i]];
		for (int t = 0; t < soft + x->n; t++, row++) {
			b->pos[row] = t;
			b->from[row] = t < soft ? i * soft + t : -1;
			b->ids[row] = t < soft ? 0 : x->id[t - soft];
			if (t >= soft + front) {
				b->at[b->labels] = row - 1;
				b->target[b->labels++] = b->ids[row];
			}
		}
		b->start[i + 1] = row;
	}
	return true;
}

/* [1, 1] mean over tokens; NULL on failure. */
static ul_val *loss_of(struct fit *f, const int *item, int n, int *labels, ul_err *err)
{
	ul_inverter *v = f->v;
	int soft = (int)v->c.groups, d = v->model->cfg.hidden;
	size_t width = (size_t)f->p->width;
	struct packed b;
	float *hidden = ul_alloc_raw(&f->step, (size_t)n * width * sizeof *hidden), *sums = ul_alloc_raw(&f->step, (size_t)n * (size_t)soft * (size_t)d * sizeof *sums);
	if (!hidden || !sums) {
		ul_nomem(err, (size_t)n * (size_t)soft * (size_t)d * sizeof *sums);
		return NULL;
	}
	for (int i = 0; i < n; i++) {
		memcpy(hidden + (size_t)i * width, f->p->hidden + (size_t)item[i] * width, width * sizeof *hidden);
	}
	if (!ul_inverter_look(v, hidden, n, true, sums, err) || !pack(f, item, n, &b, err)) {
		return NULL;
	}
	ul_val *x = ul_inverter_project(v, ul_const_f32(&f->tape, n * soft, d, sums)); /* [n * soft, d] */
	ul_pass *p = ul_alloc(&f->step, sizeof *p); /* blocks that are run again look at it later */
	if (!p) {
		ul_nomem(err, sizeof *p);
		return NULL;
	}
	*p = (ul_pass){.tape = &f->tape, .ids = b.ids, .pos = b.pos, .span = {b.seqs, b.start}, .soft = ul_soft_rows(v->model, x, b.ids, b.from, b.rows)};
	ul_val *h = ul_rows(ul_forward(v->model, p), b.at, b.labels);
	*labels = b.labels;
	return ul_scale(ul_mean(ul_head_logp(h, v->model->head, v->model->head_b, b.target, NULL)), -1);
}

static bool step(struct fit *f, const int *item, int n, double lr, double *nll, ul_err *err)
{
	int labels = 0;
	ul_grad_zero(f->v->param, f->v->params);
	ul_val *loss = loss_of(f, item, n, &labels, err);
	if (!loss || !ul_tape_ok(&f->tape, err)) {
		return false;
	}
	*nll = ul_item(loss);
	f->nll += *nll * labels;
	f->tokens += labels;
	ul_backward(loss, 1);
	if (!ul_tape_ok(&f->tape, err)) {
		return false;
	}
	double norm = ul_grad_norm(f->v->param, f->v->params);
	if (!isfinite(*nll) || !isfinite(norm)) {
		ul_fail(err, "the inverter's loss is %g", *nll);
		ul_hint(err, "a smaller --inverter-lr keeps it finite");
		return false;
	}
	ul_optim_update(f->optim, lr, norm + 1e-6 > 1 ? 1 / (norm + 1e-6) : 1);
	ul_tape_reset(&f->tape);
	ul_arena_reset(&f->step, (ul_mark){0});
	return true;
}

/* ---- all of them ---- */

static bool epochs(struct fit *f, const ul_progress *progress, ul_err *err)
{
	const ul_inverter_config *c = &f->v->c;
	int n = f->p->n, batch = (int)c->batch;
	int64_t each = (n + batch - 1) / batch, steps = each * c->epochs;
	bool ok = true;
	for (int64_t s = 0; ok && s < steps; s++) {
		int at = (int)(s % each) * batch;
		double nll = 0;
		if (at == 0) {
			ul_rng r = ul_rng_at(c->seed, "inverter-order", (uint64_t)(s / each));
			for (int i = 0; i < n; i++) {
				f->order[i] = i;
			}
			ul_rng_shuffle(&r, f->order, n);
			f->nll = 0;
			f->tokens = 0;
		}
		ok = step(f, f->order + at, n - at < batch ? n - at : batch, ul_schedule(&f->train, s, steps), &nll, err);
		if (ok && progress && progress->tick) {
			progress->tick(progress->ud, "inverter", s + 1, steps, nll, 0);
		}
		if (ok && progress && progress->stop && progress->stop(progress->ud)) {
			ok = ul_fail(err, "interrupted after step %lld of %lld of the inverter", (long long)s + 1, (long long)steps);
		}
	}
	return ok;
}

static bool settings(struct fit *f, ul_err *err)
{
	if (!ul_opts_defaults(ul_train_opts, &f->train, &f->v->arena, err)) {
		return false;
	}
	f->train.lr = f->v->c.lr;
	f->train.schedule = UL_SCHED_COSINE;
	f->train.warmup = 0.05;
	f->optim = ul_optim_new(&f->train, f->v->param, f->v->params, err);
	return f->optim != NULL;
}

bool ul_inverter_fit(ul_inverter *v, const ul_pairs *p, double *nll, const ul_progress *progress, ul_err *err)
{
	struct fit f = {.v = v, .p = p};
	ul_arena a = {0};
	bool ok = p->n > 0 || ul_fail(err, "the inverter has no texts to learn from");
	f.text = ul_alloc(&a, ((size_t)p->n + 1) * sizeof *f.text);
	f.order = ul_alloc(&a, ((size_t)p->n + 1) * sizeof *f.order);
	ul_tape_init(&f.tape, v->model->be);
	f.tape.record = true;
	f.tape.recompute = v->model->cfg.layers > 8; /* small decoders keep their activations */
	ok = ok && ((f.text && f.order) || ul_nomem(err, (size_t)p->n * sizeof *f.text)) && encode(&f, err);
	for (int i = 0; ok && i < v->params; i++) {
		ok = ul_param_train(v->param[i], true, err);
	}
	ok = ok && settings(&f, err) && epochs(&f, progress, err);
	if (ok) {
		*nll = f.tokens ? f.nll / (double)f.tokens : 0;
	}
	ul_optim_free(f.optim);
	for (int i = 0; i < v->params; i++) {
		ul_param_train(v->param[i], false, NULL);
	}
	for (int i = 0; f.text && i < p->n; i++) {
		ul_ids_release(&f.text[i]);
	}
	ul_tape_release(&f.tape);
	ul_arena_release(&f.step);
	ul_arena_release(&a);
	return ok;
}

/* ---- and says ---- */

bool ul_inverter_say(ul_inverter *v, const float *hidden, int n, ul_gen_config c, ul_arena *a, ul_gen **out, ul_err *err)
{
	int soft = (int)v->c.groups, d = v->model->cfg.hidden;
	size_t size = (size_t)n * (size_t)soft * (size_t)d;
	float *rows = ul_malloc((size + 1) * sizeof *rows);
	ul_ids *front = ul_malloc(((size_t)n + 1) * sizeof *front);
	ul_tape tape;
	ul_tape_init(&tape, v->model->be);
	tape.record = false;
	bool ok = (rows && front) || ul_nomem(err, size * sizeof *rows);
	for (int at = 0; ok && at < n; at += 64) { /* distributions are large */
		int k = n - at < 64 ? n - at : 64;
		float *y = rows + (size_t)at * (size_t)soft * (size_t)d;
		ok = ul_inverter_look(v, hidden + (size_t)at * (size_t)v->target->cfg.hidden, k, false, y, err);
		ul_val *x = ok ? ul_inverter_project(v, ul_const_f32(&tape, k * soft, d, y)) : NULL;
		ok = ok && ul_tape_ok(&tape, err);
		if (ok) {
			ul_read_f32(x, y);
		}
		ul_tape_reset(&tape);
	}
	for (int i = 0; ok && i < n; i++) {
		front[i] = v->front;
	}
	c.soft = rows;
	c.soft_rows = soft;
	ok = ok && ul_generate(v->model, front, n, &c, a, out, err);
	ul_tape_release(&tape);
	ul_free(rows);
	ul_free(front);
	return ok;
}
