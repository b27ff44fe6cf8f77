/*
 * test_generate.c: decoding against the plain forward pass, which knows neither cache nor batch; and its promises: a sample does not
 * depend on its company, beams find what exhaustive search finds, a stop string ends the text in front of it.
 */
#include "test.h"

#include "model/generate.h"
#include "tensor/backend.h"

enum { VOCAB = 23,
	CONTEXT = 40 };

static ul_model *tiny(const char *backend, uint64_t seed)
{
	ul_err err = {0};
	json_t *config = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:i}", "model_type", "llama", "num_hidden_layers", 2, "hidden_size", 16, "num_attention_heads", 4,
	        "num_key_value_heads", 2, "intermediate_size", 24, "vocab_size", VOCAB, "max_position_embeddings", CONTEXT, "rms_norm_eps", 1e-5, "rope_theta", 1e4, "eos_token_id", 3);
	ul_model *m = ul_model_random(config, seed, backend, &err);
	NEED_OK(m, err);
	json_decref(config);
	for (int i = 0; i < m->params; i++) { /* N(0, 0.02) says almost nothing: louder weights have opinions */
		size_t n = (size_t)m->param[i]->rows * (size_t)m->param[i]->cols;
		float *w = malloc(n * sizeof *w);
		ul_param_get_f32(m->param[i], w);
		for (size_t k = 0; k < n && !m->param[i]->vector; k++)
			w[k] *= 14;
		ul_param_set_f32(m->param[i], w);
		free(w);
	}
	return m;
}

/* A tokenizer of single characters: token t is a + t, or for the last few of several bytes. */
static ul_tok *letters(void)
{
	ul_err err = {0};
	json_t *vocab = json_object();
	for (int i = 0; i < VOCAB; i++) {
		char name[2] = {(char)('a' + i), 0};
		json_object_set_new(vocab, name, json_integer(i));
	}
	json_t *v = json_pack("{s:s, s:n, s:n, s:n, s:[], s:n, s:n, s:{s:s}, s:{s:s, s:n, s:b, s:b, s:o, s:[]}}", "version", "1.0", "truncation", "padding", "normalizer", "added_tokens", "pre_tokenizer", "post_processor",
	        "decoder", "type", "Fuse", "model", "type", "BPE", "unk_token", "fuse_unk", 0, "byte_fallback", 0, "vocab", vocab, "merges");
	ul_buf text = {0};
	ul_json_line(&text, v);
	json_decref(v);
	ul_tok *t = ul_tok_open_json(text.data, text.len, &err);
	ul_buf_release(&text);
	NEED_OK(t, err);
	return t;
}

/* The prompts of every test: of several lengths. */
static int ids_a[] = {1, 5, 9}, ids_b[] = {7}, ids_c[] = {2, 2, 11, 4, 13, 6, 8}, ids_d[] = {14, 0};
static const ul_ids prompts[] = {{.id = ids_a, .n = 3}, {.id = ids_b, .n = 1}, {.id = ids_c, .n = 7}, {.id = ids_d, .n = 2}};

/* Logits behind the last of ids, by one pass without a cache. */
static void plain(ul_model *m, const int *ids, int n, float *logits)
{
	int pos[CONTEXT], span[] = {0, n}, last = n - 1;
	ul_tape t;
	ul_err err = {0};
	for (int i = 0; i < n; i++)
		pos[i] = i;
	ul_tape_init(&t, m->be);
	t.record = false;
	ul_pass p = {.tape = &t, .ids = ids, .pos = pos, .span = {1, span}};
	ul_val *z = ul_head_logits(ul_rows(ul_forward(m, &p), &last, 1), m->head, m->head_b);
	NEED_OK(ul_tape_ok(&t, &err), err);
	ul_read_f32(z, logits);
	ul_tape_release(&t);
}

