/*
 * fuzz_tokenizer.c: arbitrary bytes as tokenizer.json, which must be refused or work; and arbitrary text on lossless tokenizers, which must
 * come back. Behind a NUL byte in the input stands the text.
 */
#include "fuzz.h"

#include "text/recognise.h"
#include "text/text.h"
#include "text/unicode.h"

#include <string.h>

static void use(const ul_tok *t, const char *text, size_t n)
{
	ul_ids ids = {0};
	ul_buf out = {0};
	ul_err err = {0};
	bool ok = ul_tok_encode(t, text, n, -1, true, &ids, &err);
	UL_ASSERT(ok == !err.msg[0], "%s", err.msg);
	for (int i = 0; i < ids.n; i++) {
		UL_ASSERT(ids.begin[i] >= 0 && ids.begin[i] <= ids.end[i] && (size_t)ids.end[i] <= n, "[%d, %d) of %zu", ids.begin[i], ids.end[i], n);
		ul_tok_piece(t, ids.id[i]);
	}
	ul_tok_decode(t, ids.id, ids.n, false, &out);
	ul_tok_decode(t, ids.id, ids.n, true, &out);
	ul_ids_release(&ids);
	ul_buf_release(&out);
	ul_arena a = {0};
	ul_tok_gguf g;
	ul_err none = {0};
	if (ul_tok_to_gguf(t, &g, &a, &none))
		ul_tok_free(ul_tok_open_gguf(&g, &none));
	ul_arena_release(&a);
}

/* A byte-level tokenizer with all bytes and a few merges, and the pre-tokenizer given. */
static ul_tok *lossless(const char *pre)
{
	ul_buf json = {0};
	ul_err err = {0};
	ul_buf_str(&json, "{\"model\":{\"type\":\"BPE\",\"vocab\":{");
	for (int b = 0; b < 256; b++) {
		bool plain = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
		int other = b <= 0x20 ? b : b <= 0xA0 ? b - 0x7F + 0x21
		                                      : 0x43;
		ul_buf_printf(&json, "\"\\u%04x\":%d,", plain ? b : 0x100 + other, b);
	}
	ul_buf_str(&json, "\"th\":256,\"the\":257,\"\\u0120the\":258,\"aa\":259},\"merges\":[\"t h\",\"th e\",\"\\u0120 the\",\"a a\"]},\"pre_tokenizer\":");
	ul_buf_str(&json, pre);
	ul_buf_str(&json, ",\"decoder\":{\"type\":\"ByteLevel\"},\"added_tokens\":[{\"content\":\"<e>\",\"special\":true},{\"content\":\"  \",\"normalized\":true}]}");
	ul_tok *t = ul_tok_open_json(json.data, json.len, &err);
	UL_ASSERT(t, "%s", err.msg);
	ul_buf_release(&json);
	return t;
}

static void comes_back(const ul_tok *t, const char *text, size_t n)
{
	ul_ids ids = {0};
	ul_buf out = {0};
	ul_err err = {0};
	UL_ASSERT(ul_tok_encode(t, text, n, 0, true, &ids, &err), "%s", err.msg);
	ul_tok_decode(t, ids.id, ids.n, false, &out);
	if (ul_utf8_ok(text, n))
		UL_ASSERT(out.len == n && (!n || !memcmp(out.data, text, n)), "%zu bytes became %zu", n, out.len);
	else
		UL_ASSERT(ul_utf8_ok(out.data, out.len), "%zu bytes", out.len);
	ul_ids_release(&ids);
	ul_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const pre[] = {"{\"type\":\"ByteLevel\",\"add_prefix_space\":false}",
	        "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|"
	        "\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},"
	        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}",
	        "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a|\\\\w+?)*[^\\\\s]{1,3}|\\\\p{Lu}\\\\b\"},\"behavior\":\"MergedWithNext\","
	        "\"invert\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]}"};
	const char *bytes = (const char *)data, *nul = size ? memchr(bytes, 0, size) : NULL;
	size_t json = nul ? (size_t)(nul - bytes) : size;
	const char *text = nul ? nul + 1 : bytes;
	size_t n = nul ? size - json - 1 : size;
	ul_finding f[8];
	ul_err err = {0};
	ul_tok *t = ul_tok_open_json(bytes, json, &err);
	fuzz_verdict(t != NULL, &err);
	if (t)
		use(t, nul ? text : "The 12 cats' <e>", nul ? n : 16);
	ul_tok_free(t);
	for (size_t i = 0; i < sizeof pre / sizeof *pre; i++) {
		static ul_tok *made[sizeof pre / sizeof *pre];
		made[i] = made[i] ? made[i] : lossless(pre[i]);
		comes_back(made[i], text, n);
	}
	ul_recognise(text, n, 0, NULL, f, 8);
	return 0;
}
