/*
 * resume.c: what an unfinished run needs to be started again: which model, which method, which settings. It lies in the state
 * beside the counters, so that --resume DIR needs nothing else.
 */
#include "api/api.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

json_t *ul_resume_read(const char *dir, ul_err *err)
{
	ul_arena a = {0};
	const char *path = ul_path_join(&a, dir, "state/state.json");
	json_t *state = NULL, *origin;
	if (!path) {
		ul_nomem(err, strlen(dir));
	} else if (!ul_is_dir(dir)) {
		ul_fail(err, "there is no folder %s to resume from", dir);
	} else if (!ul_file_exists(path)) {
		ul_fail(err, "%s holds no state to resume from", dir);
		ul_hint(err, "a finished run has none: its result is already there");
	} else {
		state = ul_json_file(path, (size_t)64 << 20, err);
	}
	origin = json_object_get(state, "origin");
	if (state && !json_is_object(origin)) {
		ul_fail(err, "%s says nothing about the run it is of", path);
	}
	origin = json_is_object(origin) ? json_incref(origin) : NULL;
	json_decref(state);
	ul_arena_release(&a);
	return origin;
}

/* SHA-256 of the files that rows were read from, in the order of the streams. */
static json_t *hashes(const ul_job *j)
{
	json_t *a = json_array();
	for (int s = 0; s < UL_STREAMS; s++) {
		if (j->data[s].path) {
			json_array_append_new(a, json_string(j->data[s].sha256));
		}
	}
	return a;
}

bool ul_resume_same_data(const ul_job *j, ul_err *err)
{
	if (!j->cfg.resume) {
		return true;
	}
	json_t *old = ul_resume_read(j->cfg.resume, err);
	bool ok = old && json_equal(json_object_get(old, "data"), json_object_get(j->origin, "data"));
	json_decref(old);
	return ok || ul_fail(err, "the data files have changed since the run in %s began", j->cfg.resume);
}

bool ul_resume_make(ul_job *j, const char *method, ul_err *err)
{
	json_t *settings = json_object();
	for (size_t i = 0; i < j->settings; i++) {
		const char *key = j->setting[i].key;
		if (strcmp(key, "resume") && strcmp(key, "output") && strcmp(key, "force")) {
			json_object_set_new(settings, key, json_string(j->setting[i].value));
		}
	}
	j->origin = json_pack("{s:s, s:o}", "verb", method ? "run" : "train", "settings", settings);
	if (!j->origin) {
		return ul_nomem(err, 256);
	}
	if (method) {
		json_object_set_new(j->origin, "method", json_string(method));
	}
	json_object_set_new(j->origin, "data", hashes(j));
	if (j->run.model && !j->cfg.init) {
		char buffer[PATH_MAX], *path = j->run.model->path ? realpath(j->run.model->path, buffer) : NULL;
		if (!ul_model_hash(j->run.model, err)) {
			return false;
		}
		json_object_set_new(j->origin, "model", path ? json_string(path) : json_null());
		json_object_set_new(j->origin, "model_sha256", json_string(j->run.model->sha256));
	}
	return true;
}

/* ---- resuming ---- */

static bool agrees(const json_t *old, const ul_setting *s, ul_err *err)
{
	static const char *const free_ones[] = {"resume", "output", "force"};
	for (size_t i = 0; i < sizeof free_ones / sizeof free_ones[0]; i++) {
		if (!strcmp(free_ones[i], s->key)) {
			return true;
		}
	}
	const char *was = ul_json_str(old, s->key);
	if (was && !strcmp(was, s->value)) {
		return true;
	}
	ul_fail(err, "the run to resume has %s %s, not %s", s->key, was ? was : "at its default", s->value);
	ul_hint(err, "--resume takes every setting from the folder: leave it out");
	return false;
}

bool ul_resume_same_model(const ul_job *j, ul_err *err)
{
	json_t *old = ul_resume_read(j->cfg.resume, err);
	const char *sha = ul_json_str(old, "model_sha256");
	bool ok = old && (!sha || !j->run.model || ul_model_hash(j->run.model, err)); /* a model of random weights comes from no file */
	ok = ok && (!sha || !j->run.model || !strcmp(sha, j->run.model->sha256) || ul_fail(err, "the model at %s is not the one the run began with (its SHA-256 differs)", j->run.model->path));
	json_decref(old);
	return ok;
}

static bool take_settings(ul_job *j, const json_t *old, const char *dir, ul_err *err)
{
	const char *key;
	json_t *v;
	size_t n = 0;
	ul_setting *s = ul_alloc(&j->arena, (json_object_size(old) + 3) * sizeof *s);
	if (!s) {
		return ul_nomem(err, sizeof *s);
	}
	json_object_foreach((json_t *)(uintptr_t)old, key, v)
	{
		if (json_is_string(v)) {
			s[n++] = (ul_setting){ul_arena_strdup(&j->arena, key), ul_arena_strdup(&j->arena, json_string_value(v))};
		}
	}
	s[n++] = (ul_setting){"output", dir};
	s[n++] = (ul_setting){"resume", dir};
	j->setting = s;
	j->settings = n;
	return !j->arena.failed || ul_nomem(err, n);
}

bool ul_resume_apply(ul_job *j, const char *method, ul_err *err)
{
	const char *dir = ul_settings_get(j->setting, j->settings, "resume");
	if (!dir) {
		return true;
	}
	json_t *origin = ul_resume_read(dir, err);
	if (!origin) {
		return false;
	}
	const json_t *old = json_object_get(origin, "settings");
	const char *verb = ul_json_str(origin, "verb"), *was = ul_json_str(origin, "method");
	bool ok = json_is_object(old) && verb && !strcmp(verb, method ? "run" : "train") ? true : ul_fail(err, "the state in %s is not of `unlearn %s`", dir, method ? "run" : "train");
	if (ok && method && (!was || strcmp(was, method))) {
		ok = ul_fail(err, "the run in %s uses the method %s, not %s", dir, was ? was : "?", method);
	}
	for (size_t i = 0; ok && i < j->settings; i++) {
		ok = agrees(old, &j->setting[i], err);
	}
	ok = ok && take_settings(j, old, dir, err);
	json_decref(origin);
	return ok;
}
