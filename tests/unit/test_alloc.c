/*
 * test_alloc.c: the door to the heap, and that it closes at the n-th call.
 */
#include "base/alloc.h"
#include "test.h"

static void test_alloc__nothing_is_something(void)
{
	void *a = ul_malloc(0), *b = ul_calloc(0, 8);
	CHECK(a && b);
	ul_free(a);
	ul_free(b);
	ul_free(NULL);
}

static void test_alloc__calloc_is_zero_and_checked(void)
{
	char *p = ul_calloc(100, 3);
	NEED(p);
	for (int i = 0; i < 300; i++)
		CHECK_EQ_INT(p[i], 0);
	ul_free(p);
	volatile size_t many = SIZE_MAX / 2;
	CHECK(!ul_calloc(many, 4));
}

static void test_alloc__nth_call_fails_once(void)
{
	ul_malloc_fail_at(3);
	void *a = ul_malloc(1), *b = ul_calloc(1, 1);
	CHECK(a && b && !ul_malloc_refused());
	CHECK(!ul_realloc(a, 100) && ul_malloc_refused());
	void *c = ul_malloc(1);
	CHECK(c);
	ul_malloc_fail_at(0);
	ul_free(a);
	ul_free(b);
	ul_free(c);
	ul_malloc_fail_at(1);
	CHECK(!ul_strdup("x"));
	ul_malloc_fail_at(1);
	CHECK(!ul_pages_new(4096));
	ul_malloc_fail_at(0);
}

static void test_alloc__products_and_sums(void)
{
	size_t out = 1;
	CHECK(ul_mul_ok(1u << 20, 1u << 20, &out) && out == (size_t)1 << 40);
	CHECK(!ul_mul_ok((size_t)1 << 40, (size_t)1 << 40, &out));
	CHECK(ul_add_ok(2, 3, &out) && out == 5);
	CHECK(!ul_add_ok(SIZE_MAX, 1, &out));
}

static void test_alloc__big_pages_are_aligned(void)
{
	size_t sizes[] = {4096, (size_t)2 << 20, (size_t)3 << 20};
	for (int i = 0; i < 3; i++) {
		char *p = ul_pages_new(sizes[i]);
		NEED(p);
#ifndef __SANITIZE_ADDRESS__
		if (sizes[i] >= (size_t)2 << 20)
			CHECK_EQ_INT((uintptr_t)p % ((size_t)2 << 20), 0);
#endif
		for (size_t at = 0; at < sizes[i]; at += 512)
			CHECK_EQ_INT(p[at], 0);
		p[0] = p[sizes[i] - 1] = 1;
		ul_pages_free(p, sizes[i]);
	}
}
