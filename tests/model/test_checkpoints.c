/*
 * Checkpoints as they lie about: shards, tied heads in every spelling, models without their head, run folders, the local cache; and
 * what must be refused, with its sentence.
 */
#include "model/gguf.h"
#include "oracle.h"

/* ---- making one ---- */

struct tensor { /* of a checkpoint that is about to be written with something changed */
	char name[128];
	ul_st_out out;
};

typedef struct checkpoint {
	ul_model *m;
	json_t *config;
	struct tensor t[96];
	int n;
} checkpoint;

static checkpoint load(const char *family)
{
	checkpoint c = {0};
	char base[128];
	snprintf(base, sizeof base, "tests/golden/families/%s", family);
	c.m = open_model(base, "cpu");
	c.config = json_deep_copy(c.m->config);
	for (int i = 0; i < c.m->params; i++) {
		ul_param *p = c.m->param[i];
		struct tensor *t = &c.t[c.n++];
		ul_err err = {0};
		NEED_OK(ul_param_own(p, &err), err);
		snprintf(t->name, sizeof t->name, "%s", p->name);
		t->out = (ul_st_out){.data = p->data, .dims = p->vector ? 1 : 2, .shape = {p->vector || p->transposed ? p->cols : p->rows, p->transposed ? p->rows : p->cols}, .transpose = p->transposed};
	}
	return c;
}

static struct tensor *find(checkpoint *c, const char *name)
{
	for (int i = 0; i < c->n; i++)
		if (!strcmp(c->t[i].name, name))
			return &c->t[i];
	NEED(!"no such tensor");
	return NULL;
}

static void drop(checkpoint *c, const char *name)
{
	struct tensor *t = find(c, name);
	*t = c->t[--c->n];
}

static struct tensor *add(checkpoint *c, const char *name, const char *like)
{
	struct tensor t = *find(c, like);
	snprintf(t.name, sizeof t.name, "%s", name);
	c->t[c->n] = t;
	return &c->t[c->n++];
}

static void write_part(const checkpoint *c, const char *path, int from, int to)
{
	ul_err err = {0};
	ul_st_out out[96];
	for (int i = from; i < to; i++) {
		out[i - from] = c->t[i].out;
		out[i - from].name = c->t[i].name;
	}
	NEED_OK(ul_safetensors_write(path, out, to - from, UL_F32, &err), err);
}

static void write_config(const checkpoint *c)
{
	ul_err err = {0};
	NEED_OK(ul_json_write(test_path("config.json"), c->config, &err), err);
}

static void write_all(const checkpoint *c)
{
	write_config(c);
	write_part(c, test_path("model.safetensors"), 0, c->n);
}

static void release(checkpoint *c)
{
	json_decref(c->config);
	ul_model_free(c->m);
}

static void refused(const char *part)
{
	ul_err err = {0};
	ul_model *m = ul_model_open_with(test_tmp(), NULL, &err);
	CHECK_FAILS(m != NULL, err, part);
	ul_model_free(m);
}

/* ---- what must open ---- */

static void test_checkpoints__tied_heads(void)
{
	checkpoint c = load("llama_tied_llama3");
	add(&c, "lm_head.weight", "model.embed_tokens.weight"); /* stored twice */
	write_all(&c);
	opens_as(test_tmp(), "llama_tied_llama3");
	drop(&c, "model.embed_tokens.weight"); /* only under the head's name */
	write_all(&c);
	opens_as(test_tmp(), "llama_tied_llama3");
	drop(&c, "lm_head.weight");
	write_all(&c);
	refused("has no tensor \"model.embed_tokens.weight\"");
	release(&c);

	c = load("llama_tied_llama3"); /* untied by its word, the same matrix twice */
	add(&c, "lm_head.weight", "model.embed_tokens.weight");
	json_object_set_new(c.config, "tie_word_embeddings", json_false());
	write_all(&c);
	opens_as(test_tmp(), "llama_tied_llama3");
	drop(&c, "lm_head.weight");
	write_all(&c);
	refused("has no tensor \"lm_head.weight\"");
	release(&c);
}

