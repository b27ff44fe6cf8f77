/*
 * mpu_align.c: transforms found from weights alone.
 *
 * Every published copy is the same model in other coordinates, plus noise that is small against the weights; so the coordinates of two
 * copies can be matched. The residual stream by the columns of the embeddings, which carry no noise, and once the hidden units are known
 * by what they read and write there (a base's embeddings have moved: they alone name a fifth of the coordinates wrongly); hidden units by their weights; each
 * rotary plane by the angle that a complex product gives in closed form; heads by how well their planes then agree. That permutations
 * and rotations hide little is said in the specification (2.8); here it is measured.
 */
#include "protocols/mpu_align.h"

#include <math.h>
#include <string.h>

/* One layer's weights by role, residual coordinates of `from` on every row: [units, width]. */
typedef struct view {
	float *q, *k, *v, *o, *ffn;
	int width, ffn_width;
} view;

typedef struct pairing { /* what is being aligned */
	const ul_model *from, *to;
	const ul_config *c;
	ul_mpu_plan *plan;
	view a, b; /* of from and to */
	ul_arena scratch;
	ul_err *err;
} pairing;

static float *room(pairing *x, size_t n)
{
	float *p = ul_alloc(&x->scratch, n * sizeof *p);
	if (!p)
		ul_nomem(x->err, n * sizeof *p);
	return p;
}

/* w of model m, in the residual coordinates of `from`. */
static float *weights(pairing *x, const ul_model *m, const ul_param *p)
{
	float *w = room(x, (size_t)p->rows * (size_t)p->cols);
	if (!w)
		return NULL;
	ul_param_get_f32(p, w);
	if (m == x->from || !x->plan->residual)
		return w;
	for (int i = 0; i < x->from->params; i++)
		if (x->to->param[i] == p) {
			ul_mpu_plan only = {.mode = UL_REPARAM_FULL, .model = x->from, .residual = x->plan->residual, .layer = x->plan->layer};
			return ul_mpu_apply(&only, x->from->param[i], w, true, x->err) ? w : NULL;
		}
	return w;
}

static float *transposed(pairing *x, const float *w, int rows, int cols)
{
	float *t = room(x, (size_t)rows * (size_t)cols);
	for (int i = 0; t && i < rows; i++)
		for (int j = 0; j < cols; j++)
			t[(size_t)j * rows + i] = w[(size_t)i * cols + j];
	return t;
}

/* ---- matching units ---- */

static double dot(const float *a, const float *b, int n)
{
	double s = 0;
	for (int i = 0; i < n; i++)
		s += (double)a[i] * b[i];
	return s;
}

typedef struct suitor { /* unit i of b, and the best unit of a that is still free */
	int at;
	double fit, sign;
} suitor;

static suitor court(const float *a, const double *len, const bool *taken, int n, int width, const float *unit)
{
	suitor s = {-1, -1, 1};
	double own = sqrt(dot(unit, unit, width)) + 1e-30;
	for (int j = 0; j < n; j++) {
		double d = taken[j] ? 0 : dot(a + (size_t)j * width, unit, width) / (len[j] * own);
		if (!taken[j] && fabs(d) > s.fit)
			s = (suitor){j, fabs(d), d < 0 ? -1 : 1};
	}
	return s;
}

/* Unit i of b is ± unit src[i] of a, each taken once: the pair that fits best of all comes first, so that a clear one is never taken by an
 * unclear one. */
static bool match(pairing *x, const float *a, const float *b, int n, int width, int *src, double *sign)
{
	bool *taken = ul_alloc(&x->scratch, (size_t)n * sizeof *taken), *settled = ul_alloc(&x->scratch, (size_t)n * sizeof *settled);
	double *len = ul_alloc(&x->scratch, (size_t)n * sizeof *len);
	suitor *s = ul_alloc(&x->scratch, (size_t)n * sizeof *s);
	if (!taken || !settled || !len || !s)
		return ul_nomem(x->err, (size_t)n);
	for (int j = 0; j < n; j++)
		len[j] = sqrt(dot(a + (size_t)j * width, a + (size_t)j * width, width)) + 1e-30;
	for (int i = 0; i < n; i++)
		s[i] = court(a, len, taken, n, width, b + (size_t)i * width);
	for (int done = 0; done < n;) {
		int i = -1;
		for (int e = 0; e < n; e++)
			if (!settled[e] && (i < 0 || s[e].fit > s[i].fit))
				i = e;
		if (taken[s[i].at]) {
			s[i] = court(a, len, taken, n, width, b + (size_t)i * width);
			continue;
		}
		src[i] = s[i].at;
		sign[i] = s[i].sign;
		taken[s[i].at] = settled[i] = true;
		done++;
	}
	return true;
}

