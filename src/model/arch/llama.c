/*
 * llama.c: Llama (Touvron et al. 2023) and its relatives: Mistral's sliding window, the biases of Qwen 2, the QK-norm of Qwen 3.
 *
 *   h = embed[ids]
 *   per block:  h += o(attend(rope(q), rope(k), v))   q, k, v of rmsnorm(h); Qwen 3: q and k are normed per head first
 *               h += down(silu(gate(x)) · up(x))      x = rmsnorm(h)
 *   h = rmsnorm(h)
 */
#include "model/config.h"
#include "model/files.h"
#include "model/gguf.h"

#include <math.h>
#include <string.h>

static ul_val *block(ul_model *m, ul_pass *p, int layer, ul_val *h)
{
	const ul_config *c = &m->cfg;
	const ul_layer *l = &m->layer[layer];

	ul_val *x = ul_rmsnorm(h, l->norm1, c->norm_eps, false); /* [rows, hidden] */
	ul_val *q = ul_linear(x, l->q, l->q_b); /* [rows, heads · head_dim] */
	ul_val *k = ul_linear(x, l->k, l->k_b); /* [rows, kv_heads · head_dim] */
	ul_val *v = ul_linear(x, l->v, l->v_b);
	if (c->qk_norm) {
		q = ul_rmsnorm(q, l->q_norm, c->norm_eps, false);
		k = ul_rmsnorm(k, l->k_norm, c->norm_eps, false);
	}
	q = ul_pass_rotate(m, p, layer, q);
	k = ul_pass_rotate(m, p, layer, k);
	ul_val *a = ul_linear(ul_pass_attend(m, p, layer, q, k, v), l->o, l->o_b);
	if (!ul_tap(p, UL_SITE_ATTN_OUT, layer, &a))
		return a;
	h = ul_add(h, a);

	x = ul_rmsnorm(h, l->norm2, c->norm_eps, false);
	ul_val *f = ul_gate(ul_linear(x, l->gate, l->gate_b), ul_linear(x, l->up, l->up_b), c->act); /* [rows, ffn] */
	if (!ul_tap(p, UL_SITE_DOWN_IN, layer, &f))
		return f;
	ul_val *y = ul_linear(f, l->down, l->down_b);
	if (!ul_tap(p, UL_SITE_MLP_OUT, layer, &y))
		return y;
	return ul_add(h, y);
}

static ul_val *last_norm(ul_model *m, ul_val *h)
{
	return ul_rmsnorm(h, m->norm, m->cfg.norm_eps, false);
}

static ul_val *forward(ul_model *m, ul_pass *p)
{
	return ul_pass_blocks(m, p, ul_pass_embed(m, p), block, last_norm);
}

/* ---- config.json ---- */

static bool read_biases(const json_t *j, const char *type, ul_config *c, ul_err *err)
{
	bool attention = false, mlp = false;
	if (!strcmp(type, "qwen2")) { /* always on q, k, v, never on o */
		c->qkv_bias = true;
		return true;
	}
	if (!strcmp(type, "mistral"))
		return true;
	if (!ul_json_bool(j, "attention_bias", &attention, err) || !ul_json_bool(j, "mlp_bias", &mlp, err))
		return false;
	c->qkv_bias = c->o_bias = attention;
	c->mlp_bias = mlp && !strcmp(type, "llama");
	return true;
}

/* Mistral: every layer, unless the window is null. Qwen: from max_window_layers on, and only with use_sliding_window. */
static bool read_window(const json_t *j, const char *type, ul_config *c, ul_arena *a, ul_err *err)
{
	bool qwen = !strncmp(type, "qwen", 4), use = !qwen;
	int64_t window = 0, from = 28;
	if (!strcmp(type, "llama"))
		return true;
	if (!strcmp(type, "mistral") && !json_object_get(j, "sliding_window"))
		window = 4096;
	if (!ul_json_bool(j, "use_sliding_window", &use, err) || !ul_json_int(j, "sliding_window", 0, INT32_MAX, &window, err) ||
	        !ul_json_int(j, "max_window_layers", 0, INT32_MAX, &from, err))
		return false;
	if (!use || !window)
		return true;
	c->window = (int)window;
	if (!qwen)
		return true;
	unsigned char *local = ul_alloc(a, (size_t)c->layers);
	if (!local)
		return ul_nomem(err, (size_t)c->layers);
	for (int i = 0; i < c->layers; i++)
		local[i] = i >= from;
	c->local = local;
	return ul_config_layer_types(j, c, a, err);
}

