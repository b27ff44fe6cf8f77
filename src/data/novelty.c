/*
 * novelty.c: exact and near repetitions.
 */
#include "data/novelty.h"

#include <ctype.h>
#include <string.h>

uint64_t ul_digest(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h ? h : 1; /* 0 marks a free slot */
}

static uint64_t spread(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdu;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53u;
	return x ^ x >> 33;
}

static size_t find(const ul_seen *s, uint64_t digest)
{
	size_t at = (size_t)spread(digest) & (s->cap - 1);
	while (s->slot[at] && s->slot[at] != digest)
		at = (at + 1) & (s->cap - 1);
	return at;
}

static bool grow(ul_seen *s)
{
	ul_seen more = {.cap = s->cap ? 2 * s->cap : 64, .n = s->n, .failed = s->failed};
	more.slot = ul_calloc(more.cap, sizeof *more.slot);
	if (!more.slot)
		return false;
	for (size_t i = 0; i < s->cap; i++)
		if (s->slot[i])
			more.slot[find(&more, s->slot[i])] = s->slot[i];
	ul_free(s->slot);
	*s = more;
	return true;
}

bool ul_seen_add(ul_seen *s, uint64_t digest)
{
	digest = digest ? digest : 1;
	if (2 * (s->n + 1) > s->cap && !grow(s)) {
		s->failed = true;
		return false;
	}
	size_t at = find(s, digest);
	if (s->slot[at])
		return false;
	s->slot[at] = digest;
	s->n++;
	return true;
}

bool ul_seen_has(const ul_seen *s, uint64_t digest)
{
	return s->cap && s->slot[find(s, digest ? digest : 1)];
}

void ul_seen_release(ul_seen *s)
{
	ul_free(s->slot);
	*s = (ul_seen){0};
}

/* ---- near repetitions ---- */

static bool word_byte(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* Digest of the next word at *at, lower case; 0 at the end. */
static uint64_t next_word(const char *text, size_t n, size_t *at)
{
	uint64_t h = 0xcbf29ce484222325u;
	size_t i = *at;
	while (i < n && !word_byte(text[i]))
		i++;
	if (i == n)
		return 0;
	for (; i < n && word_byte(text[i]); i++)
		h = (h ^ (unsigned char)tolower((unsigned char)text[i])) * 0x100000001b3u;
	*at = i;
	return h | 1;
}

void ul_sketch_of(ul_sketch *s, const char *text, size_t n)
{
	uint64_t word[3] = {0}, w;
	size_t at = 0;
	memset(s->min, 0xFF, sizeof s->min);
	while ((w = next_word(text, n, &at))) {
		word[0] = word[1];
		word[1] = word[2];
		word[2] = w;
		uint64_t shingle = spread(word[0] * 3 + spread(word[1] * 5 + spread(word[2])));
		for (int i = 0; i < UL_SKETCH; i++) { /* one hash function each: the shingle with another constant */
			uint32_t h = (uint32_t)(spread(shingle + (uint64_t)i * 0x9e3779b97f4a7c15u) >> 32);
			s->min[i] = h < s->min[i] ? h : s->min[i];
		}
	}
}

double ul_sketch_similar(const ul_sketch *a, const ul_sketch *b)
{
	int same = 0;
	for (int i = 0; i < UL_SKETCH; i++)
		same += a->min[i] == b->min[i];
	return (double)same / UL_SKETCH;
}
