/*
 * test_arena.c: zeroed, aligned, reused after a reset, and a failure that sticks.
 */
#include "test.h"

static void test_arena__zeroed_and_aligned_also_after_reset(void)
{
	ul_arena a = {0};
	for (int round = 0; round < 3; round++) {
		ul_mark m = ul_arena_mark(&a);
		for (size_t n = 0; n < 3000; n += 37) {
			char *p = ul_alloc(&a, n);
			NEED(p);
			CHECK_EQ_INT((uintptr_t)p % 64, 0);
			for (size_t i = 0; i < n; i++)
				NEED(p[i] == 0);
			memset(p, 0xAA, n);
			char *q = ul_alloc_raw(&a, n);
			NEED(q);
			memset(q, 0xBB, n);
		}
		ul_arena_reset(&a, m);
		CHECK_EQ_INT(a.used, 0);
	}
	ul_arena_release(&a);
	CHECK(!a.head && !a.cur && !a.peak);
}

static void test_arena__allocations_do_not_overlap(void)
{
	ul_arena a = {.chunk = 4096};
	char *p[200];
	for (int i = 0; i < 200; i++) {
		p[i] = ul_alloc(&a, 100 + (size_t)i * 7);
		NEED(p[i]);
		memset(p[i], i, 100 + (size_t)i * 7);
	}
	for (int i = 0; i < 200; i++)
		for (int j = 0; j < 100 + i * 7; j++)
			NEED((unsigned char)p[i][j] == i);
	ul_arena_release(&a);
}

static void test_arena__mark_keeps_what_stood_before(void)
{
	ul_arena a = {0};
	char *kept = ul_arena_strdup(&a, "kept");
	ul_mark m = ul_arena_mark(&a);
	size_t used = a.used;
	char *first = ul_alloc(&a, 5 << 20);
	NEED(first);
	memset(first, 1, 5 << 20);
	ul_arena_reset(&a, m);
	CHECK_EQ_INT(a.used, used);
	CHECK(a.peak >= (size_t)5 << 20);
	char *again = ul_alloc(&a, 5 << 20);
	CHECK(again == first); /* the chunk is used again, and looks new */
	NEED(again);
	for (size_t i = 0; i < (size_t)5 << 20; i += 101)
		NEED(again[i] == 0);
	CHECK_STR(kept, "kept");
	ul_arena_release(&a);
}

/* A step that allocates the same sizes again and again must not grow. */
static void test_arena__steady_state(void)
{
	ul_arena a = {0};
	size_t chunks[2] = {0};
	for (int round = 0; round < 50; round++) {
		ul_mark m = ul_arena_mark(&a);
		for (int i = 0; i < 40; i++)
			NEED(ul_alloc(&a, (size_t)(i * 7919 + round % 3 * 1000) % 3000000));
		void *before = a.head;
		ul_arena_reset(&a, m);
		if (round == 10)
			chunks[0] = a.chunk;
		if (round == 49)
			chunks[1] = a.chunk;
		CHECK(a.head == before);
	}
	CHECK_EQ_INT(chunks[0], chunks[1]);
	ul_arena_release(&a);
}

static void test_arena__printf(void)
{
	ul_arena a = {0};
	CHECK_STR(ul_arena_printf(&a, "%d-%s", 7, "x"), "7-x");
	char *big = ul_arena_printf(&a, "%*d", 100000, 5);
	CHECK(big && strlen(big) == 100000);
	ul_arena_release(&a);
}

static void test_arena__out_of_memory_sticks(void)
{
	ul_arena a = {0};
	CHECK(ul_alloc(&a, 100));
	ul_malloc_fail_at(1);
	CHECK(!ul_alloc(&a, 8 << 20));
	ul_malloc_fail_at(0);
	CHECK(a.failed);
	CHECK(!ul_alloc(&a, 1));
	CHECK(!ul_arena_strdup(&a, "x"));
	CHECK(!ul_arena_printf(&a, "x"));
	ul_arena_release(&a);
	CHECK(!a.failed);
	CHECK(!ul_alloc(&a, SIZE_MAX - 10));
	CHECK(a.failed);
	ul_arena_release(&a);
	CHECK(!ul_alloc(&a, SIZE_MAX / 2));
	ul_arena_release(&a);
}
