/*
 * test_tok_load.c: tokenizers that must be refused, and with which words; directories, saving, training, GGUF.
 */
#include "test.h"

#include "text/text.h"

static ul_tok *open_text(const char *json, ul_err *err)
{
	return ul_tok_open_json(json, strlen(json), err);
}

#define MODEL(rest) "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]" rest "}"

static void test_tok_load__refuses(void)
{
	static const struct {
		const char *json, *part;
	} bad[] = {
	        {"", "tokenizer.json"},
	        {"[]", "no object"},
	        {"{}", "no model"},
	        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "Unigram"},
	        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", "WordPiece"},
	        {"{\"model\":{\"vocab\":[],\"merges\":[]}}", "vocab"},
	        {"{\"model\":{\"vocab\":{\"a\":-1},\"merges\":[]}}", "\"a\""},
	        {"{\"model\":{\"vocab\":{\"a\":16777216},\"merges\":[]}}", "\"a\""},
	        {"{\"model\":{\"vocab\":{\"a\":\"0\"},\"merges\":[]}}", "\"a\""},
	        {"{\"model\":{\"vocab\":{\"a\":0}}}", "merges"},
	        {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}}", "\"aa\""},
	        {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", "\"b\""},
	        {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"aa\"]}}", "merge 1"},
	        {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]}}", "merge 1"},
	        {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", "merge 1"},
	        {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[7]}}", "merge 1"},
	        {MODEL(",\"dropout\":0.1}"), "dropout"},
	        {MODEL(",\"end_of_word_suffix\":\"</w>\"}"), "</w>"},
	        {MODEL(",\"continuing_subword_prefix\":\"##\"}"), "##"},
	        {MODEL(",\"byte_fallback\":1}"), "byte_fallback"},
	        {MODEL("},\"normalizer\":{\"type\":\"Precompiled\"}"), "Precompiled"},
	        {MODEL("},\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(?<=a)b\"},\"content\":\"\"}"), "(?<=a)b"},
	        {MODEL("},\"normalizer\":{\"type\":\"Prepend\"}"), "prepend"},
	        {MODEL("},\"normalizer\":7"), "normalizer"},
	        {MODEL("},\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}"), "UnicodeScripts"},
	        {MODEL("},\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"Sometimes\",\"invert\":false}"), "Sometimes"},
	        {MODEL("},\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{},\"behavior\":\"Isolated\"}"), "Regex"},
	        {MODEL("},\"decoder\":{\"type\":\"CTC\"}"), "CTC"},
	        {MODEL("},\"post_processor\":{\"type\":\"Other\"}"), "Other"},
	        {MODEL("},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}]}"), "\"x\""},
	        {MODEL("},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}"), "leaves the text out"},
	        {MODEL("},\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",99999999],\"sep\":[\"a\",0]}"), "99999999"},
	        {MODEL("},\"added_tokens\":[{\"id\":3}]"), "content"},
	        {MODEL("},\"added_tokens\":[{\"id\":3,\"content\":\" \",\"normalized\":true}],\"normalizer\":{\"type\":\"Strip\"}"), "normalized"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ul_err err = {0};
		ul_tok *t = open_text(bad[i].json, &err);
		CHECK_MSG(!t, "accepted: %s", bad[i].json);
		if (!t)
			CHECK_HAS(err.msg, bad[i].part);
		ul_tok_free(t);
	}
}

static void test_tok_load__unknown_token(void)
{
	ul_err err = {0};
	ul_ids ids = {0};
	ul_tok *t = open_text(MODEL(",\"unk_token\":\"?\"}"), &err);
	NEED_OK(t, err);
	CHECK(ul_tok_encode(t, "ab", 2, -1, false, &ids, &err) && ids.n == 1 && ids.id[0] == 2);
	CHECK_FAILS(ul_tok_encode(t, "abc", 3, -1, false, &ids, &err), err, "unknown token");
	CHECK_EQ_INT(ids.n, 1);
	ul_ids_release(&ids);
	ul_tok_free(t);
}

/* What encodes to equal ids and gives equal text back on a line of everything. */
static void same_tokenizer(const ul_tok *a, const ul_tok *b)
{
	static const char text[] = "The cat's 12 hats — naïve, 日本語 🤗!\n\n  <|endoftext|> It'll do. \t x";
	ul_err err = {0};
	ul_ids p = {0}, q = {0};
	NEED_OK(ul_tok_encode(a, text, sizeof text - 1, -1, false, &p, &err) && ul_tok_encode(b, text, sizeof text - 1, -1, false, &q, &err), err);
	CHECK(p.n == q.n && !memcmp(p.id, q.id, (size_t)p.n * sizeof *p.id));
	CHECK_EQ_INT(ul_tok_size(a), ul_tok_size(b));
	CHECK_EQ_INT(ul_tok_bos(a), ul_tok_bos(b));
	CHECK_EQ_INT(ul_tok_eos(a), ul_tok_eos(b));
	ul_ids_release(&p);
	ul_ids_release(&q);
}

