/*
 * cpu.c: the fast backend, in float: kernels shared out to threads.
 */
#include "tensor/cpu/cpu.h"

#include <omp.h>
#include <string.h>

/* ---- threads ---- */

void ul_cpu_share(ul_range f, const void *args, size_t n, size_t unit, size_t grain)
{
	size_t threads = (size_t)ul_threads(), blocks = (n + unit - 1) / unit;

	if (n < 2 * grain || threads == 1 || omp_in_parallel()) {
		f(args, 0, n);
		return;
	}
#pragma omp parallel for num_threads((int)threads) schedule(static, 1)
	for (size_t t = 0; t < threads; t++) {
		size_t lo = blocks * t / threads * unit, hi = blocks * (t + 1) / threads * unit;
		if (hi > n)
			hi = n;
		if (lo < hi)
			f(args, lo, hi);
	}
}

/* ---- memory ---- */

static void from_f64(void *dst, const double *src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((float *)dst)[i] = (float)src[i];
}

static void to_f64(double *dst, const void *src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = (double)((const float *)src)[i];
}

static void from_f32(void *dst, const float *src, size_t n)
{
	memcpy(dst, src, n * sizeof *src);
}

static void to_f32(float *dst, const void *src, size_t n)
{
	memcpy(dst, src, n * sizeof *dst);
}

/* ---- elements: 16 to a cache line, 64 Ki are worth a thread ---- */

enum { LINE = 16,
	GRAIN = 64 << 10 };

static void elements(ul_range f, ul_span_args a, size_t n)
{
	ul_cpu_share(f, &a, n, LINE, GRAIN);
}

static void fill_range(const void *args, size_t lo, size_t hi)
{
	const ul_span_args *a = args;

	if (a->a == 0)
		memset(a->y + lo, 0, (hi - lo) * sizeof *a->y);
	else
		for (size_t i = lo; i < hi; i++)
			a->y[i] = (float)a->a;
}

static void fill(void *y, double c, size_t n)
{
	elements(fill_range, (ul_span_args){.a = c, .y = y}, n);
}

static void copy_range(const void *args, size_t lo, size_t hi)
{
	const ul_span_args *a = args;

	memcpy(a->y + lo, a->x + lo, (hi - lo) * sizeof *a->y);
}

static void copy(void *y, const void *x, size_t n)
{
	elements(copy_range, (ul_span_args){.y = y, .x = x}, n);
}

static void axpby(void *y, double a, const void *x, double b, size_t n)
{
	elements(ul_cpu()->axpby, (ul_span_args){.a = a, .b = b, .y = y, .x = x}, n);
}

static void add(void *y, const void *x, double c, const void *z, size_t n)
{
	elements(ul_cpu()->add, (ul_span_args){.a = c, .y = y, .x = x, .z = z}, n);
}

static void mul(void *y, const void *x, const void *z, double beta, size_t n)
{
	elements(ul_cpu()->mul, (ul_span_args){.b = beta, .y = y, .x = x, .z = z}, n);
}

static void act(int f, void *y, const void *x, size_t n)
{
	elements(ul_cpu()->act, (ul_span_args){.f = f, .y = y, .x = x}, n);
}

static void act_grad(int f, void *dx, const void *x, const void *dy, size_t n)
{
	elements(ul_cpu()->act_grad, (ul_span_args){.f = f, .y = dx, .x = x, .z = dy}, n);
}

static void gate(const ul_gate_args *a)
{
	ul_cpu_share(ul_cpu()->gate, a, a->n, LINE, GRAIN / 4);
}

static void gate_grad(const ul_gate_args *a)
{
	ul_cpu_share(ul_cpu()->gate_grad, a, a->n, LINE, GRAIN / 4);
}

static void adamw(void *w, const void *g, void *m, void *v, size_t n, const ul_adamw *o)
{
	elements(ul_cpu()->adamw, (ul_span_args){.y = w, .y2 = m, .y3 = v, .x = g, .more = o}, n);
}

static void sgd(void *w, const void *g, void *m, size_t n, const ul_sgd *o)
{
	elements(ul_cpu()->sgd, (ul_span_args){.y = w, .y2 = m, .x = g, .more = o}, n);
}

/* ---- rows ---- */

static size_t grain_of(int cols)
{
	return (size_t)(GRAIN / (cols < GRAIN ? cols : GRAIN));
}

static void rows_of(ul_range f, ul_row_args a, int rows)
{
	ul_cpu_share(f, &a, (size_t)rows, 1, grain_of(a.cols));
}

