/*
 * lora.c: low-rank adapters (Hu et al. 2021): new ones, merging, taking away. PEFT's files are lora_file.c's.
 *
 * An adapter hangs on the weights it changes as a ul_lora; nothing but `linear` looks at it there.
 */
#include "model/lora.h"
#include "model/lora_file.h"
#include "tensor/backend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RANK = 65536 };

bool ul_lora_names(const char *module, const char *name)
{
	size_t m = strlen(module), n = strlen(name);
	return n && m >= n && !strcmp(module + m - n, name) && (m == n || module[m - n - 1] == '.');
}

/* ---- "r=8,alpha=16,target=all-linear" ---- */

static bool set(ul_lora_config *c, const char *key, const char *value, ul_err *err)
{
	char *end;
	if (!strcmp(key, "r") || !strcmp(key, "rank")) {
		long r = strtol(value, &end, 10);
		if (*end || end == value || r < 1 || r > MAX_RANK)
			return ul_fail(err, "lora: r is \"%s\", a whole number from 1 to %d is needed", value, MAX_RANK);
		c->r = (int)r;
	} else if (!strcmp(key, "alpha")) {
		c->alpha = strtod(value, &end);
		if (*end || end == value || !isfinite(c->alpha))
			return ul_fail(err, "lora: alpha is \"%s\", a number is needed", value);
	} else if (!strcmp(key, "rslora")) {
		c->rslora = !strcmp(value, "yes") || !strcmp(value, "true") || !strcmp(value, "1");
		if (!c->rslora && strcmp(value, "no") && strcmp(value, "false") && strcmp(value, "0"))
			return ul_fail(err, "lora: rslora is \"%s\", yes or no is needed", value);
	} else if (!strcmp(key, "target")) {
		c->target = value;
	} else if (!strcmp(key, "layers")) {
		c->layers = value;
	} else {
		return ul_fail(err, "lora: \"%s\" is no setting; r, alpha, rslora, target and layers are", key);
	}
	return true;
}

/* Settings are separated by commas; a piece without '=' continues the list before it: "target=q_proj,v_proj,r=4". */
bool ul_lora_parse(const char *text, ul_lora_config *out, ul_arena *a, ul_err *err)
{
	ul_lora_config c = {.r = 8, .target = "all-linear"};
	bool alpha = false;
	for (const char *at = text; *at;) {
		size_t n = strcspn(at, ",");
		while (at[n]) {
			size_t next = n + 1 + strcspn(at + n + 1, ",");
			if (memchr(at + n + 1, '=', next - n - 1))
				break;
			n = next;
		}
		char *piece = ul_arena_printf(a, "%.*s", (int)n, at);
		char *equals = piece ? strchr(piece, '=') : NULL;
		if (!piece)
			return ul_nomem(err, n);
		if (!equals || !equals[1])
			return ul_fail(err, "lora: \"%s\" is not of the form name=value", piece);
		*equals = 0;
		if (!set(&c, piece, equals + 1, err))
			return false;
		alpha |= !strcmp(piece, "alpha");
		at += n + (at[n] == ',');
	}
	if (!alpha)
		c.alpha = 2.0 * c.r;
	*out = c;
	return true;
}

/* ---- which weights ---- */

/* One entry of "q_proj,v_proj". */
static bool in_list(const char *list, const char *module)
{
	for (const char *at = list; *at;) {
		char name[128];
		size_t n = strcspn(at, ",");
		snprintf(name, sizeof name, "%.*s", (int)n, at);
		if (ul_lora_names(module, name))
			return true;
		at += n + (at[n] == ',');
	}
	return false;
}

static bool in_names(const char *const *names, const char *module)
{
	for (; *names; names++)
		if (ul_lora_names(module, *names))
			return true;
	return false;
}

bool ul_lora_layer_listed(const char *layers, int layer)
{
	if (!layers)
		return true;
	for (const char *at = layers; *at;) {
		char *end;
		long from = strtol(at, &end, 10), to = from;
		if (*end == '-')
			to = strtol(end + 1, &end, 10);
		if (layer >= from && layer <= to)
			return true;
		at = *end == ',' ? end + 1 : end + strlen(end);
	}
	return false;
}

static bool check_layers(const ul_model *m, const char *layers, ul_err *err)
{
	for (const char *at = layers; at && *at;) {
		char *end;
		long from = strtol(at, &end, 10), to = from;
		bool ok = end != at;
		if (ok && *end == '-') {
			at = end + 1;
			to = strtol(at, &end, 10);
			ok = end != at;
		}
		if (!ok || (*end && *end != ',') || from < 0 || to < from || to >= m->cfg.layers)
			return ul_fail(err, "lora: layers are \"%s\", ranges within 0-%d such as 0-3,5 are needed", layers, m->cfg.layers - 1);
		at = end + (*end == ',');
	}
	return true;
}

