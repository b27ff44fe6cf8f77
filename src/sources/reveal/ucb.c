/*
 * ucb.c: NeuralUCB (Zhou, Li and Gu 2020) as INSTINCT runs it on instructions (Lin et al. 2024, arXiv 2310.02905):
 *
 *     f(x) = w₂ · relu(W₁ x + b₁) + b₂                    the same first weights at every fit
 *     fit    Adam, full batch, mean squared error, weight decay λ / arms seen; features standardised, rewards not
 *     pick   argmax f(x) + √(λ ν Σ_p g_p(x)² / U_p)       g = ∂f/∂weights, U diagonal, λ at first
 *     then   U ← U + g(x)²
 *
 * Departures, by default. The weights begin as N(0, 1 / units that feed them), in two halves that cancel, so that f is 0 everywhere before
 * it has learnt (Zhou, Li and Gu begin so too): from N(0,1) the guesses about arms not tried are larger than any reward, and the search
 * was no better than chance on functions of ten dimensions. For the same reason ν is 0.1, not 1. And the network has learnt the first arms
 * before it makes its first pick; in INSTINCT it is asked untrained.
 */
#include "sources/reveal/ucb.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

/* Parameters in one row: W₁ [width, in], b₁ [width], w₂ [width], b₂. */
struct ul_ucb {
	ul_ucb_config c;
	ul_arena arena;
	size_t size;
	double *start, *w, *u; /* [size] */
	double *mean, *inv; /* [in] of the arms it was fitted on */
};

ul_ucb_config ul_ucb_defaults(int in)
{
	return (ul_ucb_config){.in = in, .width = 100, .steps = 1000, .lr = 1e-3, .lambda = 0.1, .nu = 0.1, .mirror = true};
}

size_t ul_ucb_size(const ul_ucb *u)
{
	return u->size;
}

const double *ul_ucb_weights(const ul_ucb *u)
{
	return u->w;
}

const double *ul_ucb_certainty(const ul_ucb *u)
{
	return u->u;
}

void ul_ucb_set_weights(ul_ucb *u, const double *w)
{
	memcpy(u->w, w, u->size * sizeof *w);
}

/* The second half of the units begins as the first with its sign turned at the output: f is 0 everywhere before it has learnt. */
static void mirror(ul_ucb *u)
{
	size_t in = (size_t)u->c.in, width = (size_t)u->c.width, half = width / 2;
	double *w = u->start, *b1 = w + width * in, *w2 = b1 + width;
	memcpy(w + half * in, w, half * in * sizeof *w);
	memcpy(b1 + half, b1, half * sizeof *w);
	for (size_t j = 0; j < half; j++)
		w2[half + j] = -w2[j];
	for (size_t j = 2 * half; j <= width; j++) /* an odd unit, and the bias */
		w2[j] = 0;
	memcpy(u->w, w, u->size * sizeof *w);
}

ul_ucb *ul_ucb_new(const ul_ucb_config *c, ul_err *err)
{
	ul_ucb *u = ul_calloc(1, sizeof *u);
	size_t in = (size_t)c->in, size = (size_t)c->width * (in + 2) + 1;
	if (u) {
		*u = (ul_ucb){.c = *c, .size = size};
		u->start = ul_alloc(&u->arena, size * sizeof *u->start);
		u->w = ul_alloc(&u->arena, size * sizeof *u->w);
		u->u = ul_alloc(&u->arena, size * sizeof *u->u);
		u->mean = ul_alloc(&u->arena, in * sizeof *u->mean);
		u->inv = ul_alloc(&u->arena, in * sizeof *u->inv);
	}
	if (!u || u->arena.failed) {
		ul_ucb_free(u);
		ul_nomem(err, 3 * size * sizeof(double));
		return NULL;
	}
	ul_rng r = ul_rng_at(c->seed, "ucb", 0);
	for (size_t i = 0; i < size; i++) {
		double fed = i < (size_t)c->width * (in + 1) ? (double)in : c->width;
		u->w[i] = u->start[i] = ul_rng_normal(&r) / (c->wide ? 1 : sqrt(fed));
		u->u[i] = c->lambda;
	}
	if (c->mirror)
		mirror(u);
	for (size_t i = 0; i < in; i++)
		u->inv[i] = 1;
	return u;
}

