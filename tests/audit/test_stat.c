/* Statistics against SciPy and scikit-learn, against published logs, by hand, and against themselves (A24: coverage, size). */
#include "audits/stat/stat.h"
#include "base/json.h"
#include "test.h"

#include <math.h>
#include <string.h>

#define GOLDEN "tests/golden/audits/metrics.json"
#define ORACLE "../shared/data/oracle-openunlearning/"

static json_t *part(const char *path, const char *key)
{
	ul_err err = {0};
	json_t *all = ul_json_file(path, 64 << 20, &err), *v = key ? json_incref(json_object_get(all, key)) : json_incref(all);
	json_decref(all);
	if (!v)
		fprintf(stderr, "%s: %s\n", path, err.msg);
	return v;
}

/* Appends the numbers of a JSON array to x. */
static int numbers(const json_t *a, double *x)
{
	size_t i;
	json_t *v;
	json_array_foreach(a, i, v)
	        x[i] = json_number_value(v);
	return (int)json_array_size(a);
}

static double worst_ks(const json_t *cases, const char *p_key, const char *d_key)
{
	size_t i;
	json_t *c;
	double a[1000], b[1000], worst = 0;
	json_array_foreach(cases, i, c)
	{
		int na = numbers(json_object_get(c, "a"), a), nb = numbers(json_object_get(c, "b"), b);
		ul_ks k;
		ul_err err = {0};
		if (!ul_ks_two_sample(a, na, b, nb, &k, &err) || !k.exact)
			return INFINITY;
		double want = log10(json_number_value(json_object_get(c, p_key)));
		worst = fmax(worst, fabs(k.log10_p - want) / fmax(1, fabs(want)));
		worst = fmax(worst, fabs(k.d - json_number_value(json_object_get(c, d_key))));
	}
	return worst;
}

static void test_stat__ks_equals_scipy(void)
{
	json_t *cases = part(GOLDEN, "ks");
	CHECK(json_array_size(cases) >= 9);
	CHECK(worst_ks(cases, "p", "d") < 1e-12);
	json_decref(cases);
}

static void test_stat__ks_cases_of_the_oracle(void)
{
	json_t *cases = part(ORACLE "ks2_cases.json", NULL);
	if (!cases)
		SKIP(ORACLE "ks2_cases.json is not here");
	CHECK_EQ_INT((int)json_array_size(cases), 12);
	CHECK(worst_ks(cases, "pvalue_reported", "D") < 1e-9);
	json_decref(cases);
}

static void test_stat__ks_of_disjoint_samples(void)
{
	double a[400], b[400];
	for (int i = 0; i < 400; i++) {
		a[i] = i;
		b[i] = 1000 + i;
	}
	ul_ks k;
	ul_err err = {0};
	CHECK(ul_ks_two_sample(a, 400, b, 400, &k, &err));
	CHECK_CLOSE(k.log10_p, log10(2) - (lgamma(801) - 2 * lgamma(401)) / log(10), 1e-12); /* 2 / C(800, 400), the floor of 1.06e-239 */
	CHECK_CLOSE(k.p, 1.06e-239, 0.005);
	CHECK(k.d == 1 && k.shift == -1000);
	CHECK(ul_ks_two_sample(a, 400, b, 399, &k, &err)); /* the general recursion meets the closed form nearby */
	CHECK(k.log10_p < -238 && k.log10_p > -240);
	CHECK(ul_ks_two_sample(a, 10, a, 10, &k, &err) && k.p == 1 && k.d == 0);
	CHECK(!ul_ks_two_sample(a, 0, b, 3, &k, &err) && err.msg[0]);
}

static int labelled(const json_t *members, const json_t *others, double sign, double *score, double *label)
{
	int n = numbers(members, score), m = numbers(others, score + n);
	for (int i = 0; i < n + m; i++) {
		score[i] *= sign;
		label[i] = i < n;
	}
	return n + m;
}

