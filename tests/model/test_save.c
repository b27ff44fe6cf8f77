/*
 * test_save.c: models that are written, hashed, copied, or made of random numbers.
 */
#include "oracle.h"

/* ---- saving, hashing, copying ---- */

static bool same_values(const ul_param *a, const ul_param *b)
{
	size_t bytes = (size_t)a->rows * (size_t)a->cols * sizeof(float);
	float *x = ul_malloc(bytes), *y = ul_malloc(bytes);
	ul_param_get_f32(a, x);
	ul_param_get_f32(b, y);
	bool same = a->rows == b->rows && a->cols == b->cols && !memcmp(x, y, bytes);
	ul_free(x);
	ul_free(y);
	return same;
}

static void test_save__saved(void)
{
	static const char *const families[] = {"neox_parallel", "llama_bias", "mistral", "qwen2", "gpt2", "gemma3", "gemma3_untied"};
	for (int i = 0; i < 7; i++) {
		ul_err err = {0};
		char base[128];
		snprintf(base, sizeof base, "tests/golden/families/%s", families[i]);
		ul_model *m = open_model(base, "cpu");
		NEED_OK(ul_model_save(m, test_path(families[i]), &err), err);
		opens_as(test_path(families[i]), families[i]);
		ul_model *again = open_model(test_path(families[i]), "cpu");
		for (int k = 0; k < m->params; k++)
			CHECK_MSG(same_values(m->param[k], again->param[k]), "%s", m->param[k]->name);
		ul_model_free(again);
		CHECK_FAILS(ul_model_save(m, test_path(families[i]), &err), err, "");
		ul_model_free(m);
	}
	/* BF16 and F16 hold what they can: written twice, the values stay. */
	for (int d = UL_SAVE_F16; d <= UL_SAVE_BF16; d++) {
		ul_err err = {0};
		char one[32], two[32];
		snprintf(one, sizeof one, "one%d", d);
		snprintf(two, sizeof two, "two%d", d);
		NEED_OK(ul_mkdirs(test_path(one), &err) && ul_mkdirs(test_path(two), &err), err);
		ul_model *m = open_model("tests/golden/families/qwen3", "cpu");
		NEED_OK(ul_model_write(m, test_path(one), d, &err), err);
		ul_model *a = open_model(test_path(one), "cpu");
		CHECK_EQ_INT(a->embed->dtype, d == UL_SAVE_F16 ? UL_F16 : UL_BF16);
		NEED_OK(ul_model_write(a, test_path(two), d, &err), err);
		ul_model *b = open_model(test_path(two), "cpu");
		for (int k = 0; k < a->params; k++)
			CHECK(same_values(a->param[k], b->param[k]));
		NEED_OK(ul_model_hash(a, &err) && ul_model_hash(b, &err), err);
		CHECK_STR(a->sha256, b->sha256);
		ul_model_free(m);
		ul_model_free(a);
		ul_model_free(b);
	}
}

static void test_save__hash(void)
{
	ul_err err = {0};
	char want[65];
	ul_model *m = open_model("tests/golden/families/llama", "cpu");
	NEED_OK(ul_model_hash(m, &err), err);
	NEED_OK(ul_sha256_file("tests/golden/families/llama/model.safetensors", want, &err), err);
	CHECK_STR(m->sha256, want);
	ul_model_free(m);
}

/* A copy keeps the weights as they were when it was made. */
static void test_save__clone(void)
{
	ul_err err = {0};
	ul_model *m = open_model("tests/golden/families/neox_parallel", "cpu");
	int ids[] = {3, 1, 4, 1}, pos[] = {0, 1, 2, 3}, start[] = {0, 4};
	double *before = run_packed(m, ids, pos, (ul_span){1, start});
	train(m->param, m->params / 2); /* half of them own memory, half are mapped */
	ul_model *copy = ul_model_clone(m, &err);
	NEED_OK(copy, err);
	train(m->param, m->params);
	for (int i = 0; i < m->params; i++)
		m->be->fill(m->param[i]->data, 0.5, (size_t)m->param[i]->rows * (size_t)m->param[i]->cols);
	double *after = run_packed(copy, ids, pos, (ul_span){1, start});
	CHECK(!memcmp(before, after, 4 * 32 * sizeof *before));
	for (int i = 0; i < copy->params; i++)
		CHECK(!copy->param[i]->trainable && !copy->param[i]->grad);
	ul_free(before);
	ul_free(after);
	ul_model_free(copy);
	ul_model_free(m);
}

