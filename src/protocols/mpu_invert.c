/*
 * mpu_invert.c: gradient inversion. What a client sends is, for SGD, a sum of gradients, and the gradient of a linear layer is
 * Σ_t δ_t x_tᵀ over the tokens it was made from: its rows lie in the span of the layer's inputs. A row of the client is found token by
 * token: every token of the vocabulary is tried behind what was found, the first block computes what would stand before its last
 * matrix, and what lies in the span was there. After DAGER (Petrov et al. 2024, arXiv 2405.15586), which looks at queries; here it is
 * the input of the first block's down projection, which every architecture has and which knows the whole prefix.
 *
 * Weight decay of SGD adds a multiple of the weights, which the server knows: it is what must be taken away for the rest to have the
 * least rank. Exact for as long as fewer tokens than the width went into the update, and steps are few. Under AdamW the update is no
 * sum of gradients and has full rank.
 */
#include "protocols/mpu_align.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SITE = 1u << UL_SITE_DOWN_IN,
	PIECE = 256, /* tokens tried in one pass */
	FLOORS = 8,
	DECAYS = 30, /* steps towards the client's weight decay */
	LONGEST = 64, /* tokens */
	BREADTH = 16, /* continuations of one prefix */
	NODES = 4096 };

static const double near = 0.1; /* distance from the span, as a share of the length: the sine of an angle */

typedef struct search {
	ul_model *m;
	const ul_param *down; /* [hidden, ffn] */
	float *span; /* [full, ffn], orthonormal, the longest first */
	double *size, floor; /* [full] how long; what rounding alone makes of it */
	int rank; /* of them that are taken for the span */
	ul_cache cache; /* PIECE slots, each with the prefix that is being continued */
	float *x, *in; /* [PIECE, ffn] inputs; [PIECE, rank] their coordinates in the span */
	ul_mpu_rows *out;
	ul_err *err;
} search;

/* ---- the span ---- */

typedef struct factors { /* x = u s v */
	double *u, *s, *v; /* [rows, k], [k], [k, cols] */
	int k;
} factors;

/* Where lengths fall the most from one direction to the next; 0: nowhere. */
static int edge(const double *size, int n, double floor)
{
	int at = 0;
	double most = 10;
	for (int k = 0; k + 1 < n && size[k] > floor; k++) {
		double fall = size[k] / fmax(size[k + 1], floor / 10);
		if (fall > most)
			most = fall, at = k + 1;
	}
	return at;
}

/* How much of the weights w must be added to the update d for its directions from `first` on to vanish. */
static double decay(const factors *f, int first, const double *d, const double *w, int rows, int cols)
{
	double dw = 0, ww = 0;
	for (int k = first; k < f->k; k++)
		for (int j = 0; j < cols; j++) {
			double a = 0, b = 0;
			for (int i = 0; i < rows; i++) {
				a += f->u[(size_t)i * f->k + k] * d[(size_t)i * cols + j];
				b += f->u[(size_t)i * f->k + k] * w[(size_t)i * cols + j];
			}
			dw += a * b;
			ww += b * b;
		}
	return ww > 0 ? -dw / ww : 0;
}

/* What differences of floats cannot tell from zero: the largest singular value of their rounding. */
static double rounding(const double *w, int rows, int cols)
{
	double square = 0, n = (double)rows * cols;
	for (size_t e = 0; e < (size_t)rows * (size_t)cols; e++)
		square += w[e] * w[e] / n;
	return 3e-8 * sqrt(square) * (sqrt((double)rows) + sqrt((double)cols));
}

