/*
 * config.c: reading config.json: sizes within limits, activations, token ids, layer types, and the same from a GGUF's keys.
 */
#include "model/config.h"
#include "model/gguf.h"

#include <string.h>

bool ul_config_size(const json_t *config, const char *key, int64_t max, int fallback, int *out, ul_err *err)
{
	int64_t x = fallback;
	if (!ul_json_int(config, key, 1, max, &x, err))
		return false;
	if (x <= 0)
		return ul_fail(err, "config.json has no %s", key);
	*out = (int)x;
	return true;
}

bool ul_config_act(const json_t *config, const char *key, const char *fallback, enum ul_act *out, ul_err *err)
{
	static const struct {
		const char *name;
		enum ul_act act;
	} acts[] = {
	        {"silu", UL_SILU},
	        {"swish", UL_SILU},
	        {"gelu", UL_GELU},
	        {"gelu_python", UL_GELU},
	        {"gelu_new", UL_GELU_TANH},
	        {"gelu_fast", UL_GELU_TANH},
	        {"gelu_pytorch_tanh", UL_GELU_TANH},
	        {"gelu_python_tanh", UL_GELU_TANH},
	        {"relu", UL_RELU},
	};
	const char *name = ul_json_str(config, key);
	if (!name)
		name = fallback;
	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
		if (!strcmp(acts[i].name, name)) {
			*out = acts[i].act;
			return true;
		}
	return ul_fail(err, "config.json asks for the activation \"%.64s\" (%s); silu, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh and relu are known", name, key);
}

bool ul_config_tokens(const json_t *config, ul_config *c, ul_err *err)
{
	int64_t bos = -1;
	if (!ul_json_int(config, "bos_token_id", -1, UL_MAX_VOCAB, &bos, err))
		return false;
	c->bos = (int)bos;
	c->eos_n = 0;
	const json_t *eos = json_object_get(config, "eos_token_id");
	size_t n = json_is_array(eos) ? json_array_size(eos) : json_is_integer(eos);
	if (n > sizeof c->eos / sizeof *c->eos)
		return ul_fail(err, "config.json lists %zu eos_token_id, at most %zu are read", n, sizeof c->eos / sizeof *c->eos);
	for (size_t i = 0; i < n; i++) {
		const json_t *e = json_is_array(eos) ? json_array_get(eos, i) : eos;
		if (!json_is_integer(e) || json_integer_value(e) > UL_MAX_VOCAB)
			return ul_fail(err, "config.json: eos_token_id is no token id");
		if (json_integer_value(e) >= 0)
			c->eos[c->eos_n++] = (int)json_integer_value(e);
	}
	return true;
}

bool ul_config_refuse(const json_t *config, const char *key, ul_err *err)
{
	const json_t *v = json_object_get(config, key);
	if (!v || json_is_null(v) || json_is_false(v) || (json_is_number(v) && json_number_value(v) == 0))
		return true;
	return ul_fail(err, "config.json sets %s, which is not implemented", key);
}

bool ul_config_check(const ul_config *c, ul_err *err)
{
	if (c->heads % c->kv_heads)
		return ul_fail(err, "config.json: %d attention heads are no multiple of %d key/value heads", c->heads, c->kv_heads);
	if ((int64_t)c->heads * c->head_dim > UL_MAX_WIDTH)
		return ul_fail(err, "config.json: %d heads of %d columns, at most %d columns are read", c->heads, c->head_dim, UL_MAX_WIDTH);
	if (c->rot % 2 || c->rot > c->head_dim)
		return ul_fail(err, "config.json: %d of %d columns per head are rotated, an even number is needed", c->rot, c->head_dim);
	if (!(c->norm_eps >= 0 && c->norm_eps < 1))
		return ul_fail(err, "config.json: a norm epsilon of %g, 0 to 1 is read", c->norm_eps);
	return true;
}

bool ul_config_layer_types(const json_t *config, ul_config *c, ul_arena *a, ul_err *err)
{
	const json_t *types = json_object_get(config, "layer_types");
	if (!json_is_array(types))
		return true;
	if (json_array_size(types) != (size_t)c->layers)
		return ul_fail(err, "config.json lists %zu layer_types for %d layers", json_array_size(types), c->layers);
	unsigned char *local = ul_alloc(a, (size_t)c->layers);
	if (!local)
		return ul_nomem(err, (size_t)c->layers);
	for (int i = 0; i < c->layers; i++) {
		const char *t = json_string_value(json_array_get(types, (size_t)i));
		if (!t || (strcmp(t, "full_attention") && strcmp(t, "sliding_attention")))
			return ul_fail(err, "config.json: layer %d is of type \"%.64s\"; full_attention and sliding_attention are known", i, t ? t : "?");
		local[i] = !strcmp(t, "sliding_attention");
	}
	c->local = local;
	return true;
}

/* ---- GGUF ---- */

bool ul_gguf_copy_int(const ul_gguf *g, const char *key, json_t *config, const char *as, bool must, ul_err *err)
{
	int64_t x = 0;
	if (!ul_gguf_find(g, key) && !must)
		return true;
	/* Per-layer arrays (OpenELM's and others') are of architectures that are not read. */
	return ul_gguf_int(g, key, must, &x, err) && (!json_object_set_new(config, as, json_integer(x)) || ul_nomem(err, 64));
}

bool ul_gguf_copy_real(const ul_gguf *g, const char *key, json_t *config, const char *as, bool must, ul_err *err)
{
	double x = 0;
	if (!ul_gguf_find(g, key) && !must)
		return true;
	return ul_gguf_real(g, key, must, &x, err) && (!json_object_set_new(config, as, json_real(x)) || ul_nomem(err, 64));
}

bool ul_gguf_copy_sizes(const ul_gguf *g, json_t *config, ul_err *err)
{
	return ul_gguf_copy_int(g, "%s.block_count", config, "num_hidden_layers", true, err) &&
	       ul_gguf_copy_int(g, "%s.context_length", config, "max_position_embeddings", true, err) &&
	       ul_gguf_copy_int(g, "%s.embedding_length", config, "hidden_size", true, err) &&
	       ul_gguf_copy_int(g, "%s.feed_forward_length", config, "intermediate_size", true, err) &&
	       ul_gguf_copy_int(g, "%s.attention.head_count", config, "num_attention_heads", true, err);
}

bool ul_gguf_copy_common(const ul_gguf *g, json_t *config, ul_err *err)
{
	const ul_gguf_kv *tokens = ul_gguf_find(g, "tokenizer.ggml.tokens");
	if (!ul_gguf_find(g, "%s.vocab_size") && tokens && tokens->type == UL_GGUF_ARRAY && tokens->n <= UL_MAX_VOCAB)
		json_object_set_new(config, "vocab_size", json_integer((json_int_t)tokens->n));
	return ul_gguf_copy_int(g, "%s.vocab_size", config, "vocab_size", false, err) &&
	       ul_gguf_copy_int(g, "tokenizer.ggml.bos_token_id", config, "bos_token_id", false, err) &&
	       ul_gguf_copy_int(g, "tokenizer.ggml.eos_token_id", config, "eos_token_id", false, err) &&
	       (!json_object_set_new(config, "torch_dtype", json_string("float32")) || ul_nomem(err, 64));
}
