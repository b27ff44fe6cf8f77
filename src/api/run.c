/*
 * run.c: ul_run_* of unlearn.h. One run: settings over a model, rows to forget, training, and a run folder.
 */
#include "api/watch.h"
#include "audits/subjects.h"

#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define AT(field) offsetof(ul_job_config, field)

const ul_opt ul_train_job_opts[] = {
        {"data", UL_OPT_TEXT, AT(data), NULL, 0, 0, NULL, "rows to learn", "F"},
        {"init", UL_OPT_TEXT, AT(init), NULL, 0, 0, NULL, "start from random weights: a preset or a config.json", "NAME|CONFIG.json"},
        {"tokenizer", UL_OPT_TEXT, AT(tokenizer), NULL, 0, 0, NULL, "with --init: the folder of a tokenizer", "DIR"},
        {"train-tokenizer", UL_OPT_INT, AT(train_tokenizer), "0", 0, 1 << 20, NULL, "with --init: learn a byte-level BPE of this many tokens from the data", "N"},
        {"output", UL_OPT_TEXT, AT(output), NULL, 0, 0, NULL, "folder of the result (also -o)", "DIR"},
        {"resume", UL_OPT_TEXT, AT(resume), NULL, 0, 0, NULL, "go on with the unfinished run in this folder", "DIR"},
        {0},
};

const ul_opt ul_run_job_opts[] = {
        {"recipe", UL_OPT_TEXT, AT(recipe), NULL, 0, 0, NULL, "source, method and their options in one word (`unlearn recipes`); what is given beside it wins", "NAME"},
        {"forget", UL_OPT_TEXT, AT(forget), NULL, 0, 0, NULL, "rows to forget", "F"},
        {"source", UL_OPT_TEXT, AT(source), NULL, 0, 0, NULL, "or where they come from instead (`unlearn sources`)", "NAME"},
        {"subjects", UL_OPT_TEXT, AT(subjects), NULL, 0, 0, NULL, "file of names a source is limited to", "F"},
        {"retain", UL_OPT_TEXT, AT(retain), NULL, 0, 0, NULL, "rows to keep; self lets the model write its own", "F"},
        {"stop", UL_OPT_TEXT, AT(stop), NULL, 0, 0, NULL, "end the run once audits say so, on data it may see: \"err<=0.05\"; several with commas", "CONDITION"},
        {"bound", UL_OPT_TEXT, AT(bound), NULL, 0, 0, NULL, "never leave this, by audits on data it may see: \"general_ppl<=+5%\" of the start", "CONDITION"},
        {"general", UL_OPT_TEXT, AT(general), NULL, 0, 0, NULL, "public text that --stop and --bound are measured on", "F"},
        {"invent", UL_OPT_INT, AT(invent), "0", 0, 100, NULL, "with --retain: copies of each forget row with invented values, the first about an invented person, the second about the same, and so on, as further retain rows", "N"},
        {"annotator", UL_OPT_TEXT, AT(annotator), NULL, 0, 0, NULL, "a shell command that marks personal data too, a JSON line for a JSON line; self: the model does, shown a few examples", "COMMAND"},
        {"annotator-seconds", UL_OPT_REAL, AT(annotator_seconds), "120", 0.01, 86400, NULL, "how long it may take for one text", "X"},
        {"data-free", UL_OPT_BOOL, AT(data_free), "no", 0, 0, NULL, "shut out every file that is not named here, and the network, before the model is opened", NULL},
        {"keep-data", UL_OPT_BOOL, AT(keep_data), "no", 0, 0, NULL, "leave generated rows in the run folder as forget.jsonl", NULL},
        {"output", UL_OPT_TEXT, AT(output), NULL, 0, 0, NULL, "the run folder (also -o)", "DIR"},
        {"resume", UL_OPT_TEXT, AT(resume), NULL, 0, 0, NULL, "go on with the unfinished run in this folder", "DIR"},
        {0},
};

