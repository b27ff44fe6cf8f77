/*
 * tok_train.c: learns a byte-level BPE (Sennrich et al. 2016; Radford et al. 2019): words by GPT-2's pattern, counted once each, then the
 * most frequent pair of symbols becomes a token, again and again. Of equally frequent pairs the one with the lowest ids wins, so the same
 * texts give the same tokenizer. Counts of pairs are kept up to date where words change; a heap with stale entries finds the best one.
 */
#include "text/tok_make.h"

#include <string.h>

enum { END_OF_TEXT,
	FIRST_BYTE,
	FIRST_MERGE = FIRST_BYTE + 256,
	MIN_COUNT = 2 };

struct word {
	const char *s; /* in the caller's text or the repaired copy */
	uint32_t n, hash;
	int64_t count;
	int *sym, syms;
};
struct pair {
	int left, right; /* left -1 = free slot */
	int64_t count;
	int *word, words, cap; /* where it occurs or occurred */
	bool touched;
};
struct best {
	int64_t count;
	int left, right;
};

struct trainer {
	ul_arena arena;
	struct word *word;
	size_t words, word_mask;
	struct pair *pair;
	size_t pairs, pair_mask;
	struct best *heap;
	size_t waiting, heap_cap;
	struct touch {
		int left, right;
	} * touched; /* pairs that gained since they were last put into the heap */
	size_t touches, touch_cap;
	ul_buf *piece; /* [vocab], in visible characters */
	int size;
	struct tok_map ids; /* pieces to ids: two ways to the same piece share one */
	json_t *vocab, *merges;
	bool failed;
};

/* ---- words ---- */

static uint32_t hash(const char *s, size_t n)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h ^ h >> 15;
}

static struct word *word_slot(const struct trainer *t, const char *s, size_t n, uint32_t h)
{
	size_t i = h & t->word_mask;
	while (t->word[i].s && (t->word[i].hash != h || t->word[i].n != n || memcmp(t->word[i].s, s, n)))
		i = (i + 1) & t->word_mask;
	return &t->word[i];
}

static bool more_words(struct trainer *t)
{
	size_t slots = t->word ? (t->word_mask + 1) * 2 : 1 << 12, old = t->word ? t->word_mask + 1 : 0;
	struct word *was = t->word;
	if (2 * t->words < old)
		return true;
	if (!(t->word = ul_calloc(slots, sizeof *t->word)))
		return t->word = was, t->failed = true, false;
	t->word_mask = slots - 1;
	for (size_t i = 0; i < old; i++)
		if (was[i].s)
			*word_slot(t, was[i].s, was[i].n, was[i].hash) = was[i];
	ul_free(was);
	return true;
}

static void count_words(struct trainer *t, const char *s, size_t n)
{
	for (size_t i = 0; i < n && more_words(t);) {
		size_t end = tok_gpt2_next(s, n, i);
		uint32_t h = hash(s + i, end - i);
		struct word *w = word_slot(t, s + i, end - i, h);
		t->words += !w->s;
		w->s = s + i;
		w->n = (uint32_t)(end - i);
		w->hash = h;
		w->count++;
		i = end;
	}
}

/* ---- pairs ---- */

static struct pair *pair_slot(const struct trainer *t, int left, int right)
{
	uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
	size_t i = (h ^ h >> 32) & t->pair_mask;
	while (t->pair[i].left >= 0 && (t->pair[i].left != left || t->pair[i].right != right))
		i = (i + 1) & t->pair_mask;
	return &t->pair[i];
}

static bool more_pairs(struct trainer *t)
{
	size_t slots = t->pair ? (t->pair_mask + 1) * 2 : 1 << 14, old = t->pair ? t->pair_mask + 1 : 0;
	struct pair *was = t->pair;
	if (2 * t->pairs < old)
		return true;
	if (!(t->pair = ul_malloc(slots * sizeof *t->pair)))
		return t->pair = was, t->failed = true, false;
	for (size_t i = 0; i < slots; i++)
		t->pair[i] = (struct pair){.left = -1};
	t->pair_mask = slots - 1;
	for (size_t i = 0; i < old; i++)
		if (was[i].left >= 0)
			*pair_slot(t, was[i].left, was[i].right) = was[i];
	ul_free(was);
	return true;
}

static bool touch(struct trainer *t, int left, int right)
{
	if (t->touches == t->touch_cap) {
		size_t cap = t->touch_cap * 2 + 1024;
		struct touch *more = ul_realloc(t->touched, cap * sizeof *more);
		if (!more)
			return t->failed = true, false;
		t->touched = more;
		t->touch_cap = cap;
	}
	t->touched[t->touches++] = (struct touch){left, right};
	return true;
}

