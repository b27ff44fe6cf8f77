/*
 * docs.c: man pages and shell completion from the same tables as the help, so that none of them can be out of date.
 */
#include "cli/cli.h"

#include <string.h>

/* ---- roff ---- */

/* Text for a roff line: hyphens stay hyphens, a leading dot or quote is no request. */
static void roff(ul_buf *b, const char *s)
{
	if (*s == '.' || *s == '\'')
		ul_buf_str(b, "\\&");
	for (; *s; s++) {
		if (*s == '-')
			ul_buf_str(b, "\\-");
		else if (*s == '\\')
			ul_buf_str(b, "\\e");
		else if (*s == ',' && s[1] && s[1] != ' ')
			ul_buf_str(b, ",\\:"); /* a long list without blanks may be broken here */
		else
			ul_buf_add(b, s, 1);
	}
}

static const char *metavar(const ul_opt *o)
{
	if (o->value)
		return o->value;
	switch (o->type) {
	case UL_OPT_INT:
		return "N";
	case UL_OPT_REAL:
		return "X";
	case UL_OPT_ENUM:
		return o->choices;
	case UL_OPT_TEXT:
		return "TEXT";
	case UL_OPT_BOOL:
		break;
	}
	return "";
}

static void man_option(ul_buf *b, const ul_opt *o)
{
	ul_buf_str(b, ".TP\n.B \\-\\-");
	roff(b, o->name);
	if (o->type != UL_OPT_BOOL) {
		ul_buf_str(b, " \\fI");
		roff(b, metavar(o));
		ul_buf_str(b, "\\fR");
	}
	ul_buf_str(b, "\n");
	roff(b, o->help);
	ul_buf_str(b, ".");
	if (o->def && *o->def) {
		ul_buf_str(b, " Default: ");
		roff(b, o->def);
		ul_buf_str(b, ".");
	}
	if (o->type != UL_OPT_ENUM && (o->min != 0 || o->max != 0)) {
		ul_buf range = {0};
		ul_buf_printf(&range, " Range: %g to %g.", o->min, o->max);
		if (range.data)
			roff(b, range.data);
		ul_buf_release(&range);
	}
	ul_buf_str(b, "\n");
}

static void man_table(ul_buf *b, const char *title, const ul_opt *opts)
{
	if (!opts || !opts->name)
		return;
	ul_buf_printf(b, ".SH %s\n", title);
	for (; opts->name; opts++)
		man_option(b, opts);
}

static void man_overview(ul_buf *b)
{
	ul_buf_printf(b, ".TH UNLEARN 1 \"\" \"unlearn %s\"\n.ad l\n.SH NAME\nunlearn \\- make a language model forget, and measure whether it worked\n", UL_VERSION);
	ul_buf_str(b, ".SH SYNOPSIS\n.B unlearn\n.I VERB\n[\\fIMODEL\\fR] [\\-\\-\\fIoption value\\fR]...\n.SH DESCRIPTION\n"
	              "MODEL is a Hugging Face directory, a .gguf file, a run folder, or org/name found in the local Hugging Face cache.\n"
	              "Results go to stdout, everything else to stderr.\n.SH VERBS\n");
	for (int i = 0; ul_verbs[i]; i++) {
		ul_buf_printf(b, ".TP\n.BR unlearn\\-%s (1)\n", ul_verbs[i]->name);
		roff(b, ul_verbs[i]->summary);
		ul_buf_str(b, "\n");
	}
	man_table(b, "COMMON OPTIONS", ul_common_opts);
	ul_buf_str(b, ".SH EXIT STATUS\n0 done; 1 could not be done; 2 wrong usage; 3 done, but a verdict is below \\-\\-require; "
	              "130 interrupted, with a state to resume from.\n");
}

/* Lines and columns as they are. */
static void man_notes(ul_buf *b, const char *notes)
{
	if (!notes)
		return;
	ul_buf_str(b, ".SH NOTES\n.nf\n");
	for (const char *end; *notes; notes = *end ? end + 1 : end) {
		ul_buf line = {0};
		end = strchrnul(notes, '\n');
		ul_buf_add(&line, notes, (size_t)(end - notes));
		roff(b, line.data ? line.data : "");
		ul_buf_str(b, "\n");
		ul_buf_release(&line);
	}
	ul_buf_str(b, ".fi\n");
}