static ul_turns *matched(pairing *x, const float *a, const float *b, int n, int width, bool signs)
{
	ul_turns *t = ul_turns_new(&x->plan->arena, n);
	if (!t || !match(x, a, b, n, width, t->src[0], t->c[0]))
		return NULL;
	memcpy(t->src[1], t->src[0], (size_t)n * sizeof *t->src[1]);
	for (int i = 0; !signs && i < n; i++)
		t->c[0][i] = 1;
	return t;
}

/* ---- the residual stream, by columns of the embeddings ---- */

static bool residual(pairing *x)
{
	enum { ROWS = 2048 };
	const ul_param *e = x->from->embed;
	int rows = e->rows < ROWS ? e->rows : ROWS;
	float *a = weights(x, x->from, e), *b = weights(x, x->from, x->to->embed); /* `from`: as they are */
	a = a ? transposed(x, a, rows, e->cols) : NULL;
	b = b ? transposed(x, b, rows, e->cols) : NULL;
	return a && b && (x->plan->residual = matched(x, a, b, e->cols, rows, ul_mpu_borne(x->from).signs)) != NULL;
}

/* ---- one layer by role ---- */

/* Rows of one part of a fused weight. */
static float *part(pairing *x, const float *qkv, int which, int cols)
{
	const ul_config *c = x->c;
	int n = c->heads * c->head_dim;
	float *out = room(x, (size_t)n * (size_t)cols);
	for (int i = 0; out && i < n; i++)
		memcpy(out + (size_t)i * cols, qkv + (size_t)ul_turns_fused(x->from, which, i) * cols, (size_t)cols * sizeof *out);
	return out;
}

static bool look(pairing *x, const ul_model *m, int layer, view *v)
{
	const ul_layer *l = &m->layer[layer];
	int d = x->c->hidden, f = x->c->ffn, n = x->c->heads * x->c->head_dim;
	v->width = d;
	if (l->qkv) {
		float *all = weights(x, m, l->qkv);
		v->q = all ? part(x, all, 0, d) : NULL;
		v->k = all ? part(x, all, 1, d) : NULL;
		v->v = all ? part(x, all, 2, d) : NULL;
	} else {
		v->q = weights(x, m, l->q);
		v->k = weights(x, m, l->k);
		v->v = weights(x, m, l->v);
	}
	float *o = weights(x, m, l->o), *up = weights(x, m, l->up), *down = weights(x, m, l->down), *gate = l->gate ? weights(x, m, l->gate) : NULL;
	v->o = o ? transposed(x, o, d, n) : NULL;
	down = down ? transposed(x, down, d, f) : NULL;
	v->ffn_width = (gate ? 3 : 2) * d;
	v->ffn = room(x, (size_t)f * (size_t)v->ffn_width);
	if (!v->q || !v->k || !v->v || !v->o || !up || !down || !v->ffn)
		return false;
	for (int i = 0; i < f; i++) {
		float *row = v->ffn + (size_t)i * v->ffn_width;
		memcpy(row, up + (size_t)i * d, (size_t)d * sizeof *row);
		memcpy(row + d, down + (size_t)i * d, (size_t)d * sizeof *row);
		if (gate)
			memcpy(row + 2 * (size_t)d, gate + (size_t)i * d, (size_t)d * sizeof *row);
	}
	return true;
}

/* ---- rotary planes ---- */

