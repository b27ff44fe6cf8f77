/*
 * tok_added.c: added tokens, recognised in the text before anything else happens to it (and those marked "normalized" after the
 * normalizer). Leftmost match, of these the longest, as in the reference library's Aho-Corasick automaton; a trie walked from each
 * candidate position gives the same, and tokens are at most TOK_MAX_ADDED_BYTES long.
 */
#include "text/tok.h"

#include <string.h>

int tok_trie_find(const ul_trie *r, const char *s, size_t n, size_t at, size_t *start, size_t *end)
{
	for (size_t i = at; r->n && i < n; i++) {
		int node = r->root[(unsigned char)s[i]], token = -1;
		for (size_t k = i + 1; node; k++) {
			if (r->node[node].token >= 0) {
				token = r->node[node].token;
				*start = i;
				*end = k;
			}
			node = k < n ? ul_trie_child(r, node, (unsigned char)s[k]) : 0;
		}
		if (token >= 0)
			return token;
	}
	return -1;
}

/* The reference library shows and decodes such a token in its normalized form. */
static bool add_normalized(ul_tok *t, int i, ul_err *err)
{
	const struct tok_added *a = &t->added[i];
	struct tok_text in = {a->s, a->n, NULL, NULL, 0}, out;
	struct tok_out mem;
	if (!tok_normalize(t, &in, &out, &mem, err))
		return false;
	bool ok = out.n && out.n <= TOK_MAX_ADDED_BYTES;
	char *shown = ok ? ul_alloc(&t->arena, out.n + 1) : NULL;
	if (!ok) {
		ul_fail(err, "added token %d has %zu bytes when normalized; it must have 1 to %d", a->id, out.n, TOK_MAX_ADDED_BYTES);
	} else if (!(ok = shown && ul_trie_add(&t->normalized, out.s, out.n, i))) {
		ul_nomem(err, out.n);
	} else {
		memcpy(shown, out.s, out.n);
		t->piece[a->id] = shown;
		t->piece_len[a->id] = (uint32_t)out.n;
	}
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
			if (a->normalized ? !add_normalized(t, i, err) : !ul_trie_add(&t->raw, a->s, a->n, i) && !ul_nomem(err, a->n))
				return false;
		}
	}
	return true;
}
