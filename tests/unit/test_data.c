/*
 * test_data.c: rows from files. Every shape of the contract is read, every complaint names its line.
 */
#include "test.h"

#include "data/data.h"

/* Reads `text` as a file; the caller releases d. */
static bool read(ul_dataset *d, const char *text, const char *map, ul_err *err)
{
	test_file("rows.jsonl", text);
	return ul_dataset_read(d, test_path("rows.jsonl"), &(ul_data_config){.map = map}, err);
}

static void accepts(ul_dataset *d, const char *text, const char *map, int rows, enum ul_shape shape)
{
	ul_err err = {0};
	*d = (ul_dataset){0};
	NEED_OK(read(d, text, map, &err), err);
	CHECK_EQ_INT(d->n, rows);
	CHECK_EQ_INT(d->shape, shape);
}

static void refuses(const char *text, const char *part)
{
	ul_dataset d = {0};
	ul_err err = {0};
	CHECK_FAILS(read(&d, text, NULL, &err), err, part);
	CHECK(d.row == NULL && d.n == 0);
}

static void test_data__text_rows(void)
{
	ul_dataset d;
	accepts(&d, "{\"text\": \"one\"}\n\n{\"text\": \"two\", \"id\": 7, \"subject\": \"Ann\"}", NULL, 2, UL_SHAPE_TEXT);
	CHECK_STR(d.row[1].text, "two");
	CHECK_STR(d.row[1].id, "7");
	CHECK_STR(d.row[1].subject, "Ann");
	CHECK(!d.row[0].id && !d.row[0].prompt);
	CHECK_EQ_INT(d.row[1].line, 3);
	CHECK_EQ_INT(strlen(d.sha256), 64);
	ul_dataset_release(&d);
}

static void test_data__three_pairs_of_keys(void)
{
	ul_dataset d;
	accepts(&d, "{\"prompt\": \"p\", \"response\": \"r\"}\n{\"prompt\": \"p\", \"completion\": \"c\"}\n{\"question\": \"q\", \"answer\": \"a\", \"text\": \"t\"}\r\n", NULL, 3, UL_SHAPE_PAIR);
	CHECK_STR(d.row[0].response, "r");
	CHECK_STR(d.row[1].response, "c");
	CHECK_STR(d.row[2].prompt, "q");
	CHECK(d.row[2].text == NULL);
	ul_dataset_release(&d);
}

static void test_data__one_array_on_many_lines(void)
{
	ul_dataset d;
	accepts(&d, "\xEF\xBB\xBF [\n {\"text\":\n  \"a ] , }\"},\n\n {\"text\": \"b \\\" [\"}\n]\n", NULL, 2, UL_SHAPE_TEXT);
	CHECK_STR(d.row[0].text, "a ] , }");
	CHECK_EQ_INT(d.row[0].line, 2);
	CHECK_EQ_INT(d.row[1].line, 5);
	ul_dataset_release(&d);
}

static void test_data__turns_and_ids(void)
{
	ul_dataset d;
	accepts(&d, "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": \"ho\"}]}", NULL, 1, UL_SHAPE_CHAT);
	ul_dataset_release(&d);
	accepts(&d, "{\"ids\": [1, 2, 3]}\n{\"ids\": [4, 5], \"labels\": [-100, 5]}", NULL, 2, UL_SHAPE_IDS);
	ul_dataset_release(&d);
}

static void test_data__map_names_the_keys(void)
{
	ul_dataset d;
	ul_err err = {0};
	accepts(&d, "{\"query\": \"q\", \"target\": \"t\", \"text\": \"x\"}", "prompt=query,response=target", 1, UL_SHAPE_PAIR);
	CHECK_STR(d.row[0].response, "t");
	ul_dataset_release(&d);
	accepts(&d, "{\"body\": \"b\", \"question\": \"q\", \"answer\": \"a\"}", "text=body", 1, UL_SHAPE_TEXT);
	ul_dataset_release(&d);
	CHECK_FAILS(read(&d, "{\"a\": 1}", "colour=a", &err), err, "\"colour\" is none of");
}

