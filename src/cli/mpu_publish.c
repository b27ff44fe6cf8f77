/*
 * mpu_publish.c: unlearn mpu publish. The first time from a model, with a new secret folder; later from the folder alone.
 */
#include "api/mpu_api.h"
#include "cli/work.h"

struct config {
	const char *secret, *output, *client;
	double max_update;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"secret", UL_OPT_TEXT, AT(secret), NULL, 0, 0, NULL, "new folder for what must not leave the server: keys, weights, state", "DIR"},
        {"output", UL_OPT_TEXT, AT(output), NULL, 0, 0, NULL, "folder of the published round (also -o)", "DIR"},
        {"client", UL_OPT_TEXT, AT(client), NULL, 0, 0, NULL, "public key that updates must be signed with; default: any", "KEY"},
        {"max-update", UL_OPT_REAL, AT(max_update), "1", 0, 1000, NULL, "longest update that is taken, as a share of the length of the weights; 0: any", "X"},
        {0},
};
static const ul_opt *const more[] = {ul_mpu_opts, NULL};

static bool begin(ul_cli *c, const struct config *o)
{
	ul_mpu_config *m = ul_cli_config(c, ul_mpu_opts, sizeof *m);
	if (!m || !ul_cli_done(c, c->verb->more))
		return false;
	ul_mpu_secret s = {.dir = o->secret, .model = c->arg[0], .adapter = c->adapter, .base = m->base, .how = ul_mpu_how_of(m, false), .max_update = o->max_update, .noise_key = m->noise_key, .client = o->client};
	ul_model *probe = ul_model_open(c->arg[0], c->adapter, &c->err); /* a model that cannot be published leaves no folder behind */
	bool ok = probe && (!probe->adapter || ul_lora_merge(probe, 1, &c->err)) && ul_mpu_check(&(ul_mpu){.how = s.how, .theta = probe}, &c->err);
	ul_model_free(probe);
	return ok && ul_mpu_server_make(&s, &c->err);
}

static void say(const json_t *m, const json_t *rounding, const char *dir, const char *secret)
{
	size_t plain = json_array_size(json_object_get(m, "plain"));
	printf("%s: round %lld of %lld, %lld copies, signed by %s\n", dir, (long long)json_integer_value(json_object_get(m, "round")), (long long)json_integer_value(json_object_get(m, "rounds")),
	        (long long)json_integer_value(json_object_get(m, "copies")), ul_json_str(m, "key"));
	if (plain > 0)
		printf("%zu tensors are published exactly as they are, the first of them %s\n", plain, json_string_value(json_array_get(json_object_get(m, "plain"), 0)));
	printf("as %s, noise changes %.4g %% of the weights it should, and %.1g of it is left in the average of the copies\n", ul_json_str(rounding, "dtype"),
	        100 * json_number_value(json_object_get(rounding, "noise_reaches")), json_number_value(json_object_get(rounding, "noise_left")));
	printf("what must not leave lies in %s\n", secret);
}

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	json_t *manifest = NULL;
	char state[4200];
	snprintf(state, sizeof state, "%.4095s/state.json", c->arg[0]);
	bool goes_on = ul_file_exists(state);
	const char *secret = goes_on ? c->arg[0] : o->secret;
	if (!o->output || !secret)
		return ul_work_usage(c, "mpu publish needs -o DIR for the round, and --secret DIR for what stays here");
	if (!ul_stage_check(o->output, c->force, &c->err) || (!goes_on && !begin(c, o)))
		return ul_cli_fail(c);
	ul_mpu_server *s = ul_mpu_server_load(secret, &c->err);
	json_t *rounding = s && !ul_mpu_server_done(s) ? ul_mpu_precision_json(&s->mpu, &c->progress, &c->err) : NULL;
	bool ok = s && (rounding || ul_mpu_server_done(s)) && ul_mpu_server_publish(s, o->output, c->force, &manifest, &c->err);
	ul_mpu_server_free(s);
	if (ok && c->json) {
		json_object_set(manifest, "rounding", rounding); /* said here, not signed and sent */
		ul_cli_print(c, manifest);
	} else if (ok && !c->quiet) {
		say(manifest, rounding, o->output, secret);
	}
	json_decref(rounding);
	json_decref(manifest);
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_mpu_publish = {
        .name = "mpu publish",
        .usage = "MODEL --secret DIR --copies N --noise X --rounds N -o DIR, or SECRET -o DIR for the next round",
        .summary = "the server writes the perturbed copies of a round, and keeps its secrets apart",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .more = more,
        .config = sizeof(struct config),
        .main = run,
};
