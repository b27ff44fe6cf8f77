/*
 * option.c: values by name, from text, by way of one table: parsing, ranges, showing. Words about options are in option_help.c.
 */
#include "base/option.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
			return false;
	return *a == *b;
}

const ul_opt *ul_opts_find(const ul_opt *opts, const char *name)
{
	for (const ul_opt *o = opts; o && o->name; o++)
		if (same_name(o->name, name))
			return o;
	return NULL;
}

static void *field(const ul_opt *o, void *config)
{
	return (char *)config + o->offset;
}

static const void *const_field(const ul_opt *o, const void *config)
{
	return (const char *)config + o->offset;
}

static bool bounded(const ul_opt *o)
{
	return o->min != 0 || o->max != 0;
}

static bool set_bool(const ul_opt *o, bool *out, const char *value, ul_err *err)
{
	static const char *const yes[] = {"yes", "true", "1", "on", ""}, *const no[] = {"no", "false", "0", "off"};
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		if (strcmp(value, yes[i]) == 0)
			return *out = true;
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		if (strcmp(value, no[i]) == 0) {
			*out = false;
			return true;
		}
	return ul_fail(err, "option \"%s\" is \"%s\", but must be yes or no", o->name, value);
}

static bool in_range(const ul_opt *o, double x, const char *value, ul_err *err)
{
	if (!bounded(o) || (x >= o->min && x <= o->max))
		return true;
	int digits = o->type == UL_OPT_INT ? 16 : 9; /* limits of whole numbers are said in full */
	if (isinf(o->max))
		return ul_fail(err, "option \"%s\" is %s, but must be at least %.*g", o->name, value, digits, o->min);
	return ul_fail(err, "option \"%s\" is %s, but must lie between %.*g and %.*g", o->name, value, digits, o->min, digits, o->max);
}

/* Decimal and nothing before it: strtod would pass over blanks, and read 0x10 and infinity. */
static bool decimal(const char *value)
{
	return *value && strspn(value, "0123456789+-.eE") == strlen(value);
}

static bool set_real(const ul_opt *o, double *out, const char *value, ul_err *err)
{
	char *end;
	double x = strtod(value, &end);
	if (!decimal(value) || end == value || *end || !isfinite(x))
		return ul_fail(err, "option \"%s\" is \"%s\", but must be a number", o->name, value);
	if (!in_range(o, x, value, err))
		return false;
	*out = x;
	return true;
}

static bool set_int(const ul_opt *o, int64_t *out, const char *value, ul_err *err)
{
	char *end;
	errno = 0;
	long long x = strtoll(value, &end, 10);
	bool readable = decimal(value), ok = readable && end != value && !*end && errno == 0;
	if (readable && !ok) { /* 1e6, or 2048.0 from a program that knows only reals */
		double d = strtod(value, &end);
		ok = end != value && !*end && fabs(d) <= 0x1p53 && d == floor(d);
		x = ok ? (long long)d : 0;
	}
	if (!ok)
		return ul_fail(err, "option \"%s\" is \"%s\", but must be a whole number", o->name, value);
	if (!in_range(o, (double)x, value, err))
		return false;
	*out = x;
	return true;
}

/* The i-th of "a|b|c"; NULL past the end. */
static const char *choice(const char *choices, int i, size_t *len)
{
	const char *p = choices;
	for (; p && i > 0; i--)
		p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL;
	if (p)
		*len = strcspn(p, "|");
	return p;
}

static bool bad_choice(const ul_opt *o, const char *value, ul_err *err)
{
	char list[256] = "", nearest[64] = "";
	size_t n = 0;
	ul_near near = {.typed = value};
	const char *p;
	for (int i = 0; (p = choice(o->choices, i, &n)); i++) {
		char word[64];
		size_t at = strlen(list);
		snprintf(word, sizeof word, "%.*s", (int)n, p);
		snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", word);
		if (ul_nearer(&near, word))
			memcpy(nearest, word, sizeof nearest);
	}
	ul_fail(err, "option \"%s\" is \"%s\", but must be one of %s", o->name, value, list);
	if (nearest[0])
		ul_hint(err, "did you mean \"%s\"?", nearest);
	return false;
}

static bool set_enum(const ul_opt *o, int *out, const char *value, ul_err *err)
{
	size_t n = 0, len = strlen(value);
	const char *p;
	for (int i = 0; (p = choice(o->choices, i, &n)); i++)
		if (n == len && strncmp(p, value, n) == 0) {
			*out = i;
			return true;
		}
	return bad_choice(o, value, err);
}

