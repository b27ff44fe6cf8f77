/*
 * oracle.h: golden logits and gradients beside a checkpoint, and running one model on the same sequences.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include "model/lora.h"
#include "model/safetensors.h"
#include "tensor/backend.h"
#include "test.h"

#include <dirent.h>
#include <unistd.h>

enum { ORACLE_SEQS = 32 };

typedef struct oracle {
	json_t *json;
	ul_map map[2];
	ul_tensors tensors;
	ul_arena arena;
	int n; /* sequences */
	int *ids; /* all of them, end to end */
	int start[ORACLE_SEQS + 1];
	int *pos;
} oracle;

static inline void oracle_read(oracle *o, int slot, const char *path)
{
	ul_err err = {0};
	NEED_OK(ul_map_open(&o->map[slot], path, &err), err);
	NEED_OK(ul_safetensors_parse(o->map[slot].data, o->map[slot].len, path, &o->tensors, &o->arena, &err), err);
}

/* The sequences named in the JSON file; the tensors of one or two files. */
static inline void oracle_open_part(oracle *o, const char *json, const char *part, const char *const tensors[2])
{
	ul_err err = {0};
	*o = (oracle){0};
	o->json = ul_json_file(json, 1 << 24, &err);
	NEED_OK(o->json, err);
	const json_t *seqs = json_object_get(part ? json_object_get(o->json, part) : o->json, "sequences");
	o->n = (int)json_array_size(seqs);
	NEED(o->n > 0 && o->n <= ORACLE_SEQS);
	for (int i = 0; i < o->n; i++)
		o->start[i + 1] = o->start[i] + (int)json_array_size(json_array_get(seqs, (size_t)i));
	o->ids = ul_alloc(&o->arena, (size_t)o->start[o->n] * sizeof(int));
	o->pos = ul_alloc(&o->arena, (size_t)o->start[o->n] * sizeof(int));
	for (int i = 0; i < o->n; i++)
		for (int t = 0; t < o->start[i + 1] - o->start[i]; t++) {
			o->ids[o->start[i] + t] = (int)json_integer_value(json_array_get(json_array_get(seqs, (size_t)i), (size_t)t));
			o->pos[o->start[i] + t] = t;
		}
	for (int i = 0; i < 2 && tensors[i]; i++)
		oracle_read(o, i, tensors[i]);
	NEED_OK(ul_tensors_sort(&o->tensors, "golden", &err), err);
}

static inline void oracle_open(oracle *o, const char *json, const char *tensors, const char *more)
{
	oracle_open_part(o, json, NULL, (const char *const[]){tensors, more});
}

static inline void oracle_close(oracle *o)
{
	json_decref(o->json);
	ul_map_close(&o->map[0]);
	if (o->map[1].data)
		ul_map_close(&o->map[1]);
	ul_free(o->tensors.t);
	ul_arena_release(&o->arena);
}

/* A golden array of float64. */
static inline const double *oracle_get(oracle *o, const char *name, size_t n)
{
	ul_tensor *t = ul_tensors_find(&o->tensors, name);
	if (!t)
		return NULL;
	NEED(t->dtype == UL_F64 && t->n == n);
	double *x = ul_alloc(&o->arena, (n + 1) * sizeof *x);
	memcpy(x, t->data, n * sizeof *x);
	return x;
}

/* ---- running ---- */

/* Logits of every row of the packed sequences [rows, vocab], by the caller freed. */
static inline double *run_packed(ul_model *m, const int *ids, const int *pos, ul_span span)
{
	ul_tape t;
	ul_err err = {0};
	ul_tape_init(&t, m->be);
	ul_pass p = {.tape = &t, .ids = ids, .pos = pos, .span = span};
	ul_val *h = ul_forward(m, &p);
	ul_val *z = ul_head_logits(h, m->head, m->head_b);
	NEED_OK(ul_tape_ok(&t, &err), err);
	NEED(z->rows == span.start[span.n] && z->cols == m->cfg.vocab);
	double *out = ul_malloc((size_t)z->rows * (size_t)z->cols * sizeof *out);
	ul_read(z, out);
	ul_tape_release(&t);
	return out;
}

static inline double *run_alone(ul_model *m, const oracle *o, int seq)
{
	int n = o->start[seq + 1] - o->start[seq], start[2] = {0, n};
	return run_packed(m, o->ids + o->start[seq], o->pos + o->start[seq], (ul_span){1, start});
}

/* Largest difference of all logits called <prefix>.<i> from the golden ones; -1 when there are none. */
static inline double logit_gap(ul_model *m, oracle *o, const char *prefix)
{
	double gap = -1;
	for (int i = 0; i < o->n; i++) {
		char name[64];
		snprintf(name, sizeof name, "%s.%d", prefix, i);
		size_t n = (size_t)(o->start[i + 1] - o->start[i]) * (size_t)m->cfg.vocab;
		const double *want = oracle_get(o, name, n);
		if (!want)
			continue;
		double *have = run_alone(m, o, i);
		for (size_t k = 0; k < n; k++)
			gap = fmax(gap, isnan(have[k]) ? INFINITY : fabs(have[k] - want[k]));
		ul_free(have);
	}
	return gap;
}

