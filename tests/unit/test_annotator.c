/*
 * test_annotator.c: a command that marks personal data, and commands that die, hang, or answer with rubbish.
 */
#include "test.h"

#include "base/child.h"
#include "data/annotator.h"

static void refuses_within(double seconds, const char *command, const char *part)
{
	ul_err err = {0};
	ul_annotator *a = ul_annotator_start(command, seconds, &err);
	CHECK_FAILS(a != NULL, err, part);
	ul_annotator_free(a);
}

static void refuses(const char *command, const char *part)
{
	refuses_within(30, command, part);
}

static void test_annotator__bad_commands(void)
{
	refuses("exit 3", "ended with status 3 after 0 answers");
	refuses("no-such-program-anywhere", "could not be run");
	refuses_within(0.5, "sleep 60", "gave no answer within 0.5 seconds");
	refuses("kill -9 $$", "ended");
	refuses("while read l; do echo hello; done", "no JSON object: \"hello\"");
	refuses("while read l; do echo '{}'; done", "without \"spans\"");
	refuses("while read l; do echo '{\"spans\": 7}'; done", "without \"spans\"");
	refuses("while read l; do echo '{\"spans\": [{\"start\": 3, \"end\": 900}]}'; done", "does not lie in the text");
	refuses("while read l; do echo '{\"spans\": [{\"start\": 5, \"end\": 5}]}'; done", "does not lie in the text");
	refuses("while read l; do echo '{\"spans\": [{\"start\": -1, \"end\": 5}]}'; done", "does not lie in the text");
	refuses("yes | tr -d '\\n'", "without ending the line");
}

/* Two lines for one: the second would be taken for the answer to the next text. */
static void test_annotator__answers_too_often(void)
{
	ul_err err = {0};
	ul_finding f[8];
	ul_annotator *a = ul_annotator_start("while read l; do echo '{\"spans\": []}'; echo '{\"spans\": []}'; done", 5, &err);
	NEED_OK(a, err);
	bool ok = true;
	for (int i = 0; i < 100 && ok; i++) /* at the next text, as soon as the line is there */
		ok = ul_annotate(a, "a text", 6, 0, NULL, f, 8, &err) >= 0;
	CHECK_FAILS(ok, err, "wrote more than it was asked for");
	ul_annotator_free(a);
}

static bool alive(const char *marker)
{
	char command[200];
	snprintf(command, sizeof command, "grep -qsxz '[8]%s' /proc/[0-9]*/cmdline", marker + 1); /* a word of its own, not grep's */
	return system(command) == 0;
}

/* What a command has started ends with it: when it is ended, when it has died, and when it is silent. */
static void test_annotator__leaves_no_process(void)
{
	static const char *const command[] = {
	        "sleep 86411 & while read l; do echo '{\"spans\": []}'; done",
	        "sleep 86412 & read l; echo '{\"spans\": []}'; exit 3", /* seen to be dead, although its output is still open */
	        "sleep 86413 & read l; echo '{\"spans\": []}'; sleep 86413",
	};
	for (int i = 0; i < 3; i++) {
		ul_err err = {0};
		ul_finding f[8];
		char marker[16];
		snprintf(marker, sizeof marker, "8641%d", i + 1);
		ul_annotator *a = ul_annotator_start(command[i], 5, &err);
		NEED_OK(a, err);
		for (int k = 0; k < 40 && !alive(marker); k++) /* the shell has still to start it */
			system("sleep 0.05");
		CHECK(alive(marker));
		CHECK((ul_annotate(a, "a text", 6, 0, NULL, f, 8, &err) >= 0) == (i == 0));
		if (i > 0)
			CHECK_HAS(err.msg, i == 1 ? "ended with status 3 after 1 answer" : "gave no answer within 5 seconds");
		ul_annotator_free(a);
		for (int k = 0; k < 40 && alive(marker); k++) /* a killed process is not gone at once */
			system("sleep 0.05");
		CHECK_MSG(!alive(marker), "sleep %s is still there", marker);
	}
}

/* It goes on answering, dies, and stays dead. */
static void test_annotator__dies_later(void)
{
	ul_err err = {0};
	ul_finding f[8];
	ul_annotator *a = ul_annotator_start("read l; echo '{\"spans\": []}'; read l; exit 9", 5, &err);
	NEED_OK(a, err);
	CHECK_FAILS(ul_annotate(a, "a text", 6, 0, NULL, f, 8, &err) >= 0, err, "ended with status 9 after 1 answer");
	err = (ul_err){0};
	CHECK_FAILS(ul_annotate(a, "a text", 6, 0, NULL, f, 8, &err) >= 0, err, "has ended");
	ul_annotator_free(a);
}

/* Places are code points, types those of other programs; the recognisers' own findings stay unless a longer one covers them. */
static void test_annotator__merges(void)
{
	ul_err err = {0};
	ul_finding f[8];
	const char *text = "Zoë Quill: zoe@example.org, room 12.";
	ul_annotator *a = ul_annotator_start("read l; echo '{\"spans\": []}'; read l; echo '{\"spans\": [{\"start\": 0, \"end\": 9, \"entity_type\": \"PERSON\"},"
	                                     " {\"start\": 12, \"end\": 15, \"type\": \"ODD\"}, {\"start\": 28, \"end\": 35, \"type\": \"ROOM\"}]}'; cat >/dev/null",
	        5, &err);
	NEED_OK(a, err);
	int n = ul_annotate(a, text, strlen(text), 0, NULL, f, 8, &err);
	NEED_OK(n == 3, err);
	CHECK(f[0].type == UL_PII_NAME && f[0].start == 0 && f[0].end == 10);
	CHECK(f[1].type == UL_PII_EMAIL && f[1].start == 12 && f[1].end == 27);
	CHECK(f[2].type == UL_PII_ID && f[2].start == 29);
	ul_annotator_free(a);
}

/* A text longer than any pipe holds, both ways at once. */
static void test_annotator__long_texts(void)
{
	ul_err err = {0};
	ul_buf line = {0}, answer = {0};
	ul_child *c = ul_child_start("cat", "echo", 20, &err);
	NEED_OK(c, err);
	for (int i = 0; i < 300000; i++) {
		ul_buf_str(&line, "0123456789");
	}
	for (int k = 0; k < 2; k++) {
		answer.len = 0;
		NEED_OK(ul_child_ask(c, line.data, line.len, &answer, &err), err);
		CHECK_EQ_INT(answer.len, line.len);
		CHECK(!memcmp(answer.data, line.data, line.len));
	}
	ul_child_end(c);
	ul_buf_release(&line);
	ul_buf_release(&answer);
}

static bool start(void *ud, ul_err *err)
{
	ul_finding f[4];
	ul_annotator *a = ul_annotator_start("while read l; do echo '{\"spans\": [{\"start\": 0, \"end\": 1}]}'; done", 20, err);
	bool ok = a && ul_annotate(a, "a text", 6, 0, NULL, f, 4, err) == 1;
	ul_annotator_free(a);
	return ok;
}

static void test_annotator__out_of_memory(void)
{
	CHECK(test_each_alloc(start, NULL) > 5);
}
