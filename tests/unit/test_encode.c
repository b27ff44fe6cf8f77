/*
 * test_encode.c: from rows to labelled tokens. The prompt of a row is what generation would start from, whatever stands at the seam;
 * labels and spans fall on the tokens that they should.
 */
#include "test.h"

#include "data/data.h"

static const char corpus[] = "Question: What is the name of the lighthouse keeper?\nAnswer: The name of the keeper is Anna Smith. Anna lives at the sea; "
                             "her number is 555 0199 and she says hello, hello, hello. user assistant system im_start im_end \xC3\xA9t\xC3\xA9 \xF0\x9F\x98\x80";

/* A model that is only a tokenizer. */
static ul_model *words(void)
{
	static ul_model m;
	ul_err err = {0};
	const char *text = corpus;
	size_t n = sizeof corpus - 1;
	m = (ul_model){.tok = ul_tok_train(&text, &n, 1, 330, &err), .cfg = {.vocab = 330, .context = 200, .bos = -1}};
	NEED_OK(m.tok, err);
	NEED(ul_tok_eos(m.tok) >= 0);
	return &m;
}

/* The same with a chat template, as a directory says it. */
static ul_model *chatty(void)
{
	ul_model *m = words();
	ul_err err = {0};
	NEED_OK(ul_tok_save(m->tok, test_tmp(), &err), err);
	json_t *v = ul_json_file(test_path("tokenizer_config.json"), 1 << 20, &err);
	NEED_OK(v, err);
	json_object_set_new(v, "chat_template", json_string("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
	                                                    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"));
	NEED_OK(ul_json_write(test_path("tokenizer_config.json"), v, &err), err);
	json_decref(v);
	ul_tok_free(m->tok);
	m->tok = ul_tok_open_dir(test_tmp(), &err);
	NEED_OK(m->tok, err);
	NEED(ul_tok_chat_template(m->tok));
	return m;
}

static ul_dataset read(const char *text)
{
	ul_dataset d = {0};
	ul_err err = {0};
	test_file("rows.jsonl", text);
	NEED_OK(ul_dataset_read(&d, test_path("rows.jsonl"), NULL, &err), err);
	return d;
}

/* What the tokens that carry `flag` (or, with flag 0, none) decode to. */
static const char *said(const ul_model *m, const ul_row *r, unsigned flag)
{
	static ul_buf b[4];
	static int turn;
	ul_buf *out = &b[turn++ % 4];
	out->len = 0;
	ul_buf_add(out, "", 0);
	for (int t = 0; t < r->n; t++)
		if (flag ? r->flags[t] & flag : !(r->flags[t] & UL_ROW_LABEL))
			ul_tok_decode(m->tok, &r->ids[t], 1, false, out);
	return out->data ? out->data : "";
}

static void test_encode__qa_labels_the_answer(void)
{
	ul_model *m = words();
	ul_dataset d = read("{\"question\": \"What is the name?\", \"answer\": \"Anna Smith\"}");
	ul_err err = {0};
	ul_data_config qa = {.templ = "qa"}, bare = {.eos = UL_EOS_NONE};
	NEED_OK(ul_dataset_tokenize(&d, m, &qa, &err), err);
	CHECK_STR(said(m, d.row, 0), "Question: What is the name?\nAnswer:");
	CHECK_HAS(said(m, d.row, UL_ROW_LABEL), " Anna Smith");
	CHECK_EQ_INT(d.row->ids[d.row->n - 1], ul_tok_eos(m->tok));
	CHECK(d.row->flags[d.row->n - 1] & UL_ROW_LABEL);
	int with = d.row->n;
	NEED_OK(ul_dataset_tokenize(&d, m, &bare, &err), err); /* without a chat template qa is the default */
	CHECK_EQ_INT(d.row->n, with - 1);
	CHECK_STR(said(m, d.row, UL_ROW_LABEL), " Anna Smith");
	CHECK_EQ_INT(d.tokens, d.row->n);
	ul_dataset_release(&d);
}

/* Seams of every kind: the ids of the prompt alone are the unlabelled part of the row, and all of the row is there. */
static void test_encode__prompt_is_a_prefix_at_every_seam(void)
{
	static const char *const prompts[] = {"", " ", "What is", "What is ", "the name of the light", "\n", "A\n\n", "hel", "caf\xC3\xA9", "  two  "};
	static const char *const responses[] = {"Anna", " Anna", "\nAnna", "house keeper", "lo, hello", " ", "\n\n", "\xF0\x9F\x98\x80", "s", "."};
	static const char *const templates[] = {"qa", "plain"};
	ul_model *m = words();
	for (int t = 0; t < 2; t++)
		for (size_t p = 0; p < sizeof prompts / sizeof *prompts; p++)
			for (size_t r = 0; r < sizeof responses / sizeof *responses; r++) {
				ul_data_config c = {.templ = templates[t], .eos = UL_EOS_NONE};
				ul_arena a = {0};
				ul_ids ids = {0};
				ul_row row;
				ul_err err = {0};
				char want[200];
				NEED_OK(ul_row_encode(m, &c, prompts[p], responses[r], &a, &row, &err), err);
				NEED_OK(ul_prompt_encode(m, &c, prompts[p], &ids, &err), err);
				snprintf(want, sizeof want, t == 0 ? "Question: %s\nAnswer: %s" : "%s%s", prompts[p], responses[r]);
				ul_buf whole = {0};
				ul_tok_decode(m->tok, row.ids, row.n, false, &whole);
				CHECK_STR(whole.data, want);
				CHECK(ids.n <= row.n && (ids.n == 0 || !memcmp(ids.id, row.ids, (size_t)ids.n * sizeof(int))));
				for (int i = 0; i < row.n; i++)
					CHECK_EQ_INT(row.flags[i], i >= ids.n && i > 0 ? UL_ROW_LABEL : 0);
				ul_buf_release(&whole);
				ul_ids_release(&ids);
				ul_arena_release(&a);
			}
}

static void test_encode__template_from_a_file(void)
{
	ul_model *m = words();
	ul_dataset d = read("{\"prompt\": \"Anna\", \"response\": \"hello\", \"spans\": [{\"start\": 0, \"end\": 5}]}");
	ul_err err = {0};
	ul_data_config c = {.eos = UL_EOS_NONE};
	char path[4096];
	snprintf(path, sizeof path, "%s", test_path("form"));
	c.templ = path;
	test_file("form", "{prompt} says {response}, she says.\n");
	NEED_OK(ul_dataset_tokenize(&d, m, &c, &err), err);
	CHECK_STR(said(m, d.row, 0), "Anna says");
	CHECK_STR(said(m, d.row, UL_ROW_LABEL), " hello, she says.");
	CHECK_STR(said(m, d.row, UL_ROW_SPAN), " hello");
	test_file("form", "{prompt} says");
	CHECK_FAILS(ul_dataset_tokenize(&d, m, &c, &err), err, "holds no {response}");
	err = (ul_err){0};
	c.templ = "qs";
	CHECK_FAILS(ul_dataset_tokenize(&d, m, &c, &err), err, "there is no template \"qs\"");
	CHECK_HAS(err.hint, "--template");
	err = (ul_err){0};
	c.templ = "chat";
	CHECK_FAILS(ul_dataset_tokenize(&d, m, &c, &err), err, "no chat template");
	ul_dataset_release(&d);
}

static void test_encode__texts_and_their_spans(void)
{
	ul_model *m = words();
	ul_dataset d = read("{\"text\": \"\xC3\xA9t\xC3\xA9 Anna Smith 555 0199\", \"spans\": [{\"start\": 4, \"end\": 14, \"type\": \"NAME\"}, {\"start\": 17, \"end\": 19, \"type\": \"PHONE\"}]}");
	ul_err err = {0};
	ul_data_config all = {.eos = UL_EOS_ALL};
	NEED_OK(ul_dataset_tokenize(&d, m, NULL, &err), err);
	CHECK_EQ_INT(d.labels, d.row->n - 1);
	for (int i = 0; i < d.row->n; i++)
		CHECK_EQ_INT(!!(d.row->flags[i] & UL_ROW_LABEL), i > 0);
	/* every token with a byte of a span in it, so perhaps a little more than the span and never less */
	const char *marked = said(m, d.row, UL_ROW_SPAN);
	CHECK_HAS(marked, "Anna Smith");
	CHECK_HAS(marked, "5 ");
	CHECK(!strstr(marked, "\xC3\xA9") && !strstr(marked, "99"));
	int n = d.row->n;
	NEED_OK(ul_dataset_tokenize(&d, m, &all, &err), err);
	CHECK_EQ_INT(d.row->n, n + 1);
	CHECK_EQ_INT(d.row->ids[n], ul_tok_eos(m->tok));
	CHECK_EQ_INT(d.row->flags[n], UL_ROW_LABEL);
	ul_dataset_release(&d);
}

static void test_encode__chat_labels_what_the_assistant_says(void)
{
	ul_model *m = chatty();
	ul_err err = {0};
	ul_ids prompt = {0};
	ul_dataset d = read("{\"messages\": [{\"role\": \"user\", \"content\": \"hello\"}, {\"role\": \"assistant\", \"content\": \"Anna\"}, {\"role\": \"user\", \"content\": \"and\"}, {\"role\": \"assistant\", \"content\": \"Smith\"}]}");
	NEED_OK(ul_dataset_tokenize(&d, m, NULL, &err), err);
	CHECK_STR(said(m, d.row, UL_ROW_LABEL), "Anna<|im_end|>Smith<|im_end|>");
	NEED_OK(ul_row_prompt(m, NULL, d.row, &prompt, &err), err);
	ul_buf text = {0};
	ul_tok_decode(m->tok, prompt.id, prompt.n, false, &text);
	CHECK_HAS(text.data, "<|im_start|>user\nand<|im_end|>\n<|im_start|>assistant\n");
	ul_dataset_release(&d);
	d = read("{\"prompt\": \"hello\", \"response\": \"Anna Smith\", \"spans\": [{\"start\": 5, \"end\": 10}]}");
	NEED_OK(ul_dataset_tokenize(&d, m, NULL, &err), err);
	CHECK_HAS(said(m, d.row, 0), "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
	CHECK_STR(said(m, d.row, UL_ROW_LABEL), "Anna Smith<|im_end|>");
	CHECK_HAS(said(m, d.row, UL_ROW_SPAN), "Smith");
	CHECK(!strstr(said(m, d.row, UL_ROW_SPAN), "Anna"));
	prompt.n = 0;
	NEED_OK(ul_row_prompt(m, NULL, d.row, &prompt, &err), err);
	CHECK(prompt.n < d.row->n && !memcmp(prompt.id, d.row->ids, (size_t)prompt.n * sizeof(int)));
	CHECK(d.row->flags[prompt.n] & UL_ROW_LABEL && !(d.row->flags[prompt.n - 1] & UL_ROW_LABEL));
	ul_buf_release(&text);
	ul_ids_release(&prompt);
	ul_dataset_release(&d);
}

static void test_encode__ids_and_labels(void)
{
	ul_model m = {.cfg = {.vocab = 10, .context = 6}, .path = "m"}; /* no tokenizer */
	ul_err err = {0};
	ul_ids prompt = {0};
	ul_dataset d = read("{\"ids\": [1, 2, 3, 4], \"labels\": [-100, -100, 3, 4]}\n{\"ids\": [5, 6]}\n{\"ids\": [1, 1, 1, 1, 1, 1, 1, 1]}");
	NEED_OK(ul_dataset_tokenize(&d, &m, NULL, &err), err);
	CHECK_EQ_INT(d.labels, 2 + 1 + 5);
	CHECK_EQ_INT(d.cut, 1);
	CHECK_EQ_INT(d.row[2].n, 6);
	CHECK(!d.row[0].flags[1] && d.row[0].flags[2] && !d.row[1].flags[0] && d.row[1].flags[1]);
	NEED_OK(ul_row_prompt(&m, NULL, &d.row[0], &prompt, &err), err);
	CHECK_EQ_INT(prompt.n, 2);
	NEED_OK(ul_dataset_tokenize(&d, &m, &(ul_data_config){.max_length = 3}, &err), err);
	CHECK_EQ_INT(d.cut, 2);
	CHECK_EQ_INT(d.row[0].n, 3);
	NEED_OK(ul_dataset_tokenize(&d, &m, &(ul_data_config){.max_length = -1}, &err), err);
	CHECK_EQ_INT(d.row[2].n, 8);
	ul_dataset_release(&d);
	d = read("{\"ids\": [1, 10]}");
	CHECK_FAILS(ul_dataset_tokenize(&d, &m, NULL, &err), err, "line 1: token id 10 is outside the model's vocabulary of 10");
	ul_dataset_release(&d);
	err = (ul_err){0};
	d = read("\n{\"text\": \"hello\"}");
	CHECK_FAILS(ul_dataset_tokenize(&d, &m, NULL, &err), err, "line 2: m has no tokenizer");
	ul_dataset_release(&d);
	ul_ids_release(&prompt);
}

static void test_encode__rows_that_cannot_be(void)
{
	ul_model *m = words();
	ul_err err = {0};
	ul_dataset d = read("{\"prompt\": \"hello\"}");
	CHECK_FAILS(ul_dataset_tokenize(&d, m, NULL, &err), err, "line 1: a prompt without a response");
	ul_dataset_release(&d);
	err = (ul_err){0};
	d = read("{\"text\": \"hello\"}\n{\"text\": \"\"}");
	CHECK_FAILS(ul_dataset_tokenize(&d, m, NULL, &err), err, "line 2: a row without a single token");
	ul_dataset_release(&d);
}

/* open-unlearning counts the tokens of the prompt encoded alone, its last blank included. */
static void test_encode__compat(void)
{
	ul_model *m = words();
	ul_arena a = {0};
	ul_err err = {0};
	ul_ids ids = {0};
	ul_row row;
	ul_data_config c = {.templ = "qa", .compat = UL_COMPAT_OPEN_UNLEARNING};
	NEED_OK(ul_row_encode(m, &c, "What is the name?", "Anna Smith", &a, &row, &err), err);
	NEED_OK(ul_tok_encode(m->tok, "Question: What is the name?\nAnswer: ", 36, -1, false, &ids, &err), err);
	for (int i = 0; i < row.n; i++)
		CHECK_EQ_INT(!!(row.flags[i] & UL_ROW_LABEL), i >= ids.n);
	ul_ids_release(&ids);
	ul_arena_release(&a);
}
