/*
 * test_unicode.c: character properties, case and normal forms of all characters, as the reference library has them
 * (tests/golden/tokenizer/unicode.json); UTF-8.
 */
#include "test.h"

#include "text/tok.h"

/* Does the property hold for c? The first of two neighbours is what the library was given. */
static bool holds(const char *name, const ul_regex *re, uint32_t c)
{
	if (!strcmp(name, "Digits"))
		return ul_uni_numeric(c);
	if (!strcmp(name, "Punctuation"))
		return ul_uni_punctuation(c);
	if (!strcmp(name, "Whitespace"))
		return !ul_uni_word(c, UL_WORD_RUST);
	char u[4];
	size_t i, j;
	ul_regex_iter it;
	ul_regex_begin(&it, re, u, (size_t)ul_utf8_put(c, u));
	bool found = ul_regex_next(&it, &i, &j);
	ul_regex_end(&it);
	return found;
}

static void check_set(const char *name, json_int_t count, const char *want)
{
	ul_err err = {0};
	ul_sha *h = ul_sha_new();
	char hex[65];
	json_int_t n = 0;
	ul_regex *re = name[0] == '\\' || name[0] == '[' ? ul_regex_new(name, strlen(name), &err) : NULL;
	for (uint32_t c = 0; c < 0x110000; c += c == 0xD7FF ? 0x801 : 1) {
		if (!holds(name, re, c))
			continue;
		unsigned char le[4] = {(unsigned char)c, (unsigned char)(c >> 8), (unsigned char)(c >> 16), 0};
		ul_sha_add(h, le, 4);
		n++;
	}
	ul_sha_end(h, hex);
	CHECK_MSG(n == count && !strcmp(hex, want), "%s: %lld characters, not %lld, or other ones", name, (long long)n, (long long)count);
	ul_regex_free(re);
}

/* All characters, one per line. */
static void everything(ul_buf *out)
{
	for (uint32_t c = 0; c < 0x110000; c += c == 0xD7FF ? 0x801 : 1) {
		char u[4];
		if (c)
			ul_buf_str(out, "\n");
		ul_buf_add(out, u, (size_t)ul_utf8_put(c, u));
	}
}

static void check_text(const char *name, json_int_t count, const char *want)
{
	char json[256], hex[65];
	ul_err err = {0};
	ul_buf all = {0};
	struct tok_text in, out;
	struct tok_out mem;
	snprintf(json, sizeof json, "{\"model\":{\"vocab\":{},\"merges\":[]},\"normalizer\":{\"type\":\"%s\"}}", name);
	ul_tok *t = ul_tok_open_json(json, strlen(json), &err);
	NEED_OK(t, err);
	everything(&all);
	in = (struct tok_text){all.data, all.len, NULL, NULL, 0};
	NEED_OK(tok_normalize(t, &in, &out, &mem, &err), err);
	ul_sha256(out.s, out.n, hex);
	CHECK_MSG((json_int_t)out.n == count && !strcmp(hex, want), "%s: %zu bytes, not %lld, or other ones", name, out.n, (long long)count);
	tok_out_release(&mem);
	ul_buf_release(&all);
	ul_tok_free(t);
}

static void test_unicode__all_characters(void)
{
	ul_err err = {0};
	json_t *all = ul_json_file("tests/golden/tokenizer/unicode.json", 1 << 20, &err), *v;
	size_t i;
	NEED_OK(all, err);
	json_array_foreach(all, i, v)
	{
		const char *name = json_string_value(json_array_get(v, 0)), *hex = json_string_value(json_array_get(v, 2));
		json_int_t n = json_integer_value(json_array_get(v, 1));
		if (!strncmp(name, "NF", 2) || !strcmp(name, "Lowercase") || !strcmp(name, "StripAccents"))
			check_text(name, n, hex);
		else
			check_set(name, n, hex);
	}
	CHECK(json_array_size(all) > 15);
	json_decref(all);
}

static void test_unicode__utf8(void)
{
	for (uint32_t c = 0; c < 0x110000; c += c == 0xD7FF ? 0x801 : 1) {
		char u[4];
		size_t i = 0;
		int bad, n = ul_utf8_put(c, u);
		if (ul_utf8_valid((const unsigned char *)u, (size_t)n, &bad) != n || ul_utf8_next(u, &i) != c || i != (size_t)n || ul_utf8_len((unsigned char)u[0]) != n)
			CHECK_MSG(false, "U+%04X", c);
		if (n > 1 && ul_utf8_valid((const unsigned char *)u, (size_t)n - 1, &bad))
			CHECK_MSG(false, "U+%04X cut", c);
	}
	CHECK(ul_utf8_ok("", 0) && ul_utf8_ok("a\u00e9", 3) && !ul_utf8_ok("\xed\xa0\x80", 3) && !ul_utf8_ok("\xc0\x80", 2));
}