static void test_checkpoints__bare_names(void)
{
	checkpoint c = load("gpt2"); /* as openai-community/gpt2 is: no prefix, and a mask in every block */
	for (int i = 0; i < c.n; i++)
		memmove(c.t[i].name, c.t[i].name + strlen("transformer."), sizeof c.t[i].name - strlen("transformer."));
	add(&c, "h.0.attn.bias", "ln_f.bias");
	add(&c, "h.1.attn.masked_bias", "ln_f.bias");
	write_all(&c);
	opens_as(test_tmp(), "gpt2");
	release(&c);
}

static void test_checkpoints__multimodal(void)
{
	static const char *const prefixes[] = {"language_model.", "model.language_model."};
	for (int k = 0; k < 2; k++) {
		checkpoint c = load("gemma3");
		for (int i = 0; i < c.n; i++) {
			char name[256];
			snprintf(name, sizeof name, "%s%s", prefixes[k], c.t[i].name + (k ? strlen("model.") : 0));
			snprintf(c.t[i].name, sizeof c.t[i].name, "%.127s", name);
		}
		char first[128];
		snprintf(first, sizeof first, "%s", c.t[0].name);
		add(&c, "vision_tower.vision_model.embeddings.patch_embedding.weight", first);
		add(&c, "multi_modal_projector.mm_soft_emb_norm.weight", first);
		json_t *outer = json_pack("{s:s, s:[i, i]}", "model_type", "gemma3", "eos_token_id", 1, 106);
		json_object_set_new(outer, "text_config", c.config);
		c.config = outer;
		write_all(&c);
		opens_as(test_tmp(), "gemma3");
		ul_model *m = open_model(test_tmp(), "cpu");
		CHECK(m->cfg.eos_n == 2 && m->cfg.eos[1] == 106);
		CHECK_STR(ul_json_str(m->config, "model_type"), "gemma3_text");
		ul_model_free(m);
		release(&c);
	}
}

static void write_shards(const checkpoint *c, const char *missing)
{
	ul_err err = {0};
	json_t *map = json_object();
	int half = c->n / 2;
	for (int i = 0; i < c->n; i++)
		json_object_set_new(map, c->t[i].name, json_string(i < half ? "one.safetensors" : "two.safetensors"));
	if (missing)
		json_object_set_new(map, missing, json_string("two.safetensors"));
	json_t *index = json_pack("{s:{s:i}, s:o}", "metadata", "total_size", 1, "weight_map", map);
	NEED_OK(ul_json_write(test_path("model.safetensors.index.json"), index, &err), err);
	json_decref(index);
	write_config(c);
	write_part(c, test_path("one.safetensors"), 0, half);
	write_part(c, test_path("two.safetensors"), half, c->n);
}

static void test_checkpoints__shards(void)
{
	checkpoint c = load("qwen3");
	write_shards(&c, NULL);
	opens_as(test_tmp(), "qwen3");
	write_shards(&c, "model.layers.7.x.weight");
	refused("promises the tensor \"model.layers.7.x.weight\"");
	write_shards(&c, NULL);
	write_part(&c, test_path("two.safetensors"), c.n / 2 - 1, c.n);
	refused("occurs twice");
	NEED(unlink(test_path("two.safetensors")) == 0);
	refused("names the shard \"two.safetensors\", which is not in the directory");
	test_file("model.safetensors.index.json", "{\"weight_map\": {\"a\": \"../one.safetensors\"}}");
	refused("is no file name");
	test_file("model.safetensors.index.json", "{\"weight_map\": {}}");
	refused("no weight_map");
	test_file("model.safetensors.index.json", "{");
	refused("model.safetensors.index.json");
	release(&c);
}

/* ---- what must be refused ---- */

static void test_checkpoints__shapes(void)
{
	checkpoint c = load("llama");
	find(&c, "model.layers.1.mlp.up_proj.weight")->out.shape[0] = 19;
	write_all(&c);
	refused("tensor \"model.layers.1.mlp.up_proj.weight\" has shape [19, 16], the configuration calls for [20, 16]");
	find(&c, "model.layers.1.mlp.up_proj.weight")->out.shape[0] = 20;
	find(&c, "model.norm.weight")->out.shape[0] = 15;
	write_all(&c);
	refused("tensor \"model.norm.weight\" has shape [15], the configuration calls for [16]");
	find(&c, "model.norm.weight")->out = (ul_st_out){.data = c.m->norm->data, .dims = 2, .shape = {1, 16}};
	write_all(&c);
	refused("has shape [1, 16], the configuration calls for [16]");
	release(&c);

	c = load("llama");
	json_object_set_new(c.config, "vocab_size", json_integer(33));
	write_all(&c);
	refused("\"model.embed_tokens.weight\" has shape [32, 16], the configuration calls for [33, 16]");
	release(&c);
}

