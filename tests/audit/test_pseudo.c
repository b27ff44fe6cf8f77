/*
 * test_pseudo.c: made rows beside the truth, counted by hand.
 */
#include "test.h"

#include "audits/pseudo.h"

static ul_dataset rows(const char *name, const char *text)
{
	ul_dataset d = {0};
	ul_data_config how = {0};
	ul_err err = {0};
	test_file(name, text);
	NEED_OK(ul_dataset_read(&d, test_path(name), &how, &err), err);
	return d;
}

static double at(const json_t *v, const char *a, const char *b)
{
	const json_t *x = json_object_get(v, a);
	return json_number_value(b ? json_object_get(x, b) : x);
}

static void test_pseudo__counts_by_hand(void)
{
	/* Two true data: one found (twice, in a text with a character of two bytes), one not. */
	ul_dataset truth = rows("truth.jsonl", "{\"prompt\": \"q\", \"response\": \"ann@real.example\", \"spans\": [{\"start\": 0, \"end\": 16, \"type\": \"EMAIL\"}]}\n"
	                                       "{\"prompt\": \"q\", \"response\": \"the code is 4711-X\", \"spans\": [{\"start\": 12, \"end\": 18, \"type\": \"CODE\"}]}\n");
	ul_dataset made = rows("made.jsonl", "{\"text\": \"\xC3\xBC ann@real.example\", \"spans\": [{\"start\": 2, \"end\": 18, \"type\": \"EMAIL\"}]}\n"
	                                     "{\"text\": \"ann@real.example ada@example.com\", \"spans\": [{\"start\": 0, \"end\": 16, \"type\": \"EMAIL\"}, {\"start\": 17, \"end\": 32, \"type\": \"EMAIL\"}]}\n"
	                                     "{\"text\": \"zoe@nobody.example\", \"spans\": [{\"start\": 0, \"end\": 3, \"type\": \"EMAIL\"}]}\n"
	                                     "{\"text\": \"plain words\", \"spans\": [{\"start\": 0, \"end\": 5, \"type\": \"EMAIL\"}]}\n");
	ul_pool pool;
	ul_err err = {0};
	json_t *v = NULL;
	test_file("pool.json", "{\"EMAIL\": [\"ada@example.com\"]}");
	NEED_OK(ul_pool_read(&pool, test_path("pool.json"), &err), err);
	NEED_OK(ul_pseudo_judge(&made, &truth, &pool, &v, &err), err);
	CHECK_EQ_INT(at(v, "rows", NULL), 4);
	CHECK_EQ_INT(at(v, "entities", NULL), 4);
	CHECK_EQ_INT(at(v, "remembered", NULL), 1);
	CHECK_EQ_INT(at(v, "borrowed", NULL), 1);
	CHECK_EQ_INT(at(v, "invented", NULL), 2);
	CHECK_CLOSE(at(v, "recall", NULL), 0.5, 1e-12);
	CHECK_EQ_INT(at(json_object_get(v, "by_type"), "EMAIL", "invented"), 2);
	/* marked 16 + 16 + 15 + 3 + 5 bytes, of which the 5 are plain words; meant 16 + 16 + 15 + 18 */
	CHECK_CLOSE(at(v, "masks", "precision"), 50.0 / 55, 1e-12);
	CHECK_CLOSE(at(v, "masks", "recall"), 50.0 / 65, 1e-12);
	CHECK_CLOSE(at(v, "recognisers", "precision"), 1, 1e-12); /* on the true rows they find the e-mail address and not the code */
	CHECK_CLOSE(at(v, "recognisers", "recall"), 16.0 / 22, 1e-12);
	json_decref(v);
	ul_pool_release(&pool);
	ul_dataset_release(&made);
	NEED_OK(ul_dataset_read(&made, test_path("made.jsonl"), &(ul_data_config){0}, &err), err);
	ul_dataset_release(&truth);
	truth = rows("bare.jsonl", "{\"text\": \"no spans\"}\n");
	CHECK_FAILS(ul_pseudo_judge(&made, &truth, NULL, &v, &err), err, "no row to forget says where its personal data are");
	ul_dataset_release(&made);
	ul_dataset_release(&truth);
}
