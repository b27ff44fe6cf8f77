/*
 * rouge.c: ROUGE-1 and ROUGE-L (Lin 2004) as Google's rouge_score computes them: lower case, everything but [a-z0-9] separates
 * words, words of more than three letters are stemmed when asked for.
 */
#include "audits/match/match.h"

#include <stdlib.h>
#include <string.h>

typedef struct words {
	char *text; /* the words, each ended by NUL */
	const char **at; /* [n] */
	int n;
} words;

/* Two characters outside ASCII have an ASCII letter in their lower case: U+0130 (i with a dot above) and U+212A (the kelvin sign). */
static int fold(const unsigned char *s, size_t *used)
{
	*used = 1;
	if (s[0] >= 'A' && s[0] <= 'Z')
		return s[0] + ('a' - 'A');
	if (s[0] == 0xC4 && s[1] == 0xB0) {
		*used = 2;
		return 'i';
	}
	if (s[0] == 0xE2 && s[1] == 0x84 && s[2] == 0xAA) {
		*used = 3;
		return 'k';
	}
	return s[0];
}

static bool split(const char *s, bool stem, words *w, ul_err *err)
{
	size_t n = strlen(s), len = 0;
	*w = (words){.text = ul_malloc(2 * n + 2), .at = ul_malloc((n + 1) * sizeof(char *))};
	if (!w->text || !w->at)
		return ul_nomem(err, (n + 1) * sizeof(char *));
	char *start = w->text;
	for (size_t i = 0, used; i <= n; i += used) {
		int c = fold((const unsigned char *)s + i, &used);
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			start[len++] = (char)c;
		bool apart = !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) || used == 2; /* a combining dot follows U+0130 */
		if (!apart || len == 0)
			continue;
		if (stem && len > 3)
			len = ul_porter_stem(start, len);
		start[len] = '\0';
		w->at[w->n++] = start;
		start += len + 1;
		len = 0;
	}
	return true;
}

static void drop(words *w)
{
	ul_free(w->text);
	ul_free(w->at);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Longest common subsequence of words. row: [h->n + 1] */
static int lcs(const words *r, const words *h, int *row)
{
	memset(row, 0, (size_t)(h->n + 1) * sizeof *row);
	for (int i = 0; i < r->n; i++) {
		int diagonal = 0;
		for (int j = 1; j <= h->n; j++) {
			int above = row[j];
			if (strcmp(r->at[i], h->at[j - 1]) == 0)
				row[j] = diagonal + 1;
			else if (row[j - 1] > above)
				row[j] = row[j - 1];
			diagonal = above;
		}
	}
	return row[h->n];
}

/* Size of the common multiset; sorts both. */
static int common(words *r, words *h)
{
	qsort(r->at, (size_t)r->n, sizeof *r->at, by_text);
	qsort(h->at, (size_t)h->n, sizeof *h->at, by_text);
	int i = 0, j = 0, both = 0;
	while (i < r->n && j < h->n) {
		int c = strcmp(r->at[i], h->at[j]);
		both += c == 0;
		i += c <= 0;
		j += c >= 0;
	}
	return both;
}

static void scores(int both, int ref, int hyp, double *recall, double *f1)
{
	double p = hyp ? (double)both / hyp : 0, r = ref ? (double)both / ref : 0;
	*recall = r;
	*f1 = p + r > 0 ? 2 * p * r / (p + r) : 0;
}

bool ul_rouge_score(const char *ref, const char *hyp, bool stem, ul_rouge *out, ul_err *err)
{
	words r = {0}, h = {0};
	int *row = NULL;
	bool ok = split(ref, stem, &r, err) && split(hyp, stem, &h, err);
	if (ok) {
		row = ul_malloc((size_t)(h.n + 1) * sizeof *row);
		ok = row || ul_nomem(err, (size_t)(h.n + 1) * sizeof *row);
	}
	if (ok) {
		int l = lcs(&r, &h, row); /* before sorting */
		int c = common(&r, &h);
		scores(c, r.n, h.n, &out->recall1, &out->f1_1);
		scores(l, r.n, h.n, &out->recall_l, &out->f1_l);
	}
	ul_free(row);
	drop(&r);
	drop(&h);
	return ok;
}
