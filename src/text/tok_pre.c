/*
 * tok_pre.c: pre-tokenizing, the cutting of text into words that no merge crosses. Steps work one after the other on ever smaller
 * pieces; what comes out of the last step goes to the model.
 *
 * The patterns of GPT-2 and of the cl100k family (Llama 3, Qwen 2) are matched by hand, every other one by regex.c.
 */
#include "text/tok.h"

#include <string.h>

/* ---- the two patterns that nearly everybody uses ---- */

enum { OTHER,
	LETTER,
	NUMBER,
	SPACE };

static int class_at(const char *s, size_t n, size_t *i)
{
	if (*i >= n)
		return SPACE + 1; /* the end: of no class */
	uint32_t c = ul_utf8_next(s, i);
	if (c < 0x80) {
		if ((c | 32) - 'a' < 26)
			return LETTER;
		return c - '0' < 10 ? NUMBER : c == ' ' || c - 9 < 5 ? SPACE
		                                                     : OTHER;
	}
	unsigned m = ul_uni_mask(c);
	return m & UL_GC_LETTER ? LETTER : m & UL_GC_NUMBER ? NUMBER
	                           : ul_uni_space(c)        ? SPACE
	                                                    : OTHER;
}

static size_t run_of(int class, const char *s, size_t n, size_t i)
{
	for (size_t k = i; class_at(s, n, &k) == class;)
		i = k;
	return i;
}

/* 's 't 're 've 'm 'll 'd behind the apostrophe at i; the end of it, or i. Folded: also in capitals, and with a long s. */
static size_t contraction(const char *s, size_t n, size_t i, bool fold)
{
	char a = i + 1 < n ? s[i + 1] : 0, b = i + 2 < n ? s[i + 2] : 0;
	if (fold && a == (char)0xC5 && b == (char)0xBF)
		return i + 3;
	if (fold) {
		a |= a >= 'A' && a <= 'Z' ? 32 : 0;
		b |= b >= 'A' && b <= 'Z' ? 32 : 0;
	}
	if (a == 's' || a == 't' || a == 'm' || a == 'd')
		return i + 2;
	return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? i + 3 : i;
}

/* \s+(?!\S)|\s+ over the run of spaces [i, end). */
static size_t spaces(const char *s, size_t n, size_t i, size_t end)
{
	size_t last = end - 1;
	while (((unsigned char)s[last] & 0xC0) == 0x80)
		last--;
	return end == n || last == i ? end : last;
}

const char *const tok_gpt2_pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

size_t tok_gpt2_next(const char *s, size_t n, size_t i)
{
	size_t k = i;
	if (s[i] == '\'' && (k = contraction(s, n, i, false)) != i)
		return k;
	k = i;
	int class = class_at(s, n, &k);
	if (s[i] == ' ') {
		size_t j = k;
		int next = class_at(s, n, &j);
		if (next < SPACE)
			return run_of(next, s, n, j);
	}
	if (class < SPACE)
		return run_of(class, s, n, k);
	return spaces(s, n, i, run_of(SPACE, s, n, k));
}

const char *const tok_llama3_pattern =
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char *const tok_qwen2_pattern =
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static size_t newlines(const char *s, size_t n, size_t i)
{
	while (i < n && (s[i] == '\r' || s[i] == '\n'))
		i++;
	return i;
}

static size_t cl100k_next(const char *s, size_t n, size_t i, int digits)
{
	size_t k = i, j;
	if (s[i] == '\'' && (k = contraction(s, n, i, true)) != i)
		return k;
	k = i;
	int class = class_at(s, n, &k), next = class_at(s, n, (j = k, &j));
	if (class == LETTER)
		return run_of(LETTER, s, n, k);
	if (class == NUMBER) {
		for (j = k; --digits > 0 && class_at(s, n, &j) == NUMBER;)
			k = j;
		return k;
	}
	if (next == LETTER && s[i] != '\r' && s[i] != '\n')
		return run_of(LETTER, s, n, j);
	if (class == OTHER)
		return newlines(s, n, run_of(OTHER, s, n, k));
	if (s[i] == ' ' && next == OTHER)
		return newlines(s, n, run_of(OTHER, s, n, j));
	size_t end = run_of(SPACE, s, n, k);
	for (size_t e = end; e > i; e--)
		if (s[e - 1] == '\r' || s[e - 1] == '\n')
			return e;
	return spaces(s, n, i, end);
}

