/* Every aggregate of two published logs of open-unlearning, recomputed from their per-sample numbers. */
#include "audits/compat/logs.h"
#include "test.h"

#include <math.h>
#include <string.h>

#define LOGS "../shared/data/oracle-openunlearning/eval_logs/tofu_Llama-3.2-1B-Instruct_"

static json_t *read_log(const char *path)
{
	ul_err err = {0};
	return ul_json_file(path, 64 << 20, &err);
}

/* Number of metrics compared; the largest relative difference in *worst. Metrics whose number is no aggregate of samples are none. */
static int compare(const json_t *log, const json_t *got, double *worst)
{
	int n = 0;
	const char *name;
	json_t *m;
	*worst = 0;
	json_object_foreach((json_t *)(uintptr_t)log, name, m)
	{
		if (!json_is_number(json_object_get(m, "agg_value"))) /* forget quality of a model that is its own reference */
			continue;
		double want = json_number_value(json_object_get(m, "agg_value")), have = json_number_value(json_object_get(got, name));
		if (!json_object_get(got, name)) {
			fprintf(stderr, "%s was not recomputed\n", name);
			*worst = INFINITY;
			continue;
		}
		if (strcmp(name, "forget_quality") == 0) {
			want = log10(want);
			have = json_number_value(json_object_get(got, "forget_quality_log10"));
		}
		double off = fabs(have - want) / fmax(fabs(want), 1e-300);
		if (off > 1e-9)
			fprintf(stderr, "%s: %.15g, not %.15g\n", name, have, want);
		*worst = fmax(*worst, off);
		n++;
	}
	return n;
}

static void test_logs__every_aggregate_of_the_full_model(void)
{
	json_t *log = read_log(LOGS "full/evals_forget10/TOFU_EVAL.numeric.json"), *retain = read_log(LOGS "retain90/TOFU_EVAL.numeric.json");
	if (!log || !retain)
		SKIP(LOGS "full is not here");
	ul_err err = {0};
	json_t *got = ul_compat_aggregates(log, retain, &err);
	double worst;
	CHECK(got);
	CHECK(compare(log, got, &worst) >= 25);
	CHECK(worst < 1e-9);
	json_decref(got);
	json_decref(log);
	json_decref(retain);
}

static void test_logs__every_aggregate_of_the_retained_model(void)
{
	json_t *log = read_log(LOGS "retain90/TOFU_EVAL.numeric.json");
	if (!log)
		SKIP(LOGS "retain90 is not here");
	ul_err err = {0};
	json_t *got = ul_compat_aggregates(log, NULL, &err);
	double worst;
	CHECK(got);
	CHECK(compare(log, got, &worst) >= 23);
	CHECK(worst < 1e-9);
	json_decref(got);
	json_decref(log);
}

static void test_logs__a_small_log_by_hand(void)
{
	static const char text[] = "{\"forget_Q_A_Prob\": {\"prob\": [0.5, 0.25]}, \"forget_Q_A_PERT_Prob\": {\"avg_loss\": [[1, 3], [2, 2]]},"
	                           "\"forget_Q_A_PARA_Prob\": {\"avg_loss\": [1, 3]}, \"mia_min_k\": {\"forget\": {\"score\": [1, 2]}, \"holdout\": {\"score\": [2, 3]}}}";
	ul_err err = {0};
	json_t *log = ul_json_parse(text, strlen(text), "log", &err), *got = ul_compat_aggregates(log, NULL, &err);
	CHECK(log && got);
	CHECK_CLOSE(json_number_value(json_object_get(got, "forget_Q_A_Prob")), 0.375, 1e-12);
	CHECK_CLOSE(json_number_value(json_object_get(got, "forget_truth_ratio")), exp(-1), 1e-8); /* ratios 1/e and e */
	CHECK_CLOSE(json_number_value(json_object_get(got, "mia_min_k")), 0.875, 1e-12); /* one tie in four pairs */
	CHECK_CLOSE(json_number_value(json_object_get(got, "privleak")), -75, 1e-8);
	json_decref(got);
	json_decref(log);
}
