/*
 * regex_code.h: compiled regular expressions, between their compiler and the machine that runs them.
 */
#ifndef UL_REGEX_CODE_H
#define UL_REGEX_CODE_H

#include "text/regex.h"
#include "text/unicode.h"

enum regex_op {
	RE_MATCH,
	RE_CLASS, /* one character of the class */
	RE_RUN, /* min to max characters of the class, never given back */
	RE_JUMP, /* to x */
	RE_SPLIT, /* first x, then y */
	RE_AHEAD, /* the next character is of the class, or (negate) is not or is missing */
	RE_LINE_BEGIN,
	RE_LINE_END,
	RE_TEXT_BEGIN,
	RE_TEXT_END,
	RE_TEXT_END_NL,
	RE_WORD_EDGE
};

struct regex_class { /* the union of its members, then intersected with `and`, then negated; ascii already says it all */
	uint32_t ascii[4];
	uint32_t gc, not_gc;
	bool space, not_space, word, not_word, negate;
	bool bare; /* an escape outside brackets */
	ul_uni_range *range;
	int n, cap;
	struct regex_class *part[4], *and;
	int parts;
};

struct regex_ins {
	enum regex_op op;
	bool negate;
	uint32_t x, y;
	int min, max, choice; /* choice: number of this RE_SPLIT */
	const struct regex_class *class;
};

struct ul_regex {
	ul_arena arena;
	struct regex_ins *ins;
	uint32_t n, cap;
	int choices, steps; /* steps: work done by the compiler, bounded */
};

bool regex_class_has(const struct regex_class *c, uint32_t ch);
bool regex_class_members(const struct regex_class *c, uint32_t ch); /* without the shortcut for ASCII */

/* regex_class.c: a class or an escape that stands for one, from the pattern */
struct regex_text {
	const char *s; /* the pattern */
	size_t n, i;
	bool fold; /* inside (?i: */
	int depth;
	ul_arena *arena;
	ul_err *err;
};
bool regex_refuse(struct regex_text *p, const char *what); /* always false: a sentence that names the pattern */
struct regex_class *regex_bracket(struct regex_text *p); /* behind '[' */
struct regex_class *regex_escape(struct regex_text *p); /* behind '\\' */
struct regex_class *regex_literal(struct regex_text *p, uint32_t c);
struct regex_class *regex_any(struct regex_text *p); /* all but \n */

#endif
