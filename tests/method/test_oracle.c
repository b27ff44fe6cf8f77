/*
 * test_oracle.c: the rows of ../shared/data/oracle-hf/unlearn: losses of executed open-unlearning code on a tiny Llama, and three
 * of PyTorch's AdamW steps.
 */
#include "tests/method/lab.h"

static const struct {
	const char *name, *method;
	const char *setting[5][2];
} cases[] = {
        {"ga", "ga", {{0}}},
        {"graddiff", "graddiff", {{0}}},
        {"npo", "npo", {{"retain-weight", "0"}}},
        {"npo_at_ref", "npo", {{"retain-weight", "0"}}},
        {"npo_rt", "npo", {{0}}},
        {"simnpo", "simnpo", {{"compat", "open-unlearning"}}},
        {"simnpo_forget_only", "simnpo", {{"compat", "open-unlearning"}, {"forget-weight", "1"}, {"retain-weight", "0"}}},
        {"simnpo_soft", "simnpo", {{"compat", "open-unlearning"}, {"forget-weight", "1"}, {"retain-weight", "0"}, {"beta", "0.5"}, {"delta", "1.5"}}},
        {"rmu", "rmu", {{"compat", "open-unlearning"}, {"layer", "1"}}},
        {"rmu_forget_only", "rmu", {{"compat", "open-unlearning"}, {"layer", "1"}, {"retain-weight", "0"}}},
        {"rmu_rowmean", "rmu", {{"layer", "1"}}},
        {"pscu", "pscu", {{"retain-weight", "0"}}},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void open_row(struct lab *lab, const json_t *o, int k, const char *backend)
{
	json_t *settings = json_object();
	lab->model = lab_model(test_shared("oracle-hf/tiny/llama_gqa_untied"), backend);
	lab->ref = lab_model(test_shared(strcmp(cases[k].name, "npo_at_ref") ? "oracle-hf/unlearn/ref" : "oracle-hf/tiny/llama_gqa_untied"), backend);
	for (int i = 0; i < 5 && cases[k].setting[i][0]; i++) {
		json_object_set_new(settings, cases[k].setting[i][0], json_string(cases[k].setting[i][1]));
	}
	lab_method(lab, cases[k].method, settings);
	json_decref(settings);
	lab_rows(lab, UL_FORGET, json_object_get(o, "forget"));
	if (lab->method.needs & (UL_NEEDS_RETAIN | UL_USES_RETAIN)) {
		lab_rows(lab, UL_RETAIN, json_object_get(o, "retain"));
	}
	lab_begin(lab);
	lab_spots(lab, json_object_get(o, "pii_mask"));
}

static void read_tensor(ul_arena *a, const char *file, const char *name, double **x, size_t *n)
{
	ul_map map = {0};
	ul_tensors ts = {0};
	ul_err err = {0};
	NEED_OK(ul_map_open(&map, file, &err), err);
	NEED_OK(ul_safetensors_parse(map.data, map.len, file, &ts, a, &err) && ul_tensors_sort(&ts, file, &err), err);
	const ul_tensor *t = ul_tensors_find(&ts, name);
	CHECK_MSG(t != NULL, "%s is not in %s", name, file);
	NEED(t && t->dtype == UL_F64);
	*n = t->n;
	*x = ul_alloc(a, t->bytes);
	NEED(*x);
	memcpy(*x, t->data, t->bytes);
	ul_free(ts.t);
	ul_map_close(&map);
}

static void check_gradients(struct lab *lab, const json_t *o, const char *name, const json_t *row, double rel)
{
	const char *file = test_shared("oracle-hf/unlearn/oracle_tensors.safetensors"), *tensor;
	double all = json_number_value(json_object_get(row, "grad_norm"));
	json_t *v;
	size_t i;
	CHECK_MSG(fabs(ul_grad_norm(lab->run.param, lab->run.params) - all) <= rel * all, "%s: gradient norm %.17g, not %.17g", name, ul_grad_norm(lab->run.param, lab->run.params), all);
	json_object_foreach(json_object_get(row, "grad_norm_per_tensor"), tensor, v)
	{
		double want = json_number_value(v), got = lab_grad_norm(lab, tensor);
		CHECK_MSG(fabs(got - want) <= rel * (want + 1e-3 * all), "%s: gradient norm of %s is %.17g, not %.17g", name, tensor, got, want);
	}
	json_array_foreach(json_object_get(o, "gradient_tensors"), i, v)
	{
		char key[160];
		double *want, *got;
		size_t n, m;
		snprintf(key, sizeof key, "%s|%s", name, json_string_value(v));
		read_tensor(&lab->arena, file, key, &want, &n);
		got = lab_grad(lab, json_string_value(v), &m);
		NEED(n == m);
		CHECK_ARRAY(got, want, n, rel);
	}
}

static void check_rows(const char *backend, double rel)
{
	const json_t *o = lab_json(test_shared("oracle-hf/unlearn/oracle.json"));
	for (int k = 0; k < CASES; k++) {
		struct lab lab = {0};
		const json_t *row = json_object_get(json_object_get(o, "rows"), cases[k].name);
		NEED(row);
		open_row(&lab, o, k, backend);
		if (!strcmp(cases[k].method, "rmu")) {
			double *u;
			size_t n;
			read_tensor(&lab.arena, test_shared("oracle-hf/unlearn/oracle_tensors.safetensors"), "rmu_control_vector", &u, &n);
			NEED(n == (size_t)lab.model->cfg.hidden);
			memcpy(lab.run.state, u, n * sizeof *u);
		}
		double want = json_number_value(json_object_get(row, "value")), got = lab_loss(&lab);
		CHECK_MSG(fabs(got - want) <= rel * fabs(want), "%s: loss %.17g, not %.17g", cases[k].name, got, want);
		check_gradients(&lab, o, cases[k].name, row, rel);
		lab_end(&lab);
	}
	json_decref((json_t *)(uintptr_t)o);
}

static void test_oracle__rows_in_double(void)
{
	check_rows("ref64", 1e-8);
}

static void test_oracle__rows_fast(void)
{
	check_rows("cpu", 1e-4);
}

static void test_oracle__every_row_is_checked(void)
{
	const json_t *o = lab_json(test_shared("oracle-hf/unlearn/oracle.json"));
	const char *name;
	json_t *row;
	json_object_foreach(json_object_get(o, "rows"), name, row)
	{
		bool found = false;
		for (int k = 0; k < CASES; k++) {
			found |= !strcmp(cases[k].name, name);
		}
		CHECK_MSG(found, "row %s is not checked", name);
	}
	json_decref((json_t *)(uintptr_t)o);
}

/* Three steps of npo_rt on one fixed batch, as the file states them. */
static void adamw(const char *backend, double rel)
{
	const json_t *o = lab_json(test_shared("oracle-hf/unlearn/oracle.json")), *a = json_object_get(o, "adamw3");
	struct lab lab = {0};
	size_t i;
	json_t *step;
	open_row(&lab, o, 4, backend);
	ul_run *r = &lab.run;
	r->train.lr = json_number_value(json_object_get(a, "lr"));
	r->train.warmup = json_number_value(json_object_get(a, "warmup_steps"));
	r->train.weight_decay = json_number_value(json_object_get(a, "weight_decay"));
	r->train.schedule = UL_SCHED_CONSTANT;
	json_array_foreach(json_object_get(a, "steps"), i, step)
	{
		CHECK_CLOSE(lab_loss(&lab), json_number_value(json_object_get(step, "loss")), rel);
		double norm = ul_grad_norm(r->param, r->params), lr = ul_schedule(&r->train, (int64_t)i, 3);
		CHECK_CLOSE(norm, json_number_value(json_object_get(step, "grad_norm_before_clip")), rel);
		CHECK_CLOSE(lr, json_number_value(json_object_get(step, "lr")), 1e-15);
		ul_optim_update(r->optim, lr, norm > 1 ? 1 / (norm + 1e-6) : 1);
	}
	CHECK_CLOSE(lab_loss(&lab), json_number_value(json_object_get(a, "final_loss")), rel);
	for (int k = 0; k < lab.model->params; k++) {
		const ul_param *p = lab.model->param[k];
		double *want, *got;
		size_t n;
		read_tensor(&lab.arena, test_shared("oracle-hf/unlearn/adamw3_final_weights.safetensors"), p->name, &want, &n);
		got = ul_alloc(&lab.arena, n * sizeof *got);
		NEED(got && n == (size_t)p->rows * (size_t)p->cols);
		ul_param_get(p, got);
		CHECK_ARRAY(got, want, n, rel);
	}
	lab_end(&lab);
	json_decref((json_t *)(uintptr_t)o);
}

static void test_oracle__three_adamw_steps_in_double(void)
{
	adamw("ref64", 1e-8);
}

static void test_oracle__three_adamw_steps_fast(void)
{
	adamw("cpu", 1e-4);
}
