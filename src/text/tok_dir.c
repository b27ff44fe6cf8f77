/*
 * tok_dir.c: tokenizers in directories. tokenizer.json is the tokenizer; tokenizer_config.json and special_tokens_map.json name bos and
 * eos and hold the chat template; vocab.json with merges.txt (GPT-2, Qwen 2) is made into a tokenizer.json.
 */
#include "base/file.h"
#include "text/tok_make.h"

#include <string.h>

enum { MAX_FILE = 256 << 20 };

void ul_tok_free(ul_tok *t)
{
	if (!t)
		return;
	struct tok_steps *all[] = {&t->norm, &t->pre, &t->dec};
	for (int k = 0; k < 3; k++)
		for (int i = 0; i < all[k]->n; i++)
			ul_regex_free(all[k]->step[i].re);
	ul_trie_release(&t->raw);
	ul_trie_release(&t->normalized);
	for (int i = 0; i < t->files; i++)
		ul_free(t->file[i].data);
	ul_free(t->chat_template);
	ul_free(t->json);
	ul_arena_release(&t->arena);
	ul_free(t);
}

/* A tokenizer.json names neither bos nor eos: what its template puts at the edges, else the customary names. */
static int customary(const ul_tok *t, const char *const *names)
{
	for (; *names; names++) {
		int id = ul_tok_id(t, *names);
		if (ul_tok_is_special(t, id))
			return id;
	}
	return -1;
}

static void guess_edges(ul_tok *t)
{
	static const char *const begin[] = {"<s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>", NULL};
	static const char *const end[] = {"</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>", NULL};
	t->bos = t->n_before ? t->before[0] : customary(t, begin);
	t->pad = -1;
	t->unknown = t->unk >= 0 ? t->unk : -1;
	t->eos = t->n_after ? t->after[t->n_after - 1] : customary(t, end);
}

/* Takes over root and json. */
static ul_tok *finish(json_t *root, char *json, size_t len, ul_err *err)
{
	ul_tok *t = ul_calloc(1, sizeof *t);
	bool ok = root && json && t;
	if (root && !ok)
		ul_nomem(err, sizeof *t + len);
	if (t) {
		t->json = json;
		t->json_len = len;
		ok = ok && tok_load(t, root, err);
		if (ok)
			guess_edges(t);
	} else {
		ul_free(json);
	}
	json_decref(root);
	if (ok)
		return t;
	ul_tok_free(t);
	return NULL;
}

ul_tok *ul_tok_open_json(const char *json, size_t n, ul_err *err)
{
	json_t *root = ul_json_parse(json, n, "tokenizer.json", err);
	char *copy = root ? ul_malloc(n + 1) : NULL;
	if (copy) {
		memcpy(copy, json, n);
		copy[n] = 0;
	}
	return finish(root, copy, n, err);
}

/* The text of a JSON value, NUL-terminated; NULL when out of memory. */
static char *written(const json_t *v, size_t *n)
{
	*n = v ? json_dumpb(v, NULL, 0, JSON_INDENT(2)) : 0;
	char *text = *n ? ul_malloc(*n + 1) : NULL;
	if (text) {
		json_dumpb(v, text, *n, JSON_INDENT(2));
		text[*n] = 0;
	}
	return text;
}

ul_tok *tok_new_from_json(json_t *root, ul_err *err)
{
	size_t n;
	char *text = written(root, &n);
	if (!root)
		ul_nomem(err, n);
	return finish(root, text, n, err);
}

/* ---- what stands beside tokenizer.json ---- */

/* Reads dir/name and keeps its bytes, to be written again by ul_tok_save; a missing file is no failure. */
static bool keep_file(ul_tok *t, const char *dir, const char *name, ul_err *err)
{
	ul_buf data = {0};
	char *path = ul_path_join(&t->arena, dir, name);
	if (!path)
		return ul_nomem(err, strlen(dir));
	if (!ul_file_exists(path))
		return true;
	if (!ul_file_read(&data, path, MAX_FILE, err)) {
		ul_buf_release(&data);
		return false;
	}
	t->file[t->files++] = (struct tok_file){name, data.data, data.len};
	return true;
}

static const struct tok_file *kept(const ul_tok *t, const char *name)
{
	for (int i = 0; i < t->files; i++)
		if (!strcmp(t->file[i].name, name))
			return &t->file[i];
	return NULL;
}

/* "bos_token": "<s>" or {"content": "<s>", …}. */
static void edge(const ul_tok *t, const json_t *config, const char *key, int *out)
{
	const json_t *v = json_object_get(config, key);
	const char *s = json_is_object(v) ? ul_json_str(v, "content") : json_string_value(v);
	if (json_is_null(v))
		*out = -1;
	else if (s)
		*out = ul_tok_id(t, s);
}