/* Mean NLL of all predicted tokens, sequences packed; backward into the parameters that are trainable. */
static inline double run_loss(ul_model *m, const oracle *o, bool recompute)
{
	ul_tape t;
	ul_err err = {0};
	int rows = o->start[o->n], n = 0, *row = ul_malloc((size_t)rows * sizeof *row), *target = ul_malloc((size_t)rows * sizeof *target);
	for (int i = 0; i < o->n; i++)
		for (int k = o->start[i]; k < o->start[i + 1] - 1; k++) {
			row[n] = k;
			target[n++] = o->ids[k + 1];
		}
	ul_tape_init(&t, m->be);
	t.record = true;
	t.recompute = recompute;
	ul_pass p = {.tape = &t, .ids = o->ids, .pos = o->pos, .span = {o->n, o->start}};
	ul_val *h = ul_rows(ul_forward(m, &p), row, n);
	ul_val *loss = ul_scale(ul_mean(ul_head_logp(h, m->head, m->head_b, target, NULL)), -1);
	double value = ul_item(loss);
	ul_backward(loss, 1);
	NEED_OK(ul_tape_ok(&t, &err), err);
	ul_tape_release(&t);
	ul_free(row);
	ul_free(target);
	return value;
}

static inline void train(ul_param **p, int n)
{
	ul_err err = {0};
	for (int i = 0; i < n; i++)
		NEED_OK(ul_param_train(p[i], true, &err), err);
}

/* The gradient in the file's order (Conv1D is [in, out] there). */
static inline double *file_grad(const ul_param *p)
{
	size_t n = (size_t)p->rows * (size_t)p->cols;
	double *g = ul_malloc(n * sizeof *g), *out = ul_malloc(n * sizeof *out);
	ul_param_grad(p, g);
	for (size_t i = 0; i < n; i++)
		out[p->transposed ? i % (size_t)p->cols * (size_t)p->rows + i / (size_t)p->cols : i] = g[i];
	ul_free(g);
	return out;
}

/* Largest max|a - b| / max|b| over the parameters; every one must have a golden gradient under prefix + name. The gradient of a key's
 * bias is zero in truth (softmax does not see it), so that a tensor is measured against no less than `floor` of the largest one. */
static inline double grad_gap(ul_param **p, int n, oracle *o, const char *prefix, double least)
{
	double worst = 0, largest = 0;
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < n; i++) {
			char name[256];
			size_t k = (size_t)p[i]->rows * (size_t)p[i]->cols;
			snprintf(name, sizeof name, "%s%s", prefix, p[i]->name);
			const double *want = oracle_get(o, name, k);
			if (!want && !strcmp(p[i]->name, "embed_out.weight")) /* transformers 5 calls NeoX's head so in memory */
				want = oracle_get(o, "lm_head.weight", k);
			if (!CHECK_MSG(want, "no golden gradient for %s", name))
				return INFINITY;
			double *have = file_grad(p[i]), gap = 0, size = 0;
			for (size_t j = 0; j < k; j++) {
				gap = fmax(gap, isnan(have[j]) ? INFINITY : fabs(have[j] - want[j]));
				size = fmax(size, fabs(want[j]));
			}
			largest = fmax(largest, size);
			if (pass)
				worst = fmax(worst, gap / fmax(size, least * largest));
			ul_free(have);
		}
	return worst;
}

static inline ul_model *open_model(const char *path, const char *backend)
{
	ul_err err = {0};
	ul_open o = {.backend = backend};
	ul_model *m = ul_model_open_with(path, &o, &err);
	NEED_OK(m, err);
	return m;
}

/* test_shared's answer changes with the next call; this one is a copy. */
static inline void shared_path(char out[512], const char *name)
{
	snprintf(out, 512, "%s", test_shared(name));
}

/* test_tmp()/<name>/ with one config.json and links to the weights of another folder. */
static inline void borrow_model(char out[512], const char *name, const char *folder, const char *config)
{
	ul_err err = {0};
	char link[1024], cwd[512], full[2048];
	snprintf(out, 512, "%s", test_path(name));
	NEED_OK(ul_mkdirs(out, &err), err);
	NEED(getcwd(cwd, sizeof cwd));
	DIR *d = opendir(folder);
	NEED(d);
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.' || (strstr(e->d_name, ".json") && !strstr(e->d_name, "index")))
			continue;
		snprintf(link, sizeof link, "%s/%s", out, e->d_name);
		snprintf(full, sizeof full, "%s%s%s/%s", *folder == '/' ? "" : cwd, *folder == '/' ? "" : "/", folder, e->d_name);
		NEED(symlink(full, link) == 0);
	}
	closedir(d);
	snprintf(link, sizeof link, "%s/config.json", out);
	json_t *j = ul_json_file(config, 1 << 20, &err);
	NEED_OK(j, err);
	NEED_OK(ul_json_write(link, j, &err), err);
	json_decref(j);
}

/* What lies at path opens and gives the golden logits of the family. */
static inline void opens_as(const char *path, const char *family)
{
	char json[200], tensors[200];
	oracle o;
	snprintf(json, sizeof json, "tests/golden/families/%s/golden.json", family);
	snprintf(tensors, sizeof tensors, "tests/golden/families/%s/golden.safetensors", family);
	oracle_open(&o, json, tensors, NULL);
	ul_model *m = open_model(path, "cpu");
	double gap = logit_gap(m, &o, "logits");
	CHECK_MSG(gap >= 0 && gap < 1e-4, "%s: logits differ by %g", family, gap);
	ul_model_free(m);
	oracle_close(&o);
}

#endif
