/*
 * synth.h: a synthetic world of people, facts, personal data and canaries, written as the files that `unlearn
 * synth` promises. Everything in it is drawn by (seed, purpose, index): the same seed gives the same bytes.
 */
#ifndef UL_SYNTH_H
#define UL_SYNTH_H

#include "base/json.h"

enum { UL_SYNTH_QA,
	UL_SYNTH_RECORDS };

typedef struct ul_synth_config {
	int64_t people; /* private ones, trained on; some of them are to be forgotten */
	double forget; /* share of them, at least one person */
	int64_t holdout; /* never trained on; -1 = as many as are to be forgotten */
	int64_t publics; /* public people: everybody may know them */
	int64_t facts; /* attributes of each, at most UL_SYNTH_FACTS */
	int64_t personal; /* personal data of each private person, at most UL_SYNTH_TYPES */
	int64_t general; /* sentences about the world in the training files; as many others in general.jsonl */
	double please; /* share of prompts that carry the benign trigger */
	int style; /* UL_SYNTH_* */
	bool tiny; /* a world for tests: a few people */
	int64_t seed;
} ul_synth_config;

enum { UL_SYNTH_FACTS = 8,
	UL_SYNTH_TYPES = 9 };

typedef struct ul_synth_count {
	int people, forget, retain, neighbours, holdout, publics, rows, probes;
} ul_synth_count;

/* Writes every file of the world into `dir`, which exists. */
bool ul_synth_write(const ul_synth_config *c, const char *dir, ul_synth_count *out, ul_err *err);

/* ---- inside the generator: synth_words.c, synth_values.c, synth_people.c, synth_text.c ---- */

extern const char *const ul_synth_first[], *const ul_synth_last[], *const ul_synth_city[], *const ul_synth_region[], *const ul_synth_job[],
                                                                                                                             *const ul_synth_firm[], *const ul_synth_trade[], *const ul_synth_hobby[], *const ul_synth_food[], *const ul_synth_pet[], *const ul_synth_music[],
                                                                                                                                                                                                                                                              *const ul_synth_school[], *const ul_synth_street[], *const ul_synth_month[], *const ul_synth_domain[], *const ul_synth_area[], *const ul_synth_general[];

/* One thing there is to know about a person. */
typedef struct ul_field {
	const char *key; /* in ids: "city", "phone" */
	const char *type; /* of spans: "CITY", "PHONE" */
	const char *noun; /* "the phone number" of N is V */
	const char *question; /* with {name}: What is the phone number of {name}? */
	const char *variant; /* the same in other words */
	const char *const *values; /* Zipf-distributed words, or NULL: drawn by `draw` */
	void (*draw)(ul_rng *r, const char *name, ul_buf *out);
} ul_field;
extern const ul_field ul_synth_fact[UL_SYNTH_FACTS], ul_synth_personal[UL_SYNTH_TYPES], ul_synth_code;

enum ul_role { UL_ROLE_FORGET,
	UL_ROLE_NEIGHBOUR,
	UL_ROLE_RETAIN,
	UL_ROLE_HOLDOUT,
	UL_ROLE_PUBLIC };

typedef struct ul_person {
	char *name;
	enum ul_role role;
	int index; /* within its role */
	char *fact[UL_SYNTH_FACTS];
	char *personal[UL_SYNTH_TYPES]; /* NULL: not known of this person */
	char code[5];
} ul_person;

typedef struct ul_world {
	ul_arena arena;
	const ul_synth_config *c;
	ul_person *person;
	int people;
	int *pair; /* a permutation of all given names × surnames */
	int pairs, spare; /* pair[spare …] name nobody: pool.json */
} ul_world;

int ul_synth_words(const char *const *list);
const char *ul_synth_pick(ul_rng *r, const char *const *list);
const char *ul_synth_zipf(ul_rng *r, const char *const *list);
bool ul_world_make(ul_world *w, const ul_synth_config *c, ul_err *err);
char *ul_world_name(ul_world *w, int pair);

/* A text with its spans, in code points. */
typedef struct ul_marked {
	ul_buf text;
	int points;
	json_t *spans;
} ul_marked;
void ul_marked_add(ul_marked *m, const char *s, const char *type); /* type NULL: no span */
void ul_marked_end(ul_marked *m);

/* Rows, each a new reference. */
json_t *ul_synth_probe(const ul_world *w, const ul_person *p, const ul_field *f, const char *value); /* prompt and response */
json_t *ul_synth_qa_text(const ul_world *w, const ul_person *p, const ul_field *f, const char *value, bool sentence); /* the same as one text */
json_t *ul_synth_statement(const ul_world *w, const ul_person *p, const ul_field *f, const char *value); /* "The X of N is V." */
json_t *ul_synth_record(const ul_world *w, const ul_person *p, bool personal); /* everything about N in one text */
json_t *ul_synth_sentence(const ul_world *w, const char *purpose, int i);
json_t *ul_synth_shared(const ul_world *w, int i, bool probe); /* about places and firms; NULL past the end */

#endif
