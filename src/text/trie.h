/*
 * trie.h: a set of byte strings, walked one byte at a time.
 */
#ifndef UL_TRIE_H
#define UL_TRIE_H

#include "base/base.h"

typedef struct ul_trie { /* zeroed = empty; node 0 is the root */
	struct ul_trie_node {
		int child, next, token; /* first child, next sibling, the string's number or -1 */
		unsigned char byte;
	} * node;
	int n, cap;
	int root[256];
} ul_trie;

bool ul_trie_add(ul_trie *r, const char *s, size_t n, int token); /* the first of several equal strings counts */
int ul_trie_child(const ul_trie *r, int node, unsigned char byte); /* 0 = none */
void ul_trie_release(ul_trie *r);

#endif