static double logp_at(const float *z, int id)
{
	double sum = 0;
	for (int i = 0; i < VOCAB; i++)
		sum += exp((double)z[i]);
	return (double)z[id] - log(sum);
}

static void greedy_is_plain(const char *backend)
{
	ul_model *m = tiny(backend, 1);
	ul_gen_config c = ul_gen_greedy(12);
	ul_arena a = {0};
	ul_err err = {0};
	ul_gen *g;
	c.ignore_eos = true;
	NEED_OK(ul_generate(m, prompts, 4, &c, &a, &g, &err), err);
	for (int p = 0; p < 4; p++) {
		int ids[CONTEXT], n = prompts[p].n;
		double logp = 0;
		memcpy(ids, prompts[p].id, (size_t)n * sizeof *ids);
		for (int i = 0; i < 12; i++) {
			float z[VOCAB];
			int best = 0;
			plain(m, ids, n, z);
			for (int v = 1; v < VOCAB; v++)
				best = z[v] > z[best] ? v : best;
			CHECK_EQ_INT(g[p].ids[i], best);
			logp += logp_at(z, best);
			ids[n++] = best;
		}
		CHECK_EQ_INT(g[p].n, 12);
		CHECK_EQ_INT(g[p].finish, UL_FINISH_LENGTH);
		CHECK_CLOSE(g[p].logp, logp, 1e-4);
		CHECK(g[p].text == NULL);
	}
	ul_arena_release(&a);
	ul_model_free(m);
}

static void test_generate__greedy_is_the_plain_pass(void)
{
	greedy_is_plain("ref");
	greedy_is_plain("ref64");
	greedy_is_plain("cpu");
}

/* Every sample alone, in batches of several sizes, and in other company says the same. */
static void alone_is_together(const char *backend)
{
	ul_model *m = tiny(backend, 2);
	ul_arena a = {0};
	ul_err err = {0};
	ul_gen *whole, *part;
	ul_gen_config c = {.max_new = 15, .temperature = 1.1, .top_p = 0.97, .top_k = 15, .samples = 5, .seed = 77};
	NEED_OK(ul_generate(m, prompts, 4, &c, &a, &whole, &err), err);
	int different = 0;
	for (int s = 1; s < 5; s++)
		different += whole[s].n != whole[0].n || memcmp(whole[s].ids, whole[0].ids, (size_t)whole[0].n * sizeof(int));
	CHECK(different > 0);
	for (int batch = 1; batch < 9; batch += 3) {
		c.batch = batch;
		NEED_OK(ul_generate(m, prompts, 4, &c, &a, &part, &err), err);
		for (int i = 0; i < 20; i++) {
			CHECK_EQ_INT(part[i].n, whole[i].n);
			CHECK_EQ_INT(part[i].finish, whole[i].finish);
			CHECK(!memcmp(part[i].ids, whole[i].ids, (size_t)whole[i].n * sizeof(int)));
		}
	}
	c.samples = 2; /* the first samples of the first prompts, without the rest */
	c.batch = 0;
	NEED_OK(ul_generate(m, prompts, 2, &c, &a, &part, &err), err);
	for (int i = 0; i < 4; i++)
		CHECK(part[i].n == whole[i / 2 * 5 + i % 2].n && !memcmp(part[i].ids, whole[i / 2 * 5 + i % 2].ids, (size_t)part[i].n * sizeof(int)));
	c = (ul_gen_config){.max_new = 12, .beams = 3, .samples = 2}; /* searches go side by side */
	NEED_OK(ul_generate(m, prompts, 4, &c, &a, &whole, &err), err);
	for (int p = 0; p < 4; p++) {
		NEED_OK(ul_generate(m, prompts + p, 1, &c, &a, &part, &err), err);
		for (int i = 0; i < 2; i++)
			CHECK(part[i].n == whole[2 * p + i].n && !memcmp(part[i].ids, whole[2 * p + i].ids, (size_t)part[i].n * sizeof(int)));
	}
	ul_arena_release(&a);
	ul_model_free(m);
}

