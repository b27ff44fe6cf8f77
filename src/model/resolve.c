/*
 * resolve.c: what a user may name as MODEL: a Hugging Face directory, a .gguf file, a run folder, or org/name in the local
 * Hugging Face cache.
 */
#include "base/file.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

enum { RUN_LIMIT = 16 << 20,
	MAX_HOPS = 8 };

static bool holds(const char *dir, const char *name, ul_arena *a)
{
	char *path = ul_path_join(a, dir, name);
	return path && (ul_file_exists(path) || ul_is_dir(path));
}

/* Where huggingface_hub keeps what it fetched, by the variables it obeys and in their order. NULL without any. */
static char *cache_root(ul_arena *a)
{
	static const struct {
		const char *variable, *below;
	} roots[] = {{"HF_HUB_CACHE", ""}, {"HUGGINGFACE_HUB_CACHE", ""}, {"HF_HOME", "/hub"}, {"XDG_CACHE_HOME", "/huggingface/hub"}, {"HOME", "/.cache/huggingface/hub"}};
	for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
		const char *at = getenv(roots[i].variable);
		if (at && *at)
			return ul_arena_printf(a, "%s%s", at, roots[i].below);
	}
	return NULL;
}

/* "org/name" or "name": what could be a repository. */
static bool repository(const char *s)
{
	int slashes = 0;
	if (!*s || *s == '/' || *s == '.')
		return false;
	for (; *s; s++) {
		if (*s == '/')
			slashes++;
		else if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", *s))
			return false;
	}
	return slashes <= 1;
}

/* models--org--name/snapshots/<revision that refs/main names>. */
static char *in_cache(const char *name, ul_arena *a)
{
	char *root = cache_root(a), *folder = ul_arena_printf(a, "models--%s", name);
	if (!root || !folder)
		return NULL;
	char *slash = strchr(folder, '/');
	if (slash)
		folder = ul_arena_printf(a, "%.*s--%s", (int)(slash - folder), folder, slash + 1);
	char *ref = folder ? ul_arena_printf(a, "%s/%s/refs/main", root, folder) : NULL;
	ul_buf rev = {0};
	char *dir = NULL;
	if (ref && ul_file_exists(ref) && ul_file_read(&rev, ref, 256, NULL) && rev.data) {
		rev.data[strcspn(rev.data, " \r\n\t/")] = 0;
		dir = ul_arena_printf(a, "%s/%s/snapshots/%s", root, folder, rev.data);
	}
	ul_buf_release(&rev);
	return dir && ul_is_dir(dir) ? dir : NULL;
}

const char *ul_model_base_of(const char *dir, ul_arena *a, ul_err *err)
{
	char *path = ul_path_join(a, dir, "run.json");
	json_t *run = path ? ul_json_file(path, RUN_LIMIT, err) : NULL;
	if (!run)
		return NULL;
	const char *base = ul_json_str(run, "base");
	char *copy = base ? ul_arena_strdup(a, base) : NULL;
	if (!base)
		ul_fail(err, "%s/run.json does not say which model its adapter stands on (\"base\")", dir);
	json_decref(run);
	return copy;
}

static const char *resolve(const char *path, ul_arena *a, ul_err *err)
{
	if (!*path) {
		ul_fail(err, "the name of a model is empty");
		ul_hint(err, "a Hugging Face directory, a .gguf file, a run folder, or org/name in the local Hugging Face cache");
		return NULL;
	}
	for (int hop = 0; hop < MAX_HOPS; hop++) {
		if (ul_is_dir(path)) {
			if (holds(path, "config.json", a))
				return path;
			if (holds(path, "model/config.json", a))
				return ul_path_join(a, path, "model");
			if (!holds(path, "run.json", a) || !holds(path, "adapter", a))
				return path; /* opening it says what is missing */
			path = ul_model_base_of(path, a, err);
			if (!path)
				return NULL;
			continue;
		}
		if (ul_file_exists(path))
			return path;
		const char *cached = repository(path) ? in_cache(path, a) : NULL;
		if (cached)
			return cached;
		ul_fail(err, "there is no model at %s", path);
		if (repository(path) && strchr(path, '/'))
			ul_hint(err, "it is not in the local Hugging Face cache either, and nothing is ever downloaded: fetch it with `hf download %s`", path);
		return NULL;
	}
	ul_fail(err, "run folders stand on each other more than %d deep at %s", MAX_HOPS, path);
	return NULL;
}

const char *ul_model_resolve(const char *path, ul_arena *a, ul_err *err)
{
	ul_err why = {0};
	const char *found = resolve(path, a, &why);
	if (a->failed) { /* a name that could not be built was taken for one that does not exist */
		ul_nomem(err, strlen(path));
		return NULL;
	}
	if (found)
		return found;
	ul_fail(err, "%s", why.msg);
	if (*why.hint)
		ul_hint(err, "%s", why.hint);
	return NULL;
}

char *ul_model_adapter_of(const char *path, ul_arena *a)
{
	if (!ul_is_dir(path) || holds(path, "config.json", a) || holds(path, "model/config.json", a) || !holds(path, "adapter/adapter_config.json", a))
		return NULL;
	return ul_path_join(a, path, "adapter");
}
