/*
 * self.c: --retain self: rows that the model writes itself before the run, to be held while it forgets. What the recognisers take
 * for personal data is left out, so that a run does not hold what it is to forget.
 *
 * Beside them stand --invent copies of each forget row with values that do not exist (data/invent.c): a model that only hears that
 * personal data are wrong unlearns how to write any, and that is both a loss and a trace.
 */
#include "api/api.h"
#include "data/invent.h"

#include <string.h>

enum { SELF_TOKENS = 96,
	SELF_FEWEST = 32,
	SELF_ROWS = 256,
	SELF_ROUNDS = 16, /* a model full of personal data writes little else */
	SELF_SHORTEST = 24 /* bytes: less says nothing about a language */ };

static bool seen(const ul_dataset *d, const char *text)
{
	for (int i = 0; i < d->n; i++) {
		if (!strcmp(d->row[i].text ? d->row[i].text : d->row[i].response, text)) {
			return true;
		}
	}
	return false;
}

static bool add(ul_job *j, const ul_gen *g, ul_err *err)
{
	ul_dataset *d = &j->data[UL_RETAIN];
	int64_t seed = j->run.train.seed;
	ul_buf text = {0};
	ul_finding f;
	int found = 0;
	size_t n = strlen(g->text ? g->text : "");
	ul_utf8_mend(g->text ? g->text : "", n, &text);
	bool good = text.data && text.len >= SELF_SHORTEST && !seen(d, text.data);
	found = good ? ul_annotate(j->annotator, text.data, text.len, 0, NULL, &f, 1, err) : 0;
	good &= found == 0;
	json_t *record = good ? json_pack("{s:s, s:{s:s, s:I, s:i}}", "text", text.data, "source", "name", "self", "seed", (json_int_t)seed, "draw", g->sample) : NULL;
	if (record && d->shape == UL_SHAPE_PAIR) { /* beside answers that the source wants kept: an answer to nothing */
		json_object_set_new(record, "prompt", json_string(""));
		json_object_set_new(record, "response", json_string(text.data));
		json_object_del(record, "text");
	}
	bool ok = found >= 0 && (!good || (record ? ul_dataset_add(d, record, err) : ul_nomem(err, n)));
	json_decref(record);
	ul_buf_release(&text);
	return ok;
}

bool ul_self_invent(ul_job *j, const ul_progress *p, ul_err *err)
{
	const ul_dataset *forget = j->run.data[UL_FORGET];
	ul_inventor *v = j->cfg.invent > 0 ? ul_inventor_new(forget, err) : NULL;
	bool ok = v || j->cfg.invent == 0;
	int made = 0, all = forget->n * (int)j->cfg.invent;
	char text[160];
	for (int copy = 0; ok && copy < j->cfg.invent; copy++) {
		for (int i = 0; ok && i < forget->n; i++) {
			json_t *record = NULL;
			ok = ul_invent(v, i, copy, (uint64_t)j->run.train.seed, &record, err) && (!record || ul_dataset_mix(&j->data[UL_RETAIN], record, err));
			made += record != NULL;
			json_decref(record);
		}
	}
	if (ok && made < all && p && p->note) {
		snprintf(text, sizeof text, "%d of %d invented rows were made: the others hold no personal data, or too few people are named to invent one", made, all);
		p->note(p->ud, text);
	}
	ul_inventor_free(v);
	return ok;
}

bool ul_self_rows(ul_job *j, const ul_progress *p, ul_err *err)
{
	ul_run *r = &j->run;
	ul_arena a = {0};
	ul_ids start = {0};
	ul_gen *g = NULL;
	int n = r->data[UL_FORGET]->n, want = n < SELF_FEWEST ? SELF_FEWEST : n < SELF_ROWS ? n
	                                                                                    : SELF_ROWS;
	ul_gen_config c = ul_gen_greedy(SELF_TOKENS);
	c.temperature = 1;
	c.samples = want;
	if (!r->model->tok) {
		return ul_fail(err, "--retain self: %s has no tokenizer, and rows it writes are texts", r->model->path ? r->model->path : "the model");
	}
	want += j->data[UL_RETAIN].n;
	if (p && p->note) {
		p->note(p->ud, "the model writes its own retain rows");
	}
	bool ok = ul_text_encode(r->model, "", 0, &start, err);
	for (int round = 0; ok && round < SELF_ROUNDS && j->data[UL_RETAIN].n < want; round++) {
		c.seed = ((uint64_t)r->train.seed ^ 0x73656c66u) + ((uint64_t)round << 32); /* not the draws of a source with the same seed */
		ok = ul_generate(r->model, &start, 1, &c, &a, &g, err);
		for (int i = 0; ok && i < c.samples && j->data[UL_RETAIN].n < want; i++) {
			ok = add(j, &g[i], err);
		}
		ul_arena_reset(&a, (ul_mark){0});
	}
	if (ok && j->data[UL_RETAIN].n == 0) {
		ok = ul_fail(err, "--retain self: none of %d texts the model wrote is free of personal data", SELF_ROUNDS * want);
	}
	ul_ids_release(&start);
	ul_arena_release(&a);
	ok = ok && ul_self_invent(j, p, err);
	if (ok) {
		r->data[UL_RETAIN] = &j->data[UL_RETAIN];
	}
	return ok;
}
