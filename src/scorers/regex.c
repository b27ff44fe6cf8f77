/*
 * regex.c: does a pattern occur?
 */
#include "scorers/scorer.h"

#include "text/regex.h"

#include <string.h>

static bool open(ul_scoring *s, ul_err *err)
{
	s->state = ul_regex_new(s->arg, strlen(s->arg), err);
	return s->state != NULL;
}

static bool score(ul_scoring *s, const char *const *text, int n, double *out, ul_err *err)
{
	for (int i = 0; i < n; i++) {
		ul_regex_iter it;
		size_t from, to;
		ul_regex_begin(&it, s->state, text[i], strlen(text[i]));
		out[i] = ul_regex_next(&it, &from, &to);
		bool failed = it.failed;
		ul_regex_end(&it);
		if (failed)
			return ul_nomem(err, strlen(text[i]));
	}
	return true;
}

static void close(ul_scoring *s)
{
	ul_regex_free(s->state);
}

const ul_scorer ul_scorer_regex = {
        .name = "regex",
        .title = "1 where the pattern occurs, 0 where it does not",
        .notes = "Unicode regular expressions without back-references; (?i:…) ignores case.",
        .arg = "PATTERN",
        .early = true,
        .open = open,
        .score = score,
        .close = close,
};