void ul_ucb_free(ul_ucb *u)
{
	if (!u)
		return;
	ul_arena_release(&u->arena);
	ul_free(u);
}

/* ---- features ---- */

static void measure(ul_ucb *u, const double *x, int n)
{
	for (int i = 0; i < u->c.in; i++) {
		double sum = 0, square = 0;
		for (int k = 0; k < n; k++)
			sum += x[(size_t)k * (size_t)u->c.in + (size_t)i];
		for (int k = 0; k < n; k++) {
			double d = x[(size_t)k * (size_t)u->c.in + (size_t)i] - sum / n;
			square += d * d;
		}
		double sd = n > 1 ? sqrt(square / (n - 1)) : 0;
		u->mean[i] = sum / n;
		u->inv[i] = sd > 1e-12 ? 1 / sd : 1;
	}
}

static void standardise(const ul_ucb *u, const double *x, int n, double *out)
{
	size_t in = (size_t)u->c.in;
	for (size_t k = 0; k < (size_t)n; k++)
		for (size_t i = 0; i < in; i++)
			out[k * in + i] = (x[k * in + i] - u->mean[i]) * u->inv[i];
}

/* ---- the network ---- */

/* z [n, width] = X W₁ᵀ + b₁; returns f of row k when y is not NULL */
static void forward(const ul_ucb *u, const double *x, int n, double *z, double *y)
{
	int in = u->c.in, width = u->c.width;
	const double *b1 = u->w + (size_t)width * (size_t)in, *w2 = b1 + width;
	for (int k = 0; k < n; k++)
		memcpy(z + (size_t)k * (size_t)width, b1, (size_t)width * sizeof *z);
	cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, width, in, 1, x, in, u->w, in, 1, z, width);
	for (int k = 0; k < n; k++) {
		double f = w2[width];
		for (int j = 0; j < width; j++) {
			double a = z[(size_t)k * (size_t)width + (size_t)j];
			f += a > 0 ? w2[j] * a : 0;
		}
		y[k] = f;
	}
}

/* g [size] = d/dw mean (f - target)²; z holds the hidden units of `forward` and becomes what flows back through them. */
static void backward(const ul_ucb *u, const double *x, const double *error, int n, double *z, double *g)
{
	int in = u->c.in, width = u->c.width;
	const double *w2 = u->w + (size_t)width * (size_t)(in + 1);
	double *b1 = g + (size_t)width * (size_t)in, *g2 = b1 + width;
	memset(b1, 0, ((size_t)width * 2 + 1) * sizeof *g);
	for (int k = 0; k < n; k++) {
		double e = 2 * error[k] / n;
		g2[width] += e;
		for (int j = 0; j < width; j++) {
			double *a = &z[(size_t)k * (size_t)width + (size_t)j];
			g2[j] += *a > 0 ? e * *a : 0;
			*a = *a > 0 ? e * w2[j] : 0;
			b1[j] += *a;
		}
	}
	cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, width, in, n, 1, z, width, x, in, 0, g, in);
}

/* torch.optim.Adam: the decay is part of the gradient. moment: [2, size] */
static void adam(ul_ucb *u, const double *g, double *moment, int t, double decay)
{
	double *m = moment, *v = moment + u->size, c1 = 1 - pow(0.9, t), c2 = 1 - pow(0.999, t);
	for (size_t i = 0; i < u->size; i++) {
		double d = g[i] + decay * u->w[i];
		m[i] = 0.9 * m[i] + 0.1 * d;
		v[i] = 0.999 * v[i] + 0.001 * d * d;
		u->w[i] -= u->c.lr * (m[i] / c1) / (sqrt(v[i] / c2) + 1e-8);
	}
}

bool ul_ucb_fit(ul_ucb *u, const double *x, const double *y, int n, ul_err *err)
{
	ul_arena a = {0};
	size_t rows = (size_t)n;
	double *s = ul_alloc_raw(&a, rows * (size_t)u->c.in * sizeof *s + 1), *z = ul_alloc_raw(&a, rows * (size_t)u->c.width * sizeof *z + 1);
	double *f = ul_alloc_raw(&a, rows * sizeof *f + 1), *g = ul_alloc_raw(&a, u->size * sizeof *g), *moment = ul_alloc(&a, 2 * u->size * sizeof *moment);
	if (a.failed) {
		ul_arena_release(&a);
		return ul_nomem(err, 3 * u->size * sizeof *g);
	}
	UL_ASSERT(n > 0, "%d arms to learn from", n);
	measure(u, x, n);
	standardise(u, x, n, s);
	memcpy(u->w, u->start, u->size * sizeof *u->w);
	for (int t = 1; t <= u->c.steps; t++) {
		forward(u, s, n, z, f);
		for (int k = 0; k < n; k++)
			f[k] -= y[k];
		backward(u, s, f, n, z, g);
		adam(u, g, moment, t, u->c.lambda / n);
	}
	ul_arena_release(&a);
	return true;
}

