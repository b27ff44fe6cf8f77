/*
 * lora_match.c: which modules an adapter_config.json means, and what its patterns say of one, as PEFT 0.21 decides both.
 *
 * Patterns are Python's regular expressions there and run on the tokenizers' engine here. Where the two read a pattern differently, or
 * the engine does not know a construct, the pattern is refused: a module is never taken or left by mistake.
 */
#include "model/lora_file.h"
#include "text/regex.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool absent(const json_t *v)
{
	return !v || json_is_null(v) || (json_is_array(v) && !json_array_size(v)) || (json_is_string(v) && !*json_string_value(v));
}

/* What both dialects read alike: no class operations, no escapes but of punctuation and of the usual classes. */
static bool common(const char *s)
{
	for (; *s; s++) {
		if ((s[0] == '[' && s[1] == '[') || (s[0] == '&' && s[1] == '&'))
			return false;
		if (*s == '\\' && (!*++s || (isalnum((unsigned char)*s) && !strchr("dDwWsSbB", *s))))
			return false;
	}
	return true;
}

static int match_whole(const char *front, const char *pattern, const char *module, ul_err *err)
{
	char text[600];
	ul_err why = {0};
	int n = snprintf(text, sizeof text, "\\A%s(?:%s)\\z", front, pattern);
	ul_regex *re = n < (int)sizeof text && common(pattern) ? ul_regex_new(text, (size_t)n, &why) : NULL;
	if (!re) {
		ul_fail(err, "adapter_config.json: the regular expression \"%.80s\" is of a kind that is not supported", pattern);
		return -1;
	}
	ul_regex_iter it;
	size_t start, end;
	ul_regex_begin(&it, re, module, strlen(module));
	int yes = ul_regex_next(&it, &start, &end);
	if (it.failed) {
		ul_nomem(err, strlen(module));
		yes = -1;
	}
	ul_regex_end(&it);
	ul_regex_free(re);
	return yes;
}

/* The first key that matches the end of the module's name at a dot, in the order of the file. */
bool ul_lora_pattern(const json_t *config, const char *which, const char *module, double *out, ul_err *err)
{
	json_t *pattern = json_object_get(config, which), *v;
	const char *key;
	if (absent(pattern))
		return true;
	if (!json_is_object(pattern))
		return ul_fail(err, "adapter_config.json: %s is no object", which);
	json_object_foreach(pattern, key, v)
	{
		if (!json_is_number(v))
			return ul_fail(err, "adapter_config.json: %s of \"%.64s\" is no number", which, key);
		int yes = match_whole("(?:.*\\.)?", key, module, err);
		if (yes < 0)
			return false;
		if (!yes)
			continue;
		*out = json_number_value(v);
		return true;
	}
	return true;
}

/* ---- which modules ---- */

/* -1 on an error; a string is a regular expression for the whole name, a list holds names or their ends. */
static int named(const json_t *config, const char *which, const char *module, bool *directly, ul_err *err)
{
	const json_t *v = json_object_get(config, which), *name;
	size_t i;
	*directly = false;
	if (absent(v))
		return 0;
	if (json_is_string(v))
		return match_whole("", json_string_value(v), module, err);
	if (!json_is_array(v)) {
		ul_fail(err, "adapter_config.json: %s is neither a list of names nor a regular expression", which);
		return -1;
	}
	json_array_foreach(v, i, name)
	{
		if (!json_is_string(name)) {
			ul_fail(err, "adapter_config.json: %s holds something that is no name", which);
			return -1;
		}
		*directly |= !strcmp(module, json_string_value(name));
		if (ul_lora_names(module, json_string_value(name)))
			return 1;
	}
	return 0;
}

/* The number behind "<word>." where word is a part of the name, any part but the first without a pattern; NULL = there is none. */
static const char *index_behind(const char *module, const char *word)
{
	for (const char *at = word ? module : strchr(module, '.'); at; at = strchr(at, '.')) {
		at += *at == '.';
		size_t n = word ? strlen(word) : strcspn(at, ".");
		size_t digits = !word || !strncmp(at, word, n) ? at[n] == '.' ? strspn(at + n + 1, "0123456789") : 0 : 0;
		if (digits && at[n + 1 + digits] == '.')
			return at + n + 1;
	}
	return NULL;
}

static bool plain(const json_t *word, ul_err *err)
{
	const char *s = json_string_value(word);
	return (s && *s && !strpbrk(s, "^$*+?()[]{}|\\.")) || ul_fail(err, "adapter_config.json: layers_pattern \"%.64s\" is no plain name, which is all that is supported", s ? s : "?");
}

/* Is the module in one of the layers_to_transform? */
static bool in_layers(const json_t *config, const char *module, bool *yes, ul_err *err)
{
	const json_t *layers = json_object_get(config, "layers_to_transform"), *words = json_object_get(config, "layers_pattern"), *v;
	const char *index = NULL;
	size_t i, n = json_is_array(words) ? json_array_size(words) : 1;
	*yes = true;
	if (absent(layers))
		return true;
	if (absent(words))
		index = index_behind(module, NULL);
	for (i = 0; !absent(words) && !index && i < n; i++) {
		const json_t *word = json_is_array(words) ? json_array_get(words, i) : words;
		if (!plain(word, err))
			return false;
		index = index_behind(module, json_string_value(word));
	}
	long layer = index ? strtol(index, NULL, 10) : -1;
	*yes = json_is_integer(layers) && json_integer_value(layers) == layer;
	json_array_foreach(layers, i, v)
	        *yes |= json_is_integer(v) && json_integer_value(v) == layer;
	*yes = *yes && index;
	return true;
}

bool ul_lora_selects(const ul_model *m, const json_t *config, const char *module, bool *yes, ul_err *err)
{
	const char *all = ul_json_str(config, "target_modules");
	bool whole, in = true;
	*yes = false;
	if (absent(json_object_get(config, "target_modules")))
		return ul_fail(err, "adapter_config.json names no target_modules");
	if (all && !absent(json_object_get(config, "layers_to_transform")))
		return ul_fail(err, "adapter_config.json: layers_to_transform goes with a list of target_modules only");
	int out = named(config, "exclude_modules", module, &whole, err);
	if (out)
		return out > 0;
	if (all && !strcasecmp(all, "all-linear")) {
		for (int i = 0; m->arch->linears[i]; i++)
			*yes |= ul_lora_names(module, m->arch->linears[i]);
		return true;
	}
	int target = named(config, "target_modules", module, &whole, err);
	if (target < 0 || (target && !whole && !all && !in_layers(config, module, &in, err)))
		return false;
	*yes = target && in;
	return true;
}
