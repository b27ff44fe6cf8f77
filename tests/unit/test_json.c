/*
 * test_json.c: what is accepted, what is refused, and what the refusal says.
 */
#include "test.h"

static json_t *parse(const char *text, ul_err *err)
{
	return ul_json_parse(text, strlen(text), "t.json", err);
}

static void refused(const char *text, const char *part)
{
	ul_err err = {0};
	json_t *v = parse(text, &err);
	CHECK_MSG(!v, "accepted: %s", text);
	CHECK_HAS(err.msg, part);
	CHECK_HAS(err.msg, "t.json");
	json_decref(v);
}

static void test_json__refuses(void)
{
	refused("{\"a\":1,\"a\":2}", "duplicate");
	refused("{\"a\":{\"b\":1,\"b\":1}}", "duplicate");
	refused("{} x", "end of file");
	refused("", "valid JSON: column 0: ");
	refused("{\"a\":", "valid JSON: column 5: ");
	refused("{\n\"a\":tru}", "line 2, column ");
	refused("\"\\u0000\"", "\\u0000 is not allowed");
	refused("\"\xff\"", "0xff");
	refused("[1e999]", "overflow");
	refused("[NaN]", "NaN");
	refused("{'a':1}", "column 2");
	refused("[1,]", "column 4");
}

static void nest(char *out, int depth)
{
	memset(out, '[', (size_t)depth);
	memset(out + depth, ']', (size_t)depth);
	out[2 * depth] = '\0';
}

static void test_json__depth(void)
{
	char text[200000];
	ul_err err = {0};
	nest(text, 64);
	json_t *v = parse(text, &err);
	CHECK(v);
	json_decref(v);
	nest(text, 65);
	refused(text, "64");
	memset(text, '[', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	refused(text, "64");
	v = parse("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"]", &err);
	CHECK(v); /* brackets in strings do not count */
	json_decref(v);
}

static void test_json__huge_integers_become_reals(void)
{
	ul_err err = {0};
	json_t *v = parse("{\"a\":1000000000000000019884624838656,\"b\":[-99999999999999999999,7],\"c\":\"99999999999999999999\",\"d\":0.99999999999999999999,\"e\":9223372036854775807}", &err);
	NEED_OK(v, err);
	CHECK_CLOSE(json_real_value(json_object_get(v, "a")), 1e30, 1e-15);
	CHECK_CLOSE(json_real_value(json_array_get(json_object_get(v, "b"), 0)), -1e20, 1e-15);
	CHECK_EQ_INT(json_integer_value(json_array_get(json_object_get(v, "b"), 1)), 7);
	CHECK_STR(ul_json_str(v, "c"), "99999999999999999999");
	CHECK_CLOSE(json_real_value(json_object_get(v, "d")), 1, 1e-15);
	json_decref(v);
}

static void test_json__getters(void)
{
	ul_err err = {0};
	json_t *v = parse("{\"i\":5,\"w\":8.0,\"r\":0.5,\"t\":true,\"s\":\"x\",\"n\":null,\"neg\":-3}", &err);
	NEED_OK(v, err);
	int64_t i = 1;
	double r = 1;
	bool t = false;
	CHECK(ul_json_int(v, "i", 0, 10, &i, &err) && i == 5);
	CHECK(ul_json_int(v, "w", 0, 10, &i, &err) && i == 8);
	CHECK(ul_json_int(v, "n", 0, 10, &i, &err) && i == 8);
	CHECK(ul_json_int(v, "absent", 0, 10, &i, &err) && i == 8);
	CHECK(ul_json_real(v, "r", 0, 1, &r, &err) && r == 0.5);
	CHECK(ul_json_real(v, "i", 0, 10, &r, &err) && r == 5);
	CHECK(ul_json_bool(v, "t", &t, &err) && t);
	CHECK_STR(ul_json_str(v, "s"), "x");
	CHECK(!ul_json_str(v, "i") && !ul_json_str(v, "absent"));
	CHECK(!err.msg[0]);

	const struct {
		const char *key, *part;
	} bad[] = {{"r", "whole number"}, {"s", "a string"}, {"neg", "-3"}, {"t", "true"}};
	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
		ul_err e = {0};
		CHECK_FAILS(ul_json_int(v, bad[k].key, 0, 10, &i, &e), e, bad[k].part);
		CHECK_HAS(e.msg, bad[k].key);
		CHECK_EQ_INT(i, 8);
	}
	ul_err e1 = {0}, e2 = {0}, e3 = {0};
	CHECK_FAILS(ul_json_real(v, "i", 0, 1, &r, &e1), e1, "between 0 and 1");
	CHECK_FAILS(ul_json_real(v, "s", 0, 1, &r, &e2), e2, "must be a number");
	CHECK_FAILS(ul_json_bool(v, "i", &t, &e3), e3, "true or false");
	json_decref(v);
}

static void test_json__writing(void)
{
	ul_buf b = {0};
	ul_err err = {0};
	json_t *v = json_pack("{s:o, s:o, s:o, s:i}", "z", ul_json_number(0.1), "nan", ul_json_number(NAN), "inf", ul_json_number(-INFINITY), "a", 3);
	NEED(v);
	CHECK(ul_json_line(&b, v));
	CHECK_STR(b.data, "{\"z\":0.10000000000000001,\"nan\":null,\"inf\":null,\"a\":3}\n");
	NEED_OK(ul_json_write(test_path("v.json"), v, &err), err);
	json_t *w = ul_json_file(test_path("v.json"), 1000, &err);
	NEED_OK(w, err);
	CHECK(json_equal(v, w));
	CHECK(!ul_json_file(test_path("v.json"), 10, &err));
	CHECK_HAS(err.msg, "larger than 10 bytes");
	json_decref(v);
	json_decref(w);
	ul_buf_release(&b);
}

static bool read_again(void *ud, ul_err *err)
{
	json_t *v = ul_json_file(ud, 1000, err);
	json_decref(v);
	return v != NULL;
}

static bool write_again(void *ud, ul_err *err)
{
	return ul_json_write(test_path("again.json"), ud, err);
}

static void test_json__no_memory(void)
{
	test_file("wide.json", "[99999999999999999999]");
	CHECK(test_each_alloc(read_again, (void *)(uintptr_t)test_path("wide.json")) >= 2); /* the file, the widened text */
	json_t *v = json_pack("{s:[i,i,s]}", "a", 1, 2, "x");
	NEED(v);
	CHECK(test_each_alloc(write_again, v) > 0);
	json_decref(v);
}
