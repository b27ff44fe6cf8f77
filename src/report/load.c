/*
 * load.c: a folder's JSON as a story. Whatever is missing stays missing: a report of a half-finished run is still a report.
 */
#include "report/parts.h"

#include "audits/audit.h"
#include "base/file.h"

#include <math.h>
#include <string.h>

#define MAX_FILE ((size_t)256 << 20)
enum { MAX_LINES = 200000 };

double ul_json_get(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	return json_is_number(v) ? json_number_value(v) : NAN;
}

static bool read_object(json_t **out, const char *dir, const char *name, ul_arena *a, ul_err *err)
{
	const char *path = ul_path_join(a, dir, name);
	if (!path)
		return ul_nomem(err, strlen(dir));
	if (!ul_file_exists(path))
		return true;
	if (!(*out = ul_json_file(path, MAX_FILE, err)))
		return false;
	return json_is_object(*out) || ul_fail(err, "%s is not a JSON object", path);
}

/* The lines of a JSONL file; one that is broken (the last of a killed run) ends the story there. */
static bool read_lines(json_t **out, const char *dir, const char *name, ul_arena *a, ul_err *err)
{
	const char *path = ul_path_join(a, dir, name);
	*out = json_array();
	if (!path || !*out)
		return ul_nomem(err, strlen(dir));
	if (!ul_file_exists(path))
		return true;
	ul_buf text = {0};
	if (!ul_file_read(&text, path, MAX_FILE, err)) {
		ul_buf_release(&text);
		return false;
	}
	const char *at = text.data, *end;
	for (int n = 0; at && n < MAX_LINES && (end = strchr(at, '\n')); at = end + 1, n++) {
		ul_err ignored = {0};
		json_t *v = end > at ? ul_json_parse(at, (size_t)(end - at), name, &ignored) : NULL;
		if (!v && end > at)
			break;
		if (v)
			json_array_append_new(*out, v);
	}
	ul_buf_release(&text);
	return true;
}

/* ---- lines ---- */

static const ul_audit_def *definition(const char *name)
{
	for (int i = 0; ul_audits[i]; i++)
		if (!strcmp(ul_audits[i]->name, name))
			return ul_audits[i];
	return NULL;
}

static enum ul_group group_of(const json_t *line, const ul_audit_def *d, const ul_wording *w)
{
	static const char *const kinds[] = {"utility", "forgetting", "privacy", "information"};
	const char *kind = ul_json_str(line, "kind");
	for (int i = 0; kind && i < UL_G_GROUPS; i++)
		if (!strcmp(kind, kinds[i]))
			return (enum ul_group)i;
	return d && d->kind <= UL_K_INFO ? (enum ul_group)d->kind : w ? w->group
	                                                              : UL_G_INFO;
}

static double pair_at(const json_t *o, const char *key, size_t i)
{
	const json_t *v = json_array_get(json_object_get(o, key), i);
	return json_is_number(v) ? json_number_value(v) : NAN;
}

static int whole(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	return json_is_number(v) && json_number_value(v) > 0 && json_number_value(v) < 1e9 ? (int)json_number_value(v) : 0;
}

static const char *label_of(const char *name, const json_t *v)
{
	const ul_audit_def *d = definition(name);
	const ul_wording *w = ul_wording_of(name);
	const char *title = ul_json_str(v, "title");
	return w ? w->label : title   ? title
	              : d && d->title ? d->title
	                              : name;
}

/* Of an attack: how many members it finds at the smallest rate of false alarms that the never-seen rows allow to fix. */
static const char *note_of(const json_t *v, ul_arena *a)
{
	const json_t *list = json_object_get(v, "tpr_at_fpr"), *best = NULL, *at;
	size_t i;
	json_array_foreach(list, i, at) best = json_is_object(json_object_get(at, "after")) ? at : best;
	if (!best)
		return NULL;
	const json_t *now = json_object_get(best, "after");
	double share = ul_json_get(now, "tpr"), rate = ul_json_get(best, "fpr"), oracle = ul_json_get(json_object_get(best, "oracle"), "tpr");
	const char *reference = isnan(oracle) ? "" : ul_arena_printf(a, ", reference %.0f %%", 100 * oracle);
	return ul_arena_printf(a, "finds %.0f %% (%.0f to %.0f) at %.3g %% false alarms%s", 100 * share, 100 * pair_at(now, "ci", 0), 100 * pair_at(now, "ci", 1), 100 * rate, reference);
}

