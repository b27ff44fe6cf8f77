/*
 * lora_stack.c: sums, differences and approximations of adapters. A sum of updates s B A is one adapter whose factors stand side by side:
 *
 *     Σ s_i B_i A_i = [s_1 B_1, s_2 B_2, …] [A_1; A_2; …]
 *
 * so that nothing is ever merged into the weights and taken out again, which rounds.
 */
#include "model/lora_stack.h"

#include "model/lora_file.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

/* One module's update in memory: B [out, rank], A [rank, in], the scale inside B. */
struct update {
	ul_param *w;
	char module[192];
	int rank;
	double *a, *b;
};

static double *read_param(const ul_param *p, ul_arena *mem)
{
	double *x = ul_alloc(mem, ((size_t)p->rows * (size_t)p->cols + 1) * sizeof *x);
	if (x)
		ul_param_get(p, x);
	return x;
}

/* "base_model.model.<module>.lora_A.weight" */
static void module_of(const ul_param *a, char out[192])
{
	const char *head = "base_model.model.", *tail = ".lora_A.weight";
	size_t n = strlen(a->name) - strlen(head) - strlen(tail);
	snprintf(out, 192, "%.*s", (int)n, a->name + strlen(head));
}

static const ul_lora *hung(const ul_param *w, const ul_adapter *ad)
{
	for (const ul_lora *l = w->lora; l; l = l->next)
		for (int k = 0; k < ad->params; k += 2)
			if (ad->param[k] == l->a)
				return l;
	return NULL;
}

int ul_lora_depth(const ul_model *m)
{
	int n = 0;
	for (const ul_adapter *ad = m->adapter; ad; ad = ad->below)
		n++;
	return n;
}

bool ul_lora_scale(ul_adapter *ad, double by, ul_err *err)
{
	for (int k = 1; k < ad->params; k += 2) {
		ul_param *p = ad->param[k];
		ul_arena mem = {0};
		double *x = read_param(p, &mem);
		for (size_t i = 0; x && i < (size_t)p->rows * (size_t)p->cols; i++)
			x[i] *= by;
		if (x)
			ul_param_set(p, x);
		ul_arena_release(&mem);
		if (!x)
			return ul_nomem(err, (size_t)p->rows * (size_t)p->cols * sizeof *x);
	}
	return true;
}

/* Appends `l` to the update, its factor's rows weighted by row[i] (NULL = 1). */
static void append(struct update *u, const ul_lora *l, const double *a, const double *b, const double *row, int total)
{
	int out = l->b->rows, in = l->a->cols;
	memcpy(u->a + (size_t)u->rank * (size_t)in, a, (size_t)l->rank * (size_t)in * sizeof *a);
	for (int i = 0; i < out; i++)
		for (int k = 0; k < l->rank; k++)
			u->b[(size_t)i * (size_t)total + (size_t)(u->rank + k)] = l->scale * (row ? row[i] : 1) * b[(size_t)i * (size_t)l->rank + (size_t)k];
	u->rank += l->rank;
}

static bool collect(ul_model *m, ul_param *w, int n, struct update *u, ul_arena *mem, ul_err *err)
{
	int total = 0;
	const ul_adapter *ad = m->adapter;
	for (int i = 0; i < n; i++, ad = ad->below) {
		const ul_lora *l = hung(w, ad);
		total += l ? l->rank : 0;
	}
	*u = (struct update){.w = w};
	if (!total)
		return true;
	u->a = ul_alloc(mem, (size_t)total * (size_t)w->cols * sizeof *u->a);
	u->b = ul_alloc(mem, (size_t)total * (size_t)w->rows * sizeof *u->b);
	ad = m->adapter;
	for (int i = 0; i < n && !mem->failed; i++, ad = ad->below) {
		const ul_lora *l = hung(w, ad);
		double *a = l ? read_param(l->a, mem) : NULL, *b = l ? read_param(l->b, mem) : NULL;
		if (l && a && b) {
			module_of(l->a, u->module);
			append(u, l, a, b, NULL, total);
		}
	}
	return !mem->failed || ul_nomem(err, (size_t)total * (size_t)(w->rows + w->cols) * sizeof(double));
}

/* A new adapter with these updates takes the place of the `n` attached last. PEFT gives every module r and alpha; those that differ are
 * named in its patterns. */
