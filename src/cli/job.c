/*
 * job.c: what `train` and `run` share.
 */
#include "cli/job.h"

#include <string.h>

const ul_setting *ul_job_settings(ul_cli *c, size_t *n)
{
	const ul_setting *rest = ul_cli_rest(c, n);
	ul_setting *all = rest ? ul_alloc(&c->arena, (*n + 3) * sizeof *all) : NULL;
	if (!all) {
		ul_nomem(&c->err, *n);
		return NULL;
	}
	memcpy(all, rest, *n * sizeof *all);
	if (c->seed != 0) {
		all[(*n)++] = (ul_setting){"seed", ul_arena_printf(&c->arena, "%lld", (long long)c->seed)};
	}
	if (c->force) {
		all[(*n)++] = (ul_setting){"force", "yes"};
	}
	if (c->adapter) {
		all[(*n)++] = (ul_setting){"adapter", c->adapter};
	}
	return all;
}

const ul_setting *ul_job_inner(ul_cli *c, size_t *n, const char **output)
{
	const ul_setting *all = ul_job_settings(c, n);
	ul_setting *kept = all ? ul_alloc(&c->arena, (*n + 1) * sizeof *kept) : NULL;
	size_t k = 0;
	if (!kept) {
		return NULL;
	}
	*output = ul_settings_get(all, *n, "output");
	for (size_t i = 0; i < *n; i++) {
		if (strcmp(all[i].key, "output") && strcmp(all[i].key, "force") && strcmp(all[i].key, "adapter")) {
			kept[k++] = all[i];
		}
	}
	*n = k;
	return kept;
}

const ul_setting *ul_job_origin(ul_cli *c, const char *dir, size_t *n)
{
	json_t *origin = ul_resume_read(dir, &c->err), *v;
	json_t *old = json_object_get(origin, "settings");
	ul_setting *s = origin ? ul_alloc(&c->arena, (json_object_size(old) + 2) * sizeof *s) : NULL;
	const char *key, *const own[] = {"method", "model"};
	*n = 0;
	json_object_foreach(old, key, v)
	{
		if (s && json_is_string(v)) {
			s[(*n)++] = (ul_setting){ul_arena_strdup(&c->arena, key), ul_arena_strdup(&c->arena, json_string_value(v))};
		}
	}
	for (int i = 0; s && i < 2; i++) {
		const char *text = ul_json_str(origin, own[i]);
		if (text) {
			s[(*n)++] = (ul_setting){own[i], ul_arena_strdup(&c->arena, text)};
		}
	}
	if (origin && (!s || c->arena.failed)) {
		ul_nomem(&c->err, *n);
		s = NULL;
	}
	json_decref(origin);
	return s;
}

/* A run that ended well, but not where it was asked to. */
static int verdict(ul_cli *c, const ul_job *j)
{
	if (!j->run.unmet.msg[0]) {
		return UL_EXIT_DONE;
	}
	ul_fail(&c->err, "%s", j->run.unmet.msg);
	return UL_EXIT_VERDICT;
}

int ul_job_do(ul_cli *c, ul_run *r)
{
	int rc = UL_EXIT_FAILED;
	if (r && ul_run_train(r, &c->progress, &c->err)) {
		if (r->stopped) {
			ul_fail(&c->err, "stopped after step %lld of %lld", (long long)r->step, (long long)r->steps);
			ul_hint(&c->err, "go on with --resume %s", r->dir);
			rc = UL_EXIT_INTERRUPTED;
		} else if (ul_run_save(r, &c->err)) {
			rc = verdict(c, (const ul_job *)r);
		}
	}
	ul_run_free(r);
	return rc;
}
