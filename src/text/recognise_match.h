/*
 * recognise_match.h: the single recognisers. Each gets a position where a match may begin and returns the end of the match, or 0. None
 * looks further than a few hundred bytes beyond what it matches, so a scan is linear.
 */
#ifndef UL_RECOGNISE_MATCH_H
#define UL_RECOGNISE_MATCH_H

#include "text/recognise.h"

struct pii_text {
	const char *s;
	size_t n;
};

size_t pii_email(const struct pii_text *t, size_t i);
size_t pii_url(const struct pii_text *t, size_t i);
size_t pii_date(const struct pii_text *t, size_t i);
size_t pii_address(const struct pii_text *t, size_t i);
size_t pii_id(const struct pii_text *t, size_t i);
size_t pii_phone(const struct pii_text *t, size_t i);
size_t pii_ip(const struct pii_text *t, size_t i);
size_t pii_iban(const struct pii_text *t, size_t i);
size_t pii_card(const struct pii_text *t, size_t i);
size_t pii_ssn(const struct pii_text *t, size_t i);

static inline bool pii_digit(char c)
{
	return c >= '0' && c <= '9';
}
static inline bool pii_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool pii_alnum(char c)
{
	return pii_digit(c) || pii_letter(c);
}
static inline char pii_at(const struct pii_text *t, size_t i)
{
	return i < t->n ? t->s[i] : 0;
}
static inline char pii_before(const struct pii_text *t, size_t i)
{
	return i ? t->s[i - 1] : 0;
}
/* Digits at i, at most `max`. */
static inline int pii_digits(const struct pii_text *t, size_t i, int max)
{
	int k = 0;
	while (k < max && pii_digit(pii_at(t, i + (size_t)k)))
		k++;
	return k;
}
/* One of the words ("a|b|c", lower case) stands among the `reach` bytes before i, whatever its case. */
bool pii_context(const struct pii_text *t, size_t i, size_t reach, const char *const *words);

#endif
