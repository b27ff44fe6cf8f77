/*
 * base.h: the ground floor. Errors, memory, bytes, randomness; knows no tensors.
 */
#ifndef UL_BASE_H
#define UL_BASE_H

#include "unlearn.h"

#include <stdarg.h>
#include <stdio.h>

#if defined(__GNUC__)
#define UL_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define UL_PRINTF(a, b)
#endif

/* ---- errors of the world: `return ul_fail(err, "…", value, limit)` ---- */

bool ul_fail(ul_err *err, const char *fmt, ...) UL_PRINTF(2, 3); /* always false; the first message wins; err may be NULL */
void ul_hint(ul_err *err, const char *fmt, ...) UL_PRINTF(2, 3); /* added to the message just given */
bool ul_nomem(ul_err *err, size_t bytes); /* always false: "out of memory: N bytes wanted" */
/* How often this process has lacked memory, or could not open, map or read a file that is there: who judges what strangers sent tells from
 * it whether the machine failed or the input. */
unsigned long ul_troubles(void);
void ul_trouble(void); /* one more */

#ifdef __clang_analyzer__ /* which does not look into err.c, and would follow paths on which a failure returns true */
#define ul_fail(...) (ul_fail(__VA_ARGS__), false)
#define ul_nomem(...) (ul_nomem(__VA_ARGS__), false)
#endif

/* Ours: an impossible state prints the condition with its shapes and aborts. Never reachable from a file or a flag. */
#define UL_ASSERT(cond, ...) ((cond) ? (void)0 : ul_abort(__FILE__, __LINE__, #cond, __VA_ARGS__))
_Noreturn void ul_abort(const char *file, int line, const char *cond, const char *fmt, ...) UL_PRINTF(4, 5);

/* ---- the one door to the heap: tests make the n-th call fail ---- */

void *ul_malloc(size_t bytes); /* not zeroed; NULL when out of memory */
void *ul_calloc(size_t n, size_t size); /* zeroed; product checked */
void *ul_realloc(void *p, size_t bytes);
void ul_free(void *p);
char *ul_strdup(const char *s);
void ul_malloc_fail_at(long nth); /* tests only: the nth call from now returns NULL; 0 switches off */
bool ul_malloc_refused(void); /* tests only: that nth call has come */
bool ul_mul_ok(size_t a, size_t b, size_t *out); /* overflow-checked product and sum for sizes read from files */
bool ul_add_ok(size_t a, size_t b, size_t *out);

/* ---- arena: many allocations, one end ----
 * Chunks of 2 MB pages (advised), touched once and reused after a reset. Running out of memory is sticky: ul_alloc returns NULL
 * and `failed` stays set until the arena is released. */

typedef struct ul_arena_chunk ul_arena_chunk;
typedef struct ul_arena {
	ul_arena_chunk *head, *cur;
	size_t chunk; /* bytes of the next chunk; 0 = default 1 MiB */
	size_t used, peak;
	bool failed;
} ul_arena;
typedef struct ul_mark {
	ul_arena_chunk *chunk;
	size_t at, used;
} ul_mark;

void *ul_alloc(ul_arena *a, size_t bytes); /* zeroed, 64-byte aligned; dies with the arena */
void *ul_alloc_raw(ul_arena *a, size_t bytes); /* the same, not zeroed: for memory that is written whole */
char *ul_arena_strdup(ul_arena *a, const char *s);
char *ul_arena_printf(ul_arena *a, const char *fmt, ...) UL_PRINTF(2, 3);
ul_mark ul_arena_mark(const ul_arena *a);
void ul_arena_reset(ul_arena *a, ul_mark m); /* frees nothing to the system: the chunks are used again */
void ul_arena_release(ul_arena *a); /* back to a zeroed ul_arena */

/* ---- growable bytes ---- */

typedef struct ul_buf {
	char *data; /* always NUL-terminated when not NULL */
	size_t len, cap;
	bool failed; /* sticky: out of memory */
} ul_buf;

void ul_buf_add(ul_buf *b, const void *bytes, size_t n);
void ul_buf_str(ul_buf *b, const char *s);
void ul_buf_printf(ul_buf *b, const char *fmt, ...) UL_PRINTF(2, 3);
void ul_buf_release(ul_buf *b);

/* ---- randomness: counter-based (Philox4x32-10), addressed by purpose, never a shared stream ----
 * Two streams with different (seed, purpose, index) are independent; the same address gives the same numbers on every machine. */

typedef struct ul_rng {
	uint32_t key[2], ctr[4], out[4];
	int have;
} ul_rng;

ul_rng ul_rng_at(uint64_t seed, const char *purpose, uint64_t index);
uint32_t ul_rng_u32(ul_rng *r);
double ul_rng_uniform(ul_rng *r); /* [0, 1), 53 bits */
double ul_rng_normal(ul_rng *r); /* mean 0, variance 1 (Box-Muller, one of the pair) */
uint32_t ul_rng_below(ul_rng *r, uint32_t n); /* unbiased, n > 0 */
void ul_rng_shuffle(ul_rng *r, int *a, int n); /* Fisher-Yates */
bool ul_secret_bytes(void *out, size_t n, ul_err *err); /* from the system's CSPRNG: keys of MPU and DP */

#endif
