/*
 * test_buf.c: growable bytes.
 */
#include "test.h"

static void test_buf__grows_and_ends_in_nul(void)
{
	ul_buf b = {0};
	for (int i = 0; i < 5000; i++) {
		ul_buf_add(&b, "ab\0", 3);
		NEED(b.data[b.len] == '\0');
	}
	ul_buf_str(&b, "tail");
	ul_buf_printf(&b, " %d %s", 42, "x");
	CHECK(!b.failed);
	CHECK_EQ_INT(b.len, 15000 + 9);
	CHECK_STR(b.data + 15000, "tail 42 x");
	ul_buf_release(&b);
	CHECK(!b.data && !b.len && !b.cap);
}

static void test_buf__empty_addition_makes_a_string(void)
{
	ul_buf b = {0};
	ul_buf_add(&b, "", 0);
	CHECK_STR(b.data, "");
	ul_buf_release(&b);
}

static void test_buf__long_printf(void)
{
	ul_buf b = {0};
	ul_buf_printf(&b, "%*s", 70000, "end");
	CHECK_EQ_INT(b.len, 70000);
	ul_buf_release(&b);
}

static void test_buf__failure_sticks(void)
{
	ul_buf b = {0};
	ul_buf_str(&b, "kept");
	ul_malloc_fail_at(1);
	ul_buf_printf(&b, "%*s", 70000, "end");
	ul_malloc_fail_at(0);
	CHECK(b.failed);
	ul_buf_str(&b, "more");
	CHECK_STR(b.data, "kept");
	ul_buf_release(&b);
	CHECK(!b.failed);
	ul_buf_add(&b, "x", SIZE_MAX);
	CHECK(b.failed);
	ul_buf_release(&b);
}