/* Σ y · conj(x) over the complex rows (i, i + rot/2) of two heads: its angle is the turn between them, its length how well they fit. */
static void plane(const pairing *x, const float *from, const float *to, int i, double *re, double *im)
{
	int half = x->c->rot / 2, w = x->a.width;
	const float *xa = from + (size_t)i * w, *xb = from + (size_t)(i + half) * w, *ya = to + (size_t)i * w, *yb = to + (size_t)(i + half) * w;
	*re += dot(ya, xa, w) + dot(yb, xb, w);
	*im += dot(yb, xa, w) - dot(ya, xb, w);
}

static double fit(pairing *x, const float *from, const float *to)
{
	const ul_config *c = x->c;
	double all = 0;
	int rest = c->head_dim - c->rot, w = x->a.width;
	for (int i = 0; i < c->rot / 2; i++) {
		double re = 0, im = 0;
		plane(x, from, to, i, &re, &im);
		all += hypot(re, im);
	}
	for (int i = 0; i < rest; i++) { /* columns that do not rotate: each by its best partner */
		double best = 0;
		for (int j = 0; j < rest; j++)
			best = fmax(best, fabs(dot(from + (size_t)(c->rot + j) * w, to + (size_t)(c->rot + i) * w, w)));
		all += best;
	}
	return all;
}

/* Heads of b, each to the head of a that fits best. */
static void pair_heads(pairing *x, const float *a, const float *b, int n, int *src)
{
	size_t head = (size_t)x->c->head_dim * (size_t)x->a.width;
	for (int h = 0; h < n; h++) {
		double best = -1;
		for (int g = 0; g < n; g++) {
			double s = fit(x, a + g * head, b + h * head);
			bool taken = false;
			for (int e = 0; e < h; e++)
				taken |= src[e] == g;
			if (!taken && s > best) {
				best = s;
				src[h] = g;
			}
		}
	}
}

/* The turn of head h's planes, from its keys and all its queries; into t at row `to`, from rows at `from`. */
static void set_planes(pairing *x, ul_turns *t, const float *const *from, const float *const *to, int n, int row_from, int row_to)
{
	int half = x->c->rot / 2;
	for (int i = 0; i < half; i++) {
		double re = 0, im = 0;
		for (int j = 0; j < n; j++)
			plane(x, from[j], to[j], i, &re, &im);
		double phi = -atan2(im, re);
		if (x->plan->exact)
			phi = round(phi / 1.57079632679489662) * 1.57079632679489662;
		double cs = cos(phi), sn = sin(phi);
		int a = row_to + i, b = a + half;
		t->src[0][a] = row_from + i, t->src[1][a] = row_from + i + half, t->c[0][a] = cs, t->c[1][a] = sn;
		t->src[0][b] = row_from + i + half, t->src[1][b] = row_from + i, t->c[0][b] = cs, t->c[1][b] = -sn;
	}
}

static bool set_units(pairing *x, ul_turns *t, const float *from, const float *to, int n, int width, int row_from, int row_to)
{
	int *src = ul_alloc(&x->scratch, (size_t)n * sizeof *src);
	double *sign = ul_alloc(&x->scratch, (size_t)n * sizeof *sign);
	if (!src || !sign || !match(x, from, to, n, width, src, sign))
		return ul_nomem(x->err, (size_t)n);
	for (int i = 0; i < n; i++) {
		t->src[0][row_to + i] = t->src[1][row_to + i] = row_from + src[i];
		t->c[0][row_to + i] = sign[i];
		t->c[1][row_to + i] = 0;
	}
	return true;
}

/* v rows and o columns of a KV group side by side: [head_dim, width (1 + group)] */
static float *value_rows(pairing *x, const view *v, int kv, const int *q, int group)
{
	int dim = x->c->head_dim, w = v->width;
	float *out = room(x, (size_t)dim * (size_t)w * (size_t)(1 + group));
	for (int i = 0; out && i < dim; i++) {
		float *row = out + (size_t)i * w * (1 + group);
		memcpy(row, v->v + (size_t)(kv * dim + i) * w, (size_t)w * sizeof *row);
		for (int j = 0; j < group; j++)
			memcpy(row + (size_t)(1 + j) * w, v->o + (size_t)(q[j] * dim + i) * w, (size_t)w * sizeof *row);
	}
	return out;
}

