/*
 * args.c: words of the command line and keys of --config become settings, checked by name against the tables of the verb. A
 * setting is applied by whoever owns its table: the frame (common), main.c (the verb's own), the verb (plug-ins), the library.
 */
#include "cli/cli.h"
#include "audits/audit.h"
#include "sources/source.h"
#include "train/train.h"

#include <string.h>

const ul_opt ul_common_opts[] = {
        {"seed", UL_OPT_INT, offsetof(ul_cli, seed), "0", 0, 9007199254740992.0, NULL, "where all randomness starts; the same seed gives the same bytes", "N"},
        {"threads", UL_OPT_INT, offsetof(ul_cli, threads), "0", 0, 4096, NULL, "threads to compute with; 0 means one for each physical core", "N"},
        {"precision", UL_OPT_ENUM, offsetof(ul_cli, precision), "auto", 0, 0, "auto|f32|bf16", "of the factors of matrix products; auto is f32, and bf16 is refused where UNLEARN_KERNELS names no path that multiplies in it", NULL},
        {"adapter", UL_OPT_TEXT, offsetof(ul_cli, adapter), NULL, 0, 0, NULL, "a PEFT LoRA adapter put on top of MODEL", "DIR"},
        {"config", UL_OPT_TEXT, offsetof(ul_cli, file), NULL, 0, 0, NULL, "a JSON object of options by name; a flag wins over it", "FILE.json"},
        {"json", UL_OPT_BOOL, offsetof(ul_cli, json), "no", 0, 0, NULL, "results on stdout are machine-readable", NULL},
        {"quiet", UL_OPT_BOOL, offsetof(ul_cli, quiet), "no", 0, 0, NULL, "no progress and no notes on stderr", NULL},
        {"force", UL_OPT_BOOL, offsetof(ul_cli, force), "no", 0, 0, NULL, "replace an output that exists and is not empty", NULL},
        {0},
};

enum { FILE_LIMIT = 1 << 20 };

static const struct {
	const char *letter, *name;
} shorts[] = {{"-o", "output"}, {"-q", "quiet"}, {"-f", "force"}};

/* "simulate" of "mpu simulate" */
static const char *last_word(const ul_verb *v)
{
	const char *space = strrchr(v->name, ' ');
	return space ? space + 1 : v->name;
}

static const ul_verb *find_among(const ul_verb *const *verbs, const char *name, ul_err *err)
{
	const ul_verb *near = NULL;
	ul_near typed = {.typed = name};
	for (int i = 0; verbs[i]; i++) {
		if (!strcmp(last_word(verbs[i]), name))
			return verbs[i];
		if (ul_nearer(&typed, last_word(verbs[i])))
			near = verbs[i];
	}
	ul_fail(err, "there is no command \"%.100s\"", name);
	if (near)
		ul_hint(err, "did you mean \"unlearn %s\"?", near->name);
	else
		ul_hint(err, "\"unlearn help\" lists the commands");
	return NULL;
}

const ul_verb *ul_verb_find(char *const *word, int n, bool alone, int *used, ul_err *err)
{
	const ul_verb *v = find_among(ul_verbs, word[0], err);
	*used = 1;
	if (!v || !v->sub)
		return v;
	if (n > 1 && word[1][0] != '-') {
		*used = 2;
		return find_among(v->sub, word[1], err);
	}
	if (alone)
		return v;
	ul_fail(err, "\"%s\" is followed by what it should do", v->name);
	ul_hint(err, "\"unlearn help %s\" lists it", v->name);
	return NULL;
}

/* ---- tables ---- */

static int count_tables(const ul_verb *v)
{
	int n = 3; /* common, own, end */
	for (int i = 0; v->more && v->more[i]; i++)
		n++;
	for (int i = 0; v->plugins && ul_methods[i]; i++)
		n++;
	for (int i = 0; v->plugins && ul_sources[i]; i++)
		n++;
	return n;
}

const ul_opt *const *ul_verb_tables(const ul_verb *v, ul_arena *a)
{
	const ul_opt **t = ul_alloc(a, sizeof *t * (size_t)count_tables(v));
	if (!t)
		return NULL;
	int n = 0;
	t[n++] = ul_common_opts;
	if (v->opts)
		t[n++] = v->opts;
	for (int i = 0; v->more && v->more[i]; i++)
		t[n++] = v->more[i];
	for (int i = 0; v->plugins && ul_methods[i]; i++)
		if (ul_methods[i]->opts)
			t[n++] = ul_methods[i]->opts;
	for (int i = 0; v->plugins && ul_sources[i]; i++)
		if (ul_sources[i]->opts)
			t[n++] = ul_sources[i]->opts;
	return t;
}

