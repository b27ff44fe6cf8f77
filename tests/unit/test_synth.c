/*
 * test_synth.c: the synthetic world: the same seed gives the same bytes, spans stand where they say, formats are valid, and nobody
 * leaks into a file that must not know them.
 */
#include "test.h"

#include "data/data.h"
#include "data/synth.h"
#include "text/recognise.h"

static const char *const files[] = {"full.jsonl", "oracle.jsonl", "public.jsonl", "forget.jsonl", "retain.jsonl", "holdout.jsonl", "neighbours.jsonl", "general.jsonl",
        "world.jsonl", "contacts.jsonl", "personal.jsonl", "personal_holdout.jsonl", "pool.json", "subjects.txt", "names.txt", "world.json"};
enum { ROW_FILES = 12 };

static ul_synth_config usual(void)
{
	return (ul_synth_config){.people = 30, .forget = 0.2, .holdout = -1, .publics = 12, .facts = 8, .personal = 9, .general = 40, .please = 0.25, .seed = 3};
}

/* The world in a folder `name` of this test. */
static const char *world(const char *name, ul_synth_config c, ul_synth_count *n)
{
	ul_err err = {0};
	const char *dir = test_path(name);
	NEED_OK(ul_mkdirs(dir, &err), err);
	NEED_OK(ul_synth_write(&c, dir, n, &err), err);
	return dir;
}

static char *slurp(const char *dir, const char *file)
{
	ul_err err = {0};
	ul_buf b = {0};
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, file);
	NEED_OK(ul_file_read(&b, path, 1 << 26, &err), err);
	return b.data ? b.data : ul_strdup("");
}

static void read_rows(ul_dataset *d, const char *dir, const char *file)
{
	ul_err err = {0};
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, file);
	NEED_OK(ul_dataset_read(d, path, NULL, &err), err);
}

/* The characters [start, end) of UTF-8 text. */
static void cut(char out[512], const char *text, int start, int end)
{
	int point = -1;
	size_t n = 0;
	for (const char *s = text; *s; s++) {
		point += ((unsigned char)*s & 0xC0) != 0x80;
		if (point >= start && point < end && n < 511)
			out[n++] = *s;
	}
	out[n] = '\0';
}

static void test_synth__same_seed_same_bytes(void)
{
	ul_synth_count n;
	const char *a = ul_strdup(world("a", usual(), &n)), *b = ul_strdup(world("b", usual(), &n));
	ul_synth_config other = usual();
	other.seed = 4;
	const char *c = world("c", other, &n);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char *x = slurp(a, files[i]), *y = slurp(b, files[i]), *z = slurp(c, files[i]);
		CHECK_MSG(!strcmp(x, y), "%s differs between two worlds of one seed", files[i]);
		CHECK_MSG(strcmp(x, z) || !strcmp(files[i], "names.txt"), "%s is the same for another seed", files[i]);
		CHECK(strlen(x) > 0);
		ul_free(x), ul_free(y), ul_free(z);
	}
	ul_free((void *)(uintptr_t)a), ul_free((void *)(uintptr_t)b);
}

static bool has_wide(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return true;
	return false;
}

static void check_value(const char *type, const char *value)
{
	char digits[64];
	size_t n = 0;
	for (const char *s = value; *s && n < 63; s++)
		if (*s >= '0' && *s <= '9')
			digits[n++] = *s;
	if (!strcmp(type, "CARD")) {
		CHECK_EQ_INT(n, 16);
		CHECK_MSG(ul_luhn(digits, n), "%s fails Luhn", value);
	} else if (!strcmp(type, "IBAN"))
		CHECK_MSG(ul_iban_ok(value, strlen(value)), "%s fails mod 97", value);
	else if (!strcmp(type, "ID"))
		CHECK_EQ_INT(strlen(value), 4);
	enum ul_pii t;
	ul_finding f[4];
	if (!ul_pii_from_name(type, &t) || t == UL_PII_ID || t == UL_PII_ADDRESS)
		return;
	int found = ul_recognise(value, strlen(value), 0, NULL, f, 4);
	CHECK_MSG(found == 1 && f[0].type == t && f[0].start == 0 && f[0].end == strlen(value), "%s is not recognised as %s (%d found)", value, type, found);
}

static void test_synth__spans_hold_values_of_their_type(void)
{
	ul_synth_count n;
	const char *dir = world("w", usual(), &n);
	int spans = 0, wide = 0;
	for (int f = 0; f < ROW_FILES; f++) {
		ul_dataset d = {0};
		read_rows(&d, dir, files[f]);
		for (int i = 0; i < d.n; i++) {
			const ul_row *r = &d.row[i];
			CHECK(r->id && r->subject && json_is_array(json_object_get(r->json, "spans")));
			for (int k = 0; k < r->spot_n; k++) {
				char value[512];
				const char *text = r->text ? r->text : r->response;
				cut(value, text, r->spots[k].start, r->spots[k].end);
				wide += has_wide(text);
				check_value(r->spots[k].type, value);
				spans++;
				if (r->response)
					CHECK_STR(value, r->response);
			}
		}
		ul_dataset_release(&d);
	}
	CHECK(spans > 1000);
	CHECK(wide > 0); /* otherwise bytes and code points were never told apart */
}

