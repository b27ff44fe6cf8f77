/*
 * watch.c: --stop "err<=0.05" and --bound "general_ppl<=+5%": audits during the run, on data that the run may see.
 *
 * At every evaluation point all named audits are measured. A point at which every bound holds is safe; the run ends at the first safe
 * point that meets every stop condition. When it ends otherwise, it goes back to the best safe point: the one nearest to the stop
 * conditions, or without any the latest. Three unsafe points on end are taken for a bound that will not hold again.
 *
 * A limit may be a number, or a change against the start of the run: "+5%", "-0.1".
 */
#include "api/watch.h"

#include "audits/audit.h"
#include "base/disk.h"
#include "tensor/backend.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { MOST = 16,
	PATIENCE = 3 };
enum against { FIXED,
	PLUS,
	PERCENT };

struct condition {
	const ul_audit_def *def;
	char text[96]; /* as given, without blanks */
	bool bound, least; /* a bound, else a stop condition; >= instead of <= */
	enum against against;
	double limit, start, value; /* as given; of the start; at this point */
};

struct ul_watch {
	ul_job *j;
	struct condition at[MOST];
	int n;
	ul_dataset data[UL_SPLITS];
	bool has[UL_SPLITS];
	json_t *points; /* [{"step", NAME: value, "safe", "met"}] */
	void **best; /* [params] what was trained, at the best safe point */
	int64_t best_step, last_step; /* -1 = none yet */
	double best_gap;
	int unsafe; /* points on end */
	bool best_met;
};

/* ---- conditions ---- */

static bool parse_limit(struct condition *c, const char *s, ul_err *err)
{
	char *end;
	c->against = *s == '+' || *s == '-' ? PLUS : FIXED;
	c->limit = strtod(s, &end);
	if (end != s && *end == '%' && !end[1]) {
		if (c->against == FIXED) {
			return ul_fail(err, "\"%s\": a percentage says +5%% or -5%%, of the value at the start", c->text);
		}
		c->against = PERCENT;
		return true;
	}
	return (end != s && !*end && isfinite(c->limit)) || ul_fail(err, "\"%s\" ends in \"%s\", which is neither a number nor a change like +5%%", c->text, s);
}

static bool parse_one(struct condition *c, const char *text, bool bound, ul_err *err)
{
	char name[sizeof c->text];
	size_t n = strcspn(text, "<>=");
	*c = (struct condition){.bound = bound, .start = NAN, .value = NAN};
	snprintf(c->text, sizeof c->text, "%s", text);
	if (n == 0 || (text[n] != '<' && text[n] != '>') || text[n + 1] != '=') {
		ul_fail(err, "\"%s\" is no condition", text);
		ul_hint(err, "a condition is an audit, <= or >=, and a limit: err<=0.05, general_ppl<=+5%%");
		return false;
	}
	snprintf(name, sizeof name, "%.*s", (int)n, text);
	c->least = text[n] == '>';
	c->def = ul_audit_find(name, err);
	return c->def && parse_limit(c, text + n + 2, err);
}

static bool parse(ul_watch *w, const char *list, bool bound, ul_err *err)
{
	char bare[1024], *save = NULL;
	size_t n = 0;
	for (const char *s = list; s && *s; s++) {
		if (n + 1 == sizeof bare) {
			return ul_fail(err, "a list of conditions of %zu characters is over the limit of %zu", strlen(list), sizeof bare - 1);
		}
		if (!isspace((unsigned char)*s)) {
			bare[n++] = *s;
		}
	}
	bare[n] = 0;
	for (char *one = strtok_r(bare, ",;", &save); one; one = strtok_r(NULL, ",;", &save)) {
		if (w->n == MOST) {
			return ul_fail(err, "there are more than %d conditions", MOST);
		}
		if (strlen(one) >= sizeof w->at[0].text) {
			return ul_fail(err, "\"%.40s…\" is longer than a condition can be", one);
		}
		if (!parse_one(&w->at[w->n++], one, bound, err)) {
			return false;
		}
	}
	return true;
}

static double limit_of(const struct condition *c)
{
	return c->against == FIXED ? c->limit : c->against == PLUS ? c->start + c->limit
	                                                           : c->start * (1 + c->limit / 100);
}

