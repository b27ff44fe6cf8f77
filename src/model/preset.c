/*
 * preset.c: shapes of well-known models and of small ones to train in minutes, as a config.json.
 */
#include "model/model.h"

#include <string.h>

enum family { NEOX,
	LLAMA,
	GPT2,
	QWEN3,
	GEMMA3 };

static const struct shape {
	const char *name;
	enum family family;
	int layers, hidden, heads, kv_heads, ffn, context;
	double theta;
	bool tied;
} shapes[] = {
        {"neox-tiny", NEOX, 4, 128, 4, 4, 512, 512, 1e4, false},
        {"neox-small", NEOX, 6, 256, 8, 8, 1024, 1024, 1e4, false},
        {"llama-tiny", LLAMA, 4, 128, 4, 2, 352, 512, 1e4, true},
        {"llama-small", LLAMA, 6, 256, 8, 4, 704, 1024, 1e4, true},
        {"gpt2-tiny", GPT2, 4, 128, 4, 4, 512, 512, 0, true},
        {"qwen3-tiny", QWEN3, 4, 128, 4, 2, 352, 512, 1e6, true},
        {"gemma3-tiny", GEMMA3, 6, 128, 4, 2, 352, 512, 1e6, true},
        {"pythia-14m", NEOX, 6, 128, 4, 4, 512, 2048, 1e4, false},
        {"pythia-31m", NEOX, 6, 256, 8, 8, 1024, 2048, 1e4, false},
        {"pythia-70m", NEOX, 6, 512, 8, 8, 2048, 2048, 1e4, false},
        {"pythia-160m", NEOX, 12, 768, 12, 12, 3072, 2048, 1e4, false},
        {"pythia-410m", NEOX, 24, 1024, 16, 16, 4096, 2048, 1e4, false},
        {"pythia-1b", NEOX, 16, 2048, 8, 8, 8192, 2048, 1e4, false},
        {"pythia-1.4b", NEOX, 24, 2048, 16, 16, 8192, 2048, 1e4, false},
        {"gpt2", GPT2, 12, 768, 12, 12, 3072, 1024, 0, true},
        {"smollm2-135m", LLAMA, 30, 576, 9, 3, 1536, 8192, 1e5, true},
        {"smollm2-360m", LLAMA, 32, 960, 15, 5, 2560, 8192, 1e5, true},
        {"llama-3.2-1b", LLAMA, 16, 2048, 32, 8, 8192, 8192, 5e5, true},
        {0},
};

static json_t *llama(const struct shape *s)
{
	return json_pack("{s:[s], s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f}", "architectures", "LlamaForCausalLM", "model_type", "llama", "hidden_act", "silu",
	        "num_hidden_layers", s->layers, "hidden_size", s->hidden, "num_attention_heads", s->heads, "num_key_value_heads", s->kv_heads, "intermediate_size", s->ffn,
	        "max_position_embeddings", s->context, "rms_norm_eps", 1e-5, "rope_theta", s->theta);
}

static json_t *qwen3(const struct shape *s)
{
	json_t *j = llama(s);
	json_object_set_new(j, "model_type", json_string("qwen3"));
	json_object_set_new(j, "architectures", json_pack("[s]", "Qwen3ForCausalLM"));
	json_object_set_new(j, "head_dim", json_integer(s->hidden / s->heads));
	return j;
}

static json_t *gemma3(const struct shape *s)
{
	json_t *j = llama(s);
	json_object_del(j, "hidden_act");
	json_object_set_new(j, "model_type", json_string("gemma3_text"));
	json_object_set_new(j, "architectures", json_pack("[s]", "Gemma3ForCausalLM"));
	json_object_set_new(j, "hidden_activation", json_string("gelu_pytorch_tanh"));
	json_object_set_new(j, "head_dim", json_integer(s->hidden / s->heads));
	json_object_set_new(j, "query_pre_attn_scalar", json_integer(s->hidden / s->heads));
	json_object_set_new(j, "sliding_window", json_integer(s->context / 4));
	json_object_set_new(j, "rope_local_base_freq", json_real(1e4));
	return j;
}

static json_t *neox(const struct shape *s)
{
	return json_pack("{s:[s], s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:b}", "architectures", "GPTNeoXForCausalLM", "model_type", "gpt_neox", "hidden_act",
	        "gelu", "num_hidden_layers", s->layers, "hidden_size", s->hidden, "num_attention_heads", s->heads, "intermediate_size", s->ffn, "max_position_embeddings",
	        s->context, "layer_norm_eps", 1e-5, "rotary_pct", 0.25, "rotary_emb_base", s->theta, "use_parallel_residual", 1);
}

static json_t *gpt2(const struct shape *s)
{
	return json_pack("{s:[s], s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:f}", "architectures", "GPT2LMHeadModel", "model_type", "gpt2", "activation_function", "gelu_new",
	        "n_layer", s->layers, "n_embd", s->hidden, "n_head", s->heads, "n_inner", s->ffn, "n_positions", s->context, "layer_norm_epsilon", 1e-5);
}

json_t *ul_model_preset(const char *name, int vocab, ul_err *err)
{
	static json_t *(*const make[])(const struct shape *) = {[NEOX] = neox, [LLAMA] = llama, [GPT2] = gpt2, [QWEN3] = qwen3, [GEMMA3] = gemma3};
	const struct shape *s = shapes;
	while (s->name && strcmp(s->name, name))
		s++;
	if (!s->name) {
		char all[400] = "";
		size_t at = 0;
		for (s = shapes; s->name; s++)
			at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", at ? ", " : "", s->name);
		ul_fail(err, "there is no preset \"%.64s\"; there are %s", name, all);
		return NULL;
	}
	json_t *j = make[s->family](s);
	json_object_set_new(j, "vocab_size", json_integer(vocab));
	json_object_set_new(j, "tie_word_embeddings", json_boolean(s->tied));
	json_object_set_new(j, "initializer_range", json_real(0.02));
	json_object_set_new(j, "torch_dtype", json_string("float32"));
	return j;
}
