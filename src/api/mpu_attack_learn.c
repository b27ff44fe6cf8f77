/*
 * mpu_attack_learn.c: what a server learns from a client's update: which rows were forgotten, which tokens they hold, and whole rows by
 * gradient inversion (protocols/mpu_invert.c). One copy's update is enough; the first that is there is taken.
 */
#include "api/mpu_attack_parts.h"

#include <math.h>
#include <string.h>

/* The copy with the update on it: θ'_k, which the server can always make. */
static ul_model *after(ul_mpu_siege *t, int k, bool lora)
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
static double *rise(ul_mpu_siege *t, int k, ul_model *m, const char *path, int *n)
{
	ul_dataset d = {0};
	ul_data_config c = {0};
	ul_scores was = {0}, is = {0};
	bool ok = ul_dataset_read(&d, path, &c, t->err) && ul_dataset_tokenize(&d, m, &c, t->err);
	ok = ok && ul_score(t->copy[k], &d, 0, &was, NULL, t->err) && ul_score(m, &d, 0, &is, NULL, t->err);
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
static bool tokens(ul_mpu_siege *t, int k, const ul_model *m, double *auc)
{
	const ul_param *e = m->embed, *was = t->copy[k]->embed;
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
static bool invert(ul_mpu_siege *t, int k, const ul_model *then, json_t *into)
{
	const ul_param *was = t->copy[k]->layer[0].down, *is = then->layer[0].down;
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
	bool ok = ul_mpu_invert(t->copy[k], x, &tree, t->err);
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

bool ul_mpu_siege_learn(ul_mpu_siege *t)
{
	json_t *m = ul_mpu_manifest_read(t->a->update, NULL, NULL, t->err), *first = json_array_get(json_object_get(m, "updates"), 0);
	const char *type = ul_json_str(first, "type");
	bool lora = type && !strcmp(type, "lora");
	int64_t k = json_integer_value(json_object_get(first, "copy"));
	int n = 0, h = 0;
	bool ok = m && (type || ul_fail(t->err, "%s is no update: it lists no copy", t->a->update)) &&
	          (k < t->copies || ul_fail(t->err, "%s holds an update of copy %lld, and there are copies 0 to %d", t->a->update, (long long)k, t->copies - 1)) &&
	          ul_mpu_files_check(t->a->update, m, (int)k, t->err);
	ul_model *then = ok ? after(t, (int)k, lora) : NULL;
	double *in = then ? rise(t, (int)k, then, t->a->forget, &n) : NULL, *out = in && t->a->holdout ? rise(t, (int)k, then, t->a->holdout, &h) : NULL, words = NAN;
	ok = in && (!t->a->holdout || out) && (lora || tokens(t, (int)k, then, &words));
	if (ok) {
		json_t *o = json_pack("{s:I, s:s, s:o, s:o}", "copy", (json_int_t)k, "type", type, "membership_auc", ul_json_number(area(in, n, out, h)), "tokens_auc", ul_json_number(words));
		if (lora)
			json_object_set_new(o, "not_tried", json_string("tokens and gradient inversion: both read how the embedding and the first down projection themselves changed, and an adapter sends factors"));
		ok = lora || invert(t, (int)k, then, o);
		ok = (json_object_set_new(t->found, "updates", o) == 0 || ul_nomem(t->err, 64)) && ok;
	}
	ul_free(in);
	ul_free(out);
	ul_model_free(then);
	json_decref(m);
	return ok;
}