/* "model.layers.3.mlp.up_proj.weight" -> the module "model.layers.3.mlp.up_proj"; false for anything but a linear layer's matrix. */
bool ul_lora_module(const ul_model *m, const ul_param *w, char out[192])
{
	size_t n = strlen(w->name), tail = strlen(".weight");
	if (w->vector || n <= tail || n - tail >= 192 || strcmp(w->name + n - tail, ".weight"))
		return false;
	snprintf(out, 192, "%.*s", (int)(n - tail), w->name);
	return in_names(m->arch->linears, out);
}

static int layer_of(const char *module)
{
	const char *digit = strpbrk(module, "0123456789");
	while (digit && digit > module && digit[-1] != '.') /* "dense_h_to_4h" is no number */
		digit = strpbrk(digit + 1, "0123456789");
	return digit ? atoi(digit) : 0;
}

static bool wanted(const ul_model *m, const ul_lora_config *c, const char *module)
{
	if (!ul_lora_layer_listed(c->layers, layer_of(module)))
		return false;
	if (!strcmp(c->target, "all-linear"))
		return true;
	return !strcmp(c->target, "mlp") ? in_names(m->arch->mlp, module) : in_list(c->target, module);
}

/* A name that matches nothing is a typing error, not a smaller adapter. */
static bool check_targets(const ul_model *m, const char *target, ul_err *err)
{
	if (!strcmp(target, "all-linear") || !strcmp(target, "mlp"))
		return true;
	for (const char *at = target; *at;) {
		char name[128], module[192];
		size_t n = strcspn(at, ",");
		bool found = false;
		snprintf(name, sizeof name, "%.*s", (int)n, at);
		for (int i = 0; i < m->params && !found; i++)
			found = ul_lora_module(m, m->param[i], module) && ul_lora_names(module, name);
		if (!found) {
			char all[256] = "";
			for (size_t i = 0, k = 0; m->arch->linears[i] && k < 240; i++)
				k += (size_t)snprintf(all + k, sizeof all - k, "%s%s", k ? ", " : "", m->arch->linears[i]);
			return ul_fail(err, "lora: no linear layer of this model is called \"%s\"; it has %s", name, all);
		}
		at += n + (at[n] == ',');
	}
	return true;
}

/* ---- attaching and taking away ---- */

bool ul_lora_hang(ul_adapter *ad, ul_param *w, const char *module, int rank, double scale, ul_err *err)
{
	ul_lora *l = ul_alloc(&ad->arena, sizeof *l);
	char *a = ul_arena_printf(&ad->arena, "base_model.model.%s.lora_A.weight", module);
	char *b = ul_arena_printf(&ad->arena, "base_model.model.%s.lora_B.weight", module);
	if (!l || !a || !b)
		return ul_nomem(err, sizeof *l);
	ul_param *pa = ul_param_new(&ad->arena, w->be, a, rank, w->cols);
	if (pa)
		ad->param[ad->params++] = pa;
	ul_param *pb = pa ? ul_param_new(&ad->arena, w->be, b, w->rows, rank) : NULL;
	if (!pb)
		return ul_nomem(err, (size_t)rank * (size_t)(w->rows + w->cols) * w->be->elem);
	ad->param[ad->params++] = pb;
	*l = (ul_lora){.a = pa, .b = pb, .rank = rank, .scale = scale, .next = w->lora};
	w->lora = l;
	return true;
}

ul_adapter *ul_lora_begin(ul_model *m, ul_err *err)
{
	ul_adapter *ad = ul_calloc(1, sizeof *ad);
	if (ad)
		ad->param = ul_alloc(&ad->arena, 2 * (size_t)m->params * sizeof(ul_param *));
	if (!ad || !ad->param) {
		ul_free(ad);
		ul_nomem(err, 2 * (size_t)m->params * sizeof(ul_param *));
		return NULL;
	}
	ad->below = m->adapter;
	m->adapter = ad; /* owned by the model from here on: ul_lora_detach takes a half-made one away */
	return ad;
}