double ul_ucb_predict(const ul_ucb *u, const double *x, double *gradient)
{
	int in = u->c.in, width = u->c.width;
	const double *b1 = u->w + (size_t)width * (size_t)in, *w2 = b1 + width;
	double f = w2[width];
	for (int j = 0; j < width; j++) {
		double a = b1[j];
		for (int i = 0; i < in; i++)
			a += u->w[(size_t)j * (size_t)in + (size_t)i] * (x[i] - u->mean[i]) * u->inv[i];
		f += a > 0 ? w2[j] * a : 0;
		if (!gradient)
			continue;
		double back = a > 0 ? w2[j] : 0;
		for (int i = 0; i < in; i++)
			gradient[(size_t)j * (size_t)in + (size_t)i] = back * (x[i] - u->mean[i]) * u->inv[i];
		gradient[(size_t)width * (size_t)in + (size_t)j] = back;
		gradient[(size_t)width * (size_t)(in + 1) + (size_t)j] = a > 0 ? a : 0;
	}
	if (gradient)
		gradient[u->size - 1] = 1;
	return f;
}

/* Σ_p g_p² / U_p of every arm at once: of W₁ it is Σ_j (w₂_j on_j)² Σ_i x_i² / U_ji, a product of matrices. */
static void doubt(const ul_ucb *u, double *x, const double *z, int n, double *inv, double *part, double *bonus)
{
	int in = u->c.in, width = u->c.width;
	size_t matrix = (size_t)width * (size_t)in;
	const double *w2 = u->w + matrix + width;
	for (size_t p = 0; p < u->size; p++)
		inv[p] = 1 / u->u[p];
	for (size_t i = 0; i < (size_t)n * (size_t)in; i++)
		x[i] *= x[i];
	cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, width, in, 1, x, in, inv, in, 0, part, width);
	for (int k = 0; k < n; k++) {
		double sum = inv[u->size - 1];
		for (int j = 0; j < width; j++) {
			size_t at = (size_t)k * (size_t)width + (size_t)j;
			if (z[at] > 0)
				sum += w2[j] * w2[j] * (part[at] + inv[matrix + (size_t)j]) + z[at] * z[at] * inv[matrix + (size_t)(width + j)];
		}
		bonus[k] = sqrt(u->c.lambda * u->c.nu * sum);
	}
}

bool ul_ucb_judge(ul_ucb *u, const double *x, int n, double *worth, double *bonus, ul_err *err)
{
	ul_arena a = {0};
	size_t rows = (size_t)n, wide = rows * (size_t)u->c.width;
	double *s = ul_alloc_raw(&a, rows * (size_t)u->c.in * sizeof *s + 1), *z = ul_alloc_raw(&a, wide * sizeof *z + 1), *f = ul_alloc_raw(&a, rows * sizeof *f + 1);
	double *inv = ul_alloc_raw(&a, u->size * sizeof *inv), *part = ul_alloc_raw(&a, wide * sizeof *part + 1);
	bool ok = !a.failed || ul_nomem(err, (wide + u->size) * sizeof *s);
	if (ok) {
		standardise(u, x, n, s);
		forward(u, s, n, z, f);
		if (worth)
			memcpy(worth, f, rows * sizeof *f);
		if (bonus)
			doubt(u, s, z, n, inv, part, bonus);
	}
	ul_arena_release(&a);
	return ok;
}

bool ul_ucb_picked(ul_ucb *u, const double *x, ul_err *err)
{
	double *g = ul_malloc(u->size * sizeof *g);
	if (!g)
		return ul_nomem(err, u->size * sizeof *g);
	ul_ucb_predict(u, x, g);
	for (size_t i = 0; i < u->size; i++)
		u->u[i] += g[i] * g[i];
	ul_free(g);
	return true;
}
