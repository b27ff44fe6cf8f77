/*
 * vectors.c: mean-pooled hidden states of a model as features of texts.
 */
#include "data/vectors.h"

#include "data/data.h"

#include <string.h>

enum { PASS_TOKENS = 1024 };

/* One pass over texts that lie end to end; the means of their rows. */
static bool pass(ul_model *m, ul_tape *t, const ul_ids *ids, int n, double *out, ul_err *err)
{
	ul_arena a = {0};
	int rows = 0, width = m->cfg.hidden;
	for (int i = 0; i < n; i++)
		rows += ids[i].n;
	int *all = ul_alloc(&a, (size_t)(rows + 1) * sizeof *all), *pos = ul_alloc(&a, (size_t)(rows + 1) * sizeof *pos);
	int *start = ul_alloc(&a, (size_t)(n + 1) * sizeof *start);
	double *h = ul_alloc_raw(&a, (size_t)(rows + 1) * (size_t)width * sizeof *h); /* [rows, hidden] */
	bool ok = !a.failed || ul_nomem(err, (size_t)rows * (size_t)width * sizeof *h);
	for (int i = 0; ok && i < n; i++) {
		start[i + 1] = start[i] + ids[i].n;
		for (int k = 0; k < ids[i].n; k++) {
			all[start[i] + k] = ids[i].id[k];
			pos[start[i] + k] = k;
		}
	}
	if (ok && rows) {
		ul_pass p = {.tape = t, .ids = all, .pos = pos, .span = {n, start}};
		ul_val *y = ul_forward(m, &p);
		ok = ul_tape_ok(t, err);
		if (ok)
			ul_read(y, h);
	}
	ul_tape_reset(t);
	memset(out, 0, (size_t)n * (size_t)width * sizeof *out);
	for (int i = 0; ok && i < n; i++)
		for (int k = 0; k < ids[i].n; k++)
			for (int j = 0; j < width; j++)
				out[(size_t)i * (size_t)width + (size_t)j] += h[(size_t)(start[i] + k) * (size_t)width + (size_t)j] / ids[i].n;
	ul_arena_release(&a);
	return ok;
}

bool ul_text_vectors(ul_model *m, const char *const *text, int n, double *out, ul_err *err)
{
	ul_tape t;
	ul_ids *ids = ul_calloc((size_t)n + 1, sizeof *ids);
	bool ok = ids || ul_nomem(err, (size_t)n * sizeof *ids);
	int from = 0, rows = 0;
	ul_tape_init(&t, m->be);
	t.record = false;
	for (int i = 0; ok && i < n; i++) {
		ok = ul_text_encode(m, text[i], strlen(text[i]), &ids[i], err);
		ids[i].n = ids[i].n < m->cfg.context ? ids[i].n : m->cfg.context;
		rows += ids[i].n;
		if (ok && (rows >= PASS_TOKENS || i + 1 == n)) {
			ok = pass(m, &t, ids + from, i + 1 - from, out + (size_t)from * (size_t)m->cfg.hidden, err);
			from = i + 1;
			rows = 0;
		}
	}
	for (int i = 0; ids && i < n; i++)
		ul_ids_release(&ids[i]);
	ul_free(ids);
	ul_tape_release(&t);
	return ok;
}
