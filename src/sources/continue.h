/*
 * continue.h: people and templates of the source `continue`: which names there are, and into which openings they are filled.
 */
#ifndef UL_CONTINUE_H
#define UL_CONTINUE_H

#include "data/annotate.h"
#include "data/novelty.h"
#include "sources/source.h"

typedef struct ul_continue_config {
	int64_t draws, templates, others, invented, strangers, max_new, samples;
	double gain, sure, doubt, temperature;
	const char *openings;
} ul_continue_config;

typedef struct ul_told { /* a template with one {name}, or a name, and how often it was met */
	char *text;
	int met;
} ul_told;

typedef struct ul_people {
	ul_source_job *j;
	const ul_continue_config *c;
	ul_arena arena;
	ul_told *template, *other;
	char **subject, **invented;
	int templates, others, subjects, inventeds;
} ul_people;

/* Subjects from their file; templates from the user's file, the built-in ones, and what the model writes by itself; other people from
 * what it writes; invented ones from their given names and surnames. */
bool ul_people_make(ul_people *p, ul_err *err);
bool ul_people_fill(const char *template, const char *name, ul_buf *out); /* {name} replaced */
void ul_people_release(ul_people *p);

#endif
