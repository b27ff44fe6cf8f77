/*
 * logs.c: open-unlearning's aggregates, from its logs, step by step as that framework takes them: probabilities, geometric truth
 * ratios, normalised probabilities of the public sets, model utility, forget quality, membership AUCs (their scores are low for
 * members) and privleak. Its epsilon is 1e-10 in every denominator.
 */
#include "audits/compat/logs.h"
#include "audits/stat/stat.h"

#include <math.h>
#include <string.h>

static const double tiny = 1e-10;

typedef struct column {
	double *x; /* [n]: one number per sample, lists already averaged */
	int n;
} column;

static const json_t *cells(const json_t *log, const char *metric, const char *key)
{
	return json_object_get(json_object_get(log, metric), key);
}

static bool read_cells(const json_t *list, ul_arena *a, column *out)
{
	size_t i;
	json_t *v;
	out->n = (int)json_array_size(list);
	out->x = ul_alloc(a, (size_t)(out->n + 1) * sizeof *out->x);
	if (!out->x || out->n == 0)
		return false;
	json_array_foreach(list, i, v)
	{
		size_t k, many = json_array_size(v);
		json_t *one;
		if (!json_is_array(v))
			out->x[i] = json_number_value(v);
		else
			json_array_foreach(v, k, one)
			        out->x[i] += json_number_value(one) / (double)many;
	}
	return true;
}

static bool read_column(const json_t *log, const char *metric, const char *key, ul_arena *a, column *out)
{
	return read_cells(cells(log, metric, key), a, out);
}

static void put(json_t *out, const char *metric, double value)
{
	json_object_set_new(out, metric, ul_json_number(value));
}

static const char *join(ul_arena *a, const char *set, const char *metric)
{
	return ul_arena_printf(a, "%s_%s", set, metric);
}

/* x = P(wrong) / P(correct): the mean of losses inside exp makes the mean of probabilities a geometric one. */
static bool truth_ratios(const json_t *log, const char *set, ul_arena *a, column *out)
{
	column wrong, right;
	bool public = strcmp(set, "ra") == 0 || strcmp(set, "wf") == 0; /* those have no paraphrases */
	if (!read_column(log, join(a, set, "Q_A_PERT_Prob"), "avg_loss", a, &wrong) || !read_column(log, join(a, set, public ? "Q_A_Prob" : "Q_A_PARA_Prob"), "avg_loss", a, &right) || wrong.n != right.n)
		return false;
	*out = wrong;
	for (int i = 0; i < wrong.n; i++)
		out->x[i] = exp(-wrong.x[i]) / (exp(-right.x[i]) + tiny);
	return true;
}

static void add_truth_ratio(const json_t *log, const char *set, ul_arena *a, json_t *out)
{
	column x;
	bool forget = strcmp(set, "forget") == 0;
	if (!truth_ratios(log, set, a, &x))
		return;
	for (int i = 0; i < x.n; i++)
		x.x[i] = forget ? fmin(x.x[i], 1 / (x.x[i] + tiny)) : fmax(0, 1 - x.x[i]);
	put(out, forget ? "forget_truth_ratio" : join(a, set, "Truth_Ratio"), ul_average(x.x, x.n));
}

/* P(right) / (P(right) + Σ P(wrong)) */
static void add_normalised(const json_t *log, const char *set, ul_arena *a, json_t *out)
{
	column right;
	const json_t *wrong = cells(log, join(a, set, "Q_A_PERT_Prob"), "prob");
	if (!read_column(log, join(a, set, "Q_A_Prob"), "prob", a, &right) || (int)json_array_size(wrong) != right.n)
		return;
	for (int i = 0; i < right.n; i++) {
		double sum = 0;
		size_t k;
		json_t *w;
		json_array_foreach(json_array_get(wrong, (size_t)i), k, w)
		        sum += json_number_value(w);
		right.x[i] /= right.x[i] + sum + tiny;
	}
	put(out, join(a, set, "Q_A_Prob_normalised"), ul_average(right.x, right.n));
}

