/*
 * outset.c: what happens before the model is opened: commands that the run talks to are started, and with --data-free the process then
 * gives up every file that was not named, and the network (base/confine.h).
 */
#include "api/api.h"

#include "base/file.h"
#include "model/model.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct list {
	ul_job *j;
	ul_grant *at;
	int n, cap;
	ul_err *err;
};

static bool add(struct list *l, enum ul_grant_kind kind, const char *path)
{
	if (l->n == l->cap) {
		int cap = l->cap ? 2 * l->cap : 32;
		ul_grant *more = ul_alloc(&l->j->arena, (size_t)cap * sizeof *more);
		if (!more) {
			return ul_nomem(l->err, (size_t)cap * sizeof *more);
		}
		if (l->n) {
			memcpy(more, l->at, (size_t)l->n * sizeof *more);
		}
		l->at = more;
		l->cap = cap;
	}
	const char *copy = ul_arena_strdup(&l->j->arena, path);
	l->at[l->n++] = (ul_grant){kind, copy};
	return copy || ul_nomem(l->err, strlen(path));
}

static bool visit(void *ud, const char *path, bool folder)
{
	return add(ud, folder ? UL_GRANT_LIST : UL_GRANT_READ, path);
}

/* What is asked of the machine itself: how many processors, how much memory. */
static bool add_machine(struct list *l)
{
	static const char *const path[] = {"/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system/cpu", "/dev/null", "/dev/urandom"};
	bool ok = true;
	for (size_t i = 0; ok && i < sizeof path / sizeof *path; i++) {
		ok = add(l, UL_GRANT_READ, path[i]);
	}
	return ok;
}

/* Every value that names something that is there: a file, or a folder that holds a model. */
static bool add_named(struct list *l)
{
	const ul_job *j = l->j;
	bool ok = true;
	for (size_t i = 0; ok && i < j->settings; i++) {
		const char *key = j->setting[i].key, *value = j->setting[i].value;
		if (!strcmp(key, "output") || !strcmp(key, "resume")) {
			continue;
		}
		if (!strcmp(key, "cache") && *value && !ul_is_dir(value) && !ul_mkdirs(value, l->err)) { /* only what is there can be granted */
			return false;
		}
		if (ul_is_dir(value)) {
			ok = !strcmp(key, "cache") ? add(l, UL_GRANT_TREE, value) : ul_model_paths(value, visit, l, l->err);
		} else if (ul_file_exists(value)) {
			ok = add(l, UL_GRANT_READ, value);
		}
	}
	return ok;
}

static const char *parent(ul_arena *a, const char *path)
{
	char buffer[PATH_MAX], *real = realpath(path, buffer), *slash = real ? strrchr(real, '/') : NULL;
	if (!slash) {
		return NULL;
	}
	slash[slash == real] = 0;
	return ul_arena_strdup(a, real);
}

static bool add_output(struct list *l)
{
	ul_job *j = l->j;
	if (!j->cfg.output) {
		return true;
	}
	if (!ul_file_exists(j->cfg.output) && !ul_is_dir(j->cfg.output)) { /* it must be there to be granted */
		if (!ul_mkdirs(j->cfg.output, l->err)) {
			return false;
		}
		j->made = true;
	}
	const char *above = j->made ? parent(&j->arena, j->cfg.output) : NULL;
	return add(l, UL_GRANT_TREE, j->cfg.output) && (!above || add(l, UL_GRANT_REMOVE, above));
}

bool ul_run_outset(ul_run *r, const char *model, const char *adapter, const ul_progress *p, ul_err *err)
{
	ul_job *j = (ul_job *)r;
	struct list l = {.j = j, .err = err};
	if (!j->cfg.data_free) {
		return true;
	}
	const char *apart = ul_settings_get(j->setting, j->settings, "apart");
	if (apart) {
		ul_fail(err, "--apart %s: rows of real people are what a run with --data-free must not see", apart);
		ul_hint(err, "`unlearn audit --source-rows F --pool P` compares pool and truth afterwards");
		return false;
	}
	bool ok = add_machine(&l) && add_output(&l) && add_named(&l) && ul_model_paths(model, visit, &l, err) && (!adapter || ul_model_paths(adapter, visit, &l, err));
	ok = ok && ul_confine(l.at, l.n, &j->confined, err);
	j->grant = l.at;
	j->grants = ok ? l.n : 0;
	if (ok && j->confined.words[0] && p && p->note) {
		p->note(p->ud, j->confined.words);
	}
	return ok;
}

/* ---- for run.json ---- */

static bool is_machine(const char *path)
{
	return !strncmp(path, "/proc/", 6) || !strncmp(path, "/sys/", 5) || !strncmp(path, "/dev/", 5);
}

json_t *ul_outset_json(const ul_job *j)
{
	json_t *files = json_array();
	for (int i = 0; i < j->grants; i++) {
		const ul_grant *g = &j->grant[i];
		char hex[65] = "", buffer[PATH_MAX], *real;
		if (g->kind == UL_GRANT_READ && !is_machine(g->path) && ul_sha256_file(g->path, hex, NULL)) {
			real = realpath(g->path, buffer);
			json_array_append_new(files, json_pack("{s:s, s:s}", "path", real ? real : g->path, "sha256", hex));
		}
	}
	return json_pack("{s:b, s:b, s:i, s:s?, s:o}", "files_confined", j->confined.files, "network_shut", j->confined.network, "landlock", j->confined.landlock, "annotator", j->cfg.annotator, "files_read", files);
}
