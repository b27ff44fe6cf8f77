/*
 * cmd_report.c: report DIR… -o FILE.html. One page from one or several run or audit folders, side by side.
 */
#include "cli/cli.h"
#include "report/report.h"

struct config {
	const char *output;
	bool rows;
};

static const ul_opt opts[] = {
        {"output", UL_OPT_TEXT, offsetof(struct config, output), NULL, 0, 0, NULL, "the page to write", "FILE.html"},
        {"rows", UL_OPT_BOOL, offsetof(struct config, rows), "no", 0, 0, NULL, "show rows that runs made and kept (--keep-data) as they are; redacted otherwise", NULL},
        {0},
};

static int run(ul_cli *c, const void *config)
{
	const struct config *o = config;
	if (!o->output) {
		c->usage = true;
		ul_fail(&c->err, "report needs -o FILE.html");
		return ul_cli_fail(c);
	}
	if (ul_is_dir(o->output)) {
		ul_fail(&c->err, "\"%.200s\" is a folder, not a file to write", o->output);
		return ul_cli_fail(c);
	}
	if (!ul_report_write((const char *const *)c->arg, c->args, o->rows, o->output, &c->err))
		return ul_cli_fail(c);
	if (!c->quiet && !c->json)
		printf("%s\n", o->output);
	return UL_EXIT_DONE;
}

const ul_verb ul_verb_report = {
        .name = "report",
        .usage = "DIR... -o FILE.html [--rows]",
        .summary = "one page for people, from run and audit folders, side by side",
        .min_args = 1,
        .max_args = 16,
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
