/*
 * ref_elements.h: the judge's kernels over single elements and rows, a template over `real`. Plain loops in the order of the
 * formula; every sum and every function in double. Included by ref32.c and ref64.c.
 */

/* ---- memory ---- */

static void from_f64(void *dst, const double *src, size_t n)
{
	real *y = dst;

	for (size_t i = 0; i < n; i++)
		y[i] = (real)src[i];
}

static void to_f64(double *dst, const void *src, size_t n)
{
	const real *x = src;

	for (size_t i = 0; i < n; i++)
		dst[i] = x[i];
}

static void from_f32(void *dst, const float *src, size_t n)
{
	real *y = dst;

	for (size_t i = 0; i < n; i++)
		y[i] = src[i];
}

static void to_f32(float *dst, const void *src, size_t n)
{
	const real *x = src;

	for (size_t i = 0; i < n; i++)
		dst[i] = (float)x[i];
}

/* ---- elements ---- */

static void fill(void *y, double c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((real *)y)[i] = (real)c;
}

static void copy(void *y, const void *x, size_t n)
{
	memcpy(y, x, n * sizeof(real));
}

static void axpby(void *yv, double a, const void *xv, double b, size_t n)
{
	real *y = yv;
	const real *x = xv;

	for (size_t i = 0; i < n; i++)
		y[i] = (real)(a * (double)x[i] + (b != 0 ? b * (double)y[i] : 0));
}

static void add(void *yv, const void *xv, double c, const void *zv, size_t n)
{
	real *y = yv;
	const real *x = xv, *z = zv;

	for (size_t i = 0; i < n; i++)
		y[i] = (real)((double)x[i] + c * (double)z[i]);
}

static void mul(void *yv, const void *xv, const void *zv, double beta, size_t n)
{
	real *y = yv;
	const real *x = xv, *z = zv;

	for (size_t i = 0; i < n; i++)
		y[i] = (real)((double)x[i] * (double)z[i] + (beta != 0 ? beta * (double)y[i] : 0));
}

/* f(x) and, where d is given, f'(x) */
static double act_at(int f, double x, double *d)
{
	double s, u, t;

	switch (f) {
	case UL_SILU:
		s = 1 / (1 + exp(-x));
		if (d)
			*d = s * (1 + x * (1 - s));
		return x * s;
	case UL_GELU:
		s = 0.5 * (1 + erf(x * M_SQRT1_2));
		if (d)
			*d = s + x * exp(-0.5 * x * x) * (0.5 * M_2_SQRTPI * M_SQRT1_2);
		return x * s;
	case UL_GELU_TANH: /* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
		u = M_2_SQRTPI * M_SQRT1_2 * (x + 0.044715 * x * x * x);
		t = tanh(u);
		if (d)
			*d = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (M_2_SQRTPI * M_SQRT1_2) * (1 + 3 * 0.044715 * x * x);
		return 0.5 * x * (1 + t);
	default: /* UL_RELU */
		if (d)
			*d = x > 0;
		return x > 0 ? x : 0;
	}
}

static void act(int f, void *y, const void *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((real *)y)[i] = (real)act_at(f, ((const real *)x)[i], NULL);
}

static void act_grad(int f, void *dx, const void *x, const void *dy, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double d;
		act_at(f, ((const real *)x)[i], &d);
		((real *)dx)[i] += (real)(d * (double)((const real *)dy)[i]);
	}
}

static void gate(const ul_gate_args *a)
{
	const real *g = a->g, *u = a->u;

	for (size_t i = 0; i < a->n; i++)
		((real *)a->y)[i] = (real)(act_at(a->f, g[i], NULL) * (double)u[i]);
}

static void gate_grad(const ul_gate_args *a)
{
	const real *g = a->g, *u = a->u, *dy = a->dy;

	for (size_t i = 0; i < a->n; i++) {
		double d, f = act_at(a->f, g[i], &d);
		if (a->dg)
			((real *)a->dg)[i] += (real)(d * (double)u[i] * (double)dy[i]);
		if (a->du)
			((real *)a->du)[i] += (real)(f * (double)dy[i]);
	}
}

static double fn_at(int f, double x, double *d)
{
	switch (f) {
	case UL_EXP:
		*d = exp(x);
		return *d;
	case UL_LOG:
		*d = 1 / x;
		return log(x);
	case UL_LOGSIGMOID:
		*d = x > 0 ? exp(-x) / (1 + exp(-x)) : 1 / (1 + exp(x));
		return x > 0 ? -log1p(exp(-x)) : x - log1p(exp(x));
	case UL_LOG1MEXP: /* two forms, each exact on its side of -log 2 (Maechler 2012) */
		*d = -1 / expm1(-x);
		return x > -M_LN2 ? log(-expm1(x)) : log1p(-exp(x));
	case UL_SQUARE:
		*d = 2 * x;
		return x * x;
	case UL_ABS:
		*d = (x > 0) - (x < 0);
		return fabs(x);
	default: /* UL_RELU_FN */
		*d = x > 0;
		return x > 0 ? x : 0;
	}
}

static void fn(int f, void *y, const void *x, size_t n)
{
	double unused;

	for (size_t i = 0; i < n; i++)
		((real *)y)[i] = (real)fn_at(f, ((const real *)x)[i], &unused);
}