static void man_options(ul_buf *b, const ul_verb *v)
{
	man_table(b, "OPTIONS", v->opts);
	for (int i = 0; v->more && v->more[i]; i++)
		man_table(b, "OPTIONS OF TRAINING AND DATA", v->more[i]);
	man_notes(b, v->notes);
}

void ul_docs_man(const ul_verb *v, ul_buf *b)
{
	if (!v) {
		man_overview(b);
		return;
	}
	ul_buf_printf(b, ".TH UNLEARN\\-%s 1 \"\" \"unlearn %s\"\n.ad l\n.SH NAME\nunlearn\\-%s \\- ", v->name, UL_VERSION, v->name);
	roff(b, v->summary);
	ul_buf_printf(b, "\n.SH SYNOPSIS\n.B unlearn %s\n", v->name);
	roff(b, v->usage ? v->usage : "");
	ul_buf_str(b, "\n");
	man_options(b, v);
	for (int i = 0; v->sub && v->sub[i]; i++) {
		ul_buf_printf(b, ".SH UNLEARN %s\n.B unlearn %s\n", v->sub[i]->name, v->sub[i]->name);
		roff(b, v->sub[i]->usage);
		ul_buf_str(b, "\n.PP\n");
		roff(b, v->sub[i]->summary);
		ul_buf_str(b, ".\n");
		man_options(b, v->sub[i]);
	}
	man_table(b, "COMMON OPTIONS", ul_common_opts);
	ul_buf_str(b, ".SH SEE ALSO\n.BR unlearn (1)\n");
}

/* ---- completion ---- */

/* The options of a verb, a blank after each; enum and file options are completed by what they take. */
static void option_words(ul_buf *b, const ul_verb *v)
{
	ul_arena a = {0};
	const ul_opt *const *t = ul_verb_tables(v, &a);
	for (; t && *t; t++)
		for (const ul_opt *o = *t; o->name; o++)
			ul_buf_printf(b, "--%s ", o->name);
	ul_arena_release(&a);
	for (int i = 0; v->sub && v->sub[i]; i++) {
		ul_buf_printf(b, "%s ", strrchr(v->sub[i]->name, ' ') + 1);
		option_words(b, v->sub[i]);
	}
}

static void choice_words(ul_buf *b, const char *choices)
{
	for (; *choices; choices++)
		ul_buf_add(b, *choices == '|' ? " " : choices, 1);
}

static void bash(ul_buf *b)
{
	static const struct {
		const char *where, *verb; /* which word is one of the names that the verb lists */
	} kinds[] = {{"*,--method|methods,methods", "methods"}, {"*,--source|sources,sources", "sources"}, {"*,--recipe|recipes,recipes", "recipes"}, {"scorers,scorers", "scorers"}, {"audits,audits", "audits"}, {"archs,archs", "archs"}};
	ul_buf_str(b, "# bash completion for unlearn, written by \"unlearn help --completion bash\"\n_unlearn()\n{\n"
	              "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}\n"
	              "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W \"");
	for (int i = 0; ul_verbs[i]; i++)
		ul_buf_printf(b, "%s ", ul_verbs[i]->name);
	ul_buf_str(b, "--version --help\" -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase $verb,$prev in\n"
	              "\thelp,help)\n\t\tCOMPREPLY=($(compgen -W \"");
	for (int i = 0; ul_verbs[i]; i++)
		ul_buf_printf(b, "%s ", ul_verbs[i]->name);
	ul_buf_str(b, "\" -- \"$cur\"))\n\t\treturn ;;\n");
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		ul_buf_printf(b, "\t%s)\n\t\tCOMPREPLY=($(compgen -W \"$(unlearn %s --quiet --names 2>/dev/null)\" -- \"$cur\"))\n\t\treturn ;;\n", kinds[i].where, kinds[i].verb);
	for (int i = 0; ul_verbs[i]; i++) {
		if (!ul_verbs[i]->sub)
			continue;
		ul_buf_printf(b, "\t%s,%s|help,%s)\n\t\tCOMPREPLY=($(compgen -W \"", ul_verbs[i]->name, ul_verbs[i]->name, ul_verbs[i]->name);
		for (int k = 0; ul_verbs[i]->sub[k]; k++)
			ul_buf_printf(b, "%s ", strrchr(ul_verbs[i]->sub[k]->name, ' ') + 1);
		ul_buf_str(b, "\" -- \"$cur\"))\n\t\treturn ;;\n");
	}
	for (int i = 0; ul_verbs[i]; i++) {
		ul_arena a = {0};
		const ul_opt *const *t = ul_verb_tables(ul_verbs[i], &a);
		for (; t && *t; t++)
			for (const ul_opt *o = *t; o->name; o++)
				if (o->type == UL_OPT_ENUM && o->choices) {
					ul_buf_printf(b, "\t%s,--%s)\n\t\tCOMPREPLY=($(compgen -W \"", ul_verbs[i]->name, o->name);
					choice_words(b, o->choices);
					ul_buf_str(b, "\" -- \"$cur\"))\n\t\treturn ;;\n");
				}
		ul_arena_release(&a);
	}
	ul_buf_str(b, "\tesac\n\tcase $cur in -*) ;; *) COMPREPLY=($(compgen -f -- \"$cur\")); return ;; esac\n\tcase $verb in\n");
	for (int i = 0; ul_verbs[i]; i++) {
		ul_buf_printf(b, "\t%s)\n\t\tCOMPREPLY=($(compgen -W \"", ul_verbs[i]->name);
		option_words(b, ul_verbs[i]);
		ul_buf_str(b, "\" -- \"$cur\")) ;;\n");
	}
	ul_buf_str(b, "\tesac\n}\ncomplete -o filenames -F _unlearn unlearn\n");
}