static bool replace(ul_model *m, int n, const struct update *u, int updates, ul_err *err)
{
	ul_arena mem = {0};
	ul_lora_config c = m->adapter->cfg;
	json_t *ranks = json_object();
	const char *target = ul_arena_strdup(&mem, c.target ? c.target : "all-linear"), *layers = c.layers ? ul_arena_strdup(&mem, c.layers) : NULL;
	c.r = 1;
	c.rslora = false;
	for (int i = 0; i < updates; i++)
		c.r = u[i].rank > c.r ? u[i].rank : c.r;
	c.alpha = c.r;
	for (int i = 0; i < n; i++)
		ul_lora_detach(m);
	ul_adapter *ad = mem.failed ? NULL : ul_lora_begin(m, err);
	bool ok = ad || ul_nomem(err, 64);
	if (ok) {
		ad->cfg = c;
		ad->cfg.target = ul_arena_strdup(&ad->arena, target);
		ad->cfg.layers = layers ? ul_arena_strdup(&ad->arena, layers) : NULL;
	}
	for (int i = 0; ok && i < updates; i++) {
		ok = ul_lora_hang(ad, u[i].w, u[i].module, u[i].rank, 1, err);
		if (!ok)
			break;
		ul_param_set(ad->param[ad->params - 2], u[i].a);
		ul_param_set(ad->param[ad->params - 1], u[i].b);
		if (u[i].rank != c.r)
			json_object_set_new(ranks, u[i].module, json_integer(u[i].rank));
	}
	if (ok) {
		ad->config = ul_lora_describe(m, &ad->cfg);
		json_object_set(ad->config, "rank_pattern", ranks);
		json_object_set(ad->config, "alpha_pattern", ranks); /* alpha / rank = 1 */
	} else if (ad) {
		ul_lora_detach(m);
	}
	json_decref(ranks);
	ul_arena_release(&mem);
	return ok;
}

bool ul_lora_fold(ul_model *m, int n, ul_err *err)
{
	ul_arena mem = {0};
	int found = 0;
	UL_ASSERT(n >= 1 && n <= ul_lora_depth(m), "%d of %d adapters", n, ul_lora_depth(m));
	struct update *u = ul_alloc(&mem, (size_t)m->params * sizeof *u);
	bool ok = u || ul_nomem(err, (size_t)m->params * sizeof *u);
	for (int i = 0; ok && i < m->params; i++) {
		ok = collect(m, m->param[i], n, &u[found], &mem, err);
		found += ok && u[found].rank;
	}
	ok = ok && replace(m, n, u, found, err);
	ul_arena_release(&mem);
	return ok;
}

/* ---- truncation ---- */

/* Q of x [rows, cols], and the square of its R by r [min, cols]; x becomes Q [rows, min]. */
static int orthogonal(double *x, int rows, int cols, double *r, double *tau)
{
	int k = rows < cols ? rows : cols, bad = LAPACKE_dgeqrf(LAPACK_ROW_MAJOR, rows, cols, x, cols, tau);
	for (int i = 0; i < k; i++)
		for (int j = 0; j < cols; j++)
			r[i * cols + j] = j >= i ? x[(size_t)i * (size_t)cols + (size_t)j] : 0;
	return bad ? bad : LAPACKE_dorgqr(LAPACK_ROW_MAJOR, rows, k, k, x, cols, tau);
}

