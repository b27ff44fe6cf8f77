/*
 * test_ucb.c: the network's gradient by differences, its fit, what U knows; and that the search finds more than chance does.
 */
#include "test.h"

#include "sources/reveal/sobol.h"
#include "sources/reveal/ucb.h"

static void random_arms(double *x, int n, uint64_t seed)
{
	ul_rng r = ul_rng_at(seed, "test", 0);
	for (int i = 0; i < n; i++)
		x[i] = ul_rng_normal(&r);
}

static void test_ucb__gradient_by_differences(void)
{
	enum { IN = 5 };
	ul_err err = {0};
	ul_ucb_config c = ul_ucb_defaults(IN);
	c.width = 7;
	c.seed = 3;
	double x[IN];
	ul_ucb *u = ul_ucb_new(&c, &err);
	NEED_OK(u, err);
	size_t n = ul_ucb_size(u);
	CHECK_EQ_INT(n, 7 * 5 + 7 + 7 + 1);
	double *g = ul_malloc(n * sizeof *g), *w = ul_malloc(n * sizeof *w);
	random_arms(x, IN, 1);
	ul_ucb_predict(u, x, g);
	memcpy(w, ul_ucb_weights(u), n * sizeof *w);
	for (size_t i = 0; i < n; i++) {
		const double h = 1e-5, at = w[i];
		w[i] = at + h;
		ul_ucb_set_weights(u, w);
		double up = ul_ucb_predict(u, x, NULL);
		w[i] = at - h;
		ul_ucb_set_weights(u, w);
		double down = ul_ucb_predict(u, x, NULL);
		w[i] = at;
		CHECK_NEAR((up - down) / (2 * h), g[i], 1e-7);
	}
	ul_ucb_free(u);
	ul_free(g);
	ul_free(w);
}

/* The bonus of many arms at once is the formula on the gradient of each. */
static void test_ucb__bonus_is_the_formula(void)
{
	enum { IN = 4,
		N = 9 };
	ul_err err = {0};
	ul_ucb_config c = ul_ucb_defaults(IN);
	c.width = 6;
	c.steps = 20;
	double x[N * IN], y[N], worth[N], bonus[N];
	random_arms(x, N * IN, 2);
	random_arms(y, N, 3);
	ul_ucb *u = ul_ucb_new(&c, &err);
	NEED_OK(u && ul_ucb_fit(u, x, y, N, &err) && ul_ucb_picked(u, x + IN, &err) && ul_ucb_judge(u, x, N, worth, bonus, &err), err);
	size_t n = ul_ucb_size(u);
	double *g = ul_malloc(n * sizeof *g);
	for (int k = 0; k < N; k++) {
		double sum = 0;
		CHECK_CLOSE(ul_ucb_predict(u, x + k * IN, g), worth[k], 1e-12);
		for (size_t p = 0; p < n; p++)
			sum += g[p] * g[p] / ul_ucb_certainty(u)[p];
		CHECK_CLOSE(bonus[k], sqrt(c.lambda * c.nu * sum), 1e-12);
	}
	ul_ucb_free(u);
	ul_free(g);
}

static void test_ucb__fits_and_begins_anew(void)
{
	enum { IN = 3,
		N = 12 };
	ul_err err = {0};
	ul_ucb_config c = ul_ucb_defaults(IN);
	double x[N * IN], y[N], worth[N], again[N], before = 0, after = 0;
	random_arms(x, N * IN, 4);
	for (int k = 0; k < N; k++)
		y[k] = sin(x[k * IN]) + 0.5 * x[k * IN + 1];
	ul_ucb *u = ul_ucb_new(&c, &err);
	NEED_OK(u && ul_ucb_judge(u, x, N, worth, NULL, &err), err);
	for (int k = 0; k < N; k++)
		before += (worth[k] - y[k]) * (worth[k] - y[k]) / N;
	NEED_OK(ul_ucb_fit(u, x, y, N, &err) && ul_ucb_judge(u, x, N, worth, NULL, &err), err);
	for (int k = 0; k < N; k++)
		after += (worth[k] - y[k]) * (worth[k] - y[k]) / N;
	CHECK_MSG(after < 0.01 * before, "mean squared error %g, then %g", before, after);
	NEED_OK(ul_ucb_fit(u, x + IN, y + 1, N - 1, &err) && ul_ucb_fit(u, x, y, N, &err) && ul_ucb_judge(u, x, N, again, NULL, &err), err);
	CHECK_ARRAY(again, worth, N, 0); /* what it learnt in between is gone */
	ul_ucb_free(u);
}

