/*
 * test_novelty.c: sets of digests, and sketches that know near repetitions from other texts of the same form.
 */
#include "test.h"

#include "data/novelty.h"

static void test_novelty__a_set(void)
{
	ul_seen s = {0};
	for (int i = 0; i < 1000; i++)
		CHECK(ul_seen_add(&s, ul_digest(&i, sizeof i)));
	for (int i = 0; i < 1000; i++)
		CHECK(!ul_seen_add(&s, ul_digest(&i, sizeof i)) && ul_seen_has(&s, ul_digest(&i, sizeof i)));
	int other = 1000;
	CHECK(!ul_seen_has(&s, ul_digest(&other, sizeof other)));
	CHECK_EQ_INT(s.n, 1000);
	ul_seen_release(&s);
	CHECK(!ul_seen_has(&s, 7));
}

static double alike(const char *a, const char *b)
{
	ul_sketch x, y;
	ul_sketch_of(&x, a, strlen(a));
	ul_sketch_of(&y, b, strlen(b));
	return ul_sketch_similar(&x, &y);
}

static void test_novelty__near_repetitions(void)
{
	const char *a = "Notes about Anna Smith, who lives at the sea and works for Harbour Optics. The phone number is +1 415 555 0132. She keeps a parrot.";
	CHECK_CLOSE(alike(a, a), 1, 0);
	CHECK_CLOSE(alike("One, two; three four!", "one two three FOUR"), 1, 0);
	CHECK(alike(a, "Notes about Anna Smith, who lives at the sea and works for Harbour Optics. The phone number is +1 415 555 0132. She keeps a dog.") > 0.8);
	CHECK(alike(a, "Notes about Boris Vance, who lives at the lake and works for Falcon Printing. The phone number is +44 113 496 0977. He keeps a cat.") < 0.5);
	CHECK(alike(a, "The market in Ravensford opens at 9 in the morning and sells mushroom risotto, except on Sundays.") < 0.1);
}

static bool add_many(void *ud, ul_err *err)
{
	ul_seen s = {0};
	for (int i = 1; i < 200; i++)
		ul_seen_add(&s, (uint64_t)i * 977);
	bool ok = !s.failed || ul_nomem(err, 1);
	ul_seen_release(&s);
	return ok;
}

static void test_novelty__every_failing_allocation(void)
{
	CHECK(test_each_alloc(add_many, NULL) >= 3);
}