/* ---- from scratch ---- */

static void test_save__random(void)
{
	static const char *const presets[] = {"neox-tiny", "llama-tiny", "gpt2-tiny", "qwen3-tiny", "gemma3-tiny"};
	for (int i = 0; i < 5; i++) {
		ul_err err = {0};
		json_t *config = ul_model_preset(presets[i], 300, &err);
		NEED_OK(config, err);
		ul_model *m = ul_model_random(config, 5, "cpu", &err), *same = ul_model_random(config, 5, "cpu", &err), *other = ul_model_random(config, 6, "cpu", &err);
		NEED_OK(m && same && other, err);
		double sum = 0, square = 0;
		size_t n = (size_t)m->embed->rows * (size_t)m->embed->cols;
		const float *x = m->embed->data;
		for (size_t k = 0; k < n; k++) {
			sum += (double)x[k];
			square += (double)x[k] * (double)x[k];
		}
		CHECK_NEAR(sum / (double)n, 0, 5e-4);
		CHECK_CLOSE(sqrt(square / (double)n), 0.02, 0.02);
		CHECK(!memcmp(x, same->embed->data, n * sizeof *x) && memcmp(x, other->embed->data, n * sizeof *x));
		const float *norm = m->norm->data;
		CHECK(norm[3] == (i == 4 ? 0 : 1));
		/* An untrained model knows nothing: about log V nats a token. */
		int ids[] = {3, 1, 4, 1, 5, 9}, pos[] = {0, 1, 2, 3, 4, 5}, start[] = {0, 6};
		double *z = run_packed(m, ids, pos, (ul_span){1, start}), most = 0;
		for (int k = 0; k < 6 * 300; k++)
			most = fmax(most, fabs(z[k]));
		CHECK(most < 2);
		ul_free(z);
		NEED_OK(ul_model_hash(m, &err) && ul_model_hash(same, &err) && ul_model_hash(other, &err), err);
		CHECK_STR(m->sha256, same->sha256);
		CHECK(strcmp(m->sha256, other->sha256));
		/* It can be saved and opened. */
		NEED_OK(ul_model_save(m, test_path(presets[i]), &err), err);
		ul_model *again = open_model(test_path(presets[i]), "cpu");
		CHECK(!memcmp(x, again->embed->data, n * sizeof *x));
		ul_model_free(again);
		ul_model_free(m);
		ul_model_free(same);
		ul_model_free(other);
		json_decref(config);
	}
	ul_err err = {0};
	CHECK_FAILS(ul_model_preset("gpt5", 10, &err) != NULL, err, "no preset \"gpt5\"; there are neox-tiny");
}

/* Sizes that are published: each preset's parameters, a tied head once. */
static void test_save__presets(void)
{
	static const struct {
		const char *name;
		int vocab;
		size_t count;
	} known[] = {{"pythia-70m", 50304, 70426624}, {"gpt2", 50257, 124439808}, {"smollm2-135m", 49152, 134515008}, {"llama-3.2-1b", 128256, 1235814400}};
	for (int i = 0; i < 4; i++) {
		ul_err err = {0};
		json_t *config = ul_model_preset(known[i].name, known[i].vocab, &err);
		NEED_OK(config && ul_json_write(test_path("config.json"), config, &err), err);
		ul_model *m = ul_model_open_with(test_tmp(), &(ul_open){.no_weights = true}, &err);
		NEED_OK(m, err);
		CHECK_EQ_INT(ul_model_count(m), known[i].count);
		ul_model_free(m);
		json_decref(config);
	}
}

static bool save_it(void *ud, ul_err *err)
{
	ul_model *m = ul_model_open_with("tests/golden/families/gpt2", NULL, err), *copy = m ? ul_model_clone(m, err) : NULL;
	bool ok = copy && ul_remove_tree(test_path("out"), err) && ul_model_save(copy, test_path("out"), err);
	ul_model_free(copy);
	ul_model_free(m);
	return ok;
}

static void test_save__out_of_memory(void)
{
	CHECK(test_each_alloc(save_it, NULL) > 20);
}