/* Soft rows that are the embeddings of a prompt's first ids say what those ids say; the rest of the prompt may be empty. */
static void soft_is_embedding(const char *backend, ul_gen_config c)
{
	enum { SOFT = 2,
		WIDTH = 16 };
	ul_model *m = tiny(backend, 6);
	ul_arena a = {0};
	ul_err err = {0};
	ul_gen *want, *got;
	const ul_ids whole[] = {{.id = ids_a, .n = 3}, {.id = ids_c, .n = 7}, {.id = ids_d, .n = 2}}, rest[] = {{.id = ids_a + SOFT, .n = 1}, {.id = ids_c + SOFT, .n = 5}, {.n = 0}};
	float *table = malloc((size_t)VOCAB * WIDTH * sizeof *table), soft[3 * SOFT * WIDTH];
	ul_param_get_f32(m->embed, table);
	for (int p = 0; p < 3; p++)
		for (int i = 0; i < SOFT; i++)
			memcpy(soft + (p * SOFT + i) * WIDTH, table + whole[p].id[i] * WIDTH, WIDTH * sizeof *soft);
	NEED_OK(ul_generate(m, whole, 3, &c, &a, &want, &err), err);
	c.soft = soft;
	c.soft_rows = SOFT;
	NEED_OK(ul_generate(m, rest, 3, &c, &a, &got, &err), err);
	for (int i = 0; i < 3 * c.samples; i++) {
		CHECK_EQ_INT(got[i].n, want[i].n);
		CHECK_EQ_INT(got[i].finish, want[i].finish);
		CHECK(got[i].n == want[i].n && !memcmp(got[i].ids, want[i].ids, (size_t)want[i].n * sizeof(int)));
	}
	free(table);
	ul_arena_release(&a);
	ul_model_free(m);
}

static void test_generate__soft_rows_are_embeddings(void)
{
	soft_is_embedding("ref", (ul_gen_config){.max_new = 40, .samples = 1, .ignore_eos = true}); /* until the context is full */
	soft_is_embedding("cpu", (ul_gen_config){.max_new = 12, .temperature = 1, .top_p = 1, .samples = 3, .seed = 5});
	soft_is_embedding("cpu", (ul_gen_config){.max_new = 9, .beams = 4, .samples = 4});
}

static void test_generate__company_changes_nothing(void)
{
	alone_is_together("ref");
	alone_is_together("cpu");
}

/* Best and second best of all continuations of three tokens, by trying every one. */
static void test_generate__beams_find_what_exhaustion_finds(void)
{
	ul_model *m = tiny("ref64", 3);
	ul_arena a = {0};
	ul_err err = {0};
	ul_gen *g;
	double best[2] = {-1e9, -1e9};
	int ids[2][3] = {{0}};
	for (int x = 0; x < VOCAB; x++) {
		float z1[VOCAB], z2[VOCAB], z3[VOCAB];
		int s[6] = {1, 5, 9, x};
		plain(m, s, 3, z1);
		plain(m, s, 4, z2);
		for (int y = 0; y < VOCAB; y++) {
			s[4] = y;
			plain(m, s, 5, z3);
			for (int z = 0; z < VOCAB; z++) {
				double logp = logp_at(z1, x) + logp_at(z2, y) + logp_at(z3, z);
				int rank = logp > best[0] ? 0 : logp > best[1] ? 1
				                                               : 2;
				if (rank == 0) {
					best[1] = best[0];
					memcpy(ids[1], ids[0], sizeof ids[0]);
				}
				if (rank < 2) {
					best[rank] = logp;
					memcpy(ids[rank], (int[]){x, y, z}, sizeof ids[0]);
				}
			}
		}
	}
	ul_gen_config c = {.max_new = 3, .beams = VOCAB * 2, .samples = 2, .ignore_eos = true};
	NEED_OK(ul_generate(m, prompts, 1, &c, &a, &g, &err), err);
	for (int i = 0; i < 2; i++) {
		CHECK_CLOSE(g[i].logp, best[i], 1e-5);
		CHECK(!memcmp(g[i].ids, ids[i], sizeof ids[i]));
	}
	c = (ul_gen_config){.max_new = 12, .beams = 3, .samples = 3};
	NEED_OK(ul_generate(m, prompts, 4, &c, &a, &g, &err), err);
	for (int i = 0; i < 12; i++) { /* every beam is worth what the plain pass says, and they come in order */
		int s[CONTEXT], n = prompts[i / 3].n;
		double logp = 0;
		float z[VOCAB];
		memcpy(s, prompts[i / 3].id, (size_t)n * sizeof *s);
		for (int t = 0; t < g[i].n + (g[i].finish == UL_FINISH_EOS); t++) {
			plain(m, s, n, z);
			s[n++] = t < g[i].n ? g[i].ids[t] : 3;
			logp += logp_at(z, s[n - 1]);
		}
		CHECK_CLOSE(g[i].logp, logp, 1e-4);
		CHECK(i % 3 == 0 || g[i].logp <= g[i - 1].logp);
	}
	ul_arena_release(&a);
	ul_model_free(m);
}

