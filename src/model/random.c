/*
 * random.c: models that come from no file: random weights to train from scratch, and frozen copies of another model.
 */
#include "model/lora_file.h"
#include "model/open.h"
#include "model/slots.h"
#include "tensor/backend.h"

#include <string.h>

struct seeded {
	uint64_t seed, index;
	double sd;
};

/* Matrices from N(0, sd); norms begin as the identity, biases as zero. Each tensor has its own stream. */
static bool make_random(ul_model *m, const ul_place *p, void *ud, ul_err *err)
{
	struct seeded *s = ud;
	ul_param *w = ul_param_new(&m->arena, m->be, p->name, p->rows, p->cols);
	if (!w)
		return ul_nomem(err, (size_t)p->rows * (size_t)p->cols * m->be->elem);
	*p->at = w;
	ul_rng r = ul_rng_at(s->seed, "init", s->index++);
	size_t n = (size_t)p->rows * (size_t)p->cols;
	bool matrix = !(p->slot->flags & UL_SLOT_VECTOR), one = (p->slot->flags & UL_SLOT_NORM) && !(p->slot->flags & UL_SLOT_PLUS_ONE_GGUF);
	double x[256];
	for (size_t at = 0; at < n; at += 256) {
		size_t k = n - at < 256 ? n - at : 256;
		for (size_t i = 0; i < k; i++)
			x[i] = matrix ? s->sd * ul_rng_normal(&r) : one;
		m->be->from_f64((char *)w->data + at * m->be->elem, x, k);
	}
	return true;
}

static bool fill_random(ul_model *m, const json_t *config, uint64_t seed, const char *backend, ul_err *err)
{
	struct seeded s = {.seed = seed, .sd = 0.02};
	m->be = ul_backend_get(backend ? backend : "cpu", err);
	if (!m->be)
		return false;
	m->path = ul_arena_strdup(&m->arena, "config.json");
	m->config = json_deep_copy(config);
	if (!m->path || !m->config)
		return ul_nomem(err, 64);
	return ul_model_configure(m, err) && ul_json_real(m->config, "initializer_range", 0, 10, &s.sd, err) && ul_slots_fill(m, make_random, &s, err);
}

ul_model *ul_model_random(const json_t *config, uint64_t seed, const char *backend, ul_err *err)
{
	ul_model *m = ul_calloc(1, sizeof *m);
	if (!m) {
		ul_nomem(err, sizeof *m);
		return NULL;
	}
	if (fill_random(m, config, seed, backend, err))
		return m;
	ul_model_free(m);
	return NULL;
}

/* ---- copies ---- */

struct original {
	const ul_model *m;
	int next; /* both models list their parameters in the same order */
};

static void copy_values(ul_param *w, const ul_param *from)
{
	if (from->packed) /* backend cpu: its elements are floats */
		ul_param_get_f32(from, w->data);
	else
		w->be->copy(w->data, from->data, (size_t)from->rows * (size_t)from->cols);
}

static bool make_copy(ul_model *m, const ul_place *p, void *ud, ul_err *err)
{
	struct original *o = ud;
	const ul_param *from = o->m->param[o->next++];
	ul_param *w;
	if (from->borrowed && !from->lora) {
		w = ul_alloc(&m->arena, sizeof *w);
		if (!w)
			return ul_nomem(err, sizeof *w);
		*w = (ul_param){.name = from->name, .rows = from->rows, .cols = from->cols, .data = from->data, .packed = from->packed, .borrowed = true, .be = m->be};
	} else {
		w = ul_param_new(&m->arena, m->be, from->name, from->rows, from->cols);
		if (!w)
			return ul_nomem(err, (size_t)from->rows * (size_t)from->cols * m->be->elem);
		copy_values(w, from);
		*p->at = w;
		for (const ul_lora *l = from->lora; l; l = l->next)
			if (!ul_lora_add_to(w, l, 1, err)) {
				ul_param_release(w); /* not listed yet */
				return false;
			}
	}
	w->dtype = from->dtype;
	*p->at = w;
	return true;
}

ul_model *ul_model_clone(const ul_model *from, ul_err *err)
{
	struct original o = {.m = from};
	ul_model *m = ul_calloc(1, sizeof *m);
	if (!m) {
		ul_nomem(err, sizeof *m);
		return NULL;
	}
	m->arch = from->arch;
	m->be = from->be;
	m->tok = from->tok;
	m->shared = true;
	m->path = from->path ? ul_arena_strdup(&m->arena, from->path) : NULL;
	memcpy(m->sha256, from->sha256, sizeof m->sha256);
	m->config = json_deep_copy(from->config);
	/* The configuration is read again, so that its frequencies live in the copy's own arena. */
	bool ok = (m->config || ul_nomem(err, 64)) && ul_model_configure(m, err) && ul_slots_fill(m, make_copy, &o, err);
	if (ok)
		return m;
	ul_model_free(m);
	return NULL;
}
