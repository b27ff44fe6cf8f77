/*
 * pseudo.h: texts that were made, not found, become rows to forget: personal data in them are recognised and marked, texts without any,
 * texts that are little else, and repetitions are dropped.
 */
#ifndef UL_PSEUDO_H
#define UL_PSEUDO_H

#include "base/option.h"
#include "data/annotator.h"
#include "data/pool.h"

enum { UL_MASKS_TYPES,
	UL_MASKS_RANDOM }; /* a control: as many and as long, anywhere */

typedef struct ul_pseudo_config {
	int64_t n, min_pii;
	double max_share;
	const char *names, *types;
	bool mask_names;
	int masks;
} ul_pseudo_config;
/* Entries of a source's option table; `at` is the offset of a ul_pseudo_config in its configuration. */
#define UL_PSEUDO_AT(at, field) ((at) + offsetof(ul_pseudo_config, field))
/* clang-format off */
#define UL_PSEUDO_OPTS(at) \
	{"n", UL_OPT_INT, UL_PSEUDO_AT(at, n), "400", 1, 1000000, NULL, "rows kept at most", "N"}, \
	{"types", UL_OPT_TEXT, UL_PSEUDO_AT(at, types), NULL, 0, 0, NULL, "kinds of personal data, separated by commas; all by default", "LIST"}, \
	{"names", UL_OPT_TEXT, UL_PSEUDO_AT(at, names), NULL, 0, 0, NULL, "names to be recognised, one a line", "F"}, \
	{"mask-names", UL_OPT_BOOL, UL_PSEUDO_AT(at, mask_names), "no", 0, 0, NULL, "treat those names and the pool's as personal data too", NULL}, \
	{"min-pii", UL_OPT_INT, UL_PSEUDO_AT(at, min_pii), "1", 0, 256, NULL, "personal data that a row must hold; 0 keeps every row", "N"}, \
	{"max-share", UL_OPT_REAL, UL_PSEUDO_AT(at, max_share), "0.8", 0, 1, NULL, "rows covered by personal data beyond this share are dropped", "X"}, \
	{"masks", UL_OPT_ENUM, UL_PSEUDO_AT(at, masks), "types", 0, 0, "types|random", "where marks go; random: as many, as long, anywhere (a control)", NULL}
/* clang-format on */

typedef struct ul_pseudo {
	const ul_pseudo_config *c;
	const ul_pool *pool; /* or NULL */
	ul_annotator *annotator; /* set before ul_pseudo_begin, or NULL; the names it marks are personal data, whatever mask_names says */
	ul_dataset *out;
	ul_gazetteer *names;
	unsigned types;
	uint64_t seed;
	ul_seen texts, data;
	int64_t made, none, covered, repeated;
	int64_t entities, from_pool; /* distinct ones that are marked */
	json_t *by_type;
} ul_pseudo;

bool ul_pseudo_begin(ul_pseudo *s, const ul_pseudo_config *c, const ul_pool *pool, uint64_t seed, ul_dataset *out, ul_err *err);
bool ul_pseudo_full(const ul_pseudo *s);
/* What of a text is marked: as ul_annotate. */
int ul_pseudo_find(const ul_pseudo *s, const char *text, size_t n, ul_finding *out, int max, ul_err *err);
/* The text becomes a row, or is counted as dropped; `source` is its provenance, taken. */
bool ul_pseudo_add(ul_pseudo *s, const char *text, json_t *source, ul_err *err);
void ul_pseudo_summary(const ul_pseudo *s, json_t *summary);
void ul_pseudo_release(ul_pseudo *s);

#endif
