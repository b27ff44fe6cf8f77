/*
 * regex_class.c: character classes of a pattern, in the syntax of Oniguruma.
 */
#include "text/regex_code.h"

#include <string.h>
#include <strings.h>

enum { MAX_DEPTH = 32 };

bool regex_refuse(struct regex_text *p, const char *what)
{
	return ul_fail(p->err, "the pattern \"%.*s\" is not supported: %s", (int)(p->n > 200 ? 200 : p->n), p->s, what);
}

static struct regex_class *new_class(struct regex_text *p)
{
	struct regex_class *c = ul_alloc(p->arena, sizeof *c);
	if (!c)
		ul_nomem(p->err, sizeof *c);
	return c;
}

static bool add_range(struct regex_text *p, struct regex_class *c, uint32_t first, uint32_t last)
{
	if (c->n == c->cap) {
		int cap = c->cap * 2 + 4;
		ul_uni_range *r = ul_alloc(p->arena, (size_t)cap * sizeof *r);
		if (!r)
			return ul_nomem(p->err, (size_t)cap * sizeof *r);
		if (c->n)
			memcpy(r, c->range, (size_t)c->n * sizeof *r);
		c->range = r;
		c->cap = cap;
	}
	c->range[c->n++] = (ul_uni_range){first, last};
	return true;
}

/* A range, and where case does not count the other case of its ASCII letters, with the two letters beyond ASCII that fold to them. */
static bool add(struct regex_text *p, struct regex_class *c, uint32_t first, uint32_t last)
{
	if (!add_range(p, c, first, last))
		return false;
	if (!p->fold)
		return true;
	if (last >= 0x80 && first != last)
		return regex_refuse(p, "a range beyond ASCII inside (?i:");
	for (uint32_t ch = first; ch <= last && ch < 0x80; ch++) {
		uint32_t low = ch | 32;
		if (low < 'a' || low > 'z')
			continue;
		uint32_t other = low == 's' ? 0x17F : low == 'k' ? 0x212A
		                                                 : low;
		if (!add_range(p, c, ch ^ 32, ch ^ 32) || !add_range(p, c, other, other))
			return false;
	}
	uint32_t l[2];
	if (first >= 0x80 && (ul_uni_mask(first) & (UL_GC(LU) | UL_GC(LL) | UL_GC(LT)) || ul_uni_to_lower(first, l) > 1))
		return regex_refuse(p, "a letter beyond ASCII inside (?i:");
	return true;
}

static struct regex_class *done(struct regex_class *c)
{
	for (uint32_t ch = 0; c && ch < 0x80; ch++) {
		c->ascii[ch >> 5] &= ~(1u << (ch & 31));
		c->ascii[ch >> 5] |= (uint32_t)regex_class_members(c, ch) << (ch & 31);
	}
	return c;
}

/* A chain of && is settled from its end: each part knows what follows it. */
static struct regex_class *done_chain(struct regex_class *c)
{
	if (c->and)
		done_chain(c->and);
	return done(c);
}

struct regex_class *regex_literal(struct regex_text *p, uint32_t ch)
{
	struct regex_class *c = new_class(p);
	return c && add(p, c, ch, ch) ? done(c) : NULL;
}

struct regex_class *regex_any(struct regex_text *p)
{
	struct regex_class *c = new_class(p);
	if (!c || !add_range(p, c, '\n', '\n'))
		return NULL;
	c->negate = true;
	return done(c);
}

/* ---- \p{…} ---- */