/* B A = Q_B (R_B R_Aᵀ) Q_Aᵀ: the singular values are those of the small matrix in the middle. */
static bool truncate_one(struct update *u, int rank, double *kept, ul_arena *mem, ul_err *err)
{
	int out = u->w->rows, in = u->w->cols, r = u->rank, kb = out < r ? out : r, ka = in < r ? in : r, k = kb < ka ? kb : ka;
	size_t small = (size_t)(r + 1) * (size_t)(r + 1);
	double *at = ul_alloc(mem, (size_t)in * (size_t)r * sizeof *at), *rb = ul_alloc(mem, small * sizeof *rb), *ra = ul_alloc(mem, small * sizeof *ra);
	double *mid = ul_alloc(mem, small * sizeof *mid), *left = ul_alloc(mem, small * sizeof *left), *right = ul_alloc(mem, small * sizeof *right), *s = ul_alloc(mem, 3 * small * sizeof *s);
	if (mem->failed)
		return ul_nomem(err, small * sizeof *s);
	for (int i = 0; i < r; i++)
		for (int j = 0; j < in; j++)
			at[(size_t)j * (size_t)r + (size_t)i] = u->a[(size_t)i * (size_t)in + (size_t)j];
	int bad = orthogonal(u->b, out, r, rb, s) || orthogonal(at, in, r, ra, s);
	for (int i = 0; i < kb; i++)
		for (int j = 0; j < ka; j++)
			for (int l = 0; l < r; l++)
				mid[i * ka + j] += rb[i * r + l] * ra[j * r + l];
	bad = bad || LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'S', kb, ka, mid, ka, s, left, k, right, ka);
	if (bad)
		return ul_fail(err, "the singular values of %s's update were not found: is it finite?", u->module);
	int keep = rank < k ? rank : k;
	double all = 0, still = 0;
	for (int i = 0; i < k; i++) {
		all += s[i] * s[i];
		still += i < keep ? s[i] * s[i] : 0;
	}
	*kept = all > 0 && still / all < *kept ? still / all : *kept;
	double *b = ul_alloc(mem, (size_t)out * (size_t)keep * sizeof *b), *a = ul_alloc(mem, (size_t)keep * (size_t)in * sizeof *a);
	if (mem->failed)
		return ul_nomem(err, (size_t)(out + in) * (size_t)keep * sizeof *b);
	for (int p = 0; p < keep; p++) {
		for (int i = 0; i < out; i++)
			for (int l = 0; l < kb; l++)
				b[(size_t)i * (size_t)keep + (size_t)p] += u->b[(size_t)i * (size_t)r + (size_t)l] * left[l * k + p] * s[p];
		for (int j = 0; j < in; j++)
			for (int l = 0; l < ka; l++)
				a[(size_t)p * (size_t)in + (size_t)j] += right[p * ka + l] * at[(size_t)j * (size_t)r + (size_t)l];
	}
	u->a = a;
	u->b = b;
	u->rank = keep;
	return true;
}

bool ul_lora_truncate(ul_model *m, int rank, double *kept, ul_err *err)
{
	ul_arena mem = {0};
	int found = 0;
	double least = 1;
	struct update *u = ul_alloc(&mem, (size_t)m->params * sizeof *u);
	bool ok = u || ul_nomem(err, (size_t)m->params * sizeof *u);
	UL_ASSERT(m->adapter && rank >= 1, "rank %d, %d adapters", rank, ul_lora_depth(m));
	for (int i = 0; ok && i < m->params; i++) {
		ok = collect(m, m->param[i], 1, &u[found], &mem, err) && (!u[found].rank || truncate_one(&u[found], rank, &least, &mem, err));
		found += ok && u[found].rank;
	}
	ok = ok && replace(m, 1, u, found, err);
	ul_arena_release(&mem);
	if (ok)
		*kept = least;
	return ok;
}

/* ---- two adapters on the same modules ---- */

/* c [p.rank, q.rank] = A_p A_qᵀ */
static void gram(const double *p, int pn, const double *q, int qn, int in, double *c)
{
	for (int i = 0; i < pn; i++)
		for (int j = 0; j < qn; j++) {
			double s = 0;
			for (int k = 0; k < in; k++)
				s += p[(size_t)i * (size_t)in + (size_t)k] * q[(size_t)j * (size_t)in + (size_t)k];
			c[i * qn + j] = s;
		}
}

/* b_p G b_qᵀ: the inner product of a row of one update with a row of the other. */
static double inner(const double *p, int pn, const double *g, const double *q, int qn)
{
	double s = 0;
	for (int i = 0; i < pn; i++)
		for (int j = 0; j < qn; j++)
			s += p[i] * g[i * qn + j] * q[j];
	return s;
}

struct two { /* factors of one module in both adapters, and the products of their A */
	const ul_lora *f, *r;
	double *fa, *fb, *ra, *rb, *ff, *rr, *fr;
};

static bool both(const ul_model *m, const ul_param *w, struct two *t, ul_arena *mem, ul_err *err)
{
	*t = (struct two){.f = hung(w, m->adapter), .r = hung(w, m->adapter->below)};
	if (!t->f && !t->r)
		return true;
	if (!t->f || !t->r)
		return ul_fail(err, "the two adapters do not change the same modules: only one of them changes %s", w->name);
	size_t f = (size_t)t->f->rank, r = (size_t)t->r->rank;
	t->fa = read_param(t->f->a, mem);
	t->fb = read_param(t->f->b, mem);
	t->ra = read_param(t->r->a, mem);
	t->rb = read_param(t->r->b, mem);
	t->ff = ul_alloc(mem, f * f * sizeof(double));
	t->rr = ul_alloc(mem, r * r * sizeof(double));
	t->fr = ul_alloc(mem, f * r * sizeof(double));
	if (mem->failed)
		return ul_nomem(err, (f + r) * (f + r) * sizeof(double));
	gram(t->fa, (int)f, t->fa, (int)f, w->cols, t->ff);
	gram(t->ra, (int)r, t->ra, (int)r, w->cols, t->rr);
	gram(t->fa, (int)f, t->ra, (int)r, w->cols, t->fr);
	return true;
}

