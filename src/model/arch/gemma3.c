/*
 * gemma3.c: the text model of Gemma 3 (Gemma Team 2025).
 *
 *   h = sqrt(hidden) · embed[ids]
 *   per block:  h += norm(o(attend(rope(norm(q)), rope(norm(k)), v)))   q, k, v of norm(h); q and k normed per head
 *               h += norm(down(gelu(gate(x)) · up(x)))                  x = norm(h)
 *   h = norm(h)                                                         norm(x) = x / rms(x) · (1 + w)
 *
 * Five layers of six see only a window and turn with their own rotary base.
 */
#include "model/config.h"
#include "model/files.h"
#include "model/gguf.h"

#include <math.h>
#include <string.h>

enum { PATTERN = 6,
	LLAMA_CPP_27B = 62 }; /* every sixth layer sees everything; layers of the one model with its own scale */

static ul_val *norm(ul_val *x, ul_param *w, const ul_config *c)
{
	return ul_rmsnorm(x, w, c->norm_eps, true);
}

static ul_val *block(ul_model *m, ul_pass *p, int layer, ul_val *h)
{
	const ul_config *c = &m->cfg;
	const ul_layer *l = &m->layer[layer];

	ul_val *x = norm(h, l->norm1, c); /* [rows, hidden] */
	ul_val *q = norm(ul_linear(x, l->q, l->q_b), l->q_norm, c); /* [rows, heads · head_dim], per head */
	ul_val *k = norm(ul_linear(x, l->k, l->k_b), l->k_norm, c); /* [rows, kv_heads · head_dim] */
	ul_val *v = ul_linear(x, l->v, l->v_b);
	q = ul_pass_rotate(m, p, layer, q);
	k = ul_pass_rotate(m, p, layer, k);
	ul_val *a = norm(ul_linear(ul_pass_attend(m, p, layer, q, k, v), l->o, l->o_b), l->post1, c);
	if (!ul_tap(p, UL_SITE_ATTN_OUT, layer, &a))
		return a;
	h = ul_add(h, a);

	x = norm(h, l->norm2, c);
	ul_val *f = ul_gate(ul_linear(x, l->gate, NULL), ul_linear(x, l->up, NULL), c->act); /* [rows, ffn] */
	if (!ul_tap(p, UL_SITE_DOWN_IN, layer, &f))
		return f;
	ul_val *y = norm(ul_linear(f, l->down, NULL), l->post2, c);
	if (!ul_tap(p, UL_SITE_MLP_OUT, layer, &y))
		return y;
	return ul_add(h, y);
}

static ul_val *last_norm(ul_model *m, ul_val *h)
{
	return norm(h, m->norm, &m->cfg);
}

static ul_val *forward(ul_model *m, ul_pass *p)
{
	return ul_pass_blocks(m, p, ul_pass_embed(m, p), block, last_norm);
}

/* ---- config.json ---- */

/* layer_types, or every sliding_window_pattern-th layer sees everything. */
static bool read_layers(const json_t *j, ul_config *c, ul_arena *a, ul_err *err)
{
	int64_t pattern = PATTERN, window = 4096;
	if (!ul_json_int(j, "_sliding_window_pattern", 1, INT32_MAX, &pattern, err) || !ul_json_int(j, "sliding_window_pattern", 1, INT32_MAX, &pattern, err) ||
	        !ul_json_int(j, "sliding_window", 1, INT32_MAX, &window, err))
		return false;
	c->window = (int)window;
	unsigned char *local = ul_alloc(a, (size_t)c->layers);
	if (!local)
		return ul_nomem(err, (size_t)c->layers);
	for (int i = 0; i < c->layers; i++)
		local[i] = (i + 1) % pattern != 0;
	c->local = local;
	return ul_config_layer_types(j, c, a, err);
}

