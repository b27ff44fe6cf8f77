/*
 * LoRA adapters in PEFT's files against peft itself: logits with the adapter on top and merged, all gradients; new adapters; what is
 * refused. Own goldens in tests/golden/adapters, shared ones written by others.
 */
#include "oracle.h"

static const struct {
	const char *backend;
	double tolerance;
} runs[] = {{"cpu", 1e-4}, {"ref64", 1e-8}};

static void check(const char *name, const char *base, const char *adapter, oracle *o, const char *const names[2])
{
	ul_err err = {0};
	for (int i = 0; i < 2; i++) {
		ul_model *m = open_model(base, runs[i].backend);
		NEED_OK(ul_lora_open(m, adapter, &err), err);
		double gap = logit_gap(m, o, "logits");
		CHECK_MSG(gap >= 0 && gap <= runs[i].tolerance, "%s on %s: logits differ by %g", name, runs[i].backend, gap);
		train(m->adapter->param, m->adapter->params);
		CHECK_CLOSE(run_loss(m, o, i == 1), json_number_value(json_object_get(o->json, "mean_nll")), runs[i].tolerance);
		gap = grad_gap(m->adapter->param, m->adapter->params, o, names[1], 1e-3);
		CHECK_MSG(gap <= runs[i].tolerance, "%s on %s: gradients differ by %g", name, runs[i].backend, gap);

		ul_model *copy = ul_model_clone(m, &err); /* a reference: the adapter is merged into it */
		NEED_OK(copy, err);
		gap = logit_gap(copy, o, names[0]);
		CHECK_MSG(gap >= 0 && gap <= runs[i].tolerance, "%s on %s: a copy's logits differ by %g", name, runs[i].backend, gap);
		ul_model_free(copy);

		NEED_OK(ul_lora_merge(m, 1, &err), err);
		CHECK(!m->adapter);
		gap = logit_gap(m, o, names[0]);
		CHECK_MSG(gap >= 0 && gap <= runs[i].tolerance, "%s on %s: merged logits differ by %g", name, runs[i].backend, gap);
		ul_model_free(m);
	}
}

static void own(const char *name)
{
	char folder[256], json[300], tensors[300], base[300];
	oracle o;
	snprintf(folder, sizeof folder, "tests/golden/adapters/%s", name);
	snprintf(json, sizeof json, "%s/golden.json", folder);
	snprintf(tensors, sizeof tensors, "%s/golden.safetensors", folder);
	oracle_open(&o, json, tensors, NULL);
	snprintf(base, sizeof base, "tests/golden/families/%s", ul_json_str(o.json, "base"));
	check(name, base, folder, &o, (const char *const[]){"merged", "grad."});
	oracle_close(&o);
}

static void shared(const char *name)
{
	char folder[512], other[512], json[600], logits[600], grads[600], base[600];
	oracle o;
	snprintf(other, sizeof other, "oracle-hf/peft/%s", name);
	shared_path(folder, other);
	snprintf(json, sizeof json, "%s/oracle.json", folder);
	snprintf(logits, sizeof logits, "%s/oracle_logits.safetensors", folder);
	snprintf(grads, sizeof grads, "%s/oracle_grads.safetensors", folder);
	oracle_open(&o, json, logits, grads);
	json_t *config = ul_json_file((snprintf(base, sizeof base, "%s/adapter_config.json", folder), base), 1 << 20, NULL);
	snprintf(base, sizeof base, "%s/%s", folder, ul_json_str(config, "base_model_name_or_path"));
	json_decref(config);
	check(name, base, folder, &o, (const char *const[]){"merged_logits", ""});
	oracle_close(&o);
}

static void test_adapters__neox_mlp(void)
{
	own("neox_mlp");
}

static void test_adapters__neox_qkv_layers(void)
{
	own("neox_qkv_layers");
}

static void test_adapters__llama_all(void)
{
	own("llama_all");
}

static void test_adapters__llama_rslora(void)
{
	own("llama_rslora");
}

