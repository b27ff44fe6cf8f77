/*
 * test_pool.c: the pool of public entities, templates filled from it, and the rows that made texts become.
 */
#include "test.h"

#include "data/likeness.h"
#include "data/pseudo.h"

static ul_pool pool_of(const char *json)
{
	ul_pool p;
	ul_err err = {0};
	test_file("pool.json", json);
	NEED_OK(ul_pool_read(&p, test_path("pool.json"), &err), err);
	return p;
}

#define SMALL "{\"NAME\": [\"Ada Costa\", \"Erik Ruiz\"], \"EMAIL\": [\"ada@example.com\", \"erik@example.net\"], \"PHONE\": []}"

static void test_pool__reads(void)
{
	ul_pool p = pool_of(SMALL);
	CHECK_EQ_INT(p.n[UL_PII_NAME], 2);
	CHECK_EQ_INT(p.n[UL_PII_PHONE], 0);
	CHECK(ul_pool_has(&p, UL_PII_NAME, "Erik Ruiz", 9) && !ul_pool_has(&p, UL_PII_EMAIL, "Erik Ruiz", 9));
	ul_pool_release(&p);
}

static void test_pool__refuses(void)
{
	static const struct {
		const char *json, *says;
	} bad[] = {
	        {"{}", "is empty"},
	        {"{\"NAME\": []}", "is empty"},
	        {"[]", "is no pool"},
	        {"{\"NAME\": \"Ada\"}", "no list of strings"},
	        {"{\"NAME\": [\"Ada\", 7]}", "entity 2 of \"NAME\" is no text"},
	        {"{\"NAME\": [\"\"]}", "entity 1 of \"NAME\" is no text"},
	        {"{\"CITY\": [\"Oslo\"]}", "\"CITY\" is no type of personal data"},
	        {"{", "pool.json"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ul_pool p;
		ul_err err = {0};
		test_file("pool.json", bad[i].json);
		CHECK_FAILS(ul_pool_read(&p, test_path("pool.json"), &err), err, bad[i].says);
	}
}

/* Real people's rows: spans in code points, of the text or of the response. */
static void test_pool__overlap_is_refused(void)
{
	ul_pool p = pool_of(SMALL);
	ul_dataset d = {0};
	ul_data_config how = {0};
	ul_err err = {0};
	test_file("apart.jsonl", "{\"prompt\": \"mail of X\", \"response\": \"\xC3\xBC: x@example.com\", \"spans\": [{\"start\": 3, \"end\": 16, \"type\": \"EMAIL\"}]}\n");
	NEED_OK(ul_dataset_read(&d, test_path("apart.jsonl"), &how, &err), err);
	NEED_OK(ul_pool_apart(&p, &d, "apart.jsonl", &err), err);
	ul_dataset_release(&d);
	test_file("apart.jsonl", "{\"text\": \"\xC3\xBC: ada@example.com wrote\", \"spans\": [{\"start\": 3, \"end\": 18, \"type\": \"EMAIL\"}]}\n");
	NEED_OK(ul_dataset_read(&d, test_path("apart.jsonl"), &how, &err), err);
	CHECK_FAILS(ul_pool_apart(&p, &d, "apart.jsonl", &err), err, "1 entities of the pool also stand in apart.jsonl, the first is \"ada@example.com\"");
	ul_dataset_release(&d);
	ul_pool_release(&p);
}

static void test_pool__templates(void)
{
	ul_pool p = pool_of(SMALL);
	ul_templates t = {0};
	ul_err err = {0};
	ul_buf s = {0};
	const char *const public[] = {"Question: What is the e-mail address of Zoe Park?\nAnswer: zoe@park.example", "Question: What is the e-mail address of Jon Hill?\nAnswer: jon@hill.example", "no data here", "Call +1 212 555 0139 now"};
	NEED_OK(ul_templates_learn(&t, public, 4, &p, NULL, &err), err);
	CHECK_EQ_INT(t.n, 1); /* two rows of one kind; no phone numbers in the pool */
	CHECK_STR(t.text[0], "Question: What is the e-mail address of {NAME}?\nAnswer: {EMAIL}");
	NEED_OK(ul_templates_builtin(&t, &p, &err), err);
	CHECK_EQ_INT(t.n, 2); /* one more: the other was learnt already */
	int seen[2] = {0};
	ul_rng r = ul_rng_at(1, "test", 0);
	for (int i = 0; i < 50; i++) {
		s.len = 0;
		int which = ul_template_fill(&t, &p, NULL, 0, &r, &s);
		NEED(which == 0 || which == 1);
		seen[which]++;
		CHECK(strstr(s.data, "example.") && (strstr(s.data, "Ada Costa") || strstr(s.data, "Erik Ruiz")) && !strchr(s.data, '{'));
	}
	CHECK(seen[0] && seen[1]);
	s.len = 0;
	CHECK(ul_template_fill(&t, &p, (const char *const[]){"Somebody Else"}, 1, &r, &s) >= 0 && strstr(s.data, "Somebody Else"));
	ul_templates_release(&t);
	test_file("t.txt", "{NAME} is not {NAME}.\\nWrite to {EMAIL}\n");
	NEED_OK(ul_templates_read(&t, test_path("t.txt"), &p, false, &err), err);
	s.len = 0;
	NEED(ul_template_fill(&t, &p, NULL, 0, &r, &s) == 0);
	CHECK(!strncmp(s.data, "Ada Costa is not Ada Costa.\nWrite", 33) || !strncmp(s.data, "Erik Ruiz is not Erik Ruiz.\nWrite", 33));
	ul_templates_release(&t);
	test_file("t.txt", "nothing to fill\n");
	CHECK_FAILS(ul_templates_read(&t, test_path("t.txt"), &p, false, &err), err, "has no slot");
	ul_templates_release(&t);
	err = (ul_err){0};
	test_file("t.txt", "{NAME} can be called at {PHONE}.\n");
	CHECK_FAILS(ul_templates_read(&t, test_path("t.txt"), &p, false, &err), err, "holds nothing of type PHONE");
	ul_templates_release(&t);
	err = (ul_err){0};
	ul_pool nameless = pool_of("{\"EMAIL\": [\"ada@example.com\"]}");
	test_file("t.txt", "Write to {NAME}, {EMAIL}.\n");
	CHECK_FAILS(ul_templates_read(&t, test_path("t.txt"), &nameless, false, &err), err, "holds nothing of type NAME");
	ul_templates_release(&t);
	err = (ul_err){0};
	NEED_OK(ul_templates_read(&t, test_path("t.txt"), &nameless, true, &err), err); /* names come from a list */
	ul_pool_release(&nameless);
	ul_templates_release(&t);
	ul_buf_release(&s);
	ul_pool_release(&p);
}

/* ---- rows ---- */

static ul_dataset rows_of(const char *const *text, int n, ul_pseudo_config c, json_t *summary)
{
	ul_pool p = pool_of(SMALL);
	ul_dataset d = {0};
	ul_pseudo s = {0};
	ul_err err = {0};
	NEED_OK(ul_pseudo_begin(&s, &c, &p, 3, &d, &err), err);
	for (int i = 0; i < n; i++)
		NEED_OK(ul_pseudo_add(&s, text[i], json_pack("{s:i}", "query", i), &err), err);
	ul_pseudo_summary(&s, summary);
	ul_pseudo_release(&s);
	ul_pool_release(&p);
	return d;
}

static void test_pool__rows_are_marked_and_filtered(void)
{
	const char *const text[] = {"Ada Costa writes from ada@example.com.", "nothing personal", "ada@example.com", "Ada Costa writes from ada@example.com.", "\xC3\xBC zoe@park.example says hello to everybody"};
	json_t *said = json_object();
	ul_dataset d = rows_of(text, 5, (ul_pseudo_config){.n = 10, .min_pii = 1, .max_share = 0.8}, said);
	CHECK_EQ_INT(d.n, 2);
	CHECK_EQ_INT(d.row[0].spot_n, 1); /* names only when asked for */
	CHECK_EQ_INT(d.row[1].spots[0].start, 2);
	CHECK_EQ_INT(d.row[1].spots[0].end, 18);
	CHECK(json_object_get(json_object_get(d.row[0].json, "source"), "query"));
	json_t *dropped = json_object_get(said, "dropped");
	CHECK_EQ_INT(json_integer_value(json_object_get(dropped, "without_personal_data")), 1);
	CHECK_EQ_INT(json_integer_value(json_object_get(dropped, "covered")), 1);
	CHECK_EQ_INT(json_integer_value(json_object_get(dropped, "repeated")), 1);
	CHECK_EQ_INT(json_integer_value(json_object_get(said, "distinct")), 2);
	CHECK_EQ_INT(json_integer_value(json_object_get(said, "from_pool")), 1);
	ul_dataset_release(&d);
	json_object_clear(said);
	d = rows_of(text, 1, (ul_pseudo_config){.n = 10, .min_pii = 1, .max_share = 0.8, .mask_names = true}, said);
	CHECK_EQ_INT(d.row[0].spot_n, 2);
	ul_dataset_release(&d);
	json_decref(said);
}

/* What an annotator marks is marked here too, names included; a text that only it finds something in is a row, and a template. */
static void test_pool__annotator(void)
{
	const char *const command = "while read l; do case \"$l\" in *Rook*) echo '{\"spans\": [{\"start\": 0, \"end\": 8, \"type\": \"PERSON\"}]}';; *) echo '{\"spans\": []}';; esac; done";
	const ul_pseudo_config c = {.n = 10, .min_pii = 1, .max_share = 0.8};
	const char *const text = "Bea Rook keeps bees in the old town.";
	ul_pool p = pool_of(SMALL);
	ul_templates t = {0};
	ul_dataset d = {0};
	ul_err err = {0};
	ul_annotator *a = ul_annotator_start(command, 30, &err);
	NEED_OK(a, err);
	ul_pseudo s = {.annotator = a};
	NEED_OK(ul_pseudo_begin(&s, &c, &p, 3, &d, &err), err);
	NEED_OK(ul_pseudo_add(&s, text, json_pack("{s:i}", "query", 0), &err), err);
	NEED_OK(ul_pseudo_add(&s, "nothing personal", json_pack("{s:i}", "query", 1), &err), err);
	NEED(d.n == 1 && d.row[0].spot_n == 1);
	CHECK_EQ_INT(d.row[0].spots[0].end, 8);
	NEED_OK(ul_templates_learn(&t, &text, 1, &p, a, &err), err);
	CHECK_EQ_INT(t.n, 1);
	CHECK_STR(t.text[0], "{NAME} keeps bees in the old town.");
	ul_annotator_free(a);
	a = ul_annotator_start("read l; echo '{\"spans\": []}'; read l; exit 4", 30, &err);
	NEED_OK(a, err);
	s.annotator = a;
	CHECK_FAILS(ul_pseudo_add(&s, text, json_pack("{s:i}", "query", 2), &err), err, "ended with status 4");
	ul_annotator_free(a);
	ul_pseudo_release(&s);
	ul_dataset_release(&d);
	ul_templates_release(&t);
	ul_pool_release(&p);
}

static void test_pool__random_masks_are_as_long(void)
{
	const char *const text[] = {"One long sentence in which the address ada@example.com stands, and then it goes on for a good while longer."};
	json_t *said = json_object();
	ul_dataset d = rows_of(text, 1, (ul_pseudo_config){.n = 10, .min_pii = 1, .max_share = 0.8, .masks = UL_MASKS_RANDOM}, said);
	NEED(d.n == 1 && d.row[0].spot_n == 1);
	CHECK_EQ_INT(d.row[0].spots[0].end - d.row[0].spots[0].start, 15);
	CHECK(d.row[0].spots[0].start != 39);
	ul_dataset_release(&d);
	json_decref(said);
}

/* ---- likeness ---- */

static void test_pool__likeness_by_hand(void)
{
	ul_likeness l = {0};
	ul_err err = {0};
	NEED_OK(ul_likeness_add(&l, "the cat sat on the mat", "the cat sat on the mat", &err), err);
	CHECK_CLOSE(ul_likeness_f1(&l), 1, 1e-12);
	CHECK_CLOSE(ul_likeness_bleu(&l), 1, 1e-12);
	CHECK_CLOSE(ul_likeness_exact(&l), 1, 1e-12);
	l = (ul_likeness){0};
	/* the text: the the cat . (4 words), written: the cat cat sat here . : shared the, cat, "." -> F1 2·3/(4+6) */
	NEED_OK(ul_likeness_add(&l, "the the cat.", "the cat cat sat here.", &err), err);
	CHECK_CLOSE(ul_likeness_f1(&l), 0.6, 1e-12);
	CHECK_EQ_INT(l.match[0], 3);
	CHECK_EQ_INT(l.match[1], 1); /* "the cat" */
	CHECK_EQ_INT(l.possible[1], 5);
	CHECK_CLOSE(ul_likeness_bleu(&l), 0, 1e-12);
	l = (ul_likeness){0};
	/* five of six words, in order: 5/5 · 4/4 · 3/3 · 2/2, shorter by e^(1 - 6/5) */
	NEED_OK(ul_likeness_add(&l, "a b c d e f", "a b c d e", &err), err);
	CHECK_CLOSE(ul_likeness_bleu(&l), exp(-0.2), 1e-12);
	CHECK_CLOSE(ul_likeness_exact(&l), 0, 1e-12);
}
