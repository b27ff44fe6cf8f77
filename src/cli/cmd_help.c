/*
 * cmd_help.c: help [VERB [SUB-VERB]]. The same tables also give the man pages (--man) and shell completion (--completion).
 */
#include "cli/cli.h"

#include <string.h>

struct config {
	bool man;
	const char *completion;
};

static const ul_opt opts[] = {
        {"man", UL_OPT_BOOL, offsetof(struct config, man), "no", 0, 0, NULL, "write the manual page of VERB, or of unlearn, as roff", NULL},
        {"completion", UL_OPT_TEXT, offsetof(struct config, completion), NULL, 0, 0, NULL, "write completion for a shell: bash or zsh", "SHELL"},
        {0},
};

static int run(ul_cli *c, const void *config)
{
	const struct config *o = config;
	int used = 0;
	const ul_verb *v = c->args ? ul_verb_find(c->arg, c->args, true, &used, &c->err) : NULL;
	if (v && used < c->args) {
		ul_fail(&c->err, "\"%s\" has no commands of its own, and \"%.100s\" follows it", v->name, c->arg[used]);
		v = NULL;
	}
	if (c->args && !v) {
		c->usage = true;
		return ul_cli_fail(c);
	}
	ul_buf text = {0};
	bool ok = true;
	if (c->json && !o->completion && !o->man) {
		json_t *all = ul_help_json(v);
		ul_cli_print(c, all);
		json_decref(all);
		return c->err.msg[0] ? ul_cli_fail(c) : UL_EXIT_DONE;
	}
	if (o->completion)
		ok = ul_docs_completion(o->completion, &text, &c->err);
	else if (o->man)
		ul_docs_man(v, &text);
	else if (v)
		ul_help_verb(v, &text);
	else
		ul_help_overview(&text);
	if (text.failed)
		ok = ul_nomem(&c->err, text.len);
	if (ok && text.data)
		fputs(text.data, stdout);
	ul_buf_release(&text);
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_verb_help = {
        .name = "help",
        .usage = "[VERB] [--man] [--completion bash|zsh]",
        .summary = "what there is, and every option of VERB with its default and range",
        .max_args = 2,
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
