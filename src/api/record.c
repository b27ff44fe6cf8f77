/*
 * record.c: run.json, the record of what was done: every setting after defaults, hashes of every input, seeds, machine, time.
 */
#include "api/watch.h"
#include "data/redact.h"
#include "tensor/backend.h"
#include "text/unicode.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static json_t *cpu_name(void)
{
	char line[512];
	json_t *name = NULL;
	FILE *f = fopen("/proc/cpuinfo", "r");
	while (f && !name && fgets(line, sizeof line, f)) {
		char *colon = strchr(line, ':');
		if (!strncmp(line, "model name", 10) && colon) {
			colon += 1 + strspn(colon + 1, " \t");
			colon[strcspn(colon, "\n")] = 0;
			name = json_string(colon);
		}
	}
	if (f) {
		fclose(f);
	}
	return name ? name : json_null();
}

json_t *ul_machine(void)
{
	struct utsname u = {0};
	uname(&u);
	json_int_t bytes = (json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	return json_pack("{s:o, s:i, s:I, s:s, s:s}", "cpu", cpu_name(), "cores", (int)sysconf(_SC_NPROCESSORS_ONLN), "memory_bytes", bytes, "system", u.sysname, "architecture", u.machine);
}

static json_t *input(const char *role, const ul_dataset *d)
{
	json_t *o = json_pack("{s:s, s:i, s:I, s:I, s:i}", "role", role, "rows", d->n, "tokens", (json_int_t)d->tokens, "labels", (json_int_t)d->labels, "cut", d->cut);
	if (d->path) {
		char buffer[PATH_MAX], *path = realpath(d->path, buffer);
		json_object_set_new(o, "path", json_string(path ? path : d->path));
		json_object_set_new(o, "sha256", json_string(d->sha256));
	}
	return o;
}

static json_t *file_input(const char *role, const char *path)
{
	char hex[65] = "";
	ul_sha256_file(path, hex, NULL);
	return json_pack("{s:s, s:s, s:s}", "role", role, "path", path, "sha256", hex);
}

static json_t *inputs(const ul_job *j)
{
	const ul_run *r = &j->run;
	json_t *a = json_array();
	if (r->data[UL_FORGET]) {
		json_array_append_new(a, input(r->method == &ul_finetune ? "data" : "forget", r->data[UL_FORGET]));
	}
	if (r->data[UL_RETAIN]) {
		json_array_append_new(a, input("retain", r->data[UL_RETAIN]));
	}
	if (r->eval) {
		json_array_append_new(a, input("eval", r->eval));
	}
	if (r->train.idk) {
		json_array_append_new(a, file_input("refusals", r->train.idk));
	}
	if (j->cfg.general) {
		json_array_append_new(a, file_input("general", j->cfg.general));
	}
	if (j->cfg.subjects) {
		json_array_append_new(a, file_input("subjects", j->cfg.subjects));
	}
	return a;
}

static json_t *settings(const ul_job *j)
{
	const ul_run *r = &j->run;
	json_t *all = ul_opts_json(ul_train_opts, &r->train);
	json_t *more[] = {ul_opts_json(j->job_opts, &j->cfg), r->method->opts ? ul_opts_json(r->method->opts, r->config) : NULL};
	for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
		json_object_update_missing(all, more[i]);
		json_decref(more[i]);
	}
	return all;
}

static json_t *source(const ul_job *j)
{
	if (!j->source) {
		return json_null();
	}
	json_t *o = json_pack("{s:s}", "name", j->source->name);
	if (j->source->opts) {
		json_object_set_new(o, "settings", ul_opts_json(j->source->opts, j->source_config));
	}
	json_object_set(o, "summary", j->summary);
	return o;
}

static json_t *last_terms(const ul_run *r)
{
	json_t *o = json_pack("{s:o}", "loss", ul_json_number(r->loss));
	for (int i = 0; i < r->terms; i++) {
		json_object_set_new(o, r->term[i].name, ul_json_number(r->term[i].value));
	}
	return o;
}

static void set_base(const ul_job *j, json_t *o)
{
	const ul_model *m = j->run.model;
	if (j->cfg.init) {
		json_object_set_new(o, "init", json_string(j->cfg.init));
		return;
	}
	json_object_set(o, "base", json_object_get(j->origin, "model"));
	json_object_set_new(o, "base_sha256", json_string(m->sha256));
	json_object_set_new(o, "base_adapter_merged", json_boolean(j->had_adapter));
}

