/*
 * forward.c: what every architecture's pass has in common: embedding, blocks with or without recomputation, taps, the cache of
 * keys and values.
 */
#include "model/model.h"
#include "tensor/backend.h"

#include <string.h>

ul_val *ul_forward(ul_model *m, ul_pass *p)
{
	p->stopped = false;
	return m->arch->forward(m, p);
}

bool ul_tap(ul_pass *p, enum ul_site site, int layer, ul_val **h)
{
	if (!p->tap || !(p->tap_sites & 1u << site))
		return true;
	ul_val *instead = p->tap(p->ud, site, layer, *h);
	if (!instead) {
		p->stopped = true;
		return false;
	}
	*h = instead;
	return true;
}

/* What a block needs when it is computed a second time, long after the caller's pass and arrays may have gone. */
struct block {
	ul_model *m;
	ul_pass *pass;
	ul_block_fn run;
	int layer;
};

static ul_val *again(ul_val *x, const void *ud)
{
	const struct block *b = ud;
	return b->run(b->m, b->pass, b->layer, x);
}

static void *keep(ul_tape *t, const void *from, size_t bytes)
{
	void *to = from ? ul_alloc(&t->arena, bytes) : NULL;
	if (to)
		memcpy(to, from, bytes);
	else if (from)
		t->failed = true;
	return to;
}

/* The pass in tape memory, taps inside blocks off. */
static ul_pass *keep_pass(const ul_pass *p)
{
	size_t rows = (size_t)p->span.start[p->span.n];
	ul_pass *own = keep(p->tape, p, sizeof *p);
	int *pos = keep(p->tape, p->pos, rows * sizeof *pos);
	int *start = keep(p->tape, p->span.start, ((size_t)p->span.n + 1) * sizeof *start);
	int *slot = p->cache ? keep(p->tape, p->slot, (size_t)p->span.n * sizeof *slot) : NULL;
	int *lead = keep(p->tape, p->span.lead, (size_t)p->span.n * sizeof *lead);
	int *shared = keep(p->tape, p->span.shared, (size_t)p->span.n * sizeof *shared);
	if (!own || !start || (p->span.lead && !lead) || (p->span.shared && !shared) || (p->pos && !pos) || (p->cache && !slot))
		return NULL;
	own->pos = pos;
	own->span = (ul_span){p->span.n, start, lead, shared};
	own->slot = slot;
	own->ids = NULL;
	own->soft = NULL;
	own->tap = NULL;
	return own;
}

ul_val *ul_blocks(ul_model *m, ul_pass *p, ul_val *h, ul_block_fn block)
{
	const unsigned inside = 1u << UL_SITE_ATTN_OUT | 1u << UL_SITE_MLP_OUT | 1u << UL_SITE_DOWN_IN;
	bool whole = !(p->tap && (p->tap_sites & inside)) && !(p->cache && p->tape->record);
	ul_pass *own = whole ? keep_pass(p) : NULL;
	const bool recompute = p->tape->recompute;
	const int first = p->tape->recompute_blocks > 0 ? p->tape->recompute_blocks : m->cfg.layers;
	for (int layer = p->first; layer < m->cfg.layers; layer++) {
		struct block b = {m, own, block, layer};
		struct block *kept = own ? keep(p->tape, &b, sizeof b) : NULL;
		p->tape->recompute = recompute && layer < first;
		h = kept ? ul_recompute(h, again, kept) : block(m, p, layer, h);
		p->tape->recompute = recompute;
		if (p->stopped || !ul_tap(p, UL_SITE_BLOCK, layer, &h))
			return h;
	}
	return h;
}

ul_val *ul_pass_blocks(ul_model *m, ul_pass *p, ul_val *h, ul_block_fn block, ul_val *(*last_norm)(ul_model *m, ul_val *h))
{
	if (!p->first && !ul_tap(p, UL_SITE_EMBED, 0, &h))
		return h;
	h = ul_blocks(m, p, h, block);
	if (p->stopped)
		return h;
	h = last_norm(m, h);
	ul_tap(p, UL_SITE_FINAL, 0, &h);
	return h;
}

ul_val *ul_pass_embed(ul_model *m, ul_pass *p)
{
	if (p->soft)
		return p->soft;
	return ul_embed(p->tape, m->embed, p->ids, p->span.start[p->span.n], m->cfg.embed_scale);
}