static void spot_is(const ul_row *r, int i, int start, int end, const char *type)
{
	CHECK_EQ_INT(r->spots[i].start, start);
	CHECK_EQ_INT(r->spots[i].end, end);
	CHECK_STR(r->spots[i].type, type);
}

static void test_data__spans_of_three_families(void)
{
	ul_dataset d;
	accepts(&d, "{\"text\": \"\\u00e9 Ann\", \"spans\": [{\"start\": 2, \"end\": 5, \"type\": \"NAME\"}]}\n"
	            "{\"full_text\": \"Ann in Rome\", \"spans\": [{\"entity_type\": \"GPE\", \"start_position\": 7, \"end_position\": 11}, {\"entity_type\": \"PERSON\", \"start_position\": 0, \"end_position\": 3}]}\n"
	            "{\"source_text\": \"Ann\", \"privacy_mask\": [{\"label\": \"FIRSTNAME\", \"start\": 0, \"end\": 3, \"value\": \"Ann\"}]}\n"
	            "{\"text\": \"none\", \"spans\": []}",
	        NULL, 4, UL_SHAPE_TEXT);
	spot_is(&d.row[0], 0, 2, 5, "NAME");
	CHECK_EQ_INT(d.row[1].spot_n, 2);
	spot_is(&d.row[1], 0, 0, 3, "PERSON");
	spot_is(&d.row[1], 1, 7, 11, "GPE");
	spot_is(&d.row[2], 0, 0, 3, "FIRSTNAME");
	CHECK_EQ_INT(d.row[3].spot_n, 0);
	ul_dataset_release(&d);
}

static void test_data__real_spans_of_presidio(void)
{
	ul_dataset d = {0};
	ul_err err = {0};
	NEED_OK(ul_dataset_read(&d, test_shared("pii-presidio-synthetic/synth_dataset_v2.json"), NULL, &err), err);
	int spots = 0;
	for (int i = 0; i < d.n; i++) {
		json_t *list = json_object_get(d.row[i].json, "spans"), *s;
		size_t k;
		json_array_foreach(list, k, s)
		{ /* the file says what each span must read */
			const char *want = ul_json_str(s, "entity_value"), *at = d.row[i].text;
			int64_t from = 0;
			NEED(ul_json_int(s, "start_position", 0, 100000, &from, &err));
			for (int64_t c = 0; c < from; at++)
				c += ((unsigned char)at[1] & 0xC0) != 0x80;
			CHECK(want && !strncmp(at, want, strlen(want)));
			spots++;
		}
		CHECK_EQ_INT(d.row[i].spot_n, json_array_size(list));
	}
	CHECK(spots > 1000);
	ul_dataset_release(&d);
}

static void test_data__complaints_name_the_line(void)
{
	refuses("", "holds no rows");
	refuses(" \n\n", "holds no rows");
	refuses("[]", "holds no rows");
	refuses("{\"text\": \"a\"}\n{\"text\": \n", "line 2");
	refuses("{\"text\": \"a\"} {\"text\": \"b\"}\n", "line 1");
	refuses("{\"text\": \"a\"}\n{\"question\": \"a\", \"answer\": \"b\"}", "line 2: this row holds prompt and response, the rows before it text");
	refuses("{\"text\": \"a\"}\n7\n", "line 2: a record is an object");
	refuses("{\"body\": \"a\"}", "line 1: no text, no prompt and response");
	refuses("{\"text\": 7}", "line 1: \"text\" is not text");
	refuses("{\"question\": \"q\", \"answer\": 2}", "\"answer\" is not text");
	refuses("[{\"text\": \"a\"},\n{\"text\": \"b\"}\n", "line 3: the array is not closed");
	refuses("[{\"text\": \"a\"}]\nx", "line 2: something follows");
	refuses("[{\"text\": \"a\"},]", "line 1");
	refuses("{\"text\": \"a\", \"text\": \"b\"}", "line 1");
	refuses("{\"text\": \"\xff\"}", "line 1");
}