/* How far the value is from its limit, as a share of the way it had to go; 0 = holds. */
static double gap(const struct condition *c)
{
	double limit = limit_of(c), over = c->least ? limit - c->value : c->value - limit;
	double way = fabs(c->start - limit);
	if (isnan(c->value)) {
		return INFINITY;
	}
	return over <= 0 ? 0 : over / (way > 1e-9 ? way : 1e-9);
}

/* ---- data ---- */

/* Rows of the run once more: an exam tokenizes them by its own rules. */
static bool copy_rows(ul_watch *w, enum ul_split s, const ul_dataset *d, ul_err *err)
{
	bool ok = true;
	for (int i = 0; ok && i < d->n; i++) {
		const ul_row *row = &d->row[i];
		json_t *record = json_deep_copy(row->json);
		if (record && (row->text || row->prompt)) { /* under the usual names: a map ends here */
			json_object_set_new(record, row->text ? "text" : "prompt", json_string(row->text ? row->text : row->prompt));
			if (row->response) {
				json_object_set_new(record, "response", json_string(row->response));
			}
		}
		ok = record ? ul_dataset_add(&w->data[s], record, err) : ul_nomem(err, 64);
		json_decref(record);
	}
	w->has[s] = ok && d->n > 0;
	return ok;
}

static bool fetch(ul_watch *w, const struct condition *c, ul_err *err)
{
	const ul_run *r = &w->j->run;
	enum ul_split s = c->def->split;
	ul_data_config how = {.map = r->train.map};
	if (w->has[s]) {
		return true;
	}
	if (s == UL_S_FORGET && r->data[UL_FORGET]) {
		return copy_rows(w, s, r->data[UL_FORGET], err);
	}
	if (s == UL_S_RETAIN && r->data[UL_RETAIN]) {
		return copy_rows(w, s, r->data[UL_RETAIN], err);
	}
	if (s == UL_S_GENERAL && w->j->cfg.general) {
		return w->has[s] = ul_dataset_read(&w->data[s], w->j->cfg.general, &how, err);
	}
	ul_fail(err, "\"%s\" needs %s rows, which this run does not have", c->text, ul_split_name(s));
	if (s == UL_S_GENERAL) {
		ul_hint(err, "public text is given with --general F");
	} else if (s == UL_S_RETAIN) {
		ul_hint(err, "give them with --retain F, or let the model write its own with --retain self");
	} else {
		ul_hint(err, "a run sees what it forgets, what it keeps and general text: judge the rest with `unlearn audit`");
	}
	return false;
}

/* ---- measuring ---- */

static bool measure(ul_watch *w, ul_err *err)
{
	const ul_train_config *t = &w->j->run.train;
	ul_exam_config c = {.level = UL_QUICK, .seed = (uint64_t)t->seed};
	c.model[UL_AFTER] = w->j->run.model;
	c.encode = (ul_data_config){.map = t->map, .templ = t->templ, .max_length = (int)t->max_length, .eos = UL_EOS_NONE};
	for (int s = 0; s < UL_SPLITS; s++) {
		c.data[s] = w->has[s] ? &w->data[s] : NULL;
	}
	ul_exam *e = ul_exam_new(&c, err);
	bool ok = e != NULL;
	for (int i = 0; ok && i < w->n; i++) {
		ok = ul_measure(e, w->at[i].def, UL_AFTER, &w->at[i].value, err);
	}
	ul_exam_free(e);
	return ok;
}

static void say(const ul_watch *w, int64_t step)
{
	const ul_progress *p = w->j->run.progress;
	char text[400];
	int at = snprintf(text, sizeof text, "step %lld:", (long long)step);
	for (int i = 0; i < w->n && at > 0 && (size_t)at < sizeof text; i++) {
		const struct condition *c = &w->at[i];
		at += snprintf(text + at, sizeof text - (size_t)at, "%s %s %.4g%s", i ? "," : "", c->def->name, c->value, gap(c) > 0 ? c->bound ? " (out of bounds)" : "" : "");
	}
	if (p && p->note) {
		p->note(p->ud, text);
	}
}