/* run.json is JSON, and JSON is UTF-8: what is named in other bytes could not be found again from it. */
bool ul_record_able(const ul_job *j, const ul_model *m, ul_err *err)
{
	if (m->path && !ul_utf8_ok(m->path, strlen(m->path))) {
		return ul_fail(err, "the path of the model is not UTF-8, as what run.json records must be");
	}
	for (size_t i = 0; i < j->settings; i++) {
		if (!ul_utf8_ok(j->setting[i].value, strlen(j->setting[i].value))) {
			return ul_fail(err, "option \"%s\" is not UTF-8, as what run.json records must be", j->setting[i].key);
		}
	}
	return true;
}

/* While the rows are there: a run may throw them away, and make others. */
bool ul_record_told(ul_job *j, ul_err *err)
{
	if (!j->source) {
		return true;
	}
	j->rows_told = j->data[UL_FORGET].n;
	j->told = ul_redacted(&j->data[UL_FORGET]);
	return j->told || ul_nomem(err, 64);
}

bool ul_record_write(ul_job *j, ul_err *err)
{
	const ul_run *r = &j->run;
	const char *path = ul_path_join(&j->arena, r->dir, "run.json");
	bool tuning = r->method == &ul_finetune, adapter = r->train.lora && !j->had_adapter && !j->cfg.init;
	json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:s}", "schema", 1, "program", "unlearn", "version", UL_VERSION, "verb", tuning ? "train" : "run", "result", adapter ? "adapter" : "model");
	if (!path || !o) {
		json_decref(o);
		return ul_nomem(err, 256);
	}
	if (!tuning) {
		json_object_set_new(o, "recipe", j->cfg.recipe ? json_string(j->cfg.recipe) : json_null());
		json_object_set_new(o, "method", json_string(r->method->name));
		json_object_set_new(o, "paper", json_string(r->method->paper));
	}
	set_base(j, o);
	json_object_set_new(o, "settings", settings(j));
	json_object_set_new(o, "source", source(j));
	if (j->told) {
		json_object_set_new(o, "told", json_pack("{s:i, s:O}", "rows", j->rows_told, "shown", j->told));
	}
	if (r->unmet.msg[0]) {
		json_object_set_new(o, "unmet", json_string(r->unmet.msg));
	}
	if (j->subjects) {
		json_object_set(o, "subjects", j->subjects);
	}
	json_object_set_new(o, "inputs", inputs(j));
	json_object_set_new(o, "forget_retain_overlap", json_integer(j->overlap));
	json_object_set_new(o, "trained", json_pack("{s:I, s:i, s:b}", "parameters", (json_int_t)j->trained, "tensors", j->trained_tensors, "lora", r->train.lora != NULL));
	json_object_set_new(o, "seed", json_integer(r->train.seed));
	json_object_set_new(o, "threads", json_integer(ul_threads()));
	json_object_set_new(o, "backend", json_string(r->model->be->name));
	json_object_set_new(o, "precision", json_string(ul_precision() == UL_PRECISION_BF16 ? "bf16" : "f32"));
	if (ul_precision() == UL_PRECISION_BF16) {
		json_object_set_new(o, "product_error", ul_json_number(ul_product_error()));
	}
	json_object_set_new(o, "machine", ul_machine());
	json_object_set_new(o, "started", json_string(j->started));
	json_object_set_new(o, "wall_seconds", ul_json_number(j->wall));
	json_object_set_new(o, "train_seconds", ul_json_number(r->seconds));
	json_object_set_new(o, "steps", json_integer(r->step));
	json_object_set_new(o, "steps_planned", json_integer(r->steps));
	json_object_set_new(o, "tokens", json_integer(r->tokens));
	json_object_set_new(o, "last_step", last_terms(r));
	json_object_set_new(o, "watch", ul_watch_json(j));
	if (j->cfg.data_free) {
		json_object_set_new(o, "data_free", ul_outset_json(j));
	}
	ul_crash_point("manifest");
	bool ok = ul_json_write(path, o, err);
	json_decref(o);
	return ok;
}
