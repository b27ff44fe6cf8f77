/*
 * tok_added.c: added tokens, recognised in the text before anything else happens to it (and those marked "normalized" after the
 * normalizer). Leftmost match, of these the longest, as in the reference library's Aho-Corasick automaton; a trie walked from each
 * candidate position gives the same, and tokens are at most TOK_MAX_ADDED_BYTES long.
 */
#include "text/tok.h"

static int child(const struct tok_trie *r, int node, unsigned char byte)
{
	if (node == 0)
		return r->root[byte];
	for (int k = r->node[node].child; k; k = r->node[k].next)
		if (r->node[k].byte == byte)
			return k;
	return 0;
}

static int new_node(struct tok_trie *r, int parent, unsigned char byte)
{
	if (r->n == r->cap) {
		int cap = r->cap ? r->cap * 2 : 64;
		struct tok_node *node = ul_realloc(r->node, (size_t)cap * sizeof *node);
		if (!node)
			return 0;
		r->node = node;
		r->cap = cap;
	}
	if (r->n == 0)
		r->node[r->n++] = (struct tok_node){.token = -1};
	int k = r->n++;
	r->node[k] = (struct tok_node){.next = parent ? r->node[parent].child : 0, .token = -1, .byte = byte};
	if (parent)
		r->node[parent].child = k;
	else
		r->root[byte] = k;
	return k;
}

/* The first of several equal strings counts. */
bool tok_trie_add(struct tok_trie *r, const char *s, size_t n, int token)
{
	int node = 0;
	for (size_t i = 0; i < n; i++) {
		int next = child(r, node, (unsigned char)s[i]);
		if (!next && !(next = new_node(r, node, (unsigned char)s[i])))
			return false;
		node = next;
	}
	if (node && r->node[node].token < 0)
		r->node[node].token = token;
	return true;
}

void tok_trie_release(struct tok_trie *r)
{
	ul_free(r->node);
	r->node = NULL;
}

int tok_trie_find(const struct tok_trie *r, const char *s, size_t n, size_t at, size_t *start, size_t *end)
{
	for (size_t i = at; r->n && i < n; i++) {
		int node = r->root[(unsigned char)s[i]], token = -1;
		for (size_t k = i + 1; node; k++) {
			if (r->node[node].token >= 0) {
				token = r->node[node].token;
				*start = i;
				*end = k;
			}
			node = k < n ? child(r, node, (unsigned char)s[k]) : 0;
		}
		if (token >= 0)
			return token;
	}
	return -1;
}

static bool add_normalized(ul_tok *t, int i, ul_err *err)
{
	struct tok_text in = {t->added[i].s, t->added[i].n, NULL, NULL, 0}, out;
	struct tok_out mem;
	if (!tok_normalize(t, &in, &out, &mem, err))
		return false;
	bool ok = out.n > TOK_MAX_ADDED_BYTES                     ? ul_fail(err, "an added token of %zu bytes when normalized; the limit is %d", out.n, TOK_MAX_ADDED_BYTES)
	          : tok_trie_add(&t->normalized, out.s, out.n, i) ? true
	                                                          : ul_nomem(err, out.n);
	tok_out_release(&mem);
	return ok;
}

/* Special tokens first: of two tokens that normalize to the same text the special one counts. */
bool tok_build_tries(ul_tok *t, ul_err *err)
{
	for (int special = 1; special >= 0; special--) {
		for (int i = 0; i < t->n_added; i++) {
			const struct tok_added *a = &t->added[i];
			if (a->special != (bool)special)
				continue;
			if (a->normalized ? !add_normalized(t, i, err) : !tok_trie_add(&t->raw, a->s, a->n, i) && !ul_nomem(err, a->n))
				return false;
		}
	}
	return true;
}
