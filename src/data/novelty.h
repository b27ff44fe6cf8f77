/*
 * novelty.h: what is new in a stream of texts: exact repetitions by digest, near ones by shingles.
 */
#ifndef UL_NOVELTY_H
#define UL_NOVELTY_H

#include "base/base.h"

uint64_t ul_digest(const void *bytes, size_t n); /* FNV-1a */

typedef struct ul_seen { /* a set of digests; zeroed = empty */
	uint64_t *slot;
	size_t cap, n;
	bool failed;
} ul_seen;
bool ul_seen_add(ul_seen *s, uint64_t digest); /* true when it is new */
bool ul_seen_has(const ul_seen *s, uint64_t digest);
void ul_seen_release(ul_seen *s);

/* MinHash of word trigrams (Broder 1997): the share of equal entries estimates the Jaccard similarity of two texts. */
enum { UL_SKETCH = 48 };
typedef struct ul_sketch {
	uint32_t min[UL_SKETCH];
} ul_sketch;
void ul_sketch_of(ul_sketch *s, const char *text, size_t n);
double ul_sketch_similar(const ul_sketch *a, const ul_sketch *b);

#endif
