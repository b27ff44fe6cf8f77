/*
 * mpu_maps.c: the symmetries of a transformer, as sparse maps of rows and columns.
 *
 * Every transform used here sends coordinate i to at most two source coordinates: permutations, sign flips, rotations in rotary
 * planes, and what is composed of them. One type (ul_turns) therefore serves all weights, fused or not, and its inverse on updates
 * is its transpose. Which family bears which: mpu_families.c.
 *
 *   FFN hidden units     permutation
 *   q, k of a KV group   a turn in each rotary plane (i, i + rot/2), shared by the key head and its query heads; columns that do
 *                        not rotate: signed permutation. Exact mode: quarter turns
 *   v, o of a KV group   signed permutation of the head's columns (`full`); in `paper` mode the q/k turns, as the published code does
 *   heads                KV groups permuted, query heads inside a group permuted (`full`)
 *   residual stream      signed permutation over embeddings, norms, readers, writers and head (`full`)
 *
 * Departures from the published code: biases turn with their rows (without that the function changes on Qwen2 and Pythia), fused QKV
 * is handled, and draws come from the keyed generator.
 */
#include "protocols/mpu.h"

#include <math.h>
#include <string.h>

typedef struct draw {
	const ul_mpu_key *key;
	int round, copy, layer;
	ul_arena *arena;
	ul_err *err;
} draw;

ul_turns *ul_turns_new(ul_arena *a, int n)
{
	ul_turns *t = ul_alloc(a, sizeof *t);
	if (!t)
		return NULL;
	t->n = n;
	for (int j = 0; j < 2; j++) {
		t->src[j] = ul_alloc(a, (size_t)n * sizeof(int));
		t->c[j] = ul_alloc(a, (size_t)n * sizeof(double));
		if (!t->src[j] || !t->c[j])
			return NULL;
	}
	for (int i = 0; i < n; i++) {
		t->src[0][i] = t->src[1][i] = i;
		t->c[0][i] = 1;
	}
	return t;
}

static uint32_t *words(const draw *d, const char *what, int n)
{
	char purpose[96];
	uint32_t *w = ul_alloc(d->arena, (size_t)n * sizeof *w);
	snprintf(purpose, sizeof purpose, "transform %d %s", d->layer, what);
	if (!w)
		return ul_nomem(d->err, (size_t)n * sizeof *w), NULL;
	return ul_mpu_words(d->key, d->round, purpose, d->copy, w, (size_t)n, d->err) ? w : NULL;
}

/* A uniformly drawn permutation of 0 … n-1 (64-bit multiply-shift: bias below 2⁻³² · n). */
static int *permutation(const draw *d, const char *what, int n)
{
	uint32_t *w = words(d, what, n);
	int *p = ul_alloc(d->arena, (size_t)n * sizeof *p);
	if (!w || !p)
		return NULL;
	for (int i = 0; i < n; i++)
		p[i] = i;
	for (int i = n - 1; i > 0; i--) {
		int j = (int)(((uint64_t)w[i] * (uint32_t)(i + 1)) >> 32), swap = p[i];
		p[i] = p[j];
		p[j] = swap;
	}
	return p;
}

static ul_turns *shuffle(const draw *d, const char *what, int n, bool signs)
{
	ul_turns *t = ul_turns_new(d->arena, n);
	int *p = permutation(d, what, n);
	uint32_t *s = signs ? words(d, "signs", n) : NULL;
	if (!t || !p || (signs && !s))
		return NULL;
	for (int i = 0; i < n; i++) {
		t->src[0][i] = t->src[1][i] = p[i];
		t->c[0][i] = signs && (s[i] & 1) ? -1 : 1;
	}
	return t;
}