static void test_stat__auc_equals_sklearn(void)
{
	ul_arena scratch = {0};
	json_t *cases = part(GOLDEN, "auc"), *c;
	double score[1000], label[1000];
	size_t i;
	json_array_foreach(cases, i, c)
	{
		int n = labelled(json_object_get(c, "members"), json_object_get(c, "others"), 1, score, label);
		CHECK_CLOSE(ul_auc(score, label, n, &scratch), json_number_value(json_object_get(c, "auc")), 1e-12);
	}
	CHECK_EQ_INT((int)json_array_size(cases), 5);
	json_decref(cases);
	ul_arena_release(&scratch);
}

static void test_stat__auc_cases_of_the_oracle(void)
{
	json_t *cases = part(ORACLE "mia_auc_cases.json", NULL), *c;
	if (!cases)
		SKIP(ORACLE "mia_auc_cases.json is not here");
	ul_arena scratch = {0};
	double score[1000], label[1000], worst = 0;
	size_t i;
	json_array_foreach(cases, i, c)
	{ /* their scores are low for members */
		int n = labelled(json_object_get(c, "forget"), json_object_get(c, "holdout"), -1, score, label);
		worst = fmax(worst, fabs(ul_auc(score, label, n, &scratch) - json_number_value(json_object_get(c, "auc_reported"))));
	}
	CHECK_EQ_INT((int)json_array_size(cases), 55);
	CHECK(worst < 1e-9);
	json_decref(cases);
	ul_arena_release(&scratch);
}

static void test_stat__rates_equal_scipy(void)
{
	json_t *cases = part(GOLDEN, "wilson"), *c;
	size_t i;
	json_array_foreach(cases, i, c)
	{
		double v[4], lo, hi;
		numbers(c, v);
		ul_wilson((int)v[0], (int)v[1], 1.959963984540054, &lo, &hi);
		CHECK(fabs(lo - v[2]) < 1e-12 && fabs(hi - v[3]) < 1e-12);
		/* Independent items: the rate's own interval is Wilson's; dependent ones, four to a subject, are worth a quarter. */
		double p = v[0] / v[1];
		ul_rate r = {.hits = (int)v[0], .n = (int)v[1], .clusters = (int)v[1], .se = sqrt(p * (1 - p) / v[1])};
		ul_rate_interval(&r, &lo, &hi);
		if (p > 0 && p < 1)
			CHECK(fabs(lo - v[2]) < 1e-6 && fabs(hi - v[3]) < 1e-6);
		else
			CHECK_CLOSE(p > 0 ? 1 - lo : hi, 1 - pow(0.05, 1 / v[1]), 1e-12);
	}
	ul_rate four = {.hits = 400, .n = 1600, .clusters = 400, .se = 2 * sqrt(0.25 * 0.75 / 1600)};
	double own[2], quarter[2];
	ul_rate_interval(&four, &own[0], &own[1]);
	ul_wilson(100, 400, 1.959964, &quarter[0], &quarter[1]);
	CHECK_CLOSE(own[0], quarter[0], 1e-9);
	CHECK_CLOSE(own[1], quarter[1], 1e-9);
	CHECK_EQ_INT((int)json_array_size(cases), 6);
	json_decref(cases);
	CHECK_CLOSE(ul_zero_hits_bound(100, 0.05), 1 - pow(0.05, 0.01), 1e-15);
	CHECK_CLOSE(ul_zero_hits_bound(1000, 0.05), 3.0 / 1000, 0.01);
}

static void test_stat__tpr_at_fpr(void)
{
	ul_arena scratch = {0};
	double score[1100], label[1100];
	for (int i = 0; i < 1100; i++) {
		label[i] = i < 100;
		score[i] = i < 100 ? (i < 40 ? 5000 : -1) : i; /* 40 members above everybody, 60 below */
	}
	CHECK_CLOSE(ul_tpr_at_fpr(score, label, 1100, 0.01, &scratch), 0.4, 1e-12);
	CHECK(isnan(ul_tpr_at_fpr(score, label, 1100, 0.001, &scratch))); /* needs 10 000 non-members */
	CHECK(isnan(ul_tpr_at_fpr(score, label, 600, 0.01, &scratch)));
	ul_arena_release(&scratch);
	CHECK_CLOSE(ul_auc_se(0.5, 100, 100), 0.0409, 0.01); /* specs: .041 at n = 100 */
}

