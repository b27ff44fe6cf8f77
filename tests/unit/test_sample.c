/*
 * test_sample.c: the order of an epoch: every row once, the same for the same address, found again by two numbers.
 */
#include "test.h"

#include "data/data.h"

enum { ROWS = 23 };

static ul_dataset world(ul_row row[ROWS])
{
	for (int i = 0; i < ROWS; i++)
		row[i] = (ul_row){.n = 1 + i % 7};
	return (ul_dataset){.row = row, .n = ROWS};
}

static void test_sample__every_row_once_an_epoch(void)
{
	ul_row row[ROWS];
	ul_dataset d = world(row);
	ul_sampler s;
	ul_sampler_init(&s, &d, 3, "forget", 5, 0);
	CHECK_EQ_INT(ul_sampler_batches(&s), 5);
	for (int epoch = 0; epoch < 3; epoch++) {
		int seen[ROWS] = {0}, item[8], sizes[5];
		for (int b = 0; b < 5; b++) {
			sizes[b] = ul_sampler_next(&s, item, 8);
			CHECK_EQ_INT(s.epoch, epoch);
			for (int i = 0; i < sizes[b]; i++)
				seen[item[i]]++;
		}
		CHECK_EQ_INT(sizes[4], 3); /* the rest: a batch never reaches into the next epoch */
		for (int i = 0; i < ROWS; i++)
			CHECK_EQ_INT(seen[i], 1);
	}
	ul_sampler_release(&s);
}

static void test_sample__address_decides(void)
{
	ul_row row[ROWS];
	ul_dataset d = world(row);
	ul_sampler s[4];
	ul_sampler_init(&s[0], &d, 3, "forget", ROWS, 0);
	ul_sampler_init(&s[1], &d, 3, "forget", ROWS, 0);
	ul_sampler_init(&s[2], &d, 4, "forget", ROWS, 0);
	ul_sampler_init(&s[3], &d, 3, "retain", ROWS, 0);
	CHECK(!memcmp(s[0].order, s[1].order, ROWS * sizeof(int)));
	CHECK(memcmp(s[0].order, s[2].order, ROWS * sizeof(int)));
	CHECK(memcmp(s[0].order, s[3].order, ROWS * sizeof(int)));
	ul_sampler_seek(&s[1], 1, 0);
	CHECK(memcmp(s[0].order, s[1].order, ROWS * sizeof(int)));
	for (int i = 0; i < 4; i++)
		ul_sampler_release(&s[i]);
}

static void test_sample__seek_goes_on_as_if_never_stopped(void)
{
	ul_row row[ROWS];
	ul_dataset d = world(row);
	ul_sampler a, b;
	ul_sampler_init(&a, &d, 1, "x", 0, 9);
	for (int step = 0; step < 20; step++) {
		int one[ROWS], two[ROWS];
		ul_sampler_init(&b, &d, 1, "x", 0, 9);
		ul_sampler_seek(&b, a.epoch, a.at);
		int n = ul_sampler_next(&a, one, ROWS), m = ul_sampler_next(&b, two, ROWS);
		CHECK_EQ_INT(n, m);
		CHECK(!memcmp(one, two, (size_t)n * sizeof(int)));
		ul_sampler_release(&b);
	}
	ul_sampler_release(&a);
}

static void test_sample__token_budget(void)
{
	ul_row row[ROWS];
	ul_dataset d = world(row);
	ul_sampler s;
	int item[ROWS], seen = 0, batches;
	ul_sampler_init(&s, &d, 1, "x", 0, 9);
	batches = ul_sampler_batches(&s);
	for (int b = 0; b < batches; b++) {
		int n = ul_sampler_next(&s, item, ROWS), tokens = 0;
		for (int i = 0; i < n; i++)
			tokens += row[item[i]].n;
		CHECK(n >= 1 && tokens <= 9);
		seen += n;
	}
	CHECK_EQ_INT(seen, ROWS);
	CHECK_EQ_INT(s.epoch, 0);
	row[4].n = 100; /* larger than the budget: alone */
	ul_sampler_seek(&s, 1, 0);
	bool alone = false;
	for (int n; (n = ul_sampler_next(&s, item, ROWS)) && s.epoch == 1 && !alone;)
		alone = n == 1 && item[0] == 4;
	CHECK(alone);
	ul_sampler_release(&s);
}