ul_val *ul_soft_rows(ul_model *m, ul_val *soft, const int *ids, const int *from, int rows)
{
	ul_tape *t = soft->tape;
	int *index = ul_alloc(&t->arena, (size_t)(rows + 1) * sizeof *index);
	double *lent = ul_alloc(&t->arena, (size_t)(rows + 1) * sizeof *lent), *own = ul_alloc(&t->arena, (size_t)(rows + 1) * sizeof *own);
	if (!index || !lent || !own) {
		t->failed = true;
		return soft;
	}
	for (int i = 0; i < rows; i++) {
		index[i] = from[i] >= 0 ? from[i] : 0;
		lent[i] = from[i] >= 0;
		own[i] = from[i] < 0;
	}
	ul_val *e = ul_mul_rows(ul_embed(t, m->embed, ids, rows, m->cfg.embed_scale), own); /* [rows, hidden] */
	return ul_add(e, ul_mul_rows(ul_rows(soft, index, rows), lent));
}

static bool is_local(const ul_model *m, int layer)
{
	return m->cfg.local && m->cfg.local[layer];
}

ul_val *ul_pass_rotate(ul_model *m, ul_pass *p, int layer, ul_val *x)
{
	const ul_config *c = &m->cfg;
	bool local = is_local(m, layer) && c->inv_freq_local;
	ul_rope r = {
	        .head_dim = c->head_dim,
	        .rot = c->rot,
	        .inv_freq = local ? c->inv_freq_local : c->inv_freq,
	        .scale = local ? 1 : c->rope_scale,
	};
	return ul_rotate(x, &r, p->pos);
}

ul_val *ul_pass_attend(ul_model *m, ul_pass *p, int layer, ul_val *q, ul_val *k, ul_val *v)
{
	const ul_config *c = &m->cfg;
	ul_attention a = {
	        .head_dim = c->head_dim,
	        .scale = c->attn_scale,
	        .window = !c->local || c->local[layer] ? c->window : 0,
	        .span = p->span,
	        .kv = p->cache ? &p->cache->layer[layer] : NULL,
	        .slot = p->slot,
	};
	return ul_attend(q, k, v, &a);
}

/* ---- keys and values of earlier positions ---- */

bool ul_cache_init(ul_cache *c, const ul_model *m, int slots, int capacity, ul_err *err)
{
	int width = m->cfg.kv_heads * m->cfg.head_dim;
	size_t elems = 0, bytes = 0;
	*c = (ul_cache){.be = m->be, .layers = m->cfg.layers, .layer = ul_calloc((size_t)m->cfg.layers, sizeof *c->layer)};
	bool ok = c->layer && ul_mul_ok((size_t)slots, (size_t)capacity, &elems) && ul_mul_ok(elems, (size_t)width, &elems) &&
	          ul_mul_ok(elems, m->be->elem, &bytes);
	for (int i = 0; ok && i < c->layers; i++) {
		c->layer[i] = (ul_kv){
		        .slots = slots,
		        .capacity = capacity,
		        .width = width,
		        .len = ul_calloc((size_t)slots, sizeof(int)),
		        .k = ul_malloc(bytes),
		        .v = ul_malloc(bytes),
		};
		ok = c->layer[i].len && c->layer[i].k && c->layer[i].v;
	}
	if (!ok) {
		ul_cache_release(c);
		return ul_nomem(err, bytes);
	}
	return true;
}

void ul_cache_release(ul_cache *c)
{
	for (int i = 0; c->layer && i < c->layers; i++) {
		ul_free(c->layer[i].len);
		ul_free(c->layer[i].k);
		ul_free(c->layer[i].v);
	}
	ul_free(c->layer);
	*c = (ul_cache){0};
}

/* The backend's elements are moved by address: its kernels get whole rows of one slot. */
void ul_cache_copy_slot(ul_cache *c, int from, int to)
{
	for (int i = 0; from != to && i < c->layers; i++) {
		ul_kv *kv = &c->layer[i];
		size_t slot = (size_t)kv->capacity * (size_t)kv->width, used = (size_t)kv->len[from] * (size_t)kv->width;
		c->be->copy((char *)kv->k + (size_t)to * slot * c->be->elem, (const char *)kv->k + (size_t)from * slot * c->be->elem, used);
		c->be->copy((char *)kv->v + (size_t)to * slot * c->be->elem, (const char *)kv->v + (size_t)from * slot * c->be->elem, used);
		kv->len[to] = kv->len[from];
	}
}
