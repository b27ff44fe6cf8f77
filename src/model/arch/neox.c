/*
 * neox.c: GPT-NeoX (Black et al. 2022), the architecture of Pythia.
 *
 *   h = embed[ids]
 *   parallel block:    h += dense(attend(rope(q), rope(k), v)) + mlp(layernorm2(h))    q, k, v of layernorm1(h)
 *   sequential block:  h += attention, then h += mlp(layernorm2(h))
 *   h = layernorm(h)
 *
 * One matrix gives q, k and v, head by head; only the first `rot` columns of each head turn.
 */
#include "model/config.h"
#include "model/files.h"
#include "model/gguf.h"

#include <math.h>

static ul_val *block(ul_model *m, ul_pass *p, int layer, ul_val *h)
{
	const ul_config *c = &m->cfg;
	const ul_layer *l = &m->layer[layer];
	int d = c->head_dim, n = c->heads;

	ul_val *x = ul_layernorm(h, l->norm1, l->norm1_b, c->norm_eps); /* [rows, hidden] */
	ul_val *qkv = ul_linear(x, l->qkv, l->qkv_b); /* [rows, heads · (q k v) · head_dim] */
	ul_val *q = ul_pass_rotate(m, p, layer, ul_cols(qkv, 0, d, 3 * d, n));
	ul_val *k = ul_pass_rotate(m, p, layer, ul_cols(qkv, d, d, 3 * d, n));
	ul_val *v = ul_cols(qkv, 2 * d, d, 3 * d, n); /* [rows, heads · head_dim] each */
	ul_val *a = ul_linear(ul_pass_attend(m, p, layer, q, k, v), l->o, l->o_b);
	if (!ul_tap(p, UL_SITE_ATTN_OUT, layer, &a))
		return a;
	ul_val *sum = ul_add(h, a);

	x = ul_layernorm(c->parallel ? h : sum, l->norm2, l->norm2_b, c->norm_eps);
	ul_val *f = ul_activate(ul_linear(x, l->up, l->up_b), c->act); /* [rows, ffn] */
	if (!ul_tap(p, UL_SITE_DOWN_IN, layer, &f))
		return f;
	ul_val *y = ul_linear(f, l->down, l->down_b);
	if (!ul_tap(p, UL_SITE_MLP_OUT, layer, &y))
		return y;
	return ul_add(sum, y);
}

static ul_val *last_norm(ul_model *m, ul_val *h)
{
	return ul_layernorm(h, m->norm, m->norm_b, m->cfg.norm_eps);
}

static ul_val *forward(ul_model *m, ul_pass *p)
{
	return ul_pass_blocks(m, p, ul_pass_embed(m, p), block, last_norm);
}

/* ---- config.json ---- */

/* partial_rotary_factor inside rope_parameters (transformers 5), rotary_pct before. */
static bool read_rotary(const json_t *j, ul_config *c, ul_arena *a, ul_err *err)
{
	double part = 0.25;
	if (!ul_json_real(j, "rotary_pct", 0, 1, &part, err) || !ul_json_real(j, "partial_rotary_factor", 0, 1, &part, err) ||
	        !ul_json_real(json_object_get(j, "rope_parameters"), "partial_rotary_factor", 0, 1, &part, err))
		return false;
	c->rot = (int)(c->head_dim * part);
	return ul_config_check(c, err) && ul_config_rope(j, "rotary_emb_base", 10000, c, a, err);
}

static bool read_config(const json_t *j, ul_config *c, ul_arena *a, ul_err *err)
{
	bool bias = true;
	c->norm_eps = 1e-5;
	c->parallel = true;
	if (!ul_config_size(j, "num_hidden_layers", UL_MAX_LAYERS, 0, &c->layers, err) ||
	        !ul_config_size(j, "hidden_size", UL_MAX_WIDTH, 0, &c->hidden, err) ||
	        !ul_config_size(j, "num_attention_heads", 65536, 0, &c->heads, err) ||
	        !ul_config_size(j, "intermediate_size", UL_MAX_WIDTH, 0, &c->ffn, err) ||
	        !ul_config_size(j, "vocab_size", UL_MAX_VOCAB, 0, &c->vocab, err) ||
	        !ul_config_size(j, "max_position_embeddings", INT32_MAX, 2048, &c->context, err) ||
	        !ul_json_real(j, "layer_norm_eps", 0, 1, &c->norm_eps, err) || !ul_json_bool(j, "tie_word_embeddings", &c->tied, err) ||
	        !ul_json_bool(j, "use_parallel_residual", &c->parallel, err) || !ul_json_bool(j, "attention_bias", &bias, err) ||
	        !ul_config_act(j, "hidden_act", "gelu", &c->act, err) || !ul_config_tokens(j, c, err))
		return false;
	if (c->hidden % c->heads)
		return ul_fail(err, "config.json: a hidden size of %d is no multiple of %d heads", c->hidden, c->heads);
	c->kv_heads = c->heads;
	c->head_dim = c->hidden / c->heads;
	c->qkv_bias = c->o_bias = bias;
	c->attn_scale = 1 / sqrt(c->head_dim);
	return read_rotary(j, c, a, err);
}

/* ---- GGUF ---- */

