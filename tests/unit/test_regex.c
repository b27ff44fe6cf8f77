/*
 * test_regex.c: matches and refusals of the regular expressions that tokenizers use, and that no pattern takes more than linear time.
 */
#include "test.h"

#include "text/regex.h"

/* All matches, each in brackets. */
static const char *matches(const char *pattern, const char *text)
{
	static char out[1024];
	ul_err err = {0};
	ul_regex *re = ul_regex_new(pattern, strlen(pattern), &err);
	size_t i, j, len = 0;
	NEED_OK(re, err);
	ul_regex_iter it;
	ul_regex_begin(&it, re, text, strlen(text));
	out[0] = 0;
	while (ul_regex_next(&it, &i, &j) && len < sizeof out - 64)
		len += (size_t)snprintf(out + len, sizeof out - len, "[%.*s]", (int)(j - i), text + i);
	ul_regex_end(&it);
	ul_regex_free(re);
	return out;
}

static void test_regex__matches(void)
{
	static const struct {
		const char *pattern, *text, *want;
	} cases[] = {
	        {"a|ab", "abab", "[a][a]"},
	        {"ab|a", "abaab", "[ab][a][ab]"},
	        {"\\s+(?!\\S)|\\s+", "a   b  ", "[  ][ ][  ]"},
	        {"\\p{N}{1,3}", "12345678", "[123][456][78]"},
	        {"\\p{N}{1,3}+", "12345678", "[12345678]"},
	        {"a{2}", "aaaaa", "[aa][aa]"},
	        {"a{,2}b", "aaab", "[aab]"},
	        {"a{x}", "a{x}", "[a{x}]"},
	        {"x*", "axxb", "[][xx][][]"},
	        {"a+?", "aa", "[a][a]"},
	        {"a++a|a", "aaa", "[a][a][a]"},
	        {"[^\\s\\p{L}]+", "a1! b2", "[1!][2]"},
	        {"(?i:'s|k)", "'S'sk'\u017f\u212a", "['S]['s][k]['\u017f][\u212a]"},
	        {"[a-z&&[^aeiou]]+", "hello", "[h][ll]"},
	        {"\\bfoo\\b", "foo food foo", "[foo][foo]"},
	        {"^a$", "a\nb\na", "[a][a]"},
	        {"\\Aa|b\\z", "aab", "[a][b]"},
	        {"[\\x{1F300}-\\x{1FAFF}]", "a\U0001F44Db", "[\U0001F44D]"},
	        {"\\u00e9|\\x41", "A\u00e9", "[A][\u00e9]"},
	        {"[\\]\\-a]+", "]-a", "[]-a]"},
	        {"(a|b)+c", "abac", "[abac]"},
	        {".", "a\nb", "[a][b]"},
	        {"\\d+(?=x)", "12x34y", "[12]"},
	        {"\\p{^L}\\P{L}", "a12b", "[12]"},
	        {"(?:){5}a", "aa", "[a][a]"},
	        {"\\p{Lu}\\p{Ll}", "\u01c4\u01c6\U00010d50\U00010d70", "[\u01c4\u01c6][\U00010d50\U00010d70]"},
	        {"[\\p{L}\\p{M}]+", "a\u0301b c", "[a\u0301b][c]"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		CHECK_MSG(!strcmp(matches(cases[i].pattern, cases[i].text), cases[i].want), "%s on \"%s\": %s is not %s", cases[i].pattern, cases[i].text,
		        matches(cases[i].pattern, cases[i].text), cases[i].want);
}

static void test_regex__refuses(void)
{
	static const char *const bad[] = {"(", ")", "[", "[]", "[b-a]", "a**b(", "*", "(?<=a)b", "(?<n>a)", "\\1", "\\k<n>", "\\p{Han}", "\\p", "[[:alpha:]]", "(?=ab)c",
	        "a{1001}", "(ab)++", "\\R", "\\", "(?>a)", "\\x{110000}", "\\u12", "(?i:\u00e9)", "((((a{100}){100}){100}){100})", "(?:){1000}(?:(?:(?:){1000}){1000}){1000}"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ul_err err = {0};
		ul_regex *re = ul_regex_new(bad[i], strlen(bad[i]), &err);
		CHECK_MSG(!re, "accepted: %s", bad[i]);
		if (!re)
			CHECK_HAS(err.msg, "pattern");
		ul_regex_free(re);
	}
}

/* Patterns that are exponential or quadratic for a machine that forgets, on half a megabyte. */
static void test_regex__linear(void)
{
	static const char *const hard[] = {"(a*)*b", "(a|aa)+b", "(?:a+)+$b", "a*a*a*a*a*b", "a+X|.", "(?:a?){30}a{30}b", "\\s*[\\r\\n]+|a+(?!a)b|x"};
	ul_buf s = {0};
	while (s.len < 1 << 19)
		ul_buf_str(&s, "a");
	for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
		ul_err err = {0};
		ul_regex *re = ul_regex_new(hard[i], strlen(hard[i]), &err);
		size_t from, to, n = 0;
		NEED_OK(re, err);
		ul_regex_iter it;
		ul_regex_begin(&it, re, s.data, s.len);
		while (ul_regex_next(&it, &from, &to))
			n++;
		CHECK(!it.failed && n == (hard[i][3] == '|' ? s.len : 0));
		ul_regex_end(&it);
		ul_regex_free(re);
	}
	ul_buf_release(&s);
}
