/*
 * alloc.c: the one door to the heap. Tests close it at the n-th call to see that every caller notices.
 */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE ((size_t)2 << 20)

/* The only mutable state below the command: a countdown that is zero outside of tests. */
static atomic_long fail_at;

static bool refused(void)
{
	if (atomic_load_explicit(&fail_at, memory_order_relaxed) <= 0)
		return false;
	return atomic_fetch_sub(&fail_at, 1) == 1;
}

void ul_malloc_fail_at(long nth)
{
	atomic_store(&fail_at, nth > 0 ? nth : 0);
}

bool ul_malloc_refused(void)
{
	return atomic_load(&fail_at) < 1;
}

void *ul_malloc(size_t bytes)
{
	return refused() ? NULL : malloc(bytes ? bytes : 1);
}

void *ul_calloc(size_t n, size_t size)
{
	return refused() ? NULL : calloc(n ? n : 1, size ? size : 1);
}

void *ul_realloc(void *p, size_t bytes)
{
	return refused() ? NULL : realloc(p, bytes ? bytes : 1);
}

void ul_free(void *p)
{
	free(p);
}

char *ul_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = ul_malloc(n);
	return copy ? memcpy(copy, s, n) : NULL;
}

bool ul_mul_ok(size_t a, size_t b, size_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

bool ul_add_ok(size_t a, size_t b, size_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
/* The sanitizer sees overruns and leaks only of what its own malloc gave out. */
void *ul_pages_new(size_t bytes)
{
	void *p = refused() ? NULL : aligned_alloc(4096, bytes);
	return p ? memset(p, 0, bytes) : NULL;
}

void ul_pages_free(void *p, size_t bytes)
{
	free(p);
}
#else
void *ul_pages_new(size_t bytes)
{
	size_t slack = bytes >= HUGE ? HUGE : 0, total;
	if (refused() || !ul_add_ok(bytes, slack, &total))
		return NULL;
	char *p = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (slack) {
		size_t before = (HUGE - (uintptr_t)p % HUGE) % HUGE, after = slack - before;
		if (before)
			munmap(p, before);
		p += before;
		if (after)
			munmap(p + bytes, after);
		madvise(p, bytes, MADV_HUGEPAGE); /* advice: a kernel without huge pages serves small ones */
	}
	return p;
}

void ul_pages_free(void *p, size_t bytes)
{
	munmap(p, bytes);
}
#endif

/* ---- what the process takes ---- */

double ul_peak_bytes(void)
{
	char line[128];
	double kib = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, "VmHWM:", 6))
			kib = strtod(line + 6, NULL);
	if (f)
		fclose(f);
	return kib * 1024;
}

void ul_peak_reset(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");
	if (f) {
		fputs("5", f);
		fclose(f);
	}
}