static void test_stat__skew_normal_tail(void)
{
	json_t *cases = part(GOLDEN, "skewnorm_logcdf"), *c;
	size_t i;
	double worst = 0;
	json_array_foreach(cases, i, c)
	{
		double v[3];
		numbers(c, v);
		double got = ul_skew_log_cdf(&(ul_skew){.at = 0, .scale = 1, .alpha = v[0]}, v[1]);
		worst = fmax(worst, fabs(got - v[2]) / fmax(1e-3, fabs(v[2])));
	}
	CHECK(json_array_size(cases) == 25);
	CHECK(worst < 1e-6);
	json_decref(cases);
}

static void test_stat__skew_normal_fit(void)
{
	enum { N = 20000 };
	static double x[N];
	ul_rng r = ul_rng_at(3, "test", 0);
	const double alpha = 3, delta = alpha / sqrt(1 + alpha * alpha);
	for (int i = 0; i < N; i++) {
		double a = fabs(ul_rng_normal(&r)), b = ul_rng_normal(&r);
		x[i] = 10 + 2 * (delta * a + sqrt(1 - delta * delta) * b);
	}
	ul_skew s = ul_skew_fit(x, N);
	CHECK_CLOSE(s.at, 10, 0.02);
	CHECK_CLOSE(s.scale, 2, 0.05);
	CHECK_CLOSE(s.alpha, 3, 0.2);
}

static void test_stat__verdict_rule(void)
{
	ul_margin m = {.under = 0.05, .over = 0.05}, one = {.under = 0.05, .over = INFINITY};
	CHECK_EQ_INT(ul_decide(&(ul_interval){.lo = -0.04, .hi = 0.04}, m), UL_PASS);
	CHECK_EQ_INT(ul_decide(&(ul_interval){.lo = -0.06, .hi = 0.04}, m), UL_INCONCLUSIVE);
	CHECK_EQ_INT(ul_decide(&(ul_interval){.lo = -0.9, .hi = 0.04}, one), UL_PASS);
	CHECK_EQ_INT(ul_decide(&(ul_interval){.lo = 0.051, .hi = 0.2}, m), UL_UNDER);
	CHECK_EQ_INT(ul_decide(&(ul_interval){.lo = -0.2, .hi = -0.051}, m), UL_OVER);
	CHECK_EQ_INT(ul_decide(&(ul_interval){.lo = -INFINITY, .hi = INFINITY}, one), UL_INCONCLUSIVE);
	/* half-width .1 around 0 at n = 100: a margin of .05 needs four times as many */
	CHECK_EQ_INT((int)ul_items_needed(&(ul_interval){.estimate = 0, .lo = -0.1, .hi = 0.1}, m, 100), 400);
	CHECK_EQ_INT((int)ul_items_needed(&(ul_interval){.estimate = 0.1, .lo = 0, .hi = 0.2}, m, 100), 400);
	CHECK_EQ_INT((int)ul_items_needed(&(ul_interval){.estimate = 0.01, .lo = 0, .hi = 0.02}, m, 100), 0);
}

static void test_stat__items_that_would_survive_holm(void)
{
	/* z 2.5758 at p = 0.01 must become 2.8070 (p = 0.005) where ten claims are made. */
	CHECK_EQ_INT(ul_claim_needed(0.01, 10, 100), 119);
	CHECK_EQ_INT(ul_claim_needed(0.01, 1, 100), 100); /* decided already */
	CHECK_EQ_INT(ul_claim_needed(1, 3, 100), 0); /* nothing points anywhere */
}

