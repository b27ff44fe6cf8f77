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
	const char *notes; /* what its result means, printed below its options; or NULL */
	int min_args, max_args; /* positional arguments */
	const ul_opt *opts; /* the verb's own; the common ones come by themselves */
	const ul_opt *const *more; /* further tables (ul_train_opts, …), NULL-terminated, or NULL */
	size_t config; /* size of the struct `opts` fills */
	const struct ul_verb *const *sub; /* further words after this one ("mpu simulate"), each a verb of its own, or NULL */
	bool plugins; /* accepts options of plug-ins, which the verb applies itself */
	int (*main)(ul_cli *c, const void *config); /* exit code; errors go to c->err, printed by main.c */
} ul_verb;
extern const ul_verb *const ul_verbs[], *const ul_mpu_verbs[]; /* generated registry; a sub-verb of mpu is one file mpu_<name>.c */

/* What every verb shares. */
enum { UL_ASKED_AUTO, /* f32 */
	UL_ASKED_F32,
	UL_ASKED_BF16 };

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
	int precision; /* UL_ASKED_… */
	const char *adapter; /* --adapter DIR */
	const char *file; /* --config FILE.json */
	bool usage; /* the failure is a wrong use of the command: exit 2 */
	ul_progress progress;
	ul_err err;
};

/* Applies a plug-in's table to its config struct (allocated in c->arena, defaults first). NULL on error (c->err). */
void *ul_cli_config(ul_cli *c, const ul_opt *opts, size_t size);
/* To be called once all tables are applied: an option nobody took is an error that names the nearest known one. */
bool ul_cli_done(ul_cli *c, const ul_opt *const *tables);
/* The settings no table of the frame or of ul_cli_config has taken: what a verb hands on to the library. *n of them. */
const ul_setting *ul_cli_rest(ul_cli *c, size_t *n);
void ul_cli_print(ul_cli *c, const json_t *v); /* one compact line on stdout */
int ul_cli_fail(ul_cli *c); /* returns 1, or 2 after a wrong use; main.c prints `unlearn: <message>` and `hint: <hint>` */
bool ul_cli_interrupted(void *ud); /* Ctrl-C was pressed: progress.stop */

/* ---- the frame: args.c, progress.c, help.c, docs.c; nothing a verb needs ---- */

extern const ul_opt ul_common_opts[]; /* offsets into ul_cli */
/* The verb that word[0] and, where it has sub-verbs, word[1] of n words name; *used of them. Names the nearest known one. A verb with
 * sub-verbs alone is found when `alone`. */
const ul_verb *ul_verb_find(char *const *word, int n, bool alone, int *used, ul_err *err);
bool ul_args_parse(ul_cli *c, int argc, char **argv); /* positional arguments and settings of c->verb, checked by name */
const ul_opt *const *ul_verb_tables(const ul_verb *v, ul_arena *a); /* common, own, further, then every plug-in's; NULL-terminated */
void ul_progress_begin(ul_cli *c); /* fills c->progress */
void ul_progress_end(void); /* clears the bar; harmless when there is none */
void ul_cli_signals(void);
void ul_help_overview(ul_buf *out);
void ul_help_verb(const ul_verb *v, ul_buf *out);
json_t *ul_help_json(const ul_verb *v); /* the same for programs; of all verbs for NULL */
void ul_docs_man(const ul_verb *v, ul_buf *out); /* NULL = unlearn.1 */
bool ul_docs_completion(const char *shell, ul_buf *out, ul_err *err);

enum { UL_EXIT_DONE = 0,
	UL_EXIT_FAILED = 1,
	UL_EXIT_USAGE = 2,
	UL_EXIT_VERDICT = 3,
	UL_EXIT_INTERRUPTED = 130 };

#endif