static ul_tok *trained(int vocab)
{
	ul_buf licence = {0};
	ul_err err = {0};
	NEED_OK(ul_file_read(&licence, "LICENSE", 1 << 20, &err), err);
	const char *texts[] = {licence.data, "ill-formed \xff\xfe bytes \xff\xfe"};
	size_t lens[] = {licence.len, strlen(texts[1])};
	ul_tok *t = ul_tok_train(texts, lens, 2, vocab, &err);
	NEED_OK(t, err);
	ul_buf_release(&licence);
	return t;
}

static void test_tok_load__train(void)
{
	ul_tok *t = trained(600), *again = trained(600);
	ul_err err = {0};
	CHECK_EQ_INT(ul_tok_size(t), 600);
	CHECK_EQ_INT(ul_tok_id(t, "<|endoftext|>"), 0);
	CHECK(ul_tok_bos(t) == 0 && ul_tok_eos(t) == 0 && ul_tok_is_special(t, 0));
	CHECK(ul_tok_id(t, "\u0120the") > 256);
	NEED_OK(ul_mkdirs(test_path("a"), &err) && ul_mkdirs(test_path("b"), &err), err);
	NEED_OK(ul_tok_save(t, test_path("a"), &err) && ul_tok_save(again, test_path("b"), &err), err);
	char x[65], y[65];
	NEED_OK(ul_sha256_file(test_path("a/tokenizer.json"), x, &err) && ul_sha256_file(test_path("b/tokenizer.json"), y, &err), err);
	CHECK_STR(x, y);
	ul_tok *read = ul_tok_open_dir(test_path("a"), &err);
	NEED_OK(read, err);
	same_tokenizer(t, read);
	CHECK_FAILS(ul_tok_train(NULL, NULL, 0, 256, &err), err, "256");
	ul_tok_free(read);
	ul_tok_free(again);
	ul_tok_free(t);
}

static void test_tok_load__directory(void)
{
	ul_err err = {0};
	CHECK_FAILS(ul_tok_open_dir(test_tmp(), &err), err, "holds no tokenizer");
	test_file("tokenizer.json", MODEL("},\"added_tokens\":[{\"id\":3,\"content\":\"<e>\",\"special\":true},{\"id\":4,\"content\":\"<b>\",\"special\":true}]"));
	test_file("tokenizer_config.json", "{\"bos_token\":{\"content\":\"<b>\"},\"eos_token\":\"<e>\",\"model_max_length\":1000000000000000019884624838656,"
	                                   "\"chat_template\":[{\"name\":\"rag\",\"template\":\"R\"},{\"name\":\"default\",\"template\":\"D\"}]}");
	err = (ul_err){0};
	ul_tok *t = ul_tok_open_dir(test_tmp(), &err);
	NEED_OK(t, err);
	CHECK_EQ_INT(ul_tok_bos(t), 4);
	CHECK_EQ_INT(ul_tok_eos(t), 3);
	CHECK_STR(ul_tok_chat_template(t), "D");
	NEED_OK(ul_mkdirs(test_path("out"), &err), err);
	NEED_OK(ul_tok_save(t, test_path("out"), &err), err);
	const char *const names[] = {"tokenizer.json", "tokenizer_config.json"};
	for (int i = 0; i < 2; i++) {
		ul_buf a = {0}, b = {0};
		char path[64];
		snprintf(path, sizeof path, "out/%s", names[i]);
		NEED_OK(ul_file_read(&a, test_path(names[i]), 1 << 20, &err) && ul_file_read(&b, test_path(path), 1 << 20, &err), err);
		CHECK_STR(a.data, b.data);
		ul_buf_release(&a);
		ul_buf_release(&b);
	}
	ul_tok_free(t);
	test_file("chat_template.jinja", "J");
	t = ul_tok_open_dir(test_tmp(), &err);
	NEED_OK(t, err);
	CHECK_STR(ul_tok_chat_template(t), "J");
	ul_tok_free(t);
}

static void test_tok_load__pair(void)
{
	ul_err err = {0};
	test_file("vocab.json", "{\"a\":0,\"b\":1,\"ab\":2,\"<|endoftext|>\":3}");
	test_file("merges.txt", "#version: 0.2\na b\r\n");
	ul_tok *t = ul_tok_open_dir(test_tmp(), &err);
	NEED_OK(t, err);
	ul_ids ids = {0};
	NEED_OK(ul_tok_encode(t, "ab<|endoftext|>ba", 17, -1, true, &ids, &err), err);
	CHECK(ids.n == 4 && ids.id[0] == 2 && ids.id[1] == 3 && ids.id[2] == 1 && ids.id[3] == 0 && ids.begin[1] == 2 && ids.end[1] == 15);
	ul_ids_release(&ids);
	ul_tok_free(t);
	test_file("merges.txt", "a c\n");
	CHECK_FAILS(ul_tok_open_dir(test_tmp(), &err), err, "\"c\"");
	test_file("tokenizer_config.json", "{\"tokenizer_class\":\"RobertaTokenizer\"}");
	err = (ul_err){0};
	CHECK_FAILS(ul_tok_open_dir(test_tmp(), &err), err, "RobertaTokenizer");
}

