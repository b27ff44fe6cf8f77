/*
 * inverter_file.c: a trained inverter on disk. The decoder's start (the target, a seed, a checkpoint) is not kept, only what training
 * changed; the name of the file stands for everything that decided it.
 */
#include "train/inverter.h"

#include "base/file.h"
#include "model/safetensors.h"

#include <string.h>
#include <time.h>

bool ul_inverter_write(const ul_inverter *v, const char *path, ul_err *err)
{
	ul_arena a = {0};
	int vocab = v->model->cfg.vocab;
	ul_st_out *t = ul_alloc(&a, ((size_t)v->params + 1) * sizeof *t);
	float *u = ul_alloc(&a, (size_t)vocab * sizeof *u);
	ul_aside aside;
	if (!t || !u) {
		ul_arena_release(&a);
		return ul_nomem(err, (size_t)vocab * sizeof *u);
	}
	for (int i = 0; i < v->params; i++) {
		const ul_param *p = v->param[i];
		t[i] = (ul_st_out){.name = p->name, .dims = 2, .shape = {p->rows, p->cols}, .be = p->be, .data = p->data};
	}
	for (int j = 0; j < vocab; j++) {
		u[j] = (float)v->unigram[j];
	}
	t[v->params] = (ul_st_out){.name = "unigram", .dims = 2, .shape = {1, vocab}, .data = u};
	bool ok = ul_aside_begin(&aside, path, err) && ul_safetensors_write(aside.path, t, v->params + 1, UL_F32, err) && ul_aside_commit(&aside, true, err);
	ul_aside_abort(&aside);
	ul_arena_release(&a);
	return ok;
}

static const float *tensor(const ul_tensors *ts, const char *name, int rows, int cols, const char *path, ul_err *err)
{
	const ul_tensor *t = ul_tensors_find(ts, name);
	if (t && t->dtype == UL_F32 && t->dims == 2 && t->shape[0] == rows && t->shape[1] == cols) {
		return (const float *)(const void *)t->data;
	}
	ul_fail(err, "%s does not hold %s [%d, %d]: remove it", path, name, rows, cols);
	return NULL;
}

bool ul_inverter_read(ul_inverter *v, const char *path, ul_err *err)
{
	ul_map map = {0};
	ul_tensors ts = {0};
	ul_arena a = {0};
	bool ok = ul_map_open(&map, path, err) && ul_safetensors_parse(map.data, map.len, path, &ts, &a, err) && ul_tensors_sort(&ts, path, err);
	const float *u = ok ? tensor(&ts, "unigram", 1, v->model->cfg.vocab, path, err) : NULL;
	ok = ok && u;
	for (int i = 0; ok && i < v->params; i++) {
		ul_param *p = v->param[i];
		const float *x = tensor(&ts, p->name, p->rows, p->cols, path, err);
		ok = x && ul_param_own(p, err);
		if (ok) {
			ul_param_set_f32(p, x);
		}
	}
	for (int j = 0; ok && j < v->model->cfg.vocab; j++) {
		v->unigram[j] = u[j];
	}
	v->seen |= ok;
	ul_map_close(&map);
	ul_free(ts.t);
	ul_arena_release(&a);
	return ok;
}

/* Settings, pairs, and the checkpoint that the decoder starts from. */
static bool file_of(ul_inverter *v, const ul_pairs *p, const char *cache, ul_arena *a, char **path, ul_err *err)
{
	const ul_inverter_config *c = &v->c;
	char hex[65];
	if (v->model->files && !ul_model_hash(v->model, err)) {
		return false;
	}
	char *words = ul_arena_printf(a, "%s %s %s %lld %lld %lld %lld %lld %.9g %.9g %llu", c->model, v->model->sha256, c->lora ? c->lora : "", (long long)c->groups, (long long)c->width,
	        (long long)c->epochs, (long long)c->batch, (long long)c->length, c->lr, c->beta, (unsigned long long)c->seed);
	ul_sha *s = words ? ul_sha_new() : NULL;
	if (!s) {
		return ul_nomem(err, 256);
	}
	ul_sha_add(s, words, strlen(words));
	ul_sha_add(s, p->hidden, (size_t)p->n * (size_t)p->width * sizeof *p->hidden);
	for (int i = 0; i < p->n; i++) {
		ul_sha_add(s, p->text[i], strlen(p->text[i]) + 1);
	}
	ul_sha_end(s, hex);
	*path = ul_arena_printf(a, "%s/inverter-%.16s.safetensors", cache, hex);
	return *path || ul_nomem(err, 256);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool ul_inverter_make(ul_inverter *v, const ul_pairs *p, const char *cache, json_t *summary, const ul_progress *progress, ul_err *err)
{
	ul_arena a = {0};
	char *path = NULL;
	double start = now(), nll = 0;
	bool ok = !cache || (ul_mkdirs(cache, err) && file_of(v, p, cache, &a, &path, err));
	bool found = ok && path && ul_file_exists(path);
	ok = ok && (found ? ul_inverter_read(v, path, err) : ul_inverter_fit(v, p, &nll, progress, err));
	ok = ok && (found || !path || ul_inverter_write(v, path, err));
	if (ok && summary) {
		json_object_set_new(summary, "cached", json_boolean(found));
		json_object_set_new(summary, "seconds", json_real(now() - start));
		json_object_set_new(summary, "train_nll", found ? json_null() : json_real(nll));
	}
	ul_arena_release(&a);
	return ok;
}
