/*
 * invent.h: values and people that do not exist, made out of texts about people who may. A row with spans of personal data is written
 * anew: other values of the same kinds in the place of its values, in even copies another name in the place of its name, and
 * everything else as it was.
 */
#ifndef UL_INVENT_H
#define UL_INVENT_H

#include "data/data.h"

typedef struct ul_inventor ul_inventor;

/* Learns names and the shapes of values from the rows of d, which must outlive it. NULL: out of memory. */
ul_inventor *ul_inventor_new(const ul_dataset *d, ul_err *err);
/* Row `row` of d, written anew; *out is a record as a source makes it (the caller's), or NULL when the row has no span, or when
 * nothing new can be made of its values. The same (seed, row, copy) gives the same row. */
bool ul_invent(const ul_inventor *v, int row, int copy, uint64_t seed, json_t **out, ul_err *err);
/* Row `row` of d about somebody who is not there: a first name and a last name of people of `names`, which may be v, in the place of its own, all else as
 * it was. All rows about one person get the same stranger, so that what is said of both can agree. *out NULL: the row names nobody, or too few people
 * are named to put such a name together. */
bool ul_rename(const ul_inventor *v, const ul_inventor *names, int row, uint64_t seed, json_t **out, ul_err *err);
/* Whether ul_invent made this row. */
bool ul_row_invented(const ul_row *row);
void ul_inventor_free(ul_inventor *v);

#endif
