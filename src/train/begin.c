/*
 * begin.c: everything between the settings and the first step, and everything after the last one.
 */
#include "model/generate.h"
#include "tensor/backend.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

static void UL_PRINTF(2, 3) note(const ul_run *r, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	if (!r->progress || !r->progress->note) {
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	r->progress->note(r->progress->ud, text);
}

static bool uses_retain(const ul_run *r)
{
	return r->method->needs & (UL_NEEDS_RETAIN | UL_USES_RETAIN);
}

static bool check_needs(ul_run *r, ul_err *err)
{
	unsigned needs = r->method->needs;
	if (!r->data[UL_FORGET] || r->data[UL_FORGET]->n == 0) {
		return ul_fail(err, "%s has no rows to work on", r->method->name);
	}
	if (needs & UL_NEEDS_RETAIN && !r->data[UL_RETAIN]) {
		return ul_fail(err, "%s needs retain rows (--retain F)", r->method->name);
	}
	if (needs & UL_NEEDS_LORA && !r->train.lora) {
		ul_fail(err, "%s trains an adapter and needs --lora", r->method->name);
		ul_hint(err, "for example --lora r=8,alpha=16,target=all-linear");
		return false;
	}
	if (r->data[UL_RETAIN] && !uses_retain(r)) {
		note(r, "%s does not use retain rows: they are ignored", r->method->name);
		r->data[UL_RETAIN] = NULL;
	}
	return true;
}

/* ---- data ---- */

static int labels_of(const ul_row *row, bool all)
{
	int n = 0;
	for (int i = 1; i < row->n; i++) {
		n += all || row->flags[i] & UL_ROW_LABEL;
	}
	return n;
}

/* A row without a token to predict says nothing to any loss; forget row i and its refusal stay together. */
static int drop_empty(ul_run *r, enum ul_stream s)
{
	ul_dataset *d = r->data[s], *alt = s == UL_FORGET ? r->data[UL_ALT] : NULL;
	bool all = s == UL_FORGET && r->method->needs & UL_ALL_TOKENS;
	int kept = 0, n = d->n;
	for (int i = 0; i < n; i++) {
		if (labels_of(&d->row[i], all) == 0 || (alt && labels_of(&alt->row[i], false) == 0)) {
			json_decref(d->row[i].json);
			if (alt) {
				json_decref(alt->row[i].json);
			}
			continue;
		}
		d->row[kept] = d->row[i];
		if (alt) {
			alt->row[kept] = alt->row[i];
		}
		kept++;
	}
	d->n = kept;
	if (alt) {
		alt->n = kept;
	}
	return n - kept;
}

static ul_data_config data_config(const ul_run *r)
{
	const ul_train_config *t = &r->train;
	ul_data_config c = {.map = t->map, .templ = t->templ, .max_length = (int)t->max_length, .eos = t->eos};
	c.compat = t->compat == UL_TRAIN_OPEN_UNLEARNING ? UL_COMPAT_OPEN_UNLEARNING : UL_COMPAT_NONE;
	return c;
}

bool ul_loop_tokenize(ul_run *r, ul_dataset *d, const char *what, ul_err *err)
{
	ul_data_config c = data_config(r);
	if (!ul_dataset_tokenize(d, r->model, &c, err)) {
		return false;
	}
	if (d->cut > 0) {
		note(r, "%d of %d %s rows were cut to the maximal length", d->cut, d->n, what);
	}
	return true;
}

static bool has_spans(const ul_dataset *d)
{
	for (int i = 0; d && i < d->n; i++) {
		for (int t = 1; t < d->row[i].n; t++) {
			if (d->row[i].flags[t] & UL_ROW_SPAN) {
				return true;
			}
		}
	}
	return false;
}

static bool prepare_data(ul_run *r, ul_err *err)
{
	static const char *const what[UL_STREAMS] = {"forget", "retain", "alternative"};
	bool (*alternatives)(ul_run * r, ul_err * err) = r->method->alternatives ? r->method->alternatives : ul_refusals_make;
	if (r->method->needs & UL_NEEDS_ALT && !r->data[UL_ALT] && !alternatives(r, err)) {
		return false;
	}
	if (r->data[UL_ALT] && r->data[UL_ALT]->n != r->data[UL_FORGET]->n) {
		return ul_fail(err, "%d alternative rows for %d forget rows: one each is wanted", r->data[UL_ALT]->n, r->data[UL_FORGET]->n);
	}
	for (int s = 0; s < UL_STREAMS; s++) {
		if (r->data[s] && !ul_loop_tokenize(r, r->data[s], what[s], err)) {
			return false;
		}
	}
	if (r->method->needs & UL_ALT_ALIGNED && !ul_align_labels(r->data[UL_FORGET], r->data[UL_ALT], err)) {
		return false;
	}
	for (int s = 0; s < UL_ALT; s++) {
		int dropped = r->data[s] ? drop_empty(r, s) : 0;
		if (dropped > 0) {
			note(r, "%d %s rows have no token to predict and are left out", dropped, what[s]);
		}
		if (r->data[s] && r->data[s]->n == 0) {
			return ul_fail(err, "no %s row has a token to predict", what[s]);
		}
	}
	if (r->method->needs & UL_NEEDS_SPANS && !has_spans(r->data[UL_FORGET])) {
		ul_fail(err, "%s needs to know where the personal data are, and no forget row says so", r->method->name);
		ul_hint(err, "rows carry them as \"spans\": [{\"start\", \"end\", \"type\"}]; --source sample annotates its own");
		return false;
	}
	return true;
}

static bool read_eval(ul_run *r, ul_err *err)
{
	if (!r->train.eval) {
		return true;
	}
	ul_data_config c = data_config(r);
	r->eval = ul_alloc(&r->arena, sizeof *r->eval);
	if (!r->eval) {
		return ul_nomem(err, sizeof *r->eval);
	}
	return ul_dataset_read(r->eval, r->train.eval, &c, err) && ul_loop_tokenize(r, r->eval, "evaluation", err);
}

/* ---- order and length ---- */

static bool make_samplers(ul_run *r, ul_err *err)
{
	ul_train_config *c = &r->train;
	const ul_dataset *forget = r->data[UL_FORGET];
	if (c->batch_tokens > INT32_MAX || c->batch > INT32_MAX) {
		return ul_fail(err, "a batch of %lld is too large", (long long)(c->batch_tokens > c->batch ? c->batch_tokens : c->batch));
	}
	int max = c->batch_tokens > 0 || c->batch > forget->n ? forget->n : (int)c->batch;
	ul_sampler_init(&r->sampler[UL_FORGET], forget, (uint64_t)c->seed, "forget", c->batch_tokens > 0 ? forget->n : (int)c->batch, (int)c->batch_tokens);
	if (r->data[UL_RETAIN]) {
		ul_sampler_init(&r->sampler[UL_RETAIN], r->data[UL_RETAIN], (uint64_t)c->seed, "retain", 1, 0);
	}
	if (!r->sampler[UL_FORGET].order || (r->data[UL_RETAIN] && !r->sampler[UL_RETAIN].order)) {
		return ul_nomem(err, (size_t)forget->n * sizeof(int));
	}
	for (int s = 0; s < UL_STREAMS; s++) {
		r->item[s] = ul_alloc(&r->arena, ((size_t)max + 1) * sizeof(int));
		if (!r->item[s]) {
			return ul_nomem(err, (size_t)max * sizeof(int));
		}
	}
	int batches = ul_sampler_batches(&r->sampler[UL_FORGET]);
	r->steps = c->steps > 0 ? c->steps : (int64_t)llround(c->epochs * (double)batches);
	if (r->steps < 1) {
		r->steps = c->epochs > 0 ? 1 : 0;
	}
	return true;
}

static bool attach_lora(ul_run *r, ul_err *err)
{
	ul_lora_config c = {0};
	if (!r->train.lora) {
		return true;
	}
	if (!ul_lora_parse(r->train.lora, &c, &r->arena, err)) {
		return false;
	}
	if (r->train.layers) {
		c.layers = r->train.layers;
	}
	return ul_lora_attach(r->model, &c, (uint64_t)r->train.seed, err);
}

/* ---- the reference ---- */

static bool needs_passes(const ul_run *r)
{
	bool kl = r->train.retain_loss == UL_RETAIN_KL && r->data[UL_RETAIN];
	return kl || r->method->needs & UL_NEEDS_REF_PASS;
}

static bool make_reference(ul_run *r, ul_err *err)
{
	bool passes = needs_passes(r);
	r->ref_tape.record = false;
	r->ref_tape.adapters_off = r->ref == NULL;
	if (!passes && !(r->method->needs & UL_NEEDS_REF)) {
		return true;
	}
	if (passes && !r->train.lora && !r->ref) {
		r->ref = ul_model_clone(r->model, err);
		r->own_ref = true;
		if (!r->ref) {
			return false;
		}
	}
	for (int s = 0; s < UL_STREAMS; s++) {
		if (!r->data[s]) {
			continue;
		}
		r->cache[s] = ul_refcache_new(r->data[s]->n, err);
		if (!r->cache[s]) {
			return false;
		}
		if (r->method->needs & UL_NEEDS_REF && s != UL_RETAIN && !ul_refcache_fill(r, s, err)) {
			return false;
		}
	}
	return true;
}

/* ---- the whole of it ---- */

bool ul_loop_begin(ul_run *r, ul_err *err)
{
	ul_tape_init(&r->tape, r->model->be);
	ul_tape_init(&r->ref_tape, r->model->be);
	r->tape.record = true;
	if (r->train.lr == 0) {
		r->train.lr = r->from_scratch ? 1e-3 : r->train.lora ? 1e-4
		                                                     : 1e-5;
	}
	if (!check_needs(r, err) || !prepare_data(r, err) || !read_eval(r, err) || !make_samplers(r, err) || !attach_lora(r, err) || !make_reference(r, err)) {
		return false;
	}
	ul_memory_begin(r);
	if (r->method->begin && !r->method->begin(r, r->config, err)) {
		return false;
	}
	if (!ul_select_params(r, err) || !ul_lower_begin(r, err)) {
		return false;
	}
	r->optim = ul_optim_new(&r->train, r->param, r->params, err);
	return r->optim != NULL;
}

void ul_loop_end(ul_run *r)
{
	if (r->method && r->method->end) {
		r->method->end(r, r->config);
	}
	ul_optim_free(r->optim);
	for (int i = 0; i < r->params; i++) {
		ul_param_train(r->param[i], false, NULL);
	}
	for (int s = 0; s < UL_STREAMS; s++) {
		ul_sampler_release(&r->sampler[s]);
		ul_refcache_free(r->cache[s]);
	}
	ul_lower_end(r);
	if (r->own_alt) {
		ul_dataset_release(r->data[UL_ALT]);
	}
	if (r->own_ref) {
		ul_model_free(r->ref);
	}
	if (r->eval) {
		ul_dataset_release(r->eval);
	}
	if (r->journal) {
		fclose(r->journal);
	}
	ul_tape_release(&r->tape);
	ul_tape_release(&r->ref_tape);
	ul_arena_release(&r->step_arena);
	ul_arena_release(&r->arena);
	*r = (ul_run){0};
}