static void add_means(const json_t *log, const char *set, ul_arena *a, json_t *out)
{
	static const char *const metric[][2] = {{"Q_A_Prob", "prob"}, {"Q_A_PARA_Prob", "prob"}, {"Q_A_PERT_Prob", "prob"}, {"Q_A_ROUGE", "rougeL_recall"}};
	column c;
	for (int k = 0; k < 4; k++) {
		if (read_column(log, join(a, set, metric[k][0]), metric[k][1], a, &c))
			put(out, join(a, set, metric[k][0]), ul_average(c.x, c.n));
	}
	add_truth_ratio(log, set, a, out);
	if (strcmp(set, "ra") == 0 || strcmp(set, "wf") == 0)
		add_normalised(log, set, a, out);
}

/* Members are the forget rows; AUC 1 means that all of them score below the holdout. */
static double auc_of(const json_t *log, const char *attack, ul_arena *a)
{
	const json_t *m = json_object_get(log, attack);
	column in, others;
	if (!read_cells(json_object_get(json_object_get(m, "forget"), "score"), a, &in) || !read_cells(json_object_get(json_object_get(m, "holdout"), "score"), a, &others))
		return NAN;
	int n = in.n + others.n;
	double *score = ul_alloc(a, (size_t)n * sizeof *score), *label = ul_alloc(a, (size_t)n * sizeof *label);
	for (int i = 0; score && label && i < n; i++) {
		score[i] = -(i < in.n ? in.x[i] : others.x[i - in.n]);
		label[i] = i < in.n;
	}
	return score && label ? ul_auc(score, label, n, a) : NAN;
}

static void add_membership(const json_t *log, const json_t *retain, ul_arena *a, json_t *out)
{
	static const char *const attack[] = {"mia_loss", "mia_zlib", "mia_min_k", "mia_min_k_plus_plus", "mia_gradnorm", "mia_reference"};
	for (int k = 0; k < 6; k++) {
		double v = auc_of(log, attack[k], a);
		if (!isnan(v))
			put(out, attack[k], v);
	}
	double own = auc_of(log, "mia_min_k", a), ref = retain ? auc_of(retain, "mia_min_k", a) : 0.5;
	if (!isnan(own) && !isnan(ref))
		put(out, "privleak", ((1 - own) - (1 - ref)) / ((1 - ref) + tiny) * 100);
}

static void add_utility(json_t *out)
{
	static const char *const part[] = {"retain_Q_A_Prob", "retain_Q_A_ROUGE", "retain_Truth_Ratio", "ra_Q_A_Prob_normalised", "ra_Q_A_ROUGE", "ra_Truth_Ratio", "wf_Q_A_Prob_normalised", "wf_Q_A_ROUGE", "wf_Truth_Ratio"};
	double inverse = 0;
	for (int k = 0; k < 9; k++) {
		const json_t *v = json_object_get(out, part[k]);
		if (!v)
			return;
		inverse += 1 / json_number_value(v);
	}
	put(out, "model_utility", 9 / inverse);
}

json_t *ul_compat_aggregates(const json_t *log, const json_t *retain, ul_err *err)
{
	static const char *const set[] = {"forget", "retain", "ra", "wf"};
	ul_arena a = {0};
	json_t *out = json_object();
	column own, ref, c;
	bool ok = out != NULL;
	for (int k = 0; ok && k < 4; k++)
		add_means(log, set[k], &a, out);
	if (ok && read_column(log, "exact_memorization", "score", &a, &c))
		put(out, "exact_memorization", ul_average(c.x, c.n));
	if (ok && read_column(log, "extraction_strength", "score", &a, &c))
		put(out, "extraction_strength", ul_average(c.x, c.n));
	if (ok)
		add_membership(log, retain, &a, out);
	if (ok)
		add_utility(out);
	if (ok && retain && truth_ratios(log, "forget", &a, &own) && truth_ratios(retain, "forget", &a, &ref)) {
		ul_ks k;
		ok = ul_ks_two_sample(own.x, own.n, ref.x, ref.n, &k, err);
		put(out, "forget_quality", ok ? k.p : NAN);
		put(out, "forget_quality_log10", ok ? k.log10_p : NAN);
	}
	if (!ok || a.failed) {
		json_decref(out);
		out = NULL;
		ul_fail(err, "out of memory while reading a log");
	}
	ul_arena_release(&a);
	return out;
}
