/*
 * param.c: parameters. Weights are elements of the backend; a frozen one may be borrowed from a mapped file, a trainable one owns
 * its memory and a gradient of the same size.
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
	if (!p->borrowed)
		ul_free(p->data);
	ul_free(p->grad);
	p->data = p->grad = NULL;
	p->trainable = false;
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
	void *data = grad && p->borrowed ? ul_malloc(bytes) : p->data;
	if (!grad || !data) {
		if (grad != p->grad)
			ul_free(grad);
		return ul_nomem(err, bytes);
	}
	if (p->borrowed)
		memcpy(data, p->data, bytes);
	p->data = data;
	p->grad = grad;
	p->borrowed = false;
	p->trainable = true;
	return true;
}

void ul_param_get(const ul_param *p, double *out)
{
	p->be->to_f64(out, p->data, count(p));
}

void ul_param_set(ul_param *p, const double *in)
{
	UL_ASSERT(!p->borrowed, "%s is borrowed: make it trainable first", p->name);
	p->be->from_f64(p->data, in, count(p));
}

void ul_param_get_f32(const ul_param *p, float *out)
{
	p->be->to_f32(out, p->data, count(p));
}

void ul_param_set_f32(ul_param *p, const float *in)
{
	UL_ASSERT(!p->borrowed, "%s is borrowed: make it trainable first", p->name);
	p->be->from_f32(p->data, in, count(p));
}

void ul_param_grad(const ul_param *p, double *out)
{
	if (p->grad)
		p->be->to_f64(out, p->grad, count(p));
	else
		memset(out, 0, count(p) * sizeof *out);
}