/* One head's map of q and k: a turn in each rotary plane, and a signed permutation of what does not rotate. */
static bool turn_planes(const ul_mpu_plan *p, const draw *d, const char *what, ul_turns *t, int at)
{
	const ul_config *c = &p->model->cfg;
	int rot = c->rot, half = rot / 2, rest = c->head_dim - rot;
	uint32_t *w = words(d, what, c->head_dim);
	int *perm = rest > 0 ? permutation(d, "unrotated", rest) : NULL;
	if (!w || (rest > 0 && !perm))
		return false;
	for (int i = 0; i < half; i++) {
		double angle = w[i] / 4294967296.0 * 2 * 3.14159265358979323846;
		static const double quarter[4][2] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
		double cs = p->exact ? quarter[w[i] >> 30][0] : cos(angle);
		double sn = p->exact ? quarter[w[i] >> 30][1] : sin(angle);
		int a = at + i, b = at + i + half;
		bool swap = p->exact && cs == 0; /* one source, not two with a zero */
		t->src[swap][a] = a, t->src[!swap][a] = b, t->c[swap][a] = cs, t->c[!swap][a] = sn;
		t->src[swap][b] = b, t->src[!swap][b] = a, t->c[swap][b] = cs, t->c[!swap][b] = -sn;
	}
	for (int i = 0; i < rest; i++) {
		int a = at + rot + i;
		t->src[0][a] = t->src[1][a] = at + rot + perm[i];
		t->c[0][a] = w[half + i] & 1 ? -1 : 1;
	}
	return true;
}

/* y = second(first(x)), both at most two-sparse; used where one of them is a signed permutation. */
static ul_turns *then(ul_arena *a, const ul_turns *first, const ul_turns *second)
{
	ul_turns *t = ul_turns_new(a, first->n);
	if (!t)
		return NULL;
	for (int i = 0; i < t->n; i++) {
		int s = second->src[0][i];
		UL_ASSERT(second->c[1][i] == 0, "row %d", i);
		for (int j = 0; j < 2; j++) {
			t->src[j][i] = first->src[j][s];
			t->c[j][i] = second->c[0][i] * first->c[j][s];
		}
	}
	return t;
}

/* Heads of width `dim` moved as blocks: head h of the result is head order[h]. */
static ul_turns *blocks(ul_arena *a, const int *order, int heads, int dim)
{
	ul_turns *t = ul_turns_new(a, heads * dim);
	for (int h = 0; t && h < heads; h++)
		for (int i = 0; i < dim; i++)
			t->src[0][h * dim + i] = t->src[1][h * dim + i] = order[h] * dim + i;
	return t;
}

/* The map of query-side columns that belongs to a map of KV heads: each query head follows its KV head. */
static ul_turns *spread(ul_arena *a, const ul_turns *kv, int heads, int kv_heads, int dim)
{
	ul_turns *t = ul_turns_new(a, heads * dim);
	for (int h = 0; t && h < heads; h++) {
		int g = h / (heads / kv_heads);
		for (int i = 0; i < dim; i++)
			for (int j = 0; j < 2; j++) {
				t->src[j][h * dim + i] = kv->src[j][g * dim + i] - g * dim + h * dim;
				t->c[j][h * dim + i] = kv->c[j][g * dim + i];
			}
	}
	return t;
}

/* q, k and v side by side (GPT-2) or per head (NeoX: [heads, 3, head_dim]). */
int ul_turns_fused(const ul_model *m, int which, int i)
{
	int dim = m->cfg.head_dim, n = m->cfg.heads * dim;
	return !strcmp(m->arch->name, "neox") ? (i / dim * 3 + which) * dim + i % dim : which * n + i;
}

ul_turns *ul_turns_fuse(ul_arena *a, const ul_mpu_layer *l, const ul_model *m)
{
	const ul_turns *part[3] = {l->q, l->k, l->v};
	int n = m->cfg.heads * m->cfg.head_dim;
	ul_turns *t = ul_turns_new(a, 3 * n);
	for (int w = 0; t && w < 3; w++)
		for (int i = 0; i < n; i++)
			for (int j = 0; j < 2; j++) {
				int to = ul_turns_fused(m, w, i);
				t->src[j][to] = ul_turns_fused(m, w, part[w]->src[j][i]);
				t->c[j][to] = part[w]->c[j][i];
			}
	return t;
}

