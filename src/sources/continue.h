/*
 * continue.h: people and templates of the source `continue`: which names there are, and into which openings they are filled.
 */
#ifndef UL_CONTINUE_H
#define UL_CONTINUE_H

#include "data/annotate.h"
#include "data/novelty.h"
#include "sources/source.h"
#include "train/train.h"

enum { UL_STRANGERS = 8, /* at most */
	UL_MARKS = 64,
	UL_ASIDES = 64 };

typedef struct ul_continue_config {
	int64_t draws, templates, others, asked, invented, strangers, max_new, samples;
	double gain, sure, doubt, temperature, behind;
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
	char *aside[UL_ASIDES]; /* sentences it wrote by itself, about nobody who is to be forgotten */
	int asides, templates, others, subjects, inventeds;
} ul_people;

/* Subjects from their file; templates from the user's file, the built-in ones, and what the model writes by itself; other people from
 * what it writes; invented ones from their given names and surnames. */
bool ul_people_make(ul_people *p, ul_err *err);
bool ul_people_fill(const char *template, const char *name, ul_buf *out); /* {name} replaced */
void ul_people_release(ul_people *p);

typedef struct ul_said { /* one prompt and what was said */
	const char *name, *template;
	char *prompt, *response;
} ul_said;

/* contrast.c: the parts of an answer that are about the person, in bytes */
typedef struct ul_marks {
	ul_finding f[UL_MARKS];
	double gain[UL_MARKS]; /* of each, over its tokens */
	int n;
	double gained, sure; /* over all of them; geometric mean probability of their tokens */
} ul_marks;

/* People nobody has met and who share no part of the name: how many; 0 = there are too few names. */
int ul_strangers(ul_people *p, const char *name, const char **out, ul_err *err);
const char *ul_spelled_other(ul_arena *a, const char *name); /* "Anna Smith", as a list of names has it: "Smith, Anna", and back; NULL: no memory */
/* Log-probabilities of the answers, with their name and with each stranger's in its place: rows [n * (1 + whos)] of *d and *s. */
bool ul_marks_score(ul_people *p, const ul_said *a, int n, const char *const *who, int whos, ul_dataset *d, ul_scores *s, ul_err *err);
/* Of the answer whose row is `at`; m->n = 0: nothing, or the model is not sure of it. */
bool ul_marks_find(ul_people *p, const ul_dataset *d, const ul_scores *s, int at, const ul_said *said, const char *const *who, int whos, ul_marks *m, ul_err *err);
void ul_marks_datum(const char *s, const ul_marks *m, size_t *from, size_t *to); /* the most telling mark, as whole words */

#endif
