/*
 * recipe.c: recipes by name.
 */
#include "recipes/recipe.h"

#include <string.h>

const ul_recipe *ul_recipe_find(const char *name, ul_err *err)
{
	const ul_recipe *near = NULL;
	int best = 5;
	for (int i = 0; ul_recipes[i]; i++) {
		int far = ul_edit_distance(name, ul_recipes[i]->name);
		if (far == 0) {
			return ul_recipes[i];
		}
		if (far < best) {
			best = far;
			near = ul_recipes[i];
		}
	}
	ul_fail(err, "there is no recipe \"%s\"", name);
	if (near) {
		ul_hint(err, "did you mean \"%s\"? `unlearn recipes` lists them", near->name);
	} else {
		ul_hint(err, "`unlearn recipes` lists them");
	}
	return NULL;
}

const char *ul_recipe_get(const ul_recipe *r, const char *key)
{
	for (const ul_setting *s = r->settings; s->key; s++) {
		if (!strcmp(s->key, key)) {
			return s->value;
		}
	}
	return NULL;
}