/* ---- where a step matches ---- */

struct finder {
	const struct tok_text *in;
	const struct tok_step *step;
	size_t at;
	int family; /* 0 none, 1 gpt2, 2 cl100k, 3 qwen2 */
	ul_regex_iter it;
};

static int family(const struct tok_step *s)
{
	if (s->kind == P_BYTES)
		return 1;
	if (s->kind != P_SPLIT || !s->re)
		return 0;
	const char *known[] = {tok_gpt2_pattern, tok_llama3_pattern, tok_qwen2_pattern};
	for (int i = 0; i < 3; i++)
		if (s->an == strlen(known[i]) && !memcmp(s->a, known[i], s->an))
			return i + 1;
	return 0;
}

static bool single(const struct tok_step *s, uint32_t c)
{
	switch (s->kind) {
	case P_DIGITS:
		return ul_uni_numeric(c);
	case P_WHITESPACE_SPLIT:
		return ul_uni_space(c);
	case P_PUNCTUATION:
		return ul_uni_punctuation(c);
	default:
		return false;
	}
}

/* 0 word, 1 other, 2 space: \w+|[^\w\s]+ of the Whitespace pre-tokenizer. */
static int word_class(uint32_t c)
{
	return ul_uni_word(c, UL_WORD_RUST) ? 0 : ul_uni_space(c) ? 2
	                                                          : 1;
}

static bool find_word(struct finder *f, size_t *i, size_t *j)
{
	const struct tok_text *t = f->in;
	while (f->at < t->n) {
		size_t start = f->at, k;
		int class = word_class(ul_utf8_next(t->s, &f->at));
		while ((k = f->at) < t->n && word_class(ul_utf8_next(t->s, &k)) == class)
			f->at = k;
		if (class < 2)
			return *i = start, *j = f->at, true;
	}
	return false;
}

static bool find_match(struct finder *f, size_t *i, size_t *j)
{
	const struct tok_text *t = f->in;
	if (f->family) {
		if (f->at >= t->n)
			return false;
		*i = f->at;
		*j = f->at = f->family == 1 ? tok_gpt2_next(t->s, t->n, f->at) : cl100k_next(t->s, t->n, f->at, f->family == 2 ? 3 : 1);
		return true;
	}
	if (f->step->re)
		return ul_regex_next(&f->it, i, j);
	if (f->step->kind == P_WHITESPACE)
		return find_word(f, i, j);
	if (f->step->an) {
		const char *hit = memmem(t->s + f->at, t->n - f->at, f->step->a, f->step->an);
		return hit && (*i = (size_t)(hit - t->s), *j = f->at = *i + f->step->an, true);
	}
	while (f->at < t->n) {
		size_t start = f->at;
		if (single(f->step, ul_utf8_next(t->s, &f->at)))
			return *i = start, *j = f->at, true;
	}
	return false;
}

/* ---- splitting ---- */

struct splitter {
	struct tok_enc *e;
	const struct tok_text *in;
	int next_step;
	enum tok_split how;
	bool invert, held, was_match;
	size_t i, j; /* the piece that may still grow */
};

static bool give(struct splitter *s, size_t i, size_t j)
{
	if (i == j)
		return true;
	struct tok_text piece = tok_slice(s->in, i, j);
	return tok_pretokenize(s->e, s->next_step, &piece);
}

static bool let_go(struct splitter *s)
{
	bool held = s->held;
	s->held = false;
	return !held || give(s, s->i, s->j);
}

/* One stretch of text, a match of the pattern or what lies between two. */
static bool take(struct splitter *s, size_t i, size_t j, bool match)
{
	match ^= s->invert;
	if (s->how == SPLIT_REMOVED)
		return match || give(s, i, j);
	if (s->how == SPLIT_ISOLATED)
		return give(s, i, j);
	bool grows = s->held && (s->how == SPLIT_WITH_PREVIOUS      ? match && !s->was_match
	                                : s->how == SPLIT_WITH_NEXT ? s->was_match && !match
	                                                            : match == s->was_match);
	s->was_match = match;
	if (grows)
		return s->j = j, true;
	bool ok = let_go(s);
	s->i = i;
	s->j = j;
	s->held = true;
	return ok;
}

