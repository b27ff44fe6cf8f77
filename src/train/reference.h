/*
 * reference.h: what the words of losses.c and reference.c share.
 */
#ifndef UL_REFERENCE_H
#define UL_REFERENCE_H

#include "tensor/backend.h"
#include "train/train.h"

enum { UL_FINAL_ROWS = -1 }; /* in place of a block: after the last norm, only the rows that predict a label */

ul_model *ul_ref_model(const ul_run *r);
/* Backend elements [labels or rows of b, hidden] in r->step_arena: from the cache, or by a pass over that row alone, so that the
 * numbers do not depend on which rows share a batch. NULL when memory ran out. */
const void *ul_ref_hidden(ul_run *r, const ul_batch *b, int layer);
ul_val *ul_lost(ul_tape *t); /* out of memory: marks the tape, returns a value that holds nothing */
/* [labels, hidden]: the rows of the final hidden states that predict something. */
ul_val *ul_label_rows(ul_tape *t, ul_model *m, const ul_batch *b);
ul_val *ul_trained_rows(ul_run *r, const ul_batch *b); /* the same of the trained model, from its lowest trained block on (lower.c) */
ul_val *ul_pass_to(ul_tape *t, ul_model *m, const ul_batch *b, int layer); /* [rows, hidden] behind block `layer` */
void ul_copy_out(const ul_val *h, void *out); /* backend elements */
enum ul_stream ul_stream_of(const ul_run *r, const ul_batch *b);

#endif
