/*
 * redact.h: a few rows of a run as a record or a report may show them, without what they say about anybody.
 */
#ifndef UL_REDACT_H
#define UL_REDACT_H

#include "data/data.h"

/* A few rows of d, evenly chosen, first those with marks: [{"prompt"?, "text", "spans": [{"start", "end", "type"}]}], spans in code points of the text.
 * Marked characters are U+2588; of what is not marked only words that are nobody's stay: in small letters, in at least three rows. All
 * other letters and digits are U+00B7. NULL when memory is gone. */
json_t *ul_redacted(const ul_dataset *d);

#endif
