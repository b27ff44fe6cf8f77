/* Text metrics against rouge_score, NLTK and zlib, and against what can be worked out by hand. */
#include "audits/match/match.h"
#include "base/json.h"
#include "test.h"

#include <math.h>
#include <string.h>

#define GOLDEN "tests/golden/audits/metrics.json"
#define ORACLE "../shared/data/oracle-openunlearning/"

static json_t *golden(const char *key)
{
	ul_err err = {0};
	json_t *all = ul_json_file(GOLDEN, 16 << 20, &err), *v = json_incref(json_object_get(all, key));
	json_decref(all);
	if (!v)
		fprintf(stderr, "%s: %s\n", key, err.msg);
	return v;
}

static double real(const json_t *v, size_t i)
{
	return json_number_value(json_array_get(v, i));
}

static int wrong_stem(const char *word, const char *want)
{
	char w[256];
	size_t n = strlen(word);
	memcpy(w, word, n + 1);
	if (n > 3) /* rouge_score stems longer words only */
		n = ul_porter_stem(w, n);
	bool ok = n == strlen(want) && memcmp(w, want, n) == 0;
	if (!ok)
		fprintf(stderr, "%s -> %.*s, not %s\n", word, (int)n, w, want);
	return !ok;
}

static void test_match__stems_equal_nltk(void)
{
	json_t *stems = golden("stems"), *s;
	size_t i;
	int wrong = 0;
	json_array_foreach(stems, i, s)
	        wrong += wrong_stem(json_string_value(json_array_get(s, 0)), json_string_value(json_array_get(s, 1)));
	CHECK(json_array_size(stems) > 1000);
	CHECK_EQ_INT(wrong, 0);
	json_decref(stems);
}

static void test_match__stems_of_the_oracle(void)
{
	FILE *f = fopen(ORACLE "porter_nltk_stems.tsv", "r");
	if (!f)
		SKIP(ORACLE "porter_nltk_stems.tsv is not here");
	char line[512];
	int wrong = 0, n = 0;
	while (fgets(line, sizeof line, f)) {
		char *tab = strchr(line, '\t');
		if (!tab)
			continue;
		*tab = '\0';
		tab[1 + strcspn(tab + 1, "\n")] = '\0';
		wrong += wrong_stem(line, tab + 1);
		n++;
	}
	fclose(f);
	CHECK_EQ_INT(n, 7956);
	CHECK_EQ_INT(wrong, 0);
}

static void test_match__rouge_equals_rouge_score(void)
{
	json_t *rows = golden("rouge"), *texts = golden("sentences"), *r;
	size_t i;
	double worst = 0;
	json_array_foreach(rows, i, r)
	{
		ul_rouge s;
		ul_err err = {0};
		const char *ref = json_string_value(json_array_get(texts, (size_t)real(r, 1))), *hyp = json_string_value(json_array_get(texts, (size_t)real(r, 2)));
		CHECK(ul_rouge_score(ref, hyp, json_is_true(json_array_get(r, 0)), &s, &err));
		double got[] = {s.recall1, s.f1_1, s.recall_l, s.f1_l};
		for (size_t k = 0; k < 4; k++)
			worst = fmax(worst, fabs(got[k] - real(r, k + 3)));
	}
	CHECK(json_array_size(rows) > 300);
	CHECK(worst < 1e-12);
	json_decref(rows);
	json_decref(texts);
}

static void test_match__rouge_pairs_of_the_oracle(void)
{
	FILE *f = fopen(ORACLE "rouge_pairs_2000.jsonl", "r");
	if (!f)
		SKIP(ORACLE "rouge_pairs_2000.jsonl is not here");
	static const char *const key[] = {"rouge1_recall", "rougeL_recall", "rougeL_f1"};
	char *line = NULL;
	size_t cap = 0;
	int n = 0, compared = 0;
	double worst = 0;
	for (ssize_t len; (len = getline(&line, &cap, f)) > 0; n++) {
		ul_err err = {0};
		ul_rouge s;
		json_t *j = ul_json_parse(line, (size_t)len, "pair", &err);
		CHECK(j && ul_rouge_score(ul_json_str(j, "ref"), ul_json_str(j, "hyp"), true, &s, &err));
		double got[] = {s.recall1, s.recall_l, s.f1_l};
		for (int k = 0; k < 3; k++) {
			const json_t *want = json_object_get(j, key[k]);
			if (!json_is_number(want)) /* not every log of the framework has the F1 */
				continue;
			worst = fmax(worst, fabs(got[k] - json_number_value(want)));
			compared++;
		}
		json_decref(j);
	}
	free(line);
	fclose(f);
	CHECK_EQ_INT(n, 2000);
	CHECK(compared >= 4000);
	CHECK(worst < 1e-9);
}

static int wrong_zlib(const char *text, int64_t want)
{
	int got = ul_zlib_length(text, strlen(text));
	return got != want;
}