static const struct {
	const char *name, *longer;
	uint32_t mask;
} properties[] = {
        {"L", "Letter", UL_GC_LETTER},
        {"M", "Mark", UL_GC_MARK},
        {"N", "Number", UL_GC_NUMBER},
        {"P", "Punctuation", UL_GC_PUNCT},
        {"S", "Symbol", UL_GC_SYMBOL},
        {"Z", "Separator", UL_GC_SEPARATOR},
        {"C", "Other", UL_GC_OTHER},
        {"Lu", "Uppercase_Letter", UL_GC(LU)},
        {"Ll", "Lowercase_Letter", UL_GC(LL)},
        {"Lt", "Titlecase_Letter", UL_GC(LT)},
        {"Lm", "Modifier_Letter", UL_GC(LM)},
        {"Lo", "Other_Letter", UL_GC(LO)},
        {"Mn", "Nonspacing_Mark", UL_GC(MN)},
        {"Mc", "Spacing_Mark", UL_GC(MC)},
        {"Me", "Enclosing_Mark", UL_GC(ME)},
        {"Nd", "Decimal_Number", UL_GC(ND)},
        {"Nl", "Letter_Number", UL_GC(NL)},
        {"No", "Other_Number", UL_GC(NO)},
        {"Pc", "Connector_Punctuation", UL_GC(PC)},
        {"Pd", "Dash_Punctuation", UL_GC(PD)},
        {"Ps", "Open_Punctuation", UL_GC(PS)},
        {"Pe", "Close_Punctuation", UL_GC(PE)},
        {"Pi", "Initial_Punctuation", UL_GC(PI)},
        {"Pf", "Final_Punctuation", UL_GC(PF)},
        {"Po", "Other_Punctuation", UL_GC(PO)},
        {"Sm", "Math_Symbol", UL_GC(SM)},
        {"Sc", "Currency_Symbol", UL_GC(SC)},
        {"Sk", "Modifier_Symbol", UL_GC(SK)},
        {"So", "Other_Symbol", UL_GC(SO)},
        {"Zs", "Space_Separator", UL_GC(ZS)},
        {"Zl", "Line_Separator", UL_GC(ZL)},
        {"Zp", "Paragraph_Separator", UL_GC(ZP)},
        {"Cc", "Control", UL_GC(CC)},
        {"Cf", "Format", UL_GC(CF)},
        {"Cs", "Surrogate", UL_GC(CS)},
        {"Co", "Private_Use", UL_GC(CO)},
        {"Cn", "Unassigned", UL_GC(CN)},
};

static bool property(struct regex_text *p, struct regex_class *c, bool negate)
{
	const char *end = p->i < p->n && p->s[p->i] == '{' ? memchr(p->s + p->i, '}', p->n - p->i) : NULL;
	char name[32] = "";
	if (!end || (size_t)(end - p->s) - p->i - 1 >= sizeof name)
		return regex_refuse(p, "\\p without {a category}");
	memcpy(name, p->s + p->i + 1, (size_t)(end - p->s) - p->i - 1);
	p->i = (size_t)(end - p->s) + 1;
	const char *n = name;
	if (*n == '^') {
		negate = !negate;
		n++;
	}
	for (size_t k = 0; k < sizeof properties / sizeof *properties; k++) {
		if (strcasecmp(n, properties[k].name) && strcasecmp(n, properties[k].longer))
			continue;
		uint32_t m = properties[k].mask;
		if (p->fold && (m & UL_GC_LETTER) && (m & UL_GC_LETTER) != UL_GC_LETTER)
			return regex_refuse(p, "a property of case inside (?i:");
		if (negate && c->not_gc)
			c->gc |= ~(c->not_gc & m) & ((1u << 30) - 1), c->not_gc = 0;
		else if (negate)
			c->not_gc = m;
		else
			c->gc |= m;
		return true;
	}
	return regex_refuse(p, "only general categories are known behind \\p");
}

/* ---- escapes ---- */

static int digit(char ch)
{
	return ch >= '0' && ch <= '9' ? ch - '0' : (ch | 32) >= 'a' && (ch | 32) <= 'f' ? (ch | 32) - 'a' + 10
	                                                                                : -1;
}

static bool hexadecimal(struct regex_text *p, int digits, uint32_t *out)
{
	bool brace = digits == 2 && p->i < p->n && p->s[p->i] == '{';
	uint32_t v = 0;
	int seen = 0;
	p->i += brace;
	for (; p->i < p->n && seen < (brace ? 8 : digits) && digit(p->s[p->i]) >= 0; seen++)
		v = v << 4 | (uint32_t)digit(p->s[p->i++]);
	bool closed = !brace || (p->i < p->n && p->s[p->i] == '}');
	p->i += brace && closed;
	if (!seen || !closed || v > 0x10FFFF || (v >= 0xD800 && v < 0xE000) || (!brace && digits == 4 && seen != 4) || (!brace && digits == 2 && v >= 0x80))
		return regex_refuse(p, "a hexadecimal escape");
	*out = v;
	return true;
}