/* An odd prompt whose greedy continuation meets the end token sooner or later. */
static void test_generate__ends(void)
{
	ul_model *m = tiny("ref", 4);
	ul_arena a = {0};
	ul_err err = {0};
	ul_gen *g, *on;
	int n[UL_FINISH_CONTEXT + 1] = {0}, longest[CONTEXT - 1] = {0};
	ul_gen_config c = {.max_new = 30, .temperature = 1, .samples = 40, .top_p = 1, .seed = 5};
	NEED_OK(ul_generate(m, prompts, 3, &c, &a, &g, &err), err);
	c.ignore_eos = true;
	NEED_OK(ul_generate(m, prompts, 3, &c, &a, &on, &err), err);
	for (int i = 0; i < 120; i++) {
		n[g[i].finish]++;
		CHECK(!memcmp(g[i].ids, on[i].ids, (size_t)g[i].n * sizeof(int)));
		if (g[i].finish == UL_FINISH_EOS)
			CHECK_EQ_INT(on[i].ids[g[i].n], 3);
		for (int t = 0; t < g[i].n; t++)
			CHECK(g[i].ids[t] != 3);
	}
	CHECK(n[UL_FINISH_EOS] > 10 && n[UL_FINISH_LENGTH] > 10);
	ul_ids full = {.id = longest, .n = CONTEXT - 1};
	NEED_OK(ul_generate(m, &full, 1, &c, &a, &g, &err), err);
	CHECK_EQ_INT(g->n, 1);
	CHECK_EQ_INT(g->finish, UL_FINISH_CONTEXT);
	full.n = CONTEXT;
	CHECK_FAILS(ul_generate(m, &full, 1, &c, &a, &g, &err), err, "prompt 1 has 40 tokens, the context holds 40");
	err = (ul_err){0};
	full.n = 0;
	CHECK_FAILS(ul_generate(m, &full, 1, &c, &a, &g, &err), err, "prompt 1 is empty");
	err = (ul_err){0};
	ul_ids foreign = {.id = (int[]){VOCAB}, .n = 1};
	CHECK_FAILS(ul_generate(m, &foreign, 1, &c, &a, &g, &err), err, "outside the vocabulary");
	ul_arena_release(&a);
	ul_model_free(m);
}

