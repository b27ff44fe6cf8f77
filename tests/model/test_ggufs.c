/*
 * Checkpoints in GGUF: every architecture's names, rows and keys (tests/golden/gguf, to be judged by the logits of the same models in
 * Hugging Face's layout), every block format, writing, and round trips.
 */
#include "model/gguf.h"
#include "oracle.h"

/* `slack`: what float32 loses on the way, where the file holds 1 + w or divisors of frequencies instead of the values themselves. */
static void own(const char *file, const char *family, double slack)
{
	char path[300], json[300], tensors[300];
	oracle o;
	snprintf(path, sizeof path, "tests/golden/gguf/%s.gguf", file);
	snprintf(json, sizeof json, "tests/golden/families/%s/golden.json", family);
	snprintf(tensors, sizeof tensors, "tests/golden/families/%s/golden.safetensors", family);
	oracle_open(&o, json, tensors, NULL);
	for (int i = 0; i < 2; i++) {
		ul_model *m = open_model(path, i ? "ref64" : "cpu");
		double gap = logit_gap(m, &o, "logits"), most = i ? slack : 1e-4;
		CHECK_MSG(gap >= 0 && gap <= most, "%s: logits differ by %g", file, gap);

		/* Saved as a directory it is the same model. */
		ul_err err = {0};
		NEED_OK(ul_mkdirs(test_path(file), &err), err);
		NEED_OK(ul_model_write(m, test_path(file), UL_SAVE_F32, &err), err);
		ul_model *again = open_model(test_path(file), i ? "ref64" : "cpu");
		gap = logit_gap(again, &o, "logits");
		CHECK_MSG(gap >= 0 && gap <= most, "%s saved as a directory: logits differ by %g", file, gap);
		ul_model_free(again);
		ul_model_free(m);
	}
	oracle_close(&o);
}

static void test_ggufs__llama(void)
{
	own("llama", "llama", 1e-8);
}

static void test_ggufs__llama_bias(void)
{
	own("llama_bias", "llama_bias", 1e-8);
}

static void test_ggufs__llama_tied_llama3(void)
{
	own("llama_tied_llama3", "llama_tied_llama3", 1e-5);
}

static void test_ggufs__qwen2(void)
{
	own("qwen2", "qwen2", 1e-8);
}

static void test_ggufs__qwen3(void)
{
	own("qwen3", "qwen3", 1e-8);
}

static void test_ggufs__neox(void)
{
	own("neox_parallel", "neox_parallel", 1e-8);
	own("neox_parallel_split", "neox_parallel", 1e-8);
}

static void test_ggufs__gpt2(void)
{
	own("gpt2", "gpt2", 1e-8);
	own("gpt2_split", "gpt2", 1e-8);
}

static void test_ggufs__gemma3(void)
{
	own("gemma3", "gemma3", 1e-5);
	own("gemma3_listed", "gemma3", 1e-5); /* its sliding layers one by one instead of by a period */
}

/* The bytes behind a key of the listed file, `skip` further on, become `byte`; opening it fails, and says why. */
static void bent(const char *key, size_t skip, char byte, const char *why)
{
	ul_err err = {0};
	ul_buf b = {0};
	NEED_OK(ul_file_read(&b, "tests/golden/gguf/gemma3_listed.gguf", 1 << 20, &err), err);
	char *at = memmem(b.data, b.len, key, strlen(key));
	NEED(at);
	at[strlen(key) + skip] = byte;
	FILE *f = fopen(test_path("bent.gguf"), "wb");
	NEED(f && fwrite(b.data, 1, b.len, f) == b.len && !fclose(f));
	CHECK_FAILS(ul_model_open(test_path("bent.gguf"), NULL, &err) != NULL, err, why);
	ul_buf_release(&b);
}

static void test_ggufs__sliding_layers_that_lie(void)
{
	bent("gemma3.block_count", 4, 4, "lists 3 layers of 4");
	bent("gemma3.attention.sliding_window_pattern", 4, UL_GGUF_U8, "neither truths nor whole numbers");
}

/* ---- block formats ---- */

