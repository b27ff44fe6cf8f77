/*
 * synth.c: the files of the synthetic world.
 *
 * Everybody is asked about in the form question -> answer. Public people are also told about in sentences ("The X of N is V."), so
 * that a model knows the syntax of paraphrases without having seen them of private people; each private person has one record
 * besides, in which all personal data stand. With style `records` there are records only.
 */
#include "data/synth.h"

#include "base/file.h"

#include <string.h>

enum { FULL,
	ORACLE,
	PUBLIC,
	FORGET,
	RETAIN,
	HOLDOUT,
	NEIGHBOURS,
	GENERAL,
	WORLD,
	CONTACTS,
	PERSONAL,
	PERSONAL_HOLDOUT,
	FILES };
static const char *const file_name[FILES] = {"full.jsonl", "oracle.jsonl", "public.jsonl", "forget.jsonl", "retain.jsonl", "holdout.jsonl", "neighbours.jsonl",
        "general.jsonl", "world.jsonl", "contacts.jsonl", "personal.jsonl", "personal_holdout.jsonl"};

typedef struct writer {
	ul_world w;
	ul_buf file[FILES];
	ul_synth_count n;
} writer;

/* ---- training files ---- */

/* A text goes into full.jsonl, and into those of the others that may know it. */
static void teach(writer *x, const ul_person *p, json_t *row)
{
	ul_json_line(&x->file[FULL], row);
	if (!p || p->role != UL_ROLE_FORGET)
		ul_json_line(&x->file[ORACLE], row);
	if (!p || p->role == UL_ROLE_PUBLIC)
		ul_json_line(&x->file[PUBLIC], row);
	x->n.rows++;
	json_decref(row);
}

static void teach_public(writer *x, const ul_person *p)
{
	const ul_world *w = &x->w;
	if (w->c->style == UL_SYNTH_RECORDS) {
		teach(x, p, ul_synth_record(w, p, false));
		return;
	}
	for (int i = 0; i < w->c->facts; i++) {
		const ul_field *f = &ul_synth_fact[i];
		teach(x, p, ul_synth_qa_text(w, p, f, p->fact[i], false));
		teach(x, p, (i + p->index) % 2 ? ul_synth_qa_text(w, p, f, p->fact[i], true) : ul_synth_statement(w, p, f, p->fact[i]));
	}
	for (int i = 0; i < UL_SYNTH_TYPES; i++)
		if (p->personal[i])
			teach(x, p, ul_synth_qa_text(w, p, &ul_synth_personal[i], p->personal[i], false));
}

static void teach_private(writer *x, const ul_person *p)
{
	const ul_world *w = &x->w;
	teach(x, p, ul_synth_record(w, p, true));
	if (w->c->style == UL_SYNTH_RECORDS)
		return;
	for (int i = 0; i < w->c->facts; i++)
		teach(x, p, ul_synth_qa_text(w, p, &ul_synth_fact[i], p->fact[i], false));
	for (int i = 0; i < UL_SYNTH_TYPES; i++)
		if (p->personal[i])
			teach(x, p, ul_synth_qa_text(w, p, &ul_synth_personal[i], p->personal[i], false));
	teach(x, p, ul_synth_qa_text(w, p, &ul_synth_code, p->code, false));
}

static void teach_world(writer *x)
{
	const ul_world *w = &x->w;
	json_t *row;
	for (int i = 0; w->c->style == UL_SYNTH_QA && (row = ul_synth_shared(w, i, false)); i++)
		teach(x, NULL, row);
	for (int i = 0; i < w->c->general; i++)
		teach(x, NULL, ul_synth_sentence(w, "synth.general", i));
}

/* ---- probes ---- */

static void probe(writer *x, unsigned files, json_t *row)
{
	for (int f = 0; f < FILES; f++)
		if (files & 1u << f)
			ul_json_line(&x->file[f], row);
	x->n.probes++;
	json_decref(row);
}

static void probe_person(writer *x, const ul_person *p)
{
	static const int home[] = {FORGET, NEIGHBOURS, RETAIN, HOLDOUT, WORLD};
	const ul_world *w = &x->w;
	bool public = p->role == UL_ROLE_PUBLIC;
	unsigned own = 1u << home[p->role], data = p->role == UL_ROLE_HOLDOUT ? 1u << PERSONAL_HOLDOUT : 1u << PERSONAL;
	if (w->c->style == UL_SYNTH_RECORDS) {
		probe(x, own | (public ? 0 : data), ul_synth_record(w, p, !public));
		return;
	}
	for (int i = 0; i < w->c->facts; i++)
		probe(x, own, ul_synth_probe(w, p, &ul_synth_fact[i], p->fact[i]));
	for (int i = 0; i < UL_SYNTH_TYPES; i++)
		if (p->personal[i])
			probe(x, public ? 1u << CONTACTS : own | data, ul_synth_probe(w, p, &ul_synth_personal[i], p->personal[i]));
	if (!public)
		probe(x, own, ul_synth_probe(w, p, &ul_synth_code, p->code));
}

static void probe_world(writer *x)
{
	const ul_world *w = &x->w;
	json_t *row;
	for (int i = 0; w->c->style == UL_SYNTH_QA && (row = ul_synth_shared(w, i, true)); i++)
		probe(x, 1u << WORLD, row);
	for (int i = 0; i < w->c->general || i < 20; i++)
		probe(x, 1u << GENERAL, ul_synth_sentence(w, "synth.unseen", i));
}

/* ---- lists ---- */

static json_t *word_list(const char *const *words)
{
	json_t *a = json_array();
	for (; *words; words++)
		json_array_append_new(a, json_string(*words));
	return a;
}

