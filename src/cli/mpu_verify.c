/*
 * mpu_verify.c: unlearn mpu verify DIR. Is a published round or an update whole, unchanged and signed by whom it should be?
 */
#include "cli/cli.h"
#include "protocols/mpu_files.h"

struct config {
	const char *trust;
};

static const ul_opt opts[] = {
        {"trust", UL_OPT_TEXT, offsetof(struct config, trust), NULL, 0, 0, NULL, "the public key that must have signed it, as 64 hex digits", "KEY"},
        {0},
};

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	char sha[65];
	json_t *m = ul_mpu_manifest_read(c->arg[0], o->trust, sha, &c->err);
	bool ok = m && ul_mpu_files_check(c->arg[0], m, -1, &c->err);
	if (ok && c->json) {
		json_object_set_new(m, "sha256", json_string(sha));
		ul_cli_print(c, m);
	} else if (ok && !c->quiet) {
		printf("%s of session %s, round %lld: %zu files as listed, signed by %s\n", ul_json_str(m, "kind"), ul_json_str(m, "session"),
		        (long long)json_integer_value(json_object_get(m, "round")), json_array_size(json_object_get(m, "files")), ul_json_str(m, "key"));
	}
	json_decref(m);
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_mpu_verify = {
        .name = "mpu verify",
        .usage = "DIR [--trust KEY]",
        .summary = "check a published round or an update: its files, their hashes, its signature",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
