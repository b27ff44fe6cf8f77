/*
 * result.c: verdicts as scores.json and scores.jsonl. Every number that went into a verdict is there, so that any interval can be
 * computed again from the items, and the verdict from the interval: PASS means that `ci` lies within `margin` of `reference`.
 */
#include "audits/audit.h"

#include <math.h>
#include <string.h>

/* ---- lines ---- */

static json_t *range(double lo, double hi)
{
	return json_pack("[o, o]", ul_json_number(lo), ul_json_number(hi));
}

static void set_text(json_t *o, const char *key, const char *text)
{
	if (text)
		json_object_set_new(o, key, json_string(text));
}

static json_t *line_json(ul_exam *e, const ul_line *l, ul_err *err)
{
	static const char *const kind[] = {"utility", "forgetting", "privacy", "information"};
	json_t *o = json_object();
	json_object_set_new(o, "value", ul_json_number(l->value));
	json_object_set_new(o, "n", json_integer(l->n));
	json_object_set_new(o, "ci", range(l->lo, l->hi));
	json_object_set_new(o, "before", ul_json_number(l->before));
	json_object_set_new(o, "reference", ul_json_number(l->reference));
	json_object_set_new(o, "margin", ul_json_number(l->margin));
	json_object_set_new(o, "verdict", json_string(ul_verdict_name(l->verdict)));
	set_text(o, "against", l->against);
	set_text(o, "title", l->def->title);
	set_text(o, "kind", kind[l->def->kind]);
	json_object_set_new(o, "gate", json_boolean(l->def->gate));
	json_object_set_new(o, "required", json_boolean(l->def->required));
	set_text(o, "direction", l->def->sign > 0 ? (l->def->kind == UL_K_UTILITY ? "larger is better" : "larger leaks more") : (l->def->kind == UL_K_UTILITY ? "smaller is better" : "smaller leaks more"));
	set_text(o, "why", l->words);
	if (l->n_needed > 0)
		json_object_set_new(o, "n_needed", json_integer(l->n_needed));
	json_object_set_new(o, "clusters", json_integer(l->clusters));
	json_object_set_new(o, "own_ci", range(l->own_lo, l->own_hi));
	json_object_set_new(o, "oracle", ul_json_number(l->oracle));
	if (l->oracle_sd > 0)
		json_object_set_new(o, "oracle_sd", ul_json_number(l->oracle_sd));
	if (l->against) {
		json_object_set_new(o, "difference", ul_json_number(l->difference.estimate));
		json_object_set_new(o, "difference_ci", range(l->difference.lo, l->difference.hi));
		json_object_set_new(o, "p", ul_json_number(l->p));
	}
	if (!l->def->more || l->def->more(e, l, o, err))
		return o;
	json_decref(o);
	return NULL;
}

/* ---- what went in ---- */

static json_t *models_json(const ul_exam_config *c, ul_err *err)
{
	json_t *o = json_object();
	for (int w = 0; w < UL_WHOS; w++) {
		ul_model *m = c->model[w];
		if (!m)
			continue;
		if (!ul_model_hash(m, err)) {
			json_decref(o);
			return NULL;
		}
		json_t *one = json_object();
		set_text(one, "path", m->path);
		set_text(one, "sha256", m->sha256);
		set_text(one, "dtype", m->params > 0 ? ul_dtype_name(m->param[0]->dtype) : NULL);
		json_object_set_new(one, "parameters", json_integer((json_int_t)ul_model_count(m)));
		json_object_set_new(o, ul_who_name(w), one);
	}
	return o;
}

static int subjects(const ul_exam *e, enum ul_split s)
{
	const ul_dataset *d = ul_exam_data(e, s);
	int many = 0, most = 2 * d->n + 2;
	unsigned char *seen = ul_calloc((size_t)most, 1);
	for (int i = 0; seen && i < d->n; i++) {
		unsigned char *at = &seen[ul_exam_cluster(e, s, i)];
		many += !*at;
		*at = 1;
	}
	ul_free(seen);
	return many;
}

static json_t *data_json(const ul_exam *e)
{
	json_t *o = json_object();
	for (int s = 0; s < UL_SPLITS; s++) {
		const ul_dataset *d = ul_exam_data(e, s);
		if (!d)
			continue;
		json_t *one = json_object();
		set_text(one, "path", d->path);
		set_text(one, "sha256", d->sha256);
		json_object_set_new(one, "n", json_integer(d->n));
		json_object_set_new(one, "subjects", json_integer(subjects(e, s)));
		json_object_set_new(one, "tokens", json_integer(d->labels));
		json_object_set_new(one, "cut", json_integer(d->cut));
		json_object_set_new(o, ul_split_name(s), one);
	}
	return o;
}

static json_t *settings_json(const ul_exam *e)
{
	static const char *const level[] = {"quick", "standard", "heavy"};
	const ul_exam_config *c = ul_exam_settings(e);
	json_t *o = json_object();
	set_text(o, "level", level[c->level]);
	set_text(o, "compat", c->compat ? "open-unlearning" : "none");
	set_text(o, "truth_ratio", c->arithmetic ? "arithmetic" : "geometric");
	set_text(o, "template", c->encode.templ ? c->encode.templ : "the model's");
	json_object_set_new(o, "end_scored", json_boolean(c->encode.eos != UL_EOS_NONE));
	set_text(o, "decoding", "greedy");
	json_object_set_new(o, "beams", json_integer(ul_exam_beam_count(e)));
	json_object_set_new(o, "samples", json_integer(ul_exam_candidate_count(e) - ul_exam_beam_count(e)));
	json_object_set_new(o, "max_new", json_integer(c->max_new));
	json_object_set_new(o, "min_k", ul_json_number(c->min_k));
	json_object_set_new(o, "seed", json_integer((json_int_t)c->seed));
	json_object_set_new(o, "threads", json_integer(ul_threads()));
	set_text(o, "version", UL_VERSION);
	return o;
}