static bool find_span(search *s, const float *delta, ul_arena *a)
{
	int rows = s->down->rows, cols = s->down->cols;
	size_t n = (size_t)rows * (size_t)cols;
	double *d = ul_alloc(a, n * sizeof *d), *w = ul_alloc(a, n * sizeof *w), *x = ul_alloc(a, n * sizeof *x), c = 0, was = 1;
	factors f = {.k = rows < cols ? rows : cols};
	f.u = ul_alloc(a, (size_t)rows * (size_t)f.k * sizeof *f.u);
	f.s = ul_alloc(a, (size_t)f.k * sizeof *f.s);
	f.v = ul_alloc(a, (size_t)f.k * (size_t)cols * sizeof *f.v);
	if (a->failed)
		return ul_nomem(s->err, n * sizeof *x);
	ul_param_get(s->down, w);
	for (size_t e = 0; e < n; e++)
		d[e] = delta[e];
	s->floor = 2 * rounding(w, rows, cols);
	for (int turn = 0, sharp = 0; turn < DECAYS && sharp < 3; turn++) { /* the smallest eighth, then all that lie behind the edge this leaves */
		sharp += sharp || fabs(c - was) <= 1e-5 * fabs(c) || turn == DECAYS - 4;
		was = c;
		for (size_t e = 0; e < n; e++)
			x[e] = d[e] + c * w[e];
		if (LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'S', rows, cols, x, cols, f.s, f.u, f.k, f.v, cols))
			return ul_fail(s->err, "the singular values of the update were not found");
		int first = sharp ? edge(f.s, f.k, s->floor) : 0;
		c = decay(&f, first ? first : f.k - f.k / 8 - 1, d, w, rows, cols);
	}
	s->out->full = f.k;
	s->size = ul_malloc((size_t)f.k * sizeof *s->size);
	s->span = ul_malloc((size_t)f.k * (size_t)cols * sizeof *s->span);
	if (!s->span || !s->size)
		return ul_nomem(s->err, (size_t)f.k * (size_t)cols * sizeof *s->span);
	memcpy(s->size, f.s, (size_t)f.k * sizeof *s->size);
	for (size_t e = 0; e < (size_t)f.k * (size_t)cols; e++)
		s->span[e] = (float)f.v[e];
	return true;
}

/* ---- the tree of what was found ---- */

static ul_val *first_block(void *ud, enum ul_site site, int layer, ul_val *h)
{
	*(ul_val **)ud = h;
	return NULL;
}

/* One pass through the first block only: n sequences of `len` tokens each, behind what their slots hold. s->x [n, ffn] when len is 1. */
static bool pass(search *s, const int *ids, int n, int len)
{
	int pos[PIECE], start[PIECE + 1], slot[PIECE], past = s->cache.layer[0].len[0];
	ul_tape t;
	ul_val *h = NULL;
	for (int i = 0; i < n * len; i++)
		pos[i] = past + i % len;
	for (int i = 0; i <= n; i++)
		start[i] = i * len;
	for (int i = 0; i < n; i++)
		slot[i] = i;
	ul_tape_init(&t, s->m->be);
	t.record = false;
	ul_pass p = {.tape = &t, .ids = ids, .pos = pos, .span = {n, start}, .cache = &s->cache, .slot = slot, .tap = first_block, .ud = &h, .tap_sites = SITE};
	ul_forward(s->m, &p);
	bool ok = ul_tape_ok(&t, s->err) && h;
	if (ok && len == 1)
		ul_read_f32(h, s->x);
	ul_tape_release(&t);
	return ok;
}

static void forget_to(search *s, int len)
{
	for (int i = 0; i < PIECE; i++)
		s->cache.layer[0].len[i] = len;
}

static bool remember(search *s, const int *prefix, int len)
{
	forget_to(s, 0);
	if (len > 0 && !pass(s, prefix, 1, len))
		return false;
	for (int i = 1; i < PIECE; i++)
		ul_cache_copy_slot(&s->cache, 0, i);
	return true;
}

/* Sine of the angle between input i and the span. */
static double distance(const search *s, int i)
{
	const float *x = s->x + (size_t)i * s->down->cols, *in = s->in + (size_t)i * s->rank;
	double all = 0, inside = 0;
	for (int j = 0; j < s->down->cols; j++)
		all += (double)x[j] * x[j];
	for (int k = 0; k < s->rank; k++)
		inside += (double)in[k] * in[k];
	return all <= 0 ? 1 : inside < all ? sqrt((all - inside) / all)
	                                   : 0;
}

typedef struct nearest {
	int token[BREADTH], n;
	double off[BREADTH];
} nearest;

