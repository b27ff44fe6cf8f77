/*
 * bench.h: short runs of the loop on the tiny Llama of tests/golden/methods, for the tests of the loop and its states.
 */
#ifndef BENCH_H
#define BENCH_H

#include "tensor/backend.h"
#include "tests/method/lab.h"

#define BENCH_MODEL "tests/golden/methods/theta"

/* A run of `method` over the golden rows; `settings` is JSON text. Nothing has been stepped yet. */
static inline void bench_open(struct lab *lab, const char *method, const char *settings, const char *dir)
{
	const json_t *golden = lab_json("tests/golden/methods/golden.json");
	ul_err err = {0};
	json_t *s = ul_json_parse(settings, strlen(settings), "settings", &err);
	NEED_OK(s, err);
	lab->model = lab_model(BENCH_MODEL, "cpu");
	lab_method(lab, method, s);
	lab->method.needs &= ~(unsigned)UL_NEEDS_SPANS;
	for (int copy = 0; copy < 3; copy++) {
		lab_rows(lab, UL_FORGET, json_object_get(golden, "forget"));
		if (lab->method.needs & UL_NEEDS_ALT) {
			lab_rows(lab, UL_ALT, json_object_get(golden, "idk"));
		}
	}
	if (lab->method.needs & (UL_NEEDS_RETAIN | UL_USES_RETAIN)) {
		lab_rows(lab, UL_RETAIN, json_object_get(golden, "retain"));
	}
	lab->run.model = lab->model;
	lab->run.dir = dir;
	NEED_OK(ul_loop_begin(&lab->run, &lab->err), lab->err);
	json_decref(s);
	json_decref((json_t *)(uintptr_t)golden);
}

static inline void bench_steps(struct lab *lab, int n)
{
	for (int i = 0; i < n; i++) {
		NEED_OK(ul_loop_step(&lab->run, &lab->err), lab->err);
	}
}

/* SHA-256 over the bits of all parameters, adapters included. */
static inline void bench_hash(const struct lab *lab, char hex[65])
{
	const ul_model *m = lab->model;
	ul_sha *sha = ul_sha_new();
	NEED(sha);
	for (int i = 0; i < m->params; i++) {
		ul_sha_add(sha, m->param[i]->data, (size_t)m->param[i]->rows * (size_t)m->param[i]->cols * m->be->elem);
	}
	for (int i = 0; m->adapter && i < m->adapter->params; i++) {
		const ul_param *p = m->adapter->param[i];
		ul_sha_add(sha, p->data, (size_t)p->rows * (size_t)p->cols * m->be->elem);
	}
	ul_sha_end(sha, hex);
}

#endif
