/*
 * annotator.h: personal data marked by another program (Presidio, spaCy, a language model), a text a line:
 *
 *     it reads    {"text": "Call Ada Quill at 555-0101."}
 *     it answers  {"spans": [{"start": 5, "end": 14, "type": "PERSON"}, …]}      code points, end exclusive
 *
 * Its findings are added to those of the built-in recognisers; where two overlap the longer one stays.
 *
 * The command "self" is no command: the model itself marks them, shown a few public examples (data/shots.h).
 */
#ifndef UL_ANNOTATOR_H
#define UL_ANNOTATOR_H

#include "model/model.h"
#include "text/recognise.h"

typedef struct ul_annotator ul_annotator;

ul_annotator *ul_annotator_start(const char *command, double seconds, ul_err *err); /* and asks it once, so that a wrong command shows at once */
/* The model that "self" is, before the first text; nothing for commands, or for NULL. */
bool ul_annotator_attach(ul_annotator *a, ul_model *m, ul_err *err);
void ul_annotator_free(ul_annotator *a);
/* As ul_recognise, with what the annotator (may be NULL) adds; types: a bit mask for both, 0 = all. How many, at most max; -1 with err. */
int ul_annotate(ul_annotator *a, const char *text, size_t n, unsigned types, const ul_gazetteer *g, ul_finding *out, int max, ul_err *err);

#endif