static void test_generate__stop_strings(void)
{
	ul_model *m = tiny("ref", 4);
	ul_arena a = {0};
	ul_err err = {0};
	ul_gen *free_run, *g;
	ul_gen_config c = ul_gen_greedy(12);
	m->tok = letters();
	c.ignore_eos = true;
	NEED_OK(ul_generate(m, prompts, 4, &c, &a, &free_run, &err), err);
	for (int p = 0; p < 4; p++) { /* a stop string over several tokens, out of the middle of what is said without it */
		char stop[4] = {0};
		memcpy(stop, free_run[p].text + 5, 3);
		size_t at = (size_t)(strstr(free_run[p].text, stop) - free_run[p].text);
		c.stop = (const char *const[]){"never said", stop, NULL};
		NEED_OK(ul_generate(m, &prompts[p], 1, &c, &a, &g, &err), err);
		CHECK_EQ_INT(g->finish, UL_FINISH_STOP);
		CHECK_EQ_INT(strlen(g->text), at);
		CHECK(!strncmp(g->text, free_run[p].text, at));
		CHECK_EQ_INT(g->n, at); /* one id a letter */
	}
	CHECK_EQ_INT(strlen(free_run[0].text), 12);
	ul_arena_release(&a);
	ul_model_free(m);
}

struct heard {
	int ids[4][8], n[4], calls, limit;
};

static bool hear(void *ud, int prompt, int sample, int id)
{
	struct heard *h = ud;
	h->ids[prompt][h->n[prompt]++] = id;
	return ++h->calls != h->limit;
}

static void test_generate__every_token_is_told_once(void)
{
	ul_model *m = tiny("ref", 1);
	ul_arena a = {0};
	ul_err err = {0};
	ul_gen *g;
	struct heard h = {0};
	ul_gen_config c = ul_gen_greedy(8);
	c.ignore_eos = true;
	c.on_token = hear;
	c.ud = &h;
	NEED_OK(ul_generate(m, prompts, 4, &c, &a, &g, &err), err);
	for (int p = 0; p < 4; p++) {
		CHECK_EQ_INT(h.n[p], 8);
		CHECK(!memcmp(h.ids[p], g[p].ids, sizeof h.ids[p]));
	}
	h = (struct heard){.limit = 6};
	CHECK_FAILS(ul_generate(m, prompts, 4, &c, &a, &g, &err), err, "interrupted");
	CHECK_EQ_INT(h.calls, 6);
	ul_arena_release(&a);
	ul_model_free(m);
}

static void test_generate__falling_temperature(void)
{
	ul_model *m = tiny("ref", 2);
	ul_arena a = {0};
	ul_err err = {0};
	ul_gen *hot, *cold;
	ul_gen_config c = {.max_new = 6, .temperature = 0, .temperature_from = 50, .temperature_steps = 3, .samples = 30, .ignore_eos = true};
	NEED_OK(ul_generate(m, prompts, 1, &c, &a, &hot, &err), err);
	int same[6] = {0};
	for (int s = 0; s < 30; s++) { /* the first three tokens are drawn hot, the rest is greedy behind them */
		int ids[CONTEXT];
		memcpy(ids, prompts[0].id, 3 * sizeof *ids);
		memcpy(ids + 3, hot[s].ids, 3 * sizeof *ids);
		ul_ids p = {.id = ids, .n = 6};
		ul_gen_config greedy = ul_gen_greedy(3);
		greedy.ignore_eos = true;
		NEED_OK(ul_generate(m, &p, 1, &greedy, &a, &cold, &err), err);
		CHECK(!memcmp(cold->ids, hot[s].ids + 3, 3 * sizeof(int)));
		for (int t = 0; t < 3; t++)
			same[t] += hot[s].ids[t] == hot[0].ids[t];
	}
	CHECK(same[0] < 10 && same[1] < 10);
	ul_arena_release(&a);
	ul_model_free(m);
}

