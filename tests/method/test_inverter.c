/*
 * test_inverter.c: the steps of the inverter against PyTorch, by hand, and that a small one learns to write the text that a
 * distribution belongs to.
 */
#include "test.h"

#include "tensor/backend.h"
#include "train/inverter.h"

/* ---- goldens ---- */

static void numbers(const json_t *v, double *out, size_t *n)
{
	size_t i;
	json_t *x;
	if (json_is_number(v)) {
		out[(*n)++] = json_number_value(v);
		return;
	}
	json_array_foreach((json_t *)(uintptr_t)v, i, x)
	        numbers(x, out, n);
}

static size_t of(const json_t *v, const char *key, double *out)
{
	size_t n = 0;
	numbers(json_object_get(v, key), out, &n);
	NEED(n > 0);
	return n;
}

static ul_param *param_of(const json_t *g, const char *key, ul_arena *a, const ul_backend *be, int rows, int cols)
{
	double x[64];
	CHECK_EQ_INT(of(g, key, x), rows * cols);
	ul_param *p = ul_param_new(a, be, key, rows, cols);
	NEED(p);
	ul_param_set(p, x);
	return p;
}

static void test_inverter__steps_are_those_of_pytorch(void)
{
	enum { V_M = 9,
		V_I = 7,
		S = 2,
		D = 3,
		MID = 4 };
	ul_err err = {0};
	ul_arena a = {0};
	json_t *g = ul_json_file("tests/golden/inverter/golden.json", (size_t)1 << 20, &err), *step;
	NEED_OK(g, err);
	double tau[V_M], table64[V_I * D], unigram[V_I] = {0};
	float table[V_I * D];
	int map[V_M];
	bool seen = false;
	size_t k;
	const ul_backend *be = ul_backend_get("ref64", &err);
	ul_inverter v = {.w1 = param_of(g, "in.weight", &a, be, MID, D), .b1 = param_of(g, "in.bias", &a, be, 1, MID), .w2 = param_of(g, "out.weight", &a, be, D, MID), .b2 = param_of(g, "out.bias", &a, be, 1, D)};
	of(g, "map", tau);
	of(g, "table", table64);
	for (int i = 0; i < V_M; i++)
		map[i] = (int)tau[i];
	for (int i = 0; i < V_I * D; i++)
		table[i] = (float)table64[i];
	json_array_foreach(json_object_get(g, "steps"), k, step)
	{
		double logp[3 * V_M], want[3 * V_I], x[3 * V_I], soft[3 * S * D], got[3 * S * D];
		float sums[3 * S * D];
		int n = (int)(of(step, "logp", logp) / V_M);
		of(step, "joined", want);
		for (int i = 0; i < n; i++) {
			double all = 0;
			ul_invert_join(logp + i * V_M, V_M, map, x + i * V_I, V_I);
			for (int j = 0; j < V_I; j++)
				all += exp(x[i * V_I + j]);
			CHECK_NEAR(all, 1, 1e-6); /* §1.7: nothing is lost on the way from one vocabulary to the other */
			for (int j = 0; j < V_I; j++)
				CHECK_CLOSE(x[i * V_I + j], want[i * V_I + j], 1e-7);
		}
		ul_invert_whiten(x, n, V_I, unigram, &seen, json_number_value(json_object_get(g, "beta")), json_is_true(json_object_get(step, "learn")));
		of(step, "white", want);
		CHECK_ARRAY(x, want, (size_t)n * V_I, 1e-12);
		of(step, "unigram", want);
		for (int j = 0; j < V_I; j++)
			CHECK_CLOSE(unigram[j], want[j], 1e-7);
		ul_invert_groups(x, n, V_I, table, D, S, sums);
		CHECK_EQ_INT(of(step, "soft", soft), n * S * D);
		CHECK_ARRAY(sums, soft, (size_t)n * S * D, 1e-6);
		ul_tape t;
		ul_tape_init(&t, be);
		ul_read(ul_inverter_project(&v, ul_const(&t, n * S, D, soft)), got);
		of(step, "projected", want);
		CHECK_ARRAY(got, want, (size_t)n * S * D, 1e-12);
		ul_tape_release(&t);
	}
	ul_param *p[] = {v.w1, v.b1, v.w2, v.b2};
	for (int i = 0; i < 4; i++)
		ul_param_release(p[i]);
	json_decref(g);
	ul_arena_release(&a);
}

