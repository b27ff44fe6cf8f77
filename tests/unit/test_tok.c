/*
 * test_tok.c: every pipeline of tests/golden/tokenizer/cases.json gives the ids, byte offsets and decoded text that the reference library
 * gave; and laws that hold for all text.
 */
#include "test.h"

#include "text/text.h"
#include "text/unicode.h"

#define GOLDEN "tests/golden/tokenizer/"

static json_t *golden(const char *name)
{
	ul_err err = {0};
	json_t *v = ul_json_file(name, 4 << 20, &err);
	NEED_OK(v, err);
	return v;
}

static void unhex(const char *s, ul_buf *out)
{
	out->len = 0;
	ul_buf_add(out, "", 0);
	for (; s[0] && s[1]; s += 2) {
		unsigned v = 0;
		sscanf(s, "%2x", &v);
		char c = (char)v;
		ul_buf_add(out, &c, 1);
	}
}

/* The base with its parts replaced, as text. */
static ul_tok *pipeline(const json_t *bases, const json_t *p)
{
	ul_err err = {0};
	json_t *t = json_deep_copy(json_object_get(bases, ul_json_str(p, "base")));
	json_object_update(t, json_object_get(p, "patch"));
	json_object_update(json_object_get(t, "model"), json_object_get(p, "model"));
	char *text = json_dumps(t, 0);
	ul_tok *tok = ul_tok_open_json(text, strlen(text), &err);
	CHECK_MSG(tok, "%s: %s", ul_json_str(p, "name"), err.msg);
	ul_free(text);
	json_decref(t);
	return tok;
}

static bool same_ids(const ul_ids *ids, const json_t *want)
{
	bool same = (size_t)ids->n == json_array_size(want);
	for (int i = 0; same && i < ids->n; i++)
		same = ids->id[i] == json_integer_value(json_array_get(want, (size_t)i));
	return same;
}

static bool same_offsets(const ul_ids *ids, const json_t *want)
{
	bool same = true;
	for (int i = 0; same && i < ids->n; i++) {
		const json_t *o = json_array_get(want, (size_t)i);
		same = ids->begin[i] == json_integer_value(json_array_get(o, 0)) && ids->end[i] == json_integer_value(json_array_get(o, 1));
	}
	return same;
}

/* U+FFFD for what is no UTF-8, as the library's strings have. */
static void lossy(const ul_buf *in, ul_buf *out)
{
	out->len = 0;
	ul_buf_add(out, "", 0);
	for (size_t i = 0; i < in->len;) {
		int bad, len = ul_utf8_valid((const unsigned char *)in->data + i, in->len - i, &bad);
		ul_buf_add(out, len ? in->data + i : "\xEF\xBF\xBD", len ? (size_t)len : 3);
		i += (size_t)(len ? len : bad);
	}
}

static bool same_text(const ul_tok *t, const ul_ids *ids, bool skip, const char *want_hex)
{
	ul_buf got = {0}, clean = {0}, want = {0};
	ul_tok_decode(t, ids->id, ids->n, skip, &got);
	lossy(&got, &clean);
	unhex(want_hex, &want);
	bool same = clean.len == want.len && !memcmp(clean.data, want.data, want.len);
	ul_buf_release(&got);
	ul_buf_release(&clean);
	ul_buf_release(&want);
	return same;
}

static void check_case(const ul_tok *t, const char *name, size_t k, const json_t *c)
{
	ul_buf text = {0};
	ul_ids ids = {0};
	ul_err err = {0};
	unhex(ul_json_str(c, "text"), &text);
	bool ok = ul_tok_encode(t, text.data, text.len, -1, true, &ids, &err);
	CHECK_MSG(ok, "%s case %zu: %s", name, k, err.msg);
	if (ok) {
		CHECK_MSG(same_ids(&ids, json_object_get(c, "ids")), "%s case %zu: ids", name, k);
		CHECK_MSG(same_offsets(&ids, json_object_get(c, "offsets")), "%s case %zu: offsets", name, k);
		CHECK_MSG(same_text(t, &ids, false, ul_json_str(c, "decoded")), "%s case %zu: decoded", name, k);
		CHECK_MSG(same_text(t, &ids, true, ul_json_str(c, "skipped")), "%s case %zu: decoded without specials", name, k);
	}
	ul_ids_release(&ids);
	ul_buf_release(&text);
}

static void test_tok__golden(void)
{
	json_t *bases = golden(GOLDEN "base.json"), *all = golden(GOLDEN "cases.json"), *p, *c;
	size_t i, k, seen = 0;
	json_array_foreach(all, i, p)
	{
		ul_tok *t = pipeline(bases, p);
		if (!t)
			continue;
		json_array_foreach(json_object_get(p, "cases"), k, c)
		{
			check_case(t, ul_json_str(p, "name"), k, c);
			seen++;
		}
		ul_tok_free(t);
	}
	CHECK(seen > 300);
	json_decref(bases);
	json_decref(all);
}

static ul_tok *by_name(const char *name)
{
	json_t *bases = golden(GOLDEN "base.json"), *all = golden(GOLDEN "cases.json"), *p;
	ul_tok *t = NULL;
	size_t i;
	json_array_foreach(all, i, p) if (!strcmp(ul_json_str(p, "name"), name))
	        t = pipeline(bases, p);
	json_decref(bases);
	json_decref(all);
	NEED(t);
	return t;
}

