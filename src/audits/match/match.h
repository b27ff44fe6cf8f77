/*
 * match.h: how alike two texts are, and how much of a text a model gives back: what the audits count.
 */
#ifndef UL_MATCH_H
#define UL_MATCH_H

#include "base/base.h"
#include "text/unicode.h"

/* ---- ROUGE (rouge_score): lower case, runs of [a-z0-9], words over three letters stemmed when `stem` ---- */

typedef struct ul_rouge {
	double recall1, f1_1, recall_l, f1_l; /* ROUGE-1 and ROUGE-L of a hypothesis against a reference */
} ul_rouge;
bool ul_rouge_score(const char *ref, const char *hyp, bool stem, ul_rouge *out, ul_err *err);

/* Porter's stemmer with NLTK's extensions, in place; `word` holds lower-case ASCII letters and digits. Returns the new length. */
size_t ul_porter_stem(char *word, size_t n);

/* ---- teacher-forced memory: `hit[t]` says that the model's argmax at t is the true token ---- */

double ul_exact_memorization(const unsigned char *hit, int n); /* share of hits; NaN for n = 0 */
double ul_extraction_strength(const unsigned char *hit, int n, bool floor_1_m); /* 1 - k/n, k = first index from which all hit */

/* ---- strings ---- */

/* Levenshtein distance in Unicode code points; ill-formed bytes count as one each. -1 when out of memory. */
int ul_utf8_distance(const char *a, size_t na, const char *b, size_t nb);

/* A string as personal data are compared: NFC and case folded for names, addresses and e-mails, digits only where only digits
 * count (phone, SSN, card, IBAN keeps letters); white space collapsed. To be freed. NULL when out of memory. */
char *ul_pii_normal(const char *type, const char *s, size_t n);
bool ul_pii_digits_only(const char *type);

int ul_zlib_length(const char *s, size_t n); /* bytes after zlib level 6, header included; -1 when out of memory */

/* Share of distinct word pairs (one word: 1, none: 0), and share of words that lie in an immediate repetition (of 1 to 4 words). */
void ul_fluency(const char *text, double *distinct2, double *repeated, bool *failed);
/* ½ (⅔ H₂ + 4⁄3 H₃) in bits, H the entropy of word pairs and triples (RWKU's fluency); -1 when out of memory. */
double ul_fluency_entropy(const char *text);
int ul_word_count(const char *text);

#endif