/* §1.7: six tokens, two groups, by hand. */
static void test_inverter__groups_by_hand(void)
{
	const float table[6 * 2] = {1, 0, 0, 1, 1, 1, 2, 0, 0, 2, -1, -1};
	const double x[6] = {1, 2, 3, 0.5, -1, 4};
	float out[4];
	ul_invert_groups(x, 1, 6, table, 2, 2, out);
	CHECK_ARRAY(out, ((float[]){1 + 3, 2 + 3, 1 - 4, -2 - 4}), 4, 1e-7);
}

/* A vocabulary that the groups do not divide is filled up with zeros: short groups, and groups of nothing at all. */
static void test_inverter__groups_fill_up_with_zeros(void)
{
	enum { WIDTH = 2 };
	static const struct {
		int vocab, groups, last; /* the last group that holds a token */
	} cases[] = {{6, 2, 1}, {7, 3, 2}, {9, 6, 4}, {3, 64, 2}};
	const float table[9 * WIDTH] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
	const double x[2 * 9] = {1, -1, 2, -2, 3, -3, 4, -4, 5, 5, 4, 3, 2, 1, 0, -1, -2, -3};
	for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
		int v = cases[k].vocab, s = cases[k].groups, chunk = (v + s - 1) / s;
		float got[2 * 64 * WIDTH + 1], want[2 * 64 * WIDTH] = {0};
		got[2 * s * WIDTH] = 123;
		for (int i = 0; i < 2; i++)
			for (int j = 0; j < v; j++)
				for (int c = 0; c < WIDTH; c++)
					want[(i * s + j / chunk) * WIDTH + c] += (float)x[i * v + j] * table[j * WIDTH + c];
		ul_invert_groups(x, 2, v, table, WIDTH, s, got);
		CHECK_ARRAY(got, want, (size_t)(2 * s * WIDTH), 1e-6); /* [n · S, d], and not one number more */
		CHECK(got[2 * s * WIDTH] == 123);
		CHECK_EQ_INT((v - 1) / chunk, cases[k].last);
		for (int g = cases[k].last + 1; g < s; g++)
			CHECK(got[g * WIDTH] == 0 && got[g * WIDTH + 1] == 0);
	}
}

/* ---- τ between two tokenizers ---- */

static ul_tok *learnt(const char *text, int vocab)
{
	ul_err err = {0};
	size_t n = strlen(text);
	ul_tok *t = ul_tok_train(&text, &n, 1, vocab, &err);
	NEED_OK(t, err);
	return t;
}

static void test_inverter__map_takes_first_tokens(void)
{
	ul_tok *from = learnt("the phone of the person is the phone of the other person ", 300), *to = learnt("a bee sees the sea, the bees see the trees", 280);
	int n = ul_tok_size(from), *map = malloc((size_t)n * sizeof *map), shared = 0;
	ul_err err = {0};
	NEED_OK(ul_invert_map(from, n, to, map, &err), err);
	for (int i = 0; i < n; i++) {
		ul_buf whole = {0}, first = {0};
		NEED(map[i] >= 0 && map[i] < ul_tok_size(to));
		ul_tok_decode(from, &i, 1, false, &whole);
		ul_tok_decode(to, &map[i], 1, false, &first);
		if (whole.len && (unsigned char)whole.data[0] < 0x80) /* half a character has no token of its own elsewhere */
			shared += first.len <= whole.len && (!memcmp(whole.data, first.data, first.len) || (whole.data[0] == ' ' && !memcmp(whole.data + 1, first.data, first.len)));
		ul_buf_release(&whole);
		ul_buf_release(&first);
	}
	CHECK_MSG(shared >= 128, "%d tokens begin with the token they map to", shared);
	CHECK(ul_invert_same_vocab(from, from) && !ul_invert_same_vocab(from, to));
	free(map);
	ul_tok_free(from);
	ul_tok_free(to);
}

/* Joined over any vocabulary, a distribution stays one; what several tokens map to has the sum of them. */
static void stays_whole(const double *logp, int n, const int *map, int m)
{
	double *x = malloc((size_t)m * sizeof *x), all = 0;
	int crowded = 0;
	ul_invert_join(logp, n, map, x, m);
	for (int j = 0; j < m; j++) {
		double sum = 0;
		int sources = 0;
		for (int i = 0; i < n; i++)
			if (map[i] == j)
				sum += exp(logp[i]), sources++;
		CHECK_NEAR(exp(x[j]), sum, 1e-12);
		crowded += sources > 1;
		all += exp(x[j]);
	}
	CHECK_NEAR(all, 1, 1e-6);
	CHECK_MSG(crowded > 1, "%d tokens have more than one that maps to them: too few to see that they are added", crowded);
	free(x);
}