static bool group_of(pairing *x, ul_mpu_layer *l, int h, int g)
{
	enum { MOST = 64 };
	const ul_config *c = x->c;
	int dim = c->head_dim, group = c->heads / c->kv_heads, w = x->a.width, src[MOST], qa[MOST], qb[MOST];
	size_t head = (size_t)dim * (size_t)w;
	const float *from[MOST + 1], *to[MOST + 1];
	if (group > MOST)
		return ul_fail(x->err, "a group of %d heads is more than %d", group, MOST);
	for (int j = 0; j < group; j++)
		src[j] = j;
	if (x->plan->mode == UL_REPARAM_FULL)
		pair_heads(x, x->a.q + (size_t)g * group * head, x->b.q + (size_t)h * group * head, group, src);
	from[0] = x->a.k + (size_t)g * head, to[0] = x->b.k + (size_t)h * head;
	for (int j = 0; j < group; j++) {
		qa[j] = g * group + src[j], qb[j] = h * group + j;
		from[1 + j] = x->a.q + (size_t)qa[j] * head, to[1 + j] = x->b.q + (size_t)qb[j] * head;
	}
	set_planes(x, l->k, from, to, 1 + group, g * dim, h * dim);
	size_t turned = (size_t)c->rot * (size_t)w;
	if (dim > c->rot && !set_units(x, l->k, from[0] + turned, to[0] + turned, dim - c->rot, w, g * dim + c->rot, h * dim + c->rot))
		return false;
	float *va = value_rows(x, &x->a, g, qa, group), *vb = value_rows(x, &x->b, h, qb, group);
	if (!va || !vb || (x->plan->mode == UL_REPARAM_FULL && !set_units(x, l->v, va, vb, dim, w * (1 + group), g * dim, h * dim)))
		return false;
	for (int j = 0; j < group; j++) /* queries turn like their key, o's columns like their value */
		for (int i = 0; i < dim; i++)
			for (int s = 0; s < 2; s++) {
				const ul_turns *v = x->plan->mode == UL_REPARAM_FULL ? l->v : l->k;
				l->q->src[s][qb[j] * dim + i] = l->k->src[s][h * dim + i] - g * dim + qa[j] * dim;
				l->q->c[s][qb[j] * dim + i] = l->k->c[s][h * dim + i];
				l->o->src[s][qb[j] * dim + i] = v->src[s][h * dim + i] - g * dim + qa[j] * dim;
				l->o->c[s][qb[j] * dim + i] = v->c[s][h * dim + i];
			}
	return true;
}

static bool layer(pairing *x, int i)
{
	const ul_config *c = x->c;
	ul_mpu_layer *l = &x->plan->layer[i];
	ul_arena *a = &x->plan->arena;
	int *kv = ul_alloc(&x->scratch, (size_t)c->kv_heads * sizeof *kv);
	l->k = ul_turns_new(a, c->kv_heads * c->head_dim);
	l->v = x->plan->mode == UL_REPARAM_FULL ? ul_turns_new(a, c->kv_heads * c->head_dim) : l->k;
	l->q = ul_turns_new(a, c->heads * c->head_dim);
	l->o = ul_turns_new(a, c->heads * c->head_dim);
	if (!kv || !l->k || !l->v || !l->q || !l->o || !look(x, x->from, i, &x->a) || !look(x, x->to, i, &x->b))
		return ul_nomem(x->err, 1 << 16);
	for (int h = 0; h < c->kv_heads; h++)
		kv[h] = h;
	if (x->plan->mode == UL_REPARAM_FULL)
		pair_heads(x, x->a.k, x->b.k, c->kv_heads, kv);
	for (int h = 0; h < c->kv_heads; h++)
		if (!group_of(x, l, h, kv[h]))
			return false;
	if (c->qk_norm && !(l->qk_norm = ul_turns_new(a, c->head_dim)))
		return ul_nomem(x->err, 64);
	for (int e = 0; c->qk_norm && e < c->head_dim; e++)
		for (int s = 0; s < 2; s++) {
			l->qk_norm->src[s][e] = l->k->src[s][e] - kv[0] * c->head_dim;
			l->qk_norm->c[s][e] = l->k->c[s][e];
		}
	l->ffn = matched(x, x->a.ffn, x->b.ffn, c->ffn, x->a.ffn_width, false);
	return l->ffn && (!x->from->layer[i].qkv || (l->qkv = ul_turns_fuse(a, l, x->from)) != NULL);
}

