/*
 * harvest.h: what the source `sample` knows while it draws: the openings, the rows kept, and what was dropped and why.
 */
#ifndef UL_HARVEST_H
#define UL_HARVEST_H

#include "data/annotate.h"
#include "data/openings.h"
#include "sources/source.h"

enum { UL_RANK_NEW,
	UL_RANK_LOGP,
	UL_RANK_ZLIB };
enum { UL_ROW_FINDINGS = 256 }; /* personal data of one row at most */

typedef struct ul_sample_config {
	int64_t n, tries, max_new, round, openings, top_k, min_pii, patience, temperature_steps;
	double temperature, temperature_from, top_p, doubt, sure, max_share, similar;
	const char *prompts, *names, *types;
	int rank;
	bool learn_names, mask_names;
} ul_sample_config;

typedef struct ul_harvest_row {
	json_t *record;
	ul_sketch sketch;
	bool other; /* about nobody who is to be forgotten: it is kept */
	int fresh;
	double worth;
} ul_harvest_row;

typedef struct ul_harvest {
	ul_source_job *j;
	const ul_sample_config *c;
	ul_gazetteer *names, *subjects;
	int subject_n; /* the first names of the pool are the subjects */
	bool keeps; /* what is said of other people is asked for too: rows to keep (--retain self) */
	unsigned types;
	ul_ids front; /* what the tokenizer puts in front of every text, or nothing */
	ul_openings pool;
	ul_harvest_row *row;
	int rows, cap;
	ul_seen texts, data; /* digests of rows, and of personal data the model was sure of */
	int64_t drawn, tokens, rounds;
	int64_t none, repeated, alike, covered, elsewhere, shared; /* texts that were dropped, and why */
	bool chats; /* the model has a chat template that is known */
	int idle; /* rounds that brought nothing new */
} ul_harvest;

typedef struct ul_draw {
	int opening; /* of a pair: its head */
	bool own; /* the prompt is its own, and the text recited: a pair, or a question that the model has asked itself */
	ul_ids ids; /* that prompt; empty: there is none after all */
	char *said; /* the question */
} ul_draw;

const ul_ids *ul_draw_prompt(const ul_harvest *h, const ul_draw *d);
/* One drawn text: its personal data are recognised, new openings learnt from it, and it becomes a row if it is worth one. The data it
 * brought that were not known yet are added to *fresh. */
bool ul_harvest_take(ul_harvest *h, const ul_draw *d, const ul_gen *g, int *fresh, ul_err *err);
bool ul_harvest_finish(ul_harvest *h, ul_err *err); /* the best rows go to the job's dataset, the counts to its summary */
void ul_harvest_release(ul_harvest *h);

#endif
