/*
 * find.c: audits by their names.
 */
#include "audits/audit.h"

#include <string.h>

const ul_audit_def *ul_audit_find(const char *name, ul_err *err)
{
	const ul_audit_def *near = NULL;
	ul_near typed = {.typed = name};
	for (int i = 0; ul_audits[i]; i++) {
		if (!strcmp(ul_audits[i]->name, name))
			return ul_audits[i];
		if (ul_nearer(&typed, ul_audits[i]->name))
			near = ul_audits[i];
	}
	ul_fail(err, "there is no audit \"%.100s\"", name);
	if (near)
		ul_hint(err, "did you mean \"%s\"?", near->name);
	else
		ul_hint(err, "\"unlearn audits\" lists them");
	return NULL;
}

bool ul_audits_known(const char *only, ul_err *err)
{
	ul_arena a = {0};
	char *list = ul_arena_strdup(&a, only ? only : ""), *save = NULL;
	bool ok = list || ul_nomem(err, only ? strlen(only) : 1);
	for (char *name = ok ? strtok_r(list, ", ", &save) : NULL; ok && name; name = strtok_r(NULL, ", ", &save))
		ok = ul_audit_find(name, err) != NULL;
	ul_arena_release(&a);
	return ok;
}