static bool read_config(const json_t *j, ul_config *c, ul_arena *a, ul_err *err)
{
	const char *type = ul_json_str(j, "model_type");
	bool qwen3 = !strcmp(type, "qwen3"), tied = false;
	c->norm_eps = 1e-6;
	if (!ul_config_size(j, "num_hidden_layers", UL_MAX_LAYERS, 0, &c->layers, err) ||
	        !ul_config_size(j, "hidden_size", UL_MAX_WIDTH, 0, &c->hidden, err) ||
	        !ul_config_size(j, "num_attention_heads", 65536, 0, &c->heads, err) ||
	        !ul_config_size(j, "num_key_value_heads", 65536, c->heads, &c->kv_heads, err) ||
	        !ul_config_size(j, "head_dim", 65536, qwen3 ? 128 : c->hidden / c->heads, &c->head_dim, err) ||
	        !ul_config_size(j, "intermediate_size", UL_MAX_WIDTH, 0, &c->ffn, err) ||
	        !ul_config_size(j, "vocab_size", UL_MAX_VOCAB, 0, &c->vocab, err) ||
	        !ul_config_size(j, "max_position_embeddings", INT32_MAX, 2048, &c->context, err) ||
	        !ul_json_real(j, "rms_norm_eps", 0, 1, &c->norm_eps, err) || !ul_json_bool(j, "tie_word_embeddings", &tied, err) ||
	        !ul_config_act(j, "hidden_act", "silu", &c->act, err) || !ul_config_tokens(j, c, err) || !read_biases(j, type, c, err) ||
	        !read_window(j, type, c, a, err))
		return false;
	c->tied = tied;
	c->qk_norm = qwen3;
	c->rot = c->head_dim;
	c->attn_scale = 1 / sqrt(c->head_dim);
	return ul_config_check(c, err) && ul_config_rope(j, "rope_theta", 10000, c, a, err);
}

/* ---- GGUF ---- */

/* Llama 3's slowed frequencies stand in a GGUF as one divisor per frequency; LongRoPE is the spelling config.json has for that. */
static bool rope_factors(const ul_files *f, json_t *config, ul_err *err)
{
	const ul_tensor *t = ul_tensors_find(&f->tensors, "rope_freqs.weight");
	if (!t)
		return true;
	if (t->dtype != UL_F32 || t->dims != 1 || t->n > 65536)
		return ul_fail(err, "tensor \"rope_freqs.weight\" is no vector of F32");
	json_t *list = json_array();
	for (size_t i = 0; i < t->n; i++) {
		float x;
		memcpy(&x, t->data + 4 * i, sizeof x);
		json_array_append_new(list, json_real((double)x));
	}
	json_t *rope = json_pack("{s:s, s:o, s:O, s:f, s:f, s:i}", "rope_type", "longrope", "short_factor", list, "long_factor", list, "factor", 1.0,
	        "attention_factor", 1.0, "original_max_position_embeddings", (int)json_integer_value(json_object_get(config, "max_position_embeddings")));
	return !json_object_set_new(config, "rope_scaling", rope) || ul_nomem(err, 64);
}

static bool rope_scaling(const ul_files *f, json_t *config, ul_err *err)
{
	ul_arena a = {0};
	const char *type = ul_gguf_str(f->gguf, "%s.rope.scaling.type", &a);
	double factor = 0;
	bool ok = true;
	if (type && !strcmp(type, "linear")) {
		ok = ul_gguf_real(f->gguf, "%s.rope.scaling.factor", true, &factor, err) &&
		     (!json_object_set_new(config, "rope_scaling", json_pack("{s:s, s:f}", "rope_type", "linear", "factor", factor)) || ul_nomem(err, 64));
	} else if (type && strcmp(type, "none")) {
		ok = ul_fail(err, "the GGUF asks for the rope scaling \"%.64s\", of which none and linear are known", type);
	}
	ul_arena_release(&a);
	return ok && rope_factors(f, config, err);
}

static json_t *gguf_config(const ul_files *f, ul_err *err)
{
	const ul_gguf *g = f->gguf;
	const char *type = g->arch, *class = !strcmp(type, "qwen2") ? "Qwen2ForCausalLM" : !strcmp(type, "qwen3") ? "Qwen3ForCausalLM"
	                                                                                                          : "LlamaForCausalLM";
	json_t *j = json_pack("{s:[s], s:s, s:s}", "architectures", class, "model_type", type, "hidden_act", "silu");
	bool bias = ul_tensors_find(&f->tensors, "blk.0.attn_q.bias") != NULL;
	bool ok = j || ul_nomem(err, 64);
	ok = ok && ul_gguf_copy_sizes(g, j, err) &&
	     ul_gguf_copy_int(g, "%s.attention.head_count_kv", j, "num_key_value_heads", false, err) &&
	     ul_gguf_copy_int(g, "%s.attention.key_length", j, "head_dim", false, err) &&
	     ul_gguf_copy_real(g, "%s.attention.layer_norm_rms_epsilon", j, "rms_norm_eps", true, err) &&
	     ul_gguf_copy_real(g, "%s.rope.freq_base", j, "rope_theta", false, err) && rope_scaling(f, j, err) && ul_gguf_copy_common(g, j, err);
	if (ok && !strcmp(type, "llama") && bias)
		json_object_set_new(j, "attention_bias", json_true());
	if (ok && ul_tensors_find(&f->tensors, "blk.0.ffn_down.bias"))
		json_object_set_new(j, "mlp_bias", json_true());
	if (ok)
		return j;
	json_decref(j);
	return NULL;
}

