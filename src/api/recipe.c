/*
 * recipe.c: --recipe NAME. Its settings are put in front of those that were given, which therefore win; where the user brings a
 * source or a method of his own, the options of the one it replaces go with it.
 */
#include "api/api.h"
#include "recipes/recipe.h"

#include <string.h>

const char *ul_recipe_method(const ul_setting *s, size_t n, ul_err *err)
{
	const char *name = ul_settings_get(s, n, "recipe");
	const ul_recipe *r = name ? ul_recipe_find(name, err) : NULL;
	return r ? ul_recipe_get(r, "method") : NULL;
}

/* Does the setting belong to what the user has replaced? */
static bool replaced(const ul_job *j, const ul_recipe *r, const char *key)
{
	const char *source = ul_recipe_get(r, "source"), *method = ul_recipe_get(r, "method");
	const char *mine = ul_settings_get(j->setting, j->settings, "source");
	bool other_source = ul_settings_get(j->setting, j->settings, "forget") || (mine && source && strcmp(mine, source));
	const ul_source *s = other_source && source ? ul_source_find(source, NULL) : NULL;
	const ul_method *m = method && strcmp(method, j->run.method->name) ? ul_method_find(method, NULL) : NULL;
	if (other_source && !strcmp(key, "source")) {
		return true;
	}
	if (!strcmp(key, "data-free") && ul_settings_get(j->setting, j->settings, "forget")) { /* that run has data */
		return true;
	}
	return (s && ul_opts_find(s->opts, key)) || (m && ul_opts_find(m->opts, key));
}

bool ul_recipe_expand(ul_job *j, ul_err *err)
{
	const char *name = ul_settings_get(j->setting, j->settings, "recipe");
	const ul_recipe *r = name ? ul_recipe_find(name, err) : NULL;
	size_t n = 0, at = 0;
	if (!r) {
		return !name;
	}
	if (r->wants && !ul_settings_get(j->setting, j->settings, r->wants)) {
		ul_fail(err, "the recipe \"%s\" needs --%s", r->name, r->wants);
		ul_hint(err, "`unlearn recipes %s` says what it is", r->name);
		return false;
	}
	while (r->settings[n].key) {
		n++;
	}
	ul_setting *all = ul_alloc(&j->arena, (n + j->settings + 1) * sizeof *all);
	if (!all) {
		return ul_nomem(err, (n + j->settings) * sizeof *all);
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(r->settings[i].key, "method") && !replaced(j, r, r->settings[i].key)) {
			all[at++] = r->settings[i];
		}
	}
	memcpy(all + at, j->setting, j->settings * sizeof *all);
	j->setting = all;
	j->settings += at;
	return true;
}