static bool layer_heads(ul_mpu_plan *p, const draw *d, ul_mpu_layer *l)
{
	const ul_config *c = &p->model->cfg;
	int group = c->heads / c->kv_heads, dim = c->head_dim;
	int *kv = permutation(d, "kv heads", c->kv_heads), *q = ul_alloc(d->arena, (size_t)c->heads * sizeof *q);
	if (!kv || !q)
		return false;
	for (int g = 0; g < c->kv_heads; g++) {
		char what[32];
		snprintf(what, sizeof what, "q heads %d", g);
		int *in = permutation(d, what, group);
		for (int i = 0; in && i < group; i++)
			q[g * group + i] = kv[g] * group + in[i];
		if (!in)
			return false;
	}
	ul_turns *mk = blocks(d->arena, kv, c->kv_heads, dim), *mq = blocks(d->arena, q, c->heads, dim);
	if (!mk || !mq)
		return false;
	l->q = then(d->arena, l->q, mq);
	l->k = then(d->arena, l->k, mk);
	l->v = then(d->arena, l->v, mk);
	l->o = then(d->arena, l->o, mq);
	return l->q && l->k && l->v && l->o;
}

static bool layer_attention(ul_mpu_plan *p, const draw *d, ul_mpu_layer *l)
{
	const ul_config *c = &p->model->cfg;
	int dim = c->head_dim;
	l->k = ul_turns_new(d->arena, c->kv_heads * dim);
	l->v = ul_turns_new(d->arena, c->kv_heads * dim);
	for (int g = 0; l->k && l->v && g < c->kv_heads; g++) {
		char what[32];
		snprintf(what, sizeof what, "planes %d", c->qk_norm ? 0 : g); /* QK-norm weights are shared by the heads of a layer */
		if (!turn_planes(p, d, what, l->k, g * dim))
			return false;
		if (p->mode == UL_REPARAM_PAPER)
			continue;
		snprintf(what, sizeof what, "values %d", g);
		ul_turns *one = shuffle(d, what, dim, true);
		for (int i = 0; one && i < dim; i++) {
			l->v->src[0][g * dim + i] = l->v->src[1][g * dim + i] = g * dim + one->src[0][i];
			l->v->c[0][g * dim + i] = one->c[0][i];
		}
		if (!one)
			return false;
	}
	if (!l->k || !l->v)
		return false;
	if (c->qk_norm) {
		l->qk_norm = ul_turns_new(d->arena, dim);
		if (!l->qk_norm || !turn_planes(p, d, "planes 0", l->qk_norm, 0))
			return false;
	}
	if (p->mode == UL_REPARAM_PAPER)
		l->v = l->k; /* the published code turns v and o with the same matrices as q and k */
	l->q = spread(d->arena, l->k, c->heads, c->kv_heads, dim);
	l->o = spread(d->arena, l->v, c->heads, c->kv_heads, dim);
	return l->q && l->o && (p->mode == UL_REPARAM_PAPER || layer_heads(p, d, l));
}

bool ul_mpu_plan_make(ul_mpu_plan *p, const ul_model *m, enum ul_reparam mode, bool exact, const ul_mpu_key *key, int round, int copy, ul_err *err)
{
	const ul_config *c = &m->cfg;
	const ul_mpu_bears bears = ul_mpu_borne(m);
	*p = (ul_mpu_plan){.mode = mode, .exact = exact, .model = m};
	if (mode == UL_REPARAM_NONE)
		return true;
	if (bears.planes && !bears.angles && !exact) {
		const char *type = ul_json_str(m->config, "model_type");
		ul_fail(err, "%s normalises queries and keys, and only exact transforms keep its function: free rotations do not", type ? type : m->arch->name);
		ul_hint(err, "--turns exact draws quarter turns and signed permutations");
		return false;
	}
	draw d = {key, round, copy, 0, &p->arena, err};
	p->layer = ul_alloc(&p->arena, (size_t)c->layers * sizeof *p->layer);
	bool ok = p->layer != NULL;
	for (int i = 0; ok && i < c->layers; i++) {
		ul_mpu_layer *l = &p->layer[i];
		d.layer = i;
		l->ffn = shuffle(&d, "ffn", c->ffn, false);
		ok = l->ffn && layer_attention(p, &d, l);
		if (ok && m->layer[i].qkv)
			ok = (l->qkv = ul_turns_fuse(&p->arena, l, m)) != NULL;
	}
	d.layer = -1;
	if (ok && mode == UL_REPARAM_FULL)
		ok = (p->residual = shuffle(&d, "residual", c->hidden, bears.signs)) != NULL;
	if (ok)
		return true;
	ul_mpu_plan_release(p);
	return err && err->msg[0] ? false : ul_fail(err, "out of memory while drawing the transform of copy %d", copy);
}

