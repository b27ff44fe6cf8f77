/*
 * lab.h: a model, a reference and a few rows on one bench: what the tests of methods share.
 */
#ifndef LAB_H
#define LAB_H

#include "model/safetensors.h"
#include "tests/test.h"
#include "train/train.h"

#include <stdio.h>

struct lab {
	ul_model *model, *ref;
	ul_method method; /* a copy: tests may take a need away */
	ul_dataset data[UL_STREAMS];
	ul_run run;
	ul_arena arena;
	ul_err err;
};

static inline ul_model *lab_model(const char *path, const char *backend)
{
	ul_err err = {0};
	ul_model *m = ul_model_open_with(path, &(ul_open){.backend = backend}, &err);
	NEED_OK(m, err);
	return m;
}

static inline const json_t *lab_json(const char *path)
{
	ul_err err = {0};
	json_t *v = ul_json_file(path, (size_t)64 << 20, &err);
	NEED_OK(v, err);
	return v;
}

/* Rows [{"ids", "labels"}, …] of a golden file become a stream. */
static inline void lab_rows(struct lab *lab, enum ul_stream s, const json_t *rows)
{
	size_t i;
	json_t *row;
	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
	{
		NEED_OK(ul_dataset_add(&lab->data[s], row, &lab->err), lab->err);
	}
	lab->run.data[s] = &lab->data[s];
}

/* Sets `method` with defaults, its own preferences and then `settings` (a JSON object of texts). */
static inline void lab_method(struct lab *lab, const char *name, const json_t *settings)
{
	const ul_method *found = strcmp(name, "finetune") ? ul_method_find(name, &lab->err) : &ul_finetune;
	NEED_OK(found, lab->err);
	lab->method = *found;
	lab->run.method = &lab->method;
	lab->run.config = ul_alloc(&lab->arena, lab->method.config + 1);
	NEED_OK(ul_opts_defaults(ul_train_opts, &lab->run.train, &lab->arena, &lab->err), lab->err);
	if (lab->method.opts) {
		NEED_OK(ul_opts_defaults(lab->method.opts, lab->run.config, &lab->arena, &lab->err), lab->err);
	}
	for (const ul_setting *d = lab->method.defaults; d && d->key; d++) {
		NEED_OK(ul_opts_set(ul_train_opts, &lab->run.train, d->key, d->value, &lab->arena, &lab->err), lab->err);
	}
	lab->run.train.lora = NULL; /* goldens are of full training */
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)(uintptr_t)settings, key, v)
	{
		bool train = ul_opts_find(ul_train_opts, key) != NULL;
		NEED_OK(ul_opts_set(train ? ul_train_opts : lab->method.opts, train ? (void *)&lab->run.train : lab->run.config, key, json_string_value(v), &lab->arena, &lab->err), lab->err);
	}
}

static inline void lab_begin(struct lab *lab)
{
	lab->method.needs &= ~(unsigned)(UL_NEEDS_SPANS | UL_NEEDS_LORA);
	lab->method.trains = NULL; /* goldens have gradients of everything */
	lab->run.model = lab->model;
	lab->run.ref = lab->ref;
	NEED_OK(ul_loop_begin(&lab->run, &lab->err), lab->err);
}

/* Rows of ids carry no text that spans could mark: a golden file marks tokens. */
static inline void lab_spots(struct lab *lab, const json_t *spots)
{
	for (int i = 0; i < lab->data[UL_FORGET].n; i++) {
		ul_row *row = &lab->data[UL_FORGET].row[i];
		for (int t = 0; t < row->n; t++) {
			if (json_integer_value(json_array_get(json_array_get(spots, (size_t)i), (size_t)t))) {
				row->flags[t] |= UL_ROW_SPAN;
			}
		}
	}
}

/* One loss over all rows of every stream, gradients in the parameters. */
static inline double lab_loss(struct lab *lab)
{
	ul_run *r = &lab->run;
	ul_grad_zero(r->param, r->params);
	r->terms = 0;
	for (int s = 0; s < UL_STREAMS; s++) {
		int item[64];
		for (int i = 0; r->data[s] && i < r->data[s]->n; i++) {
			item[i] = i;
		}
		if (r->data[s]) {
			NEED_OK(ul_loop_pack(r, s, item, r->data[s]->n, &lab->err), lab->err);
		}
	}
	ul_val *loss = r->method->loss(r, r->config);
	NEED_OK(ul_tape_ok(&r->tape, &lab->err), lab->err);
	double value = ul_item(loss);
	if (loss->needs_grad) {
		ul_backward(loss, 1);
	}
	NEED_OK(ul_tape_ok(&r->tape, &lab->err), lab->err);
	ul_tape_reset(&r->tape);
	ul_tape_reset(&r->ref_tape);
	ul_arena_reset(&r->step_arena, (ul_mark){0});
	return value;
}

/* Gradient of a parameter; valid until the lab ends. */
static inline double *lab_grad(struct lab *lab, const char *name, size_t *n)
{
	const ul_param *p = ul_model_param(lab->model, name);
	NEED(p);
	*n = (size_t)p->rows * (size_t)p->cols;
	double *g = ul_alloc(&lab->arena, *n * sizeof *g);
	NEED(g);
	ul_param_grad(p, g);
	return g;
}

static inline double lab_grad_norm(struct lab *lab, const char *name)
{
	size_t n;
	double sum = 0, *g = lab_grad(lab, name, &n);
	for (size_t i = 0; i < n; i++) {
		sum += g[i] * g[i];
	}
	return sqrt(sum);
}

static inline void lab_end(struct lab *lab)
{
	ul_loop_end(&lab->run);
	for (int s = 0; s < UL_STREAMS; s++) {
		ul_dataset_release(&lab->data[s]);
	}
	ul_model_free(lab->model);
	if (lab->ref != lab->model) {
		ul_model_free(lab->ref);
	}
	ul_arena_release(&lab->arena);
}

#endif
