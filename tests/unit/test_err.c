/*
 * test_err.c: the first message wins, and nothing a stranger wrote reaches the terminal raw.
 */
#include "test.h"

static void test_err__first_message_wins(void)
{
	ul_err err = {0};
	CHECK(!ul_fail(&err, "%d is more than %d", 7, 5));
	CHECK(!ul_fail(&err, "later"));
	CHECK_STR(err.msg, "7 is more than 5");
	CHECK(!ul_fail(NULL, "nobody listens"));
}

static void test_err__hint_is_added(void)
{
	ul_err err = {0};
	ul_fail(&err, "no");
	ul_hint(&err, "try %s", "this");
	ul_hint(&err, "or that");
	CHECK_STR(err.hint, "try this");
	CHECK_STR(err.msg, "no");
	ul_hint(NULL, "x");
}

static void test_err__out_of_memory_names_the_size(void)
{
	ul_err err = {0};
	CHECK(!ul_nomem(&err, 4096));
	CHECK_STR(err.msg, "out of memory: 4096 bytes wanted");
}

static void test_err__control_bytes_are_replaced(void)
{
	ul_err err = {0};
	ul_fail(&err, "bad name %s", "a\033[2Jb\nc\x7f");
	CHECK_STR(err.msg, "bad name a?[2Jb?c?");
}

/* What is no UTF-8 becomes question marks, and what is stays: also where a limit has cut a character in the middle of a sentence. */
static void test_err__what_is_no_text_is_replaced(void)
{
	static const struct {
		const char *given, *said;
	} cases[] = {{"\xff\xfe\x80", "a \"???\" b"}, {"caf\xc3\xa9", "a \"caf\xc3\xa9\" b"}, {"\xe2\x82", "a \"??\" b"}, {"\xc2\x9b\x33\x31m", "a \"??31m\" b"}, {"\xf0\x9f\x98\x80", "a \"\xf0\x9f\x98\x80\" b"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ul_err err = {0};
		ul_fail(&err, "a \"%s\" b", cases[i].given);
		CHECK_STR(err.msg, cases[i].said);
	}
}

static void test_err__long_messages_end_on_a_character(void)
{
	for (int pad = 0; pad < 4; pad++) {
		ul_err err = {0};
		char text[1024] = "";
		for (int i = 0; i < pad; i++)
			strcat(text, "x");
		for (int i = 0; i < 250; i++)
			strcat(text, "\xe2\x82\xac"); /* a euro sign */
		ul_fail(&err, "%s", text);
		size_t n = strlen(err.msg);
		CHECK(n > 500 && n < sizeof err.msg);
		CHECK_EQ_INT((n - (size_t)pad) % 3, 0);
	}
}

static void test_err__never_empty(void)
{
	ul_err err = {0};
	ul_fail(&err, "%s", "");
	CHECK(err.msg[0]);
}