static void fn_grad(int f, void *dx, const void *x, const void *dy, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double d;
		fn_at(f, ((const real *)x)[i], &d);
		((real *)dx)[i] += (real)(d * (double)((const real *)dy)[i]);
	}
}

static void cap(void *y, const void *xv, double most, size_t n)
{
	const real *x = xv;

	for (size_t i = 0; i < n; i++)
		((real *)y)[i] = (double)x[i] > most ? (real)most : x[i]; /* a NaN stays one */
}

static void cap_grad(void *dx, const void *xv, const void *dy, double most, size_t n)
{
	const real *x = xv;

	for (size_t i = 0; i < n; i++)
		if (!((double)x[i] > most))
			((real *)dx)[i] += ((const real *)dy)[i];
}

/* ---- rows ---- */

static void add_bias(void *yv, const void *b, int rows, int cols)
{
	real *y = yv;

	for (int r = 0; r < rows; r++, y += cols)
		for (int c = 0; c < cols; c++)
			y[c] += ((const real *)b)[c];
}

static void sum_rows(void *b, const void *yv, int rows, int cols, ul_arena *work)
{
	const real *y = yv;

	(void)work;
	for (int c = 0; c < cols; c++) {
		double sum = 0;
		for (int r = 0; r < rows; r++)
			sum += y[(size_t)r * (size_t)cols + (size_t)c];
		((real *)b)[c] += (real)sum;
	}
}

static void gather(void *yv, const void *xv, const int *index, int n, int cols, double scale)
{
	real *y = yv;

	for (int r = 0; r < n; r++, y += cols) {
		const real *x = (const real *)xv + (size_t)index[r] * (size_t)cols;
		for (int c = 0; c < cols; c++)
			y[c] = (real)(scale * (double)x[c]);
	}
}

static void scatter_add(void *dxv, const void *dyv, const int *index, int n, int cols, double scale)
{
	const real *dy = dyv;

	for (int r = 0; r < n; r++, dy += cols) {
		real *dx = (real *)dxv + (size_t)index[r] * (size_t)cols;
		for (int c = 0; c < cols; c++)
			dx[c] += (real)(scale * (double)dy[c]);
	}
}

static void cols_copy(void *yv, const void *xv, const ul_cols_args *a)
{
	real *y = yv;

	for (int r = 0; r < a->rows; r++)
		for (int g = 0; g < a->count; g++, y += a->width)
			memcpy(y, (const real *)xv + (size_t)r * (size_t)a->xcols + a->start + g * a->stride, (size_t)a->width * sizeof *y);
}

static void cols_add(void *dxv, const void *dyv, const ul_cols_args *a)
{
	const real *dy = dyv;

	for (int r = 0; r < a->rows; r++)
		for (int g = 0; g < a->count; g++, dy += a->width) {
			real *dx = (real *)dxv + (size_t)r * (size_t)a->xcols + a->start + g * a->stride;
			for (int c = 0; c < a->width; c++)
				dx[c] += dy[c];
		}
}

static void rows_axpy(void *yv, const double *c, const void *xv, int rows, int cols)
{
	real *y = yv;
	const real *x = xv;

	for (int r = 0; r < rows; r++, y += cols, x += cols)
		for (int i = 0; i < cols; i++)
			y[i] += (real)(c[r] * (double)x[i]);
}

static double dot(const void *xv, const void *yv, size_t n)
{
	const real *x = xv, *y = yv;
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)y[i];
	return sum;
}

static double sum(const void *x, size_t n)
{
	double s = 0;

	for (size_t i = 0; i < n; i++)
		s += (double)((const real *)x)[i];
	return s;
}

static void rows_dot(double *out, const void *x, const void *y, int rows, int cols)
{
	for (int r = 0; r < rows; r++)
		out[r] = dot((const real *)x + (size_t)r * (size_t)cols, (const real *)y + (size_t)r * (size_t)cols, (size_t)cols);
}

static void rows_sqdist(double *out, const void *xv, const void *yv, int rows, int cols)
{
	const real *x = xv, *y = yv;

	for (int r = 0; r < rows; r++, x += cols, y += cols) {
		out[r] = 0;
		for (int c = 0; c < cols; c++)
			out[r] += ((double)x[c] - (double)y[c]) * ((double)x[c] - (double)y[c]);
	}
}

/* ---- optimisers ---- */

static void adamw(void *wv, const void *gv, void *mv, void *vv, size_t n, const ul_adamw *o)
{
	real *w = wv, *m = mv, *v = vv;
	const real *g = gv;

	for (size_t i = 0; i < n; i++) {
		double gi = (double)g[i] * o->gscale;
		m[i] = (real)(o->beta1 * (double)m[i] + (1 - o->beta1) * gi);
		v[i] = (real)(o->beta2 * (double)v[i] + (1 - o->beta2) * gi * gi);
		double step = (double)m[i] / o->c1 / (sqrt((double)v[i] / o->c2) + o->eps);
		w[i] = (real)((double)w[i] * (1 - o->lr * o->decay) - o->lr * step);
	}
}

static void sgd(void *wv, const void *gv, void *mv, size_t n, const ul_sgd *o)
{
	real *w = wv, *m = mv;
	const real *g = gv;

	for (size_t i = 0; i < n; i++) {
		double step = (double)g[i] * o->gscale + o->decay * (double)w[i];
		if (m) {
			step += o->momentum * (double)m[i];
			m[i] = (real)step;
		}
		w[i] = (real)((double)w[i] - o->lr * step);
	}
}