static void read_line(ul_entry *l, const char *name, const json_t *v, ul_arena *a)
{
	const ul_audit_def *d = definition(name);
	const ul_wording *w = ul_wording_of(name);
	*l = (ul_entry){.name = name, .label = label_of(name, v), .verdict = ul_json_str(v, "verdict"), .against = ul_json_str(v, "against"), .unit = w ? w->unit : UL_U_PLAIN, .group = group_of(v, d, w)};
	l->value = ul_json_get(v, "value");
	l->before = ul_json_get(v, "before");
	l->reference = ul_json_get(v, "reference");
	l->oracle = ul_json_get(v, "oracle");
	l->margin = ul_json_get(v, "margin");
	l->n = whole(v, "n");
	l->people = whole(v, "clusters");
	l->needed = whole(v, "n_needed");
	l->required = json_is_true(json_object_get(v, "required"));
	l->gate = json_is_true(json_object_get(v, "gate"));
	l->diff = ul_json_get(v, "difference");
	l->lo = pair_at(v, "difference_ci", 0);
	l->hi = pair_at(v, "difference_ci", 1);
	l->was = (d && d->sign < 0 ? -1 : 1) * (l->before - l->reference);
	l->tested = !isnan(l->value);
	l->note = note_of(v, a);
	l->judged = l->tested && l->verdict && l->margin > 0 && !isnan(l->diff);
}

static bool read_scores(ul_story *s, ul_err *err)
{
	json_t *audits = json_object_get(s->scores, "audits"), *untested = json_object_get(s->scores, "not_tested"), *v;
	const char *key;
	s->verdict = ul_json_str(s->scores, "verdict");
	s->mode = ul_json_str(s->scores, "mode");
	size_t n = json_object_size(audits) + json_object_size(untested);
	s->line = ul_alloc(s->arena, (n + 1) * sizeof *s->line);
	if (!s->line)
		return ul_nomem(err, n * sizeof *s->line);
	json_object_foreach(audits, key, v) if (json_is_object(v)) read_line(&s->line[s->lines++], key, v, s->arena);
	json_object_foreach(untested, key, v)
	{
		ul_entry *l = &s->line[s->lines++];
		*l = (ul_entry){.name = key, .label = label_of(key, NULL), .value = NAN, .before = NAN, .reference = NAN, .oracle = NAN, .untested = json_is_string(v) ? json_string_value(v) : ""};
	}
	return true;
}

const ul_entry *ul_story_line(const ul_story *s, const char *name)
{
	for (int i = 0; i < s->lines; i++)
		if (!strcmp(s->line[i].name, name))
			return &s->line[i];
	return NULL;
}

/* ---- folders ---- */

/* The run that made the audited model, by the name it was audited under or the path it was opened from: its folder, or model/ or
 * adapter/ in it. */
static const char *audited_folder(const ul_story *s)
{
	const char *path = ul_json_str(s->scores, "model");
	path = path ? path : ul_json_str(json_object_get(json_object_get(s->scores, "models"), "after"), "path");
	char *folder = path ? ul_arena_strdup(s->arena, path) : NULL;
	for (int up = 0; folder && up < 2; up++) {
		const char *record = ul_path_join(s->arena, folder, "run.json");
		if (record && ul_file_exists(record))
			return folder;
		char *slash = strrchr(folder, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return NULL;
}

static const char *base_name(const char *path, ul_arena *a)
{
	char *copy = ul_arena_strdup(a, path);
	size_t n = copy ? strlen(copy) : 0;
	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	const char *slash = copy ? strrchr(copy, '/') : NULL;
	return slash && slash[1] ? slash + 1 : copy ? copy
	                                            : path;
}

/* Rows that a run with --keep-data left. */
static bool read_rows(ul_story *s, const char *dir, ul_err *err)
{
	if (!s->run || !json_is_object(json_object_get(s->run, "source")))
		return true; /* nothing was made */
	if (!read_lines(&s->rows, dir, "forget.jsonl", s->arena, err))
		return false;
	return json_array_size(s->rows) || ul_fail(err, "\"%.200s\" does not hold the rows its run made: only a run with --keep-data leaves them", dir);
}

bool ul_story_load(ul_story *s, const char *dir, bool rows, ul_arena *a, ul_err *err)
{
	*s = (ul_story){.arena = a, .dir = dir, .title = base_name(dir, a)};
	if (!ul_is_dir(dir))
		return ul_fail(err, "\"%.200s\" is not a folder", dir);
	if (!read_object(&s->run, dir, "run.json", a, err) || !read_object(&s->scores, dir, "scores.json", a, err))
		return false;
	if (!s->run && !s->scores) {
		ul_fail(err, "\"%.200s\" holds neither run.json nor scores.json", dir);
		ul_hint(err, "give a folder written by \"unlearn run\" or \"unlearn audit\"");
		return false;
	}
	const char *story = s->run ? NULL : audited_folder(s);
	if (!story || !ul_is_dir(story))
		story = dir;
	else if (!read_object(&s->run, story, "run.json", a, err))
		return false;
	else
		s->title = base_name(story, a); /* the request has a name for readers, its audit is about it */
	if (rows && !read_rows(s, story, err))
		return false;
	if (!read_lines(&s->journal, story, "journal.jsonl", a, err))
		return false;
	return read_lines(&s->items, dir, "scores.jsonl", a, err) && (!s->scores || read_scores(s, err));
}

void ul_story_release(ul_story *s)
{
	json_decref(s->run);
	json_decref(s->scores);
	json_decref(s->journal);
	json_decref(s->items);
	json_decref(s->rows);
}