static void test_adapters__llama_patterns(void)
{
	own("llama_patterns");
}

static void test_adapters__llama_regex(void)
{
	own("llama_regex");
}

static void test_adapters__llama_layers(void)
{
	own("llama_layers");
}

static void test_adapters__gpt2_conv1d(void)
{
	own("gpt2_conv1d");
}

static void test_adapters__qwen2_bias(void)
{
	own("qwen2_bias");
}

static void test_adapters__gemma3_all(void)
{
	own("gemma3_all");
}

static void test_adapters__shared(void)
{
	shared("neox_mlp_r4");
	shared("llama_all_r8");
	shared("llama_rslora");
	shared("llama_patterns");
	shared("gpt2_conv1d_r4");
	shared("neox_qkv_layers");
}

/* ---- new adapters ---- */

static void test_adapters__parse(void)
{
	ul_arena a = {0};
	ul_err err = {0};
	ul_lora_config c;
	NEED_OK(ul_lora_parse("r=4,alpha=12,target=q_proj,v_proj,layers=0-1,rslora=yes", &c, &a, &err), err);
	CHECK_EQ_INT(c.r, 4);
	CHECK_CLOSE(c.alpha, 12, 0);
	CHECK_STR(c.target, "q_proj,v_proj");
	CHECK_STR(c.layers, "0-1");
	CHECK(c.rslora);
	NEED_OK(ul_lora_parse("r=16", &c, &a, &err), err);
	CHECK_CLOSE(c.alpha, 32, 0);
	CHECK_STR(c.target, "all-linear");
	static const struct {
		const char *text, *part;
	} bad[] = {{"r=0", "from 1 to"}, {"r=x", "whole number"}, {"rank", "name=value"}, {"dropout=1", "no setting"}, {"alpha=nan", "a number"}, {"rslora=maybe", "yes or no"}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ul_err e = {0};
		CHECK_FAILS(ul_lora_parse(bad[i].text, &c, &a, &e), e, bad[i].part);
	}
	ul_arena_release(&a);
}

