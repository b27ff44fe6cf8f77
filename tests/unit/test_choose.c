/*
 * test_choose.c: from logits to a token: ties, filters, and that frequencies follow the probabilities.
 */
#include "test.h"

#include "model/decode.h"

enum { V = 6 };

static ul_choice pick(const float *z, double t, int k, double p, double u)
{
	float work[3 * V];
	ul_gen_config c = {.top_k = k, .top_p = p};
	return ul_choose(z, V, t, &c, u, work);
}

static double logp_of(const float *z, int id)
{
	double sum = 0;
	for (int i = 0; i < V; i++)
		sum += exp((double)z[i]);
	return (double)z[id] - log(sum);
}

static void test_choose__greedy_takes_the_lowest_of_equals(void)
{
	float z[V] = {1, 3, 3, 2, 3, -1};
	ul_choice c = pick(z, 0, 0, 1, 0.99);
	CHECK_EQ_INT(c.id, 1);
	CHECK_CLOSE(c.logp, logp_of(z, 1), 1e-6);
}

static void test_choose__no_numbers(void)
{
	float z[V] = {NAN, NAN, NAN, NAN, NAN, NAN};
	CHECK_EQ_INT(pick(z, 0, 0, 1, 0).id, -1);
	z[4] = -3;
	CHECK_EQ_INT(pick(z, 0, 0, 1, 0).id, 4);
	CHECK_EQ_INT(pick(z, 1, 2, 0.5, 0.7).id, 4);
}

/* Share of draws on a fine grid of u: exact up to the grid. */
static void shares_are(const float *z, double t, int k, double p, const double *want)
{
	enum { N = 20000 };
	int count[V] = {0};
	for (int i = 0; i < N; i++)
		count[pick(z, t, k, p, (i + 0.5) / N).id]++;
	for (int i = 0; i < V; i++)
		CHECK_NEAR((double)count[i] / N, want[i], 2.0 / N);
}

static void test_choose__shares_follow_the_probabilities(void)
{
	/* p = .4 .3 .1 .1 .06 .04 */
	float z[V];
	double p[V] = {0.1, 0.4, 0.06, 0.3, 0.04, 0.1}, sharp[V], sum = 0;
	for (int i = 0; i < V; i++) {
		z[i] = (float)log(p[i]) + 5;
		sum += p[i] * p[i];
	}
	for (int i = 0; i < V; i++)
		sharp[i] = p[i] * p[i] / sum;
	shares_are(z, 1, 0, 1, p);
	shares_are(z, 0.5, 0, 1, sharp);
	shares_are(z, 1, 2, 1, (double[V]){0, 4.0 / 7, 0, 3.0 / 7, 0, 0});
	shares_are(z, 1, 1, 1, (double[V]){0, 1, 0, 0, 0, 0});
	shares_are(z, 1, 0, 0.65, (double[V]){0, 4.0 / 7, 0, 3.0 / 7, 0, 0});
	shares_are(z, 1, 0, 0.75, (double[V]){0.125, 0.5, 0, 0.375, 0, 0}); /* the one that reaches .75 stays; of the two .1 the lower id */
	shares_are(z, 1, 2, 0.3, (double[V]){0, 1, 0, 0, 0, 0}); /* top-p runs over what top-k left */
}

static void test_choose__logp_knows_no_temperature(void)
{
	float z[V] = {0, 1, 2, 0, 0, 0};
	for (double u = 0.05; u < 1; u += 0.1) {
		ul_choice c = pick(z, 3, 4, 0.9, u);
		CHECK_CLOSE(c.logp, logp_of(z, c.id), 1e-6);
	}
}

static void test_choose__best_in_order(void)
{
	float z[V] = {1, 4, 4, NAN, 2, 4};
	ul_choice best[V];
	float work[V];
	CHECK_EQ_INT(ul_choose_best(z, V, 4, best, work), 4);
	int want[] = {1, 2, 5, 4};
	for (int i = 0; i < 4; i++)
		CHECK_EQ_INT(best[i].id, want[i]);
	CHECK_EQ_INT(ul_choose_best(z, V, V, best, work), 5);
	CHECK_EQ_INT(best[4].id, 0);
}
