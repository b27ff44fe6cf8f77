/*
 * cmd_list.c: methods, sources, scorers, recipes, audits, archs. A list of what there is, or everything about one of them, from the registries;
 * --markdown writes the tables of the documentation.
 */
#include "audits/audit.h"
#include "cli/cli.h"
#include "recipes/recipe.h"
#include "scorers/scorer.h"
#include "sources/source.h"
#include "train/train.h"

#include <string.h>

struct config {
	bool markdown, names;
};

static const ul_opt opts[] = {
        {"markdown", UL_OPT_BOOL, offsetof(struct config, markdown), "no", 0, 0, NULL, "write a Markdown table, or with NAME a section", NULL},
        {"names", UL_OPT_BOOL, offsetof(struct config, names), "no", 0, 0, NULL, "only the names, one a line", NULL},
        {0},
};

/* What the registries have in common. */
typedef struct item {
	const char *name, *title, *paper, *notes;
	const ul_opt *opts;
	const ul_setting *defaults; /* of training, for methods; what a recipe sets */
	json_t *more; /* facts that only this kind has */
} item;
typedef struct kind {
	const char *one;
	int (*count)(void);
	item (*get)(int i);
} kind;

/* ---- the registries ---- */

static json_t *strings(const char *const *s)
{
	json_t *a = json_array();
	for (; s && *s; s++)
		json_array_append_new(a, json_string(*s));
	return a;
}

static int method_count(void)
{
	int n = 0;
	while (ul_methods[n])
		n++;
	return n;
}

static item method_get(int i)
{
	static const struct {
		unsigned bit;
		const char *name;
	} words[] = {
	        {UL_NEEDS_REF, "reference"}, {UL_NEEDS_RETAIN, "retain"}, {UL_NEEDS_LORA, "lora"}, {UL_NEEDS_ALT, "refusals"}, {UL_USES_RETAIN, "retain (optional)"},
	        {UL_ALL_TOKENS, "all tokens"}, {UL_NEEDS_SPANS, "spans"}, {UL_ALT_ALIGNED, "subjects"}};
	const ul_method *m = ul_methods[i];
	json_t *needs = json_array();
	for (size_t w = 0; w < sizeof words / sizeof *words; w++)
		if (m->needs & words[w].bit && (words[w].bit != UL_NEEDS_ALT || !(m->needs & UL_ALT_ALIGNED))) /* strangers are no refusals */
			json_array_append_new(needs, json_string(words[w].name));
	return (item){m->name, m->title, m->paper, m->notes, m->opts, m->defaults, json_pack("{s:o}", "needs", needs)};
}

static int source_count(void)
{
	int n = 0;
	while (ul_sources[n])
		n++;
	return n;
}

static item source_get(int i)
{
	const ul_source *s = ul_sources[i];
	return (item){s->name, s->title, s->paper, s->notes, s->opts, NULL, json_object()};
}

static int scorer_count(void)
{
	int n = 0;
	while (ul_scorers[n])
		n++;
	return n;
}

static item scorer_get(int i)
{
	const ul_scorer *s = ul_scorers[i];
	return (item){s->name, s->title, s->paper, s->notes, NULL, NULL, json_pack("{s:s}", "argument", s->arg ? s->arg : "")};
}

static int recipe_count(void)
{
	int n = 0;
	while (ul_recipes[n])
		n++;
	return n;
}

static item recipe_get(int i)
{
	const ul_recipe *r = ul_recipes[i];
	json_t *more = json_pack("{s:s, s:s, s:s}", "source", ul_recipe_get(r, "source"), "method", ul_recipe_get(r, "method"), "needs", r->wants ? r->wants : "");
	return (item){r->name, r->title, r->paper, r->notes, NULL, r->settings, more};
}

static int audit_count(void)
{
	int n = 0;
	while (ul_audits[n])
		n++;
	return n;
}

static item audit_get(int i)
{
	static const char *const kinds[] = {"utility", "forgetting", "privacy", "information"};
	static const char *const levels[] = {"quick", "standard", "heavy"};
	const ul_audit_def *d = ul_audits[i];
	const char *level = levels[d->level < 0 || d->level > 2 ? 2 : d->level];
	json_t *more = json_pack("{s:s, s:s, s:b, s:b}", "kind", kinds[d->kind], "level", level, "gate", d->gate, "required", d->required);
	json_object_set_new(more, "margin", d->margin > 0 ? ul_json_number(d->margin) : json_null());
	return (item){d->name, d->title, d->paper, d->notes, NULL, NULL, more};
}

static int arch_count(void)
{
	int n = 0;
	while (ul_archs[n])
		n++;
	return n;
}

