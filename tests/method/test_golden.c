/*
 * test_golden.c: every method against PyTorch written from the published formula (tests/golden/methods/make.py): value, norm of
 * the gradient of each tensor, and entries of some. 1e-8 relative in double, 1e-4 on the fast backend.
 */
#include "tests/method/lab.h"

#define GOLDEN "tests/golden/methods/"

static void open_case(struct lab *lab, const json_t *golden, const json_t *row, const char *backend)
{
	lab->model = lab_model(GOLDEN "theta", backend);
	lab->ref = lab_model(GOLDEN "ref", backend);
	lab_method(lab, ul_json_str(row, "method"), json_object_get(row, "settings"));
	lab_rows(lab, UL_FORGET, json_object_get(golden, "forget"));
	if (lab->method.needs & (UL_NEEDS_RETAIN | UL_USES_RETAIN)) {
		lab_rows(lab, UL_RETAIN, json_object_get(golden, "retain"));
	}
	if (lab->method.needs & UL_NEEDS_ALT) {
		lab_rows(lab, UL_ALT, json_object_get(golden, lab->method.needs & UL_ALT_ALIGNED ? "strangers" : "idk"));
	}
	lab_begin(lab);
	lab_spots(lab, json_object_get(golden, "spots"));
}

/* The control vector of the golden file, c times a unit vector, in place of ours. */
static void set_control(struct lab *lab, const json_t *golden, const json_t *row)
{
	const char *c = ul_json_str(json_object_get(row, "settings"), "coefficient");
	double length = c ? strtod(c, NULL) : 2, *u = lab->run.state;
	for (int k = 0; k < lab->model->cfg.hidden; k++) {
		u[k] = length * json_number_value(json_array_get(json_object_get(golden, "control"), (size_t)k));
	}
}

static void check_grads(struct lab *lab, const char *name, const json_t *row, double rel)
{
	const char *tensor;
	json_t *v;
	double all = json_number_value(json_object_get(row, "grad_norm"));
	CHECK_MSG(fabs(ul_grad_norm(lab->run.param, lab->run.params) - all) <= rel * all, "%s: gradient norm %.17g, not %.17g", name, ul_grad_norm(lab->run.param, lab->run.params), all);
	json_object_foreach(json_object_get(row, "grad_norm_per_tensor"), tensor, v)
	{
		double want = json_number_value(v), got = lab_grad_norm(lab, tensor);
		CHECK_MSG(fabs(got - want) <= rel * (want + 1e-3 * all), "%s: gradient norm of %s is %.17g, not %.17g", name, tensor, got, want);
	}
	json_object_foreach(json_object_get(row, "grad"), tensor, v)
	{
		size_t n, i;
		double *g = lab_grad(lab, tensor, &n), scale = lab_grad_norm(lab, tensor);
		json_t *want;
		json_array_foreach(v, i, want)
		{
			CHECK_MSG(fabs(g[i] - json_number_value(want)) <= rel * (scale + 1e-3 * all), "%s: gradient %zu of %s is %.17g, not %.17g", name, i, tensor, g[i], json_number_value(want));
		}
	}
}

static void check_all(const char *backend, double rel)
{
	const json_t *golden = lab_json(GOLDEN "golden.json");
	const char *name;
	json_t *row;
	json_object_foreach(json_object_get(golden, "rows"), name, row)
	{
		struct lab lab = {0};
		open_case(&lab, golden, row, backend);
		if (!strcmp(ul_json_str(row, "method"), "rmu")) {
			set_control(&lab, golden, row);
		}
		double want = json_number_value(json_object_get(row, "value")), got = lab_loss(&lab);
		CHECK_MSG(fabs(got - want) <= rel * fabs(want), "%s: loss %.17g, not %.17g", name, got, want);
		check_grads(&lab, name, row, rel);
		lab_end(&lab);
	}
	json_decref((json_t *)(uintptr_t)golden);
}

static void test_golden__double(void)
{
	check_all("ref64", 1e-8);
}

static void test_golden__fast(void)
{
	check_all("cpu", 1e-4);
}

/* A method without a golden row is a hole in this file. */
static void test_golden__every_method(void)
{
	const json_t *golden = lab_json(GOLDEN "golden.json");
	for (int i = 0; ul_methods[i]; i++) {
		bool found = false;
		const char *name;
		json_t *row;
		json_object_foreach(json_object_get(golden, "rows"), name, row)
		{
			found |= !strcmp(ul_json_str(row, "method"), ul_methods[i]->name);
		}
		CHECK_MSG(found, "%s has no golden row", ul_methods[i]->name);
	}
	json_decref((json_t *)(uintptr_t)golden);
}

/* ---- optimisers: the same batch again and again ---- */

static void check_steps(const char *optim, const char *lr, const char *momentum)
{
	const json_t *golden = lab_json(GOLDEN "golden.json"), *want = json_object_get(json_object_get(golden, "steps"), optim);
	json_t *row = json_pack("{s:s, s:{s:s, s:s, s:s, s:s, s:s}}", "method", "npo", "settings", "optim", optim, "lr", lr, "momentum", momentum, "warmup", "2", "schedule", "constant");
	struct lab lab = {0};
	size_t i;
	json_t *step, *v;
	open_case(&lab, golden, row, "ref64");
	ul_run *r = &lab.run;
	json_array_foreach(json_object_get(want, "steps"), i, step)
	{
		CHECK_CLOSE(lab_loss(&lab), json_number_value(json_object_get(step, "loss")), 1e-9);
		double norm = ul_grad_norm(r->param, r->params);
		CHECK_CLOSE(norm, json_number_value(json_object_get(step, "grad_norm")), 1e-8);
		ul_optim_update(r->optim, ul_schedule(&r->train, (int64_t)i, 1000), norm > 1 ? 1 / (norm + 1e-6) : 1);
	}
	const char *tensor;
	json_object_foreach(json_object_get(want, "final"), tensor, v)
	{
		const ul_param *p = ul_model_param(lab.model, tensor);
		double *x = ul_alloc(&lab.arena, (size_t)p->rows * (size_t)p->cols * sizeof *x);
		ul_param_get(p, x);
		for (size_t k = 0; k < json_array_size(v); k++) {
			CHECK_NEAR(x[k], json_number_value(json_array_get(v, k)), 1e-9);
		}
	}
	lab_end(&lab);
	json_decref(row);
	json_decref((json_t *)(uintptr_t)golden);
}

static void test_golden__adamw(void)
{
	check_steps("adamw", "2e-3", "0");
}

static void test_golden__sgd(void)
{
	check_steps("sgd", "2e-2", "0.9");
}
