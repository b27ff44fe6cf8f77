/*
 * recognise.h: typed recognisers of personal data in text: e-mail, phone, IP, IBAN (mod 97), card (Luhn), SSN, dates, URLs, and
 * names from a gazetteer. Linear time; offsets are bytes.
 */
#ifndef UL_RECOGNISE_H
#define UL_RECOGNISE_H

#include "base/base.h"

enum ul_pii { UL_PII_EMAIL,
	UL_PII_PHONE,
	UL_PII_IP,
	UL_PII_IBAN,
	UL_PII_CARD,
	UL_PII_SSN,
	UL_PII_DATE,
	UL_PII_URL,
	UL_PII_NAME,
	UL_PII_ADDRESS,
	UL_PII_ID,
	UL_PII_TYPES };

typedef struct ul_finding {
	size_t start, end; /* bytes */
	enum ul_pii type;
} ul_finding;

typedef struct ul_gazetteer ul_gazetteer; /* names and other known strings, by type */
ul_gazetteer *ul_gazetteer_new(void);
bool ul_gazetteer_add(ul_gazetteer *g, enum ul_pii type, const char *string);
void ul_gazetteer_free(ul_gazetteer *g);

const char *ul_pii_name(enum ul_pii t); /* "EMAIL", "PHONE", … */
bool ul_pii_from_name(const char *name, enum ul_pii *t);
/* Findings in order, never overlapping (the longer, then the earlier type wins). g may be NULL; types: bit mask, 0 = all. Returns how many
 * there are, also when that is more than the `max` written; -1 = out of memory. */
int ul_recognise(const char *text, size_t n, unsigned types, const ul_gazetteer *g, ul_finding *out, int max);
bool ul_luhn(const char *digits, size_t n);
bool ul_iban_ok(const char *s, size_t n);

#endif
