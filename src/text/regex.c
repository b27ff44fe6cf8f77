/*
 * regex.c: matching. A backtracking machine (Thompson's instructions, as in Cox, "Regular Expression Matching: the Virtual Machine
 * Approach") that remembers every choice at every position that has failed once. What a choice leads to does not depend on how it
 * was reached, nor on where the match began, so the memory serves the whole text and finding all matches takes time linear in its
 * length, whatever the pattern. PCRE2 is not used because its tables are those of Unicode 14 and its time has no such bound.
 */
#include "text/regex_code.h"

#include <string.h>

struct regex_job {
	uint32_t pc;
	size_t at, path; /* choices on the path when this alternative was put aside */
};

void ul_regex_free(ul_regex *re)
{
	if (!re)
		return;
	ul_arena_release(&re->arena);
	ul_free(re);
}

bool regex_class_members(const struct regex_class *c, uint32_t ch)
{
	enum ul_word word = c->bare ? UL_WORD_BARE : UL_WORD_CLASS;
	unsigned mask = c->gc || c->not_gc ? ul_uni_mask(ch) : 0;
	bool in = (c->gc & mask) || (c->not_gc && !(c->not_gc & mask)) || (c->space && ul_uni_space(ch)) ||
	          (c->not_space && !ul_uni_space(ch)) || (c->word && ul_uni_word(ch, word)) || (c->not_word && !ul_uni_word(ch, word));
	for (int i = 0; !in && i < c->n; i++)
		in = ch >= c->range[i].first && ch <= c->range[i].last;
	for (int i = 0; !in && i < c->parts; i++)
		in = regex_class_has(c->part[i], ch);
	if (c->and)
		in = in && regex_class_has(c->and, ch);
	return in ^ c->negate;
}

bool regex_class_has(const struct regex_class *c, uint32_t ch)
{
	return ch < 0x80 ? c->ascii[ch >> 5] >> (ch & 31) & 1 : regex_class_members(c, ch);
}

static uint32_t char_before(const ul_regex_iter *it, size_t at)
{
	while (((unsigned char)it->s[--at] & 0xC0) == 0x80)
		;
	return ul_utf8_next(it->s, &at);
}

static bool assertion(const ul_regex_iter *it, const struct regex_ins *i, size_t at)
{
	size_t k = at;
	bool begin = at == 0, end = at == it->n;
	bool before = false, after = false;
	switch (i->op) {
	case RE_AHEAD:
		return (!end && regex_class_has(i->class, ul_utf8_next(it->s, &k))) ^ i->negate;
	case RE_LINE_BEGIN:
		return begin || it->s[at - 1] == '\n';
	case RE_LINE_END:
		return end || it->s[at] == '\n';
	case RE_TEXT_BEGIN:
		return begin;
	case RE_TEXT_END:
		return end;
	case RE_TEXT_END_NL:
		return end || (at + 1 == it->n && it->s[at] == '\n');
	default:
		before = !begin && ul_uni_word(char_before(it, at), UL_WORD_BARE);
		after = !end && ul_uni_word(ul_utf8_next(it->s, &k), UL_WORD_BARE);
		return (before != after) ^ i->negate;
	}
}

static bool grow(void **p, size_t *cap, size_t n, size_t size)
{
	if (n < *cap)
		return true;
	size_t more = *cap * 2 + 64;
	void *q = ul_realloc(*p, more * size);
	if (!q)
		return false;
	*p = q;
	*cap = more;
	return true;
}

/* True the first time choice `i` is taken at `at`, or again after it has led to a match. */
static bool fresh(ul_regex_iter *it, const struct regex_ins *i, size_t at, size_t *path_n)
{
	size_t bit = (size_t)i->choice * (it->n + 1) + at;
	if (it->memo[bit >> 6] >> (bit & 63) & 1)
		return false;
	if (!grow((void **)&it->path, &it->path_cap, *path_n, sizeof *it->path))
		return it->failed = true, false;
	it->memo[bit >> 6] |= 1ull << (bit & 63);
	it->path[(*path_n)++] = bit;
	return true;
}

static bool possessive(const ul_regex_iter *it, const struct regex_ins *i, size_t *at)
{
	int n = 0;
	for (size_t k = *at; n < i->max && k < it->n && regex_class_has(i->class, ul_utf8_next(it->s, &k)); n++)
		*at = k;
	return n >= i->min;
}

/* Runs one thread until it matches or fails; alternatives are put aside on the stack. */
static bool thread(ul_regex_iter *it, uint32_t pc, size_t *at, size_t *jobs, size_t *path_n)
{
	for (;;) {
		const struct regex_ins *i = &it->re->ins[pc];
		switch (i->op) {
		case RE_MATCH:
			return true;
		case RE_CLASS:
			if (*at == it->n || !regex_class_has(i->class, ul_utf8_next(it->s, at)))
				return false;
			pc++;
			break;
		case RE_RUN:
			if (!possessive(it, i, at))
				return false;
			pc++;
			break;
		case RE_JUMP:
			pc = i->x;
			break;
		case RE_SPLIT:
			if (!fresh(it, i, *at, path_n))
				return false;
			if (!grow((void **)&it->stack, &it->jobs, *jobs, sizeof *it->stack))
				return it->failed = true, false;
			it->stack[(*jobs)++] = (struct regex_job){i->y, *at, *path_n};
			pc = i->x;
			break;
		default:
			if (!assertion(it, i, *at))
				return false;
			pc++;
		}
	}
}

static bool match_at(ul_regex_iter *it, size_t start, size_t *end)
{
	size_t jobs = 0, path_n = 0, at = start;
	uint32_t pc = 0;
	for (;;) {
		if (thread(it, pc, &at, &jobs, &path_n)) {
			/* The choices that led here have not failed. */
			for (size_t i = 0; i < path_n; i++)
				it->memo[it->path[i] >> 6] &= ~(1ull << (it->path[i] & 63));
			return *end = at, true;
		}
		if (!jobs || it->failed)
			return false;
		const struct regex_job *j = &it->stack[--jobs];
		pc = j->pc;
		at = j->at;
		path_n = j->path;
	}
}

void ul_regex_begin(ul_regex_iter *it, const ul_regex *re, const char *s, size_t n)
{
	*it = (ul_regex_iter){.re = re, .s = s, .n = n};
	size_t words = (size_t)re->choices * (n + 1) / 64 + 1;
	it->memo = ul_calloc(words, sizeof *it->memo);
	it->failed = !it->memo;
}

bool ul_regex_next(ul_regex_iter *it, size_t *start, size_t *end)
{
	while (!it->failed && it->at <= it->n) {
		size_t at = it->at, next = at;
		bool more = at < it->n;
		if (more)
			ul_utf8_next(it->s, &next);
		if (match_at(it, at, end)) {
			*start = at;
			it->at = *end > at ? *end : more ? next
			                                 : it->n + 1;
			return true;
		}
		it->at = more ? next : it->n + 1;
	}
	return false;
}

void ul_regex_end(ul_regex_iter *it)
{
	ul_free(it->memo);
	ul_free(it->stack);
	ul_free(it->path);
	it->memo = NULL;
	it->stack = NULL;
	it->path = NULL;
}