/* The pair stands in word w `count` times more (or less); it is noted there once per call. */
static void change(struct trainer *t, int left, int right, int64_t count, int w)
{
	if (t->failed || !more_pairs(t))
		return;
	struct pair *p = pair_slot(t, left, right);
	if (p->left < 0) {
		*p = (struct pair){.left = left, .right = right};
		t->pairs++;
	}
	p->count += count;
	if (count > 0 && !p->touched)
		p->touched = touch(t, left, right);
	if (count < 0 || (p->words && p->word[p->words - 1] == w))
		return;
	if (p->words == p->cap) {
		int cap = p->cap * 2 + 2;
		int *word = ul_realloc(p->word, (size_t)cap * sizeof *word);
		if (!word) {
			t->failed = true;
			return;
		}
		p->word = word;
		p->cap = cap;
	}
	p->word[p->words++] = w;
}

static bool worse(const struct best *a, const struct best *b)
{
	if (a->count != b->count)
		return a->count < b->count;
	return a->left != b->left ? a->left > b->left : a->right > b->right;
}

static void push(struct trainer *t, struct best b)
{
	if (t->waiting == t->heap_cap) {
		size_t cap = t->heap_cap * 2 + 1024;
		struct best *heap = ul_realloc(t->heap, cap * sizeof *heap);
		if (!heap) {
			t->failed = true;
			return;
		}
		t->heap = heap;
		t->heap_cap = cap;
	}
	size_t i = t->waiting++;
	for (; i && worse(&t->heap[(i - 1) / 2], &b); i = (i - 1) / 2)
		t->heap[i] = t->heap[(i - 1) / 2];
	t->heap[i] = b;
}

static void push_touched(struct trainer *t)
{
	for (size_t i = 0; i < t->touches; i++) {
		struct pair *p = pair_slot(t, t->touched[i].left, t->touched[i].right);
		p->touched = false;
		push(t, (struct best){p->count, p->left, p->right});
	}
	t->touches = 0;
}

static struct best pop(struct trainer *t)
{
	struct best top = t->heap[0], last = t->heap[--t->waiting];
	size_t i = 0;
	for (size_t c; (c = 2 * i + 1) < t->waiting; i = c) {
		if (c + 1 < t->waiting && worse(&t->heap[c], &t->heap[c + 1]))
			c++;
		if (!worse(&last, &t->heap[c]))
			break;
		t->heap[i] = t->heap[c];
	}
	t->heap[i] = last;
	return top;
}

/* ---- tokens ---- */

static int token(struct trainer *t, const char *s, size_t n)
{
	int id = tok_map_get(&t->ids, s, n);
	if (id >= 0)
		return id;
	ul_buf *b = &t->piece[t->size];
	ul_buf_add(b, s, n);
	if (b->failed || json_object_setn_new_nocheck(t->vocab, s, n, json_integer(t->size)))
		return t->failed = true, -1;
	tok_map_put(&t->ids, b->data, n, t->size);
	return t->size++;
}

/* End of text, then the bytes in the order of their visible characters; byte b becomes symbol of[b]. */
static void first_tokens(struct trainer *t, int of[256])
{
	token(t, "<|endoftext|>", 13);
	for (uint32_t c = 0; c < 0x144; c++) {
		char u[4];
		int b = tok_char_byte(c);
		if (b >= 0)
			of[b] = token(t, u, (size_t)ul_utf8_put(c, u));
	}
}

static void first_pairs(struct trainer *t, const int of[256])
{
	size_t kept = 0;
	for (size_t i = 0; i <= t->word_mask && t->word; i++)
		if (t->word[i].s)
			t->word[kept++] = t->word[i];
	for (size_t w = 0; w < kept && !t->failed; w++) {
		struct word *x = &t->word[w];
		x->syms = (int)x->n;
		if (!(x->sym = ul_alloc_raw(&t->arena, x->n * sizeof *x->sym))) {
			t->failed = true;
			return;
		}
		for (uint32_t k = 0; k < x->n; k++) {
			x->sym[k] = of[(unsigned char)x->s[k]];
			if (k)
				change(t, x->sym[k - 1], x->sym[k], x->count, (int)w);
		}
	}
	push_touched(t);
}

/* Joins the pair wherever it stands in word w; the pairs at its edges change with it. */
static void join(struct trainer *t, int w, int left, int right, int id)
{
	struct word *x = &t->word[w];
	int k = 0;
	for (int i = 0; i < x->syms; i++) {
		if (i + 1 == x->syms || x->sym[i] != left || x->sym[i + 1] != right) {
			x->sym[k++] = x->sym[i];
			continue;
		}
		if (k) {
			change(t, x->sym[k - 1], left, -x->count, w);
			change(t, x->sym[k - 1], id, x->count, w);
		}
		if (i + 2 < x->syms) {
			change(t, right, x->sym[i + 2], -x->count, w);
			change(t, id, x->sym[i + 2], x->count, w);
		}
		x->sym[k++] = id;
		i++;
	}
	x->syms = k;
}

