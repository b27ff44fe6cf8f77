/*
 * select.c: which parameters a run trains. LoRA: every A and B of the adapter. Full: all of the model, narrowed by --layers and by
 * the method (RMU trains three matrices). Nothing else gets a gradient, a moment or a decay.
 */
#include "train/train.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* "3-5," at *s: the next range of the list. False at the end or on a malformed one. */
static bool next_range(const char **s, long *from, long *to)
{
	char *end;
	if (!isdigit((unsigned char)**s)) {
		return false;
	}
	*from = *to = strtol(*s, &end, 10);
	if (*end == '-') {
		if (!isdigit((unsigned char)end[1])) {
			return false;
		}
		*to = strtol(end + 1, &end, 10);
	}
	if (*end == ',') {
		end++;
	} else if (*end) {
		return false;
	}
	*s = end;
	return true;
}

bool ul_layer_listed(const char *list, int layer)
{
	long from, to;
	if (!list || !*list) {
		return true;
	}
	while (next_range(&list, &from, &to)) {
		if (layer >= from && layer <= to) {
			return true;
		}
	}
	return false;
}

static bool check_list(const char *list, int layers, ul_err *err)
{
	long from, to;
	const char *s = list;
	while (*s) {
		if (!next_range(&s, &from, &to) || from > to) {
			ul_fail(err, "--layers \"%s\" is no list of blocks", list);
			ul_hint(err, "write it as 0-3,5");
			return false;
		}
		if (to >= layers) {
			return ul_fail(err, "--layers names block %ld, the model has blocks 0 to %d", to, layers - 1);
		}
	}
	return true;
}

/* "model.layers.3.mlp.up_proj.weight", "transformer.h.3.…": the first component that is a number. */
int ul_param_layer(const ul_param *p)
{
	for (const char *s = p->name; (s = strchr(s, '.')); s++) {
		if (isdigit((unsigned char)s[1])) {
			char *end;
			long n = strtol(s + 1, &end, 10);
			if (*end == '.' && n <= 1000000) {
				return (int)n;
			}
		}
	}
	return -1;
}

static bool wanted(const ul_run *r, const ul_param *p)
{
	if (r->method->trains && !r->method->trains(r, r->config, p)) {
		return false;
	}
	return !r->train.layers || (ul_param_layer(p) >= 0 && ul_layer_listed(r->train.layers, ul_param_layer(p)));
}

bool ul_select_params(ul_run *r, ul_err *err)
{
	const ul_model *m = r->model;
	bool lora = r->train.lora != NULL;
	ul_param **from = lora ? m->adapter->param : m->param;
	int n = lora ? m->adapter->params : m->params;
	if (r->train.layers && !check_list(r->train.layers, m->cfg.layers, err)) {
		return false;
	}
	r->param = ul_alloc(&r->arena, ((size_t)n + 1) * sizeof *r->param);
	if (!r->param) {
		return ul_nomem(err, (size_t)n * sizeof *r->param);
	}
	for (int i = 0; i < n; i++) {
		if (!lora && !wanted(r, from[i])) {
			continue;
		}
		if (!ul_param_train(from[i], true, err)) {
			return false;
		}
		r->param[r->params++] = from[i];
	}
	if (r->params == 0) {
		return ul_fail(err, "nothing is left to train: %d tensors, none of them chosen", n);
	}
	return true;
}