static item arch_get(int i)
{
	const ul_arch *a = ul_archs[i];
	json_t *more = json_pack("{s:o, s:o, s:o}", "model_types", strings(a->model_types), "gguf", strings(a->ggufs), "linears", strings(a->linears));
	return (item){.name = a->name, .more = more};
}

static const kind methods = {"method", method_count, method_get}, sources = {"source", source_count, source_get}, scorers = {"scorer", scorer_count, scorer_get}, recipes = {"recipe", recipe_count, recipe_get},
                  audits = {"audit", audit_count, audit_get}, archs = {"architecture", arch_count, arch_get};

/* ---- writing ---- */

static json_t *to_json(const item *it, bool whole)
{
	json_t *v = json_pack("{s:s}", "name", it->name);
	if (it->title)
		json_object_set_new(v, "title", json_string(it->title));
	if (it->paper)
		json_object_set_new(v, "paper", json_string(it->paper));
	json_object_update(v, it->more);
	if (whole && it->notes)
		json_object_set_new(v, "notes", json_string(it->notes));
	if (whole && it->defaults) {
		json_t *d = json_object();
		for (const ul_setting *s = it->defaults; s->key; s++)
			json_object_set_new(d, s->key, json_string(s->value));
		json_object_set_new(v, "defaults", d);
	}
	if (whole && it->opts)
		json_object_set_new(v, "options", ul_opts_describe(it->opts));
	return v;
}

/* A fact of item.more as words: "reference, retain", "yes", "0.05"; empty when it says nothing. */
static void fact(ul_buf *b, const json_t *v)
{
	size_t i;
	json_t *e;
	if (json_is_string(v))
		ul_buf_str(b, json_string_value(v));
	else if (json_is_true(v))
		ul_buf_str(b, "yes");
	else if (json_is_number(v))
		ul_buf_printf(b, "%g", json_number_value(v));
	json_array_foreach(v, i, e) ul_buf_printf(b, "%s%s", i ? ", " : "", json_string_value(e));
}

static void whole(const item *it, ul_buf *b)
{
	ul_buf_printf(b, "%s%s%s\n", it->name, it->title ? ": " : "", it->title ? it->title : "");
	if (it->paper)
		ul_buf_printf(b, "%s\n", it->paper);
	if (it->notes)
		ul_buf_printf(b, "\n%s\n", it->notes);
	const char *key;
	json_t *v;
	ul_buf_str(b, "\n");
	json_object_foreach(it->more, key, v)
	{
		ul_buf words = {0};
		fact(&words, v);
		if (words.len)
			ul_buf_printf(b, "  %-12s %s\n", key, words.data);
		ul_buf_release(&words);
	}
	if (it->defaults) {
		ul_buf_str(b, it->opts || !json_object_get(it->more, "method") ? "\ntraining settings it prefers\n" : "\nthe options it stands for\n");
		for (const ul_setting *s = it->defaults; s->key; s++)
			ul_buf_printf(b, "  --%s %s\n", s->key, s->value);
	}
	if (it->opts && it->opts->name) {
		ul_buf_str(b, "\noptions\n");
		ul_opts_help(it->opts, b);
	}
}

static void cell(ul_buf *b, const char *s)
{
	for (; s && *s; s++)
		ul_buf_str(b, (char[]){*s == '\n' ? ' ' : *s, '\0'});
}

/* Architectures have neither title nor paper: their table goes without. */
static void markdown_row(const item *it, bool first, ul_buf *b)
{
	const char *key;
	json_t *v;
	if (first) {
		ul_buf_str(b, it->title ? "| name | what it is |" : "| name |");
		json_object_foreach(it->more, key, v) ul_buf_printf(b, " %s |", key);
		ul_buf_str(b, it->title ? " source |\n|---|---|---|" : "\n|---|");
		json_object_foreach(it->more, key, v) ul_buf_str(b, "---|");
		ul_buf_str(b, "\n");
	}
	ul_buf_printf(b, "| `%s` |", it->name);
	if (it->title) {
		ul_buf_str(b, " ");
		cell(b, it->title);
		ul_buf_str(b, " |");
	}
	json_object_foreach(it->more, key, v)
	{
		ul_buf_str(b, " ");
		fact(b, v);
		ul_buf_str(b, " |");
	}
	if (it->title) {
		ul_buf_str(b, " ");
		cell(b, it->paper);
		ul_buf_str(b, " |");
	}
	ul_buf_str(b, "\n");
}

