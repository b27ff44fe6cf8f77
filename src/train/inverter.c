/*
 * inverter.c: the steps between a distribution and the soft rows in front of a decoder. After train/inverter.h, by the published
 * code of vec2text: the tokens' map, the unigram whitening and its constants, the groups over a zero-padded vocabulary.
 */
#include "train/inverter.h"

#include "tensor/backend.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- τ ---- */

bool ul_invert_same_vocab(const ul_tok *a, const ul_tok *b)
{
	if (a == b) {
		return true;
	}
	bool same = a && b && ul_tok_size(a) == ul_tok_size(b);
	for (int i = 0; same && i < ul_tok_size(a); i++) {
		const char *x = ul_tok_piece(a, i), *y = ul_tok_piece(b, i);
		same = x && y ? !strcmp(x, y) : x == y;
	}
	return same;
}

static bool says_nothing(const ul_tok *t, int id)
{
	ul_buf text = {0};
	ul_tok_decode(t, &id, 1, false, &text);
	bool blank = true;
	for (size_t i = 0; i < text.len; i++) {
		blank &= text.data[i] == ' ';
	}
	ul_buf_release(&text);
	return blank;
}

bool ul_invert_map(const ul_tok *from, int n, const ul_tok *to, int *map, ul_err *err)
{
	ul_buf text = {0};
	ul_ids ids = {0};
	bool ok = true;
	for (int i = 0; ok && i < n; i++) {
		map[i] = 0;
		if (!ul_tok_piece(from, i)) {
			continue; /* a row of the head that no token uses */
		}
		text.len = 0;
		ids.n = 0;
		ul_gen_text(from, &i, 1, &i, 1, &text); /* behind itself, so that a decoder keeps its blank */
		ok = !text.failed && ul_tok_encode(to, text.data ? text.data : "", text.len, 0, false, &ids, err);
		if (ids.n > 0) {
			map[i] = ids.n > 1 && says_nothing(to, ids.id[0]) ? ids.id[1] : ids.id[0];
		}
	}
	ok = ok || ul_nomem(err, text.cap);
	ul_buf_release(&text);
	ul_ids_release(&ids);
	return ok;
}

/* ---- numbers ---- */

void ul_invert_join(const double *logp, int n, const int *map, double *out, int m)
{
	memset(out, 0, (size_t)m * sizeof *out);
	for (int i = 0; i < n; i++) {
		out[map ? map[i] : i] += exp(logp[i]);
	}
	for (int j = 0; j < m; j++) {
		out[j] = out[j] > 0 ? log(out[j]) : -FLT_MAX;
	}
}

void ul_invert_whiten(double *x, int n, int vocab, double *unigram, bool *seen, double beta, bool learn)
{
	for (int j = 0; learn && j < vocab; j++) {
		double mean = 0;
		for (int i = 0; i < n; i++) {
			mean += x[(size_t)i * (size_t)vocab + (size_t)j] / n;
		}
		double u = *seen ? unigram[j] : mean;
		unigram[j] = (1 - beta) * u + beta * mean;
	}
	*seen |= learn;
	for (size_t k = 0; k < (size_t)n * (size_t)vocab; k++) {
		double y = x[k] - unigram[k % (size_t)vocab];
		x[k] = isfinite(y) ? y : 0;
	}
}

void ul_invert_groups(const double *x, int n, int vocab, const float *table, int width, int groups, float *out)
{
	int chunk = (vocab + groups - 1) / groups;
#pragma omp parallel for schedule(static)
	for (int k = 0; k < n * groups; k++) {
		int i = k / groups, from = k % groups * chunk, to = from + chunk < vocab ? from + chunk : vocab;
		float *y = out + (size_t)k * (size_t)width;
		memset(y, 0, (size_t)width * sizeof *y);
		for (int j = from; j < to; j++) {
			float w = (float)x[(size_t)i * (size_t)vocab + (size_t)j];
			const float *e = table + (size_t)j * (size_t)width;
			for (int c = 0; c < width; c++) {
				y[c] += w * e[c];
			}
		}
	}
}

