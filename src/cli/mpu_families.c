/*
 * mpu_families.c: unlearn mpu families. Which transforms each kind of model bears; --markdown writes the table of docs/mpu.md.
 */
#include "cli/cli.h"
#include "protocols/mpu.h"

struct config {
	bool markdown;
};

static const ul_opt opts[] = {
        {"markdown", UL_OPT_BOOL, offsetof(struct config, markdown), "no", 0, 0, NULL, "write a Markdown table", NULL},
        {0},
};

static const struct column {
	const char *key, *head;
	int width;
} column[] = {{"model_type", "model type", 12}, {"ffn", "FFN units", 12}, {"heads", "heads", 12}, {"values", "values, output", 19}, {"queries", "queries, keys", 27}, {"residual", "residual stream", 19},
        {"adamw", "AdamW follows", 0}};
enum { COLUMNS = sizeof column / sizeof *column };

static void row(const json_t *o, bool markdown, ul_buf *b)
{
	for (int i = 0; i < COLUMNS; i++) {
		const char *word = o ? ul_json_str(o, column[i].key) : column[i].head;
		if (markdown)
			ul_buf_printf(b, i || !o ? "%s%s |" : "%s`%s` |", i ? " " : "| ", word);
		else
			ul_buf_printf(b, "%-*s%s", column[i].width, word, i < COLUMNS - 1 ? " " : "");
	}
	ul_buf_str(b, "\n");
}

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	json_t *list = ul_mpu_all_families(&c->err), *one;
	size_t i;
	ul_buf text = {0};
	if (!list)
		return ul_cli_fail(c);
	row(NULL, o->markdown, &text);
	for (i = 0; o->markdown && i < COLUMNS; i++)
		ul_buf_str(&text, i < COLUMNS - 1 ? "|---" : "|---|\n");
	json_array_foreach(list, i, one) row(one, o->markdown, &text);
	bool ok = !text.failed || ul_nomem(&c->err, text.len);
	if (ok && c->json)
		ul_cli_print(c, list);
	else if (ok)
		fputs(text.data, stdout);
	ul_buf_release(&text);
	json_decref(list);
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_mpu_families = {
        .name = "mpu families",
        .usage = "[--json | --markdown]",
        .summary = "which transforms of the copies each kind of model bears, and AdamW with it",
        .notes = "FFN units, heads: always whole ones, query heads among those of their key-value head. The other columns are turned within a head, or all along\n"
                 "the residual stream (--reparam full). Free angles are what --turns any of \"mpu publish\" draws; all else is exact, and any optimiser does the\n"
                 "same under it. What is not in the table is refused, or not drawn.",
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