/* ---- examples ---- */

static const char *given(ul_exam *e, enum ul_split s, int row, int at)
{
	const ul_row *r = &ul_exam_data(e, s)->row[row];
	ul_buf b = {0};
	if (r->prompt)
		return r->prompt;
	ul_tok_decode(ul_exam_settings(e)->model[UL_AFTER]->tok, r->ids, at, true, &b);
	const char *t = ul_arena_strdup(ul_exam_arena(e), b.data ? b.data : "");
	ul_buf_release(&b);
	return t;
}

static void set_said(json_t *o, const ul_exam *e, enum ul_who w, enum ul_split s, int row)
{
	const ul_gen *said = ul_exam_said(e, w, s);
	if (said && said[row].text)
		set_text(o, ul_who_name(w), said[row].text + strspn(said[row].text, " \n"));
}

/* A few rows of different subjects, with what each model says; only of splits where generation was asked for anyway. */
static bool add_examples(ul_exam *e, enum ul_split s, int most, json_t *list, ul_err *err)
{
	const ul_dataset *d = ul_exam_data(e, s);
	const ul_gen *said = ul_exam_said(e, UL_AFTER, s);
	int last = -1, step = d && d->n > most ? d->n / most : 1;
	for (int i = 0; said && d && i < d->n && most > 0; i++) {
		ul_cut c;
		if (!said[i].text || (last >= 0 && i < last + step))
			continue;
		if (!ul_exam_cut(e, s, i, &c, err))
			return false;
		json_t *o = json_object();
		set_text(o, "split", ul_split_name(s));
		json_object_set_new(o, "row", json_integer(i));
		set_text(o, "id", d->row[i].id);
		set_text(o, "subject", d->row[i].subject);
		set_text(o, "prompt", given(e, s, i, c.at));
		set_text(o, "expected", c.expected);
		for (int w = 0; w < UL_WHOS; w++)
			set_said(o, e, w, s, i);
		json_array_append_new(list, o);
		last = i;
		most--;
	}
	return true;
}

/* ---- the whole ---- */

json_t *ul_verdicts_json(ul_exam *e, const ul_verdicts *v, ul_err *err)
{
	json_t *o = json_object(), *audits = json_object(), *not_tested = json_object(), *examples = json_array();
	json_t *models = models_json(ul_exam_settings(e), err);
	bool ok = models && add_examples(e, UL_S_FORGET, 6, examples, err) && add_examples(e, UL_S_RETAIN, 4, examples, err);
	json_object_set_new(o, "schema", json_integer(1));
	set_text(o, "mode", ul_mode_name(v->mode));
	set_text(o, "verdict", ul_verdict_name(v->overall));
	set_text(o, "why", v->why);
	for (int i = 0; ok && i < v->n; i++) {
		if (v->line[i].not_tested)
			set_text(not_tested, v->line[i].def->name, v->line[i].not_tested);
		else
			ok = json_object_set_new(audits, v->line[i].def->name, line_json(e, &v->line[i], err)) == 0;
	}
	json_object_set_new(o, "audits", audits);
	json_object_set_new(o, "not_tested", not_tested);
	json_object_set_new(o, "models", models);
	json_object_set_new(o, "data", data_json(e));
	json_object_set_new(o, "settings", settings_json(e));
	json_object_set_new(o, "examples", examples);
	if (ok)
		return o;
	json_decref(o);
	return NULL;
}

static bool item_line(const ul_exam *e, const ul_line *l, enum ul_who w, const ul_items *it, int i, ul_buf *out)
{
	const ul_dataset *d = ul_exam_data(e, (enum ul_split)it->split[i]);
	const ul_row *r = &d->row[it->row[i]];
	json_t *o = json_object();
	set_text(o, "who", ul_who_name(w));
	set_text(o, "audit", l->def->name);
	set_text(o, "split", ul_split_name((enum ul_split)it->split[i]));
	json_object_set_new(o, "row", json_integer(it->row[i]));
	set_text(o, "id", r->id);
	set_text(o, "subject", r->subject);
	json_object_set_new(o, "value", ul_json_number(it->value[i]));
	if (it->labelled)
		json_object_set_new(o, "label", ul_json_number(it->label[i]));
	bool ok = ul_json_line(out, o);
	json_decref(o);
	return ok;
}

bool ul_verdicts_items(ul_exam *e, const ul_verdicts *v, ul_buf *out)
{
	bool ok = true;
	for (int k = 0; k < v->n; k++) {
		const ul_line *l = &v->line[k];
		for (int w = 0; w < UL_WHOS; w++) {
			for (int i = 0; ok && i < l->items[w].n; i++)
				ok = item_line(e, l, (enum ul_who)w, &l->items[w], i, out);
		}
		for (int i = 0; ok && i < l->peer.n; i++)
			ok = item_line(e, l, UL_AFTER, &l->peer, i, out);
	}
	return ok && !out->failed;
}
