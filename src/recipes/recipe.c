/*
 * recipe.c: recipes by name.
 */
#include "recipes/recipe.h"

#include <string.h>

const ul_recipe *ul_recipe_find(const char *name, ul_err *err)
{
	const ul_recipe *near = NULL;
	ul_near typed = {.typed = name};
	for (int i = 0; ul_recipes[i]; i++) {
		if (!strcmp(ul_recipes[i]->name, name)) {
			return ul_recipes[i];
		}
		if (ul_nearer(&typed, ul_recipes[i]->name)) {
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
