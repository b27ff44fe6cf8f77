/*
 * cmd_run.c: unlearn run. A model, rows to forget, a method, a run folder:
 *
 *     settings (of a recipe, then those given) ─► confinement ─► model ─► forget rows (a file or a source) ─► train ─► save
 */
#include "cli/job.h"

struct config {
	const char *method;
};

static const ul_opt opts[] = {
        {"method", UL_OPT_TEXT, offsetof(struct config, method), NULL, 0, 0, NULL, "how to forget (`unlearn methods`)", "NAME"},
        {0},
};
static const ul_opt *const more[] = {ul_run_job_opts, ul_train_opts, NULL};

static bool check(ul_cli *c, const char *model, const char *method, const char *output)
{
	if (!model) {
		ul_fail(&c->err, "which model? `unlearn run MODEL …`");
	} else if (!method) {
		ul_fail(&c->err, "which method? --method NAME, or --recipe NAME");
		ul_hint(&c->err, "`unlearn methods` and `unlearn recipes` list them");
	} else if (!output) {
		ul_fail(&c->err, "where to? -o DIR names the run folder");
	}
	c->usage = c->err.msg[0] != 0;
	return !c->usage;
}

static int run(ul_cli *c, const void *config)
{
	const struct config *own = config;
	size_t n, was_n = 0;
	const ul_setting *s = ul_job_settings(c, &n), *was = NULL;
	if (!s) {
		return ul_cli_fail(c);
	}
	const char *model = c->args > 0 ? c->arg[0] : NULL, *method = own->method, *adapter = c->adapter;
	const char *resume = ul_settings_get(s, n, "resume"), *output = ul_settings_get(s, n, "output");
	if (resume) { /* the model and the method are those it began with */
		was = ul_job_origin(c, resume, &was_n);
		if (!was) {
			return ul_cli_fail(c);
		}
		model = model ? model : ul_settings_get(was, was_n, "model");
		method = method ? method : ul_settings_get(was, was_n, "method");
		if (!method) {
			ul_fail(&c->err, "the run in %s was begun by `unlearn train`", resume);
			ul_hint(&c->err, "go on with `unlearn train --resume %s`", resume);
			return ul_cli_fail(c);
		}
		adapter = adapter ? adapter : ul_settings_get(was, was_n, "adapter");
	}
	if (!method && !(method = ul_recipe_method(s, n, &c->err)) && c->err.msg[0]) {
		return ul_cli_fail(c);
	}
	if (!check(c, model, method, output ? output : resume)) {
		return ul_cli_fail(c);
	}
	ul_run *r = ul_run_plan(method, s, n, &c->err);
	ul_model *m = r && ul_run_outset(r, model, adapter, &c->progress, &c->err) ? ul_model_open(model, adapter, &c->err) : NULL;
	bool ok = m && ul_run_equip(r, m, &c->err);
	int rc = ul_cli_fail(c);
	if (ok) {
		rc = ul_job_do(c, r);
	} else {
		ul_run_free(r);
	}
	ul_model_free(m);
	return rc;
}

const ul_verb ul_verb_run = {
        .name = "run",
        .usage = "MODEL (--method NAME (--forget F | --source NAME) [--retain F] | --recipe NAME) -o DIR",
        .summary = "make a model forget",
        .max_args = 1,
        .opts = opts,
        .more = more,
        .config = sizeof(struct config),
        .plugins = true,
        .main = run,
};