static json_t *point(const ul_watch *w, int64_t step, bool safe, bool met)
{
	json_t *o = json_pack("{s:I, s:b, s:b}", "step", (json_int_t)step, "safe", safe, "met", met);
	for (int i = 0; i < w->n; i++) {
		json_object_set_new(o, w->at[i].def->name, ul_json_number(w->at[i].value));
	}
	return o;
}

/* ---- the best safe point ---- */

static size_t bytes_of(const ul_param *p)
{
	return (size_t)p->rows * (size_t)p->cols * p->be->elem;
}

static bool keep(ul_watch *w, ul_err *err)
{
	const ul_run *r = &w->j->run;
	for (int i = 0; i < r->params; i++) {
		w->best[i] = w->best[i] ? w->best[i] : ul_malloc(bytes_of(r->param[i]));
		if (!w->best[i]) {
			return ul_nomem(err, bytes_of(r->param[i]));
		}
		memcpy(w->best[i], r->param[i]->data, bytes_of(r->param[i]));
	}
	const char *path = r->dir ? ul_path_join(&w->j->arena, r->dir, "best.safetensors") : NULL;
	const char *aside = path ? ul_arena_printf(&w->j->arena, "%s.part", path) : NULL;
	return !r->dir || (aside ? ul_params_save(r, aside, err) && ul_disk_rename(aside, path, err) : ul_nomem(err, 64));
}

static void restore(const ul_watch *w)
{
	const ul_run *r = &w->j->run;
	for (int i = 0; i < r->params; i++) {
		memcpy(r->param[i]->data, w->best[i], bytes_of(r->param[i]));
	}
}

static json_t *state(const ul_watch *w)
{
	json_t *start = json_object();
	for (int i = 0; i < w->n; i++) {
		json_object_set_new(start, w->at[i].def->name, ul_json_number(w->at[i].start));
	}
	return json_pack("{s:o, s:I, s:f, s:b, s:i, s:O}", "start", start, "kept", (json_int_t)w->best_step, "gap", w->best_gap, "met", w->best_met, "unsafe", w->unsafe, "points", w->points);
}

/* One evaluation point of the loop. */
static bool at_point(ul_run *r, bool *end, ul_err *err)
{
	ul_watch *w = ((ul_job *)r)->watch;
	bool safe = true, met = true, stops = false;
	double far = 0;
	if (!measure(w, err)) {
		return false;
	}
	for (int i = 0; i < w->n; i++) {
		const struct condition *c = &w->at[i];
		safe &= !c->bound || gap(c) == 0;
		met &= c->bound || gap(c) == 0;
		far += c->bound ? 0 : gap(c);
		stops |= !c->bound;
	}
	met &= safe;
	say(w, r->step);
	json_array_append_new(w->points, point(w, r->step, safe, met && stops));
	w->last_step = r->step;
	w->unsafe = safe ? 0 : w->unsafe + 1;
	if (safe && r->step > 0 && (w->best_step < 0 || !stops || far < w->best_gap)) {
		w->best_step = r->step;
		w->best_gap = far;
		w->best_met = met;
		if (!keep(w, err)) {
			return false;
		}
	}
	*end = (stops && met && r->step > 0) || w->unsafe >= PATIENCE;
	json_object_set_new(w->j->origin, "watch", state(w));
	return true;
}

/* ---- from the run ---- */

/* A resumed run knows its start, and its best point, from its state. */
static bool recall(ul_watch *w, ul_err *err)
{
	json_t *old = ul_resume_read(w->j->cfg.resume, err), *o = json_object_get(old, "watch");
	const char *path = ul_path_join(&w->j->arena, w->j->cfg.resume, "best.safetensors");
	int64_t kept = -1, unsafe = 0;
	bool ok = old && path && (json_is_object(o) || ul_fail(err, "the state in %s says nothing of the conditions of its run", w->j->cfg.resume));
	ok = ok && ul_json_int(o, "kept", -1, INT64_MAX / 2, &kept, err) && ul_json_int(o, "unsafe", 0, PATIENCE, &unsafe, err);
	for (int i = 0; ok && i < w->n; i++) {
		const json_t *v = json_object_get(json_object_get(o, "start"), w->at[i].def->name);
		w->at[i].start = json_is_number(v) ? json_number_value(v) : NAN;
	}
	if (ok) {
		w->best_step = kept;
		w->unsafe = (int)unsafe;
		w->best_gap = json_number_value(json_object_get(o, "gap"));
		w->best_met = json_is_true(json_object_get(o, "met"));
		json_array_extend(w->points, json_object_get(o, "points"));
		json_object_set(w->j->origin, "watch", o);
	}
	ok = ok && (kept < 0 || (ul_params_load(&w->j->run, path, err) && keep(w, err)));
	json_decref(old);
	return ok;
}

