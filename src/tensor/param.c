/*
 * param.c: parameters. Weights are elements of the backend; a frozen one may be borrowed from a mapped file, also as the file packs
 * it (bfloat16, quantised blocks), a trainable one owns its memory and a gradient of the same size.
 */
#include "tensor/backend.h"

#include <string.h>

static size_t count(const ul_param *p)
{
	return (size_t)p->rows * (size_t)p->cols;
}

ul_param *ul_param_new(ul_arena *a, const ul_backend *be, const char *name, int rows, int cols)
{
	ul_param *p = ul_alloc(a, sizeof *p);
	const char *own = ul_arena_strdup(a, name);
	void *data = ul_calloc((size_t)rows * (size_t)cols, be->elem);

	if (!p || !own || !data) {
		ul_free(data);
		return NULL;
	}
	*p = (ul_param){.name = own, .rows = rows, .cols = cols, .dtype = UL_F32, .data = data, .be = be};
	return p;
}

void ul_param_release(ul_param *p)
{
	if (!p)
		return;
	if (!p->borrowed) {
		ul_free(p->data);
		ul_free((void *)(uintptr_t)p->packed);
	}
	ul_free(p->grad);
	p->data = p->grad = NULL;
	p->packed = NULL;
	p->trainable = false;
}

bool ul_packs(const ul_backend *be, enum ul_dtype t, int cols)
{
	bool known = t == UL_BF16 || t == UL_F16 || t == UL_Q8_0 || t == UL_Q4_0 || t == UL_Q4_1 || t == UL_Q5_0 || t == UL_Q5_1;

	return be == &ul_backend_cpu && known && (size_t)cols % ul_dtype_block(t) == 0;
}

bool ul_param_own(ul_param *p, ul_err *err)
{
	size_t n = count(p);

	if (!p->borrowed && !p->packed)
		return true;
	void *data = ul_malloc(n * p->be->elem);
	if (!data)
		return ul_nomem(err, n * p->be->elem);
	if (p->packed)
		ul_dequantize(p->dtype, p->packed, data, n);
	else
		memcpy(data, p->data, n * p->be->elem);
	if (!p->borrowed)
		ul_free((void *)(uintptr_t)p->packed);
	p->data = data;
	p->packed = NULL;
	p->borrowed = false;
	return true;
}

bool ul_param_train(ul_param *p, bool on, ul_err *err)
{
	size_t bytes = count(p) * p->be->elem;

	if (!on) {
		ul_free(p->grad);
		p->grad = NULL;
		p->trainable = false;
		return true;
	}
	void *grad = p->grad ? p->grad : ul_calloc(bytes, 1);
	if (!grad)
		return ul_nomem(err, bytes);
	if (!ul_param_own(p, err)) {
		if (grad != p->grad)
			ul_free(grad);
		return false;
	}
	p->grad = grad;
	p->trainable = true;
	return true;
}

void ul_param_rows_f32(const ul_param *p, int row, int n, float *out)
{
	size_t cols = (size_t)p->cols, at = (size_t)row * cols;

	if (p->packed)
		ul_dequantize(p->dtype, (const char *)p->packed + ul_dtype_bytes(p->dtype, at), out, (size_t)n * cols);
	else
		p->be->to_f32(out, (const char *)p->data + at * p->be->elem, (size_t)n * cols);
}

void ul_param_get(const ul_param *p, double *out)
{
	if (!p->packed) {
		p->be->to_f64(out, p->data, count(p));
		return;
	}
	float x[256];
	for (size_t at = 0, n; at < count(p); at += n) {
		n = count(p) - at < 256 ? count(p) - at : 256;
		ul_dequantize(p->dtype, (const char *)p->packed + ul_dtype_bytes(p->dtype, at), x, n);
		for (size_t i = 0; i < n; i++)
			out[at + i] = (double)x[i];
	}
}

void ul_param_set(ul_param *p, const double *in)
{
	UL_ASSERT(!p->borrowed && !p->packed, "%s is borrowed: own it first", p->name);
	p->be->from_f64(p->data, in, count(p));
}

void ul_param_get_f32(const ul_param *p, float *out)
{
	ul_param_rows_f32(p, 0, p->rows, out);
}

void ul_param_set_f32(ul_param *p, const float *in)
{
	UL_ASSERT(!p->borrowed && !p->packed, "%s is borrowed: own it first", p->name);
	p->be->from_f32(p->data, in, count(p));
}

void ul_param_grad(const ul_param *p, double *out)
{
	if (p->grad)
		p->be->to_f64(out, p->grad, count(p));
	else
		memset(out, 0, count(p) * sizeof *out);
}
