/*
 * pool.h: public entities by type, and templates with typed slots to put them into: "You can write to {NAME} at {EMAIL}."
 */
#ifndef UL_POOL_H
#define UL_POOL_H

#include "data/annotate.h"
#include "data/annotator.h"
#include "data/data.h"
#include "data/novelty.h"

typedef struct ul_pool {
	ul_arena arena;
	const char **value[UL_PII_TYPES]; /* [n[type]] */
	int n[UL_PII_TYPES];
	ul_seen known; /* digests of all of them */
	ul_gazetteer *all;
} ul_pool;

/* {"EMAIL": ["…"], "NAME": […], …} as `unlearn synth` writes it. An empty one, or one with types nobody knows, is an error. */
bool ul_pool_read(ul_pool *p, const char *path, ul_err *err);
bool ul_pool_has(const ul_pool *p, enum ul_pii type, const char *s, size_t n);
/* Places where one of its entities stands, whatever the type; as ul_recognise. */
int ul_pool_find(const ul_pool *p, const char *text, size_t n, ul_finding *out, int max);
/* Fails when an entity that some span of the rows marks is in the pool. */
bool ul_pool_apart(const ul_pool *p, const ul_dataset *rows, const char *path, ul_err *err);
void ul_pool_release(ul_pool *p);

typedef struct ul_templates {
	ul_arena arena;
	const char **text;
	int n;
	ul_seen known;
} ul_templates;

bool ul_templates_builtin(ul_templates *t, const ul_pool *p, ul_err *err); /* those whose slots the pool can fill */
/* One a line; \n in it is a line's end. `names`: names come from elsewhere. A slot that the pool holds nothing for is refused. */
bool ul_templates_read(ul_templates *t, const char *path, const ul_pool *p, bool names, ul_err *err);
/* Rows in which personal data are recognised become templates, with slots where those stood (entity swapping): rows of many people
 * become one. The annotator may be NULL. */
bool ul_templates_learn(ul_templates *t, const char *const *text, int n, const ul_pool *p, ul_annotator *a, ul_err *err);
/* Random entities into a random template; the same type in one text is the same entity. `names` NULL, or names to use instead of the
 * pool's. Returns the template's number, -1 when memory is gone. */
int ul_template_fill(const ul_templates *t, const ul_pool *p, const char *const *names, int name_n, ul_rng *r, ul_buf *out);
void ul_templates_release(ul_templates *t);

#endif
