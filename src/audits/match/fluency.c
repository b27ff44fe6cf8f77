/*
 * fluency.c: two signs of a broken generator that need no judge: few distinct word pairs (Li et al. 2016, distinct-2), and words
 * that stand inside an immediate repetition of the phrase before them.
 */
#include "audits/match/match.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct piece {
	const char *s;
	size_t n;
} piece;

static bool same(const piece *a, const piece *b)
{
	return a->n == b->n && memcmp(a->s, b->s, a->n) == 0;
}

static int order(const piece *a, const piece *b)
{
	size_t n = a->n < b->n ? a->n : b->n;
	int c = memcmp(a->s, b->s, n);
	return c ? c : (a->n > b->n) - (a->n < b->n);
}

static int by_pair(const void *x, const void *y)
{
	const piece *a = *(const piece *const *)x, *b = *(const piece *const *)y;
	int c = order(a, b);
	return c ? c : order(a + 1, b + 1);
}

static int by_triple(const void *x, const void *y)
{
	const piece *a = *(const piece *const *)x, *b = *(const piece *const *)y;
	int c = by_pair(x, y);
	return c ? c : order(a + 2, b + 2);
}

static int split(const char *s, piece *out)
{
	int n = 0;
	while (*s) {
		size_t skip = strspn(s, " \t\r\n"), len = strcspn(s + skip, " \t\r\n");
		if (len)
			out[n++] = (piece){s + skip, len};
		s += skip + len;
	}
	return n;
}

static double repeated_share(const piece *w, int n)
{
	int inside = 0;
	for (int i = 1; i < n; i++) {
		bool again = false;
		for (int k = 1; k <= 4 && !again && i >= 2 * k - 1; k++) {
			again = true;
			for (int j = 0; j < k && again; j++)
				again = same(&w[i - j], &w[i - j - k]);
		}
		inside += again;
	}
	return n > 1 ? (double)inside / (n - 1) : 0;
}

void ul_fluency(const char *text, double *distinct2, double *repeated, bool *failed)
{
	size_t cap = strlen(text) / 2 + 2;
	piece *w = ul_malloc(cap * sizeof *w);
	const piece **pair = ul_malloc(cap * sizeof *pair);
	*distinct2 = *repeated = 0;
	*failed = !w || !pair;
	int n = *failed ? 0 : split(text, w), kinds = 0;
	if (n == 1) /* too short to repeat itself */
		*distinct2 = 1;
	for (int i = 0; i + 1 < n; i++)
		pair[i] = &w[i];
	if (n > 1) {
		qsort(pair, (size_t)n - 1, sizeof *pair, by_pair);
		for (int i = 0; i + 1 < n; i++)
			kinds += i == 0 || by_pair(&pair[i - 1], &pair[i]) != 0;
		*distinct2 = (double)kinds / (n - 1);
		*repeated = repeated_share(w, n);
	}
	ul_free(w);
	ul_free(pair);
}

/* Entropy in bits of the runs of `len` words. */
static double entropy(const piece *w, int words, int len, const piece **run)
{
	int n = words - len + 1;
	double h = 0;
	for (int i = 0; i < n; i++)
		run[i] = &w[i];
	if (n > 1)
		qsort(run, (size_t)n, sizeof *run, len == 2 ? by_pair : by_triple);
	for (int i = 0, j; i < n; i = j) {
		for (j = i + 1; j < n && (len == 2 ? by_pair : by_triple)(&run[i], &run[j]) == 0; j++)
			;
		h -= (double)(j - i) / n * log2((double)(j - i) / n);
	}
	return h;
}

double ul_fluency_entropy(const char *text)
{
	size_t cap = strlen(text) / 2 + 2;
	piece *w = ul_malloc(cap * sizeof *w);
	const piece **run = ul_malloc(cap * sizeof *run);
	int n = w && run ? split(text, w) : 0;
	double h = w && run ? entropy(w, n, 2, run) / 3 + entropy(w, n, 3, run) * 2 / 3 : -1;
	ul_free(w);
	ul_free(run);
	return h;
}

int ul_word_count(const char *text)
{
	int n = 0;
	for (const char *s = text; *s; n++) {
		s += strspn(s, " \t\r\n");
		if (!*s)
			break;
		s += strcspn(s, " \t\r\n");
	}
	return n;
}
