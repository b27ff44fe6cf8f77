/*
 * files.c: finds the weight files of a checkpoint, maps them and lists their tensors.
 */
#include "model/files.h"
#include "model/gguf.h"
#include "model/safetensors.h"

#include <stdlib.h>
#include <string.h>

enum { INDEX_LIMIT = 64 << 20,
	MAX_SHARDS = 4096 };

ul_tensor *ul_tensors_add(ul_tensors *ts, ul_err *err)
{
	if (ts->n == ts->cap) {
		int cap = ts->cap ? 2 * ts->cap : 64;
		ul_tensor *t = ul_realloc(ts->t, (size_t)cap * sizeof *t);
		if (!t) {
			ul_nomem(err, (size_t)cap * sizeof *t);
			return NULL;
		}
		ts->t = t;
		ts->cap = cap;
	}
	ul_tensor *t = &ts->t[ts->n++];
	*t = (ul_tensor){0};
	return t;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const ul_tensor *)a)->name, ((const ul_tensor *)b)->name);
}

bool ul_tensors_sort(ul_tensors *ts, const char *what, ul_err *err)
{
	if (ts->n)
		qsort(ts->t, (size_t)ts->n, sizeof *ts->t, by_name);
	for (int i = 1; i < ts->n; i++)
		if (!strcmp(ts->t[i - 1].name, ts->t[i].name))
			return ul_fail(err, "%s: the tensor \"%s\" occurs twice", what, ts->t[i].name);
	return true;
}

ul_tensor *ul_tensors_find(const ul_tensors *ts, const char *name)
{
	ul_tensor key = {.name = name};
	return ts->n ? bsearch(&key, ts->t, (size_t)ts->n, sizeof key, by_name) : NULL;
}

void ul_tensor_shape(const ul_tensor *t, char out[96])
{
	size_t at = (size_t)snprintf(out, 96, "[");
	for (int i = 0; i < t->dims; i++)
		at += (size_t)snprintf(out + at, 96 - at, "%s%lld", i ? ", " : "", (long long)t->shape[i]);
	snprintf(out + at, 96 - at, "]");
}

/* Maps one more file. Its place in `path` and `map` stays reserved even when mapping fails, so that closing is uniform. */
static bool add_map(ul_files *f, const char *path, ul_err *err)
{
	f->path[f->maps] = ul_arena_strdup(&f->arena, path);
	if (!f->path[f->maps])
		return ul_nomem(err, strlen(path));
	if (!ul_map_open(&f->map[f->maps], path, err))
		return false;
	f->maps++;
	return true;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool reserve(ul_files *f, int n, ul_err *err)
{
	f->map = ul_alloc(&f->arena, (size_t)n * sizeof *f->map);
	f->path = ul_alloc(&f->arena, (size_t)n * sizeof *f->path);
	return (f->map && f->path) || ul_nomem(err, (size_t)n * sizeof *f->map);
}

static bool open_safetensors(ul_files *f, const char *path, ul_err *err)
{
	if (!add_map(f, path, err))
		return false;
	const ul_map *m = &f->map[f->maps - 1];
	return ul_safetensors_parse(m->data, m->len, base_name(path), &f->tensors, &f->arena, err);
}

static bool open_shards(ul_files *f, const char *dir, const char *index_path, ul_err *err)
{
	json_t *index = ul_json_file(index_path, INDEX_LIMIT, err);
	if (!index)
		return false;
	char **names;
	int n;
	bool ok = ul_safetensors_index(index, base_name(index_path), &f->arena, &names, &n, err);
	json_t *map = json_object_get(index, "weight_map");
	if (ok && n > MAX_SHARDS)
		ok = ul_fail(err, "%s: %d shards, at most %d are read", base_name(index_path), n, MAX_SHARDS);
	ok = ok && reserve(f, n, err);
	for (int i = 0; ok && i < n; i++) {
		char *path = ul_path_join(&f->arena, dir, names[i]);
		if (!path)
			ok = ul_nomem(err, strlen(dir));
		else if (!ul_file_exists(path))
			ok = ul_fail(err, "%s names the shard \"%s\", which is not in the directory", base_name(index_path), names[i]);
		else
			ok = open_safetensors(f, path, err);
	}
	ok = ok && ul_tensors_sort(&f->tensors, base_name(index_path), err);
	const char *name;
	json_t *shard;
	if (ok) {
		json_object_foreach(map, name, shard)
		{
			if (ok && !ul_tensors_find(&f->tensors, name))
				ok = ul_fail(err, "%s promises the tensor \"%s\" in \"%s\", which does not hold it", base_name(index_path), name, json_string_value(shard));
		}
	}
	json_decref(index);
	return ok;
}

static bool open_gguf(ul_files *f, const char *path, ul_err *err)
{
	if (!reserve(f, 1, err) || !add_map(f, path, err))
		return false;
	f->gguf = ul_alloc(&f->arena, sizeof *f->gguf);
	if (!f->gguf)
		return ul_nomem(err, sizeof *f->gguf);
	return ul_gguf_parse(f->map[0].data, f->map[0].len, base_name(path), f->gguf, &f->tensors, &f->arena, err) &&
	       ul_tensors_sort(&f->tensors, base_name(path), err);
}

static bool open_dir(ul_files *f, const char *dir, ul_err *err)
{
	char *single = ul_path_join(&f->arena, dir, "model.safetensors");
	char *index = ul_path_join(&f->arena, dir, "model.safetensors.index.json");
	if (!single || !index)
		return ul_nomem(err, strlen(dir));
	if (ul_file_exists(single))
		return reserve(f, 1, err) && open_safetensors(f, single, err) && ul_tensors_sort(&f->tensors, "model.safetensors", err);
	if (ul_file_exists(index))
		return open_shards(f, dir, index, err);
	char *pickle = ul_path_join(&f->arena, dir, "pytorch_model.bin");
	ul_fail(err, "%s holds neither model.safetensors nor model.safetensors.index.json", dir);
	if (pickle && ul_file_exists(pickle))
		ul_hint(err, "pytorch_model.bin runs code when it is read and is not supported: save the model with safe_serialization=True");
	return false;
}

ul_files *ul_files_open(const char *path, ul_err *err)
{
	ul_files *f = ul_calloc(1, sizeof *f);
	if (!f) {
		ul_nomem(err, sizeof *f);
		return NULL;
	}
	bool ok = ul_is_dir(path) ? open_dir(f, path, err) : open_gguf(f, path, err);
	if (ok)
		return f;
	ul_files_close(f);
	return NULL;
}

void ul_files_close(ul_files *f)
{
	if (!f)
		return;
	for (int i = 0; i < f->maps; i++)
		ul_map_close(&f->map[i]);
	ul_free(f->tensors.t);
	ul_arena_release(&f->arena);
	ul_free(f);
}
