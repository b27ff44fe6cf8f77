/*
 * option_help.c: what is said about options: help lines, machine-readable descriptions, and the nearest name to a misspelt one.
 */
#include "base/option.h"

#include <math.h>
#include <string.h>

static int min2(int a, int b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours; names are compared by their first 63 bytes. */
int ul_edit_distance(const char *a, const char *b)
{
	enum { MAX = 63 };
	int d[3][MAX + 1], n = (int)strnlen(a, MAX), m = (int)strnlen(b, MAX);
	for (int j = 0; j <= m; j++)
		d[0][j] = j;
	for (int i = 1; i <= n; i++) {
		int *now = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];
		now[0] = i;
		for (int j = 1; j <= m; j++) {
			now[j] = min2(up[j - 1] + (a[i - 1] != b[j - 1]), min2(up[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = min2(now[j], up2[j - 2] + 1);
		}
	}
	return d[n % 3][m];
}

bool ul_nearer(ul_near *n, const char *name)
{
	enum { PREFIX = 2, /* letters that begin a name */
		MOST = 4,
		FAR = 1000 }; /* every misspelling is further away than every beginning */
	int len = (int)strnlen(n->typed, 63), d = ul_edit_distance(name, n->typed), limit = min2(len / 2, MOST);
	bool begins = len >= PREFIX && !strncmp(name, n->typed, (size_t)len);
	int found = begins ? 1 + d : d <= limit ? FAR + d
	                                        : 0;
	if (!found || (n->found && found >= n->found))
		return false;
	n->found = found;
	return true;
}

bool ul_opts_unknown(const ul_opt *const *tables, const char *name, ul_err *err)
{
	const char *nearest = NULL;
	ul_near near = {.typed = name};
	for (; tables && *tables; tables++)
		for (const ul_opt *o = *tables; o->name; o++)
			if (ul_nearer(&near, o->name))
				nearest = o->name;
	if (nearest)
		return ul_fail(err, "unknown option \"%s\"; did you mean \"%s\"?", name, nearest);
	return ul_fail(err, "unknown option \"%s\"", name);
}

static const char *metavariable(const ul_opt *o)
{
	if (o->value)
		return o->value;
	switch (o->type) {
	case UL_OPT_BOOL:
		return "";
	case UL_OPT_INT:
		return "N";
	case UL_OPT_REAL:
		return "X";
	case UL_OPT_ENUM:
		return o->choices;
	case UL_OPT_TEXT:
		break;
	}
	return "TEXT";
}

static int width(const ul_opt *o)
{
	const char *v = metavariable(o);
	return (int)(strlen(o->name) + (*v ? 1 + strlen(v) : 0));
}

void ul_opts_help(const ul_opt *opts, ul_buf *out)
{
	enum { WIDEST = 26 };
	int column = 0;
	for (const ul_opt *o = opts; o && o->name; o++)
		if (width(o) <= WIDEST && width(o) > column)
			column = width(o);
	for (const ul_opt *o = opts; o && o->name; o++) {
		const char *v = metavariable(o), *sep = " (";
		ul_buf_printf(out, "  --%s%s%s", o->name, *v ? " " : "", v);
		if (width(o) > column)
			ul_buf_printf(out, "\n%*s", column + 6, "");
		else
			ul_buf_printf(out, "%*s", column - width(o) + 2, "");
		ul_buf_str(out, o->help ? o->help : "");
		if (o->def && o->def[0]) {
			ul_buf_printf(out, "%sdefault %s", sep, o->def);
			sep = ", ";
		}
		bool number = o->type == UL_OPT_INT || o->type == UL_OPT_REAL;
		if (number && (o->min != 0 || o->max != 0)) {
			if (isinf(o->max))
				ul_buf_printf(out, "%sat least %.9g", sep, o->min);
			else
				ul_buf_printf(out, "%s%.9g to %.9g", sep, o->min, o->max);
			sep = ", ";
		}
		ul_buf_str(out, sep[0] == ',' ? ")\n" : "\n");
	}
}

static json_t *choices_json(const ul_opt *o)
{
	if (o->type != UL_OPT_ENUM || !o->choices)
		return json_null();
	json_t *all = json_array();
	for (const char *p = o->choices; all && p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
		if (json_array_append_new(all, json_stringn(p, strcspn(p, "|"))) != 0) {
			json_decref(all);
			return NULL;
		}
	return all;
}

static json_t *describe(const ul_opt *o)
{
	static const char *const type[] = {"bool", "int", "real", "text", "enum"};
	bool limits = (o->type == UL_OPT_INT || o->type == UL_OPT_REAL) && (o->min != 0 || o->max != 0);
	/* json_pack refuses the whole when one of its parts is NULL */
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s}", "name", o->name, "type", type[o->type], "default",
	        o->def ? json_string(o->def) : json_null(), "min", limits ? ul_json_number(o->min) : json_null(), "max",
	        limits ? ul_json_number(o->max) : json_null(), "choices", choices_json(o), "help", o->help ? o->help : "");
}

json_t *ul_opts_describe(const ul_opt *opts)
{
	json_t *all = json_array();
	for (const ul_opt *o = opts; all && o && o->name; o++)
		if (json_array_append_new(all, describe(o)) != 0) {
			json_decref(all);
			return NULL;
		}
	return all;
}
