/*
 * mpu_join.c: unlearn mpu join URL. The client of MPU over the network: pulls the copies that the server gives it, unlearns each
 * with any method, and pushes what changed. Its rows never leave.
 */
#include "api/mpu_api.h"
#include "cli/job.h"
#include "cli/wire.h"
#include "cli/work.h"

struct config {
	const char *method, *certs;
	int64_t patience;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"method", UL_OPT_TEXT, AT(method), NULL, 0, 0, NULL, "how to forget (`unlearn methods`)", "NAME"},
        {"certs", UL_OPT_TEXT, AT(certs), NULL, 0, 0, NULL, "folder with ca.pem, cert.pem and key.pem of this client", "DIR"},
        {"patience", UL_OPT_INT, AT(patience), "3600", 1, 31536000, NULL, "seconds without any progress after which it gives up", "N"},
        {0},
};
static const ul_opt *const more[] = {ul_mpu_client_opts, ul_run_job_opts, ul_train_opts, NULL};

typedef struct joining {
	ul_wire *wire;
	ul_mpu_client_config client;
	ul_mpu_job job;
} joining;

/* What the guarantee of this copy's update is: to be heard where it is made, for the server never says it. */
static void say(const joining *j, int round, int copy, const json_t *said)
{
	const json_t *dp = json_object_get(said, "dp");
	char text[256];
	if (!dp)
		return;
	snprintf(text, sizeof text, "the whole forget set in the update of this copy: ε %.3g at δ %.0e (ρ %.3g, which adds up over copies and rounds)", json_number_value(json_object_get(dp, "epsilon")),
	        json_number_value(json_object_get(dp, "delta")), json_number_value(json_object_get(dp, "rho")));
	j->wire->log.line(j->wire->log.ud, &(ul_net_event){.what = "privacy", .round = round, .copy = copy, .detail = text});
}

/* Made beside, where a stopped one goes on, and then renamed: what lies in `update` is whole. */
static bool unlearn(void *ud, int round, int copy, const char *from, const char *update, ul_err *err)
{
	joining *j = ud;
	char work[4096 + 8], list[16];
	json_t *said = NULL;
	snprintf(work, sizeof work, "%s.work", update);
	snprintf(list, sizeof list, "%d", copy);
	ul_mpu_client_config c = j->client;
	c.output = work;
	c.copies = list;
	j->job.round = round;
	bool ok = ul_mpu_client_run(from, &c, &j->job, true, &said, err) && (rename(work, update) == 0 || ul_fail(err, "cannot put %s in place", update));
	if (ok)
		say(j, round, copy, said);
	json_decref(said);
	return ok;
}

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	ul_mpu_client_config *client = ul_cli_config(c, ul_mpu_client_opts, sizeof *client);
	ul_wire wire;
	bool stopped = false;
	if (!client)
		return ul_cli_fail(c);
	joining j = {.wire = &wire, .client = *client, .job = {.method = o->method}};
	j.job.setting = ul_job_inner(c, &j.job.settings, &j.client.output);
	if (!j.job.setting)
		return ul_cli_fail(c);
	if (!o->method || !o->certs || !j.client.output)
		return ul_work_usage(c, "mpu join needs --method NAME, --certs DIR and -o DIR");
	if (j.client.copies)
		return ul_work_usage(c, "which copies to unlearn is for the server to say: mpu join takes no --copies");
	/* The server takes no second key from one client. */
	if (!j.client.identity && !(j.client.identity = ul_path_join(&c->arena, j.client.output, "identity.key")))
		return ul_cli_fail(c);
	ul_net_work work = {&j, unlearn};
	ul_wire_begin(&wire, c);
	j.job.progress = &wire.progress;
	ul_net_client net = {.url = c->arg[0], .certs = o->certs, .dir = j.client.output, .patience = o->patience, .work = &work, .progress = &wire.progress, .log = wire.log};
	bool ok = ul_net_join(&net, &stopped, &c->err);
	ul_wire_end(&wire);
	if (stopped)
		ul_hint(&c->err, "the same command goes on where it was");
	return ok ? UL_EXIT_DONE : stopped ? UL_EXIT_INTERRUPTED
	                                   : ul_cli_fail(c);
}

const ul_verb ul_mpu_join = {
        .name = "mpu join",
        .usage = "URL --certs DIR --method NAME --forget F [--retain F] -o DIR",
        .summary = "the client over the network: pulls copies, unlearns them, pushes what changed",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .more = more,
        .config = sizeof(struct config),
        .plugins = true,
        .main = run,
};
