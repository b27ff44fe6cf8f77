/*
 * slots.h: walking the table of tensors that an architecture declares, in the order of the state dict.
 */
#ifndef UL_SLOTS_H
#define UL_SLOTS_H

#include "model/files.h"

typedef struct ul_place { /* one tensor of one model */
	const ul_slot *slot;
	int layer; /* 0 for those outside the blocks */
	ul_param **at; /* the member of ul_model or ul_layer that it fills; NULL in a model opened without weights */
	char name[192]; /* Hugging Face name */
	int rows, cols; /* in memory: [out, in] */
} ul_place;

typedef bool (*ul_place_fn)(ul_model *m, const ul_place *p, void *ud, ul_err *err);
/* Calls visit for every tensor that m's configuration calls for; a tied head is left out. */
bool ul_slots_walk(ul_model *m, ul_place_fn visit, void *ud, ul_err *err);
/* Allocates m->layer, fills every slot through `make` (which sets *p->at), ties the head, lists m->param. */
bool ul_slots_fill(ul_model *m, ul_place_fn make, void *ud, ul_err *err);
void ul_slot_name(char *out, size_t n, const char *pattern, int layer); /* the one "%d" replaced */

/* Row of the file that holds memory row r, for the permutations GGUF applies. `gguf`: general.architecture, NULL = not a GGUF. */
int ul_slot_row(const ul_config *c, const ul_slot *s, const char *gguf, int r);
bool ul_slot_moves(const ul_slot *s, const char *gguf); /* false: ul_slot_row is the identity */

/* Fills m from its files: shapes checked, mapped in place where possible, else dequantised; NaN and infinities refused. */
bool ul_weights_read(ul_model *m, ul_err *err);

#endif