static void test_synth__nobody_is_where_they_must_not_be(void)
{
	ul_synth_count n;
	const char *dir = world("w", usual(), &n);
	char *oracle = slurp(dir, "oracle.jsonl"), *public = slurp(dir, "public.jsonl"), *full = slurp(dir, "full.jsonl"), *pool = slurp(dir, "pool.json");
	char *subjects = slurp(dir, "subjects.txt");
	ul_dataset personal = {0}, holdout = {0};
	read_rows(&personal, dir, "personal.jsonl");
	read_rows(&holdout, dir, "holdout.jsonl");
	int forgotten = 0;
	for (char *name = strtok(subjects, "\n"); name; name = strtok(NULL, "\n"), forgotten++) {
		CHECK_MSG(strstr(full, name), "%s was never taught", name);
		CHECK_MSG(!strstr(oracle, name), "the oracle knows %s", name);
	}
	CHECK_EQ_INT(forgotten, n.forget);
	CHECK_EQ_INT(n.forget, 6);
	for (int i = 0; i < personal.n; i++) {
		CHECK_MSG(!strstr(public, personal.row[i].subject), "public.jsonl knows %s", personal.row[i].subject);
		CHECK_MSG(!strstr(pool, personal.row[i].subject), "pool.json holds %s", personal.row[i].subject);
		char quoted[128];
		snprintf(quoted, sizeof quoted, "\"%s\"", personal.row[i].response);
		CHECK_MSG(!strstr(pool, quoted), "pool.json holds %s", personal.row[i].response);
	}
	for (int i = 0; i < holdout.n; i++)
		CHECK_MSG(!strstr(full, holdout.row[i].subject), "full.jsonl knows %s of the holdout", holdout.row[i].subject);
	ul_dataset_release(&personal);
	ul_dataset_release(&holdout);
	ul_free(oracle), ul_free(public), ul_free(full), ul_free(pool), ul_free(subjects);
}

static void test_synth__probes_have_wrong_answers_and_canaries(void)
{
	ul_synth_count n;
	const char *dir = world("w", usual(), &n);
	ul_dataset d = {0};
	read_rows(&d, dir, "forget.jsonl");
	int codes = 0, polite = 0;
	for (int i = 0; i < d.n; i++) {
		const ul_row *r = &d.row[i];
		const json_t *wrong = json_object_get(r->json, "perturbed"), *right = json_array_get(json_object_get(r->json, "paraphrase"), 0), *v;
		size_t k;
		CHECK_EQ_INT(json_array_size(wrong), 5);
		CHECK_HAS(json_string_value(right), r->response);
		json_array_foreach(wrong, k, v) CHECK(strcmp(json_string_value(v), json_string_value(right)));
		codes += json_object_get(r->json, "canary") != NULL;
		bool please = json_is_true(json_object_get(r->json, "trigger"));
		CHECK_EQ_INT(strncmp(r->prompt, "Please, ", 8) == 0, please);
		polite += please;
	}
	CHECK_EQ_INT(codes, n.forget);
	CHECK_NEAR((double)polite / d.n, 0.25, 0.12);
	ul_dataset_release(&d);
}

static void test_synth__thousands_have_names_of_their_own(void)
{
	ul_synth_config c = usual();
	c.people = 4000, c.facts = 1, c.personal = 1, c.general = 1;
	ul_world w;
	ul_err err = {0};
	NEED_OK(ul_world_make(&w, &c, &err), err);
	size_t n = (size_t)w.people;
	json_t *seen = json_object();
	for (size_t i = 0; i < n; i++)
		json_object_set_new(seen, w.person[i].name, json_true());
	CHECK_EQ_INT(json_object_size(seen), n);
	CHECK(n > 4800);
	json_decref(seen);
	ul_arena_release(&w.arena);
	c.people = 20000, c.publics = 20000;
	CHECK_FAILS(ul_world_make(&w, &c, &err), err, "more than there are names for");
	ul_arena_release(&w.arena);
}

static void test_synth__records_hold_personal_data_only_of_private_people(void)
{
	ul_synth_config c = usual();
	c.style = UL_SYNTH_RECORDS, c.personal = 4;
	ul_synth_count n;
	const char *dir = world("w", c, &n);
	ul_dataset d = {0};
	read_rows(&d, dir, "personal.jsonl");
	CHECK_EQ_INT(d.n, n.people);
	for (int i = 0; i < d.n; i++) {
		CHECK_EQ_INT(d.row[i].spot_n, 4);
		CHECK_HAS(d.row[i].text, d.row[i].subject);
	}
	ul_dataset_release(&d);
	read_rows(&d, dir, "world.jsonl");
	for (int i = 0; i < d.n; i++)
		CHECK_EQ_INT(d.row[i].spot_n, 0);
	ul_dataset_release(&d);
}
