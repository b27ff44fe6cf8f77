/*
 * option.h: one table per plug-in or verb feeds flags, config keys, range checks, help, generated docs and the report.
 */
#ifndef UL_OPTION_H
#define UL_OPTION_H

#include "base/base.h"
#include "base/json.h"

enum ul_opt_type {
	UL_OPT_BOOL, /* bool: yes|no|true|false|1|0; on the command line the bare flag means yes */
	UL_OPT_INT, /* int64_t */
	UL_OPT_REAL, /* double */
	UL_OPT_TEXT, /* const char *, copied into the arena given to ul_opts_set */
	UL_OPT_ENUM, /* int: index into `choices`, which is "a|b|c" */
};

typedef struct ul_opt {
	const char *name; /* as typed: "max-length"; the config key is the same (with '-' or '_') */
	enum ul_opt_type type;
	size_t offset; /* offsetof(struct config, field) */
	const char *def; /* default as text, NULL = unset (0 / NULL) */
	double min, max; /* for numbers; both 0 = unbounded */
	const char *choices; /* for UL_OPT_ENUM */
	const char *help; /* one line, lower case, no full stop */
	const char *value; /* metavariable for help: "F", "N", "DIR"; NULL = by type */
} ul_opt; /* a table ends with {0} */

bool ul_opts_defaults(const ul_opt *opts, void *config, ul_arena *a, ul_err *err);
const ul_opt *ul_opts_find(const ul_opt *opts, const char *name);
/* Sets one option from text; range and spelling errors name the value and the limit. */
bool ul_opts_set(const ul_opt *opts, void *config, const char *name, const char *value, ul_arena *a, ul_err *err);
bool ul_opts_check(const ul_opt *o, const char *value, ul_err *err); /* whether it could be set to that */
/* Fails with `unknown option "nmae"; did you mean "name"?`; tables is NULL-terminated. */
bool ul_opts_unknown(const ul_opt *const *tables, const char *name, ul_err *err);
/* The value now in `config`, as text, appended to out. */
void ul_opts_show(const ul_opt *o, const void *config, ul_buf *out);
json_t *ul_opts_json(const ul_opt *opts, const void *config); /* {"name": value, …} for run.json */
void ul_opts_help(const ul_opt *opts, ul_buf *out); /* aligned lines with default and range */
json_t *ul_opts_describe(const ul_opt *opts); /* [{"name","type","default","min","max","choices","help"}] */
int ul_edit_distance(const char *a, const char *b);
/* Of names offered one after the other, which may have been meant by what was typed: true for one that is nearer than all before.
 * Nearest are those it begins, the shortest first; then those it misspells in at most half of its letters. */
typedef struct ul_near {
	const char *typed;
	int found; /* how near the nearest so far is; 0: none */
} ul_near;
bool ul_nearer(ul_near *n, const char *name);

/* Settings that came from flags, a config file or a program: each table takes what it knows, and what nobody took is an error.
 * Later entries win, so a caller lists the config file's first. used: [n], set for every entry taken. */
bool ul_settings_apply(const ul_setting *s, size_t n, bool *used, const ul_opt *opts, void *config, ul_arena *a, ul_err *err);
bool ul_settings_done(const ul_setting *s, size_t n, const bool *used, const ul_opt *const *tables, ul_err *err);
const char *ul_settings_get(const ul_setting *s, size_t n, const char *key); /* last value given, or NULL */

#endif
