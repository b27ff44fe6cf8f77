/*
 * tok_bpe.c: the model. A word starts as characters (or bytes) and the pair with the lowest rank is merged until no pair is left
 * (Sennrich et al. 2016, arXiv 1508.07909), with a heap of candidate pairs over a linked list: O(n log n).
 */
#include "text/tok.h"

#include <string.h>

struct tok_sym {
	int id, start, len, prev, next; /* bytes of the word; len 0 = merged into its left neighbour */
};

static uint64_t hash(const char *s, size_t n)
{
	uint64_t h = 0x9E3779B97F4A7C15u ^ n;
	for (; n >= 8; n -= 8, s += 8) {
		uint64_t w;
		memcpy(&w, s, 8);
		h = (h ^ w) * 0xFF51AFD7ED558CCDu;
		h ^= h >> 32;
	}
	uint64_t w = 0;
	memcpy(&w, s, n);
	h = (h ^ w) * 0xFF51AFD7ED558CCDu;
	return h ^ h >> 29;
}

bool tok_map_init(struct tok_map *m, ul_arena *a, size_t entries)
{
	size_t slots = 16;
	while (slots < 2 * entries)
		slots *= 2;
	m->slot = ul_alloc(a, slots * sizeof *m->slot);
	m->mask = slots - 1;
	return m->slot != NULL;
}

static struct tok_slot *find(const struct tok_map *m, const char *s, size_t n)
{
	size_t i = hash(s, n) & m->mask;
	while (m->slot[i].s && (m->slot[i].n != n || memcmp(m->slot[i].s, s, n)))
		i = (i + 1) & m->mask;
	return &m->slot[i];
}

int tok_map_get(const struct tok_map *m, const char *s, size_t n)
{
	if (!m->slot)
		return -1;
	const struct tok_slot *e = find(m, s, n);
	return e->s ? e->id : -1;
}

void tok_map_put(struct tok_map *m, const char *s, size_t n, int id)
{
	*find(m, s, n) = (struct tok_slot){s, (uint32_t)n, id};
}

static uint32_t rank_of(const ul_tok *t, int left, int right)
{
	if (!t->merge)
		return UINT32_MAX;
	uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
	uint64_t h = pair * 0x9E3779B97F4A7C15u;
	for (size_t i = (h ^ h >> 32) & t->merge_mask;; i = (i + 1) & t->merge_mask) {
		if (t->merge[i].rank == UINT32_MAX)
			return UINT32_MAX;
		if (t->merge[i].pair == pair)
			return t->merge[i].rank;
	}
}

/* ---- a binary min-heap of rank << 32 | position ---- */

