/*
 * source.c: sources by name.
 */
#include "sources/source.h"

#include <string.h>

const ul_source *ul_source_find(const char *name, ul_err *err)
{
	const ul_source *near = NULL;
	ul_near typed = {.typed = name};
	for (int i = 0; ul_sources[i]; i++) {
		if (!strcmp(ul_sources[i]->name, name))
			return ul_sources[i];
		if (ul_nearer(&typed, ul_sources[i]->name))
			near = ul_sources[i];
	}
	ul_fail(err, "there is no source \"%s\"", name);
	if (near)
		ul_hint(err, "did you mean \"%s\"?", near->name);
	else
		ul_hint(err, "`unlearn sources` lists them");
	return NULL;
}

bool ul_source_make(const ul_source *s, ul_source_job *j, ul_err *err)
{
	const char *why;
	if (!s->make(j, err))
		return false;
	why = j->summary ? ul_json_str(j->summary, "nothing") : NULL;
	if (j->out->n == 0)
		return why ? ul_fail(err, "%s", why) : ul_fail(err, "the source \"%s\" found no row to forget", s->name);
	return true;
}