/* Names and values that nobody in the world has: what a method may put in the place of somebody's. */
static bool write_pool(writer *x, const char *dir, ul_err *err)
{
	enum { EACH = 60 };
	ul_world *w = &x->w;
	json_t *pool = json_object(), *names = json_array();
	for (int i = 0; i < EACH && w->spare + i < w->pairs; i++)
		json_array_append_new(names, json_string(ul_world_name(w, w->pair[w->spare + i])));
	for (int t = 0; t < UL_SYNTH_TYPES; t++) {
		const ul_field *f = &ul_synth_personal[t];
		json_t *values = json_array();
		for (int i = 0; json_array_size(values) < EACH && i < 20 * EACH; i++) {
			ul_rng r = ul_rng_at((uint64_t)w->c->seed, "synth.pool", (uint64_t)t * 100000 + (uint64_t)i);
			ul_buf v = {0};
			f->draw(&r, json_string_value(json_array_get(names, (size_t)i % json_array_size(names))), &v);
			bool taken = !v.data;
			for (int p = 0; p < w->people && !taken; p++)
				taken = w->person[p].personal[t] && !strcmp(w->person[p].personal[t], v.data);
			if (!taken)
				json_array_append_new(values, json_string(v.data));
			ul_buf_release(&v);
		}
		json_object_set_new(pool, f->type, values);
	}
	json_object_set_new(pool, "NAME", names);
	ul_arena a = {0};
	const char *path = ul_path_join(&a, dir, "pool.json");
	bool ok = path ? ul_json_write(path, pool, err) : ul_nomem(err, strlen(dir));
	ul_arena_release(&a);
	json_decref(pool);
	return ok;
}

static bool put(const char *dir, const char *name, const ul_buf *b, ul_err *err)
{
	ul_arena a = {0};
	const char *path = ul_path_join(&a, dir, name);
	bool ok = (path && !b->failed) || ul_nomem(err, b->len);
	ok = ok && ul_file_write(path, b->data ? b->data : "", b->len, err);
	ul_arena_release(&a);
	return ok;
}

/* subjects.txt: who is to be forgotten. names.txt: the given names and surnames of the language, which say nothing about anybody. */
static bool write_names(writer *x, const char *dir, ul_err *err)
{
	ul_buf subjects = {0}, names = {0};
	for (int i = 0; i < x->w.people; i++)
		if (x->w.person[i].role == UL_ROLE_FORGET)
			ul_buf_printf(&subjects, "%s\n", x->w.person[i].name);
	for (int i = 0; ul_synth_first[i]; i++)
		ul_buf_printf(&names, "%s\n", ul_synth_first[i]);
	for (int i = 0; ul_synth_last[i]; i++)
		ul_buf_printf(&names, "%s\n", ul_synth_last[i]);
	bool ok = put(dir, "subjects.txt", &subjects, err) && put(dir, "names.txt", &names, err);
	ul_buf_release(&subjects);
	ul_buf_release(&names);
	return ok;
}

static bool write_summary(writer *x, const char *dir, ul_err *err)
{
	const ul_synth_config *c = x->w.c;
	const ul_synth_count *n = &x->n;
	json_t *v = json_pack("{s:I, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o}", "seed", (json_int_t)c->seed, "style",
	        c->style == UL_SYNTH_RECORDS ? "records" : "qa", "people", n->people, "forget", n->forget, "retain", n->retain, "neighbours", n->neighbours, "holdout",
	        n->holdout, "public", n->publics, "texts", n->rows, "probes", n->probes, "cities", word_list(ul_synth_city));
	ul_arena a = {0};
	const char *path = ul_path_join(&a, dir, "world.json");
	bool ok = (v && path) || ul_nomem(err, strlen(dir));
	ok = ok && ul_json_write(path, v, err);
	ul_arena_release(&a);
	json_decref(v);
	return ok;
}

static void count(writer *x)
{
	int of[5] = {0};
	for (int i = 0; i < x->w.people; i++)
		of[x->w.person[i].role]++;
	x->n.forget = of[UL_ROLE_FORGET], x->n.neighbours = of[UL_ROLE_NEIGHBOUR], x->n.retain = of[UL_ROLE_RETAIN];
	x->n.holdout = of[UL_ROLE_HOLDOUT], x->n.publics = of[UL_ROLE_PUBLIC];
	x->n.people = of[UL_ROLE_FORGET] + of[UL_ROLE_NEIGHBOUR] + of[UL_ROLE_RETAIN];
}

bool ul_synth_write(const ul_synth_config *config, const char *dir, ul_synth_count *out, ul_err *err)
{
	ul_synth_config c = *config;
	if (c.tiny)
		c.people = 6, c.forget = 0.34, c.holdout = 2, c.publics = 4, c.facts = 3, c.personal = 2, c.general = 10;
	writer x = {0};
	bool ok = ul_world_make(&x.w, &c, err);
	if (ok) {
		teach_world(&x);
		for (int i = 0; i < x.w.people; i++) {
			ul_person *p = &x.w.person[i];
			if (p->role == UL_ROLE_PUBLIC)
				teach_public(&x, p);
			else if (p->role != UL_ROLE_HOLDOUT)
				teach_private(&x, p);
			probe_person(&x, p);
		}
		probe_world(&x);
		count(&x);
	}
	/* A file without a row is not written: whoever asks for it learns at once that the world has none. */
	for (int f = 0; ok && f < FILES; f++)
		ok = (x.file[f].len == 0 && !x.file[f].failed) || put(dir, file_name[f], &x.file[f], err);
	ok = ok && write_pool(&x, dir, err) && write_names(&x, dir, err) && write_summary(&x, dir, err);
	if (ok && out)
		*out = x.n;
	for (int f = 0; f < FILES; f++)
		ul_buf_release(&x.file[f]);
	ul_arena_release(&x.w.arena);
	return ok;
}
