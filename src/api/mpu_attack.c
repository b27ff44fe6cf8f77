/*
 * mpu_attack.c: what the parties of MPU can learn that they should not, tried on real folders, and scored against the secret that only
 * whoever runs this has.
 *
 *   1 mean       1/α-weighted mean of the copies as they are published
 *   2 copies     each copy aligned to the first, then the mean
 *   3 base       each copy aligned to a public base, then the mean
 *   4 updates    server: which rows were forgotten, and which tokens they hold, from a client's update; and whole rows by gradient inversion
 *   5 poison     client: how far one dishonest copy can move the weights
 */
#include "api/mpu_attack_api.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct stand {
	const ul_mpu_attack_job *a;
	ul_mpu_server *s; /* the judge's: θ, keys */
	json_t *round; /* manifest */
	ul_model *copy[UL_MPU_MAX_COPIES];
	int copies;
	ul_model *guess; /* of an attacker */
	json_t *found;
	ul_err *err;
} stand;

static bool mean_nll(const stand *t, ul_model *m, double *nll)
{
	ul_dataset d = {0};
	ul_data_config c = {0};
	ul_scores s = {0};
	double sum = 0;
	bool ok = ul_dataset_read(&d, t->a->data, &c, t->err) && ul_dataset_tokenize(&d, m, &c, t->err) && ul_score(m, &d, 0, &s, NULL, t->err);
	for (int i = 0; ok && i < s.n; i++)
		sum += s.row[i].nll;
	*nll = ok && s.tokens ? sum / (double)s.tokens : NAN;
	ul_scores_release(&s);
	ul_dataset_release(&d);
	return ok;
}

/* One line of the result: the guess, in whose coordinates it stands. */
static bool note(stand *t, const char *name, const ul_mpu_plan *turned)
{
	ul_mpu_found f;
	double nll = NAN;
	if (!ul_mpu_judge(&t->s->mpu, t->guess, turned, &f, t->err) || (t->a->data && !mean_nll(t, t->guess, &nll)))
		return false;
	json_t *o = json_pack("{s:o, s:o, s:o}", "noise_left", ul_json_number(f.residual), "cosine", ul_json_number(f.cosine), "exact", ul_json_number(f.exact));
	if (o && t->a->data)
		json_object_set_new(o, "nll", ul_json_number(nll));
	return json_object_set_new(t->found, name, o) == 0 || ul_nomem(t->err, 256);
}

static enum ul_reparam mode_of(const stand *t)
{
	return t->s->mpu.how.reparam; /* shows in the copies: whether embeddings differ, whether attention does */
}

static bool true_plan(stand *t, int k, ul_mpu_plan *p)
{
	const ul_mpu *m = &t->s->mpu;
	return ul_mpu_plan_make(p, m->theta, m->how.reparam, m->how.exact, &m->key, m->round, k, t->err);
}

/* A single copy, its transform undone by the judge: what everything else is compared with. */
static bool single(stand *t)
{
	ul_mpu_plan p;
	if (!true_plan(t, 0, &p))
		return false;
	bool ok = ul_mpu_mean(t->copy, NULL, 1, t->guess, t->err) && note(t, "one copy", &p);
	ul_mpu_plan_release(&p);
	return ok;
}

static bool aligned(stand *t, const char *name, const ul_model *to, int first)
{
	ul_mpu_plan plan[UL_MPU_MAX_COPIES] = {0}, turned = {0};
	const ul_mpu_plan *use[UL_MPU_MAX_COPIES] = {0};
	bool ok = true;
	for (int k = first; ok && k < t->copies; k++) {
		ok = ul_mpu_align(&plan[k], to, t->copy[k], mode_of(t), t->s->mpu.how.exact, t->err);
		use[k] = &plan[k];
	}
	if (ok && first) /* the estimate stands in the first copy's coordinates, which the judge undoes */
		ok = true_plan(t, 0, &turned);
	ok = ok && ul_mpu_mean(t->copy, use, t->copies, t->guess, t->err) && note(t, name, first ? &turned : NULL);
	for (int k = 0; k < t->copies; k++)
		ul_mpu_plan_release(&plan[k]);
	ul_mpu_plan_release(&turned);
	return ok;
}

/* ---- what the server learns from an update ---- */

/* The copy with the update on it: θ'_k, which the server can always make. */
static ul_model *after(stand *t, int k, bool lora)
{
	char from[4200], with[4200];
	snprintf(from, sizeof from, "%.4000s/copy-%d", t->a->published, k);
	snprintf(with, sizeof with, "%.4000s/copy-%d", t->a->update, k);
	ul_model *m = ul_model_open(from, lora ? with : NULL, t->err), *d = NULL;
	bool ok = m != NULL;
	if (ok && !lora) {
		size_t most = ul_mpu_largest(m);
		float *x = ul_malloc(2 * most * sizeof *x);
		ok = (x || ul_nomem(t->err, 2 * most * sizeof *x)) && (d = ul_model_open_with(with, &(ul_open){.no_tokenizer = true}, t->err));
		for (int i = 0; ok && i < m->params; i++) {
			ul_param_get_f32(m->param[i], x);
			ul_param_get_f32(d->param[i], x + most);
			for (size_t e = 0, n = (size_t)m->param[i]->rows * (size_t)m->param[i]->cols; e < n; e++)
				x[e] += x[most + e];
			ok = ul_param_own(m->param[i], t->err);
			if (ok)
				ul_param_set_f32(m->param[i], x);
		}
		ul_free(x);
	}
	ul_model_free(d);
	if (ok)
		return m;
	ul_model_free(m);
	return NULL;
}

