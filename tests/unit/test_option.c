/*
 * test_option.c: one table, every type: parsing, ranges, near names, showing, help.
 */
#include "test.h"

#include "base/option.h"

struct config {
	bool flag;
	int64_t n;
	double x;
	const char *text;
	int mode;
};

static const ul_opt opts[] = {
        {"flag", UL_OPT_BOOL, offsetof(struct config, flag), "no", .help = "a switch"},
        {"max-length", UL_OPT_INT, offsetof(struct config, n), "16", 1, 1024, .help = "cuts rows"},
        {"rate", UL_OPT_REAL, offsetof(struct config, x), "0.1", 0, INFINITY, .help = "a rate"},
        {"text", UL_OPT_TEXT, offsetof(struct config, text), .help = "some text", .value = "FILE"},
        {"mode", UL_OPT_ENUM, offsetof(struct config, mode), "cosine", .choices = "linear|cosine|constant", .help = "a mode"},
        {0},
};
static const ul_opt *const tables[] = {opts, NULL};

static bool set(struct config *c, ul_arena *a, const char *name, const char *value, ul_err *err)
{
	return ul_opts_set(opts, c, name, value, a, err);
}

static void test_option__defaults(void)
{
	struct config c;
	memset(&c, 0xAA, sizeof c);
	ul_arena a = {0};
	ul_err err = {0};
	NEED_OK(ul_opts_defaults(opts, &c, &a, &err), err);
	CHECK(!c.flag && c.n == 16 && c.x == 0.1 && !c.text && c.mode == 1);
	ul_arena_release(&a);
}

static void test_option__values(void)
{
	struct config c = {0};
	ul_arena a = {0};
	ul_err err = {0};
	const struct {
		const char *name, *value, *shown;
	} good[] = {
	        {"flag", "", "yes"},
	        {"flag", "no", "no"},
	        {"flag", "true", "yes"},
	        {"flag", "0", "no"},
	        {"max-length", "1", "1"},
	        {"max_length", "1024", "1024"},
	        {"max-length", "1e2", "100"},
	        {"max-length", "64.0", "64"},
	        {"rate", "0", "0"},
	        {"rate", "1e-4", "0.0001"},
	        {"rate", "0.1", "0.1"},
	        {"rate", "0.30000000000000004", "0.30000000000000004"},
	        {"text", "x y", "x y"},
	        {"text", "", ""},
	        {"mode", "constant", "constant"},
	        {"mode", "linear", "linear"},
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ul_buf b = {0};
		NEED_OK(set(&c, &a, good[i].name, good[i].value, &err), err);
		ul_opts_show(ul_opts_find(opts, good[i].name), &c, &b);
		CHECK_STR(b.data ? b.data : "", good[i].shown);
		ul_buf_release(&b);
	}
	ul_arena_release(&a);
}