static void test_match__zlib_length(void)
{
	json_t *rows = golden("zlib"), *r;
	size_t i;
	int wrong = 0;
	json_array_foreach(rows, i, r)
	        wrong += wrong_zlib(json_string_value(json_array_get(r, 0)), json_integer_value(json_array_get(r, 1)));
	CHECK(json_array_size(rows) > 10);
	CHECK_EQ_INT(wrong, 0);
	json_decref(rows);
}

static void test_match__zlib_length_of_the_oracle(void)
{
	FILE *f = fopen(ORACLE "zlib_len.jsonl", "r");
	if (!f)
		SKIP(ORACLE "zlib_len.jsonl is not here");
	char *line = NULL;
	size_t cap = 0;
	int n = 0, wrong = 0;
	for (ssize_t len; (len = getline(&line, &cap, f)) > 0; n++) {
		ul_err err = {0};
		json_t *j = ul_json_parse(line, (size_t)len, "zlib", &err);
		CHECK(j);
		wrong += wrong_zlib(ul_json_str(j, "text"), json_integer_value(json_object_get(j, "zlib_len")));
		json_decref(j);
	}
	free(line);
	fclose(f);
	CHECK_EQ_INT(n, 400);
	CHECK_EQ_INT(wrong, 0);
}

static void test_match__memory_by_hand(void)
{
	const unsigned char hit[] = {1, 0, 1, 1, 1}, none[] = {0, 0, 0, 0}, all[] = {1, 1, 1}, last[] = {0, 0, 1, 0};
	CHECK_CLOSE(ul_exact_memorization(hit, 5), 0.8, 1e-15);
	CHECK_CLOSE(ul_extraction_strength(hit, 5, false), 0.6, 1e-15);
	CHECK_CLOSE(ul_extraction_strength(hit, 5, true), 0.6, 1e-15);
	CHECK(ul_extraction_strength(none, 4, false) == 0);
	CHECK_CLOSE(ul_extraction_strength(none, 4, true), 0.25, 1e-15);
	CHECK(ul_extraction_strength(last, 4, false) == 0);
	CHECK(ul_extraction_strength(all, 3, false) == 1);
	CHECK(isnan(ul_exact_memorization(all, 0)));
}

static void test_match__distance_counts_characters(void)
{
	CHECK_EQ_INT(ul_utf8_distance("kitten", 6, "sitting", 7), 3);
	CHECK_EQ_INT(ul_utf8_distance("", 0, "abc", 3), 3);
	CHECK_EQ_INT(ul_utf8_distance("caf\xC3\xA9", 5, "cafe", 4), 1);
	CHECK_EQ_INT(ul_utf8_distance("\xE6\x97\xA5\xE6\x9C\xAC", 6, "\xE6\x97\xA5", 3), 1);
	CHECK_EQ_INT(ul_utf8_distance("a\xFF"
	                              "b",
	                     3, "ab", 2),
	        1);
	CHECK_EQ_INT(ul_utf8_length("caf\xC3\xA9", 5), 4);
	CHECK_EQ_INT((int)ul_utf8_prefix("caf\xC3\xA9s", 6, 4), 5);
}

static void check_normal(const char *type, const char *text, const char *want)
{
	char *got = ul_pii_normal(type, text, strlen(text));
	CHECK_STR(got, want);
	ul_free(got);
}

static void test_match__personal_data_without_spelling(void)
{
	check_normal("PHONE", "+1 (555) 010-4477", "15550104477");
	check_normal("phone_number", "555.010.4477", "5550104477");
	check_normal("EMAIL", "Marta@Example.ORG", "marta@example.org");
	check_normal("NAME", "  Jose\xCC\x81  STRASSE ", "jos\xC3\xA9 strasse");
	check_normal("NAME", "Stra\xC3\x9F"
	                     "e",
	        "strasse");
	check_normal(NULL, "A b", "a b");
}

static void test_match__fluency(void)
{
	double distinct, repeated;
	bool failed;
	ul_fluency("one two three four", &distinct, &repeated, &failed);
	CHECK(!failed && distinct == 1 && repeated == 0);
	ul_fluency("no no no no no", &distinct, &repeated, &failed);
	CHECK_CLOSE(distinct, 0.25, 1e-15);
	CHECK_CLOSE(repeated, 1, 1e-15);
	ul_fluency("yes", &distinct, &repeated, &failed);
	CHECK(distinct == 1 && repeated == 0);
	ul_fluency("", &distinct, &repeated, &failed);
	CHECK(!failed && distinct == 0);
}

static void test_match__fluency_of_a_text(void)
{
	/* a b a b a: pairs ab ba ab ba, 1 bit; triples aba bab aba: 2/3 and 1/3. */
	double h3 = -(2.0 / 3 * log2(2.0 / 3) + 1.0 / 3 * log2(1.0 / 3));
	CHECK_CLOSE(ul_fluency_entropy("a b a  b a"), 1.0 / 3 + 2.0 / 3 * h3, 1e-12);
	CHECK(ul_fluency_entropy("a") == 0 && ul_fluency_entropy("") == 0);
	CHECK_EQ_INT(ul_word_count(" one two\nthree "), 3);
	CHECK_EQ_INT(ul_word_count(" \n"), 0);
}
