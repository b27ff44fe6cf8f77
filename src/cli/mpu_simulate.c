/*
 * mpu_simulate.c: unlearn mpu simulate MODEL: both parties in one process, and what the noise cost.
 */
#include "api/mpu_api.h"
#include "cli/job.h"
#include "cli/work.h"

#include <math.h>

struct config {
	const char *method;
};

static const ul_opt opts[] = {
        {"method", UL_OPT_TEXT, offsetof(struct config, method), NULL, 0, 0, NULL, "how the client forgets (`unlearn methods`); its --epochs count for each copy and round", "NAME"},
        {0},
};
static const ul_opt *const more[] = {ul_mpu_opts, ul_mpu_sim_opts, ul_run_job_opts, ul_train_opts, NULL};

static void print_table(const json_t *t)
{
	const char *name;
	json_t *v;
	printf("%-24s %10s %10s %10s\n", "", "mpu", "noise-free", "difference");
	json_object_foreach(json_object_get(t, "metrics"), name, v)
	        printf("%-24s %10.4f %10.4f %10.4f\n", name, json_number_value(json_object_get(v, "mpu")), json_number_value(json_object_get(v, "noise_free")),
	                json_number_value(json_object_get(v, "difference")));
	json_object_foreach(json_object_get(t, "not_tested"), name, v)
	        printf("%-24s not tested: %s\n", name, json_string_value(v));
	printf("mean difference of %lld metrics in [0, 1]: %.4f, worst %.4f\n", (long long)json_integer_value(json_object_get(t, "averaged")),
	        json_number_value(json_object_get(t, "mean_difference")), json_number_value(json_object_get(t, "worst_difference")));
}

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	ul_mpu_config *server = ul_cli_config(c, ul_mpu_opts, sizeof *server);
	ul_mpu_sim_config *sim = server ? ul_cli_config(c, ul_mpu_sim_opts, sizeof *sim) : NULL;
	ul_mpu_sim s = {.model = c->arg[0], .adapter = c->adapter, .server = server, .sim = sim, .seed = (uint64_t)c->seed, .force = c->force, .progress = &c->progress};
	json_t *table;
	if (!sim)
		return ul_cli_fail(c);
	s.job = (ul_mpu_job){.method = o->method, .progress = &c->progress};
	s.job.setting = ul_job_inner(c, &s.job.settings, &s.output);
	if (!s.job.setting)
		return ul_cli_fail(c);
	if (!o->method || !s.output)
		return ul_work_usage(c, "mpu simulate needs --method NAME and -o DIR");
	if (ul_settings_get(s.job.setting, s.job.settings, "resume"))
		return ul_work_usage(c, "mpu simulate has no --resume");
	if (!ul_mpu_sim_run(&s, &table, &c->err))
		return s.job.stopped ? UL_EXIT_INTERRUPTED : ul_cli_fail(c);
	if (c->json)
		ul_cli_print(c, table);
	else if (!c->quiet && json_object_size(table))
		print_table(table);
	json_decref(table);
	return UL_EXIT_DONE;
}

const ul_verb ul_mpu_simulate = {
        .name = "mpu simulate",
        .usage = "MODEL --method NAME --forget F [--retain F] --copies N --noise X --rounds N -o DIR",
        .summary = "both parties in one process, the noise-free run beside them, and the differences",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .more = more,
        .config = sizeof(struct config),
        .plugins = true,
        .main = run,
};