static void markdown_section(const item *it, ul_buf *b)
{
	if (!it->title)
		return;
	ul_buf_printf(b, "## %s\n\n", it->name);
	if (it->title)
		ul_buf_printf(b, "%s. ", it->title);
	if (it->paper)
		ul_buf_printf(b, "%s.", it->paper);
	ul_buf_str(b, "\n\n");
	if (it->notes)
		ul_buf_printf(b, "%s\n\n", it->notes);
	if (!it->opts || !it->opts->name)
		return;
	ul_buf_str(b, "| option | default | what it does |\n|---|---|---|\n");
	for (const ul_opt *o = it->opts; o->name; o++)
		ul_buf_printf(b, "| `--%s` | %s | %s |\n", o->name, o->def ? o->def : "", o->help);
	ul_buf_str(b, "\n");
}

static void list(const kind *k, const struct config *o, ul_buf *b)
{
	for (int i = 0; i < k->count(); i++) {
		item it = k->get(i);
		if (o->names)
			ul_buf_printf(b, "%s\n", it.name);
		else if (o->markdown)
			markdown_row(&it, i == 0, b);
		else if (it.title)
			ul_buf_printf(b, "%-24s %s\n", it.name, it.title);
		else {
			ul_buf_printf(b, "%-24s ", it.name);
			fact(b, json_object_get(it.more, "model_types"));
			ul_buf_str(b, "\n");
		}
		json_decref(it.more);
	}
}

static int find(ul_cli *c, const kind *k, const char *name)
{
	int near = -1;
	ul_near typed = {.typed = name};
	for (int i = 0; i < k->count(); i++) {
		item it = k->get(i);
		json_decref(it.more);
		if (!strcmp(it.name, name))
			return i;
		if (ul_nearer(&typed, it.name))
			near = i;
	}
	ul_fail(&c->err, "there is no %s \"%.100s\"", k->one, name);
	if (near >= 0) {
		item it = k->get(near);
		ul_hint(&c->err, "did you mean \"%s\"?", it.name);
		json_decref(it.more);
	} else {
		ul_hint(&c->err, "\"unlearn %s\" lists them", c->verb->name);
	}
	return -1;
}

static void print_json(ul_cli *c, const kind *k, int only)
{
	json_t *all = json_array();
	for (int i = 0; i < k->count(); i++) {
		if (only >= 0 && i != only)
			continue;
		item it = k->get(i);
		json_array_append_new(all, to_json(&it, only >= 0));
		json_decref(it.more);
	}
	ul_cli_print(c, only >= 0 ? json_array_get(all, 0) : all);
	json_decref(all);
}

static int show(ul_cli *c, const kind *k, const struct config *o)
{
	int only = -1;
	if (c->args && (only = find(c, k, c->arg[0])) < 0)
		return ul_cli_fail(c);
	if (c->json) {
		print_json(c, k, only);
		return c->err.msg[0] ? ul_cli_fail(c) : UL_EXIT_DONE;
	}
	ul_buf text = {0};
	if (only >= 0) {
		item it = k->get(only);
		(o->markdown ? markdown_section : whole)(&it, &text);
		json_decref(it.more);
	} else
		list(k, o, &text);
	bool ok = !text.failed || ul_nomem(&c->err, text.len);
	if (ok && text.data)
		fputs(text.data, stdout);
	ul_buf_release(&text);
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

static int run_methods(ul_cli *c, const void *config)
{
	return show(c, &methods, config);
}

static int run_sources(ul_cli *c, const void *config)
{
	return show(c, &sources, config);
}

static int run_scorers(ul_cli *c, const void *config)
{
	return show(c, &scorers, config);
}

static int run_recipes(ul_cli *c, const void *config)
{
	return show(c, &recipes, config);
}

static int run_audits(ul_cli *c, const void *config)
{
	return show(c, &audits, config);
}

static int run_archs(ul_cli *c, const void *config)
{
	return show(c, &archs, config);
}

#define LIST(word, what)                                                                                                        \
	{                                                                                                                       \
		.name = #word, .usage = "[NAME] [--json | --markdown | --names]", .summary = what, .max_args = 1, .opts = opts, \
		.config = sizeof(struct config), .main = run_##word                                                             \
	}
const ul_verb ul_verb_methods = LIST(methods, "the ways to forget there are, and every option of NAME");
const ul_verb ul_verb_sources = LIST(sources, "the ways to obtain forget data, and every option of NAME");
const ul_verb ul_verb_scorers = LIST(scorers, "what says how much a text is what a source looks for, and what NAME takes");
const ul_verb ul_verb_recipes = LIST(recipes, "the combinations of options that have a name, and what NAME sets");
const ul_verb ul_verb_audits = LIST(audits, "the numbers an audit reports, and what NAME means");
const ul_verb ul_verb_archs = LIST(archs, "the model architectures that open, and what NAME covers");
