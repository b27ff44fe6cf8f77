/*
 * test_redact.c: what is left of rows when they are redacted, and what is not.
 */
#include "test.h"

#include "data/redact.h"

static void add(ul_dataset *d, const char *json)
{
	ul_err err = {0};
	json_t *v = ul_json_parse(json, strlen(json), "row", &err);
	NEED_OK(v && ul_dataset_add(d, v, &err), err);
	json_decref(v);
}

static const char *text(const json_t *list, size_t i, const char *key)
{
	return ul_json_str(json_array_get(list, i), key);
}

/* Marks become blocks, one for a character; numbers, names and rare words dots; words that rows have in common stay. */
static void test_redact__marks_names_and_rare_words(void)
{
	ul_dataset d = {0};
	add(&d, "{\"text\": \"You can call Ada Quill at 555-0101, or write to the old mill.\", \"spans\": [{\"start\": 26, \"end\": 34, \"type\": \"PHONE\"}]}");
	add(&d, "{\"text\": \"You can call Zo\\u00eb on 555-0102, or write to ada.quill@example.org\", \"spans\": [{\"start\": 20, \"end\": 28, \"type\": \"PHONE\"}]}");
	add(&d, "{\"text\": \"You can call nobody, or write to the sea.\", \"spans\": []}");
	json_t *list = ul_redacted(&d);
	NEED(json_array_size(list) == 3);
	CHECK_STR(text(list, 0, "text"), "You can call ··· ····· at ████████, or write to the ··· ····.");
	CHECK_STR(text(list, 1, "text"), "You can call ··· on ████████, or write to ···.·····@·······.···"); /* not marked, and covered all the same */
	const json_t *span = json_array_get(json_object_get(json_array_get(list, 1), "spans"), 0);
	CHECK_EQ_INT(json_integer_value(json_object_get(span, "start")), 20); /* a code point for a code point */
	CHECK_STR(ul_json_str(span, "type"), "PHONE");
	json_decref(list);
	ul_dataset_release(&d);
}

/* A name stays covered however often it stands there, in capitals always, in small letters where it is the subject's. */
static void test_redact__a_subject_everywhere(void)
{
	ul_dataset d = {0};
	for (int i = 0; i < 8; i++) {
		char row[300];
		snprintf(row, sizeof row, "{\"prompt\": \"The house of Rose Vance is in\", \"response\": \" a rose garden, says Rose, number %d\", \"subject\": \"Rose Vance\","
		                          " \"spans\": [{\"start\": 3, \"end\": 7, \"type\": \"ID\"}]}",
		        i);
		add(&d, row);
	}
	json_t *list = ul_redacted(&d);
	NEED(json_array_size(list) == 6);
	for (size_t i = 0; i < 6; i++) {
		CHECK_STR(text(list, i, "prompt"), "The house of ···· ····· is in");
		CHECK_STR(text(list, i, "text"), " a ████ garden, says ····, number ·");
	}
	json_decref(list);
	ul_dataset_release(&d);
}

/* Four with marks and two without, where there are enough of both; evenly from the first to the last. */
static void test_redact__which_rows(void)
{
	static const int cases[][3] = {{40, 40, 4}, {3, 40, 3}, {40, 1, 5}, {40, 0, 6}, {0, 40, 0}, {2, 2, 2}};
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		ul_dataset d = {0};
		for (int i = 0; i < cases[c][0] + cases[c][1]; i++) {
			char row[200];
			snprintf(row, sizeof row, "{\"text\": \"%.*s\", \"spans\": [%s]}", 1 + i, "................................................................................................", i < cases[c][0] ? "{\"start\": 0, \"end\": 1, \"type\": \"ID\"}" : "");
			add(&d, row);
		}
		json_t *list = ul_redacted(&d);
		int marked = 0, all = cases[c][0] + cases[c][1];
		for (size_t i = 0; i < json_array_size(list); i++)
			marked += json_array_size(json_object_get(json_array_get(list, i), "spans")) > 0;
		CHECK_EQ_INT(json_array_size(list), all < 6 ? all : 6);
		CHECK_EQ_INT(marked, cases[c][2]);
		if (c == 3)
			CHECK_EQ_INT(strlen(text(list, 3, "text")), 3 + 20); /* row 20 of 0 … 39: a block of three bytes and twenty dots */
		json_decref(list);
		ul_dataset_release(&d);
	}
}

static void test_redact__nothing_to_show(void)
{
	ul_dataset d = {0};
	json_t *list = ul_redacted(&d);
	CHECK_EQ_INT(json_array_size(list), 0);
	json_decref(list);
	add(&d, "{\"ids\": [1, 2, 3]}"); /* no text at all */
	list = ul_redacted(&d);
	CHECK_EQ_INT(json_array_size(list), 0);
	json_decref(list);
	ul_dataset_release(&d);
}