static void test_stat__holm(void)
{
	double p[] = {0.01, 0.04, 0.03, 0.005};
	ul_err err = {0};
	CHECK(ul_holm(p, 4, &err));
	CHECK_CLOSE(p[3], 0.02, 1e-12);
	CHECK_CLOSE(p[0], 0.03, 1e-12);
	CHECK_CLOSE(p[2], 0.06, 1e-12);
	CHECK_CLOSE(p[1], 0.06, 1e-12);
}

static double mean_gap(void *ud, const ul_sample *a, const ul_sample *b, ul_arena *scratch)
{
	return ul_average(a->value, a->n) - (b ? ul_average(b->value, b->n) : 0);
}

static double auc_of(void *ud, const ul_sample *a, const ul_sample *b, ul_arena *scratch)
{
	return ul_auc(a->value, a->label, a->n, scratch);
}

enum { PEOPLE = 80,
	EACH = 4,
	ITEMS = PEOPLE * EACH };

/* Items of a person share a part of their value: the intra-cluster correlation is 1/2. */
static void draw_people(ul_rng *r, double shift, double *value, int *cluster)
{
	for (int p = 0; p < PEOPLE; p++) {
		double own = ul_rng_normal(r);
		for (int k = 0; k < EACH; k++) {
			value[p * EACH + k] = shift + own + ul_rng_normal(r);
			cluster[p * EACH + k] = p;
		}
	}
}

static void test_stat__bootstrap_covers_a_clustered_mean(void)
{
	double value[ITEMS];
	int cluster[ITEMS], covered = 0, sims = 400;
	for (int s = 0; s < sims; s++) {
		ul_rng r = ul_rng_at(11, "simulation", (uint64_t)s);
		draw_people(&r, 0.7, value, cluster);
		ul_sample a = {.n = ITEMS, .value = value, .cluster = cluster};
		ul_interval ci;
		ul_err err = {0};
		CHECK(ul_bootstrap(&(ul_boot){.a = &a, .stat = mean_gap, .reps = 300, .seed = (uint64_t)s, .line = "test", .purpose = "mean"}, &ci, &err));
		covered += ci.lo <= 0.7 && 0.7 <= ci.hi;
	}
	CHECK(covered >= sims * 0.93 && covered <= sims * 0.97);
}

static void test_stat__bootstrap_covers_a_clustered_auc(void)
{
	enum { BOTH = 2 * ITEMS };
	double value[BOTH], label[BOTH];
	int cluster[BOTH], stratum[BOTH], covered = 0, sims = 200;
	double truth = erfc(-1.0 / sqrt(4) / sqrt(2)) / 2; /* P(N(1, 2) > N(0, 2)) */
	for (int s = 0; s < sims; s++) {
		ul_rng r = ul_rng_at(12, "simulation", (uint64_t)s);
		draw_people(&r, 1, value, cluster);
		draw_people(&r, 0, value + ITEMS, cluster + ITEMS);
		for (int i = 0; i < BOTH; i++) {
			label[i] = i < ITEMS;
			stratum[i] = i >= ITEMS;
		}
		ul_sample a = {.n = BOTH, .value = value, .label = label, .cluster = cluster, .stratum = stratum};
		ul_interval ci;
		ul_err err = {0};
		CHECK(ul_bootstrap(&(ul_boot){.a = &a, .stat = auc_of, .reps = 200, .seed = (uint64_t)s, .line = "test", .purpose = "auc"}, &ci, &err));
		covered += ci.lo <= truth && truth <= ci.hi;
	}
	CHECK(covered >= sims * 0.92 && covered <= sims * 0.98); /* 200 simulations: ± 3 % */
}

static void test_stat__equivalence_errs_in_one_of_twenty(void)
{
	double a[ITEMS], b[ITEMS];
	int cluster[ITEMS], passed = 0, sims = 400;
	for (int s = 0; s < sims; s++) { /* the true difference lies on the margin: PASS would be the error */
		ul_rng r = ul_rng_at(13, "simulation", (uint64_t)s);
		draw_people(&r, 0.5, a, cluster);
		draw_people(&r, 0, b, cluster);
		ul_sample sa = {.n = ITEMS, .value = a, .cluster = cluster}, sb = {.n = ITEMS, .value = b, .cluster = cluster};
		ul_interval ci;
		ul_err err = {0};
		CHECK(ul_bootstrap(&(ul_boot){.a = &sa, .b = &sb, .paired = true, .stat = mean_gap, .reps = 300, .seed = (uint64_t)s, .line = "test", .purpose = "tost"}, &ci, &err));
		passed += ul_decide(&ci, (ul_margin){0.5, 0.5}) == UL_PASS;
	}
	CHECK(passed <= sims * 0.05);
}

