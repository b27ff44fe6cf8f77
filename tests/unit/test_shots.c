/*
 * test_shots.c: what an answer of the few-shot annotator marks, and what of it is dropped.
 */
#include "data/annotator.h"
#include "data/shots.h"
#include "test.h"

static const char TEXT[] = "Zo\xC3\xAB Quill and Al Also: call Zo\xC3\xAB Quill at 555-0101.";

static int parse(const char *answer, ul_finding *f, int max)
{
	return ul_shots_parse(answer, TEXT, strlen(TEXT), f, max);
}

static void test_shots__marks_every_place(void)
{
	ul_finding f[8];
	NEED(parse(" NAME: Zo\xC3\xAB Quill; PHONE: 555-0101.", f, 8) == 3);
	CHECK(f[0].type == UL_PII_NAME && f[0].start == 0 && f[0].end == 10);
	CHECK(f[1].type == UL_PII_NAME && f[1].start == 29);
	CHECK(f[2].type == UL_PII_PHONE && f[2].end == strlen(TEXT) - 1);
	CHECK_EQ_INT(parse("NAME: Zo\xC3\xAB Quill", f, 1), 1);
}

/* A value inside a word, one that the text does not hold, an unknown type, and no type at all mark nothing. */
static void test_shots__drops_what_is_not_there(void)
{
	ul_finding f[8];
	NEED(parse("NAME: Al", f, 8) == 1);
	CHECK_EQ_INT(f[0].start, 15);
	CHECK_EQ_INT(parse("NAME: Ada Quill; EMAIL: zoe@example.org", f, 8), 0);
	CHECK_EQ_INT(parse("HERO: Zo\xC3\xAB Quill; Zo\xC3\xAB Quill;: 555-0101; none", f, 8), 0);
	CHECK_EQ_INT(parse("NAME: ; PHONE:;;; NAME: Q", f, 8), 0);
	CHECK_EQ_INT(parse("none\nNAME: Zo\xC3\xAB Quill", f, 8), 0);
	CHECK_EQ_INT(parse("", f, 8), 0);
}

static void test_shots__self_is_no_command(void)
{
	ul_err err = {0};
	ul_annotator *a = ul_annotator_start("self", 1, &err);
	NEED_OK(a, err);
	ul_model *m = ul_model_open("tests/golden/methods/theta", NULL, &err);
	NEED_OK(m, err);
	CHECK_FAILS(ul_annotator_attach(a, m, &err), err, "\"self\" needs a tokenizer");
	ul_model_free(m);
	ul_annotator_free(a);
}