bool ul_inverter_look(ul_inverter *v, const float *hidden, int n, bool learn, float *out, ul_err *err)
{
	int from = v->target->cfg.vocab, to = v->model->cfg.vocab;
	double *logp = ul_malloc((size_t)n * (size_t)from * sizeof *logp), *x = ul_malloc((size_t)n * (size_t)to * sizeof *x);
	bool ok = (logp && x) || ul_nomem(err, (size_t)n * (size_t)from * sizeof *logp);
	ok = ok && ul_rows_logp(v->target, hidden, n, logp, err);
	for (int i = 0; ok && i < n; i++) {
		ul_invert_join(logp + (size_t)i * (size_t)from, from, v->map, x + (size_t)i * (size_t)to, to);
	}
	if (ok) {
		ul_invert_whiten(x, n, to, v->unigram, &v->seen, v->c.beta, learn);
		ul_invert_groups(x, n, to, v->table, v->model->cfg.hidden, (int)v->c.groups, out);
	}
	ul_free(logp);
	ul_free(x);
	return ok;
}

ul_val *ul_inverter_project(const ul_inverter *v, ul_val *x) /* [rows, d] */
{
	return ul_linear(ul_activate(ul_linear(x, v->w1, v->b1), UL_GELU), v->w2, v->b2);
}

/* ---- the whole ---- */

static bool is_preset(const char *name)
{
	ul_err none = {0};
	json_t *j = ul_model_preset(name, 1, &none);
	json_decref(j);
	return j != NULL;
}

/* A preset has the target's own tokenizer, and its specials. */
static ul_model *random_decoder(ul_model *target, const ul_inverter_config *c, ul_err *err)
{
	json_t *config = ul_model_preset(c->model, target->cfg.vocab, err);
	ul_model *m = NULL;
	if (config && target->cfg.eos_n) {
		json_object_set_new(config, "eos_token_id", json_integer(target->cfg.eos[0]));
	}
	if (config) {
		m = ul_model_random(config, c->seed, target->be->name, err);
	}
	json_decref(config);
	if (m) {
		m->tok = target->tok;
		m->shared = true;
	}
	return m;
}

static ul_model *decoder_of(ul_model *target, const ul_inverter_config *c, ul_err *err)
{
	if (!strcmp(c->model, "self")) {
		return ul_model_clone(target, err);
	}
	if (is_preset(c->model)) {
		return random_decoder(target, c, err);
	}
	return ul_model_open_with(c->model, &(ul_open){.backend = target->be->name}, err);
}

/* PyTorch's default for Linear: uniform within 1/√in. */
static ul_param *uniform(ul_inverter *v, const char *name, int rows, int cols, int in, uint64_t index)
{
	ul_param *p = ul_param_new(&v->arena, v->model->be, name, rows, cols);
	size_t n = (size_t)rows * (size_t)cols;
	float *w = p ? ul_malloc(n * sizeof *w) : NULL;
	ul_rng r = ul_rng_at(v->c.seed, "inverter", index);
	if (!w) {
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		w[i] = (float)((2 * ul_rng_uniform(&r) - 1) / sqrt(in));
	}
	ul_param_set_f32(p, w);
	ul_free(w);
	return p;
}

static bool make_projection(ul_inverter *v, ul_err *err)
{
	int d = v->model->cfg.hidden, mid = v->c.width > 0 ? (int)v->c.width : v->target->cfg.hidden;
	v->w1 = uniform(v, "in.weight", mid, d, d, 0);
	v->b1 = uniform(v, "in.bias", 1, mid, d, 1);
	v->w2 = uniform(v, "out.weight", d, mid, mid, 2);
	v->b2 = uniform(v, "out.bias", 1, d, mid, 3);
	return (v->w1 && v->b1 && v->w2 && v->b2) || ul_nomem(err, (size_t)mid * (size_t)d * sizeof(float));
}