/* One template, or a list of named ones, of which "default" is meant. */
static const char *pick_template(const json_t *v)
{
	const char *first = json_string_value(v), *s;
	const json_t *item;
	for (size_t i = 0; (item = json_array_get(v, i)); i++) {
		const char *name = ul_json_str(item, "name");
		if (!(s = ul_json_str(item, "template")))
			continue;
		if (name && !strcmp(name, "default"))
			return s;
		first = first ? first : s;
	}
	return first;
}

static bool use_config(ul_tok *t, const char *name, ul_err *err)
{
	const struct tok_file *f = kept(t, name);
	if (!f)
		return true;
	json_t *config = ul_json_parse(f->data ? f->data : "", f->len, name, err);
	if (!config)
		return false;
	edge(t, config, "bos_token", &t->bos);
	edge(t, config, "eos_token", &t->eos);
	edge(t, config, "pad_token", &t->pad);
	edge(t, config, "unk_token", &t->unknown);
	const char *chat = pick_template(json_object_get(config, "chat_template"));
	bool ok = true;
	if (chat && !t->chat_template)
		ok = (t->chat_template = ul_strdup(chat)) || ul_nomem(err, strlen(chat));
	json_decref(config);
	return ok;
}

static bool use_companions(ul_tok *t, const char *dir, ul_err *err)
{
	static const char *const names[] = {"chat_template.jinja", "special_tokens_map.json", "tokenizer_config.json"};
	for (int i = 0; i < 3; i++)
		if (!keep_file(t, dir, names[i], err))
			return false;
	const struct tok_file *jinja = kept(t, names[0]);
	if (jinja && !(t->chat_template = ul_strdup(jinja->data ? jinja->data : "")))
		return ul_nomem(err, jinja->len);
	return use_config(t, names[1], err) && use_config(t, names[2], err);
}

/* ---- vocab.json and merges.txt ---- */

static json_t *merges_of(const char *s, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < n;) {
		const char *end = memchr(s + i, '\n', n - i);
		size_t len = end ? (size_t)(end - s) - i : n - i, next = i + len + 1;
		if (len && s[i + len - 1] == '\r')
			len--;
		if (len && !(len >= 8 && !memcmp(s + i, "#version", 8)) && json_array_append_new(list, json_stringn(s + i, len))) {
			json_decref(list);
			return NULL;
		}
		i = next;
	}
	return list;
}

static int by_id(const void *a, const void *b)
{
	json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "id"));
	json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "id"));
	return x < y ? -1 : x > y;
}

/* The added tokens that tokenizer_config.json lists, by id; GPT-2's end of text when it lists none. */
static json_t *added_of(const json_t *config, const json_t *vocab)
{
	json_t *decoder = json_object_get(config, "added_tokens_decoder"), *v, *end = json_object_get(vocab, "<|endoftext|>");
	size_t n = json_object_size(decoder), i = 0;
	json_t **all = ul_calloc(n + 1, sizeof *all), *list = json_array();
	const char *key;
	json_object_foreach(decoder, key, v)
	{
		if (!all || !json_is_object(v))
			continue;
		all[i] = json_copy(v);
		json_object_set_new(all[i++], "id", json_integer(strtoll(key, NULL, 10)));
	}
	if (all && i)
		qsort(all, i, sizeof *all, by_id);
	for (size_t k = 0; k < i; k++)
		json_array_append_new(list, all[k]);
	if (!n && end)
		json_array_append_new(list, json_pack("{s:O, s:s, s:b, s:b, s:b, s:b, s:b}", "id", end, "content", "<|endoftext|>", "single_word", 0,
		                                    "lstrip", 0, "rstrip", 0, "normalized", 0, "special", 1));
	ul_free(all);
	return list;
}

static json_t *assemble(json_t *vocab, json_t *merges, const json_t *config, ul_err *err)
{
	const char *class = ul_json_str(config, "tokenizer_class");
	bool prefix = false, qwen = class && !strncmp(class, "Qwen2Tokenizer", 14);
	if (class && !qwen && strncmp(class, "GPT2Tokenizer", 13) && strncmp(class, "PreTrainedTokenizer", 19)) {
		ul_fail(err, "vocab.json and merges.txt of a %.60s are not supported; only GPT2Tokenizer and Qwen2Tokenizer are", class);
		ul_hint(err, "save the tokenizer as tokenizer.json with transformers");
		return NULL;
	}
	if (!ul_json_bool(config, "add_prefix_space", &prefix, err))
		return NULL;
	json_t *pre = tok_make_byte_level(prefix, !qwen);
	if (qwen)
		pre = tok_make_sequence("pretokenizers", tok_make_split(tok_qwen2_pattern), pre);
	return tok_assemble((struct tok_parts){.vocab = json_incref(vocab), .merges = json_incref(merges), .added = added_of(config, vocab), .normalizer = qwen ? json_pack("{s:s}", "type", "NFC") : NULL, .pre = pre, .post = tok_make_byte_level(true, true), .decoder = tok_make_byte_level(true, true)},
	        err);
}