/* transformers 5: rope_parameters by layer type; before: rope_theta and rope_scaling for the global layers, rope_local_base_freq. */
static bool read_rope(const json_t *j, ul_config *c, ul_arena *a, ul_err *err)
{
	const json_t *both = json_object_get(j, "rope_parameters"), *global = json_object_get(both, "full_attention");
	const json_t *local = json_object_get(both, "sliding_attention");
	double unit = 1;
	if (!json_is_object(global))
		global = json_object_get(j, "rope_scaling");
	if (!json_is_object(global))
		global = NULL;
	c->rope_theta = 1e6;
	c->rope_theta_local = 1e4;
	if (!ul_json_real(j, "rope_theta", 1e-6, 1e12, &c->rope_theta, err) || !ul_json_real(j, "rope_local_base_freq", 1e-6, 1e12, &c->rope_theta_local, err) ||
	        !ul_json_real(global, "rope_theta", 1e-6, 1e12, &c->rope_theta, err) || !ul_json_real(local, "rope_theta", 1e-6, 1e12, &c->rope_theta_local, err))
		return false;
	ul_rope_config g = {.params = global, .theta = c->rope_theta, .rot = c->rot, .context = c->context};
	ul_rope_config s = {.params = local, .theta = c->rope_theta_local, .rot = c->rot, .context = c->context};
	return ul_rope_freqs(&g, &c->inv_freq, &c->rope_scale, a, err) && ul_rope_freqs(&s, &c->inv_freq_local, &unit, a, err) &&
	       (unit == 1 || ul_fail(err, "config.json scales the attention of the sliding layers by %g, which is not implemented", unit));
}

static bool read_config(const json_t *j, ul_config *c, ul_arena *a, ul_err *err)
{
	double scalar = 256;
	bool bias = false;
	c->norm_eps = 1e-6;
	c->tied = true;
	if (!ul_config_size(j, "num_hidden_layers", UL_MAX_LAYERS, 26, &c->layers, err) ||
	        !ul_config_size(j, "hidden_size", UL_MAX_WIDTH, 2304, &c->hidden, err) || !ul_config_size(j, "num_attention_heads", 65536, 8, &c->heads, err) ||
	        !ul_config_size(j, "num_key_value_heads", 65536, 4, &c->kv_heads, err) || !ul_config_size(j, "head_dim", 65536, 256, &c->head_dim, err) ||
	        !ul_config_size(j, "intermediate_size", UL_MAX_WIDTH, 9216, &c->ffn, err) ||
	        !ul_config_size(j, "vocab_size", UL_MAX_VOCAB, 262208, &c->vocab, err) ||
	        !ul_config_size(j, "max_position_embeddings", INT32_MAX, 131072, &c->context, err) || !ul_json_real(j, "rms_norm_eps", 0, 1, &c->norm_eps, err) ||
	        !ul_json_real(j, "query_pre_attn_scalar", 1e-6, 1e12, &scalar, err) || !ul_json_bool(j, "tie_word_embeddings", &c->tied, err) ||
	        !ul_json_bool(j, "attention_bias", &bias, err) || !ul_config_act(j, "hidden_activation", "gelu_pytorch_tanh", &c->act, err) ||
	        !ul_config_tokens(j, c, err) || !ul_config_refuse(j, "attn_logit_softcapping", err) || !ul_config_refuse(j, "final_logit_softcapping", err) ||
	        !ul_config_refuse(j, "use_bidirectional_attention", err) || !read_layers(j, c, a, err))
		return false;
	c->qkv_bias = c->o_bias = bias;
	c->qk_norm = true;
	c->rot = c->head_dim;
	c->attn_scale = 1 / sqrt(scalar);
	c->embed_scale = sqrt(c->hidden);
	return ul_config_check(c, err) && read_rope(j, c, a, err);
}

/* ---- GGUF ---- */

static bool gguf_rope(const ul_gguf *g, json_t *j, ul_err *err)
{
	double factor = 1;
	if (!ul_gguf_copy_real(g, "%s.rope.freq_base", j, "rope_theta", false, err) ||
	        !ul_gguf_copy_real(g, "%s.rope.freq_base_swa", j, "rope_local_base_freq", false, err) ||
	        !ul_gguf_real(g, "%s.rope.scaling.factor", false, &factor, err))
		return false;
	if (factor == 1)
		return true;
	return !json_object_set_new(j, "rope_scaling", json_pack("{s:s, s:f}", "rope_type", "linear", "factor", factor)) || ul_nomem(err, 64);
}

/* llama.cpp scales by the head's width, except in the 27B model. */
static void gguf_scale(json_t *j)
{
	json_int_t layers = json_integer_value(json_object_get(j, "num_hidden_layers")), dim = json_integer_value(json_object_get(j, "head_dim"));
	json_int_t hidden = json_integer_value(json_object_get(j, "hidden_size")), heads = json_integer_value(json_object_get(j, "num_attention_heads"));
	json_object_set_new(j, "query_pre_attn_scalar", json_integer(layers == LLAMA_CPP_27B && heads > 0 ? hidden / heads : dim));
}

