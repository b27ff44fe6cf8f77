/*
 * regex.h: regular expressions as tokenizers use them, over Unicode 16, in linear time.
 */
#ifndef UL_REGEX_H
#define UL_REGEX_H

#include "base/base.h"

typedef struct ul_regex ul_regex;

/* Understands alternation, groups without capture, classes, \p{category}, the escapes of Oniguruma that name characters, greedy, lazy
 * and (behind a single class) possessive repetition, (?i:), anchors, \b, and look-ahead at one character. Anything else is refused with
 * a sentence naming the pattern. */
ul_regex *ul_regex_new(const char *pattern, size_t n, ul_err *err);
void ul_regex_free(ul_regex *re);

/* All matches in a text, left to right, as an iterator. */
typedef struct ul_regex_iter {
	const ul_regex *re;
	const char *s;
	size_t n, at;
	uint64_t *memo;
	struct regex_job *stack;
	size_t jobs;
	size_t *path;
	size_t path_cap;
	bool failed; /* out of memory */
} ul_regex_iter;

void ul_regex_begin(ul_regex_iter *it, const ul_regex *re, const char *s, size_t n);
bool ul_regex_next(ul_regex_iter *it, size_t *start, size_t *end);
void ul_regex_end(ul_regex_iter *it);

#endif