static bool learn(struct trainer *t, struct best b)
{
	ul_buf joined = {0};
	ul_buf_add(&joined, t->piece[b.left].data, t->piece[b.left].len);
	ul_buf_add(&joined, t->piece[b.right].data, t->piece[b.right].len);
	int id = joined.failed ? -1 : token(t, joined.data, joined.len);
	ul_buf_release(&joined);
	t->failed |= id < 0;
	if (t->failed || json_array_append_new(t->merges, json_pack("[s%, s%]", t->piece[b.left].data, t->piece[b.left].len,
	                                                          t->piece[b.right].data, t->piece[b.right].len)))
		return t->failed = true, false;
	struct pair *slot = pair_slot(t, b.left, b.right), p = *slot;
	slot->word = NULL; /* taken over; the slot itself may move while words change */
	slot->words = slot->cap = 0;
	for (int i = 0; i < p.words; i++)
		join(t, p.word[i], b.left, b.right, id);
	ul_free(p.word);
	if (t->failed)
		return false;
	pair_slot(t, b.left, b.right)->count = 0;
	return true;
}

static bool run(struct trainer *t, int vocab)
{
	int of[256];
	first_tokens(t, of);
	first_pairs(t, of);
	while (!t->failed && t->size < vocab && t->waiting) {
		struct best b = pop(t);
		int64_t now = pair_slot(t, b.left, b.right)->count;
		if (now != b.count) { /* it has lost since it was put there */
			if (now > 0)
				push(t, (struct best){now, b.left, b.right});
			continue;
		}
		if (now < MIN_COUNT)
			break;
		if (learn(t, b))
			push_touched(t);
	}
	return !t->failed;
}

static void release(struct trainer *t, int vocab)
{
	for (size_t i = 0; t->pair && i <= t->pair_mask; i++)
		if (t->pair[i].left >= 0)
			ul_free(t->pair[i].word);
	for (int i = 0; t->piece && i < vocab; i++)
		ul_buf_release(&t->piece[i]);
	ul_free(t->pair);
	ul_free(t->word);
	ul_free(t->heap);
	ul_free(t->touched);
	json_decref(t->vocab);
	json_decref(t->merges);
	ul_arena_release(&t->arena);
}

static bool read_texts(struct trainer *t, const char *const *texts, const size_t *lens, int n, struct tok_out *repaired)
{
	for (int i = 0; i < n && !t->failed; i++) {
		if (ul_utf8_ok(texts[i], lens[i])) {
			count_words(t, texts[i], lens[i]);
			continue;
		}
		tok_repair(texts[i], lens[i], &repaired[i]);
		t->failed |= repaired[i].failed;
		if (!t->failed)
			count_words(t, repaired[i].s, repaired[i].n);
	}
	return !t->failed;
}

static ul_tok *build(struct trainer *t, ul_err *err)
{
	json_t *added = json_array();
	json_array_append_new(added, tok_make_added(END_OF_TEXT, "<|endoftext|>", 13, true));
	json_t *root = tok_assemble((struct tok_parts){.vocab = json_incref(t->vocab), .merges = json_incref(t->merges), .added = added, .pre = tok_make_byte_level(false, true), .post = tok_make_byte_level(true, true), .decoder = tok_make_byte_level(true, true)},
	        err);
	return root ? tok_new_from_json(root, err) : NULL;
}

ul_tok *ul_tok_train(const char *const *texts, const size_t *lens, int n, int vocab, ul_err *err)
{
	if (vocab < FIRST_MERGE || vocab >= TOK_MAX_ID)
		return ul_fail(err, "a vocabulary of %d tokens; it must have %d (the bytes and <|endoftext|>) to %d", vocab, FIRST_MERGE, TOK_MAX_ID - 1),
		       NULL;
	struct trainer t = {.vocab = json_object(), .merges = json_array()};
	struct tok_out *repaired = ul_calloc((size_t)n + 1, sizeof *repaired);
	t.piece = ul_calloc((size_t)vocab, sizeof *t.piece);
	t.failed = !t.vocab || !t.merges || !repaired || !t.piece || !tok_map_init(&t.ids, &t.arena, (size_t)vocab) || !more_pairs(&t);
	bool ok = !t.failed && read_texts(&t, texts, lens, n, repaired) && run(&t, vocab);
	ul_tok *tok = ok ? build(&t, err) : NULL;
	if (!ok)
		ul_nomem(err, (size_t)vocab * sizeof *t.piece);
	release(&t, vocab);
	for (int i = 0; repaired && i < n; i++)
		tok_out_release(&repaired[i]);
	ul_free(repaired);
	ul_free(t.piece);
	return tok;
}
