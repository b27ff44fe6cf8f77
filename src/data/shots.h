/*
 * shots.h: the few-shot annotator: the model itself is shown public texts with their personal data behind them, then a new one.
 */
#ifndef UL_SHOTS_H
#define UL_SHOTS_H

#include "model/model.h"
#include "text/recognise.h"

/* Personal data of the text, as the model names them. How many, at most max; -1 with err. A text that leaves no room in the context for
 * a single example has none. */
int ul_shots_mark(ul_model *m, const char *text, size_t n, ul_finding *out, int max, ul_err *err);
/* What an answer such as "NAME: Ada Quill; PHONE: 555-0101" marks in the text: each place where the value stands as words of its own. What
 * has no known type, or does not stand in the text, is dropped. Places may overlap. */
int ul_shots_parse(const char *answer, const char *text, size_t n, ul_finding *out, int max);

#endif
