/*
 * model.h: a checkpoint in memory, its architecture, and one forward pass through it.
 */
#ifndef UL_MODEL_H
#define UL_MODEL_H

#include "base/json.h"
#include "tensor/tensor.h"
#include "text/text.h"

typedef struct ul_arch ul_arch;
struct ul_files;

/* Hyper-parameters under the names of Hugging Face's config.json, filled by the architecture's `read_config`. */
typedef struct ul_config {
	int layers, hidden, heads, kv_heads, head_dim, ffn, vocab, context;
	double norm_eps;
	enum ul_act act;
	bool tied; /* head is the embedding */
	bool parallel; /* NeoX: attention and MLP read the same input */
	bool qkv_bias, o_bias, mlp_bias, qk_norm;
	int rot; /* rotated columns per head */
	double rope_theta, rope_theta_local;
	double *inv_freq, *inv_freq_local; /* [rot / 2], scaling (linear, llama3, …) already applied */
	double rope_scale;
	int window; /* sliding window, 0 = none */
	const unsigned char *local; /* [layers] 1 = this layer uses the window and the local rope (Gemma 3, Qwen) */
	double attn_scale; /* on q·k */
	double embed_scale;
	int bos, eos[8], eos_n;
} ul_config;

/* Every slot an architecture may use; NULL where it has none. Vectors are biases or norm weights. */
typedef struct ul_layer {
	ul_param *norm1, *norm1_b, *norm2, *norm2_b; /* before attention, before MLP */
	ul_param *post1, *post2; /* after attention, after MLP (Gemma 3) */
	ul_param *q, *q_b, *k, *k_b, *v, *v_b, *o, *o_b;
	ul_param *qkv, *qkv_b; /* fused (NeoX per head, GPT-2 side by side) */
	ul_param *q_norm, *k_norm;
	ul_param *gate, *gate_b, *up, *up_b, *down, *down_b;
} ul_layer;

struct ul_model {
	ul_arena arena;
	const ul_arch *arch;
	const ul_backend *be;
	ul_config cfg;
	json_t *config; /* config.json as read, or made from a GGUF's keys: kept for saving */
	ul_tok *tok; /* or NULL: rows of ids only */
	ul_param *embed, *pos_embed, *norm, *norm_b, *head, *head_b; /* head == embed when tied */
	ul_layer *layer; /* [layers] */
	ul_param **param; /* all of the above once each, in the order of the state dict */
	int params;
	struct ul_adapter *adapter; /* the PEFT adapter attached last, or NULL: model/lora.h */
	char *path; /* as opened */
	char sha256[65]; /* over the weight files' bytes, in name order; filled on demand by ul_model_hash */
	struct ul_files *files; /* mapped checkpoint, or NULL */
	bool shared; /* tokenizer and mapped weights belong to another model */
};

/* ---- sites: the same names in every architecture ---- */

enum ul_site {
	UL_SITE_EMBED, /* [rows, hidden] after the embedding; layer 0 */
	UL_SITE_BLOCK, /* output of block `layer` (residual stream) */
	UL_SITE_ATTN_OUT, /* what attention adds to the residual stream */
	UL_SITE_MLP_OUT, /* what the MLP adds */
	UL_SITE_DOWN_IN, /* input of the MLP's last matrix [rows, ffn] */
	UL_SITE_FINAL, /* after the last norm, before the head */
};
/* Return h to observe, another value to intervene, NULL to stop the pass there (ul_forward then returns the tapped value). */
typedef ul_val *(*ul_tap_fn)(void *ud, enum ul_site site, int layer, ul_val *h);

typedef struct ul_cache { /* one ul_kv per layer */
	ul_kv *layer;
	int layers;
	const ul_backend *be;
} ul_cache;
bool ul_cache_init(ul_cache *c, const ul_model *m, int slots, int capacity, ul_err *err);
void ul_cache_release(ul_cache *c);
void ul_cache_copy_slot(ul_cache *c, int from, int to); /* beams, shared prefixes */