static void test_stat__ks_p_is_uniform_without_a_difference(void)
{
	enum { SIMS = 1000,
		BINS = 10,
		NA = 97,
		NB = 89 };
	int bin[BINS] = {0};
	double a[NA], b[NB];
	for (int s = 0; s < SIMS; s++) {
		ul_rng r = ul_rng_at(14, "simulation", (uint64_t)s);
		for (int i = 0; i < NA; i++)
			a[i] = ul_rng_normal(&r);
		for (int i = 0; i < NB; i++)
			b[i] = ul_rng_normal(&r);
		ul_ks k;
		ul_err err = {0};
		CHECK(ul_ks_two_sample(a, NA, b, NB, &k, &err));
		int at = (int)(k.p * BINS);
		bin[at < BINS ? at : BINS - 1]++;
	}
	double chi2 = 0;
	for (int i = 0; i < BINS; i++)
		chi2 += pow(bin[i] - SIMS / BINS, 2) / (SIMS / BINS);
	CHECK(chi2 < 21.67); /* 1 % of χ² with 9 degrees of freedom */
}

static void test_stat__streams_do_not_move_each_other(void)
{
	double value[ITEMS];
	int cluster[ITEMS];
	ul_rng r = ul_rng_at(15, "simulation", 0);
	draw_people(&r, 0, value, cluster);
	ul_sample a = {.n = ITEMS, .value = value, .cluster = cluster};
	ul_interval one, two, other;
	ul_err err = {0};
	ul_boot b = {.a = &a, .stat = mean_gap, .reps = 100, .seed = 1, .line = "err", .purpose = "difference"};
	CHECK(ul_bootstrap(&b, &one, &err));
	CHECK(ul_bootstrap(&b, &two, &err));
	b.line = "frs";
	CHECK(ul_bootstrap(&b, &other, &err));
	CHECK(one.lo == two.lo && one.hi == two.hi && one.lo != other.lo);
	CHECK_EQ_INT(one.clusters, PEOPLE);
}

static void test_stat__one_subject_proves_nothing(void)
{
	double value[] = {1, 2, 3};
	int cluster[] = {5, 5, 5};
	ul_sample a = {.n = 3, .value = value, .cluster = cluster};
	ul_interval ci;
	ul_err err = {0};
	CHECK(ul_bootstrap(&(ul_boot){.a = &a, .stat = mean_gap, .reps = 50, .line = "test", .purpose = "one"}, &ci, &err));
	CHECK(ci.estimate == 2 && isinf(ci.lo) && isinf(ci.hi));
}

static void test_stat__permutation_p(void)
{
	double a[ITEMS], b[ITEMS];
	int cluster[ITEMS];
	ul_rng r = ul_rng_at(16, "simulation", 0);
	draw_people(&r, 1, a, cluster);
	draw_people(&r, 0, b, cluster);
	ul_sample sa = {.n = ITEMS, .value = a, .cluster = cluster}, sb = {.n = ITEMS, .value = b, .cluster = cluster};
	ul_boot boot = {.a = &sa, .b = &sb, .paired = true, .stat = mean_gap, .seed = 1, .line = "test", .purpose = "swap"};
	double p;
	ul_err err = {0};
	CHECK(ul_permutation_p(&boot, 199, &p, &err));
	CHECK_CLOSE(p, 1.0 / 200, 1e-12);
	boot.b = &sa;
	CHECK(ul_permutation_p(&boot, 199, &p, &err));
	CHECK(p == 1);
}