static void test_option__refusals(void)
{
	struct config c = {.n = 5, .x = 0.5, .mode = 2};
	ul_arena a = {0};
	const struct {
		const char *name, *value, *part;
	} bad[] = {
	        {"flag", "perhaps", "yes or no"},
	        {"max-length", "0", "between 1 and 1024"},
	        {"max-length", "1025", "1025"},
	        {"max-length", "seven", "whole number"},
	        {"max-length", "", "whole number"},
	        {"max-length", "1.5", "whole number"},
	        {"max-length", "99999999999999999999", "whole number"},
	        {"max-length", "5x", "whole number"},
	        {"rate", "-1", "at least 0"},
	        {"rate", "nan", "must be a number"},
	        {"rate", "inf", "must be a number"},
	        {"rate", "", "must be a number"},
	        {"rate", "1e999", "must be a number"},
	        {"mode", "cosin", "linear, cosine, constant"},
	        {"mode", "", "one of"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ul_err err = {0};
		CHECK_FAILS(set(&c, &a, bad[i].name, bad[i].value, &err), err, bad[i].part);
		CHECK_HAS(err.msg, bad[i].name);
	}
	CHECK(c.n == 5 && c.x == 0.5 && c.mode == 2);
	ul_err err = {0};
	set(&c, &a, "mode", "cosin", &err);
	CHECK_STR(err.hint, "did you mean \"cosine\"?");
	ul_arena_release(&a);
}

static void test_option__nearest_name(void)
{
	ul_err e1 = {0}, e2 = {0}, e3 = {0};
	CHECK(!ul_opts_unknown(tables, "max-lenght", &e1));
	CHECK_STR(e1.msg, "unknown option \"max-lenght\"; did you mean \"max-length\"?");
	CHECK(!ul_opts_unknown(tables, "zzzzzzzz", &e2));
	CHECK_STR(e2.msg, "unknown option \"zzzzzzzz\"");
	CHECK(!ul_opts_unknown(NULL, "x", &e3));
}

static const char *nearest(const char *typed, const char *const *names)
{
	ul_near near = {.typed = typed};
	const char *found = NULL;
	for (; *names; names++)
		if (ul_nearer(&near, *names))
			found = *names;
	return found ? found : "none";
}

static void test_option__nearest_of_names(void)
{
	static const char *const verbs[] = {"audits", "audit", "bench", "generate", "run", "score", "scorers", "tokenize", "train", NULL};
	CHECK_STR(nearest("gen", verbs), "generate"); /* what it begins, however long, before what it resembles */
	CHECK_STR(nearest("tok", verbs), "tokenize");
	CHECK_STR(nearest("au", verbs), "audit");
	CHECK_STR(nearest("scor", verbs), "score");
	CHECK_STR(nearest("socre", verbs), "score");
	CHECK_STR(nearest("trian", verbs), "train");
	CHECK_STR(nearest("generated", verbs), "generate");
	CHECK_STR(nearest("rum", verbs), "run");
	CHECK_STR(nearest("xyz", verbs), "none");
	CHECK_STR(nearest("t", verbs), "none"); /* one letter begins too much */
	CHECK_STR(nearest("", verbs), "none");
}

static void test_option__edit_distance(void)
{
	CHECK_EQ_INT(ul_edit_distance("", ""), 0);
	CHECK_EQ_INT(ul_edit_distance("", "abc"), 3);
	CHECK_EQ_INT(ul_edit_distance("kitten", "sitting"), 3);
	CHECK_EQ_INT(ul_edit_distance("ab", "ba"), 1);
	CHECK_EQ_INT(ul_edit_distance("ca", "abc"), 3);
	char a[200], b[200];
	memset(a, 'a', sizeof a);
	memset(b, 'b', sizeof b);
	a[199] = b[199] = '\0';
	CHECK_EQ_INT(ul_edit_distance(a, b), 63);
}

static void test_option__settings(void)
{
	struct config c = {0};
	ul_arena a = {0};
	ul_err err = {0};
	const ul_setting s[] = {{"max-length", "10"}, {"nmae", "x"}, {"max_length", "20"}};
	bool used[3] = {false};
	NEED_OK(ul_settings_apply(s, 3, used, opts, &c, &a, &err), err);
	CHECK_EQ_INT(c.n, 20);
	CHECK(used[0] && !used[1] && used[2]);
	CHECK_FAILS(ul_settings_done(s, 3, used, tables, &err), err, "nmae");
	CHECK_STR(ul_settings_get(s, 3, "max-length"), "20");
	CHECK(!ul_settings_get(s, 3, "rate"));
	ul_err e2 = {0};
	CHECK(ul_settings_done(s, 1, used, tables, &e2));
	ul_arena_release(&a);
}

static void test_option__json_and_description(void)
{
	struct config c = {0};
	ul_arena a = {0};
	ul_err err = {0};
	NEED_OK(ul_opts_defaults(opts, &c, &a, &err), err);
	json_t *v = ul_opts_json(opts, &c), *d = ul_opts_describe(opts);
	NEED(v && d);
	ul_buf b = {0};
	ul_json_line(&b, v);
	CHECK_STR(b.data, "{\"flag\":false,\"max-length\":16,\"rate\":0.10000000000000001,\"text\":null,\"mode\":\"cosine\"}\n");
	CHECK_EQ_INT(json_array_size(d), 5);
	b.len = 0;
	ul_json_line(&b, json_array_get(d, 4));
	CHECK_STR(b.data, "{\"name\":\"mode\",\"type\":\"enum\",\"default\":\"cosine\",\"min\":null,\"max\":null,"
	                  "\"choices\":[\"linear\",\"cosine\",\"constant\"],\"help\":\"a mode\"}\n");
	json_decref(v);
	json_decref(d);
	ul_buf_release(&b);
	ul_arena_release(&a);
}

static void test_option__help(void)
{
	ul_buf b = {0};
	ul_opts_help(opts, &b);
	CHECK_STR(b.data, "  --flag          a switch (default no)\n"
	                  "  --max-length N  cuts rows (default 16, 1 to 1024)\n"
	                  "  --rate X        a rate (default 0.1, at least 0)\n"
	                  "  --text FILE     some text\n"
	                  "  --mode linear|cosine|constant\n"
	                  "                  a mode (default cosine)\n");
	ul_buf_release(&b);
}

static bool defaults_again(void *ud, ul_err *err)
{
	struct config c;
	ul_arena a = {0};
	bool ok = ul_opts_defaults(opts, &c, &a, err) && set(&c, &a, "text", "something", err);
	ul_arena_release(&a);
	return ok;
}

static void test_option__no_memory(void)
{
	CHECK(test_each_alloc(defaults_again, NULL) >= 1);
}