/* One period for all layers, or one truth for each of them: whether it slides. */
static bool gguf_layers(const ul_gguf *g, json_t *j, ul_err *err)
{
	const ul_gguf_kv *kv = ul_gguf_find(g, "%s.attention.sliding_window_pattern");
	if (!kv || kv->type != UL_GGUF_ARRAY)
		return ul_gguf_copy_int(g, "%s.attention.sliding_window_pattern", j, "sliding_window_pattern", false, err);
	size_t size = kv->elem == UL_GGUF_BOOL ? 1 : 4;
	json_int_t layers = json_integer_value(json_object_get(j, "num_hidden_layers"));
	if (kv->elem != UL_GGUF_BOOL && kv->elem != UL_GGUF_U32 && kv->elem != UL_GGUF_I32)
		return ul_fail(err, "the GGUF key \"%s\" lists neither truths nor whole numbers", kv->key);
	if (kv->n != (uint64_t)layers)
		return ul_fail(err, "the GGUF key \"%s\" lists %llu layers of %lld", kv->key, (unsigned long long)kv->n, (long long)layers);
	if (layers > UL_MAX_LAYERS)
		return true; /* refused with the other sizes */
	json_t *types = json_array();
	for (uint64_t i = 0; types && i < kv->n; i++) {
		static const unsigned char zero[4];
		const char *type = memcmp(kv->data + i * size, zero, size) ? "sliding_attention" : "full_attention";
		if (json_array_append_new(types, json_string(type))) {
			json_decref(types);
			types = NULL;
		}
	}
	return (types && !json_object_set_new(j, "layer_types", types)) || ul_nomem(err, 64);
}

static json_t *gguf_config(const ul_files *f, ul_err *err)
{
	const ul_gguf *g = f->gguf;
	json_t *j = json_pack("{s:[s], s:s, s:s}", "architectures", "Gemma3ForCausalLM", "model_type", "gemma3_text", "hidden_activation", "gelu_pytorch_tanh");
	bool ok = j || ul_nomem(err, 64);
	ok = ok && ul_gguf_copy_sizes(g, j, err) && gguf_layers(g, j, err) &&
	     ul_gguf_copy_int(g, "%s.attention.head_count_kv", j, "num_key_value_heads", true, err) &&
	     ul_gguf_copy_int(g, "%s.attention.key_length", j, "head_dim", true, err) &&
	     ul_gguf_copy_int(g, "%s.attention.sliding_window", j, "sliding_window", true, err) &&
	     ul_gguf_copy_real(g, "%s.attention.layer_norm_rms_epsilon", j, "rms_norm_eps", true, err) && gguf_rope(g, j, err) && ul_gguf_copy_common(g, j, err);
	if (ok) {
		gguf_scale(j);
		return j;
	}
	json_decref(j);
	return NULL;
}

static bool gguf_keys(const ul_model *m, ul_gguf_out *o, ul_err *err)
{
	const ul_config *c = &m->cfg;
	double scale = c->layers == LLAMA_CPP_27B ? 1 / sqrt((double)c->hidden / c->heads) : 1 / sqrt(c->head_dim);
	if (fabs(c->attn_scale - scale) > 1e-9)
		return ul_fail(err, "llama.cpp scales a gemma3 model's attention by %g, this one's query_pre_attn_scalar asks for %g", scale, c->attn_scale);
	for (int i = 0; i < c->layers; i++)
		if (c->local[i] != ((i + 1) % PATTERN != 0))
			return ul_fail(err, "llama.cpp expects every sixth layer of a gemma3 model to see everything, here layer %d differs", i);
	if (c->rope_theta_local != 1e4 || c->inv_freq_local[c->rot / 2 - 1] != pow(1e4, -2.0 * (c->rot / 2 - 1) / c->rot))
		return ul_fail(err, "llama.cpp turns the sliding layers of a gemma3 model with base 10000, this one with %g", c->rope_theta_local);
	double factor = 1 / c->inv_freq[0]; /* linear scaling divides all frequencies, the first of which is 1 */
	for (int i = 0; i < c->rot / 2; i++)
		if (fabs(c->inv_freq[i] * factor / pow(c->rope_theta, -2.0 * i / c->rot) - 1) > 1e-9 || c->rope_scale != 1)
			return ul_fail(err, "llama.cpp knows linear rope scaling for gemma3 models only");
	ul_gguf_out_arch(o, "gemma3");
	ul_gguf_out_sizes(o, c);
	ul_gguf_out_f32(o, "%s.attention.layer_norm_rms_epsilon", c->norm_eps);
	ul_gguf_out_u32(o, "%s.attention.sliding_window", (uint32_t)c->window);
	ul_gguf_out_f32(o, "%s.rope.freq_base", c->rope_theta);
	if (factor != 1) {
		ul_gguf_out_str(o, "%s.rope.scaling.type", "linear");
		ul_gguf_out_f32(o, "%s.rope.scaling.factor", factor);
	}
	return true;
}