static void test_inverter__map_loses_no_probability(void)
{
	ul_tok *from = learnt("the phone of the person is the phone of the other person ", 300), *to = learnt("a bee sees the sea, the bees see the trees", 280);
	int n = ul_tok_size(from), *map = malloc((size_t)n * sizeof *map);
	double *logp = malloc((size_t)n * sizeof *logp);
	ul_rng r = ul_rng_at(5, "test", 0);
	ul_err err = {0};
	NEED_OK(ul_invert_map(from, n, to, map, &err), err);
	for (int draw = 0; draw < 4; draw++) { /* from nearly even to nearly certain */
		double all = 0;
		for (int i = 0; i < n; i++)
			all += exp(logp[i] = ul_rng_normal(&r) * pow(4, draw));
		for (int i = 0; i < n; i++)
			logp[i] -= log(all);
		stays_whole(logp, n, map, ul_tok_size(to));
	}
	free(map);
	free(logp);
	ul_tok_free(from);
	ul_tok_free(to);
}

/* ---- a small inverter ---- */

static const char *const texts[] = {
        "the red fox runs",
        "a blue bird sings",
        "the old man sleeps",
        "a green tree grows",
        "the red bird sleeps",
        "a blue fox sings",
        "the old tree runs",
        "a green man grows",
};
enum { TEXTS = 8 };

/* A target whose distributions differ: random weights, made louder. */
static ul_model *target(void)
{
	ul_err err = {0};
	ul_set_threads(1); /* too small for more */
	json_t *config = ul_model_preset("llama-tiny", 300, &err);
	json_object_set_new(config, "num_hidden_layers", json_integer(2));
	json_object_set_new(config, "hidden_size", json_integer(32));
	json_object_set_new(config, "intermediate_size", json_integer(48));
	json_object_set_new(config, "initializer_range", json_real(0.3));
	ul_model *m = ul_model_random(config, 3, NULL, &err);
	NEED_OK(m, err);
	json_decref(config);
	m->tok = learnt("the red fox runs a blue bird sings the old man sleeps a green tree grows", 300);
	return m;
}

static ul_inverter_config small(const char *model)
{
	return (ul_inverter_config){.model = model, .lora = "r=8,alpha=16,target=all-linear", .groups = 8, .epochs = 60, .batch = 4, .length = 16, .lr = 5e-3, .beta = 0.01, .seed = 1};
}

static int exact(ul_inverter *v, const ul_pairs *p, ul_gen_config c)
{
	ul_arena a = {0};
	ul_gen *g;
	ul_err err = {0};
	int hits = 0;
	NEED_OK(ul_inverter_say(v, p->hidden, p->n, c, &a, &g, &err), err);
	for (int i = 0; i < p->n; i++)
		hits += !strcmp(g[i * (c.samples > 0 ? c.samples : 1)].text, texts[i]);
	ul_arena_release(&a);
	return hits;
}

static void learns(const char *model, const char *cache)
{
	ul_model *m = target();
	ul_pairs p, again;
	ul_err err = {0};
	ul_inverter_config c = small(model);
	json_t *said = json_object();
	NEED_OK(ul_pairs_make(&p, m, texts, TEXTS, 16, cache, NULL, &err), err);
	CHECK(!p.cached);
	ul_inverter *v = ul_inverter_new(m, &c, &err);
	NEED_OK(v, err);
	NEED_OK(ul_inverter_make(v, &p, cache, said, NULL, &err), err);
	CHECK(json_is_false(json_object_get(said, "cached")));
	CHECK_EQ_INT(exact(v, &p, ul_gen_greedy(16)), TEXTS);
	CHECK_EQ_INT(exact(v, &p, (ul_gen_config){.max_new = 16, .beams = 3, .samples = 1, .top_p = 1}), TEXTS);

	/* What was kept is what was made; other texts, or another model behind them, have another name. */
	ul_inverter *w = ul_inverter_new(m, &c, &err);
	NEED_OK(w, err);
	NEED_OK(ul_pairs_make(&again, m, texts, TEXTS, 16, cache, NULL, &err), err);
	CHECK(again.cached && !memcmp(again.hidden, p.hidden, (size_t)p.n * (size_t)p.width * sizeof(float)));
	NEED_OK(ul_inverter_make(w, &again, cache, said, NULL, &err), err);
	CHECK(json_is_true(json_object_get(said, "cached")));
	CHECK_EQ_INT(exact(w, &again, ul_gen_greedy(16)), TEXTS);
	ul_pairs_release(&again);
	NEED_OK(ul_pairs_make(&again, m, texts + 1, TEXTS - 1, 16, cache, NULL, &err), err);
	CHECK(!again.cached);
	double *kl = malloc(TEXTS * sizeof *kl);
	NEED_OK(ul_rows_kl(m, p.hidden, p.hidden, 2, kl, &err), err);
	CHECK_NEAR(kl[1], 0, 1e-9);
	NEED_OK(ul_rows_kl(m, p.hidden, again.hidden, 2, kl, &err), err); /* of the first text from the second */
	CHECK_MSG(kl[0] > 1e-3, "KL %g", kl[0]);
	free(kl);
	ul_pairs_release(&again);
	ul_pairs_release(&p);
	ul_inverter_free(v);
	ul_inverter_free(w);
	json_decref(said);
	ul_model_free(m);
}

