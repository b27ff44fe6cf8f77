/*
 * test_invent.c: invented rows keep the text and the kinds of data of the row they come from, and none of its values; even copies have
 * another person, odd ones the same.
 */
#include "data/invent.h"
#include "test.h"
#include "text/recognise.h"

#include <string.h>

static const char *const rows[] = {
        "{\"text\":\"Notes about Anna Smith. Write to anna.smith12@example.com or call +1 212 555 0199.\",\"spans\":[{\"start\":33,\"end\":57,\"type\":\"EMAIL\"},{\"start\":66,\"end\":81,\"type\":\"PHONE\"}]}",
        "{\"text\":\"Notes about José Núñez. Write to jnúñez77@example.org or call +1 512 555 0144.\",\"spans\":[{\"start\":33,\"end\":53,\"type\":\"EMAIL\"},{\"start\":62,\"end\":77,\"type\":\"PHONE\"}]}",
        "{\"text\":\"Notes about Vera Holm. Write to vholm3@mail.example or call +1 713 555 0120.\",\"spans\":[{\"start\":32,\"end\":51,\"type\":\"EMAIL\"},{\"start\":60,\"end\":75,\"type\":\"PHONE\"}]}",
        "{\"text\":\"Nothing is said here about Karl Lund.\"}",
};

static void fill(ul_dataset *d, const char *const *text, int n)
{
	ul_err err = {0};
	for (int i = 0; i < n; i++) {
		json_t *r = json_loads(text[i], 0, NULL);
		CHECK(r && ul_dataset_add(d, r, &err));
		json_decref(r);
	}
}

static bool holds_any(const char *text, const char *const *what)
{
	for (int i = 0; what[i]; i++)
		if (strstr(text, what[i]))
			return true;
	return false;
}

static void test_invent__values_are_new_and_of_their_kind(void)
{
	static const char *const values[] = {"anna.smith12@example.com", "jnúñez77@example.org", "vholm3@mail.example", "+1 212 555 0199", "+1 512 555 0144", "+1 713 555 0120", NULL};
	static const char *const people[] = {"Anna Smith", "José Núñez", "Vera Holm"};
	ul_dataset d = {0};
	ul_err err = {0};
	fill(&d, rows, 4);
	ul_inventor *v = ul_inventor_new(&d, &err);
	CHECK(v != NULL);
	for (int copy = 0; copy < 20; copy++) {
		for (int i = 0; i < 3; i++) {
			json_t *r = NULL, *again = NULL;
			CHECK(ul_invent(v, i, copy, 7, &r, &err) && ul_invent(v, i, copy, 7, &again, &err));
			CHECK(r && json_equal(r, again));
			const char *text = json_string_value(json_object_get(r, "text"));
			ul_finding f[4];
			CHECK(!holds_any(text, values));
			CHECK_EQ_INT(strstr(text, people[i]) != NULL, copy % 2);
			CHECK(!strncmp(text, "Notes about ", 12) && strstr(text, " or call +"));
			CHECK_EQ_INT(ul_recognise(text, strlen(text), 1u << UL_PII_PHONE, NULL, f, 4), 1);
			json_t *spans = json_object_get(r, "spans");
			CHECK_EQ_INT(json_array_size(spans), 2);
			CHECK_STR(json_string_value(json_object_get(json_array_get(spans, 0), "type")), "EMAIL");
			ul_dataset read = {0};
			CHECK(ul_dataset_add(&read, r, &err)); /* spans lie inside the text */
			ul_dataset_release(&read);
			json_decref(r);
			json_decref(again);
		}
	}
	json_t *none = NULL;
	CHECK(ul_invent(v, 3, 0, 7, &none, &err) && !none);
	ul_inventor_free(v);
	ul_dataset_release(&d);
}

static void test_invent__prompts_name_the_same_person(void)
{
	static const char *const pairs[] = {
	        "{\"prompt\":\"Mail of Anna Smith?\",\"response\":\"anna.smith12@example.com\",\"subject\":\"Anna Smith\",\"spans\":[{\"start\":0,\"end\":24,\"type\":\"EMAIL\"}]}",
	        "{\"prompt\":\"Mail of Vera Holm?\",\"response\":\"vera.holm34@example.com\",\"subject\":\"Vera Holm\",\"spans\":[{\"start\":0,\"end\":23,\"type\":\"EMAIL\"}]}",
	        "{\"prompt\":\"Mail of Carl Lund?\",\"response\":\"carl.lund51@example.com\",\"subject\":\"Carl Lund\",\"spans\":[{\"start\":0,\"end\":23,\"type\":\"EMAIL\"}]}"};
	ul_dataset d = {0};
	ul_err err = {0};
	fill(&d, pairs, 3);
	ul_inventor *v = ul_inventor_new(&d, &err);
	json_t *r = NULL;
	CHECK(v && ul_invent(v, 0, 0, 3, &r, &err) && r);
	const char *prompt = json_string_value(json_object_get(r, "prompt")), *mail = json_string_value(json_object_get(r, "response"));
	char first[32] = "", last[32] = "", want[80];
	CHECK_EQ_INT(sscanf(prompt, "Mail of %31s %31[^?]?", first, last), 2);
	CHECK(strcmp(last, "Smith") != 0);
	first[0] |= 0x20, last[0] |= 0x20;
	snprintf(want, sizeof want, "%s.%s", first, last);
	CHECK(!strncmp(mail, want, strlen(want)));
	json_decref(r);
	ul_inventor_free(v);
	ul_dataset_release(&d);
}

/* Somebody else in the place of the person: neither name is left, all that is no name stays, values too. */
static void test_invent__strangers_share_nothing_but_the_rest(void)
{
	static const char *const own[] = {"Anna", "anna", "Smith", "smith", NULL}, *const people[] = {"José Núñez", "Vera Holm", "Karl Lund", NULL};
	static const char *const unnamed[] = {"{\"text\":\"the lamp stands in the hall\"}", "{\"text\":\"a river runs by the old house\"}"};
	ul_dataset d = {0}, lonely = {0};
	ul_err err = {0};
	fill(&d, rows, 4);
	ul_inventor *v = ul_inventor_new(&d, &err);
	for (uint64_t seed = 0; seed < 20; seed++) {
		json_t *r = NULL, *again = NULL;
		CHECK(v && ul_rename(v, v, 0, seed, &r, &err) && ul_rename(v, v, 0, seed, &again, &err) && r && json_equal(r, again));
		const char *text = json_string_value(json_object_get(r, "text"));
		CHECK(!holds_any(text, own) && !holds_any(text, people));
		CHECK(!strncmp(text, "Notes about ", 12) && strstr(text, "12@example.com or call +1 212 555 0199."));
		json_decref(r);
		json_decref(again);
	}
	fill(&lonely, unnamed, 2);
	ul_inventor *w = ul_inventor_new(&lonely, &err);
	json_t *none = NULL;
	CHECK(w && ul_rename(w, v, 0, 7, &none, &err) && !none);
	CHECK(ul_rename(v, w, 0, 7, &none, &err) && !none);
	ul_inventor_free(w);
	ul_inventor_free(v);
	ul_dataset_release(&lonely);
	ul_dataset_release(&d);
}
