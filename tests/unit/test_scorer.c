/*
 * test_scorer.c: what scorers say of texts whose answer is known, and what they refuse.
 */
#include "test.h"

#include "scorers/scorer.h"

static void score(const char *spec, ul_model *m, const char *const *text, int n, double *out)
{
	ul_scoring s;
	ul_err err = {0};
	NEED_OK(ul_scoring_open(&s, spec, m, 1, 5, &err), err);
	NEED_OK(ul_scoring_run(&s, text, n, out, &err), err);
	ul_scoring_close(&s);
}

static void test_scorer__regex(void)
{
	const char *text[] = {"call me", "call 555-0100", ""};
	double out[3];
	score("regex:\\p{N}{3}-", NULL, text, 3, out);
	CHECK(out[0] == 0 && out[1] == 1 && out[2] == 0);
}

static void test_scorer__terms(void)
{
	const char *text[] = {"The knee and the ankle hurt.", "KNEE", "kneeling", "Knie", "of a knee: ankle, knee"};
	double out[5];
	score("terms:knee, ankle", NULL, text, 5, out);
	CHECK(out[0] == 0.75 && out[1] == 0.5 && out[2] == 0 && out[3] == 0 && out[4] == 0.75);
	char spec[600];
	test_file("list", "knee\nankle\n");
	snprintf(spec, sizeof spec, "terms:@%s", test_path("list"));
	score(spec, NULL, text, 5, out);
	CHECK(out[0] == 0.75 && out[1] == 0.5 && out[2] == 0);
}

static void test_scorer__entities(void)
{
	const char *text[] = {"write to anna@example.org", "nothing here", "met Anna Smith today"};
	double out[3];
	score("entities:EMAIL", NULL, text, 3, out);
	CHECK(out[0] == 1 && out[1] == 0 && out[2] == 0);
	score("entities:PERSON", NULL, text, 3, out);
	CHECK(out[0] == 0 && out[1] == 0 && out[2] == 1);
	score("entities:EMAIL,NAME", NULL, text, 3, out);
	CHECK(out[0] == 1 && out[1] == 0 && out[2] == 1);
}

static ul_model *random_model(const char *texts, uint64_t seed)
{
	ul_err err = {0};
	json_t *config = ul_model_preset("llama-tiny", 300, &err);
	NEED_OK(config, err);
	ul_model *m = ul_model_random(config, seed, NULL, &err);
	json_decref(config);
	NEED_OK(m, err);
	size_t n = strlen(texts);
	m->tok = ul_tok_train(&texts, &n, 1, 300, &err);
	NEED_OK(m->tok, err);
	return m;
}

static void test_scorer__similarity_of_itself(void)
{
	ul_model *m = random_model("the cat sat on the mat and the dog sat beside it", 1);
	const char *text[] = {"the cat sat on the mat", "xq zzv 77", ""};
	double out[3];
	score("similarity:the cat sat on the mat", m, text, 3, out);
	CHECK_CLOSE(out[0], 1, 1e-6);
	CHECK(out[1] < 0.9 && out[2] == 0);
	ul_model_free(m);
}

static void test_scorer__likelihood_ratio_of_equals(void)
{
	ul_model *m = random_model("the cat sat on the mat and the dog sat beside it", 1);
	const char *text[] = {"the cat sat"};
	char spec[600];
	double out[1];
	ul_err err = {0};
	NEED_OK(ul_model_save(m, test_path("same"), &err), err);
	snprintf(spec, sizeof spec, "likelihood-ratio:%s", test_path("same"));
	score(spec, m, text, 1, out);
	CHECK_CLOSE(out[0], 1 / (1 + exp(2)), 1e-9); /* no likelier at all */
	ul_model_free(m);
}

static void test_scorer__command(void)
{
	static const char *const bad[] = {"{\"score\": NaN}", "{\"score\": nan}", "{\"score\": 1e999}", "{\"score\": \"1\"}", "{\"score\": null}", "{}", "0.5", ""};
	const char *text[] = {"a \"b\"\n", "c"}, *again[] = {"a", "b", "c", "d"};
	double out[4];
	ul_scoring s;
	ul_err err = {0};
	score("command:while read l; do echo '{\"score\": 0.25}'; done", NULL, text, 2, out);
	CHECK(out[0] == 0.25 && out[1] == 0.25);
	CHECK_FAILS(ul_scoring_open(&s, "command:true", NULL, 0, 5, &err), err, "true"); /* ends at once */
	err = (ul_err){0};
	CHECK_FAILS(ul_scoring_open(&s, "command:while read l; do echo rubbish; done", NULL, 0, 5, &err), err, "rubbish");
	err = (ul_err){0};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) { /* no number that can be a score */
		char spec[200];
		snprintf(spec, sizeof spec, "command:while read l; do echo '%s'; done", bad[i]);
		CHECK_FAILS(ul_scoring_open(&s, spec, NULL, 0, 5, &err), err, "without {\"score\": number}");
		err = (ul_err){0};
	}
	CHECK_FAILS(ul_scoring_open(&s, "command:sleep 30", NULL, 0, 0.2, &err), err, "gave no answer within 0.2 seconds");
	err = (ul_err){0};
	NEED_OK(ul_scoring_open(&s, "command:while read l; do echo '{\"score\": 1}'; echo '{\"score\": 0}'; done", NULL, 0, 5, &err), err);
	CHECK_FAILS(ul_scoring_run(&s, again, 4, out, &err), err, "wrote more than it was asked for");
	ul_scoring_close(&s);
	err = (ul_err){0};
	NEED_OK(ul_scoring_open(&s, "command:while read l; do echo '{\"score\": 3}'; done", NULL, 0, 5, &err), err);
	CHECK_FAILS(ul_scoring_run(&s, text, 1, out, &err), err, "not from 0 to 1");
	ul_scoring_close(&s);
}

static void test_scorer__refusals(void)
{
	ul_scoring s;
	ul_err err = {0};
	CHECK_FAILS(ul_scoring_open(&s, "toxic", NULL, 0, 5, &err), err, "there is no scorer \"toxic\"");
	err = (ul_err){0};
	CHECK_FAILS(ul_scoring_open(&s, "regex:", NULL, 0, 5, &err), err, "needs an argument");
	err = (ul_err){0};
	CHECK_FAILS(ul_scoring_open(&s, "regex:(", NULL, 0, 5, &err), err, "(");
	err = (ul_err){0};
	CHECK_FAILS(ul_scoring_open(&s, "terms: , ,", NULL, 0, 5, &err), err, "no term");
	err = (ul_err){0};
	CHECK_FAILS(ul_scoring_open(&s, "terms:@/nowhere/at/all", NULL, 0, 5, &err), err, "/nowhere/at/all");
	err = (ul_err){0};
	CHECK_FAILS(ul_scoring_open(&s, "entities:COLOUR", NULL, 0, 5, &err), err, "COLOUR");
}
