/*
 * save.c: a model becomes a Hugging Face directory; and the hash that says which weights a model was opened from.
 */
#include "model/gguf.h"
#include "model/safetensors.h"
#include "tensor/backend.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	enum ul_dtype dtype;
	const char *torch;
} saves[] = {
        [UL_SAVE_F32] = {UL_F32, "float32"},
        [UL_SAVE_F16] = {UL_F16, "float16"},
        [UL_SAVE_BF16] = {UL_BF16, "bfloat16"},
};

/* The configuration as it was read, with the dtype of these files and the tying spelt out. */
static json_t *config_to_save(const ul_model *m, int dtype)
{
	json_t *config = json_deep_copy(m->config);
	if (!config)
		return NULL;
	json_object_set_new(config, json_object_get(config, "dtype") ? "dtype" : "torch_dtype", json_string(saves[dtype].torch));
	json_object_set_new(config, "tie_word_embeddings", json_boolean(m->cfg.tied));
	return config;
}

static bool write_weights(const ul_model *m, const ul_st_many *f, int dtype, ul_err *err)
{
	ul_st_out *out = ul_calloc((size_t)m->params, sizeof *out);
	if (!out)
		return ul_nomem(err, (size_t)m->params * sizeof *out);
	for (int i = 0; i < m->params; i++) {
		ul_param *p = m->param[i];
		if (p->packed && p->transposed && !ul_param_own(p, err)) { /* turned element by element */
			ul_free(out);
			return false;
		}
		out[i] = (ul_st_out){.name = p->name, .be = p->be, .data = p->packed ? p->packed : p->data, .as = p->packed ? p->dtype : UL_F32, .dims = p->vector ? 1 : 2, .shape = {p->rows, p->cols}};
		if (p->vector)
			out[i].shape[0] = p->cols;
		if (p->transposed) {
			out[i].transpose = true;
			out[i].shape[0] = p->cols;
			out[i].shape[1] = p->rows;
		}
	}
	bool ok = ul_safetensors_many(f, out, m->params, saves[dtype].dtype, err);
	ul_free(out);
	return ok;
}

/* All but the weights. */
static bool write_rest(const ul_model *m, const char *dir, int dtype, ul_err *err)
{
	ul_arena a = {0};
	char *path = ul_path_join(&a, dir, "config.json");
	json_t *config = config_to_save(m, dtype);
	bool ok = ((path && config) || ul_nomem(err, 64)) && ul_json_write(path, config, err) && (!m->tok || ul_tok_save(m->tok, dir, err));
	json_decref(config);
	ul_arena_release(&a);
	return ok;
}

bool ul_model_write_many(const ul_model *m, const char *const *dir, int n, int dtype, ul_params_fill fill, void *ud, ul_err *err)
{
	if (m->adapter)
		return ul_fail(err, "the model carries an adapter: merge it, or write the adapter instead");
	ul_arena a = {0};
	const char **path = ul_alloc(&a, (size_t)n * sizeof *path);
	bool ok = path || ul_nomem(err, (size_t)n * sizeof *path);
	for (int k = 0; ok && k < n; k++)
		ok = ((path[k] = ul_path_join(&a, dir[k], "model.safetensors")) || ul_nomem(err, 64)) && write_rest(m, dir[k], dtype, err);
	ok = ok && write_weights(m, &(ul_st_many){path, n, fill, ud}, dtype, err);
	ul_arena_release(&a);
	return ok;
}

typedef struct one_fill {
	ul_param_fill fill;
	void *ud;
} one_fill;

static bool fill_one(void *ud, int k, int i, float *room, ul_err *err)
{
	const one_fill *f = ud;
	return f->fill(f->ud, i, room, err);
}

bool ul_model_write_as(const ul_model *m, const char *dir, int dtype, ul_param_fill fill, void *ud, ul_err *err)
{
	return ul_model_write_many(m, &dir, 1, dtype, fill ? fill_one : NULL, &(one_fill){fill, ud}, err);
}

bool ul_model_write(ul_model *m, const char *dir, int dtype, ul_err *err)
{
	return ul_model_write_as(m, dir, dtype, NULL, NULL, err);
}

/* ---- identity ---- */

static int by_path(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void ul_model_rest(const ul_model *m)
{
	for (int i = 0; m->files && i < m->files->maps; i++)
		ul_map_rest(&m->files->map[i]);
}

static void hash_map(const ul_map *map, ul_sha *sha)
{
	enum { PIECE = 8 << 20 };
	for (size_t at = 0; at < map->len; at += PIECE) {
		ul_sha_add(sha, map->data + at, map->len - at < PIECE ? map->len - at : PIECE);
		ul_map_rest(map);
	}
}

static bool hash_files(const ul_model *m, ul_sha *sha, ul_err *err)
{
	const ul_files *f = m->files;
	const char **order = ul_calloc((size_t)f->maps, sizeof *order);
	if (!order)
		return ul_nomem(err, (size_t)f->maps * sizeof *order);
	for (int i = 0; i < f->maps; i++)
		order[i] = f->path[i];
	qsort(order, (size_t)f->maps, sizeof *order, by_path);
	for (int i = 0; i < f->maps; i++)
		for (int k = 0; k < f->maps; k++)
			if (f->path[k] == order[i])
				hash_map(&f->map[k], sha);
	ul_free(order);
	return true;
}

/* A model that came from no file is known by its values. */
static void hash_values(const ul_model *m, ul_sha *sha)
{
	float x[1024];
	for (int i = 0; i < m->params; i++) {
		const ul_param *p = m->param[i];
		size_t n = (size_t)p->rows * (size_t)p->cols;
		UL_ASSERT(!p->packed, "%s came from a file", p->name);
		for (size_t at = 0; at < n; at += 1024) {
			size_t k = n - at < 1024 ? n - at : 1024;
			p->be->to_f32(x, (const char *)p->data + at * p->be->elem, k);
			ul_sha_add(sha, x, k * sizeof *x);
		}
	}
}

bool ul_model_hash(ul_model *m, ul_err *err)
{
	if (m->sha256[0])
		return true;
	ul_sha *sha = ul_sha_new();
	if (!sha)
		return ul_nomem(err, 256);
	char hex[65];
	bool ok = true;
	if (m->files)
		ok = hash_files(m, sha, err);
	else
		hash_values(m, sha);
	ul_sha_end(sha, hex);
	if (ok)
		memcpy(m->sha256, hex, sizeof hex);
	return ok;
}
