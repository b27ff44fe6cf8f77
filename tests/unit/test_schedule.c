/* test_schedule.c: the learning rate of each step, against the formulas and Hugging Face's values. */
#include "tests/test.h"
#include "train/train.h"

static void test_schedule__linear_falls_to_one_last_share(void)
{
	ul_train_config c = {.lr = 2, .schedule = UL_SCHED_LINEAR};
	CHECK_CLOSE(ul_schedule(&c, 0, 4), 2, 1e-15);
	CHECK_CLOSE(ul_schedule(&c, 1, 4), 1.5, 1e-15);
	CHECK_CLOSE(ul_schedule(&c, 3, 4), 0.5, 1e-15);
}

static void test_schedule__warmup_moves_at_once(void)
{
	ul_train_config c = {.lr = 1, .schedule = UL_SCHED_CONSTANT, .warmup = 4};
	CHECK_CLOSE(ul_schedule(&c, 0, 10), 0.25, 1e-15);
	CHECK_CLOSE(ul_schedule(&c, 3, 10), 1, 1e-15);
	CHECK_CLOSE(ul_schedule(&c, 9, 10), 1, 1e-15);
}

/* transformers.get_linear_schedule_with_warmup: k / warmup, then (steps - k) / (steps - warmup). */
static void test_schedule__compat_starts_at_zero(void)
{
	ul_train_config c = {.lr = 1, .schedule = UL_SCHED_LINEAR, .warmup = 2, .compat = UL_TRAIN_OPEN_UNLEARNING};
	const double want[] = {0, 0.5, 1, 0.75, 0.5, 0.25};
	for (int k = 0; k < 6; k++) {
		CHECK_NEAR(ul_schedule(&c, k, 6), want[k], 1e-15);
	}
}

static void test_schedule__warmup_as_a_share(void)
{
	ul_train_config c = {.lr = 1, .schedule = UL_SCHED_LINEAR, .warmup = 0.25};
	CHECK_CLOSE(ul_schedule(&c, 0, 8), 0.5, 1e-15);
	CHECK_CLOSE(ul_schedule(&c, 1, 8), 1, 1e-15);
	CHECK_CLOSE(ul_schedule(&c, 2, 8), 1, 1e-15);
	CHECK_CLOSE(ul_schedule(&c, 7, 8), 1.0 / 6, 1e-14);
}

static void test_schedule__cosine(void)
{
	ul_train_config c = {.lr = 1, .schedule = UL_SCHED_COSINE, .warmup = 2};
	CHECK_CLOSE(ul_schedule(&c, 2, 10), 1, 1e-15);
	CHECK_CLOSE(ul_schedule(&c, 6, 10), 0.5, 1e-14);
	CHECK_CLOSE(ul_schedule(&c, 9, 10), (1 + cos(acos(-1.0) * 7 / 8)) / 2, 1e-14);
}

/* A warm-up longer than the run is the run. */
static void test_schedule__warmup_longer_than_the_run(void)
{
	ul_train_config c = {.lr = 1, .schedule = UL_SCHED_LINEAR, .warmup = 100};
	CHECK_CLOSE(ul_schedule(&c, 0, 4), 0.25, 1e-15);
	CHECK_CLOSE(ul_schedule(&c, 3, 4), 1, 1e-15);
}
