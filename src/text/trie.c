/*
 * trie.c: a set of byte strings, walked one byte at a time; children are a linked list, the root has a table.
 */
#include "text/trie.h"

int ul_trie_child(const ul_trie *r, int node, unsigned char byte)
{
	if (node == 0)
		return r->root[byte];
	for (int k = r->node[node].child; k; k = r->node[k].next)
		if (r->node[k].byte == byte)
			return k;
	return 0;
}

static int new_node(ul_trie *r, int parent, unsigned char byte)
{
	if (r->n == r->cap) {
		int cap = r->cap ? r->cap * 2 : 64;
		struct ul_trie_node *node = ul_realloc(r->node, (size_t)cap * sizeof *node);
		if (!node)
			return 0;
		r->node = node;
		r->cap = cap;
	}
	if (r->n == 0)
		r->node[r->n++] = (struct ul_trie_node){.token = -1};
	int k = r->n++;
	r->node[k] = (struct ul_trie_node){.next = parent ? r->node[parent].child : 0, .token = -1, .byte = byte};
	if (parent)
		r->node[parent].child = k;
	else
		r->root[byte] = k;
	return k;
}

/* The first of several equal strings counts. */
bool ul_trie_add(ul_trie *r, const char *s, size_t n, int token)
{
	int node = 0;
	for (size_t i = 0; i < n; i++) {
		int next = ul_trie_child(r, node, (unsigned char)s[i]);
		if (!next && !(next = new_node(r, node, (unsigned char)s[i])))
			return false;
		node = next;
	}
	if (node && r->node[node].token < 0)
		r->node[node].token = token;
	return true;
}

void ul_trie_release(ul_trie *r)
{
	ul_free(r->node);
	r->node = NULL;
}
