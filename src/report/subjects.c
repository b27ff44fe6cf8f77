/*
 * subjects.c: one line for each person of a list of names: how much the model told of them before, and how much of that it still says,
 * however it is asked. People are lines of that list, not names, for the page may travel further than the list.
 */
#include "report/parts.h"

#include <math.h>
#include <string.h>

enum { SHOWN = 400 };

static const struct {
	const char *manner, *title;
} column[] = {
        {"same", "same words"},
        {"paraphrased", "other words"},
        {"prefixed", "behind other text"},
        {"turns", "in a conversation"},
        {"stranger", "of somebody else"},
};
enum { COLUMNS = sizeof column / sizeof *column };

static bool has(const json_t *table, const char *when, int k)
{
	return json_object_get(json_object_get(table, when), column[k].manner) != NULL;
}

static void cell(ul_buf *b, const json_t *line, const char *when, int k)
{
	double n = ul_json_get(json_object_get(line, when), column[k].manner);
	bool left = n > 0 && !strcmp(when, "after") && strcmp(column[k].manner, "stranger") != 0;
	ul_buf_printf(b, left ? "<td class=left>%.0f</td>" : n > 0 ? "<td>%.0f</td>"
	                                                           : "<td><i>%.0f</i></td>",
	        isnan(n) ? 0 : n);
}

static void row(ul_buf *b, const json_t *table, const json_t *line, bool all)
{
	double n = ul_json_get(line, "data"), at = ul_json_get(line, "line");
	if (all)
		ul_buf_str(b, "<tr><td>all</td>");
	else
		ul_buf_printf(b, "<tr><td>%.0f</td>", at);
	ul_buf_printf(b, "<td>%.0f</td>", isnan(n) ? 0 : n);
	for (int k = 0; k < COLUMNS; k++)
		if (has(table, "before", k))
			cell(b, line, "before", k);
	for (int k = 0; k < COLUMNS; k++)
		if (has(table, "after", k))
			cell(b, line, "after", k);
	ul_buf_str(b, "</tr>\n");
}

static void heads(ul_buf *b, const json_t *table, const char *when, const char *word)
{
	for (int k = 0; k < COLUMNS; k++)
		if (has(table, when, k))
			ul_buf_printf(b, "<th>%s: %s</th>", word, column[k].title);
}

static int unknown(const json_t *people)
{
	size_t i;
	int n = 0;
	json_t *v;
	json_array_foreach(people, i, v) n += ul_json_get(v, "data") == 0;
	return n;
}

void ul_show_subjects(ul_buf *b, const ul_story *s)
{
	const json_t *table = json_object_get(s->scores, "subjects"), *people, *v;
	bool own = !json_is_object(table);
	size_t i;
	table = own ? json_object_get(s->run, "subjects") : table;
	people = json_object_get(table, "people");
	if (!json_array_size(people))
		return;
	ul_buf_str(b, "<h3>Name by name</h3>\n<p class=note>");
	ul_buf_str(b, own ? "What the model itself told of each person before, and how much of that it still says." : "What the forget rows say of each person, and how much of that the model says.");
	ul_buf_str(b, " The first column is the line in the list of names; a datum is counted once, and as said when an answer holds it letter by letter.");
	if (unknown(people))
		ul_buf_printf(b, " Of %d of them nothing was found to ask for.", unknown(people));
	ul_buf_str(b, "</p>\n<div class=people><table><tr><th>name</th><th>data</th>");
	heads(b, table, "before", "before");
	heads(b, table, "after", "now");
	ul_buf_str(b, "</tr>\n");
	json_array_foreach(people, i, v) if (i < SHOWN) row(b, table, v, false);
	row(b, table, table, true);
	ul_buf_str(b, "</table></div>\n");
}
