/*
 * likeness.c: counts of n-grams that two texts share.
 */
#include "data/likeness.h"

#include "data/novelty.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct words {
	uint64_t *digest; /* [n] */
	int n;
};

static bool letter(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static bool split(const char *s, struct words *w, ul_err *err)
{
	size_t n = strlen(s);
	*w = (struct words){.digest = ul_malloc((n + 1) * sizeof *w->digest)};
	if (!w->digest)
		return ul_nomem(err, n * sizeof *w->digest);
	for (size_t i = 0; i < n;) {
		size_t end = i + 1;
		if (isspace((unsigned char)s[i])) {
			i++;
			continue;
		}
		while (letter(s[i]) && end < n && letter(s[end]))
			end++;
		w->digest[w->n++] = ul_digest(s + i, end - i);
		i = end;
	}
	return true;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Sorted digests of runs of `order` words; returns how many. */
static int grams(const struct words *w, int order, uint64_t *out)
{
	int n = w->n - order + 1;
	for (int i = 0; i < n; i++)
		out[i] = ul_digest(w->digest + i, (size_t)order * sizeof *w->digest);
	if (n > 0)
		qsort(out, (size_t)n, sizeof *out, by_value);
	return n > 0 ? n : 0;
}

/* How many of both there are, each counted as often as in the poorer one. */
static int shared(const uint64_t *a, int n, const uint64_t *b, int m)
{
	int i = 0, k = 0, both = 0;
	while (i < n && k < m) {
		both += a[i] == b[k];
		bool first = a[i] <= b[k], second = b[k] <= a[i];
		i += first;
		k += second;
	}
	return both;
}

bool ul_likeness_add(ul_likeness *l, const char *text, const char *written, ul_err *err)
{
	struct words a = {0}, b = {0};
	bool ok = split(text, &a, err) && split(written, &b, err);
	uint64_t *x = ok ? ul_malloc((size_t)(a.n + 1) * sizeof *x) : NULL, *y = ok ? ul_malloc((size_t)(b.n + 1) * sizeof *y) : NULL;
	ok = ok && ((x && y) || ul_nomem(err, (size_t)(a.n + b.n) * sizeof *x));
	for (int k = 0; ok && k < 4; k++) {
		int n = grams(&a, k + 1, x), m = grams(&b, k + 1, y), both = shared(x, n, y, m);
		l->match[k] += both;
		l->possible[k] += m;
		if (k == 0)
			l->f1 += n + m ? 2.0 * both / (n + m) : 1;
	}
	if (ok) {
		l->words += a.n;
		l->written += b.n;
		l->exact += !strcmp(text, written);
		l->n++;
	}
	ul_free(a.digest);
	ul_free(b.digest);
	ul_free(x);
	ul_free(y);
	return ok;
}

double ul_likeness_f1(const ul_likeness *l)
{
	return l->n ? l->f1 / l->n : 0;
}

double ul_likeness_exact(const ul_likeness *l)
{
	return l->n ? (double)l->exact / l->n : 0;
}

double ul_likeness_bleu(const ul_likeness *l)
{
	double sum = 0;
	for (int k = 0; k < 4; k++) {
		if (!l->match[k])
			return 0;
		sum += log((double)l->match[k] / (double)l->possible[k]) / 4;
	}
	double shorter = l->written < l->words ? 1 - (double)l->words / (double)l->written : 0;
	return exp(sum + shorter);
}
