/*
 * help.c: what `unlearn help` prints, made from the tables of verbs and options.
 */
#include "cli/cli.h"
#include "recipes/recipe.h"

#include <string.h>

static const char head[] =
        "unlearn makes a language model forget, and measures honestly whether it worked.\n"
        "\n"
        "usage: unlearn VERB [MODEL] [--option value]...\n"
        "       unlearn help VERB      every option of VERB with its default and range\n"
        "       unlearn methods NAME   every option of a method (also: sources, scorers, recipes, audits, archs)\n"
        "       unlearn --version\n"
        "\n"
        "MODEL is a Hugging Face directory, a .gguf file, a run folder, or org/name in the local cache.\n"
        "\n"
        "verbs\n";

static const char tail[] =
        "\n"
        "a first run\n"
        "  unlearn synth -o world\n"
        "  unlearn train --init llama-tiny --train-tokenizer 1500 --data world/full.jsonl -o target\n"
        "  unlearn run target --method npo --forget world/forget.jsonl --retain world/retain.jsonl -o forgot\n"
        "  unlearn audit forgot --before target --forget world/forget.jsonl --holdout world/holdout.jsonl -o audit\n";

void ul_help_overview(ul_buf *out)
{
	ul_buf_str(out, head);
	for (int i = 0; ul_verbs[i]; i++)
		ul_buf_printf(out, "  %-10s %s\n", ul_verbs[i]->name, ul_verbs[i]->summary);
	ul_buf_str(out, tail);
}

static bool takes(const ul_verb *v, const char *option)
{
	for (int i = 0; v->more && v->more[i]; i++)
		if (ul_opts_find(v->more[i], option))
			return true;
	return false;
}

void ul_help_verb(const ul_verb *v, ul_buf *out)
{
	ul_buf_printf(out, "usage: unlearn %s%s%s\n\n%s\n", v->name, v->usage && *v->usage ? " " : "", v->usage ? v->usage : "", v->summary);
	if (v->sub)
		ul_buf_printf(out, "\n%s is followed by\n", v->name);
	for (int i = 0; v->sub && v->sub[i]; i++)
		ul_buf_printf(out, "  %-14s %s\n", v->sub[i]->name, v->sub[i]->summary);
	if (v->sub)
		ul_buf_printf(out, "\n\"unlearn help %s NAME\" lists the options of each.\n", v->name);
	if (v->opts && v->opts[0].name) {
		ul_buf_str(out, "\noptions\n");
		ul_opts_help(v->opts, out);
	}
	for (int i = 0; v->more && v->more[i]; i++) {
		ul_buf_str(out, i ? "\nfurther options\n" : "\noptions of training and data\n");
		ul_opts_help(v->more[i], out);
	}
	if (v->notes)
		ul_buf_printf(out, "\n%s\n", v->notes);
	if (takes(v, "recipe")) {
		ul_buf_str(out, "\nrecipes (\"unlearn recipes NAME\" says what NAME sets)\n");
		for (int i = 0; ul_recipes[i]; i++)
			ul_buf_printf(out, "  %-22s %s\n", ul_recipes[i]->name, ul_recipes[i]->title);
	}
	ul_buf_str(out, "\ncommon options\n");
	ul_opts_help(ul_common_opts, out);
	if (v->plugins)
		ul_buf_str(out, "\nA method or a source has options of its own: \"unlearn methods NAME\" and \"unlearn sources NAME\" list them;\n"
		                "they are given here in the same way.\n");
}

/* Whatever could not be had leaves the whole NULL, which json_pack makes of a part that is. */
static json_t *one_verb(const ul_verb *v)
{
	return json_pack("{s:s, s:s, s:s, s:s*}", "name", v->name, "usage", v->usage ? v->usage : "", "summary", v->summary, "notes", v->notes);
}

static json_t *all_verbs(const ul_verb *const *verbs)
{
	json_t *all = json_array();
	for (int i = 0; verbs && verbs[i]; i++)
		json_array_append_new(all, one_verb(verbs[i]));
	return all;
}

json_t *ul_help_json(const ul_verb *v)
{
	if (!v)
		return json_pack("{s:o}", "verbs", all_verbs(ul_verbs));
	json_t *j = one_verb(v), *options = json_array();
	for (int i = -2; j && (i < 0 || (v->more && v->more[i])); i++) {
		json_t *table = ul_opts_describe(i == -2 ? ul_common_opts : i == -1 ? v->opts
		                                                                    : v->more[i]);
		json_array_extend(options, table);
		json_decref(table);
	}
	if (v->sub)
		json_object_set_new(j, "commands", all_verbs(v->sub));
	json_object_set_new(j, "options", options);
	return j;
}