bool ul_lora_interference(const ul_model *m, double *cosine, double *overlap, ul_err *err)
{
	double ff = 0, rr = 0, fr = 0, shared = 0;
	int modules = 0;
	bool ok = true;
	UL_ASSERT(ul_lora_depth(m) >= 2, "%d adapters, two are compared", ul_lora_depth(m));
	for (int i = 0; ok && i < m->params; i++) {
		ul_arena mem = {0};
		struct two t;
		ok = both(m, m->param[i], &t, &mem, err);
		if (ok && t.f) {
			int f = t.f->rank, r = t.r->rank;
			double x = 0, y = 0, z = 0, s = t.f->scale, q = t.r->scale;
			for (int k = 0; k < m->param[i]->rows; k++) {
				const double *p = t.fb + (size_t)k * (size_t)f, *o = t.rb + (size_t)k * (size_t)r;
				ff += s * s * inner(p, f, t.ff, p, f);
				rr += q * q * inner(o, r, t.rr, o, r);
				fr += s * q * inner(p, f, t.fr, o, r);
			}
			for (int k = 0; k < f * r; k++)
				x += t.fr[k] * t.fr[k];
			for (int k = 0; k < f; k++)
				y += t.ff[k * f + k];
			for (int k = 0; k < r; k++)
				z += t.rr[k * r + k];
			shared += y > 0 && z > 0 ? sqrt(x / (y * z)) : 0;
			modules++;
		}
		ul_arena_release(&mem);
	}
	if (ok) {
		*cosine = ff > 0 && rr > 0 ? fr / sqrt(ff * rr) : 0;
		*overlap = modules ? shared / modules : 0;
	}
	return ok;
}

/* With c = normalise(r̂ + f̂) what f shares with r is half of (f + |f| r̂), whatever the angle between them. */
static bool ext_sub_one(const ul_model *m, ul_param *w, double lambda, struct update *u, ul_arena *mem, ul_err *err)
{
	struct two t;
	*u = (struct update){.w = w};
	if (!both(m, w, &t, mem, err))
		return false;
	if (!t.f)
		return true;
	int f = t.f->rank, r = t.r->rank, total = f + r, out = w->rows;
	u->a = ul_alloc(mem, (size_t)total * (size_t)w->cols * sizeof *u->a);
	u->b = ul_alloc(mem, (size_t)total * (size_t)out * sizeof *u->b);
	double *of_f = ul_alloc(mem, (size_t)out * sizeof *of_f), *of_r = ul_alloc(mem, (size_t)out * sizeof *of_r);
	if (mem->failed)
		return ul_nomem(err, (size_t)total * (size_t)out * sizeof(double));
	for (int i = 0; i < out; i++) {
		const double *p = t.fb + (size_t)i * (size_t)f, *o = t.rb + (size_t)i * (size_t)r;
		double ff = t.f->scale * sqrt(fmax(inner(p, f, t.ff, p, f), 0)), rr = t.r->scale * sqrt(fmax(inner(o, r, t.rr, o, r), 0));
		of_f[i] = rr > 0 ? -lambda / 2 : 0; /* beside nothing, all of f counts as shared */
		of_r[i] = rr > 0 ? 1 + lambda / 2 * ff / rr : 1;
	}
	module_of(t.f->a, u->module);
	append(u, t.f, t.fa, t.fb, of_f, total);
	append(u, t.r, t.ra, t.rb, of_r, total);
	return true;
}

bool ul_lora_ext_sub(ul_model *m, double lambda, ul_err *err)
{
	ul_arena mem = {0};
	int found = 0;
	UL_ASSERT(ul_lora_depth(m) >= 2, "%d adapters, two are wanted", ul_lora_depth(m));
	struct update *u = ul_alloc(&mem, (size_t)m->params * sizeof *u);
	bool ok = u || ul_nomem(err, (size_t)m->params * sizeof *u);
	for (int i = 0; ok && i < m->params; i++) {
		ok = ext_sub_one(m, m->param[i], lambda, &u[found], &mem, err);
		found += ok && u[found].rank;
	}
	ok = ok && replace(m, 2, u, found, err);
	ul_arena_release(&mem);
	return ok;
}