static void cols_of(ul_range f, ul_row_args a)
{
	ul_cpu_share(f, &a, (size_t)a.cols, LINE, grain_of(a.rows > 0 ? a.rows : 1));
}

static void add_bias(void *y, const void *b, int rows, int cols)
{
	rows_of(ul_cpu()->add_bias, (ul_row_args){.cols = cols, .y = y, .x = b}, rows);
}

static void sum_rows(void *b, const void *y, int rows, int cols, ul_arena *work)
{
	cols_of(ul_cpu()->sum_rows, (ul_row_args){.cols = cols, .rows = rows, .y = b, .x = y});
}

static void gather(void *y, const void *x, const int *index, int n, int cols, double scale)
{
	rows_of(ul_cpu()->gather, (ul_row_args){.cols = cols, .scale = scale, .y = y, .x = x, .index = index}, n);
}

static void scatter_add(void *dx, const void *dy, const int *index, int n, int cols, double scale)
{
	cols_of(ul_cpu()->scatter_add, (ul_row_args){.cols = cols, .rows = n, .scale = scale, .y = dx, .x = dy, .index = index});
}

static void rows_axpy(void *y, const double *c, const void *x, int rows, int cols)
{
	rows_of(ul_cpu()->rows_axpy, (ul_row_args){.cols = cols, .y = y, .x = x, .c = c}, rows);
}

static void cols_copy_range(const void *args, size_t lo, size_t hi)
{
	const ul_row_args *r = args;
	const ul_cols_args *a = r->more;
	float *y = r->y + lo * (size_t)(a->width * a->count);

	for (size_t i = lo; i < hi; i++)
		for (int g = 0; g < a->count; g++, y += a->width)
			memcpy(y, r->x + i * (size_t)a->xcols + a->start + g * a->stride, (size_t)a->width * sizeof *y);
}

static void cols_add_range(const void *args, size_t lo, size_t hi)
{
	const ul_row_args *r = args;
	const ul_cols_args *a = r->more;
	const float *dy = r->x + lo * (size_t)(a->width * a->count);

	for (size_t i = lo; i < hi; i++)
		for (int g = 0; g < a->count; g++, dy += a->width) {
			float *dx = r->y + i * (size_t)a->xcols + a->start + g * a->stride;
			for (int c = 0; c < a->width; c++)
				dx[c] += dy[c];
		}
}

static void cols_copy(void *y, const void *x, const ul_cols_args *a)
{
	rows_of(cols_copy_range, (ul_row_args){.cols = a->width * a->count, .y = y, .x = x, .more = a}, a->rows);
}

static void cols_add(void *dx, const void *dy, const ul_cols_args *a)
{
	rows_of(cols_add_range, (ul_row_args){.cols = a->width * a->count, .y = dx, .x = dy, .more = a}, a->rows);
}

static void rows_dot_range(const void *args, size_t lo, size_t hi)
{
	const ul_row_args *a = args;

	for (size_t r = lo; r < hi; r++)
		a->out[r] = ul_cpu()->dot(a->x + r * (size_t)a->cols, a->z + r * (size_t)a->cols, (size_t)a->cols);
}

static void rows_sqdist_range(const void *args, size_t lo, size_t hi)
{
	const ul_row_args *a = args;

	for (size_t r = lo; r < hi; r++)
		a->out[r] = ul_cpu()->sqdist(a->x + r * (size_t)a->cols, a->z + r * (size_t)a->cols, (size_t)a->cols);
}

static void rows_dot(double *out, const void *x, const void *y, int rows, int cols)
{
	rows_of(rows_dot_range, (ul_row_args){.cols = cols, .out = out, .x = x, .z = y}, rows);
}

static void rows_sqdist(double *out, const void *x, const void *y, int rows, int cols)
{
	rows_of(rows_sqdist_range, (ul_row_args){.cols = cols, .out = out, .x = x, .z = y}, rows);
}

/* Sums over everything are cut into at most PARTS parts of the same length whatever the number of threads. */
enum { PARTS = 256 };

static double dot(const void *x, const void *y, size_t n)
{
	double part[PARTS], total = 0;
	size_t each = (n / PARTS + 4096) / 4096 * 4096;
	int parts = (int)((n + each - 1) / each);
	ul_row_args a = {.cols = (int)each, .out = part, .x = x, .z = y};

	if (parts > 1)
		ul_cpu_share(rows_dot_range, &a, (size_t)parts - 1, 1, 8);
	if (parts > 0)
		part[parts - 1] = ul_cpu()->dot((const float *)x + (size_t)(parts - 1) * each, (const float *)y + (size_t)(parts - 1) * each, n - (size_t)(parts - 1) * each);
	for (int i = 0; i < parts; i++)
		total += part[i];
	return total;
}