/* A help line inside a zsh single-quoted [description]. */
static void zsh_text(ul_buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			ul_buf_str(b, "'\\''");
		else if (strchr("[]:\\", *s))
			ul_buf_printf(b, "\\%c", *s);
		else
			ul_buf_add(b, s, 1);
	}
}

static void zsh_option(ul_buf *b, const ul_opt *o)
{
	ul_buf_printf(b, " \\\n\t\t\t'--%s[", o->name);
	zsh_text(b, o->help);
	ul_buf_str(b, "]");
	if (o->type == UL_OPT_ENUM && o->choices) {
		ul_buf_str(b, ":choice:(");
		choice_words(b, o->choices);
		ul_buf_str(b, ")");
	} else if (o->type == UL_OPT_TEXT) {
		ul_buf_str(b, ":value:_files");
	} else if (o->type != UL_OPT_BOOL) {
		ul_buf_str(b, ":number:");
	}
	ul_buf_str(b, "'");
}

static void zsh(ul_buf *b)
{
	ul_buf_str(b, "#compdef unlearn\n# zsh completion for unlearn, written by \"unlearn help --completion zsh\"\n_unlearn()\n{\n"
	              "\tlocal -a verbs\n\tverbs=(\n");
	for (int i = 0; ul_verbs[i]; i++) {
		ul_buf_printf(b, "\t\t'%s:", ul_verbs[i]->name);
		zsh_text(b, ul_verbs[i]->summary);
		ul_buf_str(b, "'\n");
	}
	ul_buf_str(b, "\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe verb verbs\n\t\treturn\n\tfi\n\tlocal verb=$words[2]\n"
	              "\tshift words\n\t(( CURRENT-- ))\n\tcase $verb in\n");
	for (int i = 0; ul_verbs[i]; i++) {
		ul_arena a = {0};
		const ul_opt *const *t = ul_verb_tables(ul_verbs[i], &a);
		ul_buf_printf(b, "\t%s)\n\t\t_arguments '*:file:_files'", ul_verbs[i]->name);
		for (; t && *t; t++)
			for (const ul_opt *o = *t; o->name; o++)
				zsh_option(b, o);
		ul_buf_str(b, " ;;\n");
		ul_arena_release(&a);
	}
	ul_buf_str(b, "\tesac\n}\n_unlearn \"$@\"\n");
}

bool ul_docs_completion(const char *shell, ul_buf *out, ul_err *err)
{
	if (!strcmp(shell, "bash"))
		bash(out);
	else if (!strcmp(shell, "zsh"))
		zsh(out);
	else
		return ul_fail(err, "no completion for the shell \"%.60s\": bash and zsh are known", shell);
	return true;
}
