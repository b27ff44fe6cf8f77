/*
 * cmd_clean.c: unlearn clean. Removes what an unfinished run left in its folder: the state to resume from and generated rows.
 */
#include "api/api.h"
#include "cli/cli.h"

static int run(ul_cli *c, const void *config)
{
	int removed;
	if (!ul_folder_clean(c->arg[0], &removed, &c->err)) {
		return ul_cli_fail(c);
	}
	if (c->json) {
		json_t *v = json_pack("{s:i}", "removed", removed);
		ul_cli_print(c, v);
		json_decref(v);
	} else if (!c->quiet) {
		fprintf(stderr, removed ? "removed the state of an unfinished run from %s\n" : "nothing to remove in %s\n", c->arg[0]);
	}
	return UL_EXIT_DONE;
}

const ul_verb ul_verb_clean = {
        .name = "clean",
        .usage = "DIR",
        .summary = "remove the state and generated rows of an unfinished run",
        .min_args = 1,
        .max_args = 1,
        .main = run,
};
