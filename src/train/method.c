/*
 * method.c: finding a method by its name.
 */
#include "train/train.h"

#include <string.h>

const ul_method *ul_method_find(const char *name, ul_err *err)
{
	const char *near = NULL;
	ul_near typed = {.typed = name};
	for (int i = 0; ul_methods[i]; i++) {
		if (!strcmp(ul_methods[i]->name, name)) {
			return ul_methods[i];
		}
		if (ul_nearer(&typed, ul_methods[i]->name)) {
			near = ul_methods[i]->name;
		}
	}
	ul_fail(err, "there is no method \"%s\"", name);
	if (near) {
		ul_hint(err, "did you mean \"%s\"? `unlearn methods` lists them all", near);
	} else {
		ul_hint(err, "`unlearn methods` lists them all");
	}
	return NULL;
}