/* Arbitrary text and arbitrary bytes come back; ill-formed bytes as U+FFFD, one per maximal subpart. */
static void round_trip(const ul_tok *t, const char *s, size_t n, const char *want, size_t want_n)
{
	ul_ids ids = {0};
	ul_buf out = {0};
	ul_err err = {0};
	NEED_OK(ul_tok_encode(t, s, n, 0, true, &ids, &err), err);
	ul_tok_decode(t, ids.id, ids.n, false, &out);
	CHECK(out.len == want_n && !memcmp(out.len ? out.data : "", want, want_n));
	for (int i = 0; i < ids.n; i++)
		CHECK(ids.begin[i] >= 0 && ids.begin[i] < ids.end[i] && (size_t)ids.end[i] <= n);
	ul_ids_release(&ids);
	ul_buf_release(&out);
}

static void test_tok__ill_formed(void)
{
	static const struct {
		const char *in;
		size_t n;
		const char *out;
	} cases[] = {
	        {"a\xffz", 3, "a\uFFFDz"},
	        {"\xC0\xAF", 2, "\uFFFD\uFFFD"},
	        {"\xE2\x82", 2, "\uFFFD"},
	        {"\xE2\x82\x41", 3, "\uFFFDA"},
	        {"\xF0\x9F\x98", 3, "\uFFFD"},
	        {"\xED\xA0\x80", 3, "\uFFFD\uFFFD\uFFFD"},
	        {"\xF4\x90\x80\x80", 4, "\uFFFD\uFFFD\uFFFD\uFFFD"},
	        {"\x80", 1, "\uFFFD"},
	        {"\xF0\x80\x80\x41", 4, "\uFFFD\uFFFD\uFFFDA"},
	};
	ul_tok *t = by_name("gpt2");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		round_trip(t, cases[i].in, cases[i].n, cases[i].out, strlen(cases[i].out));
	round_trip(t, "a\0b\0", 4, "a\0b\0", 4);
	ul_tok_free(t);
}

static void test_tok__random_text(void)
{
	ul_tok *t = by_name("smollm");
	for (int k = 0; k < 400; k++) {
		ul_rng r = ul_rng_at(1, "text", (uint64_t)k);
		ul_buf s = {0};
		ul_buf_add(&s, "", 0);
		for (uint32_t n = ul_rng_below(&r, 40); n; n--) {
			uint32_t c = ul_rng_below(&r, ul_rng_below(&r, 2) ? 0x80 : 0x110000);
			char u[4];
			if (c < 0xD800 || c >= 0xE000)
				ul_buf_add(&s, u, (size_t)ul_utf8_put(c, u));
		}
		round_trip(t, s.data, s.len, s.data, s.len);
		ul_buf_release(&s);
	}
	ul_tok_free(t);
}

/* A megabyte without a space, of letters, of spaces, of marks, of digits: seconds would mean that time is not linear. */
static void test_tok__long_words(void)
{
	static const char *const piece[] = {"a", "ab", " ", "\n", "\u0301", "7", "'", "日", "\u1100\u1161"};
	static const char *const tok[] = {"neox", "llama3", "gpt4o", "llama2", "removed"};
	for (size_t i = 0; i < sizeof tok / sizeof *tok; i++) {
		ul_tok *t = by_name(tok[i]);
		for (size_t k = 0; k < sizeof piece / sizeof *piece; k++) {
			ul_buf s = {0};
			ul_ids ids = {0};
			ul_err err = {0};
			while (s.len < 1 << 20)
				ul_buf_str(&s, piece[k]);
			NEED_OK(ul_tok_encode(t, s.data, s.len, 0, false, &ids, &err), err);
			CHECK(ids.n > 0 || !strcmp(tok[i], "removed"));
			ul_ids_release(&ids);
			ul_buf_release(&s);
		}
		ul_tok_free(t);
	}
}

static void test_tok__asks(void)
{
	ul_tok *t = by_name("llama2");
	CHECK_EQ_INT(ul_tok_bos(t), 1);
	CHECK_EQ_INT(ul_tok_eos(t), 2);
	CHECK_EQ_INT(ul_tok_id(t, "<s>"), 1);
	CHECK_EQ_INT(ul_tok_id(t, "<0x0A>"), 3 + 10);
	CHECK_EQ_INT(ul_tok_id(t, "no such token"), -1);
	CHECK_STR(ul_tok_piece(t, 0), "<unk>");
	CHECK(!ul_tok_piece(t, ul_tok_size(t)) && !ul_tok_piece(t, -1));
	CHECK(ul_tok_is_special(t, 1) && !ul_tok_is_special(t, 100) && !ul_tok_is_special(t, -1));
	CHECK(!ul_tok_chat_template(t));
	ul_tok_free(t);
}

static bool encode_with_failures(void *ud, ul_err *err)
{
	ul_ids ids = {0};
	static const char text[] = "A cafe\u0301 — 12 of them";
	bool ok = ul_tok_encode(ud, text, sizeof text - 1, -1, true, &ids, err);
	ul_ids_release(&ids);
	return ok;
}

static void test_tok__out_of_memory(void)
{
	static const char *const tok[] = {"neox", "gpt4o", "metaspace", "removed"};
	for (size_t i = 0; i < sizeof tok / sizeof *tok; i++) {
		ul_tok *t = by_name(tok[i]);
		CHECK(test_each_alloc(encode_with_failures, t) > 2);
		ul_tok_free(t);
	}
}
