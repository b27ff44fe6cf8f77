/*
 * json.c: jansson behind the caps that files made by strangers need.
 */
#include "base/json.h"
#include "base/file.h"

#include <math.h>
#include <string.h>

enum { MAX_DEPTH = 64 };
#define WRITE_FLAGS (JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY)

static size_t skip_string(const char *s, size_t n, size_t i)
{
	for (i++; i < n && s[i] != '"'; i++)
		if (s[i] == '\\')
			i++;
	return i;
}

/* jansson recurses once per bracket: the depth is measured before it looks. */
static int depth_of(const char *s, size_t n)
{
	int depth = 0, deepest = 0;
	for (size_t i = 0; i < n && deepest <= MAX_DEPTH; i++) {
		if (s[i] == '"')
			i = skip_string(s, n, i);
		else if (s[i] == '{' || s[i] == '[')
			deepest = ++depth > deepest ? depth : deepest;
		else if (s[i] == '}' || s[i] == ']')
			depth--;
	}
	return deepest;
}

/* Copies the text with ".0" behind integers of 19 digits and more. */
static bool widen_integers(const char *s, size_t n, ul_buf *out)
{
	size_t from = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '"') {
			i = skip_string(s, n, i);
			continue;
		}
		size_t end = i;
		while (end < n && s[end] >= '0' && s[end] <= '9')
			end++;
		bool fraction = i > 0 && (s[i - 1] == '.' || s[i - 1] == 'e' || s[i - 1] == 'E' || s[i - 1] == '+');
		if (end - i >= 19 && !fraction && (end == n || !strchr(".eE", s[end]))) {
			ul_buf_add(out, s + from, end - from);
			ul_buf_str(out, ".0");
			from = end;
		}
		if (end > i)
			i = end - 1;
	}
	ul_buf_add(out, s + (from < n ? from : n), from < n ? n - from : 0);
	return !out->failed;
}

json_t *ul_json_parse(const char *text, size_t n, const char *what, ul_err *err)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
	json_error_t e;
	if (depth_of(text, n) > MAX_DEPTH) {
		ul_fail(err, "%s is nested deeper than %d levels", what, MAX_DEPTH);
		return NULL;
	}
	json_t *v = json_loadb(text, n, flags, &e);
	if (!v && json_error_code(&e) == json_error_numeric_overflow) {
		ul_buf wide = {0};
		if (widen_integers(text, n, &wide))
			v = json_loadb(wide.data, wide.len, flags, &e);
		ul_buf_release(&wide);
	}
	if (v)
		return v;
	char *advice = strstr(e.text, " without JSON_ALLOW_NUL"); /* to programmers, not to those who wrote the file */
	if (advice)
		*advice = '\0';
	if (json_error_code(&e) == json_error_out_of_memory || !e.text[0])
		ul_nomem(err, n);
	else if (e.line == 1) /* most often a record of JSON Lines, whose number `what` says */
		ul_fail(err, "%s is not valid JSON: column %d: %s", what, e.column, e.text);
	else
		ul_fail(err, "%s is not valid JSON: line %d, column %d: %s", what, e.line, e.column, e.text);
	return NULL;
}

json_t *ul_json_file(const char *path, size_t limit, ul_err *err)
{
	ul_buf b = {0};
	if (!ul_file_read(&b, path, limit, err))
		return NULL;
	json_t *v = ul_json_parse(b.data, b.len, path, err);
	ul_buf_release(&b);
	return v;
}

static json_t *present(const json_t *obj, const char *key)
{
	json_t *v = json_object_get(obj, key);
	return json_is_null(v) ? NULL : v;
}

static const char *type_name(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a real number";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	default:
		return "null";
	}
}

bool ul_json_int(const json_t *obj, const char *key, int64_t min, int64_t max, int64_t *out, ul_err *err)
{
	json_t *v = present(obj, key);
	if (!v)
		return true;
	int64_t x;
	/* Some writers put 2048.0 where 2048 is meant. */
	if (json_is_integer(v))
		x = json_integer_value(v);
	else if (json_is_real(v) && fabs(json_real_value(v)) <= 0x1p53 && json_real_value(v) == floor(json_real_value(v)))
		x = (int64_t)json_real_value(v);
	else if (json_is_real(v))
		return ul_fail(err, "\"%s\" is %.17g, but must be a whole number from %lld to %lld", key, json_real_value(v), (long long)min, (long long)max);
	else
		return ul_fail(err, "\"%s\" is %s, but must be a whole number", key, type_name(v));
	if (x < min || x > max)
		return ul_fail(err, "\"%s\" is %lld, but must lie between %lld and %lld", key, (long long)x, (long long)min, (long long)max);
	*out = x;
	return true;
}

bool ul_json_real(const json_t *obj, const char *key, double min, double max, double *out, ul_err *err)
{
	json_t *v = present(obj, key);
	if (!v)
		return true;
	if (!json_is_number(v))
		return ul_fail(err, "\"%s\" is %s, but must be a number", key, type_name(v));
	double x = json_number_value(v);
	if (!(x >= min && x <= max))
		return ul_fail(err, "\"%s\" is %.9g, but must lie between %.9g and %.9g", key, x, min, max);
	*out = x;
	return true;
}

bool ul_json_bool(const json_t *obj, const char *key, bool *out, ul_err *err)
{
	json_t *v = present(obj, key);
	if (!v)
		return true;
	if (!json_is_boolean(v))
		return ul_fail(err, "\"%s\" is %s, but must be true or false", key, type_name(v));
	*out = json_is_true(v);
	return true;
}

const char *ul_json_str(const json_t *obj, const char *key)
{
	return json_string_value(json_object_get(obj, key));
}

json_t *ul_json_number(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static int append(const char *bytes, size_t n, void *out)
{
	ul_buf_add(out, bytes, n);
	return ((ul_buf *)out)->failed ? -1 : 0;
}

bool ul_json_write(const char *path, const json_t *v, ul_err *err)
{
	ul_buf b = {0};
	bool ok = json_dump_callback(v, append, &b, WRITE_FLAGS | JSON_INDENT(2)) == 0;
	ul_buf_str(&b, "\n");
	if (!ok || b.failed)
		ok = ul_nomem(err, b.len);
	else
		ok = ul_file_write(path, b.data, b.len, err);
	ul_buf_release(&b);
	return ok;
}

bool ul_json_line(ul_buf *out, const json_t *v)
{
	bool ok = json_dump_callback(v, append, out, WRITE_FLAGS | JSON_COMPACT) == 0;
	ul_buf_str(out, "\n");
	return ok && !out->failed;
}
