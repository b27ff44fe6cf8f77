/*
 * cmd_train.c: unlearn train. Fine-tunes a model on rows, fully or with an adapter, or trains one from random weights.
 */
#include "cli/job.h"

#include <stdlib.h>

static const ul_opt *const more[] = {ul_train_job_opts, ul_train_opts, NULL};

/* The start of the run, from what was typed or from the origin of the run to resume. */
static ul_model *start(ul_cli *c, const char *model, const ul_setting *s, size_t n)
{
	ul_job_config job = {.init = ul_settings_get(s, n, "init"), .data = ul_settings_get(s, n, "data"), .tokenizer = ul_settings_get(s, n, "tokenizer")};
	const char *seed = ul_settings_get(s, n, "seed"), *size = ul_settings_get(s, n, "train-tokenizer"), *adapter = ul_settings_get(s, n, "adapter");
	c->usage = true;
	if (!model && !job.init) {
		ul_fail(&c->err, "which model? `unlearn train MODEL …`, or --init NAME for random weights");
		return NULL;
	}
	if (model && job.init) {
		ul_fail(&c->err, "a model and --init are two starts: give one");
		return NULL;
	}
	if (size && !ul_opts_set(ul_train_job_opts, &job, "train-tokenizer", size, &c->arena, &c->err)) {
		return NULL;
	}
	c->usage = false;
	return job.init ? ul_model_init(&job, ul_settings_get(s, n, "map"), seed ? strtoull(seed, NULL, 10) : 0, &c->err) : ul_model_open(model, adapter, &c->err);
}

static int run(ul_cli *c, const void *config)
{
	size_t n, from_n;
	const ul_setting *s = ul_job_settings(c, &n), *from = s;
	if (!s) {
		return ul_cli_fail(c);
	}
	const char *resume = ul_settings_get(s, n, "resume"), *model = c->args > 0 ? c->arg[0] : NULL;
	from_n = n;
	if (resume) {
		from = ul_job_origin(c, resume, &from_n);
	} else if (!ul_settings_get(s, n, "output")) {
		c->usage = true;
		ul_fail(&c->err, "where to? -o DIR names the folder of the result");
		return ul_cli_fail(c);
	}
	if (!from) {
		return ul_cli_fail(c);
	}
	ul_model *m = start(c, model ? model : resume ? ul_settings_get(from, from_n, "model")
	                                              : NULL,
	        from, from_n);
	int rc = m ? ul_job_do(c, ul_train_new(m, s, n, &c->err)) : ul_cli_fail(c);
	ul_model_free(m);
	return rc;
}

const ul_verb ul_verb_train = {
        .name = "train",
        .usage = "(MODEL | --init NAME) --data F -o DIR",
        .summary = "fine-tune a model, or train one from scratch",
        .max_args = 1,
        .more = more,
        .main = run,
};
