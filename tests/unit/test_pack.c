/*
 * test_pack.c: rows end to end: what stands where, and which positions predict which token.
 */
#include "test.h"

#include "data/data.h"

static int ids_a[] = {11, 12, 13}, ids_b[] = {21, 22}, ids_c[] = {31};
static unsigned char flags_a[] = {0, UL_ROW_LABEL, UL_ROW_LABEL | UL_ROW_SPAN}, flags_b[] = {UL_ROW_SPAN, 0}, flags_c[] = {0};
static ul_row rows[] = {{.n = 3, .ids = ids_a, .flags = flags_a}, {.n = 2, .ids = ids_b, .flags = flags_b}, {.n = 1, .ids = ids_c, .flags = flags_c}};
static const ul_dataset three = {.row = rows, .n = 3};

static void are(const int *got, const int *want, int n)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ_INT(got[i], want[i]);
}

static void test_pack__end_to_end(void)
{
	ul_arena a = {0};
	ul_err err = {0};
	ul_batch b;
	NEED_OK(ul_pack(&three, (int[]){1, 2, 0}, 3, false, &a, &b, &err), err);
	CHECK_EQ_INT(b.rows, 6);
	CHECK_EQ_INT(b.seqs, 3);
	are(b.ids, (int[]){21, 22, 31, 11, 12, 13}, 6);
	are(b.pos, (int[]){0, 1, 0, 0, 1, 2}, 6);
	are(b.span.start, (int[]){0, 2, 3, 6}, 4);
	are(b.item, (int[]){1, 2, 0}, 3);
	CHECK_EQ_INT(b.labels, 2);
	are(b.at, (int[]){3, 4}, 2);
	are(b.target, (int[]){12, 13}, 2);
	are(b.seq, (int[]){2, 2}, 2);
	are(b.seq_labels, (int[]){0, 0, 2}, 3);
	CHECK(b.spot[0] == 0 && b.spot[1] == 1);
	ul_arena_release(&a);
}

static void test_pack__all_labels_but_never_the_first(void)
{
	ul_arena a = {0};
	ul_err err = {0};
	ul_batch b;
	NEED_OK(ul_pack(&three, (int[]){0, 1, 2}, 3, true, &a, &b, &err), err);
	CHECK_EQ_INT(b.labels, 3);
	are(b.target, (int[]){12, 13, 22}, 3);
	are(b.seq_labels, (int[]){2, 1, 0}, 3);
	CHECK(b.spot[1] == 1 && b.spot[2] == 0);
	ul_arena_release(&a);
}

static bool pack_once(void *ud, ul_err *err)
{
	ul_arena a = {0};
	ul_batch b;
	bool ok = ul_pack(&three, (int[]){0, 1, 2}, 3, true, &a, &b, err);
	ul_arena_release(&a);
	return ok;
}

static void test_pack__every_failing_allocation(void)
{
	CHECK(test_each_alloc(pack_once, NULL) > 0);
}