void ul_lora_detach(ul_model *m)
{
	ul_adapter *ad = m->adapter;
	if (!ad)
		return;
	for (int i = 0; i < m->params; i++) {
		ul_lora *l = m->param[i]->lora;
		for (int k = 0; l && k < ad->params; k += 2)
			if (ad->param[k] == l->a) {
				m->param[i]->lora = l->next;
				break;
			}
	}
	for (int i = 0; i < ad->params; i++)
		ul_param_release(ad->param[i]);
	m->adapter = ad->below;
	json_decref(ad->config);
	ul_arena_release(&ad->arena);
	ul_free(ad);
}

/* A uniform in ±1/√in (Kaiming with a = √5, as PEFT begins), B zero: the adapter changes nothing yet. */
static bool begin_a(ul_param *a, uint64_t seed, uint64_t index, ul_err *err)
{
	size_t n = (size_t)a->rows * (size_t)a->cols;
	double *x = ul_malloc(n * sizeof *x), bound = 1 / sqrt(a->cols);
	if (!x)
		return ul_nomem(err, n * sizeof *x);
	ul_rng r = ul_rng_at(seed, "lora", index);
	for (size_t i = 0; i < n; i++)
		x[i] = (2 * ul_rng_uniform(&r) - 1) * bound;
	ul_param_set(a, x);
	ul_free(x);
	return true;
}

static bool attach(ul_model *m, ul_adapter *ad, uint64_t seed, ul_err *err)
{
	const ul_lora_config *c = &ad->cfg;
	double scale = c->rslora ? c->alpha / sqrt(c->r) : c->alpha / c->r;
	char module[192];
	for (int i = 0; i < m->params; i++) {
		if (!ul_lora_module(m, m->param[i], module) || !wanted(m, c, module))
			continue;
		if (!ul_lora_hang(ad, m->param[i], module, c->r, scale, err) || !begin_a(ad->param[ad->params - 2], seed, (uint64_t)i, err))
			return false;
	}
	ad->config = ul_lora_describe(m, c);
	return (ad->params && ad->config) || ul_fail(err, "lora: target \"%s\" in layers %s is no linear layer of this model", c->target, c->layers ? c->layers : "all");
}

bool ul_lora_attach(ul_model *m, const ul_lora_config *c, uint64_t seed, ul_err *err)
{
	if (c->r < 1 || c->r > MAX_RANK)
		return ul_fail(err, "lora: r is %d, a whole number from 1 to %d is needed", c->r, MAX_RANK);
	if (!check_layers(m, c->layers, err) || !check_targets(m, c->target ? c->target : "all-linear", err))
		return false;
	ul_adapter *ad = ul_lora_begin(m, err);
	if (!ad)
		return false;
	ad->cfg = *c;
	ad->cfg.target = ul_arena_strdup(&ad->arena, c->target ? c->target : "all-linear");
	ad->cfg.layers = c->layers ? ul_arena_strdup(&ad->arena, c->layers) : NULL;
	if (ad->arena.failed ? ul_nomem(err, 64) : attach(m, ad, seed, err))
		return true;
	ul_lora_detach(m);
	return false;
}

bool ul_lora_add_to(ul_param *w, const ul_lora *l, double factor, ul_err *err)
{
	/* W [out, in] += factor · scale · B [out, rank] A [rank, in] */
	ul_arena work = {0};
	ul_gemm g = {
	        .m = w->rows,
	        .n = w->cols,
	        .k = l->rank,
	        .a = l->b->data,
	        .lda = l->rank,
	        .b = l->a->data,
	        .ldb = w->cols,
	        .c = w->data,
	        .ldc = w->cols,
	        .alpha = factor * l->scale,
	        .beta = 1,
	        .work = &work,
	};
	w->be->gemm(&g);
	bool ok = !work.failed || ul_nomem(err, (size_t)w->rows * (size_t)w->cols * w->be->elem);
	ul_arena_release(&work);
	return ok;
}

bool ul_lora_merge(ul_model *m, double factor, ul_err *err)
{
	ul_adapter *ad = m->adapter;
	if (!ad)
		return ul_fail(err, "there is no adapter to merge");
	for (int pass = 0; pass < 2; pass++) /* own all weights first, so that running out of memory for them changes nothing */
		for (int i = 0; i < m->params; i++) {
			ul_param *w = m->param[i];
			bool ours = false;
			for (int k = 0; w->lora && k < ad->params; k += 2)
				ours |= ad->param[k] == w->lora->a;
			if (ours && !pass && !ul_param_own(w, err))
				return false;
			if (ours && pass && !ul_lora_add_to(w, w->lora, factor, err))
				return false;
		}
	ul_lora_detach(m);
	return true;
}
