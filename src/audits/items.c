/*
 * items.c: from what models answered to one value per item; the shapes that several audits share. Definitions: open-unlearning and
 * the papers each audit names; `compat` follows open-unlearning to the last epsilon.
 */
#include "audits/audit.h"
#include "audits/match/match.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool ul_not_here(const ul_ask *q, const char *why)
{
	*q->why = why;
	return false;
}

/* Grows by doubling inside the exam's arena: what is left behind there is small and dies with the exam. */
static bool grow(ul_exam *e, ul_items *it, ul_err *err)
{
	int cap = it->cap ? 2 * it->cap : 64;
	ul_arena *a = ul_exam_arena(e);
	ul_items new = *it;
	new.cap = cap;
	new.value = ul_alloc_raw(a, (size_t)cap * sizeof *new.value);
	new.label = ul_alloc_raw(a, (size_t)cap * sizeof *new.label);
	new.split = ul_alloc_raw(a, (size_t)cap * sizeof *new.split);
	new.row = ul_alloc_raw(a, (size_t)cap * sizeof *new.row);
	new.cluster = ul_alloc_raw(a, (size_t)cap * sizeof *new.cluster);
	if (!new.value || !new.label || !new.split || !new.row || !new.cluster)
		return ul_nomem(err, (size_t)cap * 28);
	if (it->n > 0) {
		memcpy(new.value, it->value, (size_t)it->n * sizeof *it->value);
		memcpy(new.label, it->label, (size_t)it->n * sizeof *it->label);
		memcpy(new.split, it->split, (size_t)it->n * sizeof *it->split);
		memcpy(new.row, it->row, (size_t)it->n * sizeof *it->row);
		memcpy(new.cluster, it->cluster, (size_t)it->n * sizeof *it->cluster);
	}
	*it = new;
	return true;
}

bool ul_items_add(ul_exam *e, ul_items *it, enum ul_split s, int row, double value, double label, ul_err *err)
{
	if (it->n == it->cap && !grow(e, it, err))
		return false;
	it->value[it->n] = value;
	it->label[it->n] = label;
	it->split[it->n] = (int)s;
	it->row[it->n] = row;
	it->cluster[it->n++] = ul_exam_cluster(e, s, row);
	return true;
}

static bool add_rows(const ul_ask *q, unsigned want, ul_row_fn f, double label, ul_items *out)
{
	const ul_scores *s = ul_exam_scores(q->e, q->who, q->split, want, q->err);
	if (!s)
		return q->err->msg[0] ? false : ul_not_here(q, "the data it needs were not given");
	for (int i = 0; i < s->n; i++) {
		double v = s->row[i].n > 0 ? f(q, i, &s->row[i]) : NAN;
		if (q->err->msg[0])
			return false;
		if (!isnan(v) && !ul_items_add(q->e, out, q->split, i, v, label, q->err))
			return false;
	}
	return true;
}

bool ul_items_by_row(const ul_ask *q, unsigned want, ul_row_fn f, ul_items *out)
{
	if (!ul_exam_data(q->e, q->split)) {
		static const char *const missing[] = {"no forget data were given", "no retain data were given", "no holdout data were given", "no neighbour data were given", "no general text was given"};
		return ul_not_here(q, missing[q->split]);
	}
	if (!add_rows(q, want, f, 0, out))
		return false;
	return out->n > 0 || ul_not_here(q, "no row has what it measures");
}

bool ul_items_members(const ul_ask *q, unsigned want, ul_row_fn f, ul_items *out)
{
	ul_ask in = *q, not = *q;
	in.split = UL_S_FORGET;
	not .split = UL_S_HOLDOUT;
	if (!ul_exam_data(q->e, UL_S_HOLDOUT))
		return ul_not_here(q, "no holdout data were given: membership needs rows of the same kind that were never trained on");
	out->labelled = true;
	return add_rows(&in, want, f, 1, out) && add_rows(&not, want, f, 0, out) && (out->n > 0 || ul_not_here(q, "no row has what it measures"));
}

/* ---- likelihood ---- */

static double mean_nll(const ul_ask *q, int row, const ul_row_score *s)
{
	return s->nll / s->n;
}

static double prob(const ul_ask *q, int row, const ul_row_score *s)
{
	return exp(-s->nll / s->n);
}

bool ul_items_nll(const ul_ask *q, ul_items *out)
{
	return ul_items_by_row(q, 0, mean_nll, out);
}

bool ul_items_prob(const ul_ask *q, ul_items *out)
{
	return ul_items_by_row(q, 0, prob, out);
}

/* Which tokens of a row: those of personal data, or the labelled rest. */
static double over_tokens(const ul_row_score *s, bool entity, bool accuracy)
{
	double sum = 0;
	int n = 0, hits = 0;
	for (int t = 0; t < s->n; t++) {
		if ((s->spot[t] != 0) != entity)
			continue;
		sum -= s->logp[t];
		hits += accuracy && s->argmax[t] == s->target[t];
		n++;
	}
	if (n == 0)
		return NAN;
	return accuracy ? hits == n : sum / n;
}

static double entity_nll(const ul_ask *q, int row, const ul_row_score *s)
{
	return over_tokens(s, true, false);
}

static double context_nll(const ul_ask *q, int row, const ul_row_score *s)
{
	return over_tokens(s, false, false);
}

double ul_entity_right(const ul_ask *q, int row, const ul_row_score *s)
{
	return over_tokens(s, true, true);
}

