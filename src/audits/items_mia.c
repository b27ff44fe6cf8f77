/*
 * items_mia.c: scores of membership attacks, high where a row looks as if it had been trained on, and what all of these audits
 * report: the area under the curve, and how many members are found while few others are suspected (Carlini et al. 2022).
 */
#include "audits/audit.h"
#include "audits/match/match.h"

#include <math.h>
#include <string.h>

/* Shi et al. 2024: the mean over the K least likely tokens, minus; normalised (Zhang et al. 2024, Min-K%++): each log-probability
 * by mean and deviation of the distribution it was drawn from. */
double ul_min_k(const ul_ask *q, int row, const ul_row_score *s, bool normalised)
{
	int n = ul_counted(q->e, q->split, row, s), k = (int)(ul_exam_settings(q->e)->min_k * n);
	double *x = ul_malloc((size_t)(n + 1) * sizeof *x), sum = 0;
	if (!x)
		ul_nomem(q->err, (size_t)(n + 1) * sizeof *x);
	if (!x || n == 0) {
		ul_free(x);
		return ul_exam_settings(q->e)->compat ? 0 : NAN;
	}
	for (int t = 0; t < n; t++)
		x[t] = normalised ? (s->logp[t] - s->mean[t]) / sqrt(fmax(s->var[t], 1e-6)) : s->logp[t];
	ul_sort(x, n);
	k = k > 0 ? k : 1;
	for (int t = 0; t < k; t++)
		sum += x[t];
	ul_free(x);
	return -sum / k;
}

double ul_mia_loss(const ul_ask *q, int row, const ul_row_score *s)
{
	return -s->nll / s->n;
}

double ul_mia_zlib(const ul_ask *q, int row, const ul_row_score *s)
{
	const char *text = ul_row_content(&ul_exam_data(q->e, q->split)->row[row]);
	int bytes = text ? ul_zlib_length(text, strlen(text)) : -1;
	return bytes > 0 ? -s->nll / s->n / bytes : NAN;
}

double ul_mia_min_k(const ul_ask *q, int row, const ul_row_score *s)
{
	return -ul_min_k(q, row, s, false);
}

double ul_mia_min_k_plus_plus(const ul_ask *q, int row, const ul_row_score *s)
{
	return -ul_min_k(q, row, s, true);
}

/* ---- curves: label = member + 2 · half, where an attack was chosen on the other half ---- */

/* The items of one half with labels 0 and 1; false when there are none, or no memory. */
static bool half_of(const ul_sample *s, int half, ul_arena *a, ul_sample *out)
{
	double *v = ul_alloc_raw(a, (size_t)(s->n + 1) * sizeof *v), *l = ul_alloc_raw(a, (size_t)(s->n + 1) * sizeof *l);
	int n = 0;
	for (int i = 0; v && l && i < s->n; i++) {
		if ((int)s->label[i] / 2 != half)
			continue;
		v[n] = s->value[i];
		l[n++] = (int)s->label[i] % 2;
	}
	*out = (ul_sample){.n = n, .value = v, .label = l};
	return n > 0;
}

/* Scores of different attacks are not comparable: each half has its own curve, and the mean of both counts. */
double ul_sample_auc(const ul_sample *s, ul_arena *scratch)
{
	double sum = 0;
	int n = 0;
	for (int h = 0; h < 2; h++) {
		ul_sample part;
		if (!half_of(s, h, scratch, &part))
			continue;
		sum += ul_auc(part.value, part.label, part.n, scratch);
		n++;
	}
	return n > 0 ? sum / n : NAN;
}

/* Share of the members found at a false positive rate, with Wilson's interval; null where never-seen rows are too few to fix it. */
static json_t *found_at(const ul_items *it, double fpr, ul_arena *a)
{
	ul_sample all = {.n = it->n, .value = it->value, .label = it->label};
	double hits = 0, members = 0, lo, hi;
	for (int h = 0; h < 2; h++) {
		ul_sample part;
		if (!half_of(&all, h, a, &part))
			continue;
		double share = ul_tpr_at_fpr(part.value, part.label, part.n, fpr, a), in = ul_average(part.label, part.n) * part.n;
		hits += share * in;
		members += in;
	}
	if (!(members > 0) || isnan(hits))
		return json_null();
	ul_wilson((int)lround(hits), (int)lround(members), 1.959964, &lo, &hi);
	return json_pack("{s:o, s:[o, o]}", "tpr", ul_json_number(hits / members), "ci", ul_json_number(lo), ul_json_number(hi));
}

static int never_seen(const ul_items *it)
{
	int n = 0;
	for (int i = 0; i < it->n; i++)
		n += (int)it->label[i] % 2 == 0;
	return n;
}

bool ul_more_roc(ul_exam *e, const ul_line *l, json_t *o, ul_err *err)
{
	static const double rate[] = {0.1, 0.01, 0.001};
	const ul_items *own = &l->items[UL_AFTER];
	ul_arena a = {0};
	json_t *list = json_array();
	int others = never_seen(own);
	for (size_t k = 0; k < sizeof rate / sizeof *rate; k++) {
		json_t *at = json_pack("{s:f, s:o}", "fpr", rate[k], "after", found_at(own, rate[k], &a));
		if (l->items[UL_ORACLE].n > 0)
			json_object_set_new(at, "oracle", found_at(&l->items[UL_ORACLE], rate[k], &a));
		if (others < 10 / rate[k])
			json_object_set_new(at, "why", json_sprintf("%d never-seen rows; a false positive rate of %g needs %.0f", others, rate[k], 10 / rate[k]));
		json_array_append_new(list, at);
	}
	json_object_set_new(o, "tpr_at_fpr", list);
	json_object_set_new(o, "auc_se", ul_json_number(ul_auc_se(l->value, own->n - others, others)));
	bool ok = !a.failed || ul_nomem(err, (size_t)own->n * sizeof(double));
	ul_arena_release(&a);
	return ok;
}
