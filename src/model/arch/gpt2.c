/*
 * gpt2.c: GPT-2 (Radford et al. 2019).
 *
 *   h = wte[ids] + wpe[pos]
 *   per block:  h += c_proj(attend(q, k, v))          q, k, v of layernorm(h), side by side in one matrix
 *               h += c_proj(gelu(c_fc(layernorm(h))))
 *   h = layernorm(h)
 *
 * Its files store matrices as [in, out] (Conv1D); in memory they are [out, in] like everybody's.
 */
#include "model/config.h"
#include "model/files.h"
#include "model/gguf.h"

#include <math.h>

static ul_val *block(ul_model *m, ul_pass *p, int layer, ul_val *h)
{
	const ul_config *c = &m->cfg;
	const ul_layer *l = &m->layer[layer];

	ul_val *x = ul_layernorm(h, l->norm1, l->norm1_b, c->norm_eps); /* [rows, hidden] */
	ul_val *qkv = ul_linear(x, l->qkv, l->qkv_b); /* [rows, 3 · hidden] */
	ul_val *q = ul_cols(qkv, 0, c->hidden, c->hidden, 1);
	ul_val *k = ul_cols(qkv, c->hidden, c->hidden, c->hidden, 1);
	ul_val *v = ul_cols(qkv, 2 * c->hidden, c->hidden, c->hidden, 1);
	ul_val *a = ul_linear(ul_pass_attend(m, p, layer, q, k, v), l->o, l->o_b);
	if (!ul_tap(p, UL_SITE_ATTN_OUT, layer, &a))
		return a;
	h = ul_add(h, a);

	x = ul_layernorm(h, l->norm2, l->norm2_b, c->norm_eps);
	ul_val *f = ul_activate(ul_linear(x, l->up, l->up_b), c->act); /* [rows, ffn] */
	if (!ul_tap(p, UL_SITE_DOWN_IN, layer, &f))
		return f;
	ul_val *y = ul_linear(f, l->down, l->down_b);
	if (!ul_tap(p, UL_SITE_MLP_OUT, layer, &y))
		return y;
	return ul_add(h, y);
}

static ul_val *last_norm(ul_model *m, ul_val *h)
{
	return ul_layernorm(h, m->norm, m->norm_b, m->cfg.norm_eps);
}

static ul_val *forward(ul_model *m, ul_pass *p)
{
	ul_val *h = ul_pass_embed(m, p); /* [rows, hidden] */
	if (!p->first)
		h = ul_add(h, ul_embed(p->tape, m->pos_embed, p->pos, p->span.start[p->span.n], 1));
	return ul_pass_blocks(m, p, h, block, last_norm);
}

/* ---- config.json ---- */

static bool read_config(const json_t *j, ul_config *c, ul_arena *a, ul_err *err)
{
	bool scale = true;
	c->norm_eps = 1e-5;
	c->tied = true;
	if (!ul_config_size(j, "n_layer", UL_MAX_LAYERS, 12, &c->layers, err) || !ul_config_size(j, "n_embd", UL_MAX_WIDTH, 768, &c->hidden, err) ||
	        !ul_config_size(j, "n_head", 65536, 12, &c->heads, err) || !ul_config_size(j, "n_inner", UL_MAX_WIDTH, 4 * c->hidden, &c->ffn, err) ||
	        !ul_config_size(j, "vocab_size", UL_MAX_VOCAB, 50257, &c->vocab, err) || !ul_config_size(j, "n_positions", 1 << 24, 1024, &c->context, err) ||
	        !ul_json_real(j, "layer_norm_epsilon", 0, 1, &c->norm_eps, err) || !ul_json_bool(j, "tie_word_embeddings", &c->tied, err) ||
	        !ul_json_bool(j, "scale_attn_weights", &scale, err) || !ul_config_act(j, "activation_function", "gelu_new", &c->act, err) ||
	        !ul_config_tokens(j, c, err) || !ul_config_refuse(j, "scale_attn_by_inverse_layer_idx", err) || !ul_config_refuse(j, "add_cross_attention", err))
		return false;
	if (c->hidden % c->heads)
		return ul_fail(err, "config.json: a hidden size of %d is no multiple of %d heads", c->hidden, c->heads);
	c->kv_heads = c->heads;
	c->head_dim = c->hidden / c->heads;
	c->qkv_bias = c->o_bias = c->mlp_bias = true;
	c->attn_scale = scale ? 1 / sqrt(c->head_dim) : 1;
	return ul_config_check(c, err);
}

/* ---- GGUF ---- */

