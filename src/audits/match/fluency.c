/*
 * fluency.c: two signs of a broken generator that need no judge: few distinct word pairs (Li et al. 2016, distinct-2), and words
 * that stand inside an immediate repetition of the phrase before them.
 */
#include "audits/match/match.h"

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