static const ul_opt *find(const ul_opt *const *tables, const char *name)
{
	const ul_opt *o = NULL;
	for (; *tables && !o; tables++)
		o = ul_opts_find(*tables, name);
	return o;
}

/* ---- settings ---- */

typedef struct parse {
	ul_cli *c;
	const ul_opt *const *tables;
	ul_setting *flag; /* [argc] */
	size_t flags;
	int argc;
	char **argv;
} parse;

static bool is_switch_word(const char *s)
{
	return s && (!strcmp(s, "yes") || !strcmp(s, "no") || !strcmp(s, "true") || !strcmp(s, "false"));
}

/* The option at argv[i]; *i moves over its value. */
static bool take_option(parse *p, int *i)
{
	ul_cli *c = p->c;
	char *word = p->argv[*i], *value = NULL;
	const char *name = NULL;
	for (size_t s = 0; s < sizeof shorts / sizeof *shorts; s++)
		if (!strcmp(word, shorts[s].letter))
			name = shorts[s].name;
	if (!name && strncmp(word, "--", 2))
		return ul_fail(&c->err, "unknown option \"%.100s\"", word);
	if (!name) {
		char *copy = ul_arena_strdup(&c->arena, word + 2);
		if (!copy)
			return ul_nomem(&c->err, strlen(word));
		if ((value = strchr(copy, '=')))
			*value++ = '\0';
		name = copy;
	}
	const ul_opt *o = find(p->tables, name);
	if (!o && !strncmp(name, "no-", 3) && !value && (o = find(p->tables, name + 3)) && o->type == UL_OPT_BOOL)
		value = "no";
	else if (!o)
		return ul_opts_unknown(p->tables, name, &c->err);
	if (!value && o->type == UL_OPT_BOOL)
		value = is_switch_word(p->argv[*i + 1]) ? p->argv[++*i] : "yes";
	if (!value && *i + 1 >= p->argc)
		return ul_fail(&c->err, "option \"%s\" needs a value", name);
	p->flag[p->flags++] = (ul_setting){o->name, value ? value : p->argv[++*i]};
	return true;
}

