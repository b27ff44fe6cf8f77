/*
 * terms.c: how many of a list of words occur?
 */
#include "scorers/scorer.h"

#include "base/file.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

struct terms {
	const char **term;
	int n;
};

/* "knee,ankle" or "@FILE" with one a line. */
static bool open(ul_scoring *s, ul_err *err)
{
	ul_buf text = {0};
	const char *cut = *s->arg == '@' ? "\r\n" : ",";
	char *save = NULL;
	if (*s->arg == '@' && !ul_file_read(&text, s->arg + 1, 16 << 20, err))
		return false;
	if (*s->arg != '@')
		ul_buf_str(&text, s->arg);
	struct terms *t = s->state = ul_alloc(&s->arena, sizeof *t);
	char *list = ul_arena_strdup(&s->arena, text.data ? text.data : "");
	bool ok = (t && list && !text.failed) || ul_nomem(err, text.len);
	if (ok) {
		t->term = ul_alloc(&s->arena, (text.len + 1) * sizeof *t->term);
		ok = t->term || ul_nomem(err, text.len * sizeof *t->term);
	}
	for (char *w = ok ? strtok_r(list, cut, &save) : NULL; w; w = strtok_r(NULL, cut, &save)) {
		w += strspn(w, " ");
		if (*w)
			t->term[t->n++] = w;
	}
	ul_buf_release(&text);
	return ok && (t->n || ul_fail(err, "the scorer \"terms\" was given no term: \"%.80s\"", s->arg));
}

/* Letters beyond ASCII count as letters. */
static bool letter(const char *text, const char *at)
{
	return at >= text && (isalnum((unsigned char)*at) || (unsigned char)*at >= 0x80);
}

/* As a word of its own, in any case. */
static bool holds(const char *text, const char *term)
{
	size_t n = strlen(term);
	for (const char *at = text; (at = strcasestr(at, term)); at++)
		if (!(letter(text, at - 1) && letter(term, term)) && !(letter(at, at + n) && letter(term, term + n - 1)))
			return true;
	return false;
}

static bool score(ul_scoring *s, const char *const *text, int n, double *out, ul_err *err)
{
	const struct terms *t = s->state;
	for (int i = 0; i < n; i++) {
		int found = 0;
		for (int k = 0; k < t->n; k++)
			found += holds(text[i], t->term[k]);
		out[i] = 1 - exp2(-found);
	}
	return true;
}

const ul_scorer ul_scorer_terms = {
        .name = "terms",
        .title = "words of a list: 1/2 for one of them, 3/4 for two, 7/8 for three",
        .notes = "Whole words, whatever their case; terms:@FILE reads them from a file, one a line.",
        .arg = "WORD,WORD…",
        .early = true,
        .open = open,
        .score = score,
};