void ul_mpu_plan_release(ul_mpu_plan *p)
{
	ul_arena_release(&p->arena);
	*p = (ul_mpu_plan){0};
}

/* ---- applying ---- */

/* Which maps a tensor takes: rows, columns, and whether signs are dropped (norm weights scale, they do not add). */
typedef struct sides {
	const ul_turns *rows, *cols;
	bool magnitude;
} sides;

static sides sides_of(const ul_mpu_plan *p, const ul_param *w)
{
	const ul_model *m = p->model;
	const ul_turns *res = p->residual;
	if (w == m->embed || w == m->head || w == m->pos_embed)
		return (sides){NULL, res, false};
	if (w == m->norm)
		return (sides){NULL, res, true};
	if (w == m->norm_b)
		return (sides){NULL, res, false};
	for (int i = 0; p->layer && i < m->cfg.layers; i++) {
		const ul_layer *l = &m->layer[i];
		const ul_mpu_layer *t = &p->layer[i];
		const struct {
			const ul_param *w;
			sides s;
		} table[] = {
		        {l->norm1, {NULL, res, true}},
		        {l->norm2, {NULL, res, true}},
		        {l->post1, {NULL, res, true}},
		        {l->post2, {NULL, res, true}},
		        {l->norm1_b, {NULL, res, false}},
		        {l->norm2_b, {NULL, res, false}},
		        {l->q, {t->q, res, false}},
		        {l->k, {t->k, res, false}},
		        {l->v, {t->v, res, false}},
		        {l->qkv, {t->qkv, res, false}},
		        {l->q_b, {NULL, t->q, false}},
		        {l->k_b, {NULL, t->k, false}},
		        {l->v_b, {NULL, t->v, false}},
		        {l->qkv_b, {NULL, t->qkv, false}},
		        {l->q_norm, {NULL, t->qk_norm, true}},
		        {l->k_norm, {NULL, t->qk_norm, true}},
		        {l->o, {res, t->o, false}},
		        {l->o_b, {NULL, res, false}},
		        {l->gate, {t->ffn, res, false}},
		        {l->up, {t->ffn, res, false}},
		        {l->gate_b, {NULL, t->ffn, false}},
		        {l->up_b, {NULL, t->ffn, false}},
		        {l->down, {res, t->ffn, false}},
		        {l->down_b, {NULL, res, false}},
		};
		for (size_t j = 0; j < sizeof table / sizeof *table; j++)
			if (table[j].w && table[j].w == w)
				return table[j].s;
	}
	return (sides){0};
}

/* x [n] -> y by t, or by its transpose with back. */
static void turn(const ul_turns *t, bool magnitude, bool back, const float *x, float *y)
{
	if (back)
		memset(y, 0, (size_t)t->n * sizeof *y);
	for (int i = 0; i < t->n; i++) {
		double a = magnitude ? fabs(t->c[0][i]) : t->c[0][i], b = magnitude ? fabs(t->c[1][i]) : t->c[1][i];
		if (back) {
			y[t->src[0][i]] += (float)(a * x[i]);
			if (b != 0)
				y[t->src[1][i]] += (float)(b * x[i]);
		} else {
			y[i] = (float)(a * x[t->src[0][i]] + (b != 0 ? b * x[t->src[1][i]] : 0));
		}
	}
}

static void turn_cols(sides s, int rows, int cols, bool back, float *w, float *row)
{
	for (int i = 0; i < rows; i++) {
		turn(s.cols, s.magnitude, back, w + (size_t)i * cols, row);
		memcpy(w + (size_t)i * cols, row, (size_t)cols * sizeof *w);
	}
}

/* to[cols] += c · from[cols] */
static void add_row(float *to, double c, const float *from, int cols)
{
	for (int j = 0; j < cols; j++)
		to[j] += (float)(c * from[j]);
}