/* Dequantised values of every tensor of a file the program can read, against the gguf package's. */
static int check_blocks(const char *path, const char *golden)
{
	ul_err err = {0};
	ul_map map = {0};
	ul_tensors want = {0};
	ul_arena a = {0};
	int n = 0;
	ul_files *f = ul_files_open(path, &err);
	NEED_OK(f, err);
	NEED_OK(ul_map_open(&map, golden, &err), err);
	NEED_OK(ul_safetensors_parse(map.data, map.len, golden, &want, &a, &err), err);
	NEED_OK(ul_tensors_sort(&want, golden, &err), err);
	for (int i = 0; i < f->tensors.n; i++) {
		const ul_tensor *t = &f->tensors.t[i];
		char name[128];
		snprintf(name, sizeof name, "dequant|%s", t->name);
		const ul_tensor *w = ul_tensors_find(&want, name);
		if (!w)
			w = ul_tensors_find(&want, t->name);
		if (!w || t->dtype == UL_DTYPES)
			continue;
		NEED(w->dtype == UL_F32 && w->n == t->n);
		float *x = ul_malloc(t->n * sizeof *x);
		ul_dequantize(t->dtype, t->data, x, t->n);
		CHECK_MSG(!memcmp(x, w->data, t->n * sizeof *x), "%s of %s differs", t->name, path);
		ul_free(x);
		n++;
	}
	ul_map_close(&map);
	ul_free(want.t);
	ul_arena_release(&a);
	ul_files_close(f);
	return n;
}

static void test_ggufs__shared_types(void)
{
	static const char *const types[] = {"f32", "f16", "q8_0", "q4_0", "q4_1"};
	for (int i = 0; i < 5; i++) {
		char folder[512], json[600], path[600], golden[600];
		oracle o;
		shared_path(folder, "oracle-hf/gguf");
		snprintf(path, sizeof path, "%s/tiny_llama_%s.gguf", folder, types[i]);
		snprintf(golden, sizeof golden, "%s/tiny_llama_%s.oracle.safetensors", folder, types[i]);
		snprintf(json, sizeof json, "%s/oracle.json", folder);
		oracle_open_part(&o, json, strrchr(path, '/') + 1, (const char *const[]){golden, NULL});
		ul_model *m = open_model(path, "cpu"), *judge = open_model(path, "ref64");
		double gap = logit_gap(m, &o, "logits"), exact = logit_gap(judge, &o, "logits");
		CHECK_MSG(gap >= 0 && gap <= 1e-4, "%s: logits differ by %g", types[i], gap);
		CHECK_MSG(exact >= 0 && exact <= 1e-8, "%s in double: logits differ by %g", types[i], exact);
		ul_model_free(m);
		ul_model_free(judge);
		oracle_close(&o);
		CHECK(check_blocks(path, golden) >= (i ? 20 : 0));
	}
}

static void test_ggufs__shared_blocks(void)
{
	char path[512], golden[512];
	shared_path(path, "oracle-hf/gguf/quant_blocks.gguf");
	shared_path(golden, "oracle-hf/gguf/quant_blocks.oracle.safetensors");
	CHECK(check_blocks(path, golden) >= 7);
}

/* ---- writing ---- */