static void test_inverter__a_random_decoder_learns_to_invert(void)
{
	learns("llama-tiny", test_path("cache"));
}

static void test_inverter__the_target_itself_learns_to_invert(void)
{
	learns("self", test_path("cache"));
}

/* A decoder with a tokenizer of its own, from a folder: it reads the target through τ, and still learns. */
static void test_inverter__a_checkpoint_of_another_tokenizer_learns_to_invert(void)
{
	ul_model *m = target();
	ul_err err = {0};
	ul_pairs p;
	json_t *config = ul_model_preset("llama-tiny", 280, &err);
	json_object_set_new(config, "num_hidden_layers", json_integer(2));
	json_object_set_new(config, "hidden_size", json_integer(32));
	json_object_set_new(config, "intermediate_size", json_integer(48));
	ul_model *other = ul_model_random(config, 9, NULL, &err);
	NEED_OK(other, err);
	json_decref(config);
	other->tok = learnt("a bee sees the sea, the bees see the trees, a fox sees a green bird", 280);
	NEED_OK(ul_model_save(other, test_path("other"), &err), err);
	ul_model_free(other);
	ul_inverter_config c = small(test_path("other"));
	c.lora = "none";
	c.epochs = 200;
	NEED_OK(ul_pairs_make(&p, m, texts, TEXTS, 16, NULL, NULL, &err), err);
	ul_inverter *v = ul_inverter_new(m, &c, &err);
	NEED_OK(v && v->map, err);
	double *logp = malloc((size_t)p.n * (size_t)m->cfg.vocab * sizeof *logp), nll;
	float *soft = malloc((size_t)p.n * 8 * (size_t)v->model->cfg.hidden * sizeof *soft);
	NEED_OK(ul_rows_logp(m, p.hidden, p.n, logp, &err), err);
	for (int i = 0; i < p.n; i++)
		stays_whole(logp + i * m->cfg.vocab, m->cfg.vocab, v->map, v->model->cfg.vocab);
	NEED_OK(ul_inverter_look(v, p.hidden, p.n, true, soft, &err), err);
	for (int k = 0; k < p.n * 8 * v->model->cfg.hidden; k++)
		NEED(isfinite(soft[k]));
	NEED_OK(ul_inverter_fit(v, &p, &nll, NULL, &err), err);
	CHECK_EQ_INT(exact(v, &p, ul_gen_greedy(16)), TEXTS);
	free(logp);
	free(soft);
	ul_inverter_free(v);
	ul_pairs_release(&p);
	ul_model_free(m);
}

static void test_inverter__target_is_untouched(void)
{
	ul_model *m = target();
	ul_pairs p, q;
	ul_err err = {0};
	ul_inverter_config c = small("self");
	double nll;
	c.epochs = 1;
	NEED_OK(ul_pairs_make(&p, m, texts, TEXTS, 16, NULL, NULL, &err), err);
	ul_inverter *v = ul_inverter_new(m, &c, &err);
	NEED_OK(v, err);
	NEED_OK(ul_inverter_fit(v, &p, &nll, NULL, &err), err);
	CHECK(nll > 0);
	NEED_OK(ul_pairs_make(&q, m, texts, TEXTS, 16, NULL, NULL, &err), err);
	CHECK(!memcmp(p.hidden, q.hidden, (size_t)p.n * (size_t)p.width * sizeof(float)));
	ul_inverter_free(v);
	ul_pairs_release(&p);
	ul_pairs_release(&q);
	ul_model_free(m);
}

static void test_inverter__refuses(void)
{
	ul_model *m = target();
	ul_err err = {0};
	ul_inverter_config c = small("self");
	c.length = 510;
	CHECK_FAILS(ul_inverter_new(m, &c, &err) != NULL, err, "context of 512 tokens does not hold 8 soft rows and a text of 510");
	err = (ul_err){0};
	c = small("no-such-model");
	CHECK_FAILS(ul_inverter_new(m, &c, &err) != NULL, err, "no-such-model");
	ul_model_free(m);
}