static json_t *gguf_config(const ul_files *f, ul_err *err)
{
	const ul_gguf *g = f->gguf;
	json_t *j = json_pack("{s:[s], s:s, s:s}", "architectures", "GPTNeoXForCausalLM", "model_type", "gpt_neox", "hidden_act", "gelu");
	bool parallel = true;
	bool ok = j || ul_nomem(err, 64);
	ok = ok && ul_gguf_copy_sizes(g, j, err) &&
	     ul_gguf_copy_real(g, "%s.attention.layer_norm_epsilon", j, "layer_norm_eps", true, err) &&
	     ul_gguf_copy_real(g, "%s.rope.freq_base", j, "rotary_emb_base", false, err) &&
	     ul_gguf_bool(g, "%s.use_parallel_residual", &parallel, err) && ul_gguf_copy_common(g, j, err);
	int64_t rot = 0, heads = json_integer_value(json_object_get(j, "num_attention_heads")), hidden = json_integer_value(json_object_get(j, "hidden_size"));
	ok = ok && ul_gguf_int(g, "%s.rope.dimension_count", true, &rot, err);
	if (ok && (heads <= 0 || hidden <= 0 || rot < 0 || rot > hidden / heads))
		ok = ul_fail(err, "the GGUF rotates %lld columns of heads with %lld", (long long)rot, heads > 0 ? (long long)(hidden / heads) : 0);
	if (ok) {
		double d = (double)(hidden / heads), part = (double)rot / d;
		if ((int64_t)(d * part) < rot) /* the product must come back to the same whole number */
			part = nextafter(part, 1);
		json_object_set_new(j, "rotary_pct", json_real(part));
		json_object_set_new(j, "use_parallel_residual", json_boolean(parallel));
		return j;
	}
	json_decref(j);
	return NULL;
}

static bool gguf_keys(const ul_model *m, ul_gguf_out *o, ul_err *err)
{
	const ul_config *c = &m->cfg;
	if (c->act != UL_GELU)
		return ul_fail(err, "llama.cpp reads gptneox models with hidden_act gelu only");
	ul_gguf_out_arch(o, "gptneox");
	ul_gguf_out_sizes(o, c);
	ul_gguf_out_f32(o, "%s.attention.layer_norm_epsilon", c->norm_eps);
	ul_gguf_out_bool(o, "%s.use_parallel_residual", c->parallel);
	return ul_gguf_out_rope(o, m, err);
}

#define SLOT(field, file, gg, r, k, fl, cond) UL_LAYER_SLOT(field, "gpt_neox.layers.%d." file, gg, r, k, fl, cond)
#define BIAS offsetof(ul_config, qkv_bias)
enum { VECTOR = UL_SLOT_VECTOR,
	NORM = UL_SLOT_VECTOR | UL_SLOT_NORM,
	FUSED = UL_SLOT_QKV_HEADS | UL_SLOT_QKV };

static const ul_slot slots[] = {
        UL_MODEL_SLOT(embed, "gpt_neox.embed_in.weight", "token_embd.weight", "vocab", "hidden", 0),
        SLOT(norm1, "input_layernorm.weight", "attn_norm.weight", "1", "hidden", NORM, 0),
        SLOT(norm1_b, "input_layernorm.bias", "attn_norm.bias", "1", "hidden", VECTOR, 0),
        SLOT(norm2, "post_attention_layernorm.weight", "ffn_norm.weight", "1", "hidden", NORM, 0),
        SLOT(norm2_b, "post_attention_layernorm.bias", "ffn_norm.bias", "1", "hidden", VECTOR, 0),
        SLOT(qkv, "attention.query_key_value.weight", "attn_qkv.weight", "3*hidden", "hidden", FUSED, 0),
        SLOT(qkv_b, "attention.query_key_value.bias", "attn_qkv.bias", "1", "3*hidden", VECTOR | FUSED, BIAS),
        SLOT(o, "attention.dense.weight", "attn_output.weight", "hidden", "hidden", 0, 0),
        SLOT(o_b, "attention.dense.bias", "attn_output.bias", "1", "hidden", VECTOR, BIAS),
        SLOT(up, "mlp.dense_h_to_4h.weight", "ffn_up.weight", "ffn", "hidden", 0, 0),
        SLOT(up_b, "mlp.dense_h_to_4h.bias", "ffn_up.bias", "1", "ffn", VECTOR, 0),
        SLOT(down, "mlp.dense_4h_to_h.weight", "ffn_down.weight", "hidden", "ffn", 0, 0),
        SLOT(down_b, "mlp.dense_4h_to_h.bias", "ffn_down.bias", "1", "hidden", VECTOR, 0),
        UL_MODEL_SLOT(norm, "gpt_neox.final_layer_norm.weight", "output_norm.weight", "1", "hidden", NORM),
        UL_MODEL_SLOT(norm_b, "gpt_neox.final_layer_norm.bias", "output_norm.bias", "1", "hidden", VECTOR),
        UL_MODEL_SLOT(head, "embed_out.weight", "output.weight", "vocab", "hidden", UL_SLOT_HEAD),
        {0},
};

static const char *const model_types[] = {"gpt_neox", NULL};
static const char *const ggufs[] = {"gptneox", NULL};
static const char *const linears[] = {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h", NULL};
static const char *const mlp[] = {"dense_h_to_4h", "dense_4h_to_h", NULL};

const ul_arch ul_arch_neox = {
        .name = "neox",
        .prefix = "gpt_neox.",
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
