/*
 * mpu_client.c: unlearn mpu client PUBLISHED. Unlearns the copies of a round and writes the update.
 */
#include "api/mpu_api.h"
#include "cli/job.h"
#include "cli/work.h"

#include <string.h>

struct config {
	const char *method;
};

static const ul_opt opts[] = {
        {"method", UL_OPT_TEXT, offsetof(struct config, method), NULL, 0, 0, NULL, "how to forget (`unlearn methods`)", "NAME"},
        {0},
};
static const ul_opt *const more[] = {ul_mpu_client_opts, ul_run_job_opts, ul_train_opts, NULL};

static void say(const json_t *said)
{
	printf("%s: round %lld, %zu copies, signed by %s\n", ul_json_str(said, "update"), (long long)json_integer_value(json_object_get(said, "round")),
	        json_array_size(json_object_get(said, "updates")), ul_json_str(said, "key"));
	const json_t *dp = json_object_get(said, "dp");
	if (dp) {
		printf("differential privacy, neighbours being any other rows in place of all that this client holds: this update costs ε %.3g at δ %.0e (ρ %.3g)\n", json_number_value(json_object_get(dp, "epsilon")),
		        json_number_value(json_object_get(dp, "delta")), json_number_value(json_object_get(dp, "rho")));
		printf("all %.0f rounds of the session, answered like this one, cost ε %.3g (ρ %.3g)\n", json_number_value(json_object_get(dp, "rounds")), json_number_value(json_object_get(dp, "epsilon_rounds")),
		        json_number_value(json_object_get(dp, "rho_rounds")));
	}
}

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	ul_mpu_client_config *client = ul_cli_config(c, ul_mpu_client_opts, sizeof *client);
	ul_mpu_job job = {.method = o->method, .progress = &c->progress};
	json_t *said = NULL;
	if (!client)
		return ul_cli_fail(c);
	job.setting = ul_job_inner(c, &job.settings, &client->output);
	if (!job.setting)
		return ul_cli_fail(c);
	if (!o->method || !client->output)
		return ul_work_usage(c, "mpu client needs --method NAME and -o DIR");
	if (!ul_mpu_client_run(c->arg[0], client, &job, c->force, &said, &c->err)) {
		if (job.stopped)
			ul_hint(&c->err, "the same command goes on with the first copy that is not done");
		return job.stopped ? UL_EXIT_INTERRUPTED : ul_cli_fail(c);
	}
	if (c->json)
		ul_cli_print(c, said);
	else if (!c->quiet)
		say(said);
	json_decref(said);
	return UL_EXIT_DONE;
}

const ul_verb ul_mpu_client = {
        .name = "mpu client",
        .usage = "PUBLISHED --method NAME --forget F [--retain F] -o UPDATE",
        .summary = "the client unlearns every copy of a round and writes what changed",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .more = more,
        .config = sizeof(struct config),
        .plugins = true,
        .main = run,
};