/* "key": scalar, as the text a flag would have. */
static const char *scalar(ul_cli *c, const json_t *v)
{
	if (json_is_string(v))
		return json_string_value(v);
	if (json_is_boolean(v))
		return json_is_true(v) ? "yes" : "no";
	if (json_is_integer(v))
		return ul_arena_printf(&c->arena, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	if (json_is_real(v))
		return ul_arena_printf(&c->arena, "%.17g", json_real_value(v));
	return NULL;
}

static bool take_file(parse *p, json_t *file, const char *path)
{
	ul_cli *c = p->c;
	if (!json_is_object(file))
		return ul_fail(&c->err, "\"%.200s\" is not a JSON object of options", path);
	const char *key;
	json_t *v;
	json_object_foreach(file, key, v)
	{
		char *name = ul_arena_strdup(&c->arena, key);
		for (char *s = name; s && *s; s++)
			*s = *s == '_' ? '-' : *s;
		if (!name)
			return ul_nomem(&c->err, strlen(key));
		const ul_opt *o = find(p->tables, name);
		if (!o)
			return ul_opts_unknown(p->tables, name, &c->err);
		if (json_is_null(v))
			continue;
		const char *text = scalar(c, v);
		char *value = text ? ul_arena_strdup(&c->arena, text) : NULL;
		if (!value)
			return ul_fail(&c->err, "option \"%s\" in \"%.200s\" is neither a string nor a number nor true or false", name, path);
		c->setting[c->settings++] = (ul_setting){o->name, value};
	}
	return true;
}

static bool check_count(ul_cli *c)
{
	const ul_verb *v = c->verb;
	if (c->args >= v->min_args && c->args <= v->max_args)
		return true;
	if (c->args < v->min_args)
		ul_fail(&c->err, "\"%s\" needs %d argument%s and got %d", v->name, v->min_args, v->min_args == 1 ? "" : "s", c->args);
	else if (v->max_args > 1)
		ul_fail(&c->err, "\"%s\" takes at most %d arguments, and \"%.100s\" is one more", v->name, v->max_args, c->arg[v->max_args]);
	else
		ul_fail(&c->err, "\"%s\" takes %s and got \"%.100s\"", v->name, v->max_args == 0 ? "no argument" : "one argument", c->arg[v->max_args]);
	ul_hint(&c->err, "usage: unlearn %s %s", v->name, v->usage ? v->usage : "");
	return false;
}

/* The words in order: positional arguments go to c->arg, options to p->flag. */
static bool take_words(parse *p)
{
	bool only_args = false;
	for (int i = 0; i < p->argc; i++) {
		char *w = p->argv[i];
		if (only_args || w[0] != '-' || !w[1])
			p->c->arg[p->c->args++] = w;
		else if (!strcmp(w, "--"))
			only_args = true;
		else if (!take_option(p, &i))
			return false;
	}
	return true;
}

static bool merge(parse *p)
{
	ul_cli *c = p->c;
	const char *path = ul_settings_get(p->flag, p->flags, "config");
	json_t *file = NULL;
	if (path && !(file = ul_json_file(path, FILE_LIMIT, &c->err)))
		return false;
	size_t most = p->flags + json_object_size(file) + 1;
	c->setting = ul_alloc(&c->arena, most * sizeof *c->setting);
	c->used = ul_alloc(&c->arena, most * sizeof *c->used);
	bool ok = (c->setting && c->used) || ul_nomem(&c->err, most * sizeof *c->setting);
	ok = ok && (!file || take_file(p, file, path));
	json_decref(file);
	for (size_t i = 0; ok && i < p->flags; i++)
		c->setting[c->settings++] = p->flag[i];
	return ok;
}

/* A value that none of the options of its name could take is wrong use, whoever the option belongs to: a verb, the library, or a
 * method or source that is not known yet. */
static bool check_values(parse *p)
{
	ul_cli *c = p->c;
	for (size_t i = 0; i < c->settings; i++) {
		ul_err why = {0};
		bool taken = false;
		for (const ul_opt *const *t = p->tables; *t && !taken; t++) {
			const ul_opt *o = ul_opts_find(*t, c->setting[i].key);
			taken = o && ul_opts_check(o, c->setting[i].value, &why);
		}
		if (!taken) {
			c->err = why;
			return false;
		}
	}
	return true;
}

bool ul_args_parse(ul_cli *c, int argc, char **argv)
{
	parse p = {.c = c, .argc = argc, .argv = argv, .tables = ul_verb_tables(c->verb, &c->arena)};
	p.flag = ul_alloc(&c->arena, (size_t)(argc + 1) * sizeof *p.flag);
	c->arg = ul_alloc(&c->arena, (size_t)(argc + 1) * sizeof *c->arg);
	if (!p.tables || !p.flag || !c->arg)
		return ul_nomem(&c->err, (size_t)argc * sizeof *p.flag);
	if (!take_words(&p)) {
		ul_hint(&c->err, "\"unlearn help %s\" lists the options", c->verb->name);
		return false;
	}
	return check_count(c) && merge(&p) && check_values(&p);
}

/* ---- for verbs ---- */

void *ul_cli_config(ul_cli *c, const ul_opt *opts, size_t size)
{
	void *config = ul_alloc(&c->arena, size ? size : 1);
	if (!config) {
		ul_nomem(&c->err, size);
		return NULL;
	}
	if (!opts || (ul_opts_defaults(opts, config, &c->arena, &c->err) &&
	                     ul_settings_apply(c->setting, c->settings, c->used, opts, config, &c->arena, &c->err)))
		return config;
	c->usage = true;
	return NULL;
}

bool ul_cli_done(ul_cli *c, const ul_opt *const *tables)
{
	int n = 0, own = 0;
	while (tables && tables[n])
		n++;
	for (; c->verb->more && c->verb->more[own]; own++)
		;
	const ul_opt **all = ul_alloc(&c->arena, sizeof *all * (size_t)(n + own + 3));
	if (!all)
		return ul_nomem(&c->err, sizeof *all * (size_t)(n + own + 3));
	int k = 0;
	all[k++] = ul_common_opts;
	if (c->verb->opts)
		all[k++] = c->verb->opts;
	for (int i = 0; i < own; i++)
		all[k++] = c->verb->more[i];
	for (int i = 0; i < n; i++)
		all[k++] = tables[i];
	if (ul_settings_done(c->setting, c->settings, c->used, all, &c->err))
		return true;
	c->usage = true;
	return false;
}

const ul_setting *ul_cli_rest(ul_cli *c, size_t *n)
{
	ul_setting *rest = ul_alloc(&c->arena, (c->settings + 1) * sizeof *rest);
	*n = 0;
	for (size_t i = 0; rest && i < c->settings; i++)
		if (!c->used[i])
			rest[(*n)++] = c->setting[i];
	if (!rest)
		ul_nomem(&c->err, (c->settings + 1) * sizeof *rest);
	return rest;
}
