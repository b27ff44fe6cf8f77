/*
 * openings.h: texts to begin with, and what each has brought: where a harvest spends its next draws.
 */
#ifndef UL_OPENINGS_H
#define UL_OPENINGS_H

#include "data/data.h"
#include "data/novelty.h"

typedef struct ul_opening {
	char *text;
	ul_ids ids;
	int draws, fresh; /* draws that began with it, and the new things they brought */
	double prior; /* before the first draw: the larger come first */
	bool head; /* a name may follow */
	bool chat, whole; /* the text is what a user says: the beginning of it, or all */
	int paired; /* names it has met */
} ul_opening;

typedef struct ul_openings {
	const ul_model *m;
	ul_opening *at;
	int n;
	char **name;
	int *rows; /* texts each name was met in */
	int names;
	ul_seen known, met; /* openings; pairs of head and name */
	int64_t tokens; /* that ul_openings_suggest let the model write */
	ul_arena arena;
} ul_openings;

/* A text that is not there yet; ids NULL: it is tokenized here. Too many, or too long for the model: left out. */
bool ul_opening_add(ul_openings *p, const char *text, size_t n, const ul_ids *ids, double prior, bool head, ul_err *err);
/* The same as what a user says in the model's chat template: `whole` goes on with the answer, else with the rest of the question. */
bool ul_opening_chat(ul_openings *p, const char *said, bool whole, double prior, bool head, ul_err *err);
bool ul_opening_name(ul_openings *p, const char *text, size_t n, ul_err *err);
/* starts.c: tokens that begin or end texts and an open user's turn, with this prior; likely first words of a user; and of all first
 * tokens the `most` that the model goes on from most surely, behind what the tokenizer puts in front of a text. */
bool ul_openings_suggest(ul_openings *p, ul_model *m, const ul_ids *front, int most, double prior, ul_err *err);
int ul_opening_new(const ul_openings *p, double least); /* not drawn from yet, of the largest prior from `least` on; -1 = none */
int ul_opening_best(const ul_openings *p); /* that has brought most a draw; -1 = none was drawn from */
int ul_opening_pair(ul_openings *p, int names, ul_ids *ids, ul_err *err); /* the most fruitful head with the next of the first `names` names: its index */
void ul_openings_release(ul_openings *p);

#endif