static bool gguf_keys(const ul_model *m, ul_gguf_out *o, ul_err *err)
{
	const ul_config *c = &m->cfg;
	const char *type = ul_json_str(m->config, "model_type");
	if (c->window && c->window < c->context)
		return ul_fail(err, "llama.cpp has no sliding window for %s models, this one has a window of %d", type, c->window);
	ul_gguf_out_arch(o, !strcmp(type, "mistral") ? "llama" : type);
	ul_gguf_out_sizes(o, c);
	ul_gguf_out_f32(o, "%s.attention.layer_norm_rms_epsilon", c->norm_eps);
	return ul_gguf_out_rope(o, m, err);
}

#define SLOT(field, file, gg, r, k, fl, cond) UL_LAYER_SLOT(field, "model.layers.%d." file, gg, r, k, fl, cond)
#define QKV offsetof(ul_config, qkv_bias)
#define O offsetof(ul_config, o_bias)
#define MLP offsetof(ul_config, mlp_bias)
#define NORM offsetof(ul_config, qk_norm)

static const ul_slot slots[] = {
        UL_MODEL_SLOT(embed, "model.embed_tokens.weight", "token_embd.weight", "vocab", "hidden", 0),
        SLOT(q, "self_attn.q_proj.weight", "attn_q.weight", "q", "hidden", UL_SLOT_Q, 0),
        SLOT(q_b, "self_attn.q_proj.bias", "attn_q.bias", "1", "q", UL_SLOT_VECTOR | UL_SLOT_Q, QKV),
        SLOT(k, "self_attn.k_proj.weight", "attn_k.weight", "kv", "hidden", UL_SLOT_K, 0),
        SLOT(k_b, "self_attn.k_proj.bias", "attn_k.bias", "1", "kv", UL_SLOT_VECTOR | UL_SLOT_K, QKV),
        SLOT(v, "self_attn.v_proj.weight", "attn_v.weight", "kv", "hidden", 0, 0),
        SLOT(v_b, "self_attn.v_proj.bias", "attn_v.bias", "1", "kv", UL_SLOT_VECTOR, QKV),
        SLOT(o, "self_attn.o_proj.weight", "attn_output.weight", "hidden", "q", 0, 0),
        SLOT(o_b, "self_attn.o_proj.bias", "attn_output.bias", "1", "hidden", UL_SLOT_VECTOR, O),
        SLOT(q_norm, "self_attn.q_norm.weight", "attn_q_norm.weight", "1", "head_dim", UL_SLOT_VECTOR | UL_SLOT_NORM, NORM),
        SLOT(k_norm, "self_attn.k_norm.weight", "attn_k_norm.weight", "1", "head_dim", UL_SLOT_VECTOR | UL_SLOT_NORM, NORM),
        SLOT(gate, "mlp.gate_proj.weight", "ffn_gate.weight", "ffn", "hidden", 0, 0),
        SLOT(gate_b, "mlp.gate_proj.bias", "ffn_gate.bias", "1", "ffn", UL_SLOT_VECTOR, MLP),
        SLOT(up, "mlp.up_proj.weight", "ffn_up.weight", "ffn", "hidden", 0, 0),
        SLOT(up_b, "mlp.up_proj.bias", "ffn_up.bias", "1", "ffn", UL_SLOT_VECTOR, MLP),
        SLOT(down, "mlp.down_proj.weight", "ffn_down.weight", "hidden", "ffn", 0, 0),
        SLOT(down_b, "mlp.down_proj.bias", "ffn_down.bias", "1", "hidden", UL_SLOT_VECTOR, MLP),
        SLOT(norm1, "input_layernorm.weight", "attn_norm.weight", "1", "hidden", UL_SLOT_VECTOR | UL_SLOT_NORM, 0),
        SLOT(norm2, "post_attention_layernorm.weight", "ffn_norm.weight", "1", "hidden", UL_SLOT_VECTOR | UL_SLOT_NORM, 0),
        UL_MODEL_SLOT(norm, "model.norm.weight", "output_norm.weight", "1", "hidden", UL_SLOT_VECTOR | UL_SLOT_NORM),
        UL_MODEL_SLOT(head, "lm_head.weight", "output.weight", "vocab", "hidden", UL_SLOT_HEAD),
        {0},
};

static const char *const model_types[] = {"llama", "mistral", "qwen2", "qwen3", NULL};
static const char *const ggufs[] = {"llama", "qwen2", "qwen3", NULL};
static const char *const linears[] = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", NULL};
static const char *const mlp[] = {"gate_proj", "up_proj", "down_proj", NULL};

const ul_arch ul_arch_llama = {
        .name = "llama",
        .prefix = "model.",
        .model_types = model_types,
        .ggufs = ggufs,
        .read_config = read_config,
        .gguf_config = gguf_config,
        .gguf_keys = gguf_keys,
        .slots = slots,
        .forward = forward,
        .linears = linears,
        .mlp = mlp,
};