static bool look_first(ul_watch *w, ul_err *err)
{
	bool end;
	if (w->j->cfg.resume) {
		return recall(w, err);
	}
	if (!measure(w, err)) {
		return false;
	}
	for (int i = 0; i < w->n; i++) {
		w->at[i].start = w->at[i].value;
	}
	return at_point(&w->j->run, &end, err);
}

bool ul_watch_parse(ul_job *j, ul_err *err)
{
	const ul_job_config *c = &j->cfg;
	if (!c->stop && !c->bound) {
		return true;
	}
	ul_watch *w = j->watch = ul_calloc(1, sizeof *w);
	if (!w) {
		return ul_nomem(err, sizeof *w);
	}
	w->j = j;
	w->best_step = w->last_step = -1;
	w->points = json_array();
	return parse(w, c->stop, false, err) && parse(w, c->bound, true, err);
}

bool ul_watch_begin(ul_job *j, ul_err *err)
{
	ul_watch *w = j->watch;
	bool ok = true;
	if (!w || w->n == 0) {
		return true;
	}
	w->best = ul_calloc((size_t)j->run.params + 1, sizeof *w->best);
	if (!w->best) {
		return ul_nomem(err, (size_t)j->run.params * sizeof *w->best);
	}
	for (int i = 0; ok && i < w->n; i++) {
		ok = fetch(w, &w->at[i], err);
	}
	/* Every exam has something to forget, whether an audit asks for it or not. */
	ok = ok && (w->has[UL_S_FORGET] || copy_rows(w, UL_S_FORGET, j->run.data[UL_FORGET], err)) && look_first(w, err);
	j->run.watch = at_point;
	return ok;
}

bool ul_watch_conclude(ul_job *j, ul_err *err)
{
	ul_watch *w = j->watch;
	bool end, stops = false;
	if (!w || w->n == 0) {
		return true;
	}
	if (w->last_step != j->run.step && !at_point(&j->run, &end, err)) { /* a method that has no loop */
		return false;
	}
	for (int i = 0; i < w->n; i++) {
		stops |= !w->at[i].bound;
	}
	if (w->best_step < 0) {
		ul_fail(err, "no evaluated step kept to --bound \"%s\": the model is left as it was", j->cfg.bound);
		ul_hint(err, "a smaller --lr, a larger --retain-weight or a more frequent --eval-every may find one");
		return false;
	}
	if (w->best_step != j->run.step) {
		restore(w);
	}
	if (stops && !w->best_met) {
		ul_fail(&j->run.unmet, "the run ended without meeting --stop \"%s\": its best safe step %lld of %lld is kept", j->cfg.stop, (long long)w->best_step, (long long)j->run.steps);
	} else if (!stops && w->unsafe > 0) {
		ul_fail(&j->run.unmet, "the run left its bounds: its last safe step %lld of %lld is kept", (long long)w->best_step, (long long)j->run.steps);
	}
	return true;
}

json_t *ul_watch_json(const ul_job *j)
{
	const ul_watch *w = j->watch;
	return w && w->n ? json_pack("{s:o, s:s?, s:s?}", "measured", state(w), "stop", j->cfg.stop, "bound", j->cfg.bound) : json_null();
}

void ul_watch_free(ul_watch *w)
{
	if (!w) {
		return;
	}
	for (int s = 0; s < UL_SPLITS; s++) {
		ul_dataset_release(&w->data[s]);
	}
	for (int i = 0; w->best && i < w->j->run.params; i++) {
		ul_free(w->best[i]);
	}
	ul_free(w->best);
	json_decref(w->points);
	ul_free(w);
}
