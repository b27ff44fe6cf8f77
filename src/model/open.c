/*
 * open.c: a path becomes a model: where it lies, which architecture it is, its configuration, weights and tokenizer.
 */
#include "model/open.h"
#include "model/config.h"
#include "model/gguf.h"
#include "model/lora.h"
#include "model/slots.h"

#include <errno.h>
#include <string.h>

enum { CONFIG_LIMIT = 4 << 20 };

static bool listed(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

/* "gemma3_text, gpt2, …": every name some architecture answers to. */
static void known(bool gguf, char out[256])
{
	size_t at = 0;
	for (const ul_arch *const *a = ul_archs; *a; a++)
		for (const char *const *n = gguf ? (*a)->ggufs : (*a)->model_types; *n && at < 255; n++)
			at += (size_t)snprintf(out + at, 256 - at, "%s%s", at ? ", " : "", *n);
}

static const ul_arch *find_arch(const char *name, bool gguf, const char *path, ul_err *err)
{
	for (const ul_arch *const *a = ul_archs; *a; a++)
		if (listed(gguf ? (*a)->ggufs : (*a)->model_types, name))
			return *a;
	char all[256] = "";
	known(gguf, all);
	ul_fail(err, "%s is of the unknown architecture \"%.64s\"; known are %s", path, name, all);
	return NULL;
}

/* The part of a multimodal model's config.json that describes its language model. */
static json_t *text_part(json_t *config)
{
	json_t *text = json_object_get(config, "text_config");
	const char *type = ul_json_str(config, "model_type");
	if (!json_is_object(text) || !type || strcmp(type, "gemma3"))
		return config;
	json_t *own = json_deep_copy(text);
	json_object_set_new(own, "model_type", json_string("gemma3_text"));
	json_object_set_new(own, "architectures", json_pack("[s]", "Gemma3ForCausalLM"));
	const char *inherited[] = {"bos_token_id", "eos_token_id", "pad_token_id", "torch_dtype", "dtype"};
	for (size_t i = 0; i < sizeof inherited / sizeof *inherited; i++)
		if (json_object_get(config, inherited[i])) /* the whole model's word counts: it knows the end of a turn too */
			json_object_set(own, inherited[i], json_object_get(config, inherited[i]));
	json_decref(config);
	return own;
}

bool ul_model_configure(ul_model *m, ul_err *err)
{
	const char *type = ul_json_str(m->config, "model_type");
	if (!type)
		return ul_fail(err, "%s: config.json names no model_type", m->path);
	m->arch = find_arch(type, false, m->path, err);
	if (!m->arch)
		return false;
	m->cfg = (ul_config){.rope_scale = 1, .embed_scale = 1, .bos = -1};
	return m->arch->read_config(m->config, &m->cfg, &m->arena, err);
}

static bool config_of_dir(ul_model *m, ul_err *err)
{
	char *path = ul_path_join(&m->arena, m->path, "config.json");
	if (!path)
		return ul_nomem(err, strlen(m->path));
	errno = 0;
	if (!ul_file_exists(path) && errno == EACCES)
		return ul_fail(err, "cannot look into %s: %s", m->path, strerror(errno));
	if (!ul_file_exists(path))
		return ul_fail(err, "%s is no model: it holds no config.json", m->path);
	json_t *config = ul_json_file(path, CONFIG_LIMIT, err);
	if (!config)
		return false;
	m->config = text_part(config);
	return true;
}

static bool config_of_gguf(ul_model *m, ul_err *err)
{
	const ul_arch *arch = find_arch(m->files->gguf->arch, true, m->path, err);
	if (!arch)
		return false;
	m->config = arch->gguf_config(m->files, err);
	if (!m->config)
		return false;
	bool tied = !ul_tensors_find(&m->files->tensors, "output.weight");
	return !json_object_set_new(m->config, "tie_word_embeddings", json_boolean(tied)) || ul_nomem(err, 64);
}

static bool has_tokenizer(const char *dir, ul_arena *a)
{
	const char *names[] = {"tokenizer.json", "vocab.json"};
	for (int i = 0; i < 2; i++) {
		char *path = ul_path_join(a, dir, names[i]);
		if (path && ul_file_exists(path))
			return true;
	}
	return false;
}

/* A model without a tokenizer is fine: rows of ids can still be used. A broken tokenizer is not. */
static bool open_tokenizer(ul_model *m, ul_err *err)
{
	ul_err why = {0};
	bool none = false;
	if (m->files && m->files->gguf)
		m->tok = ul_gguf_tok(m->files->gguf, &none, &why);
	else if (has_tokenizer(m->path, &m->arena))
		m->tok = ul_tok_open_dir(m->path, &why);
	else
		none = true;
	if (!m->tok && !none) {
		*err = *err->msg ? *err : why;
		return false;
	}
	return true;
}

static bool open_into(ul_model *m, const char *path, const ul_open *o, ul_err *err)
{
	const char *found = ul_model_resolve(path, &m->arena, err);
	m->path = found ? ul_arena_strdup(&m->arena, found) : NULL;
	m->be = found ? ul_backend_get(o->backend ? o->backend : "cpu", err) : NULL;
	if (!m->path && found)
		return ul_nomem(err, strlen(path));
	if (!m->be)
		return false;
	bool gguf = !ul_is_dir(m->path);
	if (!gguf && !config_of_dir(m, err))
		return false;
	if (gguf || !o->no_weights) {
		/* The architecture first: a sentence about it says more than one about its tensors. */
		if (!gguf && !ul_model_configure(m, err))
			return false;
		m->files = ul_files_open(m->path, err);
		if (!m->files)
			return false;
	}
	if (gguf && !config_of_gguf(m, err))
		return false;
	if (!m->arch && !ul_model_configure(m, err))
		return false;
	if (!o->no_weights && !ul_weights_read(m, err))
		return false;
	return o->no_tokenizer || open_tokenizer(m, err);
}

ul_model *ul_model_open_with(const char *path, const ul_open *o, ul_err *err)
{
	static const ul_open plain;
	ul_err local = {0};
	ul_model *m = ul_calloc(1, sizeof *m);
	if (!m) {
		ul_nomem(err, sizeof *m);
		return NULL;
	}
	if (open_into(m, path, o ? o : &plain, err ? err : &local))
		return m;
	ul_model_free(m);
	return NULL;
}

void ul_model_free(ul_model *m)
{
	if (!m)
		return;
	while (m->adapter)
		ul_lora_detach(m);
	for (int i = 0; i < m->params; i++)
		ul_param_release(m->param[i]);
	if (!m->shared)
		ul_tok_free(m->tok);
	ul_files_close(m->files);
	json_decref(m->config);
	ul_arena_release(&m->arena);
	ul_free(m);
}

ul_param *ul_model_param(const ul_model *m, const char *name)
{
	for (int i = 0; i < m->params; i++)
		if (!strcmp(m->param[i]->name, name))
			return m->param[i];
	return NULL;
}

static bool count_one(ul_model *m, const ul_place *p, void *ud, ul_err *err)
{
	*(size_t *)ud += (size_t)p->rows * (size_t)p->cols;
	return true;
}

/* From the shapes, so that it is known without weights too. */
size_t ul_model_count(const ul_model *m)
{
	size_t n = 0;
	ul_slots_walk((ul_model *)(uintptr_t)m, count_one, &n, NULL);
	return n;
}