static bool set(const ul_opt *o, void *config, const char *value, ul_arena *a, ul_err *err)
{
	switch (o->type) {
	case UL_OPT_BOOL:
		return set_bool(o, field(o, config), value, err);
	case UL_OPT_INT:
		return set_int(o, field(o, config), value, err);
	case UL_OPT_REAL:
		return set_real(o, field(o, config), value, err);
	case UL_OPT_ENUM:
		return set_enum(o, field(o, config), value, err);
	case UL_OPT_TEXT:
		break;
	}
	char *copy = ul_arena_strdup(a, value);
	if (!copy)
		return ul_nomem(err, strlen(value) + 1);
	*(const char **)field(o, config) = copy;
	return true;
}

bool ul_opts_set(const ul_opt *opts, void *config, const char *name, const char *value, ul_arena *a, ul_err *err)
{
	const ul_opt *o = ul_opts_find(opts, name), *tables[] = {opts, NULL};
	return o ? set(o, config, value, a, err) : ul_opts_unknown(tables, name, err);
}

bool ul_opts_check(const ul_opt *o, const char *value, ul_err *err)
{
	ul_opt alone = *o;
	ul_arena a = {0};
	union {
		bool truth;
		int64_t whole;
		double real;
		int choice;
		const char *text;
	} unused;
	alone.offset = 0;
	bool ok = set(&alone, &unused, value, &a, err);
	ul_arena_release(&a);
	return ok;
}

bool ul_opts_defaults(const ul_opt *opts, void *config, ul_arena *a, ul_err *err)
{
	for (const ul_opt *o = opts; o && o->name; o++) {
		switch (o->type) {
		case UL_OPT_BOOL:
			*(bool *)field(o, config) = false;
			break;
		case UL_OPT_INT:
			*(int64_t *)field(o, config) = 0;
			break;
		case UL_OPT_REAL:
			*(double *)field(o, config) = 0;
			break;
		case UL_OPT_ENUM:
			*(int *)field(o, config) = 0;
			break;
		case UL_OPT_TEXT:
			*(const char **)field(o, config) = NULL;
			break;
		}
		if (o->def && !set(o, config, o->def, a, err))
			return false;
	}
	return true;
}

/* The fewest digits that read back as the same number. */
static void show_real(double x, ul_buf *out)
{
	char text[40];
	for (int digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, x);
		if (strtod(text, NULL) == x)
			break;
	}
	ul_buf_str(out, text);
}

void ul_opts_show(const ul_opt *o, const void *config, ul_buf *out)
{
	const void *f = const_field(o, config);
	size_t n = 0;
	const char *p;
	switch (o->type) {
	case UL_OPT_BOOL:
		ul_buf_str(out, *(const bool *)f ? "yes" : "no");
		break;
	case UL_OPT_INT:
		ul_buf_printf(out, "%lld", (long long)*(const int64_t *)f);
		break;
	case UL_OPT_REAL:
		show_real(*(const double *)f, out);
		break;
	case UL_OPT_TEXT:
		if (*(const char *const *)f)
			ul_buf_str(out, *(const char *const *)f);
		break;
	case UL_OPT_ENUM:
		if ((p = choice(o->choices, *(const int *)f, &n)))
			ul_buf_add(out, p, n);
		break;
	}
}

static json_t *value_json(const ul_opt *o, const void *config)
{
	const void *f = const_field(o, config);
	size_t n = 0;
	const char *p;
	switch (o->type) {
	case UL_OPT_BOOL:
		return json_boolean(*(const bool *)f);
	case UL_OPT_INT:
		return json_integer(*(const int64_t *)f);
	case UL_OPT_REAL:
		return ul_json_number(*(const double *)f);
	case UL_OPT_ENUM:
		p = choice(o->choices, *(const int *)f, &n);
		return p ? json_stringn(p, n) : json_null();
	case UL_OPT_TEXT:
		break;
	}
	const char *s = *(const char *const *)f;
	return s ? json_string(s) : json_null();
}

json_t *ul_opts_json(const ul_opt *opts, const void *config)
{
	json_t *all = json_object();
	for (const ul_opt *o = opts; all && o && o->name; o++)
		if (json_object_set_new(all, o->name, value_json(o, config)) != 0) {
			json_decref(all);
			return NULL;
		}
	return all;
}

bool ul_settings_apply(const ul_setting *s, size_t n, bool *used, const ul_opt *opts, void *config, ul_arena *a, ul_err *err)
{
	for (size_t i = 0; i < n; i++) {
		const ul_opt *o = ul_opts_find(opts, s[i].key);
		if (!o)
			continue;
		if (!set(o, config, s[i].value, a, err))
			return false;
		if (used)
			used[i] = true;
	}
	return true;
}

bool ul_settings_done(const ul_setting *s, size_t n, const bool *used, const ul_opt *const *tables, ul_err *err)
{
	for (size_t i = 0; i < n; i++)
		if (!used[i])
			return ul_opts_unknown(tables, s[i].key, err);
	return true;
}

const char *ul_settings_get(const ul_setting *s, size_t n, const char *key)
{
	const char *value = NULL;
	for (size_t i = 0; i < n; i++)
		if (same_name(s[i].key, key))
			value = s[i].value;
	return value;
}
