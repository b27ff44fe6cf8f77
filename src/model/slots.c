/*
 * slots.c: from an architecture's table of tensors to the parameters of one model.
 */
#include "model/slots.h"

#include <stdlib.h>
#include <string.h>

void ul_slot_name(char *out, size_t n, const char *pattern, int layer)
{
	const char *d = strstr(pattern, "%d");
	if (d)
		snprintf(out, n, "%.*s%d%s", (int)(d - pattern), pattern, layer, d + 2);
	else
		snprintf(out, n, "%s", pattern);
}

/* "3*hidden": a product of numbers and names of sizes. */
static int dimension(const ul_config *c, const char *words)
{
	const struct {
		const char *word;
		int value;
	} known[] = {
	        {"hidden", c->hidden},
	        {"q", c->heads * c->head_dim},
	        {"kv", c->kv_heads * c->head_dim},
	        {"ffn", c->ffn},
	        {"vocab", c->vocab},
	        {"context", c->context},
	        {"head_dim", c->head_dim},
	};
	int product = 1;
	for (const char *w = words; *w;) {
		size_t n = strcspn(w, "*"), i = 0, count = sizeof known / sizeof *known;
		while (i < count && (strlen(known[i].word) != n || strncmp(known[i].word, w, n)))
			i++;
		int value = i < count ? known[i].value : atoi(w);
		UL_ASSERT(value > 0, "dimension \"%s\"", words);
		product *= value;
		w += n + (w[n] == '*');
	}
	return product;
}

static bool present(const ul_config *c, const ul_slot *s)
{
	if ((s->flags & UL_SLOT_HEAD) && c->tied)
		return false;
	return !s->when || *(const bool *)((const char *)c + s->when);
}

struct call {
	ul_place_fn visit;
	void *ud;
};

static bool visit_one(ul_model *m, const ul_slot *s, int layer, const struct call *call, ul_err *err)
{
	if (!present(&m->cfg, s))
		return true;
	char *base = !s->per_layer ? (char *)m : m->layer ? (char *)&m->layer[layer]
	                                                  : NULL;
	ul_place p = {.slot = s, .layer = layer, .at = base ? (ul_param **)(void *)(base + s->offset) : NULL};
	ul_slot_name(p.name, sizeof p.name, s->hf, layer);
	p.rows = dimension(&m->cfg, s->rows);
	p.cols = dimension(&m->cfg, s->cols);
	return call->visit(m, &p, call->ud, err);
}

bool ul_slots_walk(ul_model *m, ul_place_fn visit, void *ud, ul_err *err)
{
	const struct call call = {visit, ud};
	for (const ul_slot *s = m->arch->slots; s->hf;) {
		if (!s->per_layer) {
			if (!visit_one(m, s++, 0, &call, err))
				return false;
			continue;
		}
		const ul_slot *end = s;
		while (end->hf && end->per_layer)
			end++;
		for (int layer = 0; layer < m->cfg.layers; layer++)
			for (const ul_slot *t = s; t < end; t++)
				if (!visit_one(m, t, layer, &call, err))
					return false;
		s = end;
	}
	return true;
}

struct filling {
	ul_place_fn make;
	void *ud;
};

static bool count_one(ul_model *m, const ul_place *p, void *ud, ul_err *err)
{
	++*(int *)ud;
	return true;
}

static bool fill_one(ul_model *m, const ul_place *p, void *ud, ul_err *err)
{
	const struct filling *f = ud;
	if (!f->make(m, p, f->ud, err))
		return false;
	ul_param *w = *p->at;
	w->vector = (p->slot->flags & UL_SLOT_VECTOR) != 0;
	w->transposed = (p->slot->flags & UL_SLOT_TRANSPOSED) != 0;
	m->param[m->params++] = w;
	return true;
}

bool ul_slots_fill(ul_model *m, ul_place_fn make, void *ud, ul_err *err)
{
	int n = 0;
	m->layer = ul_alloc(&m->arena, (size_t)m->cfg.layers * sizeof *m->layer);
	if (!m->layer)
		return ul_nomem(err, (size_t)m->cfg.layers * sizeof *m->layer);
	ul_slots_walk(m, count_one, &n, err);
	m->param = ul_alloc(&m->arena, (size_t)n * sizeof *m->param);
	if (!m->param)
		return ul_nomem(err, (size_t)n * sizeof *m->param);
	struct filling f = {make, ud};
	if (!ul_slots_walk(m, fill_one, &f, err))
		return false;
	if (m->cfg.tied)
		m->head = m->embed;
	return true;
}

bool ul_slot_moves(const ul_slot *s, const char *gguf)
{
	if (!gguf)
		return false;
	return (s->flags & UL_SLOT_QKV_HEADS) || ((s->flags & (UL_SLOT_Q | UL_SLOT_K)) && !strcmp(gguf, "llama"));
}

int ul_slot_row(const ul_config *c, const ul_slot *s, const char *gguf, int r)
{
	int d = c->head_dim;
	if (!ul_slot_moves(s, gguf))
		return r;
	if (s->flags & UL_SLOT_QKV_HEADS) { /* [head][part][column] -> [part][head][column] */
		int head = r / (3 * d), part = r / d % 3;
		return (part * c->heads + head) * d + r % d;
	}
	/* [head][half][column] -> [head][column][half] */
	int half = r % d / (d / 2), column = r % (d / 2);
	return r / d * d + 2 * column + half;
}
