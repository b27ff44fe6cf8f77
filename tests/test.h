/*
 * test.h: what a test may say. A test is `static void test_<file>__<what>(void)` in tests/<folder>/test_<file>.c, found by its
 * name; it runs in a process of its own with a time limit, from the top of the tree.
 *
 * CHECK… record a failure and go on; NEED ends the test; SKIP ends it with a reason, which `make test` prints aloud.
 */
#ifndef TEST_H
#define TEST_H

#include "base/base.h"
#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond) test_check((cond), __FILE__, __LINE__, "%s", #cond)
#define CHECK_MSG(cond, ...) test_check((cond), __FILE__, __LINE__, __VA_ARGS__)
#define NEED(cond) ((cond) ? (void)0 : test_end(__FILE__, __LINE__, "%s", #cond))
/* NEED_OK(ul_something(…, &err), err): ends the test with the message that came back. */
#define NEED_OK(cond, err) ((cond) ? (void)0 : test_end(__FILE__, __LINE__, "%s: %s", #cond, (err).msg))
/* The call fails, and its sentence contains `part`. */
#define CHECK_FAILS(cond, err, part) test_fails((cond), &(err), part, __FILE__, __LINE__, #cond)
#define CHECK_EQ_INT(a, b) test_eq_int((long long)(a), (long long)(b), __FILE__, __LINE__, #a " == " #b)
#define CHECK_STR(a, b) test_eq_str((a), (b), __FILE__, __LINE__, #a " == " #b)
#define CHECK_HAS(text, part) test_has((text), (part), __FILE__, __LINE__, #text)
#define CHECK_CLOSE(a, b, rel) test_close((double)(a), (double)(b), (rel), 0, __FILE__, __LINE__, #a " ~ " #b)
#define CHECK_NEAR(a, b, abs) test_close((double)(a), (double)(b), 0, (abs), __FILE__, __LINE__, #a " ~ " #b)
/* max |a - b| <= rel · max |b| over arrays of float or double */
#define CHECK_ARRAY(a, b, n, rel) test_array((a), sizeof *(a), (b), sizeof *(b), (n), (rel), __FILE__, __LINE__, #a " ~ " #b)
#define SKIP(...) test_skip(__VA_ARGS__)

bool test_check(bool ok, const char *file, int line, const char *fmt, ...) UL_PRINTF(4, 5); /* returns ok */
_Noreturn void test_end(const char *file, int line, const char *fmt, ...) UL_PRINTF(3, 4);
_Noreturn void test_skip(const char *fmt, ...) UL_PRINTF(1, 2);
bool test_fails(bool ok, const ul_err *err, const char *part, const char *file, int line, const char *what);
bool test_eq_int(long long a, long long b, const char *file, int line, const char *what);
bool test_eq_str(const char *a, const char *b, const char *file, int line, const char *what);
bool test_has(const char *text, const char *part, const char *file, int line, const char *what);
bool test_close(double a, double b, double rel, double abs, const char *file, int line, const char *what);
bool test_array(const void *a, size_t a_size, const void *b, size_t b_size, size_t n, double rel, const char *file, int line, const char *what);

const char *test_tmp(void); /* an empty directory of this test, removed afterwards */
const char *test_path(const char *name); /* test_tmp()/name, valid until the test ends */
void test_file(const char *name, const char *text); /* writes test_tmp()/name */
/* "../shared/data/<name>": real data that lives beside the project, never in it. Skips aloud where it is missing. */
const char *test_shared(const char *name);

/* Runs f(ud) again and again, its 1st, 2nd, … allocation failing, until it gets through untouched. f must return false whenever
 * it could not do its work, and its err must then hold a message. Returns how many allocations were refused. Those inside jansson
 * are not: jansson 2.14 drops a byte of a string, silently, when the buffer it collects the string in cannot grow. */
int test_each_alloc(bool (*f)(void *ud, ul_err *err), void *ud);

/* ---- between a test file and its generated runner ---- */

struct test_case {
	const char *name;
	void (*run)(void);
};
extern const struct test_case test_cases[];
extern const char test_folder[];

#endif