static bool named(uint32_t ch, uint32_t *out)
{
	static const char from[] = "nrtfvae";
	static const char to[] = "\n\r\t\f\v\a\033";
	const char *at = ch && ch < 0x80 ? strchr(from, (int)ch) : NULL;
	if (at)
		*out = (unsigned char)to[at - from];
	return at != NULL;
}

static bool set_escape(struct regex_text *p, struct regex_class *c, uint32_t ch, bool *was)
{
	*was = true;
	switch (ch) {
	case 's':
		return c->space = true;
	case 'S':
		return c->not_space = true;
	case 'w':
		return c->word = true;
	case 'W':
		return c->not_word = true;
	case 'd':
		c->gc |= UL_GC(ND);
		return true;
	case 'D':
		c->gc |= ((1u << 30) - 1) & ~UL_GC(ND);
		return true;
	case 'p':
	case 'P':
		return property(p, c, ch == 'P');
	default:
		*was = false;
		return true;
	}
}

/* Behind a backslash: a set goes into c, a single character into *one. */
static bool escape(struct regex_text *p, struct regex_class *c, uint32_t *one, bool *set)
{
	if (p->i >= p->n)
		return regex_refuse(p, "it ends in a backslash");
	uint32_t ch = ul_utf8_next(p->s, &p->i);
	bool ok = set_escape(p, c, ch, set);
	if (!ok || *set)
		return ok;
	if (named(ch, one))
		return true;
	if (ch == 'x' || ch == 'u')
		return hexadecimal(p, ch == 'x' ? 2 : 4, one);
	if (ch < 0x80 && ((ch | 32) - 'a' < 26 || ch - '0' < 10))
		return regex_refuse(p, "an escape that is not known");
	*one = ch;
	return true;
}

struct regex_class *regex_escape(struct regex_text *p)
{
	struct regex_class *c = new_class(p);
	uint32_t one = 0;
	bool set = false;
	if (!c || !escape(p, c, &one, &set) || (!set && !add(p, c, one, one)))
		return NULL;
	c->bare = true;
	return done(c);
}

/* ---- brackets ---- */

static bool nested(struct regex_text *p, struct regex_class *c)
{
	if (c->parts == 4)
		return regex_refuse(p, "more than four classes in one class");
	if (p->i < p->n && p->s[p->i] == ':')
		return regex_refuse(p, "a POSIX bracket");
	return (c->part[c->parts++] = regex_bracket(p)) != NULL;
}

/* A character, the first of a range, or a set. */
static bool member(struct regex_text *p, struct regex_class *c)
{
	uint32_t first = ul_utf8_next(p->s, &p->i), last;
	bool set = false;
	if (first == '\\' && !escape(p, c, &first, &set))
		return false;
	if (set)
		return true;
	last = first;
	if (p->i + 1 < p->n && p->s[p->i] == '-' && p->s[p->i + 1] != ']') {
		p->i++;
		last = ul_utf8_next(p->s, &p->i);
		if (last == '[' || (last == '\\' && (!escape(p, c, &last, &set) || set)))
			return regex_refuse(p, "a range that ends in a set");
	}
	if (last < first)
		return regex_refuse(p, "a range upside down");
	return add(p, c, first, last);
}

struct regex_class *regex_bracket(struct regex_text *p)
{
	struct regex_class *c = new_class(p), *last = c;
	if (!c || (++p->depth > MAX_DEPTH && !regex_refuse(p, "it is nested too deeply")))
		return NULL;
	bool negate = p->i < p->n && p->s[p->i] == '^', empty = true;
	p->i += negate;
	for (; p->i < p->n && p->s[p->i] != ']'; empty = false) {
		bool ok;
		if (p->s[p->i] == '[') {
			p->i++;
			ok = nested(p, last);
		} else if (p->s[p->i] == '&' && p->i + 1 < p->n && p->s[p->i + 1] == '&') {
			p->i += 2;
			ok = (last->and = new_class(p)) != NULL;
			last = ok ? last->and : last;
		} else {
			ok = member(p, last);
		}
		if (!ok)
			return NULL;
	}
	if (p->i >= p->n || empty)
		return regex_refuse(p, empty ? "an empty class" : "a class without end"), NULL;
	p->i++;
	p->depth--;
	c->negate = negate;
	return done_chain(c);
}