static double area(const double *members, int n, const double *others, int m)
{
	double s = 0;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < m; j++)
			s += members[i] > others[j] ? 1 : members[i] == others[j] ? 0.5
			                                                          : 0;
	return n && m ? s / ((double)n * m) : NAN;
}

/* How much more surprising each row became: [rows], per label. */
static double *rise(stand *t, ul_model *m, const char *path, int *n)
{
	ul_dataset d = {0};
	ul_data_config c = {0};
	ul_scores was = {0}, is = {0};
	bool ok = ul_dataset_read(&d, path, &c, t->err) && ul_dataset_tokenize(&d, m, &c, t->err);
	ok = ok && ul_score(t->copy[0], &d, 0, &was, NULL, t->err) && ul_score(m, &d, 0, &is, NULL, t->err);
	double *x = ok ? ul_calloc((size_t)d.n + 1, sizeof *x) : NULL;
	*n = x ? d.n : 0;
	for (int i = 0; i < *n; i++)
		x[i] = is.row[i].n ? (is.row[i].nll - was.row[i].nll) / is.row[i].n : 0;
	ul_scores_release(&was);
	ul_scores_release(&is);
	ul_dataset_release(&d);
	if (ok && !x)
		ul_nomem(t->err, 64);
	return x;
}

/* Tokens of the client's rows stand out among the rows of the embedding by how far they moved. */
static bool tokens(stand *t, const ul_model *m, double *auc)
{
	const ul_param *e = m->embed, *was = t->copy[0]->embed;
	const char *path[] = {t->a->forget, t->a->retain};
	size_t n = (size_t)e->rows * (size_t)e->cols;
	float *x = ul_malloc(2 * n * sizeof *x);
	double *in = ul_calloc((size_t)e->rows + 1, sizeof *in), *out = ul_calloc((size_t)e->rows + 1, sizeof *out);
	bool *used = ul_calloc((size_t)e->rows + 1, sizeof *used), ok = (x && in && out && used) || ul_nomem(t->err, n * sizeof *x);
	int a = 0, b = 0;
	for (int p = 0; ok && p < 2; p++) {
		ul_dataset d = {0};
		ul_data_config c = {0};
		ok = !path[p] || (ul_dataset_read(&d, path[p], &c, t->err) && ul_dataset_tokenize(&d, m, &c, t->err));
		for (int r = 0; ok && r < d.n; r++)
			for (int i = 0; i < d.row[r].n; i++)
				used[d.row[r].ids[i]] = true;
		ul_dataset_release(&d);
	}
	if (ok) {
		ul_param_get_f32(e, x);
		ul_param_get_f32(was, x + n);
	}
	for (int v = 0; ok && v < e->rows; v++) {
		double s = 0;
		for (int j = 0; j < e->cols; j++) {
			double d = (double)x[(size_t)v * e->cols + j] - x[n + (size_t)v * e->cols + j];
			s += d * d;
		}
		*(used[v] ? &in[a++] : &out[b++]) = s;
	}
	*auc = ok ? area(in, a, out, b) : NAN;
	ul_free(x);
	ul_free(in);
	ul_free(out);
	ul_free(used);
	return ok;
}

/* Rows of the client that the update gives away, token by token. */
static bool invert(stand *t, const ul_model *then, json_t *into)
{
	const ul_param *was = t->copy[0]->layer[0].down, *is = then->layer[0].down;
	const char *path[] = {t->a->forget, t->a->retain};
	size_t n = (size_t)was->rows * (size_t)was->cols;
	int rows = 0, whole = 0, tokens = 0, found = 0;
	ul_mpu_rows tree = {0};
	float *x = ul_malloc(2 * n * sizeof *x);
	if (!x)
		return ul_nomem(t->err, 2 * n * sizeof *x);
	ul_param_get_f32(is, x);
	ul_param_get_f32(was, x + n);
	for (size_t e = 0; e < n; e++)
		x[e] -= x[n + e];
	bool ok = ul_mpu_invert(t->copy[0], x, &tree, t->err);
	for (int p = 0; ok && p < 2; p++) {
		ul_dataset d = {0};
		ul_data_config c = {0};
		ok = !path[p] || (ul_dataset_read(&d, path[p], &c, t->err) && ul_dataset_tokenize(&d, then, &c, t->err));
		for (int r = 0; ok && r < d.n; r++) {
			int inputs = d.row[r].n - 1, reach = inputs > 0 ? ul_mpu_rows_reach(&tree, d.row[r].ids, inputs) : 0; /* the last token is only predicted */
			rows += inputs > 0, whole += inputs > 0 && reach == inputs, tokens += inputs, found += reach;
		}
		ul_dataset_release(&d);
	}
	if (ok)
		json_object_update_new(into, json_pack("{s:i, s:i, s:i, s:i, s:f, s:i}", "rank", tree.rank, "of", tree.full, "rows", rows, "rows_read", whole, "tokens_read",
		                                     tokens ? (double)found / tokens : 0, "prefixes", tree.n - 1));
	ul_mpu_rows_release(&tree);
	ul_free(x);
	return ok;
}

