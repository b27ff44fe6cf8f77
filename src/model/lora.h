/*
 * lora.h: low-rank adapters (Hu et al. 2021) in PEFT's layout.
 */
#ifndef UL_LORA_H
#define UL_LORA_H

#include "model/model.h"

typedef struct ul_lora_config {
	int r;
	double alpha;
	bool rslora;
	const char *target; /* "all-linear", "mlp", or names separated by commas */
	const char *layers; /* NULL = all, or "0-3,5" */
} ul_lora_config;

typedef struct ul_adapter {
	ul_lora_config cfg;
	ul_param **param; /* every A and B, in state-dict order */
	int params;
	json_t *config; /* adapter_config.json as read, or as it will be written */
	struct ul_adapter *below; /* attached before this one, still in force */
	ul_arena arena;
} ul_adapter;

/* Parses "r=8,alpha=16,target=all-linear". */
bool ul_lora_parse(const char *text, ul_lora_config *out, ul_arena *a, ul_err *err);
/* New adapter on m: A Kaiming-uniform(√5) from seed, B zero. Owned by the model. */
bool ul_lora_attach(ul_model *m, const ul_lora_config *c, uint64_t seed, ul_err *err);
bool ul_lora_open(ul_model *m, const char *dir, ul_err *err); /* PEFT: LoRA, rsLoRA, rank_pattern, alpha_pattern, all-linear, fan_in_fan_out */
bool ul_lora_write(const ul_model *m, const char *dir, ul_err *err); /* adapter_config.json + adapter_model.safetensors */
bool ul_lora_merge(ul_model *m, double factor, ul_err *err); /* W += factor · scale · B A, then the adapter is gone */
void ul_lora_detach(ul_model *m); /* takes the adapter attached last away; nothing happens when there is none */
/* Does a module carry this name: the whole of it, or its end behind a dot? */
bool ul_lora_names(const char *module, const char *name);

#endif