/* B = 0: nothing changes yet. A fills ±1/√in. The same seed gives the same adapter. Written and read again it is the same. */
static void test_adapters__attach(void)
{
	static const char *const names[] = {"neox_parallel", "llama", "gpt2", "gemma3"};
	static const int modules[] = {8, 14, 8, 21};
	for (int i = 0; i < 4; i++) {
		ul_err err = {0};
		char base[128], dir[512];
		int ids[] = {3, 1, 4, 1, 5}, pos[] = {0, 1, 2, 3, 4}, start[] = {0, 5};
		snprintf(base, sizeof base, "tests/golden/families/%s", names[i]);
		ul_model *m = open_model(base, "ref64");
		double *before = run_packed(m, ids, pos, (ul_span){1, start});
		NEED_OK(ul_lora_attach(m, &(ul_lora_config){.r = 3, .alpha = 6, .target = "all-linear"}, 7, &err), err);
		CHECK_EQ_INT(m->adapter->params, 2 * modules[i]);
		double *after = run_packed(m, ids, pos, (ul_span){1, start});
		CHECK(!memcmp(before, after, 5 * (size_t)m->cfg.vocab * sizeof *before));
		for (int k = 0; k < m->adapter->params; k += 2) {
			ul_param *a = m->adapter->param[k];
			size_t n = (size_t)a->rows * (size_t)a->cols;
			double *x = ul_malloc(n * sizeof *x), largest = 0;
			ul_param_get(a, x);
			for (size_t j = 0; j < n; j++)
				largest = fmax(largest, fabs(x[j]));
			CHECK(largest <= 1 / sqrt(a->cols) && largest > 0.8 / sqrt(a->cols));
			ul_free(x);
		}
		/* B gets values, so that there is something to lose on the way to the files and back. */
		for (int k = 1; k < m->adapter->params; k += 2) {
			ul_param *b = m->adapter->param[k];
			size_t n = (size_t)b->rows * (size_t)b->cols;
			double *x = ul_malloc(n * sizeof *x);
			for (size_t j = 0; j < n; j++)
				x[j] = (double)(float)(0.01 * (double)(j % 7));
			ul_param_set(b, x);
			ul_free(x);
		}
		/* The files hold float32. */
		for (int k = 0; k < m->adapter->params; k += 2) {
			ul_param *a = m->adapter->param[k];
			float *x = ul_malloc((size_t)a->rows * (size_t)a->cols * sizeof *x);
			ul_param_get_f32(a, x);
			ul_param_set_f32(a, x);
			ul_free(x);
		}
		double *changed = run_packed(m, ids, pos, (ul_span){1, start});
		snprintf(dir, sizeof dir, "%s", test_path(names[i]));
		NEED_OK(ul_lora_write(m, dir, &err), err);
		ul_lora_detach(m);
		NEED_OK(ul_lora_open(m, dir, &err), err);
		double *again = run_packed(m, ids, pos, (ul_span){1, start});
		CHECK(!memcmp(changed, again, 5 * (size_t)m->cfg.vocab * sizeof *again));
		CHECK(memcmp(changed, before, 5 * (size_t)m->cfg.vocab * sizeof *again));

		/* A second adapter on top, taken away again, leaves the first in force. */
		NEED_OK(ul_lora_attach(m, &(ul_lora_config){.r = 2, .alpha = 2, .target = "mlp", .layers = "1"}, 8, &err), err);
		ul_lora_detach(m);
		double *first = run_packed(m, ids, pos, (ul_span){1, start});
		CHECK(!memcmp(changed, first, 5 * (size_t)m->cfg.vocab * sizeof *first));

		/* Task arithmetic: merging with factor -1 and then +1 comes back. */
		NEED_OK(ul_lora_merge(m, -1, &err), err);
		NEED_OK(ul_lora_open(m, dir, &err), err);
		NEED_OK(ul_lora_merge(m, 1, &err), err);
		double *back = run_packed(m, ids, pos, (ul_span){1, start});
		CHECK_ARRAY(back, before, 5 * (size_t)m->cfg.vocab, 1e-12);
		ul_free(before);
		ul_free(after);
		ul_free(changed);
		ul_free(again);
		ul_free(first);
		ul_free(back);
		ul_model_free(m);
	}
}

static void test_adapters__targets(void)
{
	ul_err err = {0};
	ul_model *m = open_model("tests/golden/families/llama", "cpu");
	NEED_OK(ul_lora_attach(m, &(ul_lora_config){.r = 2, .alpha = 2, .target = "mlp", .layers = "1"}, 8, &err), err);
	CHECK_EQ_INT(m->adapter->params, 2 * 3);
	CHECK_STR(m->adapter->param[0]->name, "base_model.model.model.layers.1.mlp.gate_proj.lora_A.weight");
	ul_lora_detach(m);
	NEED_OK(ul_lora_attach(m, &(ul_lora_config){.r = 2, .alpha = 2, .target = "q_proj,o_proj"}, 8, &err), err);
	CHECK_EQ_INT(m->adapter->params, 2 * 2 * 2);
	static const struct {
		const char *target, *layers, *part;
	} bad[] = {{"w_proj", NULL, "called \"w_proj\"; it has q_proj"}, {"all-linear", "2", "within 0-1"}, {"all-linear", "1-0", "within 0-1"}, {"lm_head", NULL, "called \"lm_head\""}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ul_err e = {0};
		CHECK_FAILS(ul_lora_attach(m, &(ul_lora_config){.r = 2, .alpha = 2, .target = bad[i].target, .layers = bad[i].layers}, 1, &e), e, bad[i].part);
		CHECK_EQ_INT(m->adapter->params, 8); /* the one from before is still there */
	}
	ul_model_free(m);
}

/* ---- refused ---- */

