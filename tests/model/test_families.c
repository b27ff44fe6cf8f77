/*
 * Every architecture against transformers and PyTorch: logits and all gradients, in float32 and in double.
 *
 * The small goldens beside this tree are our own (tests/golden/families/make.py); the shared ones were written for us by others.
 */
#include "oracle.h"

/* A key's bias has a true gradient of zero: anything below this share of the largest gradient is measured against it instead. */
static const double zero_floor = 1e-3;

static void check(const char *folder, const char *config, oracle *o, const char *prefix)
{
	static const struct {
		const char *backend;
		double tolerance;
	} runs[] = {{"cpu", 1e-4}, {"ref", 1e-4}, {"ref64", 1e-8}};
	for (int i = 0; i < 3; i++) {
		ul_model *m = open_model(config, runs[i].backend);
		double gap = logit_gap(m, o, "logits");
		CHECK_MSG(gap >= 0 && gap <= runs[i].tolerance, "%s on %s: logits differ by %g", folder, runs[i].backend, gap);
		if (prefix) {
			train(m->param, m->params);
			double loss = run_loss(m, o, false), want = json_number_value(json_object_get(o->json, "mean_nll"));
			CHECK_CLOSE(loss, want, runs[i].tolerance);
			gap = grad_gap(m->param, m->params, o, prefix, zero_floor);
			CHECK_MSG(gap <= runs[i].tolerance, "%s on %s: gradients differ by %g", folder, runs[i].backend, gap);
		}
		ul_model_free(m);
	}
}

static void own(const char *name)
{
	char folder[256], json[300], tensors[300];
	oracle o;
	snprintf(folder, sizeof folder, "tests/golden/families/%s", name);
	snprintf(json, sizeof json, "%s/golden.json", folder);
	snprintf(tensors, sizeof tensors, "%s/golden.safetensors", folder);
	oracle_open(&o, json, tensors, NULL);
	check(name, folder, &o, "grad.");
	oracle_close(&o);
}

static void shared(const char *name, bool gradients, bool old_style)
{
	char folder[512], other[512], json[600], logits[600], grads[600], old[600];
	oracle o;
	snprintf(other, sizeof other, "oracle-hf/tiny/%s", name);
	shared_path(folder, other);
	snprintf(json, sizeof json, "%s/oracle.json", folder);
	snprintf(logits, sizeof logits, "%s/oracle_logits.safetensors", folder);
	snprintf(grads, sizeof grads, "%s/oracle_grads.safetensors", folder);
	snprintf(old, sizeof old, "%s/config_v4style.json", folder);
	oracle_open(&o, json, logits, gradients ? grads : NULL);
	check(name, folder, &o, gradients ? "" : NULL);
	if (old_style) {
		borrow_model(other, "old", folder, old);
		check("the same with an older config.json", other, &o, gradients ? "" : NULL);
	}
	oracle_close(&o);
}

static void test_families__neox_parallel(void)
{
	own("neox_parallel");
}

static void test_families__neox_sequential(void)
{
	own("neox_sequential");
}

static void test_families__llama(void)
{
	own("llama");
}

static void test_families__llama_avx512_emulated(void)
{
	setenv("UNLEARN_KERNELS", "avx512-emulated", 1);
	own("llama");
}

/* f32 as three products of bfloat16 keeps this golden; docs/performance.md says which it misses. */
static void test_families__llama_amx_emulated(void)
{
	setenv("UNLEARN_KERNELS", "amx-emulated", 1);
	own("llama");
}

static void test_families__llama_bias(void)
{
	own("llama_bias");
}

static void test_families__llama_tied_llama3(void)
{
	own("llama_tied_llama3");
}

static void test_families__llama_yarn(void)
{
	own("llama_yarn");
}

static void test_families__mistral(void)
{
	own("mistral");
}

static void test_families__qwen2(void)
{
	own("qwen2");
}

static void test_families__qwen2_window(void)
{
	own("qwen2_window");
}

static void test_families__qwen3(void)
{
	own("qwen3");
}

static void test_families__gpt2(void)
{
	own("gpt2");
}

static void test_families__gemma3(void)
{
	own("gemma3");
}

static void test_families__gemma3_untied(void)
{
	own("gemma3_untied");
}

static void test_families__shared_neox_parallel(void)
{
	shared("gpt_neox_parallel", true, true);
}

static void test_families__shared_neox_sequential(void)
{
	shared("gpt_neox_sequential", true, true);
}

static void test_families__shared_llama_gqa_untied(void)
{
	shared("llama_gqa_untied", true, true);
}

static void test_families__shared_llama_tied_llama3rope(void)
{
	shared("llama_tied_llama3rope", true, true);
}

static void test_families__shared_llama_bf16_sharded(void)
{
	shared("llama_bf16_sharded", false, false);
}

static void test_families__shared_llama_f16_sharded(void)
{
	shared("llama_f16_sharded", false, false);
}

static void test_families__shared_qwen2(void)
{
	shared("qwen2", true, true);
}

static void test_families__shared_gpt2(void)
{
	shared("gpt2", true, false);
}

static void test_families__shared_gemma3_text(void)
{
	shared("gemma3_text", true, true);
}