static double sum(const void *x, size_t n)
{
	double total = 0;

	for (size_t i = 0; i < n; i++)
		total += (double)((const float *)x)[i];
	return total;
}

static void norm(ul_range f, const ul_norm_args *a)
{
	ul_cpu_share(f, a, (size_t)a->groups, 1, grain_of(a->cols));
}

static void norm_weights(ul_range f, const ul_norm_args *a)
{
	ul_cpu_share(f, a, (size_t)a->cols, LINE, grain_of(a->groups > 0 ? a->groups : 1));
}

static void rmsnorm(const ul_norm_args *a)
{
	norm(ul_cpu()->rmsnorm, a);
}

static void rmsnorm_grad(const ul_norm_args *a)
{
	if (a->dx)
		norm(ul_cpu()->rmsnorm_dx, a);
	if (a->dw)
		norm_weights(ul_cpu()->rmsnorm_dw, a);
}

static void layernorm(const ul_norm_args *a)
{
	norm(ul_cpu()->layernorm, a);
}

static void layernorm_grad(const ul_norm_args *a)
{
	if (a->dx)
		norm(ul_cpu()->layernorm_dx, a);
	if (a->dw || a->db)
		norm_weights(ul_cpu()->layernorm_dw, a);
}

static void rotate(void *y, const void *x, const ul_rotate_args *a)
{
	ul_cpu_share(ul_cpu()->rotate, &(ul_rotate_pair){a, y, x}, (size_t)a->rows, 1, grain_of(a->cols));
}

static void logp(const void *z, const int *target, double *lse, double *out, const ul_head_stats *want, const int shape[2])
{
	ul_softmax_args a = {.vocab = shape[1], .z = (float *)z, .lse = lse, .logp = out, .target = target, .want = want};

	ul_cpu_share(ul_cpu()->logp, &a, (size_t)shape[0], 1, grain_of(shape[1]));
}

static void logp_grad(void *z, const double *lse, const double *dlogp, const int *target, const int shape[2])
{
	ul_softmax_args a = {.vocab = shape[1], .z = z, .lse = (double *)lse, .dlogp = dlogp, .target = target};

	ul_cpu_share(ul_cpu()->logp_grad, &a, (size_t)shape[0], 1, grain_of(shape[1]));
}

static void soft(const ul_soft_args *a)
{
	ul_cpu_share(ul_cpu()->soft, a, (size_t)a->rows, 1, grain_of(a->vocab));
}

/* Functions of row losses see short columns only: as the plain backend computes them, in double. */
static void fn(int f, void *y, const void *x, size_t n)
{
	ul_backend_ref.fn(f, y, x, n);
}

static void fn_grad(int f, void *dx, const void *x, const void *dy, size_t n)
{
	ul_backend_ref.fn_grad(f, dx, x, dy, n);
}

static void cap(void *y, const void *x, double most, size_t n)
{
	ul_backend_ref.cap(y, x, most, n);
}

static void cap_grad(void *dx, const void *x, const void *dy, double most, size_t n)
{
	ul_backend_ref.cap_grad(dx, x, dy, most, n);
}

const ul_backend ul_backend_cpu = {
        .name = "cpu",
        .elem = sizeof(float),
        .gemm = ul_cpu_gemm,
        .attend = ul_cpu_attend,
        .attend_grad = ul_cpu_attend_grad,
        .from_f64 = from_f64,
        .to_f64 = to_f64,
        .from_f32 = from_f32,
        .to_f32 = to_f32,
        .fill = fill,
        .copy = copy,
        .axpby = axpby,
        .add = add,
        .mul = mul,
        .act = act,
        .act_grad = act_grad,
        .gate = gate,
        .gate_grad = gate_grad,
        .fn = fn,
        .fn_grad = fn_grad,
        .cap = cap,
        .cap_grad = cap_grad,
        .add_bias = add_bias,
        .sum_rows = sum_rows,
        .gather = gather,
        .scatter_add = scatter_add,
        .cols_copy = cols_copy,
        .cols_add = cols_add,
        .rows_axpy = rows_axpy,
        .rows_dot = rows_dot,
        .rows_sqdist = rows_sqdist,
        .dot = dot,
        .sum = sum,
        .rmsnorm = rmsnorm,
        .rmsnorm_grad = rmsnorm_grad,
        .layernorm = layernorm,
        .layernorm_grad = layernorm_grad,
        .rotate = rotate,
        .logp = logp,
        .logp_grad = logp_grad,
        .soft = soft,
        .adamw = adamw,
        .sgd = sgd,
};