static void refuse(const char *key, const char *value, const char *part)
{
	ul_err err = {0};
	char path[600];
	json_t *config = ul_json_file("tests/golden/adapters/llama_all/adapter_config.json", 1 << 20, &err);
	NEED_OK(config, err);
	json_object_set_new(config, key, json_loads(value, JSON_DECODE_ANY, NULL));
	snprintf(path, sizeof path, "%s/adapter_config.json", test_tmp());
	NEED_OK(ul_json_write(path, config, &err), err);
	json_decref(config);
	ul_model *m = open_model("tests/golden/families/llama", "cpu");
	CHECK_FAILS(ul_lora_open(m, test_tmp(), &err), err, part);
	CHECK(!m->adapter);
	ul_model_free(m);
}

static void test_adapters__refused(void)
{
	char cwd[512], from[1024];
	NEED(getcwd(cwd, sizeof cwd));
	snprintf(from, sizeof from, "%s/tests/golden/adapters/llama_all/adapter_model.safetensors", cwd);
	NEED(symlink(from, test_path("adapter_model.safetensors")) == 0);
	refuse("use_dora", "true", "use_dora");
	refuse("bias", "\"all\"", "bias");
	refuse("modules_to_save", "[\"lm_head\"]", "modules_to_save");
	refuse("peft_type", "\"LOHA\"", "LOHA");
	refuse("init_lora_weights", "\"pissa_niter_4\"", "pissa");
	refuse("layer_replication", "[[0,1]]", "layer_replication");
	refuse("trainable_token_indices", "[1]", "trainable_token_indices");
	refuse("target_parameters", "[\"x\"]", "target_parameters");
	refuse("r", "3", "rank 3");
	refuse("r", "0", "");
	refuse("r", "\"many\"", "");
	refuse("rank_pattern", "{\"(?<=a)b\": 2}", "is of a kind that is not supported");
	refuse("rank_pattern", "{\"[[:alpha:]]+_proj\": 2}", "is of a kind that is not supported");
	refuse("rank_pattern", "{\"(q_proj\": 2}", "is of a kind that is not supported");
	refuse("target_modules", "\"(?P<x>.*)_proj\"", "is of a kind that is not supported");
	refuse("target_modules", "[\"q_proj\"]", "which its adapter_config.json leaves out");
	refuse("target_modules", "\"q_proj\"", "which its adapter_config.json leaves out"); /* the whole name must match */
	refuse("target_modules", "[1]", "no name");
	refuse("target_modules", "null", "names no target_modules");
	refuse("exclude_modules", "[\"k_proj\"]", "which its adapter_config.json leaves out");
	refuse("exclude_modules", "\".*down_proj\"", "which its adapter_config.json leaves out");
	refuse("alpha_pattern", "{\"q_proj\": \"x\"}", "no number");
}

static void test_adapters__of_another_model(void)
{
	ul_err err = {0};
	ul_model *m = open_model("tests/golden/families/gpt2", "cpu");
	CHECK_FAILS(ul_lora_open(m, "tests/golden/adapters/llama_all", &err), err, "no linear layer of this model");
	err = (ul_err){0};
	CHECK_FAILS(ul_lora_open(m, "tests/golden/families/gpt2", &err), err, "adapter_config.json");
	ul_model_free(m);
	m = open_model("tests/golden/families/qwen3", "cpu"); /* the same names, other widths */
	err = (ul_err){0};
	CHECK_FAILS(ul_lora_open(m, "tests/golden/adapters/llama_all", &err), err, "is needed");
	ul_model_free(m);
}

static bool open_adapter(void *ud, ul_err *err)
{
	ul_open o = {.no_tokenizer = true};
	ul_model *m = ul_model_open_with("tests/golden/families/gpt2", &o, err);
	bool ok = m && ul_lora_open(m, "tests/golden/adapters/gpt2_conv1d", err) && ul_lora_merge(m, 1, err);
	ul_model_free(m);
	return ok;
}

static void test_adapters__out_of_memory(void)
{
	CHECK(test_each_alloc(open_adapter, NULL) > 20);
}
