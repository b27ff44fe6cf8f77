/*
 * mpu_sign.c: unlearn mpu sign DIR. Lists the files of a round or an update anew and signs it: for folders that were put together by
 * other programs.
 */
#include "cli/work.h"
#include "protocols/mpu_files.h"

struct config {
	const char *identity;
};

static const ul_opt opts[] = {
        {"identity", UL_OPT_TEXT, offsetof(struct config, identity), NULL, 0, 0, NULL, "file of the key that signs, made where there is none", "FILE"},
        {0},
};

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	ul_mpu_signer s = {0};
	char path[4200];
	if (!o->identity)
		return ul_work_usage(c, "mpu sign needs --identity FILE");
	snprintf(path, sizeof path, "%.4095s/manifest.json", c->arg[0]);
	json_t *m = ul_json_file(path, UL_MPU_MANIFEST_LIMIT, &c->err);
	bool ok = m && ul_mpu_signer_open(&s, o->identity, true, &c->err) && ul_mpu_manifest_write(c->arg[0], m, &s, &c->err);
	if (ok && !c->quiet)
		printf("%s: signed by %s\n", c->arg[0], s.key);
	ul_mpu_signer_release(&s);
	json_decref(m);
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_mpu_sign = {
        .name = "mpu sign",
        .usage = "DIR --identity FILE",
        .summary = "list and sign anew the files of a round or an update",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
