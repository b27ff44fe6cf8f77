/*
 * test_chat.c: conversations as transformers renders them (tests/golden/tokenizer/chat.json), what is refused, and where turns lie.
 */
#include "test.h"

#include "text/text.h"

enum { MOST = 16 };

static int turns_of(const json_t *messages, ul_turn turns[MOST])
{
	int n = 0;
	json_t *m;
	size_t i;
	json_array_foreach(messages, i, m)
	        turns[n++] = (ul_turn){ul_json_str(m, "role"), ul_json_str(m, "content")};
	return n;
}

/* `want` null: the template itself refuses the conversation. */
static void check(const char *name, size_t k, const json_t *template, const json_t *c, bool generate, const json_t *want)
{
	ul_turn turns[MOST];
	ul_err err = {0};
	ul_buf out = {0};
	enum ul_chat chat;
	char system[256];
	int n = turns_of(json_object_get(c, "messages"), turns);
	NEED_OK(ul_chat_detect(json_string_value(template), &chat, system, &err), err);
	ul_buf_add(&out, "", 0);
	bool ok = ul_chat_render(chat, system, turns, n, generate, &out, NULL, &err);
	if (json_is_string(want))
		CHECK_MSG(ok && out.len == json_string_length(want) && !memcmp(out.data, json_string_value(want), out.len), "%s case %zu: %s|%s", name, k,
		        ok ? out.data : err.msg, json_string_value(want));
	else
		CHECK_MSG(!ok && err.msg[0] && !out.len, "%s case %zu: accepted as %s", name, k, out.data);
	ul_buf_release(&out);
}

static json_t *read_json(const char *path)
{
	ul_err err = {0};
	json_t *v = ul_json_file(path, 4 << 20, &err);
	NEED_OK(v, err);
	return v;
}

static void test_chat__golden(void)
{
	json_t *all = read_json("tests/golden/tokenizer/chat.json"), *t, *c;
	size_t i, k;
	json_array_foreach(all, i, t)
	{
		json_array_foreach(json_object_get(t, "cases"), k, c)
		{
			check(ul_json_str(t, "name"), k, json_object_get(t, "template"), c, false, json_object_get(c, "text"));
			check(ul_json_str(t, "name"), k, json_object_get(t, "template"), c, true, json_object_get(c, "generate"));
		}
	}
	CHECK(json_array_size(all) >= 13);
	json_decref(all);
}

static void test_chat__smollm2(void)
{
	json_t *v = read_json(test_shared("oracle-hf/tokenizer/chat_smollm2.json")), *c;
	size_t k;
	json_array_foreach(json_object_get(v, "cases"), k, c)
	{
		check("smollm2", k, json_object_get(v, "chat_template"), c, false, json_object_get(c, "text"));
		check("smollm2", k, json_object_get(v, "chat_template"), c, true, json_object_get(c, "text_gen"));
	}
	json_decref(v);
}

static void test_chat__unknown(void)
{
	static const char *const unknown[] = {"", "{{ messages[0].content }}", "<|im_start|> {{ bos_token }}", "{{ '<|im_start|>' + content | trim }}",
	        "<|user|> {{ x }} <|end|> <|assistant|> eos_token", "<|im_start|> enable_thinking <think>"};
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
		ul_err err = {0};
		enum ul_chat chat;
		char system[256];
		CHECK_FAILS(ul_chat_detect(unknown[i], &chat, system, &err), err, "chat template");
		CHECK_HAS(err.hint, "--template");
	}
}

static void test_chat__spans(void)
{
	static const ul_turn turns[] = {{"user", " Hi "}, {"assistant", " Hello "}};
	static const struct {
		enum ul_chat chat;
		const char *user, *answer;
	} cases[] = {
	        {UL_CHAT_CHATML, " Hi <|im_end|>", " Hello <|im_end|>"},
	        {UL_CHAT_LLAMA3, "Hi<|eot_id|>", "Hello<|eot_id|>"},
	        {UL_CHAT_LLAMA2, "Hi [/INST]", "Hello </s>"},
	        {UL_CHAT_GEMMA3, "Hi<end_of_turn>", "Hello<end_of_turn>"},
	        {UL_CHAT_MISTRAL, " Hi  [/INST]", " Hello </s>"},
	        {UL_CHAT_QWEN, " Hi <|im_end|>", " Hello <|im_end|>"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ul_err err = {0};
		ul_buf out = {0};
		size_t spans[4];
		NEED_OK(ul_chat_render(cases[i].chat, "", turns, 2, false, &out, spans, &err), err);
		CHECK(spans[1] - spans[0] == strlen(cases[i].user) && !strncmp(out.data + spans[0], cases[i].user, spans[1] - spans[0]));
		CHECK(spans[3] - spans[2] == strlen(cases[i].answer) && !strncmp(out.data + spans[2], cases[i].answer, spans[3] - spans[2]));
		ul_buf_release(&out);
	}
}

static void test_chat__names(void)
{
	CHECK_STR(ul_chat_name(UL_CHAT_CHATML), "chatml");
	CHECK_STR(ul_chat_name(UL_CHAT_MISTRAL_V3), "mistral-v3");
	ul_err err = {0};
	ul_buf out = {0};
	CHECK_FAILS(ul_chat_render(UL_CHAT_NONE, "", NULL, 0, false, &out, NULL, &err), err, "--template");
}
