/*
 * strangers.c: alternatives for methods that compare a person with somebody else: the same row with a name that nobody has.
 */
#include "data/invent.h"
#include "train/train.h"

/* An alternative without a label: its forget row is left out. */
static bool nobody(ul_dataset *alt, ul_err *err)
{
	json_t *record = json_pack("{s:[i], s:[i]}", "ids", 0, "labels", -100);
	bool ok = record ? ul_dataset_mix(alt, record, err) : ul_nomem(err, 64);
	json_decref(record);
	return ok;
}

/* Names for strangers come from the rows to keep, if enough people are named there. */
static bool strangers(ul_run *r, const ul_inventor *people, const ul_inventor *others, ul_err *err)
{
	const ul_dataset *forget = r->data[UL_FORGET];
	uint64_t seed = (uint64_t)r->train.seed;
	bool ok = true;
	int named = 0;
	for (int i = 0; ok && i < forget->n; i++) {
		json_t *record = NULL;
		ok = (!others || ul_rename(people, others, i, seed, &record, err)) && (record || ul_rename(people, people, i, seed, &record, err));
		ok = ok && (record ? ul_dataset_mix(r->data[UL_ALT], record, err) : nobody(r->data[UL_ALT], err));
		named += record != NULL;
		json_decref(record);
	}
	if (ok && !named) {
		ul_fail(err, "%s needs to know whom each row is about, and more people to make strangers of: of %d forget rows none says it", r->method->name, forget->n);
		ul_hint(err, "rows say it as \"subject\": \"Anna Smith\"; --recipe by-name makes such rows");
		return false;
	}
	return ok;
}

bool ul_strangers_make(ul_run *r, ul_err *err)
{
	ul_dataset *alt = ul_alloc(&r->arena, sizeof *alt);
	if (!alt) {
		return ul_nomem(err, sizeof *alt);
	}
	r->data[UL_ALT] = alt;
	r->own_alt = true;
	ul_inventor *people = ul_inventor_new(r->data[UL_FORGET], err), *others = people && r->data[UL_RETAIN] ? ul_inventor_new(r->data[UL_RETAIN], err) : NULL;
	bool ok = people && (others || !r->data[UL_RETAIN]) && strangers(r, people, others, err);
	ul_inventor_free(others);
	ul_inventor_free(people);
	return ok;
}