static void test_checkpoints__extra_and_missing(void)
{
	checkpoint c = load("llama");
	add(&c, "model.layers.0.self_attn.q_proj.bias", "model.norm.weight");
	write_all(&c);
	refused("holds a tensor \"model.layers.0.self_attn.q_proj.bias\" that a llama model of this configuration does not have");
	drop(&c, "model.layers.0.self_attn.q_proj.bias");
	add(&c, "model.layers.0.self_attn.rotary_emb.inv_freq", "model.norm.weight");
	write_all(&c);
	opens_as(test_tmp(), "llama");
	drop(&c, "model.layers.1.self_attn.o_proj.weight");
	write_all(&c);
	refused("has no tensor \"model.layers.1.self_attn.o_proj.weight\", which the architecture llama needs");
	release(&c);
}

/* In place, dequantised, and turned round: every way in looks at every value. */
static void test_checkpoints__not_finite(void)
{
	static const struct {
		const char *family, *tensor;
	} cases[] = {{"llama", "model.layers.1.mlp.down_proj.weight"}, {"gpt2", "transformer.h.1.mlp.c_fc.weight"}, {"neox_parallel", "gpt_neox.layers.0.attention.query_key_value.bias"}};
	static const float bad[] = {NAN, INFINITY, -INFINITY};
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 3; k++) {
			ul_err err = {0};
			char want[200];
			checkpoint c = load(cases[i].family);
			ul_param *p = ul_model_param(c.m, cases[i].tensor);
			NEED(p);
			NEED_OK(ul_param_own(p, &err), err);
			float *x = p->data;
			x[(size_t)p->rows * (size_t)p->cols - 1] = bad[k];
			find(&c, cases[i].tensor)->out.data = x;
			write_all(&c);
			snprintf(want, sizeof want, "tensor \"%s\" holds NaN or infinite values", cases[i].tensor);
			refused(want);
			ul_model *m = ul_model_open_with(test_tmp(), &(ul_open){.backend = "ref64"}, &err); /* converted instead of mapped */
			CHECK_FAILS(m != NULL, err, want);
			release(&c);
		}
}

static void test_checkpoints__no_model(void)
{
	ul_err err = {0};
	refused("holds no config.json");
	test_file("config.json", "{\"model_type\": \"mamba\"}");
	refused("unknown architecture \"mamba\"; known are gemma3_text, gemma3, gpt2, llama, mistral, qwen2, qwen3, gpt_neox");
	test_file("config.json", "{\"hidden_size\": 3}");
	refused("names no model_type");
	checkpoint c = load("llama");
	write_config(&c);
	refused("holds neither model.safetensors nor model.safetensors.index.json");
	test_file("pytorch_model.bin", "x");
	ul_model *m = ul_model_open_with(test_tmp(), NULL, &err);
	CHECK(!m);
	CHECK_HAS(err.hint, "safe_serialization");
	write_all(&c);
	test_file("tokenizer.json", "{\"model\": 1}"); /* a broken tokenizer is not a missing one */
	err = (ul_err){0};
	m = ul_model_open_with(test_tmp(), NULL, &err);
	CHECK(!m && *err.msg);
	err = (ul_err){0};
	m = ul_model_open_with(test_tmp(), &(ul_open){.no_tokenizer = true}, &err);
	NEED_OK(m, err);
	ul_model_free(m);
	m = ul_model_open_with(test_tmp(), &(ul_open){.backend = "tpu"}, &err);
	CHECK(!m && *err.msg);
	err = (ul_err){0};
	CHECK_FAILS(ul_model_open_with(test_path("nowhere"), NULL, &err) != NULL, err, "there is no model at");
	test_file("x.gguf", "GGUF");
	err = (ul_err){0};
	CHECK_FAILS(ul_model_open_with(test_path("x.gguf"), NULL, &err) != NULL, err, "x.gguf");
	release(&c);
}

/* ---- where models lie ---- */

