/*
 * annotate.h: from the findings of the recognisers to spans of a row; and people's names, learnt from the texts in which they stand
 * beside personal data.
 */
#ifndef UL_ANNOTATE_H
#define UL_ANNOTATE_H

#include "base/json.h"
#include "text/recognise.h"

/* [{"start","end","type"}] in code points, end exclusive. */
json_t *ul_spans_json(const char *text, const ul_finding *f, int n);
json_t *ul_types_json(const ul_finding *f, int n); /* {"EMAIL": 2, …} */
double ul_findings_share(size_t bytes, const ul_finding *f, int n); /* of the text's bytes that are covered */
bool ul_types_parse(const char *list, unsigned *types, ul_err *err); /* "EMAIL,PHONE" -> bits; NULL = all (0) */
bool ul_gazetteer_file(ul_gazetteer *g, const char *path, ul_err *err); /* names, one a line */

/* Places of two or three capitalised words that no finding covers, as `Anna Smith` in "Notes about Anna Smith, who …". A guess:
 * whoever uses it must bear with places and firms among them. */
int ul_guess_names(const char *text, size_t n, const ul_finding *f, int findings, ul_finding *out, int max);

#endif
