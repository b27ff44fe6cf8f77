/*
 * decode.c: slots of a key/value cache and the passes that fill them. Many slots advance in one pass; a long prompt is cut into
 * pieces so that a pass stays small.
 */
#include "model/decode.h"

#include <omp.h>
#include <string.h>

enum { PASS_TOKENS = 1024 };

bool ul_decoder_init(ul_decoder *d, ul_model *m, int slots, int capacity, ul_err *err)
{
	*d = (ul_decoder){.m = m, .slots = slots, .capacity = capacity, .vocab = m->cfg.vocab};
	ul_tape_init(&d->tape, m->be);
	d->tape.record = false;
	d->logits = ul_malloc((size_t)slots * (size_t)d->vocab * sizeof *d->logits);
	d->work = ul_malloc((size_t)ul_threads() * 3 * (size_t)d->vocab * sizeof *d->work);
	bool ok = (d->logits && d->work) || ul_nomem(err, (size_t)slots * (size_t)d->vocab * sizeof *d->logits);
	if (ok && ul_cache_init(&d->cache, m, slots, capacity, err))
		return true;
	ul_decoder_release(d);
	return false;
}

void ul_decoder_release(ul_decoder *d)
{
	if (d->cache.layer)
		ul_cache_release(&d->cache);
	ul_tape_release(&d->tape);
	ul_arena_release(&d->arena);
	ul_free(d->logits);
	ul_free(d->work);
	*d = (ul_decoder){0};
}

void ul_decoder_clear(ul_decoder *d, int slot)
{
	for (int l = 0; l < d->cache.layers; l++)
		d->cache.layer[l].len[slot] = 0;
}

void ul_decoder_share(ul_decoder *d, int from, int to, int keep)
{
	ul_cache_copy_slot(&d->cache, from, to);
	for (int l = 0; l < d->cache.layers; l++)
		d->cache.layer[l].len[to] = keep;
}

float *ul_decoder_logits(const ul_decoder *d, int slot)
{
	return d->logits + (size_t)slot * (size_t)d->vocab;
}

float *ul_decoder_work(const ul_decoder *d)
{
	return d->work + (size_t)omp_get_thread_num() * 3 * (size_t)d->vocab;
}

/* The input of a pass in which some pieces are soft; NULL when none is, or when memory is gone (then the tape says so). */
static ul_val *soft_input(ul_decoder *d, const ul_feed *feed, int n, const int *ids, int rows)
{
	size_t width = (size_t)d->m->cfg.hidden;
	int softs = 0, *from = ul_alloc(&d->arena, (size_t)(rows + 1) * sizeof *from);
	for (int i = 0; i < n; i++)
		softs += feed[i].soft ? feed[i].n : 0;
	if (!softs)
		return NULL;
	float *x = ul_alloc_raw(&d->arena, (size_t)softs * width * sizeof *x); /* [softs, hidden] */
	if (!from || !x) {
		d->tape.failed = true;
		return NULL;
	}
	for (int i = 0, row = 0, at = 0; i < n; i++) {
		if (feed[i].soft)
			memcpy(x + (size_t)at * width, feed[i].soft, (size_t)feed[i].n * width * sizeof *x);
		for (int t = 0; t < feed[i].n; t++)
			from[row++] = feed[i].soft ? at++ : -1;
	}
	return ul_soft_rows(d->m, ul_const_f32(&d->tape, softs, (int)width, x), ids, from, rows);
}

/* One pass over pieces of sequences; `head[i]` says that piece i ends its sequence. */
static bool pass(ul_decoder *d, const ul_feed *feed, int n, const bool *head, ul_err *err)
{
	int rows = 0, heads = 0;
	for (int i = 0; i < n; i++)
		rows += feed[i].n;
	ul_arena_reset(&d->arena, (ul_mark){0});
	int *ids = ul_alloc(&d->arena, (size_t)rows * sizeof *ids), *pos = ul_alloc(&d->arena, (size_t)rows * sizeof *pos);
	int *start = ul_alloc(&d->arena, (size_t)(n + 1) * sizeof *start), *slot = ul_alloc(&d->arena, (size_t)n * sizeof *slot);
	int *last = ul_alloc(&d->arena, (size_t)n * sizeof *last), *owner = ul_alloc(&d->arena, (size_t)n * sizeof *owner);
	if (d->arena.failed)
		return ul_nomem(err, (size_t)rows * 2 * sizeof *ids);
	for (int i = 0; i < n; i++) {
		int past = d->cache.layer[0].len[feed[i].slot];
		UL_ASSERT(past + feed[i].n <= d->capacity, "%d + %d positions, capacity %d", past, feed[i].n, d->capacity);
		if (!feed[i].soft)
			memcpy(ids + start[i], feed[i].ids, (size_t)feed[i].n * sizeof *ids);
		for (int t = 0; t < feed[i].n; t++)
			pos[start[i] + t] = past + t;
		start[i + 1] = start[i] + feed[i].n;
		slot[i] = owner[heads] = feed[i].slot;
		last[heads] = start[i + 1] - 1;
		heads += head[i];
	}
	ul_pass p = {.tape = &d->tape, .ids = ids, .pos = pos, .span = {n, start}, .cache = &d->cache, .slot = slot, .soft = soft_input(d, feed, n, ids, rows)};
	if (!ul_tape_ok(&d->tape, err))
		return false;
	ul_val *h = ul_forward(d->m, &p); /* [rows, hidden] */
	if (heads) {
		ul_val *z = ul_head_logits(ul_rows(h, last, heads), d->m->head, d->m->head_b); /* [heads, vocab] */
		float *all = ul_alloc_raw(&d->arena, (size_t)heads * (size_t)d->vocab * sizeof *all);
		if (!ul_tape_ok(&d->tape, err) || !all)
			return ul_nomem(err, (size_t)heads * (size_t)d->vocab * sizeof *all);
		ul_read_f32(z, all);
		for (int i = 0; i < heads; i++)
			memcpy(ul_decoder_logits(d, owner[i]), all + (size_t)i * (size_t)d->vocab, (size_t)d->vocab * sizeof *all);
	}
	bool ok = ul_tape_ok(&d->tape, err);
	ul_tape_reset(&d->tape);
	return ok;
}

bool ul_decoder_feed(ul_decoder *d, const ul_feed *feed, int n, ul_err *err)
{
	ul_feed *piece = ul_malloc((size_t)(n + 1) * sizeof *piece);
	bool *head = ul_malloc((size_t)(n + 1) * sizeof *head);
	bool ok = (piece && head) || ul_nomem(err, (size_t)n * sizeof *piece);
	int pieces = 0, rows = 0;
	for (int i = 0, at = 0; ok && i < n;) {
		int room = PASS_TOKENS - rows, left = feed[i].n - at, take = left < room ? left : room;
		piece[pieces] = (ul_feed){feed[i].slot, feed[i].soft ? NULL : feed[i].ids + at, take, feed[i].soft ? feed[i].soft + (size_t)at * (size_t)d->m->cfg.hidden : NULL};
		head[pieces++] = take == left;
		rows += take;
		at += take;
		if (at == feed[i].n) {
			at = 0;
			i++;
		}
		if (rows == PASS_TOKENS || i == n) {
			ok = pass(d, piece, pieces, head, err);
			pieces = rows = 0;
		}
	}
	ul_free(piece);
	ul_free(head);
	return ok;
}
