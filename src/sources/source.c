/*
 * source.c: sources by name.
 */
#include "sources/source.h"

#include <string.h>

const ul_source *ul_source_find(const char *name, ul_err *err)
{
	const ul_source *near = NULL;
	int best = 4;
	for (int i = 0; ul_sources[i]; i++) {
		int far = ul_edit_distance(name, ul_sources[i]->name);
		if (far == 0)
			return ul_sources[i];
		if (far < best) {
			best = far;
			near = ul_sources[i];
		}
	}
	ul_fail(err, "there is no source \"%s\"", name);
	if (near)
		ul_hint(err, "did you mean \"%s\"?", near->name);
	else
		ul_hint(err, "`unlearn sources` lists them");
	return NULL;
}
