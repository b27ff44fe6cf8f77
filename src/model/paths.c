/*
 * paths.c: which files a MODEL is read from: what a process that gives up all others has to keep.
 */
#include "base/file.h"
#include "model/model.h"

#include <dirent.h>
#include <string.h>

enum { MAX_HOPS = 8 };

static const char *const known[] = {"config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "run.json", "adapter_config.json"};

static bool is_known(const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (!strcmp(name, known[i])) {
			return true;
		}
	}
	return n > 12 && !strcmp(name + n - 12, ".safetensors");
}

struct walk {
	ul_path_fn visit;
	void *ud;
	ul_arena *a;
	ul_err *err;
};

static bool folder(const struct walk *w, const char *dir)
{
	DIR *d = opendir(dir);
	bool ok = w->visit(w->ud, dir, true);
	for (struct dirent *e; d && ok && (e = readdir(d));) {
		const char *path = is_known(e->d_name) ? ul_path_join(w->a, dir, e->d_name) : NULL;
		ok = !path || !ul_file_exists(path) || w->visit(w->ud, path, false);
	}
	if (d) {
		closedir(d);
	}
	return ok;
}

static bool inside(const struct walk *w, const char *dir, const char *name)
{
	const char *path = ul_path_join(w->a, dir, name);
	return !path || !ul_is_dir(path) || folder(w, path);
}

bool ul_model_paths(const char *path, ul_path_fn visit, void *ud, ul_err *err)
{
	ul_arena a = {0};
	struct walk w = {visit, ud, &a, err};
	bool ok = true;
	for (int hop = 0; ok && path && hop < MAX_HOPS; hop++) {
		if (!ul_is_dir(path)) {
			ok = !ul_file_exists(path) || visit(ud, path, false);
			path = ul_file_exists(path) ? NULL : ul_model_resolve(path, &a, NULL); /* org/name of the cache, or nothing: opening it will say so */
			continue;
		}
		ok = folder(&w, path) && inside(&w, path, "model") && inside(&w, path, "adapter");
		path = ok && ul_model_adapter_of(path, &a) ? ul_model_base_of(path, &a, NULL) : NULL;
	}
	ok = ok && (!a.failed || ul_nomem(err, 64));
	ul_arena_release(&a);
	return ok;
}