#define SLOT(field, file, gg, r, k, fl, cond) UL_LAYER_SLOT(field, "model.layers.%d." file, gg, r, k, fl, cond)
#define QKV offsetof(ul_config, qkv_bias)
enum { VECTOR = UL_SLOT_VECTOR,
	NORM = UL_SLOT_VECTOR | UL_SLOT_NORM | UL_SLOT_PLUS_ONE_GGUF };

static const ul_slot slots[] = {
        UL_MODEL_SLOT(embed, "model.embed_tokens.weight", "token_embd.weight", "vocab", "hidden", 0),
        SLOT(q, "self_attn.q_proj.weight", "attn_q.weight", "q", "hidden", 0, 0),
        SLOT(q_b, "self_attn.q_proj.bias", "attn_q.bias", "1", "q", VECTOR, QKV),
        SLOT(k, "self_attn.k_proj.weight", "attn_k.weight", "kv", "hidden", 0, 0),
        SLOT(k_b, "self_attn.k_proj.bias", "attn_k.bias", "1", "kv", VECTOR, QKV),
        SLOT(v, "self_attn.v_proj.weight", "attn_v.weight", "kv", "hidden", 0, 0),
        SLOT(v_b, "self_attn.v_proj.bias", "attn_v.bias", "1", "kv", VECTOR, QKV),
        SLOT(o, "self_attn.o_proj.weight", "attn_output.weight", "hidden", "q", 0, 0),
        SLOT(o_b, "self_attn.o_proj.bias", "attn_output.bias", "1", "hidden", VECTOR, QKV),
        SLOT(q_norm, "self_attn.q_norm.weight", "attn_q_norm.weight", "1", "head_dim", NORM, 0),
        SLOT(k_norm, "self_attn.k_norm.weight", "attn_k_norm.weight", "1", "head_dim", NORM, 0),
        SLOT(gate, "mlp.gate_proj.weight", "ffn_gate.weight", "ffn", "hidden", 0, 0),
        SLOT(up, "mlp.up_proj.weight", "ffn_up.weight", "ffn", "hidden", 0, 0),
        SLOT(down, "mlp.down_proj.weight", "ffn_down.weight", "hidden", "ffn", 0, 0),
        SLOT(norm1, "input_layernorm.weight", "attn_norm.weight", "1", "hidden", NORM, 0),
        SLOT(post1, "post_attention_layernorm.weight", "post_attention_norm.weight", "1", "hidden", NORM, 0),
        SLOT(norm2, "pre_feedforward_layernorm.weight", "ffn_norm.weight", "1", "hidden", NORM, 0),
        SLOT(post2, "post_feedforward_layernorm.weight", "post_ffw_norm.weight", "1", "hidden", NORM, 0),
        UL_MODEL_SLOT(norm, "model.norm.weight", "output_norm.weight", "1", "hidden", NORM),
        UL_MODEL_SLOT(head, "lm_head.weight", "output.weight", "vocab", "hidden", UL_SLOT_HEAD),
        {0},
};

static const char *const model_types[] = {"gemma3_text", "gemma3", NULL};
static const char *const ggufs[] = {"gemma3", NULL};
static const char *const linears[] = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", NULL};
static const char *const mlp[] = {"gate_proj", "up_proj", "down_proj", NULL};

const ul_arch ul_arch_gemma3 = {
        .name = "gemma3",
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