/* ---- GGUF ---- */

static void test_tok_load__gguf_round_trip(void)
{
	ul_tok *t = trained(500);
	ul_arena a = {0};
	ul_err err = {0};
	ul_tok_gguf g;
	NEED_OK(ul_tok_to_gguf(t, &g, &a, &err), err);
	CHECK_STR(g.model, "gpt2");
	CHECK_STR(g.pre, "gpt-2");
	CHECK(g.n == 500 && g.merges == 500 - 257 && g.bos == 0 && g.eos == 0 && g.type[0] == 3 && g.type[1] == 1);
	ul_tok *back = ul_tok_open_gguf(&g, &err);
	NEED_OK(back, err);
	same_tokenizer(t, back);
	ul_tok_free(back);
	g.pre = "smollm";
	NEED_OK(back = ul_tok_open_gguf(&g, &err), err);
	ul_ids ids = {0};
	NEED_OK(ul_tok_encode(back, "2024", 4, -1, false, &ids, &err), err);
	CHECK_EQ_INT(ids.n, 4); /* every digit alone */
	ul_ids_release(&ids);
	ul_tok_free(back);
	g.pre = "no-such-thing";
	CHECK_FAILS(ul_tok_open_gguf(&g, &err), err, "no-such-thing");
	g.model = "t5";
	err = (ul_err){0};
	CHECK_FAILS(ul_tok_open_gguf(&g, &err), err, "t5");
	ul_arena_release(&a);
	ul_tok_free(t);
}

/* Scores decide: "bc" (-1) before "ab" (-2); the space prefix; bytes for what no token covers. */
static void test_tok_load__gguf_scores(void)
{
	static char bytes[256][8];
	const char *token[264] = {"<unk>", "<s>", "</s>", "\u2581", "a", "b", "c", "ab"};
	float score[265] = {0, 0, 0, -5, -6, -7, -8, -2};
	int32_t type[265] = {2, 3, 3, 1, 1, 1, 1, 1};
	size_t len[265];
	for (int i = 0; i < 256; i++) {
		snprintf(bytes[i], sizeof bytes[i], "<0x%02X>", (unsigned)i);
		token[8 + i] = bytes[i];
		type[8 + i] = 6;
	}
	const char *all[265];
	memcpy(all, token, sizeof token);
	all[264] = "bc";
	score[264] = -1;
	type[264] = 1;
	for (int i = 0; i < 265; i++)
		len[i] = strlen(all[i]);
	ul_tok_gguf g = {.model = "llama", .n = 265, .token = all, .token_len = len, .score = score, .type = type, .bos = 1, .eos = 2, .unk = 0, .pad = -1, .add_bos = -1, .add_eos = -1, .add_space_prefix = -1};
	ul_err err = {0};
	ul_ids ids = {0};
	ul_buf out = {0};
	ul_tok *t = ul_tok_open_gguf(&g, &err);
	NEED_OK(t, err);
	NEED_OK(ul_tok_encode(t, "abc \u00e9", 6, -1, false, &ids, &err), err);
	static const int want[] = {1, 3, 4, 264, 3, 8 + 0xC3, 8 + 0xA9};
	CHECK(ids.n == 7 && !memcmp(ids.id, want, sizeof want));
	ul_tok_decode(t, ids.id, ids.n, true, &out);
	CHECK_STR(out.data, "abc \u00e9");
	ul_arena a = {0};
	ul_tok_gguf back;
	NEED_OK(ul_tok_to_gguf(t, &back, &a, &err), err);
	CHECK(!strcmp(back.model, "llama") && back.score[264] > back.score[7] && back.type[8] == 6 && back.add_bos == 1 && back.add_space_prefix == 1);
	ul_tok *u = ul_tok_open_gguf(&back, &err);
	NEED_OK(u, err);
	same_tokenizer(t, u);
	g.score = NULL;
	CHECK_FAILS(ul_tok_open_gguf(&g, &err), err, "scores");
	ul_arena_release(&a);
	ul_buf_release(&out);
	ul_ids_release(&ids);
	ul_tok_free(u);
	ul_tok_free(t);
}

static bool open_with_failures(void *ud, ul_err *err)
{
	ul_tok *t = open_text(ud, err);
	ul_tok_free(t);
	return t != NULL;
}

static void test_tok_load__out_of_memory(void)
{
	static char json[] = MODEL("},\"added_tokens\":[{\"content\":\"<e>\"}],\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":"
	                           "{\"Regex\":\"[a-c]+|\\\\s\"},\"behavior\":\"Isolated\",\"invert\":false}");
	CHECK(test_each_alloc(open_with_failures, json) > 5);
}

static bool train_with_failures(void *ud, ul_err *err)
{
	static const char *const texts[] = {"a rose is a rose is a rose"};
	static const size_t lens[] = {26};
	ul_tok *t = ul_tok_train(texts, lens, 1, 262, err);
	ul_tok_free(t);
	return t != NULL;
}

static void test_tok_load__train_out_of_memory(void)
{
	CHECK(test_each_alloc(train_with_failures, NULL) > 20);
}
