/*
 * scorer.c: scorers by name, and what is asked of each: numbers from 0 to 1.
 */
#include "scorers/scorer.h"

#include <math.h>
#include <string.h>

static const ul_scorer *find(const char *name, size_t n, ul_err *err)
{
	ul_buf known = {0};
	for (int i = 0; ul_scorers[i]; i++) {
		if (strlen(ul_scorers[i]->name) == n && !strncmp(ul_scorers[i]->name, name, n)) {
			ul_buf_release(&known);
			return ul_scorers[i];
		}
		ul_buf_printf(&known, "%s%s", i ? ", " : "", ul_scorers[i]->name);
	}
	ul_fail(err, "there is no scorer \"%.*s\"", (int)n, name);
	ul_hint(err, "there are %s", known.data ? known.data : "none");
	ul_buf_release(&known);
	return NULL;
}

bool ul_scoring_early(const char *spec)
{
	const ul_scorer *s = find(spec, strcspn(spec, ":"), NULL);
	return s && s->early;
}

bool ul_scoring_open(ul_scoring *s, const char *spec, ul_model *m, uint64_t seed, double seconds, ul_err *err)
{
	size_t n = strcspn(spec, ":");
	*s = (ul_scoring){.def = find(spec, n, err), .model = m, .seed = seed, .seconds = seconds};
	if (!s->def)
		return false;
	bool given = spec[n] && spec[n + 1], wants = s->def->arg != NULL;
	if (given != wants) {
		ul_fail(err, wants ? "the scorer \"%s\" needs an argument" : "the scorer \"%s\" takes no argument", s->def->name);
		ul_hint(err, wants ? "%s:%s" : "%s", s->def->name, wants ? s->def->arg : "");
		return false;
	}
	s->arg = given ? ul_arena_strdup(&s->arena, spec + n + 1) : NULL;
	bool ok = !s->arena.failed || ul_nomem(err, strlen(spec));
	if (ok && (!s->def->open || s->def->open(s, err)))
		return true;
	ul_scoring_close(s);
	return false;
}

bool ul_scoring_run(ul_scoring *s, const char *const *text, int n, double *out, ul_err *err)
{
	if (!s->def->score(s, text, n, out, err))
		return false;
	for (int i = 0; i < n; i++)
		if (!(out[i] >= 0 && out[i] <= 1))
			return ul_fail(err, "the scorer \"%s\" says %g of a text, which is not from 0 to 1", s->def->name, out[i]);
	return true;
}

void ul_scoring_close(ul_scoring *s)
{
	if (s->def && s->def->close)
		s->def->close(s);
	ul_arena_release(&s->arena);
	*s = (ul_scoring){0};
}