static void test_checkpoints__run_folders(void)
{
	ul_err err = {0};
	checkpoint c = load("gpt2");
	NEED_OK(ul_mkdirs(test_path("run/model"), &err), err);
	NEED_OK(ul_model_write(c.m, test_path("run/model"), UL_SAVE_F32, &err), err);
	opens_as(test_path("run"), "gpt2");
	release(&c);

	/* A run that trained an adapter, on top of it another one. */
	ul_model *m = open_model("tests/golden/families/llama", "cpu");
	NEED_OK(ul_lora_open(m, "tests/golden/adapters/llama_all", &err), err);
	NEED_OK(ul_lora_write(m, test_path("first/adapter"), &err), err);
	test_file("first/run.json", "{\"base\": \"tests/golden/families/llama\"}");
	NEED_OK(ul_lora_open(m, "tests/golden/adapters/llama_rslora", &err), err);
	NEED_OK(ul_lora_write(m, test_path("second/adapter"), &err), err);
	char text[600];
	snprintf(text, sizeof text, "{\"base\": \"%s/first\"}", test_tmp());
	test_file("second/run.json", text);
	int ids[] = {3, 1, 4, 1}, pos[] = {0, 1, 2, 3}, start[] = {0, 4};
	double *want = run_packed(m, ids, pos, (ul_span){1, start});
	ul_model *again = ul_model_open(test_path("second"), NULL, &err);
	NEED_OK(again, err);
	CHECK(again->adapter && again->adapter->below && !again->adapter->below->below);
	double *have = run_packed(again, ids, pos, (ul_span){1, start});
	CHECK_ARRAY(have, want, 4 * 32, 1e-6);
	ul_free(want);
	ul_free(have);
	ul_model_free(again);
	ul_model_free(m);
	test_file("first/run.json", "{\"method\": \"npo\"}");
	CHECK_FAILS(ul_model_open(test_path("second"), NULL, &err) != NULL, err, "does not say which model its adapter stands on");
	snprintf(text, sizeof text, "{\"base\": \"%s/second\"}", test_tmp());
	test_file("first/run.json", text);
	err = (ul_err){0};
	CHECK_FAILS(ul_model_open(test_path("second"), NULL, &err) != NULL, err, "stand on each other");
}

static void test_checkpoints__cache(void)
{
	ul_err err = {0};
	ul_arena a = {0};
	NEED_OK(ul_mkdirs(test_path("hub/models--org--name/refs"), &err), err);
	NEED_OK(ul_mkdirs(test_path("hub/models--org--name/snapshots/abc123"), &err), err);
	test_file("hub/models--org--name/refs/main", "abc123\n");
	test_file("hub/models--org--name/snapshots/abc123/config.json", "{}");
	unsetenv("HF_HUB_CACHE");
	unsetenv("HUGGINGFACE_HUB_CACHE");
	setenv("HF_HOME", test_tmp(), 1);
	const char *found = ul_model_resolve("org/name", &a, &err);
	NEED_OK(found, err);
	CHECK_STR(found, test_path("hub/models--org--name/snapshots/abc123"));
	CHECK_FAILS(ul_model_resolve("org/other", &a, &err) != NULL, err, "there is no model at org/other");
	CHECK_HAS(err.hint, "hf download org/other");
	err = (ul_err){0};
	CHECK_FAILS(ul_model_resolve("../no-model-of-this-name", &a, &err) != NULL, err, "there is no model at ../no-model-of-this-name");
	CHECK(!*err.hint);

	/* The other variables that huggingface_hub obeys, the stronger before the weaker; and none at all. */
	NEED_OK(ul_mkdirs(test_path("huggingface"), &err), err);
	CHECK(!symlink("../hub", test_path("huggingface/hub")));
	setenv("HF_HOME", "", 1);
	setenv("XDG_CACHE_HOME", test_tmp(), 1);
	CHECK_HAS(ul_model_resolve("org/name", &a, &err), "huggingface/hub/models--org--name");
	setenv("HUGGINGFACE_HUB_CACHE", test_path("hub"), 1);
	CHECK_STR(ul_model_resolve("org/name", &a, &err), test_path("hub/models--org--name/snapshots/abc123"));
	unsetenv("HUGGINGFACE_HUB_CACHE");
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	err = (ul_err){0};
	CHECK_FAILS(ul_model_resolve("org/name", &a, &err) != NULL, err, "there is no model at org/name");
	ul_arena_release(&a);
}
