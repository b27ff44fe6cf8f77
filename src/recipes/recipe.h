/*
 * recipe.h: a published system as one word: a named combination of options of `unlearn run`, and nothing else. A recipe is one file
 * in this folder. What a user gives beside its name wins over it.
 */
#ifndef UL_RECIPE_H
#define UL_RECIPE_H

#include "base/option.h"

typedef struct ul_recipe {
	const char *name, *title, *paper, *notes;
	const char *wants; /* an option that only the user can give ("subjects"), or NULL */
	const ul_setting *settings; /* as typed, without the dashes: method, source and their options; ends with {0} */
} ul_recipe;
extern const ul_recipe *const ul_recipes[]; /* generated registry, NULL-terminated */
const ul_recipe *ul_recipe_find(const char *name, ul_err *err); /* names the nearest known one */
const char *ul_recipe_get(const ul_recipe *r, const char *key); /* what it sets, or NULL */

#endif