/* The tokens that are near behind the remembered prefix, the nearest first. */
static bool try_all(search *s, int len, nearest *best)
{
	int ids[PIECE], cols = s->down->cols;
	for (int first = 0, n; first < s->m->cfg.vocab; first += n) {
		n = PIECE < s->m->cfg.vocab - first ? PIECE : s->m->cfg.vocab - first;
		for (int i = 0; i < n; i++)
			ids[i] = first + i;
		if (!pass(s, ids, n, 1))
			return false;
		forget_to(s, len);
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, s->rank, cols, 1, s->x, cols, s->span, cols, 0, s->in, s->rank);
		for (int i = 0; i < n; i++) {
			double d = distance(s, i);
			int at = best->n < BREADTH ? best->n : BREADTH - 1;

			if (d >= near || (best->n == BREADTH && d >= best->off[at]))
				continue;
			for (best->n += best->n<BREADTH; at> 0 && best->off[at - 1] > d; at--)
				best->off[at] = best->off[at - 1], best->token[at] = best->token[at - 1];
			best->off[at] = d, best->token[at] = first + i;
		}
	}
	while (best->n > 1 && best->off[best->n - 1] > 5 * best->off[0] + 0.005) /* where one is exact, the others are chance */
		best->n--;
	return true;
}

/* What continues a prefix becomes nodes of the tree. */
static bool extend(search *s, int node)
{
	int prefix[LONGEST], len = 0;
	nearest best = {.n = 0};
	for (int i = node; i > 0; i = s->out->parent[i])
		len++;
	for (int i = node, j = len; i > 0; i = s->out->parent[i])
		prefix[--j] = s->out->token[i];
	if (len + 1 >= LONGEST || len + 1 >= s->m->cfg.context)
		return true;
	if (!remember(s, prefix, len) || !try_all(s, len, &best))
		return false;
	for (int i = 0; i < best.n && s->out->n < NODES; i++) {
		s->out->parent[s->out->n] = node;
		s->out->token[s->out->n++] = best.token[i];
	}
	return true;
}

/* After one step the span ends where rounding begins, or at an edge. After several, whose inputs differ a little, it has no end: it is
 * tried shorter and shorter. An update of full rank spans what its matrix can, and not what went into it. */
static bool look(search *s)
{
	size_t cols = (size_t)s->down->cols, rank = (size_t)s->out->full;
	s->x = ul_malloc((size_t)PIECE * (cols + rank) * sizeof *s->x);
	if (!s->x)
		return ul_nomem(s->err, (size_t)PIECE * (cols + rank) * sizeof *s->x);
	s->in = s->x + (size_t)PIECE * cols;
	bool ok = ul_cache_init(&s->cache, s->m, PIECE, LONGEST, s->err);
	for (int turn = 0; ok && turn <= FLOORS && s->out->n == 1; turn++) {
		s->rank = turn == 1 ? edge(s->size, s->out->full, s->floor) : 0;
		while (turn != 1 && s->rank < s->out->full && s->size[s->rank] > s->floor)
			s->rank++;
		s->floor *= turn ? 4 : 1;
		for (int node = 0; ok && s->rank > 0 && s->rank < s->out->full && node < s->out->n; node++)
			ok = extend(s, node);
		s->out->rank = s->out->n > 1 || turn == 0 ? s->rank : s->out->rank;
	}
	return ok;
}

bool ul_mpu_invert(ul_model *copy, const float *delta, ul_mpu_rows *out, ul_err *err)
{
	ul_arena a = {0};
	search s = {.m = copy, .down = copy->layer[0].down, .out = out, .err = err};
	*out = (ul_mpu_rows){.n = 1};
	out->parent = ul_calloc(NODES, sizeof *out->parent);
	out->token = ul_calloc(NODES, sizeof *out->token);
	bool ok = (out->parent && out->token) || ul_nomem(err, NODES * sizeof *out->token);
	ok = ok && find_span(&s, delta, &a);
	ul_arena_release(&a);
	ok = ok && look(&s);
	ul_cache_release(&s.cache);
	ul_free(s.span);
	ul_free(s.size);
	ul_free(s.x);
	if (!ok)
		ul_mpu_rows_release(out);
	return ok;
}

int ul_mpu_rows_reach(const ul_mpu_rows *r, const int *ids, int n)
{
	int node = 0, len = 0;
	for (int next = 0; len < n; node = next, len++) {
		next = -1;
		for (int i = 1; i < r->n && next < 0; i++)
			if (r->parent[i] == node && r->token[i] == ids[len])
				next = i;
		if (next < 0)
			break;
	}
	return len;
}

void ul_mpu_rows_release(ul_mpu_rows *r)
{
	ul_free(r->parent);
	ul_free(r->token);
	*r = (ul_mpu_rows){0};
}