static const ul_opt frame_opts[] = {
        {"force", UL_OPT_BOOL, AT(force), "no", 0, 0, NULL, "replace the run that lies in the output", NULL},
        {"adapter", UL_OPT_TEXT, AT(adapter), NULL, 0, 0, NULL, "the adapter that was put on the model when it was opened, for the record", "DIR"},
        {0},
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- settings ---- */

static bool copy_settings(ul_job *j, const ul_setting *s, size_t n, ul_err *err)
{
	j->setting = ul_alloc(&j->arena, (n + 1) * sizeof *j->setting);
	for (size_t i = 0; j->setting && i < n; i++) {
		j->setting[i] = (ul_setting){ul_arena_strdup(&j->arena, s[i].key), ul_arena_strdup(&j->arena, s[i].value)};
	}
	j->settings = n;
	return !j->arena.failed || ul_nomem(err, n * sizeof *s);
}

static size_t count(const ul_setting *s)
{
	size_t n = 0;
	while (s && s[n].key) {
		n++;
	}
	return n;
}

/* Table defaults, then the method's, then what was given. An option that no table of this run knows is an error. */
static bool apply_settings(ul_job *j, ul_err *err)
{
	ul_run *r = &j->run;
	const ul_setting *own = r->method->defaults;
	bool *used = ul_alloc(&j->arena, (j->settings + count(own) + 1) * sizeof *used);
	r->config = ul_alloc(&j->arena, r->method->config + 1);
	const ul_opt *tables[] = {j->job_opts, ul_train_opts, frame_opts, r->method->opts, NULL, NULL};
	void *configs[] = {&j->cfg, &r->train, &j->cfg, r->config, NULL};
	int n = r->method->opts ? 4 : 3;
	if (!used || !r->config) {
		return ul_nomem(err, j->settings);
	}
	if (j->source && j->source->opts) {
		j->source_config = ul_alloc(&j->arena, j->source->config + 1);
		configs[n] = j->source_config;
		tables[n++] = j->source->opts;
	}
	tables[n] = NULL;
	for (int i = 0; i < n; i++) {
		if (!configs[i] || !ul_opts_defaults(tables[i], configs[i], &j->arena, err)) {
			return ul_nomem(err, 64);
		}
	}
	if (own && !ul_settings_apply(own, count(own), used, ul_train_opts, &r->train, &j->arena, err)) {
		return false;
	}
	memset(used, 0, j->settings * sizeof *used);
	for (int i = 0; i < n; i++) {
		if (!ul_settings_apply(j->setting, j->settings, used, tables[i], configs[i], &j->arena, err)) {
			return false;
		}
	}
	return ul_settings_done(j->setting, j->settings, used, tables, err);
}

/* A method's default adapter is taken back with --lora none. */
static void settle(ul_job *j)
{
	ul_train_config *t = &j->run.train;
	if (t->lora && (!*t->lora || !strcmp(t->lora, "none") || !strcmp(t->lora, "no"))) {
		t->lora = NULL;
	}
	if (j->cfg.resume && !j->cfg.output) {
		j->cfg.output = j->cfg.resume;
	}
	j->run.from_scratch = j->cfg.init != NULL;
	j->run.dir = j->cfg.output;
}

/* ---- rows ---- */

static bool read_rows(ul_job *j, enum ul_stream s, const char *path, bool own, ul_err *err)
{
	ul_data_config c = {.map = j->run.train.map, .mixed = own};
	if (!ul_dataset_read(&j->data[s], path, &c, err)) {
		return false;
	}
	j->run.data[s] = &j->data[s];
	return true;
}

static bool writes_itself(const ul_job *j)
{
	return j->cfg.retain && !strcmp(j->cfg.retain, "self");
}

static bool read_files(ul_job *j, ul_err *err)
{
	const ul_job_config *c = &j->cfg;
	const char *rows = c->data ? c->data : c->forget;
	bool tuning = j->run.method == &ul_finetune;
	if (!rows && !j->source) {
		ul_fail(err, tuning ? "no rows to learn: --data F is wanted" : "nothing to forget: --forget F or --source NAME is wanted");
		return false;
	}
	if (c->forget && j->source) {
		return ul_fail(err, "--forget and --source are two ways to say what to forget: give one");
	}
	if (c->invent > 0 && !c->retain) {
		return ul_fail(err, "--invent %lld adds to the retain rows: --retain self or --retain F is wanted", (long long)c->invent);
	}
	return (!rows || read_rows(j, UL_FORGET, rows, false, err)) && (!c->retain || writes_itself(j) || read_rows(j, UL_RETAIN, c->retain, false, err));
}

/* Rows that a source makes, or the model itself; a resumed run reads those it made before. */
static bool made_before(ul_job *j, enum ul_stream s, const char *path, bool *found, ul_err *err)
{
	*found = j->cfg.resume && path && ul_file_exists(path);
	return !*found || read_rows(j, s, path, true, err);
}

static bool make_forget(ul_job *j, const ul_progress *p, ul_err *err)
{
	const char *path = j->run.dir ? ul_path_join(&j->arena, j->run.dir, "rows/forget.jsonl") : NULL;
	bool found;
	if (!made_before(j, UL_FORGET, path, &found, err) || found) {
		return found;
	}
	ul_source_job job = {
	        .model = j->run.model,
	        .config = j->source_config,
	        .seed = (uint64_t)j->run.train.seed,
	        .subjects = j->cfg.subjects,
	        .annotator = j->annotator,
	        .progress = p,
	        .out = &j->data[UL_FORGET],
	        .keep = writes_itself(j) ? &j->data[UL_RETAIN] : NULL,
	        .summary = j->summary,
	};
	if (!ul_source_make(j->source, &job, err)) {
		return false;
	}
	j->run.data[UL_FORGET] = &j->data[UL_FORGET];
	return !path || ul_rows_hide(j, &j->data[UL_FORGET], path, err);
}

/* The file of the first rows stays as it is, since a resumed run begins with them; later ones are kept beside it, on request. */
static bool keep_renewed(ul_job *j, const ul_dataset *rows, int round, ul_err *err)
{
	ul_buf text = {0};
	const char *path = ul_path_join(&j->arena, j->run.dir, "revealed.jsonl");
	bool ok = path ? true : ul_nomem(err, 64);
	ok = ok && (round <= 1 || !ul_file_exists(path) || ul_file_read(&text, path, (size_t)1 << 31, err));
	for (int i = 0; ok && i < rows->n; i++) {
		ok = ul_json_line(&text, rows->row[i].json) || ul_nomem(err, text.len);
	}
	ok = ok && ul_file_write(path, text.data ? text.data : "", text.len, err);
	ul_buf_release(&text);
	return ok;
}

static bool renew(ul_run *r, int round, double *relevance, ul_err *err)
{
	ul_job *j = (ul_job *)r;
	ul_dataset rows = {0};
	ul_source_job job = {.model = r->model, .config = j->source_config, .seed = (uint64_t)r->train.seed + (uint64_t)round, .subjects = j->cfg.subjects, .annotator = j->annotator, .progress = r->progress, .out = &rows, .summary = json_object()};
	bool ok = j->source->make(&job, err) && (!j->cfg.keep_data || !r->dir || keep_renewed(j, &rows, round, err));
	if (!ok) {
		ul_dataset_release(&rows);
		json_decref(job.summary);
		return false;
	}
	const json_t *said = json_object_get(job.summary, "relevance");
	*relevance = json_is_number(said) ? json_number_value(said) : NAN;
	json_object_set_new(job.summary, "rows", json_integer(rows.n));
	if (!json_object_get(j->summary, "again")) {
		json_object_set_new(j->summary, "again", json_array());
	}
	json_array_append_new(json_object_get(j->summary, "again"), job.summary);
	ul_dataset_release(&j->data[UL_FORGET]);
	j->data[UL_FORGET] = rows;
	return true;
}

static bool make_retain(ul_job *j, const ul_progress *p, ul_err *err)
{
	const char *path = j->run.dir ? ul_path_join(&j->arena, j->run.dir, "rows/retain.jsonl") : NULL;
	bool found;
	if (!made_before(j, UL_RETAIN, path, &found, err) || found) {
		return found;
	}
	return ul_self_rows(j, p, err) && (!path || ul_rows_hide(j, &j->data[UL_RETAIN], path, err));
}

static bool make_rows(ul_job *j, const ul_progress *p, ul_err *err)
{
	bool ok = !j->source || make_forget(j, p, err);
	if (writes_itself(j)) {
		return ok && make_retain(j, p, err);
	}
	return ok && (!j->run.data[UL_RETAIN] || ul_self_invent(j, p, err)); /* drawn anew by a resumed run: the same */
}

static void note_overlap(ul_job *j, const ul_progress *p)
{
	char text[160];
	if (!j->run.data[UL_FORGET] || !j->run.data[UL_RETAIN]) {
		return;
	}
	j->overlap = ul_dataset_overlap(j->run.data[UL_FORGET], j->run.data[UL_RETAIN]);
	if (j->overlap > 0 && p && p->note) {
		snprintf(text, sizeof text, "%d of %d forget rows also stand in the retain data: they are pulled both ways", j->overlap, j->run.data[UL_FORGET]->n);
		p->note(p->ud, text);
	}
}

/* ---- a run ---- */

/* What needs no model: every setting has its place, and what the run talks to is started. */
static bool plan(ul_job *j, const char *method, const ul_setting *s, size_t n, ul_err *err)
{
	if (!copy_settings(j, s, n, err) || !ul_resume_apply(j, method, err) || (method && !ul_recipe_expand(j, err))) {
		return false;
	}
	const char *source = ul_settings_get(j->setting, j->settings, "source");
	if (source && j->run.method != &ul_finetune) {
		j->source = ul_source_find(source, err);
		if (!j->source) {
			return false;
		}
	}
	if (!apply_settings(j, err)) {
		return false;
	}
	settle(j);
	if (!ul_watch_parse(j, err) || (j->source && j->source->prepare && !j->source->prepare(j->source_config, err))) {
		return false;
	}
	j->annotator = j->cfg.annotator ? ul_annotator_start(j->cfg.annotator, j->cfg.annotator_seconds, err) : NULL;
	return j->annotator || !j->cfg.annotator;
}

static ul_run *plan_job(const ul_method *method, const char *name, const ul_setting *s, size_t n, ul_err *err)
{
	ul_job *j = ul_calloc(1, sizeof *j);
	if (!j) {
		ul_nomem(err, sizeof *j);
		return NULL;
	}
	j->lock = -1;
	j->run.method = method;
	j->job_opts = method == &ul_finetune ? ul_train_job_opts : ul_run_job_opts;
	if (!plan(j, name, s, n, err)) {
		ul_run_free(&j->run);
		return NULL;
	}
	return &j->run;
}

bool ul_run_equip(ul_run *r, ul_model *m, ul_err *err)
{
	ul_job *j = (ul_job *)r;
	const char *method = r->method == &ul_finetune ? NULL : r->method->name;
	r->model = m;
	if (!ul_record_able(j, m, err)) {
		return false;
	}
	if ((j->cfg.output && !ul_folder_check(j, err)) || (j->cfg.resume && !ul_resume_same_model(j, err))) {
		return false;
	}
	j->summary = json_object();
	return ul_annotator_attach(j->annotator, m, err) && read_files(j, err) && ul_resume_make(j, method, err) && ul_resume_same_data(j, err);
}

ul_run *ul_run_plan(const char *method, const ul_setting *settings, size_t n, ul_err *err)
{
	const char *name = method ? method : ul_recipe_method(settings, n, err);
	if (!name) {
		ul_fail(err, "a run needs a method, or a recipe that brings one");
		return NULL;
	}
	const ul_method *found = ul_method_find(name, err);
	return found ? plan_job(found, name, settings, n, err) : NULL;
}

static ul_run *equipped(ul_run *r, ul_model *m, ul_err *err)
{
	if (r && !ul_run_equip(r, m, err)) {
		ul_run_free(r);
		return NULL;
	}
	return r;
}

ul_run *ul_run_new(ul_model *m, const char *method, const ul_setting *settings, size_t n, ul_err *err)
{
	return equipped(ul_run_plan(method, settings, n, err), m, err);
}

ul_run *ul_train_new(ul_model *m, const ul_setting *settings, size_t n, ul_err *err)
{
	return equipped(plan_job(&ul_finetune, NULL, settings, n, err), m, err);
}

/* Everything before the first step, the folder and its first state included. */
static bool begin(ul_job *j, const ul_progress *progress, ul_err *err)
{
	ul_run *r = &j->run;
	time_t t = time(NULL);
	struct tm tm;
	strftime(j->started, sizeof j->started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	r->progress = progress;
	r->origin = j->origin;
	r->renew = j->source ? renew : NULL;
	j->begun = true;
	if (r->model->adapter) {
		j->had_adapter = true;
		if (!ul_lora_merge(r->model, 1, err)) {
			return false;
		}
	}
	if (r->dir && !ul_folder_open(j, err)) {
		return false;
	}
	bool ok = make_rows(j, progress, err);
	ok = ok && ul_record_told(j, err);
	if (ok) {
		const json_t *said = json_object_get(j->summary, "relevance");
		r->relevance = json_is_number(said) ? json_number_value(said) : NAN;
		note_overlap(j, progress);
		ok = ul_loop_begin(r, err) && ul_watch_begin(j, err);
	}
	j->trained_tensors = r->params;
	for (int i = 0; ok && i < r->params; i++) {
		j->trained += (int64_t)r->param[i]->rows * r->param[i]->cols;
	}
	ok = ok && (j->cfg.resume ? ul_state_load(r, j->cfg.resume, err) : !r->dir || (ul_state_save(r, err) && ul_folder_settle(j, err)));
	if (!ok && r->dir && !j->cfg.resume) {
		ul_folder_undo(j);
	}
	return ok;
}

bool ul_run_train(ul_run *r, const ul_progress *progress, ul_err *err)
{
	ul_job *j = (ul_job *)r;
	double start = now();
	bool stopped = false;
	if (!j->begun && !begin(j, progress, err)) {
		return false;
	}
	r->progress = progress;
	r->stopped = false;
	bool ok = r->method->run ? r->method->run(r, r->config, err) : ul_loop_run(r, &stopped, err);
	if (!ok && r->dir) {
		ul_folder_failed(j, err);
	}
	if (ok && !stopped && !ul_watch_conclude(j, err)) {
		ok = false;
		if (r->dir) {
			ul_folder_finish(j, NULL);
		}
	}
	j->wall += now() - start;
	return ok;
}

/* ---- the result ---- */

/* The adapter becomes part of the weights; its parameters are gone then, and with them what the run trained. */
static bool merge_adapter(ul_job *j, ul_err *err)
{
	if (!j->run.model->adapter) {
		return true;
	}
	j->run.params = 0;
	return ul_lora_merge(j->run.model, 1, err);
}

/* Staged with force: a result without a run.json is what a killed process left, and is made again. */
static bool write_result(ul_job *j, bool adapter, ul_err *err)
{
	ul_arena a = {0};
	ul_stage stage = {0};
	ul_model *m = j->run.model;
	const char *dir = ul_path_join(&a, j->run.dir, adapter ? "adapter" : "model");
	bool ok = dir ? true : ul_nomem(err, strlen(j->run.dir));
	ok = ok && (adapter || merge_adapter(j, err)) && ul_stage_begin(&stage, dir, true, err);
	ok = ok && (adapter ? ul_lora_write(m, stage.dir, err) : ul_model_write(m, stage.dir, UL_SAVE_F32, err)) && ul_stage_commit(&stage, err);
	ul_stage_abort(&stage);
	ul_arena_release(&a);
	return ok;
}

/* The model is asked again for what it told of each subject: the rows are there until the folder is finished. */
static bool ask_subjects(ul_job *j, ul_err *err)
{
	ul_subjects s = {
	        .after = j->run.model,
	        .told = true,
	        .rows = &j->data[UL_FORGET],
	        .names = j->cfg.subjects,
	        .encode = {.templ = j->run.train.templ, .eos = UL_EOS_NONE},
	};
	return !j->source || !j->cfg.subjects || ul_subjects_ask(&s, &j->subjects, err);
}

bool ul_run_save(ul_run *r, ul_err *err)
{
	ul_job *j = (ul_job *)r;
	if (!j->cfg.output) {
		return ul_fail(err, "the run has no output folder: the setting \"output\" names it");
	}
	if (!j->begun || r->stopped) {
		ul_fail(err, "the run stopped after step %lld of %lld: there is no result to save yet", (long long)r->step, (long long)r->steps);
		ul_hint(err, "go on with --resume %s", j->cfg.output);
		return false;
	}
	bool adapter = r->train.lora && !j->had_adapter && !j->cfg.init;
	j->saved = write_result(j, adapter, err) && ask_subjects(j, err) && ul_record_write(j, err) && ul_folder_finish(j, err);
	return j->saved;
}

void ul_run_free(ul_run *r)
{
	if (!r) {
		return;
	}
	ul_job *j = (ul_job *)r;
	if (j->source && j->source->end && j->source_config) {
		j->source->end(j->source_config);
	}
	if (!j->begun && j->made) {
		ul_folder_undo(j);
	}
	if (j->lock >= 0) {
		close(j->lock);
	}
	ul_annotator_free(j->annotator);
	ul_watch_free(j->watch);
	ul_loop_end(r);
	for (int s = 0; s < UL_STREAMS; s++) {
		ul_dataset_release(&j->data[s]);
	}
	json_decref(j->origin);
	json_decref(j->summary);
	json_decref(j->told);
	json_decref(j->subjects);
	ul_arena_release(&j->arena);
	ul_free(j);
}