typedef struct ul_pass {
	ul_tape *tape;
	const int *ids; /* [span.start[span.n]] */
	const int *pos; /* position of each row inside its sequence */
	ul_span span;
	int first; /* block the pass begins with: `soft` is then what stands in front of it */
	ul_val *soft; /* NULL, or rows that replace the embedding lookup (soft prompts): [rows, hidden], already scaled */
	ul_cache *cache; /* decoding, or NULL */
	const int *slot; /* [span.n] with cache */
	ul_tap_fn tap;
	void *ud;
	unsigned tap_sites; /* bit 1 << site: which ones call tap; block recompute is switched off for tapped layers */
	bool stopped; /* set when a tap ended the pass */
} ul_pass;

/* [rows, hidden] after the final norm. The head is applied by the caller: ul_head_logp(h, m->head, m->head_b, …). */
ul_val *ul_forward(ul_model *m, ul_pass *p);

/* For architectures: called at each site; true = go on with *h. */
bool ul_tap(ul_pass *p, enum ul_site site, int layer, ul_val **h);
typedef ul_val *(*ul_block_fn)(ul_model *m, ul_pass *p, int layer, ul_val *h);
/* Runs the blocks in order, each under ul_recompute where the tape asks for it. When a tap stops the pass, p->stopped is set and
 * the tapped value is returned. */
ul_val *ul_blocks(ul_model *m, ul_pass *p, ul_val *h, ul_block_fn block);
/* A whole pass from the embedded rows h to behind the last norm: what stands around the blocks of every architecture. */
ul_val *ul_pass_blocks(ul_model *m, ul_pass *p, ul_val *h, ul_block_fn block, ul_val *(*last_norm)(ul_model *m, ul_val *h));
ul_val *ul_pass_embed(ul_model *m, ul_pass *p); /* [rows, hidden]: token lookup times embed_scale, or the soft rows */
/* Input rows of which some are soft: row i is row from[i] of `soft` [n, hidden] where from[i] >= 0, else the embedding of ids[i] (0
 * will do elsewhere). What a pass with a soft prompt takes as its `soft`. */
ul_val *ul_soft_rows(ul_model *m, ul_val *soft, const int *ids, const int *from, int rows);
ul_val *ul_pass_rotate(ul_model *m, ul_pass *p, int layer, ul_val *x); /* rotary embedding of a layer's queries or keys */
ul_val *ul_pass_attend(ul_model *m, ul_pass *p, int layer, ul_val *q, ul_val *k, ul_val *v); /* [rows, heads · head_dim] */

/* ---- an architecture: one file under model/arch/, forward only ---- */

typedef struct ul_slot { /* where a tensor lives and what it is called */
	size_t offset; /* into ul_layer, or into ul_model when !per_layer */
	bool per_layer;
	const char *hf, *gguf; /* "model.layers.%d.mlp.up_proj.weight", "blk.%d.ffn_up.weight" */
	const char *rows, *cols; /* dimension words: "hidden", "q" (heads·head_dim), "kv", "ffn", "vocab", "3*hidden", "1" … */
	unsigned flags;
	size_t when; /* offset into ul_config of a bool that must be set, 0 = always there */
} ul_slot;
enum {
	UL_SLOT_TRANSPOSED = 1, /* the Hugging Face file stores [in, out] */
	UL_SLOT_VECTOR = 2, /* one dimension in the file */
	UL_SLOT_PLUS_ONE_GGUF = 4, /* GGUF stores 1 + w */
	UL_SLOT_Q = 8, /* GGUF architecture "llama" interleaves the halves of each head's rows */
	UL_SLOT_K = 16,
	UL_SLOT_QKV_HEADS = 32, /* Hugging Face: q, k, v of each head in turn; GGUF: all q, all k, all v */
	UL_SLOT_QKV = 64, /* a GGUF may store three tensors in its place: attn_q, attn_k, attn_v */
	UL_SLOT_NORM = 128, /* begins as the identity: ones, or zeros where 1 is added */
	UL_SLOT_HEAD = 256, /* absent when the head is tied to the embedding */
};

#define UL_LAYER_SLOT(field, hf, gguf, rows, cols, flags, when)                              \
	{                                                                                    \
		offsetof(ul_layer, field), true, hf, "blk.%d." gguf, rows, cols, flags, when \
	}
