/*
 * test_dfsu.c: the masked contrastive loss of DFSU in an adapter: its gradient by differences, and that it leaves the weights below it
 * as they were, taken off or merged.
 */
#include "tests/method/lab.h"

#define GOLDEN "tests/golden/methods/"

/* PSCU in an adapter of rank 4 on the MLP, on rows of which every third token is personal. */
static void open_lab(struct lab *lab, const char *backend, const char *settings)
{
	const json_t *golden = lab_json(GOLDEN "golden.json");
	json_t *s = ul_json_parse(settings, strlen(settings), "settings", &lab->err);
	NEED_OK(s, lab->err);
	lab->model = lab_model(GOLDEN "theta", backend);
	lab_method(lab, "pscu", s);
	lab->run.train.lora = "r=4,alpha=32,target=mlp";
	lab_rows(lab, UL_FORGET, json_object_get(golden, "forget"));
	lab_begin(lab);
	for (int i = 0; i < lab->data[UL_FORGET].n; i++)
		for (int t = i % 3; t < lab->data[UL_FORGET].row[i].n; t += 3)
			lab->data[UL_FORGET].row[i].flags[t] |= UL_ROW_SPAN;
	json_decref(s);
	json_decref((json_t *)(uintptr_t)golden);
}

static double *get(const ul_param *p)
{
	double *x = ul_malloc((size_t)p->rows * (size_t)p->cols * sizeof *x);
	NEED(x);
	ul_param_get(p, x);
	return x;
}

/* Both factors of one module, B away from zero, so that A has a gradient too. */
static void by_differences(struct lab *lab, ul_param *p)
{
	size_t n = (size_t)p->rows * (size_t)p->cols;
	double *x = get(p), *g = ul_malloc(n * sizeof *g), scale = 0;
	lab_loss(lab);
	ul_param_grad(p, g);
	for (size_t i = 0; i < n; i++)
		scale = fmax(scale, fabs(g[i]));
	CHECK_MSG(scale > 0, "%s has no gradient", p->name);
	for (size_t i = 0; i < n; i += 1 + n / 24) {
		const double h = 1e-6, at = x[i];
		x[i] = at + h;
		ul_param_set(p, x);
		double up = lab_loss(lab);
		x[i] = at - h;
		ul_param_set(p, x);
		double down = lab_loss(lab);
		x[i] = at;
		ul_param_set(p, x);
		CHECK_MSG(fabs((up - down) / (2 * h) - g[i]) <= 1e-4 * scale, "%s[%zu]: gradient %.9g, by differences %.9g", p->name, i, g[i], (up - down) / (2 * h));
	}
	ul_free(x);
	ul_free(g);
}

static void test_dfsu__gradient_by_differences(void)
{
	static const char *const settings[] = {"{\"alpha\": \"0.7\", \"beta\": \"1.3\"}", "{\"alpha\": \"1\", \"beta\": \"1\", \"clamp\": \"yes\"}"};
	for (int k = 0; k < 2; k++) {
		struct lab lab = {0};
		open_lab(&lab, "ref64", settings[k]);
		ul_adapter *ad = lab.model->adapter;
		ul_rng r = ul_rng_at(3, "test", 0);
		for (int i = 1; i < ad->params; i += 2) {
			double *b = get(ad->param[i]);
			for (int j = 0; j < ad->param[i]->rows * ad->param[i]->cols; j++)
				b[j] = 0.05 * ul_rng_normal(&r);
			ul_param_set(ad->param[i], b);
			ul_free(b);
		}
		by_differences(&lab, ad->param[0]);
		by_differences(&lab, ad->param[1]);
		by_differences(&lab, ad->param[ad->params - 1]);
		lab_end(&lab);
	}
}

/* Logits at every position of a row; [n, vocab] */
static double *logits(ul_model *m, const ul_row *row)
{
	double *out = ul_malloc((size_t)row->n * (size_t)m->cfg.vocab * sizeof *out);
	int pos[64], start[] = {0, row->n};
	NEED(out && row->n <= 64);
	for (int i = 0; i < row->n; i++)
		pos[i] = i;
	ul_tape t;
	ul_tape_init(&t, m->be);
	t.record = false;
	ul_pass p = {.tape = &t, .ids = row->ids, .pos = pos, .span = {1, start}};
	ul_read(ul_head_logits(ul_forward(m, &p), m->head, m->head_b), out);
	ul_tape_release(&t);
	return out;
}

/* After training: the weights below are those of the file, without the adapter every logit is the one from before, and with the
 * adapter merged it is the one with it on top. */
static void test_dfsu__only_the_adapter_learns(void)
{
	struct lab lab = {0};
	open_lab(&lab, "cpu", "{\"lr\": \"1e-2\", \"steps\": \"12\", \"batch\": \"4\", \"clamp\": \"yes\"}");
	const ul_row *row = &lab.data[UL_FORGET].row[0];
	size_t n = (size_t)row->n * (size_t)lab.model->cfg.vocab;
	double *before = logits(lab.model, row);
	bool stopped = false;
	NEED_OK(ul_loop_run(&lab.run, &stopped, &lab.err), lab.err);
	double *with = logits(lab.model, row), moved = 0;
	for (size_t i = 0; i < n; i++)
		moved = fmax(moved, fabs(with[i] - before[i]));
	CHECK_MSG(moved > 0.1, "it learnt nothing: no logit moved by more than %g", moved);
	ul_model *fresh = lab_model(GOLDEN "theta", "cpu");
	CHECK_EQ_INT(fresh->params, lab.model->params);
	for (int i = 0; i < fresh->params; i++) {
		double *x = get(fresh->param[i]), *y = get(lab.model->param[i]);
		CHECK_MSG(!memcmp(x, y, (size_t)fresh->param[i]->rows * (size_t)fresh->param[i]->cols * sizeof *x), "%s has changed", fresh->param[i]->name);
		ul_free(x);
		ul_free(y);
	}
	lab.run.params = 0; /* the adapter's, which go */
	NEED_OK(ul_lora_write(lab.model, test_path("adapter"), &lab.err) && ul_lora_open(fresh, test_path("adapter"), &lab.err), lab.err);
	NEED_OK(ul_lora_merge(fresh, 1, &lab.err), lab.err);
	double *in = logits(fresh, row);
	CHECK_ARRAY(in, with, n, 1e-5);
	ul_lora_detach(lab.model);
	double *without = logits(lab.model, row);
	CHECK_ARRAY(without, before, n, 0);
	ul_free(before);
	ul_free(with);
	ul_free(in);
	ul_free(without);
	ul_model_free(fresh);
	lab_end(&lab);
}
