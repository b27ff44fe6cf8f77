/*
 * recognise.c: personal data in text. Typed recognisers run side by side, a gazetteer adds known strings at word boundaries, and where
 * findings overlap the longer one wins.
 */
#include "text/recognise.h"
#include "text/recognise_match.h"
#include "text/trie.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[UL_PII_TYPES] = {
        [UL_PII_EMAIL] = "EMAIL",
        [UL_PII_PHONE] = "PHONE",
        [UL_PII_IP] = "IP",
        [UL_PII_IBAN] = "IBAN",
        [UL_PII_CARD] = "CARD",
        [UL_PII_SSN] = "SSN",
        [UL_PII_DATE] = "DATE",
        [UL_PII_URL] = "URL",
        [UL_PII_NAME] = "NAME",
        [UL_PII_ADDRESS] = "ADDRESS",
        [UL_PII_ID] = "ID",
};

const char *ul_pii_name(enum ul_pii t)
{
	return t >= 0 && t < UL_PII_TYPES ? names[t] : "UNKNOWN";
}

bool ul_pii_from_name(const char *name, enum ul_pii *t)
{
	for (int i = 0; i < UL_PII_TYPES; i++)
		if (!strcmp(names[i], name))
			return *t = (enum ul_pii)i, true;
	return false;
}

/* ---- gazetteer ---- */

struct ul_gazetteer {
	ul_trie trie; /* a string's number is its type */
};

ul_gazetteer *ul_gazetteer_new(void)
{
	return ul_calloc(1, sizeof(ul_gazetteer));
}

bool ul_gazetteer_add(ul_gazetteer *g, enum ul_pii type, const char *string)
{
	return ul_trie_add(&g->trie, string, strlen(string), (int)type);
}

void ul_gazetteer_free(ul_gazetteer *g)
{
	if (!g)
		return;
	ul_trie_release(&g->trie);
	ul_free(g);
}

/* Ill-formed bytes count as letters: a boundary is where one is sure of it. */
static bool word_at(const struct pii_text *t, size_t i)
{
	int bad;
	if (i >= t->n)
		return false;
	if (!ul_utf8_valid((const unsigned char *)t->s + i, t->n - i, &bad))
		return true;
	return ul_uni_word(ul_utf8_next(t->s, &i), UL_WORD_RUST);
}

static bool word_before(const struct pii_text *t, size_t i)
{
	size_t k = i;
	while (k && i - k < 4 && ((unsigned char)t->s[--k] & 0xC0) == 0x80)
		;
	return i && word_at(t, k);
}

/* The longest known string that begins at i and ends a word. */
static size_t known_at(const struct pii_text *t, const ul_trie *trie, size_t i, unsigned types, enum ul_pii *type)
{
	size_t best = 0;
	if (word_before(t, i))
		return 0;
	for (int node = ul_trie_child(trie, 0, (unsigned char)t->s[i]); node; node = ul_trie_child(trie, node, (unsigned char)t->s[i])) {
		int found = trie->node[node].token;
		i++;
		if (found >= 0 && (types >> found & 1) && !word_at(t, i)) {
			best = i;
			*type = (enum ul_pii)found;
		}
		if (i >= t->n)
			break;
	}
	return best;
}

/* ---- findings ---- */

struct findings {
	ul_finding *f;
	int n, cap;
	bool failed;
};

static void found(struct findings *l, size_t start, size_t end, enum ul_pii type)
{
	if (l->n == l->cap) {
		int cap = l->cap * 2 + 32;
		ul_finding *f = ul_realloc(l->f, (size_t)cap * sizeof *f);
		if (!f) {
			l->failed = true;
			return;
		}
		l->f = f;
		l->cap = cap;
	}
	l->f[l->n++] = (ul_finding){start, end, type};
}

static const struct {
	enum ul_pii type;
	size_t (*match)(const struct pii_text *t, size_t i);
} recognisers[] = {
        {UL_PII_EMAIL, pii_email},
        {UL_PII_PHONE, pii_phone},
        {UL_PII_IP, pii_ip},
        {UL_PII_IBAN, pii_iban},
        {UL_PII_CARD, pii_card},
        {UL_PII_SSN, pii_ssn},
        {UL_PII_DATE, pii_date},
        {UL_PII_URL, pii_url},
        {UL_PII_ADDRESS, pii_address},
        {UL_PII_ID, pii_id},
};

static void scan(const struct pii_text *t, int k, struct findings *l)
{
	for (size_t i = 0; i < t->n;) {
		size_t end = recognisers[k].match(t, i);
		if (end > i)
			found(l, i, end, recognisers[k].type);
		i = end > i ? end : i + 1;
	}
}

static void scan_known(const struct pii_text *t, const ul_gazetteer *g, unsigned types, struct findings *l)
{
	for (size_t i = 0; i < t->n && g->trie.n;) {
		enum ul_pii type = UL_PII_NAME;
		size_t end = known_at(t, &g->trie, i, types, &type);
		if (end > i)
			found(l, i, end, type);
		i = end > i ? end : i + 1;
	}
}

static int longer_first(const void *a, const void *b)
{
	const ul_finding *x = a, *y = b;
	size_t n = x->end - x->start, m = y->end - y->start;
	if (n != m)
		return n > m ? -1 : 1;
	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static int by_place(const void *a, const void *b)
{
	const ul_finding *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* Keeps what overlaps nothing that was kept before it, the longest first. */
static bool settle(struct findings *l, size_t n)
{
	unsigned char *taken = l->n ? ul_calloc(n, 1) : NULL;
	int kept = 0;
	if (l->n && !taken)
		return false;
	if (l->n)
		qsort(l->f, (size_t)l->n, sizeof *l->f, longer_first);
	for (int i = 0; i < l->n; i++) {
		ul_finding f = l->f[i];
		if (memchr(taken + f.start, 1, f.end - f.start))
			continue;
		memset(taken + f.start, 1, f.end - f.start);
		l->f[kept++] = f;
	}
	l->n = kept;
	if (kept)
		qsort(l->f, (size_t)kept, sizeof *l->f, by_place);
	ul_free(taken);
	return true;
}

int ul_recognise(const char *text, size_t n, unsigned types, const ul_gazetteer *g, ul_finding *out, int max)
{
	struct pii_text t = {text, n};
	struct findings l = {0};
	types = types ? types : (1u << UL_PII_TYPES) - 1;
	for (size_t k = 0; k < sizeof recognisers / sizeof *recognisers; k++)
		if (types >> recognisers[k].type & 1)
			scan(&t, (int)k, &l);
	if (g)
		scan_known(&t, g, types, &l);
	bool ok = !l.failed && settle(&l, n);
	for (int i = 0; ok && i < l.n && i < max; i++)
		out[i] = l.f[i];
	ul_free(l.f);
	return ok ? l.n : -1;
}