bool ul_items_entity(const ul_ask *q, bool entity, bool accuracy, ul_items *out)
{
	const ul_dataset *d = ul_exam_data(q->e, q->split);
	int spots = 0;
	for (int i = 0; d && i < d->n; i++)
		spots += d->row[i].spot_n;
	if (d && spots == 0)
		return ul_not_here(q, "the rows do not say where personal data stand (spans)");
	return ul_items_by_row(q, accuracy ? UL_WANT_ARGMAX : 0, accuracy ? ul_entity_right : entity ? entity_nll
	                                                                                             : context_nll,
	        out);
}

/* ---- what is said ---- */

bool ul_items_said(const ul_ask *q, ul_said_fn f, ul_items *out)
{
	const ul_dataset *d = ul_exam_data(q->e, q->split);
	if (!d)
		return ul_items_by_row(q, 0, mean_nll, out); /* says what is missing */
	if (!ul_exam_settings(q->e)->model[UL_AFTER]->tok)
		return ul_not_here(q, "the model has no tokenizer to speak with");
	const ul_gen *said = ul_exam_greedy(q->e, q->who, q->split, q->err);
	for (int i = 0; said && i < d->n; i++) {
		double v = said[i].text ? f(q, said[i].text) : NAN;
		if (q->err->msg[0] || (!isnan(v) && !ul_items_add(q->e, out, q->split, i, v, 0, q->err)))
			return false;
	}
	return said && (out->n > 0 || ul_not_here(q, "nothing was said"));
}

bool ul_items_rouge(const ul_ask *q, bool stem, bool recall, ul_items *out)
{
	const ul_dataset *d = ul_exam_data(q->e, q->split);
	if (!d)
		return ul_items_by_row(q, 0, mean_nll, out); /* says what is missing */
	if (!ul_exam_settings(q->e)->model[UL_AFTER]->tok)
		return ul_not_here(q, "the model has no tokenizer to speak with");
	const ul_gen *said = ul_exam_greedy(q->e, q->who, q->split, q->err);
	for (int i = 0; said && i < d->n; i++) {
		ul_cut c;
		ul_rouge r;
		if (!said[i].text)
			continue;
		if (!ul_exam_cut(q->e, q->split, i, &c, q->err) || !ul_rouge_score(c.expected, said[i].text, stem, &r, q->err))
			return false;
		if (!ul_items_add(q->e, out, q->split, i, recall ? r.recall_l : r.f1_l, 0, q->err))
			return false;
	}
	return said && (out->n > 0 || ul_not_here(q, "no row leaves anything to say"));
}

/* ---- truth ratio ---- */

static double mean_prob(const ul_row_score *s, int n, bool arithmetic)
{
	double sum = 0;
	for (int k = 0; k < n; k++) {
		double l = s[k].n > 0 ? -s[k].nll / s[k].n : 0;
		sum += arithmetic ? exp(l) : l;
	}
	return arithmetic ? sum / n : exp(sum / n);
}

/* x = P(wrong) / P(correct), each length-normalised; the mean over wrong answers is geometric, as in the code that published
 * numbers come from, or arithmetic, as in the paper. The paraphrase is the correct answer where there is one. */
double ul_truth_ratio(const ul_answers *correct, const ul_row_score *own, const ul_answers *wrong, int row, bool arithmetic)
{
	if (!wrong || wrong->n[row] == 0)
		return NAN;
	bool para = correct && correct->n[row] > 0;
	double right = para ? mean_prob(correct->row[row], correct->n[row], arithmetic) : mean_prob(own, 1, arithmetic);
	return mean_prob(wrong->row[row], wrong->n[row], arithmetic) / (right + 1e-10);
}

bool ul_items_truth_ratio(const ul_ask *q, ul_items *out)
{
	const ul_dataset *d = ul_exam_data(q->e, q->split);
	if (!d)
		return ul_items_by_row(q, 0, mean_nll, out);
	const ul_answers *wrong = ul_exam_answers(q->e, q->who, q->split, UL_PERTURBED, q->err);
	if (!wrong)
		return q->err->msg[0] ? false : ul_not_here(q, "the rows list no wrong answers (\"perturbed\")");
	const ul_answers *correct = ul_exam_answers(q->e, q->who, q->split, UL_PARAPHRASE, q->err);
	const ul_scores *own = ul_exam_scores(q->e, q->who, q->split, 0, q->err);
	if (!own || q->err->msg[0])
		return false;
	bool arithmetic = ul_exam_settings(q->e)->arithmetic;
	for (int i = 0; i < d->n; i++) {
		double x = ul_truth_ratio(correct, &own->row[i], wrong, i, arithmetic);
		if (!isnan(x) && !ul_items_add(q->e, out, q->split, i, x, 0, q->err))
			return false;
	}
	return out->n > 0 || ul_not_here(q, "the rows list no wrong answers (\"perturbed\")");
}

unsigned char *ul_hits(const ul_ask *q, int row, const ul_row_score *s, int *n)
{
	*n = ul_counted(q->e, q->split, row, s);
	unsigned char *hit = ul_malloc((size_t)*n + 1);
	if (!hit)
		ul_nomem(q->err, (size_t)*n + 1);
	for (int t = 0; hit && t < *n; t++)
		hit[t] = s->argmax[t] == s->target[t];
	return hit;
}

static double fluency(const ul_ask *q, const char *text, bool repetition)
{
	double distinct, repeated;
	bool failed;
	ul_fluency(text, &distinct, &repeated, &failed);
	if (failed)
		ul_nomem(q->err, 0);
	return failed ? NAN : repetition ? repeated
	                                 : distinct;
}

static double variety(const ul_ask *q, const char *text)
{
	return fluency(q, text, false);
}

static double repetition_of(const ul_ask *q, const char *text)
{
	return fluency(q, text, true);
}

bool ul_items_fluency(const ul_ask *q, bool repetition, ul_items *out)
{
	return ul_items_said(q, repetition ? repetition_of : variety, out);
}
