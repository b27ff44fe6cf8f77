/*
 * scorer.h: how much a text is what somebody looks for, from 0 to 1. A scorer is one file in this folder; it knows nothing of sources
 * or methods. It is asked for as NAME or NAME:ARGUMENT.
 */
#ifndef UL_SCORER_H
#define UL_SCORER_H

#include "base/option.h"
#include "model/generate.h"

typedef struct ul_scorer ul_scorer;
typedef struct ul_scoring { /* a scorer at work */
	const ul_scorer *def;
	ul_model *model; /* that wrote the texts; of one opened early, set before the first text */
	char *arg; /* what stands behind the colon, or NULL */
	uint64_t seed;
	double seconds; /* that another program may take for one text */
	void *state; /* the scorer's own */
	ul_arena arena;
} ul_scoring;

struct ul_scorer {
	const char *name, *title, *paper, *notes;
	const char *arg; /* what the argument is: "PATTERN"; NULL = it takes none */
	bool early; /* needs no model to open: may be opened before a process confines itself and opens one */
	bool (*open)(ul_scoring *s, ul_err *err); /* optional; on failure `close` is called all the same */
	bool (*score)(ul_scoring *s, const char *const *text, int n, double *out, ul_err *err); /* out [n] */
	void (*close)(ul_scoring *s); /* optional */
};
extern const ul_scorer *const ul_scorers[]; /* generated registry, NULL-terminated */

/* "entities:EMAIL". On failure nothing is left open. */
bool ul_scoring_early(const char *spec); /* does the scorer that is named need no model? */
bool ul_scoring_open(ul_scoring *s, const char *spec, ul_model *m, uint64_t seed, double seconds, ul_err *err);
bool ul_scoring_run(ul_scoring *s, const char *const *text, int n, double *out, ul_err *err);
void ul_scoring_close(ul_scoring *s); /* harmless on a zeroed one */

#endif
