/*
 * regex_parse.c: patterns to instructions, by way of a tree.
 */
#include "text/regex_code.h"

#include <string.h>

enum { MAX_DEPTH = 64,
	MAX_INS = 20000,
	MAX_REPEAT = 1000,
	UNBOUNDED = INT32_MAX };

enum node_kind { EMPTY,
	CLASS,
	ASSERT,
	JOIN,
	EITHER,
	REPEAT };
struct node {
	enum node_kind kind;
	struct node *left, *right;
	const struct regex_class *class;
	enum regex_op op;
	bool negate, lazy, possessive;
	int min, max;
};

static struct node *node(struct regex_text *p, struct node n)
{
	struct node *r = ul_alloc(p->arena, sizeof *r);
	if (!r)
		return ul_nomem(p->err, sizeof *r), NULL;
	*r = n;
	return r;
}

static struct node *refuse(struct regex_text *p, const char *what)
{
	regex_refuse(p, what);
	return NULL;
}

static bool eat(struct regex_text *p, const char *s)
{
	size_t n = strlen(s);
	if (p->n - p->i < n || memcmp(p->s + p->i, s, n))
		return false;
	p->i += n;
	return true;
}

static struct node *either(struct regex_text *p);

static struct node *of_class(struct regex_text *p, const struct regex_class *c)
{
	return c ? node(p, (struct node){.kind = CLASS, .class = c}) : NULL;
}

static struct node *of_op(struct regex_text *p, enum regex_op op, bool negate)
{
	return node(p, (struct node){.kind = ASSERT, .op = op, .negate = negate});
}

static struct node *group(struct regex_text *p)
{
	bool fold = p->fold, look = false, negate = false;
	if (eat(p, "?i:"))
		p->fold = true;
	else if (eat(p, "?=") || (negate = eat(p, "?!")))
		look = true;
	else if (!eat(p, "?:") && p->i < p->n && p->s[p->i] == '?')
		return refuse(p, "a kind of group that is not known");
	struct node *in = ++p->depth > MAX_DEPTH ? refuse(p, "it is nested too deeply") : either(p);
	p->depth--;
	p->fold = fold;
	if (!in)
		return NULL;
	if (!eat(p, ")"))
		return refuse(p, "a group without end");
	if (!look)
		return in;
	if (in->kind != CLASS)
		return refuse(p, "looking ahead at more than one character");
	return node(p, (struct node){.kind = ASSERT, .op = RE_AHEAD, .negate = negate, .class = in->class});
}

static struct node *backslash(struct regex_text *p)
{
	if (eat(p, "A"))
		return of_op(p, RE_TEXT_BEGIN, false);
	if (eat(p, "z"))
		return of_op(p, RE_TEXT_END, false);
	if (eat(p, "Z"))
		return of_op(p, RE_TEXT_END_NL, false);
	if (eat(p, "b"))
		return of_op(p, RE_WORD_EDGE, false);
	if (eat(p, "B"))
		return of_op(p, RE_WORD_EDGE, true);
	return of_class(p, regex_escape(p));
}

static struct node *atom(struct regex_text *p)
{
	uint32_t ch = ul_utf8_next(p->s, &p->i);
	switch (ch) {
	case '(':
		return group(p);
	case '[':
		return of_class(p, regex_bracket(p));
	case '\\':
		return backslash(p);
	case '.':
		return of_class(p, regex_any(p));
	case '^':
		return of_op(p, RE_LINE_BEGIN, false);
	case '$':
		return of_op(p, RE_LINE_END, false);
	case '*':
	case '+':
	case '?':
		return refuse(p, "a repetition of nothing");
	default:
		return of_class(p, regex_literal(p, ch));
	}
}

static bool number(struct regex_text *p, int *out)
{
	size_t i = p->i;
	int64_t v = 0;
	for (; p->i < p->n && p->s[p->i] >= '0' && p->s[p->i] <= '9' && v <= MAX_REPEAT; p->i++)
		v = v * 10 + (p->s[p->i] - '0');
	*out = (int)v;
	return p->i > i;
}

/* {m} {m,} {m,n} {,n}; anything else is a brace. */
static bool braces(struct regex_text *p, int *min, int *max)
{
	size_t i = p->i;
	bool low = eat(p, "{") && number(p, min), comma = low ? eat(p, ",") : p->i > i && eat(p, ","), high = comma && number(p, max);
	if (!low)
		*min = 0;
	if (!high)
		*max = comma ? UNBOUNDED : *min;
	if ((low || high) && eat(p, "}"))
		return true;
	p->i = i;
	return false;
}

static struct node *repeat(struct regex_text *p)
{
	struct node *in = atom(p);
	while (in && p->i < p->n) {
		struct node r = {.kind = REPEAT, .left = in, .max = UNBOUNDED};
		bool interval = false;
		if (eat(p, "+"))
			r.min = 1;
		else if (eat(p, "?"))
			r.max = 1;
		else if (!eat(p, "*") && !(interval = braces(p, &r.min, &r.max)))
			break;
		if ((r.min > MAX_REPEAT || (r.max > MAX_REPEAT && r.max != UNBOUNDED)) || r.min > r.max)
			return refuse(p, "a repetition of more than 1000, or upside down");
		if (!interval && eat(p, "+"))
			r.possessive = true; /* behind braces, + repeats the repetition */
		else if ((!interval || r.min != r.max) && eat(p, "?"))
			r.lazy = true;
		if (in->kind == ASSERT)
			return refuse(p, "a repetition of an assertion");
		if (r.possessive && in->kind != CLASS)
			return refuse(p, "a possessive repetition of more than one character");
		in = node(p, r);
	}
	return in;
}