static void push(uint64_t *heap, size_t *n, uint64_t v)
{
	size_t i = (*n)++;
	for (; i && heap[(i - 1) / 2] > v; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = v;
}

static uint64_t pop(uint64_t *heap, size_t *n)
{
	uint64_t top = heap[0], last = heap[--*n];
	size_t i = 0;
	for (size_t c; (c = 2 * i + 1) < *n; i = c) {
		if (c + 1 < *n && heap[c + 1] < heap[c])
			c++;
		if (heap[c] >= last)
			break;
		heap[i] = heap[c];
	}
	heap[i] = last;
	return top;
}

static void consider(const ul_tok *t, const struct tok_sym *sym, int left, uint64_t *heap, size_t *n)
{
	if (left < 0 || sym[left].next < 0)
		return;
	uint32_t rank = rank_of(t, sym[left].id, sym[sym[left].next].id);
	if (rank != UINT32_MAX)
		push(heap, n, (uint64_t)rank << 32 | (uint32_t)left);
}

/* Like the reference library, a candidate whose symbols have changed is still good when the new pair happens to give the same id. */
static void merge_all(const ul_tok *t, struct tok_sym *sym, int n, uint64_t *heap)
{
	size_t waiting = 0;
	for (int i = 0; i + 1 < n; i++)
		consider(t, sym, i, heap, &waiting);
	while (waiting) {
		uint64_t top = pop(heap, &waiting);
		int at = (int)(uint32_t)top, right = sym[at].next;
		if (!sym[at].len || right < 0)
			continue;
		uint32_t rank = rank_of(t, sym[at].id, sym[right].id);
		int id = t->merged[top >> 32];
		if (rank == UINT32_MAX || t->merged[rank] != id)
			continue;
		sym[at].id = id;
		sym[at].len = sym[right].start + sym[right].len - sym[at].start;
		sym[at].next = sym[right].next;
		sym[right].len = 0;
		if (sym[at].next >= 0)
			sym[sym[at].next].prev = at;
		consider(t, sym, sym[at].prev, heap, &waiting);
		consider(t, sym, at, heap, &waiting);
	}
}

/* ---- words ---- */

static bool reserve(struct tok_enc *e, size_t n)
{
	if (e->cap >= n)
		return true;
	size_t cap = n + n / 2 + 64;
	ul_free(e->sym);
	ul_free(e->heap);
	e->cap = 0;
	e->sym = ul_malloc(cap * sizeof *e->sym);
	/* Each merge pops one candidate and adds at most two, and each symbol starts one: never more than 3 n alive. */
	e->heap = ul_malloc(3 * cap * sizeof *e->heap);
	if (!e->sym || !e->heap)
		return tok_nomem(e);
	e->cap = cap;
	return true;
}

static void add(struct tok_sym *sym, int *n, int id, size_t start, int len)
{
	sym[*n] = (struct tok_sym){id, (int)start, len, *n - 1, *n + 1};
	++*n;
}

/* The bytes of one character as <0xNN> tokens, when all of them exist. */
static bool fall_back(const ul_tok *t, const char *s, size_t at, int len, struct tok_sym *sym, int *n)
{
	for (int k = 0; k < len; k++)
		if (t->fallback_id[(unsigned char)s[at + (size_t)k]] < 0)
			return false;
	for (int k = 0; k < len; k++)
		add(sym, n, t->fallback_id[(unsigned char)s[at + (size_t)k]], at + (size_t)k, 1);
	return true;
}

/* Characters to symbols. An unknown character waits in `unk` (the reference library places it only when a known one, another unknown
 * one or the end follows, so byte tokens may overtake it). */
static int start_symbols(struct tok_enc *e, const struct tok_text *w)
{
	const ul_tok *t = e->t;
	int n = 0, unk = 0; /* unk: bytes waiting */
	size_t waits = 0; /* and where they start */
	for (size_t i = 0; i < w->n;) {
		int len = t->byte_level ? 1 : ul_utf8_len((unsigned char)w->s[i]);
		int id = t->byte_level ? t->byte_id[(unsigned char)w->s[i]] : tok_map_get(&t->vocab, w->s + i, (size_t)len);
		size_t at = i;
		i += (size_t)len;
		if (id >= 0) {
			if (unk)
				add(e->sym, &n, t->unk, waits, unk);
			unk = 0;
			add(e->sym, &n, id, at, len);
			continue;
		}
		if (t->byte_fallback && !t->byte_level && fall_back(t, w->s, at, len, e->sym, &n))
			continue;
		if (t->unk == -1)
			continue;
		if (t->unk == -2)
			return ul_fail(e->err, "the text needs the unknown token, which the tokenizer's vocabulary lacks"), -1;
		if (unk && !t->fuse_unk) {
			add(e->sym, &n, t->unk, waits, unk);
			unk = 0;
		}
		waits = unk ? waits : at;
		unk += len;
	}
	if (unk)
		add(e->sym, &n, t->unk, waits, unk);
	return n;
}

/* Some tokenizers take a word that is a token as it is, whatever the merges would make of it. */
static int whole(struct tok_enc *e, const struct tok_text *w)
{
	if (!e->t->byte_level)
		return tok_map_get(&e->t->vocab, w->s, w->n);
	e->word.len = 0;
	for (size_t i = 0; i < w->n; i++) {
		char c[4];
		ul_buf_add(&e->word, c, (size_t)ul_utf8_put(tok_byte_char((unsigned char)w->s[i]), c));
	}
	return e->word.failed ? -1 : tok_map_get(&e->t->vocab, e->word.data, e->word.len);
}

bool tok_word(struct tok_enc *e, const struct tok_text *w)
{
	int from = 0, to = 0;
	if (!w->n)
		return true;
	if (!reserve(e, w->n))
		return false;
	if (e->t->ignore_merges) {
		int id = whole(e, w);
		if (e->word.failed)
			return tok_nomem(e);
		if (id >= 0) {
			tok_origin(w, 0, w->n, &from, &to);
			return tok_emit(e, id, from, to);
		}
	}
	int n = start_symbols(e, w);
	if (n < 0)
		return false;
	if (n)
		e->sym[n - 1].next = -1;
	merge_all(e->t, e->sym, n, e->heap);
	for (int i = n ? 0 : -1; i >= 0; i = e->sym[i].next) {
		const struct tok_sym *k = &e->sym[i];
		size_t end = (size_t)(k->start + k->len);
		if (e->offsets)
			tok_origin(w, (size_t)k->start, end > w->n ? w->n : end, &from, &to);
		if (!tok_emit(e, k->id, from, to))
			return false;
	}
	return true;
}
