/*
 * cli.h: the only floor that prints or exits. A verb is one file cmd_<verb>.c with its ul_verb at the foot.
 */
#ifndef UL_CLI_H
#define UL_CLI_H

#include "base/file.h"
#include "base/option.h"

typedef struct ul_cli ul_cli;
typedef struct ul_verb {
	const char *name, *usage, *summary; /* usage: "MODEL --data F [--tokens]" */
	int min_args, max_args;             /* positional arguments */
	const ul_opt *opts;                 /* the verb's own; the common ones come by themselves */
	const ul_opt *const *more;          /* further tables (ul_train_opts, …), NULL-terminated, or NULL */
	size_t config;                      /* size of the struct `opts` fills */
	bool plugins;                       /* accepts options of plug-ins, which the verb applies itself */
	int (*main)(ul_cli *c, const void *config); /* exit code; errors go to c->err, printed by main.c */
} ul_verb;
extern const ul_verb *const ul_verbs[]; /* generated registry */

/* What every verb shares. */
struct ul_cli {
	const ul_verb *verb;
	char **arg; /* positional */
	int args;
	ul_arena arena;
	ul_setting *setting; /* config file first, then flags */
	bool *used;
	size_t settings;
	bool json, quiet, force;
	int64_t seed, threads;
	int precision;       /* 0 auto, 1 f32, 2 bf16 */
	const char *adapter; /* --adapter DIR */
	ul_progress progress;
	ul_err err;
};

/* Applies a plug-in's table to its config struct (allocated in c->arena, defaults first). NULL on error (c->err). */
void *ul_cli_config(ul_cli *c, const ul_opt *opts, size_t size);
/* To be called once all tables are applied: an option nobody took is an error that names the nearest known one. */
bool ul_cli_done(ul_cli *c, const ul_opt *const *tables);
void ul_cli_print(ul_cli *c, const json_t *v); /* one compact line on stdout */
int ul_cli_fail(ul_cli *c);                    /* returns 1; main.c prints `unlearn: <message>` and `hint: <hint>` */
bool ul_cli_interrupted(void *ud);             /* Ctrl-C was pressed: progress.stop */

enum { UL_EXIT_DONE = 0, UL_EXIT_FAILED = 1, UL_EXIT_USAGE = 2, UL_EXIT_VERDICT = 3, UL_EXIT_INTERRUPTED = 130 };

#endif
