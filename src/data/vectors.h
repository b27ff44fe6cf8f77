/*
 * vectors.h: texts as the model sees them: one vector each.
 */
#ifndef UL_VECTORS_H
#define UL_VECTORS_H

#include "model/model.h"

/* out [n, hidden]: the mean over a text's tokens of the hidden states after the last norm. Texts longer than the context are cut. */
bool ul_text_vectors(ul_model *m, const char *const *text, int n, double *out, ul_err *err);

#endif