static struct node *join(struct regex_text *p)
{
	struct node *all = node(p, (struct node){.kind = EMPTY});
	while (all && p->i < p->n && p->s[p->i] != '|' && p->s[p->i] != ')') {
		struct node *next = repeat(p);
		if (!next)
			return NULL;
		all = all->kind == EMPTY ? next : node(p, (struct node){.kind = JOIN, .left = all, .right = next});
	}
	return all;
}

static struct node *either(struct regex_text *p)
{
	struct node *all = join(p);
	while (all && eat(p, "|")) {
		struct node *next = join(p);
		all = next ? node(p, (struct node){.kind = EITHER, .left = all, .right = next}) : NULL;
	}
	return all;
}

/* ---- code ---- */

static uint32_t emit(ul_regex *re, struct regex_ins i)
{
	if (re->n == re->cap) {
		uint32_t cap = re->cap * 2 + 64;
		struct regex_ins *ins = cap <= MAX_INS ? ul_alloc(&re->arena, cap * sizeof *ins) : NULL;
		if (!ins)
			return re->arena.failed ? UINT32_MAX : UINT32_MAX - 1;
		if (re->n)
			memcpy(ins, re->ins, re->n * sizeof *ins);
		re->ins = ins;
		re->cap = cap;
	}
	if (i.op == RE_SPLIT)
		i.choice = re->choices++;
	re->ins[re->n] = i;
	return re->n++;
}

static bool full(uint32_t at)
{
	return at >= UINT32_MAX - 1;
}

static bool code(ul_regex *re, const struct node *n);

/* x{0,k}: each further one only if the last was there. */
static bool code_optional(ul_regex *re, const struct node *n, int times)
{
	if (times == 0)
		return true;
	uint32_t split = emit(re, (struct regex_ins){.op = RE_SPLIT});
	if (full(split) || !code(re, n->left) || !code_optional(re, n, times - 1))
		return false;
	re->ins[split].x = n->lazy ? re->n : split + 1;
	re->ins[split].y = n->lazy ? split + 1 : re->n;
	return true;
}

static bool code_repeat(ul_regex *re, const struct node *n)
{
	if (n->possessive)
		return !full(emit(re, (struct regex_ins){.op = RE_RUN, .class = n->left->class, .min = n->min, .max = n->max}));
	for (int i = 0; i < n->min; i++)
		if (!code(re, n->left))
			return false;
	if (n->max != UNBOUNDED)
		return code_optional(re, n, n->max - n->min);
	uint32_t split = emit(re, (struct regex_ins){.op = RE_SPLIT});
	if (full(split) || !code(re, n->left) || full(emit(re, (struct regex_ins){.op = RE_JUMP, .x = split})))
		return false;
	re->ins[split].x = n->lazy ? re->n : split + 1;
	re->ins[split].y = n->lazy ? split + 1 : re->n;
	return true;
}

static bool code_either(ul_regex *re, const struct node *n)
{
	uint32_t split = emit(re, (struct regex_ins){.op = RE_SPLIT});
	if (full(split) || !code(re, n->left))
		return false;
	uint32_t jump = emit(re, (struct regex_ins){.op = RE_JUMP});
	if (full(jump))
		return false;
	re->ins[split].x = split + 1;
	re->ins[split].y = re->n;
	if (!code(re, n->right))
		return false;
	re->ins[jump].x = re->n;
	return true;
}

static bool code(ul_regex *re, const struct node *n)
{
	if (++re->steps > 4 * MAX_INS)
		return false;
	switch (n->kind) {
	case EMPTY:
		return true;
	case CLASS:
		return !full(emit(re, (struct regex_ins){.op = RE_CLASS, .class = n->class}));
	case ASSERT:
		return !full(emit(re, (struct regex_ins){.op = n->op, .negate = n->negate, .class = n->class}));
	case JOIN:
		return code(re, n->left) && code(re, n->right);
	case EITHER:
		return code_either(re, n);
	default:
		return code_repeat(re, n);
	}
}

ul_regex *ul_regex_new(const char *pattern, size_t n, ul_err *err)
{
	ul_err none = {0};
	ul_regex *re = ul_calloc(1, sizeof *re);
	if (!re)
		return ul_nomem(err, sizeof *re), NULL;
	struct regex_text p = {.s = pattern, .n = n, .arena = &re->arena, .err = err ? err : &none};
	if (n > 4096)
		regex_refuse(&p, "it is longer than 4096 bytes");
	struct node *tree = n > 4096 ? NULL : either(&p);
	bool ok = tree && (p.i == n || regex_refuse(&p, "a ) without a group"));
	if (ok && (!code(re, tree) || full(emit(re, (struct regex_ins){.op = RE_MATCH}))))
		ok = re->arena.failed ? ul_nomem(err, n) : regex_refuse(&p, "it needs too many instructions");
	if (ok)
		return re;
	ul_regex_free(re);
	return NULL;
}