static json_t *gguf_config(const ul_files *f, ul_err *err)
{
	const ul_gguf *g = f->gguf;
	json_t *j = json_pack("{s:[s], s:s, s:s}", "architectures", "GPT2LMHeadModel", "model_type", "gpt2", "activation_function", "gelu_new");
	bool ok = j || ul_nomem(err, 64);
	ok = ok && ul_gguf_copy_int(g, "%s.block_count", j, "n_layer", true, err) && ul_gguf_copy_int(g, "%s.context_length", j, "n_positions", true, err) &&
	     ul_gguf_copy_int(g, "%s.embedding_length", j, "n_embd", true, err) &&
	     ul_gguf_copy_int(g, "%s.feed_forward_length", j, "n_inner", true, err) &&
	     ul_gguf_copy_int(g, "%s.attention.head_count", j, "n_head", true, err) &&
	     ul_gguf_copy_real(g, "%s.attention.layer_norm_epsilon", j, "layer_norm_epsilon", true, err) && ul_gguf_copy_common(g, j, err);
	if (ok)
		return j;
	json_decref(j);
	return NULL;
}

static bool gguf_keys(const ul_model *m, ul_gguf_out *o, ul_err *err)
{
	const ul_config *c = &m->cfg;
	if (c->act != UL_GELU_TANH || c->attn_scale == 1)
		return ul_fail(err, "llama.cpp reads gpt2 models with activation_function gelu_new and scaled attention only");
	ul_gguf_out_arch(o, "gpt2");
	ul_gguf_out_sizes(o, c);
	ul_gguf_out_f32(o, "%s.attention.layer_norm_epsilon", c->norm_eps);
	return true;
}

#define SLOT(field, file, gg, r, k, fl) UL_LAYER_SLOT(field, "transformer.h.%d." file, gg, r, k, fl, 0)
enum { VECTOR = UL_SLOT_VECTOR,
	NORM = UL_SLOT_VECTOR | UL_SLOT_NORM,
	TURNED = UL_SLOT_TRANSPOSED };

static const ul_slot slots[] = {
        UL_MODEL_SLOT(embed, "transformer.wte.weight", "token_embd.weight", "vocab", "hidden", 0),
        UL_MODEL_SLOT(pos_embed, "transformer.wpe.weight", "position_embd.weight", "context", "hidden", 0),
        SLOT(norm1, "ln_1.weight", "attn_norm.weight", "1", "hidden", NORM),
        SLOT(norm1_b, "ln_1.bias", "attn_norm.bias", "1", "hidden", VECTOR),
        SLOT(qkv, "attn.c_attn.weight", "attn_qkv.weight", "3*hidden", "hidden", TURNED | UL_SLOT_QKV),
        SLOT(qkv_b, "attn.c_attn.bias", "attn_qkv.bias", "1", "3*hidden", VECTOR | UL_SLOT_QKV),
        SLOT(o, "attn.c_proj.weight", "attn_output.weight", "hidden", "hidden", TURNED),
        SLOT(o_b, "attn.c_proj.bias", "attn_output.bias", "1", "hidden", VECTOR),
        SLOT(norm2, "ln_2.weight", "ffn_norm.weight", "1", "hidden", NORM),
        SLOT(norm2_b, "ln_2.bias", "ffn_norm.bias", "1", "hidden", VECTOR),
        SLOT(up, "mlp.c_fc.weight", "ffn_up.weight", "ffn", "hidden", TURNED),
        SLOT(up_b, "mlp.c_fc.bias", "ffn_up.bias", "1", "ffn", VECTOR),
        SLOT(down, "mlp.c_proj.weight", "ffn_down.weight", "hidden", "ffn", TURNED),
        SLOT(down_b, "mlp.c_proj.bias", "ffn_down.bias", "1", "hidden", VECTOR),
        UL_MODEL_SLOT(norm, "transformer.ln_f.weight", "output_norm.weight", "1", "hidden", NORM),
        UL_MODEL_SLOT(norm_b, "transformer.ln_f.bias", "output_norm.bias", "1", "hidden", VECTOR),
        UL_MODEL_SLOT(head, "lm_head.weight", "output.weight", "vocab", "hidden", UL_SLOT_HEAD),
        {0},
};

static const char *const names[] = {"gpt2", NULL};
static const char *const linears[] = {"c_attn", "c_proj", "c_fc", NULL};
static const char *const mlp[] = {"mlp.c_fc", "mlp.c_proj", NULL};

const ul_arch ul_arch_gpt2 = {
        .name = "gpt2",
        .prefix = "transformer.",
        .model_types = names,
        .ggufs = names,
        .read_config = read_config,
        .gguf_config = gguf_config,
        .gguf_keys = gguf_keys,
        .slots = slots,
        .forward = forward,
        .linears = linears,
        .mlp = mlp,
};
