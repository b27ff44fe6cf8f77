/*
 * entities.c: does a text name something of a type?
 */
#include "scorers/scorer.h"

#include "data/annotate.h"

#include <string.h>

enum { MAX_FINDINGS = 64 };

static bool open(ul_scoring *s, ul_err *err)
{
	unsigned *types = s->state = ul_alloc(&s->arena, sizeof *types);
	if (!types)
		return ul_nomem(err, sizeof *types);
	return ul_types_parse(strcmp(s->arg, "PERSON") ? s->arg : "NAME", types, err);
}

/* Without a list of names, a name is two or three capitalised words. */
static bool score(ul_scoring *s, const char *const *text, int n, double *out, ul_err *err)
{
	const unsigned *types = s->state;
	ul_finding f[MAX_FINDINGS], name[1];
	for (int i = 0; i < n; i++) {
		size_t len = strlen(text[i]);
		int found = ul_recognise(text[i], len, *types & ~(1u << UL_PII_NAME), NULL, f, MAX_FINDINGS);
		if (*types == 1u << UL_PII_NAME) /* with no type left the recogniser would look for all */
			found = 0;
		if (found < 0)
			return ul_nomem(err, len);
		found = found < MAX_FINDINGS ? found : MAX_FINDINGS;
		out[i] = found > 0 || (*types & 1u << UL_PII_NAME && ul_guess_names(text[i], len, f, found, name, 1) > 0);
	}
	return true;
}

const ul_scorer ul_scorer_entities = {
        .name = "entities",
        .title = "1 where a text holds personal data of the types, 0 where it does not",
        .notes = "Types as the recognisers name them, separated by commas: EMAIL, PHONE, IBAN, …; NAME (or PERSON) is guessed from capitals.",
        .arg = "TYPE",
        .early = true,
        .open = open,
        .score = score,
};