#define UL_MODEL_SLOT(field, hf, gguf, rows, cols, flags)                        \
	{                                                                        \
		offsetof(ul_model, field), false, hf, gguf, rows, cols, flags, 0 \
	}

typedef struct ul_gguf ul_gguf;
struct ul_gguf_out; /* model/gguf.h */
struct ul_arch {
	const char *name; /* file and user name: "llama" */
	const char *prefix; /* of tensor names, which a bare model is saved without: "model." */
	const char *const *model_types; /* config.json's model_type values, NULL-terminated: "llama", "mistral", "qwen2", "qwen3" */
	const char *const *ggufs; /* general.architecture values */
	bool (*read_config)(const json_t *config, ul_config *c, ul_arena *a, ul_err *err);
	json_t *(*gguf_config)(const struct ul_files *f, ul_err *err); /* a config.json that says the same */
	bool (*gguf_keys)(const ul_model *m, struct ul_gguf_out *o, ul_err *err); /* and back: the keys under "<arch>." */
	const ul_slot *slots; /* ends with {0} (hf == NULL) */
	ul_val *(*forward)(ul_model *m, ul_pass *p);
	const char *const *linears; /* PEFT module names of the linear layers: "q_proj", … NULL-terminated */
	const char *const *mlp; /* the MLP's among them */
};
extern const ul_arch *const ul_archs[]; /* generated registry, NULL-terminated */

/* ---- opening and saving ---- */

typedef struct ul_open {
	const char *backend; /* NULL = "cpu" */
	bool no_weights; /* config and tokenizer only */
	bool no_tokenizer;
} ul_open;
ul_model *ul_model_open_with(const char *path, const ul_open *o, ul_err *err);
ul_model *ul_model_random(const json_t *config, uint64_t seed, const char *backend, ul_err *err); /* from scratch: N(0, 0.02), norms 1 */
/* Frozen copy of the weights as they are now (a reference), adapters merged into it; mapped weights and the tokenizer are shared,
 * so that m must live longer. */
ul_model *ul_model_clone(const ul_model *m, ul_err *err);
bool ul_model_hash(ul_model *m, ul_err *err);
/* Mapped weights leave this process's memory until they are read again: for those who go through a model once, parameter by parameter. */
void ul_model_rest(const ul_model *m);
const char *ul_model_resolve(const char *path, ul_arena *a, ul_err *err); /* run folder, org/name in the local cache -> directory or .gguf */
char *ul_model_adapter_of(const char *path, ul_arena *a); /* a run folder that holds only an adapter: its path, else NULL */
/* Calls visit for every file that opening `path` may read, and for the folders they lie in; what is not there is left to the opening. */
typedef bool (*ul_path_fn)(void *ud, const char *path, bool folder);
bool ul_model_paths(const char *path, ul_path_fn visit, void *ud, ul_err *err);
const char *ul_model_base_of(const char *run, ul_arena *a, ul_err *err); /* the model such a folder's run.json says it stands on */
json_t *ul_model_preset(const char *name, int vocab, ul_err *err); /* "neox-tiny", "llama-tiny", "pythia-70m", … as a config.json */
ul_param *ul_model_param(const ul_model *m, const char *name); /* by Hugging Face name, NULL = none */
size_t ul_model_count(const ul_model *m); /* parameters, a tied head once */

enum { UL_SAVE_F32,
	UL_SAVE_F16,
	UL_SAVE_BF16 };
bool ul_model_write(ul_model *m, const char *dir, int dtype, ul_err *err); /* into an existing (staged) directory */
/* The same with other weights, made one parameter at a time: fill puts what parameter i should be into room [rows, cols]. */
typedef bool (*ul_param_fill)(void *ud, int i, float *room, ul_err *err);
bool ul_model_write_as(const ul_model *m, const char *dir, int dtype, ul_param_fill fill, void *ud, ul_err *err);
/* Several models side by side, to dir[n]: fill makes parameter i of model k, and is asked for all models before the next parameter. */
typedef bool (*ul_params_fill)(void *ud, int k, int i, float *room, ul_err *err);
bool ul_model_write_many(const ul_model *m, const char *const *dir, int n, int dtype, ul_params_fill fill, void *ud, ul_err *err);

#endif
