/*
 * source.h: where forget data come from. A source is one file in this folder; it knows nothing of methods.
 */
#ifndef UL_SOURCE_H
#define UL_SOURCE_H

#include "base/option.h"
#include "data/annotator.h"
#include "data/data.h"
#include "model/generate.h"

typedef struct ul_source_job {
	ul_model *model;
	const void *config; /* of the source */
	uint64_t seed;
	const char *subjects; /* file of names the source is limited to, or NULL */
	ul_annotator *annotator; /* marks personal data beside the recognisers (ul_annotate), or NULL */
	const ul_progress *progress;
	ul_dataset *out; /* rows are added with ul_dataset_add; each record carries "source": {provenance} */
	ul_dataset *keep; /* for --retain self: what the source knows should stay; NULL = nobody asks */
	json_t *summary; /* an object for run.json: counts, what was dropped and why */
} ul_source_job;

typedef struct ul_source {
	const char *name, *title, *paper, *notes;
	size_t config;
	const ul_opt *opts;
	bool (*prepare)(void *config, ul_err *err); /* optional: starts commands, before the process may confine itself and the model is opened */
	void (*end)(void *config); /* optional: ends them */
	bool (*make)(ul_source_job *j, ul_err *err);
} ul_source;
extern const ul_source *const ul_sources[]; /* generated registry, NULL-terminated */
const ul_source *ul_source_find(const char *name, ul_err *err);
/* Makes the rows; none at all is a failure, in the words of the source where its summary has some under "nothing". */
bool ul_source_make(const ul_source *s, ul_source_job *j, ul_err *err);

#endif