static json_t *optional_json(ul_arena *a, const char *dir, const char *name, bool *ok, ul_err *err)
{
	const char *path = ul_path_join(a, dir, name);
	json_t *v = NULL;
	if (!path)
		*ok = ul_nomem(err, strlen(dir));
	else if (ul_file_exists(path))
		*ok = (v = ul_json_file(path, MAX_FILE, err)) != NULL;
	return v;
}

static ul_tok *open_pair(const char *dir, ul_arena *a, ul_err *err)
{
	bool ok = true;
	ul_buf text = {0};
	const char *path = ul_path_join(a, dir, "merges.txt");
	json_t *config = optional_json(a, dir, "tokenizer_config.json", &ok, err);
	json_t *vocab = ok ? optional_json(a, dir, "vocab.json", &ok, err) : NULL, *merges = NULL, *root = NULL;
	ok = ok && path && ul_file_read(&text, path, MAX_FILE, err);
	if (ok && !ul_utf8_ok(text.data, text.len))
		ok = ul_fail(err, "%s is no UTF-8", path);
	if (ok && !(merges = merges_of(text.data, text.len)))
		ok = ul_nomem(err, text.len);
	if (ok)
		root = assemble(vocab, merges, config, err);
	json_decref(config);
	json_decref(vocab);
	json_decref(merges);
	ul_buf_release(&text);
	return root ? tok_new_from_json(root, err) : NULL;
}

static ul_tok *open_single(const char *path, ul_err *err)
{
	ul_buf text = {0};
	ul_tok *t = NULL;
	if (ul_file_read(&text, path, MAX_FILE, err))
		t = ul_tok_open_json(text.data ? text.data : "", text.len, err);
	ul_buf_release(&text);
	return t;
}

ul_tok *ul_tok_open_dir(const char *dir, ul_err *err)
{
	ul_arena a = {0};
	ul_tok *t = NULL;
	const char *single = ul_path_join(&a, dir, "tokenizer.json"), *vocab = ul_path_join(&a, dir, "vocab.json"),
	           *merges = ul_path_join(&a, dir, "merges.txt");
	if (!single || !vocab || !merges)
		ul_nomem(err, strlen(dir));
	else if (ul_file_exists(single))
		t = open_single(single, err);
	else if (ul_file_exists(vocab) && ul_file_exists(merges))
		t = open_pair(dir, &a, err);
	else
		ul_fail(err, "%s holds no tokenizer: neither tokenizer.json nor vocab.json with merges.txt", dir);
	if (t && !use_companions(t, dir, err)) {
		ul_tok_free(t);
		t = NULL;
	}
	ul_arena_release(&a);
	return t;
}

/* ---- saving ---- */

static bool write_in(const char *dir, const char *name, const char *data, size_t n, ul_err *err)
{
	ul_arena a = {0};
	const char *path = ul_path_join(&a, dir, name);
	bool ok = path ? ul_file_write(path, data ? data : "", n, err) : ul_nomem(err, strlen(dir));
	ul_arena_release(&a);
	return ok;
}

/* What transformers needs to know when nobody wrote it down. */
static bool write_config(const ul_tok *t, const char *dir, ul_err *err)
{
	json_t *v = json_pack("{s:s, s:b}", "tokenizer_class", "PreTrainedTokenizerFast", "clean_up_tokenization_spaces", 0);
	if (ul_tok_piece(t, t->bos))
		json_object_set_new(v, "bos_token", json_string(t->piece[t->bos]));
	if (ul_tok_piece(t, t->eos))
		json_object_set_new(v, "eos_token", json_string(t->piece[t->eos]));
	if (t->chat_template)
		json_object_set_new(v, "chat_template", json_string(t->chat_template));
	size_t n;
	char *text = written(v, &n);
	bool ok = text ? write_in(dir, "tokenizer_config.json", text, n, err) : ul_nomem(err, 256);
	ul_free(text);
	json_decref(v);
	return ok;
}

bool ul_tok_save(const ul_tok *t, const char *dir, ul_err *err)
{
	if (!write_in(dir, "tokenizer.json", t->json, t->json_len, err))
		return false;
	for (int i = 0; i < t->files; i++)
		if (!write_in(dir, t->file[i].name, t->file[i].data, t->file[i].len, err))
			return false;
	return kept(t, "tokenizer_config.json") || write_config(t, dir, err);
}