/* Whole rows at a time: y [rows, cols] is zero, and takes the place of w. */
static void turn_rows(const ul_turns *t, int cols, bool back, float *w, float *y)
{
	for (int i = 0; i < t->n; i++)
		for (int j = 0; j < 2; j++) {
			size_t here = (size_t)i * cols, there = (size_t)t->src[j][i] * cols;
			if (t->c[j][i] != 0)
				add_row(y + (back ? there : here), t->c[j][i], w + (back ? here : there), cols);
		}
	memcpy(w, y, (size_t)t->n * cols * sizeof *w);
}

/* ---- signed permutations, of which exact mode has nothing else: one pass over rows and columns ---- */

static bool is_permutation(const ul_turns *t)
{
	for (int i = 0; t && i < t->n; i++)
		if (t->c[1][i] != 0 || fabs(t->c[0][i]) != 1)
			return false;
	return true;
}

typedef struct gather { /* y[i] = sign[i] x[src[i]] */
	int *src;
	float *sign;
} gather;

/* Of t or its inverse; in room for n of both, where it is not the identity. */
static gather gather_of(const ul_turns *t, bool magnitude, bool back, int *src, float *sign)
{
	for (int i = 0; t && i < t->n; i++) {
		int from = back ? i : t->src[0][i], to = back ? t->src[0][i] : i;
		src[to] = from;
		sign[to] = magnitude ? 1 : (float)t->c[0][i];
	}
	return t ? (gather){src, sign} : (gather){0};
}

static bool permute(sides s, int rows, int cols, bool back, float *w, ul_err *err)
{
	size_t n = (s.rows ? (size_t)rows : 1) * (size_t)cols, room = (size_t)rows + (size_t)cols;
	float *y = ul_malloc(n * sizeof *y + room * (sizeof(int) + sizeof(float)));
	if (!y)
		return ul_nomem(err, n * sizeof *y + room * (sizeof(int) + sizeof(float)));
	float *sign = y + n;
	int *src = (int *)(sign + room);
	gather r = gather_of(s.rows, s.magnitude, back, src + cols, sign + cols), c = gather_of(s.cols, s.magnitude, back, src, sign);
	for (int i = 0; i < rows; i++) {
		const float *from = w + (size_t)(r.src ? r.src[i] : i) * cols;
		float *to = y + (r.src ? (size_t)i * cols : 0), own = r.src ? r.sign[i] : 1;
		for (int j = 0; c.src && j < cols; j++)
			to[j] = own * c.sign[j] * from[c.src[j]];
		for (int j = 0; !c.src && j < cols; j++)
			to[j] = own * from[j];
		if (!r.src)
			memcpy(w + (size_t)i * cols, to, (size_t)cols * sizeof *w);
	}
	if (r.src)
		memcpy(w, y, n * sizeof *y);
	ul_free(y);
	return true;
}

static bool apply(sides s, int rows, int cols, bool back, float *w, ul_err *err)
{
	size_t n = (s.rows ? (size_t)rows : 1) * (size_t)cols;
	if (!s.rows && !s.cols)
		return true;
	if (is_permutation(s.rows) && is_permutation(s.cols))
		return permute(s, rows, cols, back, w, err);
	float *y = ul_calloc(n, sizeof *y);
	if (!y)
		return ul_nomem(err, n * sizeof *y);
	if (s.cols)
		turn_cols(s, rows, cols, back, w, y);
	if (s.cols && s.rows)
		memset(y, 0, n * sizeof *y);
	if (s.rows)
		turn_rows(s.rows, cols, back, w, y);
	ul_free(y);
	return true;
}

bool ul_mpu_apply(const ul_mpu_plan *p, const ul_param *param, float *w, bool back, ul_err *err)
{
	return p->mode == UL_REPARAM_NONE || apply(sides_of(p, param), param->rows, param->cols, back, w, err);
}

/* T (B A) = (T_rows B) (A T_cols): each factor is turned on its outer side. */
bool ul_mpu_apply_factors(const ul_mpu_plan *p, const ul_param *param, int rank, float *b, float *a, bool back, ul_err *err)
{
	if (p->mode == UL_REPARAM_NONE)
		return true;
	sides s = sides_of(p, param);
	return apply((sides){.rows = s.rows}, param->rows, rank, back, b, err) && apply((sides){.cols = s.cols}, rank, param->cols, back, a, err);
}
