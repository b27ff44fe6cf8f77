/*
 * config.h: what the architectures share when they read config.json.
 */
#ifndef UL_CONFIG_H
#define UL_CONFIG_H

#include "model/model.h"

enum { UL_MAX_LAYERS = 1024,
	UL_MAX_WIDTH = 1 << 20,
	UL_MAX_VOCAB = 1 << 22 };

/* A positive size: `fallback` > 0 when the key may be absent. */
bool ul_config_size(const json_t *config, const char *key, int64_t max, int fallback, int *out, ul_err *err);
/* hidden_act and its like: silu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, relu, … */
bool ul_config_act(const json_t *config, const char *key, const char *fallback, enum ul_act *out, ul_err *err);
/* bos_token_id, eos_token_id (one or a list). */
bool ul_config_tokens(const json_t *config, ul_config *c, ul_err *err);
/* heads, kv_heads, head_dim fit each other; every count is set. */
bool ul_config_check(const ul_config *c, ul_err *err);
/* A key that must be absent, null, false, zero or `allowed`: what it switches on is not implemented. */
bool ul_config_refuse(const json_t *config, const char *key, ul_err *err);

/* What config.json says about rotary embeddings, in whichever spelling. */
typedef struct ul_rope_config {
	const json_t *params; /* rope_parameters, rope_scaling, or one layer type's part of them; NULL = plain */
	double theta;
	int rot; /* rotated columns */
	int context;
} ul_rope_config;
/* inv_freq [rot / 2] with default, linear, llama3, yarn, longrope and dynamic (inside the context: default) scaling. */
bool ul_rope_freqs(const ul_rope_config *r, double **inv_freq, double *scale, ul_arena *a, ul_err *err);
/* Finds theta and scaling in rope_parameters, else rope_theta / rope_scaling; for NeoX rotary_emb_base. */
bool ul_config_rope(const json_t *config, const char *theta_key, double theta, ul_config *c, ul_arena *a, ul_err *err);
/* layer_types -> local [layers]; NULL when every layer sees everything. */
bool ul_config_layer_types(const json_t *config, ul_config *c, ul_arena *a, ul_err *err);

/* The same for GGUF: a JSON object is filled key by key. Each returns false with the error set. */
bool ul_gguf_copy_int(const ul_gguf *g, const char *key, json_t *config, const char *as, bool must, ul_err *err);
bool ul_gguf_copy_real(const ul_gguf *g, const char *key, json_t *config, const char *as, bool must, ul_err *err);
/* Layers, context, widths and heads, under the names that most families have for them. */
bool ul_gguf_copy_sizes(const ul_gguf *g, json_t *config, ul_err *err);
/* vocab_size, tie_word_embeddings, bos/eos, torch_dtype: what every family has. */
bool ul_gguf_copy_common(const ul_gguf *g, json_t *config, ul_err *err);

#endif