static bool learn(stand *t)
{
	json_t *m = ul_mpu_manifest_read(t->a->update, NULL, NULL, t->err);
	const char *type = ul_json_str(json_array_get(json_object_get(m, "updates"), 0), "type");
	bool lora = type && !strcmp(type, "lora");
	int k = (int)json_integer_value(json_object_get(json_array_get(json_object_get(m, "updates"), 0), "copy")), n = 0, h = 0;
	bool ok = m && type && (k == 0 || ul_fail(t->err, "%s holds no update of copy 0", t->a->update)) && ul_mpu_files_check(t->a->update, m, 0, t->err);
	ul_model *then = ok ? after(t, 0, lora) : NULL;
	double *in = then ? rise(t, then, t->a->forget, &n) : NULL, *out = in && t->a->holdout ? rise(t, then, t->a->holdout, &h) : NULL, words = NAN;
	ok = in && (!t->a->holdout || out) && (lora || tokens(t, then, &words));
	if (ok) {
		json_t *o = json_pack("{s:o, s:o}", "membership_auc", ul_json_number(area(in, n, out, h)), "tokens_auc", ul_json_number(words));
		ok = lora || invert(t, then, o);
		ok = (json_object_set_new(t->found, "updates", o) == 0 || ul_nomem(t->err, 64)) && ok;
	}
	ul_free(in);
	ul_free(out);
	ul_model_free(then);
	json_decref(m);
	return ok;
}

/* ---- what a client can do to the server ---- */

static bool poison(stand *t)
{
	const ul_mpu *m = &t->s->mpu;
	double weights = 0, most = json_number_value(json_object_get(t->s->state, "max_update"));
	for (int k = 0; k < m->how.copies; k++)
		weights += 1 / m->alpha[k];
	if (m->how.clip > 0 && (most <= 0 || m->how.clip < most))
		most = m->how.clip;
	json_t *o = json_pack("{s:o}", "one_copy_moves", ul_json_number(most > 0 ? m->how.server_lr * most / (m->alpha[0] * weights) : INFINITY));
	return json_object_set_new(t->found, "poison", o) == 0 || ul_nomem(t->err, 64);
}

/* ---- the whole of it ---- */

static bool set_up(stand *t)
{
	char path[4200], sha[65];
	t->s = ul_mpu_server_load(t->a->secret, t->err);
	t->round = t->s ? ul_mpu_manifest_read(t->a->published, t->s->signer.key, sha, t->err) : NULL;
	if (!t->round)
		return false;
	const char *of = ul_json_str(t->s->state, "of");
	if (!of || strcmp(of, sha))
		return ul_fail(t->err, "%s is not the open round of %s: attack it before its updates are collected", t->a->published, t->a->secret);
	t->copies = t->s->mpu.how.copies;
	if (!ul_mpu_files_check(t->a->published, t->round, -1, t->err))
		return false;
	for (int k = 0; k < t->copies; k++) {
		snprintf(path, sizeof path, "%.4000s/copy-%d", t->a->published, k);
		if (!(t->copy[k] = ul_model_open(path, NULL, t->err)))
			return false;
	}
	return (t->guess = ul_model_clone(t->copy[0], t->err)) != NULL;
}

bool ul_mpu_attack_run(const ul_mpu_attack_job *a, json_t **found, ul_err *err)
{
	stand t = {.a = a, .found = json_object(), .err = err};
	bool ok = (t.found || ul_nomem(err, 64)) && set_up(&t) && single(&t);
	ok = ok && ul_mpu_mean(t.copy, NULL, t.copies, t.guess, err) && note(&t, "mean", NULL);
	ok = ok && aligned(&t, "copies", t.copy[0], 1);
	ok = ok && (!t.s->mpu.base || aligned(&t, "base", t.s->mpu.base, 0));
	ok = ok && (!a->update || learn(&t)) && poison(&t);
	for (int k = 0; k < t.copies; k++)
		ul_model_free(t.copy[k]);
	ul_model_free(t.guess);
	ul_mpu_server_free(t.s);
	json_decref(t.round);
	if (ok)
		*found = t.found;
	else
		json_decref(t.found);
	return ok;
}
