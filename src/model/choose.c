/*
 * choose.c: from a row of logits to a token. Sums run in double and in a fixed order, so that a choice depends on the logits and
 * on u, on nothing else.
 */
#include "model/decode.h"

#include <math.h>
#include <stdlib.h>

/* Index of the largest number, the first among equals; -1 when there is none. */
static int largest(const float *z, int n)
{
	int best = -1;
	for (int i = 0; i < n; i++)
		if (!isnan(z[i]) && (best < 0 || z[i] > z[best]))
			best = i;
	return best;
}

static double log_sum(const float *z, int n, float max)
{
	double sum = 0;
	for (int i = 0; i < n; i++)
		sum += isnan(z[i]) ? 0 : (double)expf(z[i] - max);
	return (double)max + log(sum);
}

/* ---- the k best ---- */

static bool better(const float *z, int i, int j)
{
	return z[i] != z[j] ? z[i] > z[j] : i < j;
}

static void sift(const float *z, int *heap, int n, int at)
{
	for (int child; (child = 2 * at + 1) < n; at = child) { /* the worst on top */
		if (child + 1 < n && better(z, heap[child], heap[child + 1]))
			child++;
		if (!better(z, heap[at], heap[child]))
			return;
		int swap = heap[at];
		heap[at] = heap[child];
		heap[child] = swap;
	}
}

/* Indices of the k largest, best first. */
static int best_of(const float *z, int n, int k, int *heap)
{
	int held = 0;
	k = k < n ? k : n;
	for (int i = 0; i < n; i++) {
		if (isnan(z[i]))
			continue;
		if (held < k) {
			heap[held++] = i;
			for (int at = held / 2 - 1; held == k && at >= 0; at--)
				sift(z, heap, held, at);
		} else if (better(z, i, heap[0])) {
			heap[0] = i;
			sift(z, heap, held, 0);
		}
	}
	for (int at = held / 2 - 1; held < k && at >= 0; at--)
		sift(z, heap, held, at);
	for (int end = held - 1; end > 0; end--) {
		int worst = heap[0];
		heap[0] = heap[end];
		sift(z, heap, end, 0);
		heap[end] = worst;
	}
	return held;
}

int ul_choose_best(const float *logits, int vocab, int k, ul_choice *out, float *work)
{
	int top = largest(logits, vocab), *heap = (int *)(void *)work;
	if (top < 0)
		return 0;
	double lse = log_sum(logits, vocab, logits[top]);
	k = best_of(logits, vocab, k, heap);
	for (int i = 0; i < k; i++)
		out[i] = (ul_choice){heap[i], (double)logits[heap[i]] - lse};
	return k;
}

/* ---- one of them ---- */

static int pick(const float *p, int n, double mass, double u)
{
	double sum = 0;
	int last = 0;
	for (int i = 0; i < n; i++) {
		if (p[i] <= 0)
			continue;
		last = i;
		if ((sum += (double)p[i]) > u * mass)
			return i;
	}
	return last; /* u * mass fell behind the last by rounding */
}

/* Candidates best first: their probabilities, cut where top_p of the mass is reached (the one that reaches it stays). */
static int pick_best(const float *z, int vocab, double temperature, const ul_gen_config *c, double u, float *work)
{
	float *p = work, max = z[largest(z, vocab)];
	int *heap = (int *)(void *)(work + vocab);
	int k = c->top_k > 0 && c->top_k < vocab ? c->top_k : vocab;
	double mass = 0, kept = 0;
	k = best_of(z, vocab, k, heap);
	for (int i = 0; i < k; i++)
		mass += (double)(p[i] = expf((float)((double)(z[heap[i]] - max) / temperature)));
	int n = 0;
	while (n < k && (n == 0 || c->top_p <= 0 || c->top_p >= 1 || kept < c->top_p * mass))
		kept += (double)p[n++];
	return heap[pick(p, n, kept, u)];
}

ul_choice ul_choose(const float *logits, int vocab, double temperature, const ul_gen_config *c, double u, float *work)
{
	int top = largest(logits, vocab), id = top;
	if (top < 0)
		return (ul_choice){-1, 0};
	bool filtered = (c->top_k > 0 && c->top_k < vocab) || (c->top_p > 0 && c->top_p < 1);
	if (temperature > 0 && filtered) {
		id = pick_best(logits, vocab, temperature, c, u, work);
	} else if (temperature > 0) {
		double mass = 0;
		for (int i = 0; i < vocab; i++)
			mass += (double)(work[i] = isnan(logits[i]) ? 0 : expf((float)((double)(logits[i] - logits[top]) / temperature)));
		id = pick(work, vocab, mass, u);
	}
	return (ul_choice){id, (double)logits[id] - log_sum(logits, vocab, logits[top])};
}