static bool split(struct tok_enc *e, int step, const struct tok_text *in, const struct tok_step *how)
{
	struct finder f = {.in = in, .step = how, .family = family(how)};
	struct splitter s = {.e = e, .in = in, .next_step = step + 1, .how = how->split, .invert = how->invert};
	size_t done = 0, i, j;
	bool ok = true, regex = how->re && !f.family;
	if (regex)
		ul_regex_begin(&f.it, how->re, in->s, in->n);
	while (ok && find_match(&f, &i, &j)) {
		ok = (i == done || take(&s, done, i, false)) && take(&s, i, j, true);
		done = j;
	}
	if (regex) {
		if (f.it.failed)
			ok = tok_nomem(e);
		ul_regex_end(&f.it);
	}
	return ok && (done == in->n || take(&s, done, in->n, false)) && let_go(&s);
}

/* ---- steps that change the text as well ---- */

static void prefix(const struct tok_text *in, const char *s, size_t n, struct tok_out *out)
{
	int from = in->base, to = from;
	if (in->n)
		tok_origin(in, 0, 1, &from, &to);
	tok_put(out, s, n, from, to);
	tok_put_slice(out, in, 0, in->n);
}

/* The bytes themselves are left as they are; where steps follow that must see their visible characters, the loader has put an
 * expanding step behind this one, else the model reads bytes. */
static bool bytes(struct tok_enc *e, int step, const struct tok_text *in, const struct tok_step *s)
{
	struct tok_out spaced = {0};
	struct tok_text t = *in;
	bool ok = true;
	if (s->add_space && !(in->n && in->s[0] == ' ')) {
		prefix(in, " ", 1, &spaced);
		t = tok_out_text(&spaced);
		ok = !spaced.failed || tok_nomem(e);
	}
	if (ok && s->use_regex)
		ok = split(e, step, &t, s);
	else if (ok)
		ok = tok_pretokenize(e, step + 1, &t);
	tok_out_release(&spaced);
	return ok;
}

static bool metaspace(struct tok_enc *e, int step, const struct tok_text *in, const struct tok_step *s)
{
	struct tok_step spaces_to = {.a = " ", .an = 1, .b = s->a, .bn = s->an};
	struct tok_out replaced = {0}, spaced = {0};
	struct tok_text t = *in;
	bool changed = false;
	tok_replace(in, &spaces_to, &replaced, &changed, e->err);
	if (changed)
		t = tok_out_text(&replaced);
	int from = t.base, to;
	if (t.n)
		tok_origin(&t, 0, 1, &from, &to);
	bool wanted = s->prepend == PREPEND_ALWAYS || (s->prepend == PREPEND_FIRST && from == 0);
	if (wanted && !(t.n >= s->an && !memcmp(t.s, s->a, s->an))) {
		prefix(&t, s->a, s->an, &spaced);
		t = tok_out_text(&spaced);
	}
	bool ok = !replaced.failed && !spaced.failed ? true : tok_nomem(e);
	if (ok)
		ok = s->no_split ? tok_pretokenize(e, step + 1, &t) : split(e, step, &t, s);
	tok_out_release(&replaced);
	tok_out_release(&spaced);
	return ok;
}

static bool expand(struct tok_enc *e, int step, const struct tok_text *in)
{
	struct tok_out out = {0};
	tok_expand_bytes(in, &out);
	struct tok_text t = tok_out_text(&out);
	bool ok = out.failed ? tok_nomem(e) : tok_pretokenize(e, step + 1, &t);
	tok_out_release(&out);
	return ok;
}

bool tok_pretokenize(struct tok_enc *e, int step, const struct tok_text *in)
{
	if (!in->n)
		return true;
	if (step == e->t->pre.n)
		return tok_word(e, in);
	const struct tok_step *s = &e->t->pre.step[step];
	if (s->kind == P_BYTES)
		return bytes(e, step, in, s);
	if (s->kind == P_METASPACE)
		return metaspace(e, step, in, s);
	if (s->kind == N_BYTES)
		return expand(e, step, in);
	return split(e, step, in, s);
}
