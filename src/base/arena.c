/*
 * arena.c: many allocations with one end, in chunks that are kept after a reset: memory of a training step is touched once.
 */
#include "base/alloc.h"

#include <string.h>

#if defined(__has_include)
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGN = 64,
	PAGE = 4096,
	FIRST = 1 << 20,
	LARGEST = 64 << 20 };

/* Under the sanitizer a poisoned gap follows every allocation, so that an overrun inside the arena is seen too. */
#if defined(__SANITIZE_ADDRESS__)
enum { GAP = 64 };
#else
enum { GAP = 0 };
#endif

struct ul_arena_chunk {
	ul_arena_chunk *next;
	size_t size, at; /* bytes of the whole chunk, offset of the next allocation */
	size_t dirty; /* bytes below this offset have been given out once and are no longer zero */
};

static size_t header(void)
{
	return (sizeof(ul_arena_chunk) + ALIGN - 1) / ALIGN * ALIGN;
}

static void rewind_chunk(ul_arena_chunk *c, size_t at)
{
	c->at = at;
	ASAN_POISON_MEMORY_REGION((char *)c + at, c->size - at);
}

/* A chunk already there that is large enough moves up behind the current one; otherwise a new one comes in. */
static ul_arena_chunk *next_chunk(ul_arena *a, size_t need)
{
	ul_arena_chunk **link = a->cur ? &a->cur->next : &a->head, *c;
	for (ul_arena_chunk **p = link; (c = *p); p = &c->next)
		if (c->size - header() >= need) {
			*p = c->next;
			break;
		}
	if (!c) {
		size_t size = a->chunk ? a->chunk : FIRST, whole;
		if (!ul_add_ok(need, header(), &whole))
			return NULL;
		if (size < whole)
			size = whole;
		if (!ul_add_ok(size, PAGE - 1, &size))
			return NULL;
		size -= size % PAGE;
		c = ul_pages_new(size);
		if (!c)
			return NULL;
		c->size = size;
		c->dirty = header();
		if (size < LARGEST && (!a->chunk || a->chunk < LARGEST))
			a->chunk = size * 2 < LARGEST ? size * 2 : LARGEST;
	}
	c->next = *link;
	*link = c;
	rewind_chunk(c, header());
	return a->cur = c;
}

static void *take(ul_arena *a, size_t bytes, bool zero)
{
	size_t need;
	if (a->failed || !ul_add_ok(bytes, ALIGN - 1 + GAP, &need)) {
		a->failed = true;
		return NULL;
	}
	need -= need % ALIGN;
	if (need == 0)
		need = ALIGN;
	ul_arena_chunk *c = a->cur;
	if (!c || c->size - c->at < need)
		c = next_chunk(a, need);
	if (!c) {
		a->failed = true;
		return NULL;
	}
	char *p = (char *)c + c->at;
	ASAN_UNPOISON_MEMORY_REGION(p, bytes);
	if (zero && c->at < c->dirty)
		memset(p, 0, bytes < c->dirty - c->at ? bytes : c->dirty - c->at);
	c->at += need;
	if (c->dirty < c->at)
		c->dirty = c->at;
	a->used += need;
	if (a->peak < a->used)
		a->peak = a->used;
	return p;
}

void *ul_alloc(ul_arena *a, size_t bytes)
{
	return take(a, bytes, true);
}

void *ul_alloc_raw(ul_arena *a, size_t bytes)
{
	return take(a, bytes, false);
}

char *ul_arena_strdup(ul_arena *a, const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = ul_alloc_raw(a, n);
	return copy ? memcpy(copy, s, n) : NULL;
}

char *ul_arena_printf(ul_arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *s = n < 0 ? NULL : ul_alloc_raw(a, (size_t)n + 1);
	if (s)
		vsnprintf(s, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return s;
}

ul_mark ul_arena_mark(const ul_arena *a)
{
	return (ul_mark){.chunk = a->cur, .at = a->cur ? a->cur->at : 0, .used = a->used};
}

void ul_arena_reset(ul_arena *a, ul_mark m)
{
	a->cur = m.chunk; /* NULL: the first chunk is entered again by the next allocation */
	if (m.chunk)
		rewind_chunk(m.chunk, m.at);
	for (ul_arena_chunk *c = m.chunk ? m.chunk->next : a->head; c; c = c->next)
		rewind_chunk(c, header());
	a->used = m.used;
}

void ul_arena_release(ul_arena *a)
{
	for (ul_arena_chunk *c = a->head, *next; c; c = next) {
		next = c->next;
		ASAN_UNPOISON_MEMORY_REGION(c, c->size);
		ul_pages_free(c, c->size);
	}
	*a = (ul_arena){0};
}