static void test_data__complaints_about_content(void)
{
	refuses("{\"ids\": []}", "not a list of token ids");
	refuses("{\"ids\": [1, -2]}", "id 2 is not a token id");
	refuses("{\"ids\": [1, 2.5]}", "id 2 is not a token id");
	refuses("{\"ids\": [1, 2], \"labels\": [1]}", "1 labels stand beside 2 ids");
	refuses("{\"ids\": [1, 2], \"labels\": [-100, 3]}", "label 2 is neither -100 nor the id 2");
	refuses("{\"messages\": []}", "not a list of turns");
	refuses("{\"messages\": [{\"role\": \"user\"}]}", "turn 1 has no role and content");
	refuses("{\"text\": \"\\u00e9\\u00e9\", \"spans\": [{\"start\": 0, \"end\": 3}]}", "span 1 covers characters 0 to 3, but the text has 2");
	refuses("{\"text\": \"abc\", \"spans\": [{\"start\": 2, \"end\": 2}]}", "span 1 covers characters 2 to 2");
	refuses("{\"text\": \"abc\", \"spans\": [{\"start\": -1, \"end\": 2}]}", "span 1");
	refuses("{\"text\": \"abc\", \"spans\": [{\"from\": 1}]}", "span 1 has no start and end");
	refuses("{\"text\": \"abc\", \"spans\": {}}", "not a list of spans");
}

static void test_data__overlap_counts_rows(void)
{
	ul_dataset a, b;
	accepts(&a, "{\"text\": \"one  two \"}\n{\"text\": \"three\"}\n{\"text\": \"four\"}", NULL, 3, UL_SHAPE_TEXT);
	accepts(&b, "{\"text\": \"one two\"}\n{\"text\": \"Three\"}\n{\"text\": \"four\"}\n{\"text\": \"onetwo\"}", NULL, 4, UL_SHAPE_TEXT);
	CHECK_EQ_INT(ul_dataset_overlap(&a, &b), 2);
	ul_dataset_release(&b);
	accepts(&b, "{\"ids\": [1, 2]}", NULL, 1, UL_SHAPE_IDS);
	CHECK_EQ_INT(ul_dataset_overlap(&a, &b), 0);
	CHECK_EQ_INT(ul_dataset_overlap(&b, &b), 1);
	ul_dataset_release(&a);
	ul_dataset_release(&b);
}

static void test_data__rows_of_a_source(void)
{
	ul_dataset d = {0};
	ul_err err = {0};
	json_t *row = json_pack("{s:s, s:{s:s}}", "text", "hello", "source", "name", "test");
	NEED_OK(ul_dataset_add(&d, row, &err), err);
	json_decref(row);
	row = json_pack("{s:[i,i]}", "ids", 1, 2);
	CHECK_FAILS(ul_dataset_add(&d, row, &err), err, "row 2: this row holds ids");
	json_decref(row);
	CHECK_EQ_INT(d.n, 1);
	CHECK_STR(ul_json_str(json_object_get(d.row[0].json, "source"), "name"), "test");
	ul_dataset_release(&d);
}

static bool read_again(void *ud, ul_err *err)
{
	ul_dataset d = {0};
	if (!ul_dataset_read(&d, ud, &(ul_data_config){.map = "subject=who"}, err))
		return false;
	ul_dataset_release(&d);
	return true;
}

static void test_data__every_failing_allocation(void)
{
	test_file("rows.jsonl", "{\"text\": \"one\", \"who\": 3, \"spans\": [{\"start\": 0, \"end\": 1}]}\n{\"text\": \"two\"}");
	char path[4096];
	snprintf(path, sizeof path, "%s", test_path("rows.jsonl"));
	CHECK(test_each_alloc(read_again, path) > 0);
}