static void test_ucb__certainty_only_grows(void)
{
	enum { IN = 6,
		N = 30 };
	ul_err err = {0};
	ul_ucb_config c = ul_ucb_defaults(IN);
	double x[N * IN], first = 0, last = 0;
	random_arms(x, N * IN, 5);
	ul_ucb *u = ul_ucb_new(&c, &err);
	NEED_OK(u, err);
	size_t n = ul_ucb_size(u);
	double *old = ul_malloc(n * sizeof *old);
	for (size_t p = 0; p < n; p++)
		CHECK(ul_ucb_certainty(u)[p] == c.lambda);
	for (int k = 0; k < N; k++) {
		double bonus;
		int shrunk = 0;
		memcpy(old, ul_ucb_certainty(u), n * sizeof *old);
		NEED_OK(ul_ucb_judge(u, x, 1, NULL, &bonus, &err), err); /* the same arm each time */
		CHECK_MSG(k == 0 || bonus < last, "bonus %g after %d picks, %g before", bonus, k, last);
		first = k ? first : bonus;
		last = bonus;
		NEED_OK(ul_ucb_picked(u, x, &err), err);
		for (size_t p = 0; p < n; p++)
			shrunk += ul_ucb_certainty(u)[p] < old[p];
		CHECK_EQ_INT(shrunk, 0);
	}
	CHECK(last < 0.5 * first);
	ul_ucb_free(u);
	ul_free(old);
}

/* ---- against chance ---- */

struct world {
	const double *x;
	int asked;
};

/* A smooth function of ten dimensions that every one of them moves a little. */
static double waves(const double *x)
{
	double sum = 0;
	for (int i = 0; i < 10; i++)
		sum += sin(3 * x[i] + i);
	return 0.5 + 0.05 * sum;
}

static bool reward(void *ud, int arm, double *out, ul_err *err)
{
	struct world *w = ud;
	w->asked++;
	*out = waves(w->x + (size_t)arm * 10);
	return true;
}

static double best_of(const ul_try *t, int n)
{
	double best = 0;
	for (int i = 0; i < n; i++)
		best = t[i].reward > best ? t[i].reward : best;
	return best;
}

/* The same number of tries, by the network and by chance alone, on ten seeds: of how many does the network find the better arm? */
static void against_chance(int arms, int scored, const ul_ucb_config *c)
{
	enum { FIRST = 15,
		PICKS = 25,
		BUDGET = 2 * (FIRST + PICKS) };
	ul_err err = {0};
	int won = 0;
	double mine = 0, chance = 0, *x = ul_malloc((size_t)arms * 10 * sizeof *x);
	for (uint64_t seed = 0; seed < 10; seed++) {
		struct world w = {.x = x};
		ul_try t[BUDGET], r[BUDGET];
		int n = 0, m = 0;
		ul_sobol(arms, 10, true, seed, x);
		ul_search s = {.arms = arms, .x = x, .rounds = 2, .first = FIRST, .picks = PICKS, .scored = scored, .ucb = *c, .reward = reward, .ud = &w};
		s.ucb.seed = seed;
		NEED_OK(ul_search_run(&s, t, &n, &err), err);
		s.first = BUDGET;
		s.rounds = 1;
		s.picks = 0;
		NEED_OK(ul_search_run(&s, r, &m, &err), err);
		CHECK_EQ_INT(n, BUDGET);
		CHECK_EQ_INT(m, BUDGET);
		CHECK_EQ_INT(w.asked, 2 * BUDGET);
		won += best_of(t, n) > best_of(r, m);
		mine += best_of(t, n) / 10;
		chance += best_of(r, m) / 10;
	}
	ul_free(x);
	CHECK_MSG(won >= 8, "better than chance on %d of 10 seeds, mean best %.3f against %.3f", won, mine, chance);
	printf("better than chance on %d of 10 seeds, mean best %.3f against %.3f\n", won, mine, chance);
}

static void test_ucb__finds_more_than_chance(void)
{
	ul_ucb_config c = ul_ucb_defaults(10);
	c.width = 32;
	c.lr = 3e-3;
	c.steps = 200;
	against_chance(2000, 500, &c);
}

/* As the source reveal searches when it is told nothing else: the network, its steps and ν, and the arms looked at before a pick. */
static void test_ucb__finds_more_than_chance_by_default(void)
{
	ul_ucb_config c = ul_ucb_defaults(10);
	if (!getenv("LONG"))
		SKIP("LONG=1 searches so, for half a minute");
	against_chance(4000, 1000, &c);
}

static void test_ucb__search_ends_with_the_arms(void)
{
	ul_err err = {0};
	double x[7 * 10];
	struct world w = {.x = x};
	ul_try t[40];
	bool seen[7] = {false};
	int n = 0;
	ul_sobol(7, 10, true, 1, x);
	ul_search s = {.arms = 7, .x = x, .rounds = 4, .first = 3, .keep = 2, .picks = 2, .ucb = ul_ucb_defaults(10), .reward = reward, .ud = &w};
	s.ucb.steps = 10;
	NEED_OK(ul_search_run(&s, t, &n, &err), err);
	CHECK_EQ_INT(n, 7);
	for (int i = 0; i < n; i++) {
		CHECK(!seen[t[i].arm]);
		seen[t[i].arm] = true;
	}
	CHECK(!t[0].chosen && t[3].chosen);
}