static void test_ggufs__written(void)
{
	static const struct {
		const char *family;
		double slack;
	} cases[] = {{"llama", 1e-8}, {"llama_bias", 1e-5}, {"llama_tied_llama3", 1e-5}, {"qwen2", 1e-5}, {"qwen3", 1e-5}, {"neox_parallel", 1e-5}, {"gpt2", 1e-5}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char base[128], json[300], tensors[300];
		oracle o;
		ul_err err = {0};
		snprintf(base, sizeof base, "tests/golden/families/%s", cases[i].family);
		snprintf(json, sizeof json, "%s/golden.json", base);
		snprintf(tensors, sizeof tensors, "%s/golden.safetensors", base);
		oracle_open(&o, json, tensors, NULL);
		ul_model *m = open_model(base, "ref64");
		NEED_OK(ul_gguf_write(m, test_path("f32.gguf"), UL_F32, &err), err);
		NEED_OK(ul_gguf_write(m, test_path("bf16.gguf"), UL_BF16, &err), err);
		NEED_OK(ul_gguf_write(m, test_path("q8_0.gguf"), UL_Q8_0, &err), err);
		ul_model *again = open_model(test_path("f32.gguf"), "ref64"), *half = open_model(test_path("bf16.gguf"), "cpu");
		ul_model *eighth = open_model(test_path("q8_0.gguf"), "cpu");
		double gap = logit_gap(again, &o, "logits");
		CHECK_MSG(gap >= 0 && gap <= cases[i].slack, "%s written and read: logits differ by %g", cases[i].family, gap);
		gap = logit_gap(half, &o, "logits");
		CHECK_MSG(gap >= 0 && gap <= 0.5, "%s as BF16: logits differ by %g", cases[i].family, gap);
		gap = logit_gap(eighth, &o, "logits"); /* rows of 16 do not fill a block of 32: these fall back to F16 */
		CHECK_MSG(gap >= 0 && gap <= 0.1, "%s as Q8_0: logits differ by %g", cases[i].family, gap);
		ul_model_free(m);
		ul_model_free(again);
		ul_model_free(half);
		ul_model_free(eighth);
		oracle_close(&o);
	}
}

/* Wide enough rows are stored as Q8_0, and what is read back is what that format can hold. */
static void test_ggufs__written_q8(void)
{
	ul_err err = {0};
	json_t *config = ul_model_preset("llama-tiny", 64, &err);
	NEED_OK(config, err);
	ul_model *m = ul_model_random(config, 3, "ref", &err);
	NEED_OK(m, err);
	json_decref(config);
	NEED_OK(ul_gguf_write(m, test_path("q8.gguf"), UL_Q8_0, &err), err);
	ul_model *again = open_model(test_path("q8.gguf"), "ref");
	const ul_param *a = ul_model_param(m, "model.layers.1.self_attn.k_proj.weight"), *b = ul_model_param(again, "model.layers.1.self_attn.k_proj.weight");
	NEED(a && b && b->dtype == UL_Q8_0);
	size_t n = (size_t)a->rows * (size_t)a->cols;
	float *x = ul_malloc(n * sizeof *x), *y = ul_malloc(n * sizeof *y), worst = 0, largest = 0;
	ul_param_get_f32(a, x);
	ul_param_get_f32(b, y);
	for (size_t i = 0; i < n; i++) {
		worst = fmaxf(worst, fabsf(x[i] - y[i]));
		largest = fmaxf(largest, fabsf(x[i]));
	}
	CHECK(worst > 0 && worst < largest / 127);
	ul_free(x);
	ul_free(y);
	ul_model_free(m);
	ul_model_free(again);
}

static void test_ggufs__not_writable(void)
{
	ul_err err = {0};
	ul_model *m = open_model("tests/golden/families/gemma3", "cpu"); /* every second layer sees everything: llama.cpp knows only every sixth */
	CHECK_FAILS(ul_gguf_write(m, test_path("x.gguf"), UL_F32, &err), err, "every sixth layer");
	CHECK(!ul_file_exists(test_path("x.gguf")));
	ul_model_free(m);
	m = open_model("tests/golden/families/mistral", "cpu");
	err = (ul_err){0};
	CHECK_FAILS(ul_gguf_write(m, test_path("x.gguf"), UL_F32, &err), err, "sliding window");
	err = (ul_err){0};
	CHECK_FAILS(ul_gguf_write(m, test_path("x.gguf"), UL_Q4_0, &err), err, "F32, F16, BF16 or Q8_0");
	ul_model_free(m);
}

static bool open_it(void *ud, ul_err *err)
{
	ul_model *m = ul_model_open_with("tests/golden/gguf/neox_parallel_split.gguf", NULL, err);
	bool ok = m && ul_gguf_write(m, test_path("again.gguf"), UL_F16, err);
	ul_model_free(m);
	return ok;
}

static void test_ggufs__out_of_memory(void)
{
	CHECK(test_each_alloc(open_it, NULL) > 20);
}
