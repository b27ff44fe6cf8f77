/*
 * lora_file.h: what making an adapter and reading one from PEFT's files share.
 */
#ifndef UL_LORA_FILE_H
#define UL_LORA_FILE_H

#include "model/lora.h"

ul_adapter *ul_lora_begin(ul_model *m, ul_err *err); /* an empty adapter on top of m, owned by m */
bool ul_lora_hang(ul_adapter *ad, ul_param *w, const char *module, int rank, double scale, ul_err *err); /* A and B zero */
bool ul_lora_module(const ul_model *m, const ul_param *w, char out[192]);
bool ul_lora_layer_listed(const char *layers, int layer);
bool ul_lora_add_to(ul_param *w, const ul_lora *l, double factor, ul_err *err); /* W += factor · scale · B A */
json_t *ul_lora_describe(const ul_model *m, const ul_lora_config *c); /* an adapter_config.json */
/* What PEFT's configuration asks for and this program does not do, refused by name. */
bool ul_lora_check(const json_t *config, ul_err *err);

/* lora_match.c: rank_pattern or alpha_pattern of a module; *out stays where none of its keys matches. */
bool ul_lora_pattern(const json_t *config, const char *which, const char *module, double *out, ul_err *err);
/* Do target_modules, exclude_modules, layers_to_transform and layers_pattern select the module? */
bool ul_lora_selects(const ul_model *m, const json_t *config, const char *module, bool *yes, ul_err *err);

#endif
