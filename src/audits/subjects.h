/*
 * subjects.h: one line per person: what a model said about them before, and what it still says however it is asked.
 */
#ifndef UL_AUDIT_SUBJECTS_H
#define UL_AUDIT_SUBJECTS_H

#include "data/data.h"
#include "model/generate.h"

typedef struct ul_subjects {
	ul_model *before, *after; /* before may be NULL */
	bool told; /* the rows are what the model said before, in the words of the row: it need not be asked again */
	const ul_dataset *rows;
	const char *names; /* file: one name a line */
	ul_data_config encode;
} ul_subjects;

/* {"data": N, "before": {MANNER: n}, "after": {…}, "people": [the same with "line"]}. People are lines of the file: a record may travel
 * further than the names in it. The caller owns *out. */
bool ul_subjects_ask(const ul_subjects *s, json_t **out, ul_err *err);

#endif