/* ---- the residual stream once more, by everything that the hidden units read and write, now that it is known which is which ---- */

/* [hidden, width]: what coordinate j is in the embedding and, layer by layer, to the hidden units in the order of `from`. */
static float *surroundings(pairing *x, const ul_model *m, int width)
{
	int d = x->c->hidden, f = x->c->ffn, rows = width - 2 * f * x->c->layers;
	ul_mpu_plan units = {.mode = UL_REPARAM_FULL, .model = x->from, .layer = x->plan->layer};
	size_t most = ul_mpu_largest(m);
	float *out = ul_malloc((size_t)d * (size_t)width * sizeof *out), *w = ul_malloc(most * sizeof *w);
	bool ok = out && w;
	if (ok)
		ul_param_rows_f32(m->embed, 0, rows, w);
	for (int j = 0; ok && j < d; j++)
		for (int r = 0; r < rows; r++)
			out[(size_t)j * width + r] = w[(size_t)r * d + j];
	for (int l = 0; ok && l < x->c->layers; l++)
		for (int side = 0; ok && side < 2; side++) {
			const ul_layer *mine = &m->layer[l], *theirs = &x->from->layer[l];
			ul_param_get_f32(side ? mine->down : mine->up, w);
			ok = m == x->from || ul_mpu_apply(&units, side ? theirs->down : theirs->up, w, true, x->err);
			for (int j = 0; ok && j < d; j++)
				for (int r = 0; r < f; r++)
					out[(size_t)j * width + rows + (2 * l + side) * f + r] = side ? w[(size_t)j * f + r] : w[(size_t)r * d + j];
		}
	ul_free(w);
	if (ok)
		return out;
	ul_free(out);
	return ul_nomem(x->err, (size_t)d * (size_t)width * sizeof *out), NULL;
}

static bool residual_again(pairing *x)
{
	enum { ROWS = 2048 };
	const ul_config *c = x->c;
	int width = (x->from->embed->rows < ROWS ? x->from->embed->rows : ROWS) + 2 * c->ffn * c->layers;
	float *a = surroundings(x, x->from, width), *b = a ? surroundings(x, x->to, width) : NULL;
	x->plan->residual = b ? matched(x, a, b, c->hidden, width, ul_mpu_borne(x->from).signs) : NULL;
	memset(x->plan->layer, 0, (size_t)c->layers * sizeof *x->plan->layer);
	ul_free(a);
	ul_free(b);
	return x->plan->residual != NULL;
}

static bool layers(pairing *x)
{
	for (int i = 0; i < x->c->layers; i++) {
		ul_arena_release(&x->scratch);
		if (!layer(x, i))
			return false;
	}
	return true;
}

bool ul_mpu_align(ul_mpu_plan *plan, const ul_model *from, const ul_model *to, enum ul_reparam mode, bool exact, ul_err *err)
{
	*plan = (ul_mpu_plan){.mode = mode, .exact = exact, .model = from};
	pairing x = {.from = from, .to = to, .c = &from->cfg, .plan = plan, .err = err};
	if (mode == UL_REPARAM_NONE)
		return true;
	plan->layer = ul_alloc(&plan->arena, (size_t)from->cfg.layers * sizeof *plan->layer);
	bool ok = plan->layer != NULL && (mode != UL_REPARAM_FULL || residual(&x)) && layers(&x);
	ok = ok && (mode != UL_REPARAM_FULL || (residual_again(&x) && layers(&x)));
	ul_arena_release(&x.scratch);
	if (ok)
		return true;
	ul_mpu_plan_release(plan);
	return ul_nomem(err, 1 << 20);
}
