/*
 * settings.c: everything run.json and scores.json say of how this came about: settings, seeds, machine, hashes of every input. What
 * has been shown already (scores, examples) is left out; the rest is printed whatever it is.
 */
#include "report/parts.h"

#include <string.h>

enum { DEEPEST = 4 };

static bool shown_elsewhere(const char *key)
{
	static const char *const known[] = {"audits", "examples", "verdict", "schema", "subjects", "told", "unmet"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(key, known[i]))
			return true;
	return false;
}

static int to_buf(const char *bytes, size_t n, void *ud)
{
	ul_buf_add(ud, bytes, n);
	return 0;
}

static void entry(ul_buf *b, const char *key, const json_t *v)
{
	ul_buf text = {0};
	if (json_is_string(v))
		ul_buf_str(&text, json_string_value(v));
	else
		json_dump_callback(v, to_buf, &text, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6) | JSON_COMPACT);
	ul_buf_str(b, "<dt>");
	ul_html(b, key);
	ul_buf_str(b, "</dt><dd class=code>");
	ul_html_n(b, text.data ? text.data : "", 600);
	ul_buf_str(b, "</dd>\n");
	ul_buf_release(&text);
}

static void walk(ul_buf *b, const char *prefix, const json_t *o, int depth);

/* A list of objects is opened under their roles, "inputs.forget.sha256"; any other list is one entry. */
static void walk_list(ul_buf *b, const char *name, const json_t *list, int depth)
{
	size_t i;
	json_t *v;
	if (json_array_size(list) && (!ul_json_str(json_array_get(list, 0), "role") || depth >= DEEPEST)) {
		entry(b, name, list);
		return;
	}
	json_array_foreach(list, i, v)
	{
		char full[300];
		const char *role = ul_json_str(v, "role");
		snprintf(full, sizeof full, "%s.%s", name, role ? role : "?");
		walk(b, full, v, depth + 1);
	}
}

/* Objects are opened, "machine.cpu"; scalars are entries; null and empty ones are nothing. */
static void walk(ul_buf *b, const char *prefix, const json_t *o, int depth)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)(uintptr_t)o, key, v)
	{
		char name[256];
		if ((!*prefix && shown_elsewhere(key)) || json_is_null(v) || !strcmp(key, "role"))
			continue;
		snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
		if (json_is_object(v) && depth < DEEPEST)
			walk(b, name, v, depth + 1);
		else if (json_is_array(v))
			walk_list(b, name, v, depth);
		else
			entry(b, name, v);
	}
}

void ul_show_settings(ul_buf *b, const ul_story *s)
{
	if (s->run) {
		ul_buf_str(b, "<h3>How it was done</h3>\n<dl class=set>\n");
		walk(b, "", s->run, 0);
		ul_buf_str(b, "</dl>\n");
	}
	if (s->scores) {
		ul_buf_str(b, "<h3>How it was audited</h3>\n<dl class=set>\n");
		walk(b, "", s->scores, 0);
		ul_buf_str(b, "</dl>\n");
	}
}