static bool make_tables(ul_inverter *v, ul_err *err)
{
	const ul_model *m = v->model, *t = v->target;
	size_t vocab = (size_t)m->cfg.vocab;
	v->table = ul_alloc(&v->arena, vocab * (size_t)m->cfg.hidden * sizeof *v->table);
	v->unigram = ul_alloc(&v->arena, vocab * sizeof *v->unigram);
	if (!v->table || !v->unigram) {
		return ul_nomem(err, vocab * (size_t)m->cfg.hidden * sizeof *v->table);
	}
	ul_param_get_f32(m->embed, v->table);
	if (m->cfg.vocab == t->cfg.vocab && ul_invert_same_vocab(m->tok, t->tok)) {
		return true;
	}
	v->map = ul_alloc(&v->arena, (size_t)t->cfg.vocab * sizeof *v->map);
	return (v->map || ul_nomem(err, (size_t)t->cfg.vocab * sizeof *v->map)) && ul_invert_map(t->tok, t->cfg.vocab, m->tok, v->map, err);
}

/* A model that knows something is adapted, a random one trained whole. */
static bool choose_params(ul_inverter *v, ul_err *err)
{
	ul_model *m = v->model;
	ul_param *own[] = {v->w1, v->b1, v->w2, v->b2};
	ul_lora_config lora = {0};
	bool adapt = !is_preset(v->c.model) && v->c.lora && strcmp(v->c.lora, "none");
	if (adapt && (!ul_lora_parse(v->c.lora, &lora, &v->arena, err) || !ul_lora_attach(m, &lora, v->c.seed, err))) {
		return false;
	}
	ul_param **from = adapt ? m->adapter->param : m->param;
	int n = adapt ? m->adapter->params : m->params;
	v->param = ul_alloc(&v->arena, ((size_t)n + 4) * sizeof *v->param);
	if (!v->param) {
		return ul_nomem(err, (size_t)n * sizeof *v->param);
	}
	for (int i = 0; i < n + 4; i++) {
		v->param[v->params++] = i < n ? from[i] : own[i - n];
	}
	return true;
}

ul_inverter *ul_inverter_new(ul_model *target, const ul_inverter_config *c, ul_err *err)
{
	ul_inverter *v = ul_calloc(1, sizeof *v);
	if (!v) {
		ul_nomem(err, sizeof *v);
		return NULL;
	}
	v->c = *c;
	v->target = target;
	v->model = decoder_of(target, c, err);
	bool ok = v->model && (v->model->tok || ul_fail(err, "the inverter %s has no tokenizer", c->model));
	if (ok && v->model->cfg.context < c->groups + c->length + 2) {
		ok = ul_fail(err, "the inverter's context of %d tokens does not hold %lld soft rows and a text of %lld", v->model->cfg.context, (long long)c->groups, (long long)c->length);
	}
	ok = ok && ul_tok_encode(v->model->tok, "", 0, -1, false, &v->front, err) && make_tables(v, err) && make_projection(v, err) && choose_params(v, err);
	while (ok && v->front.n && v->front.id[v->front.n - 1] == ul_tok_eos(v->model->tok) && ul_tok_eos(v->model->tok) != ul_tok_bos(v->model->tok)) {
		v->front.n--; /* what stands behind a text */
	}
	if (ok) {
		return v;
	}
	ul_inverter_free(v);
	return NULL;
}

void ul_inverter_free(ul_inverter *v)
{
	if (!v) {
		return;
	}
	ul_param *own[] = {v->w1, v->b1, v->w2, v->b2};
	for (int i = 0; i < 4; i++) {
		if (own[i]) {
			ul_param_release(own[i]);
		}
	}
	ul_model_free(v->model);
	ul_ids_release(&v->front);
	ul_arena_release(&v->arena);
	ul_free(v);
}