/* With doubt, a sequence is a beginning of what it would be without; what was cut off was less sure. */
static void test_generate__doubt(void)
{
	ul_model *m = tiny("ref", 2);
	ul_arena a = {0};
	ul_err err = {0};
	ul_gen *all, *sure;
	ul_gen_config c = {.max_new = 30, .temperature = 0.4, .samples = 20, .ignore_eos = true, .seed = 3};
	NEED_OK(ul_generate(m, prompts, 1, &c, &a, &all, &err), err);
	c.doubt = -2.6;
	NEED_OK(ul_generate(m, prompts, 1, &c, &a, &sure, &err), err);
	int cut = 0, kept = 0;
	for (int s = 0; s < 20; s++) {
		double worst = 0;
		CHECK(!memcmp(sure[s].ids, all[s].ids, (size_t)sure[s].n * sizeof(int)));
		for (int t = 0; t + 8 <= all[s].n; t++) {
			double sum = 0;
			for (int i = t; i < t + 8; i++)
				sum += all[s].token_logp[i];
			worst = sum < worst ? sum : worst;
		}
		CHECK_EQ_INT(sure[s].finish == UL_FINISH_DOUBT, worst < 8 * c.doubt);
		if (sure[s].finish == UL_FINISH_DOUBT)
			CHECK(all[s].token_logp[sure[s].n] < c.doubt);
		cut += sure[s].finish == UL_FINISH_DOUBT;
		kept += sure[s].finish == UL_FINISH_LENGTH;
	}
	CHECK_MSG(cut > 0 && kept > 0, "%d cut, %d kept", cut, kept);
	ul_arena_release(&a);
	ul_model_free(m);
}

static void test_generate__whole_characters(void)
{
	CHECK_EQ_INT(ul_utf8_whole("abc", 3), 3);
	CHECK_EQ_INT(ul_utf8_whole("a\xC3", 2), 1);
	CHECK_EQ_INT(ul_utf8_whole("a\xC3\xA9", 3), 3);
	CHECK_EQ_INT(ul_utf8_whole("\xF0\x9F\x98", 3), 0);
	CHECK_EQ_INT(ul_utf8_whole("\xF0\x9F\x98\x80", 4), 4);
	CHECK_EQ_INT(ul_utf8_whole("\x80\x80", 2), 2);
	ul_buf b = {0};
	ul_utf8_mend("a\xF0\x9F\x98z\xFF\xC3\xA9", 8, &b);
	CHECK_STR(b.data, "a\xEF\xBF\xBDz\xEF\xBF\xBD\xC3\xA9");
	ul_buf_release(&b);
}

static bool generate_once(void *ud, ul_err *err)
{
	ul_gen_config c = {.max_new = 4, .temperature = 1, .samples = 2, .beams = 1};
	ul_arena a = {0};
	ul_gen *g;
	bool ok = ul_generate(ud, prompts, 2, &c, &a, &g, err);
	c.beams = 2;
	ok = ok && ul_generate(ud, prompts, 2, &c, &a, &g, err);
	ul_arena_release(&a);
	return ok;
}

static void test_generate__every_failing_allocation(void)
{
	ul_model *m = tiny("ref", 1);
	CHECK(test_each_alloc(generate_once, m) > 10);
	ul_model_free(m);
}

static void test_generate__published_story(void)
{
	ul_err err = {0};
	ul_arena a = {0};
	ul_buf want = {0};
	ul_gen *g;
	char dir[4096];
	snprintf(dir, sizeof dir, "%s", test_shared("model-stories260k"));
	ul_model *m = ul_model_open_with(ul_path_join(&a, dir, "hf"), &(ul_open){0}, &err);
	NEED_OK(m, err);
	NEED_OK(ul_file_read(&want, ul_path_join(&a, dir, "expected_greedy_200.txt"), 4096, &err), err);
	ul_ids start = {.id = (int[]){1}, .n = 1};
	ul_gen_config c = ul_gen_greedy(200);
	NEED_OK(ul_generate(m, &start, 1, &c, &a, &g, &err), err);
	CHECK(!strncmp(g->text, want.data, want.len - 1));
	ul_buf_release(&want);
	ul_arena_release(&a);
	ul_model_free(m);
}
