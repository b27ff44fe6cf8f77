/*
 * test_rng.c: Philox against the known answers published with Random123 (kat_vectors), and the laws of what is built on it.
 */
#include "test.h"

static void philox_is(const uint32_t ctr[4], const uint32_t key[2], const uint32_t want[4])
{
	ul_rng r = {.key = {key[0], key[1]}, .ctr = {ctr[0], ctr[1], ctr[2], ctr[3]}};
	for (int i = 0; i < 4; i++)
		CHECK_EQ_INT(ul_rng_u32(&r), want[i]);
}

static void test_rng__known_answers(void)
{
	philox_is((uint32_t[4]){0}, (uint32_t[2]){0}, (uint32_t[4]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
	philox_is((uint32_t[4]){~0u, ~0u, ~0u, ~0u}, (uint32_t[2]){~0u, ~0u}, (uint32_t[4]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
	philox_is((uint32_t[4]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, (uint32_t[2]){0xa4093822, 0x299f31d0},
	        (uint32_t[4]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

static void test_rng__same_address_same_numbers(void)
{
	ul_rng a = ul_rng_at(7, "shuffle", 3), b = ul_rng_at(7, "shuffle", 3);
	for (int i = 0; i < 100; i++)
		CHECK_EQ_INT(ul_rng_u32(&a), ul_rng_u32(&b));
}

static void test_rng__addresses_differ(void)
{
	uint32_t first[4];
	ul_rng r[4] = {ul_rng_at(7, "a", 3), ul_rng_at(8, "a", 3), ul_rng_at(7, "b", 3), ul_rng_at(7, "a", 4)};
	for (int i = 0; i < 4; i++)
		first[i] = ul_rng_u32(&r[i]);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			CHECK(first[i] != first[j]);
}

/* The bounds are five standard errors of the estimate: fixed seed, so this is no lottery. */
static void test_rng__moments(void)
{
	enum { N = 200000 };
	ul_rng r = ul_rng_at(0, "moments", 0);
	double mean = 0, square = 0, normal = 0, normal2 = 0;
	for (int i = 0; i < N; i++) {
		double u = ul_rng_uniform(&r), z = ul_rng_normal(&r);
		CHECK(u >= 0 && u < 1);
		mean += u / N, square += u * u / N, normal += z / N, normal2 += z * z / N;
	}
	CHECK_NEAR(mean, 0.5, 5 * 0.2887 / sqrt(N));
	CHECK_NEAR(square, 1.0 / 3, 5 * 0.2981 / sqrt(N));
	CHECK_NEAR(normal, 0, 5 / sqrt(N));
	CHECK_NEAR(normal2, 1, 5 * 1.4142 / sqrt(N));
}

static void test_rng__below_is_even(void)
{
	enum { N = 60000 };
	int count[6] = {0};
	ul_rng r = ul_rng_at(1, "die", 0);
	for (int i = 0; i < N; i++) {
		uint32_t x = ul_rng_below(&r, 6);
		NEED(x < 6);
		count[x]++;
	}
	double chi2 = 0;
	for (int i = 0; i < 6; i++)
		chi2 += pow(count[i] - N / 6.0, 2) / (N / 6.0);
	CHECK_MSG(chi2 < 20.5, "chi-square of a die with 5 degrees of freedom is %g", chi2); /* p = 0.001 */
	for (int i = 0; i < 100; i++)
		CHECK_EQ_INT(ul_rng_below(&r, 1), 0);
}

static void test_rng__shuffle_is_a_permutation(void)
{
	int a[100], seen[100] = {0}, moved = 0;
	for (int i = 0; i < 100; i++)
		a[i] = i;
	ul_rng r = ul_rng_at(2, "cards", 0);
	ul_rng_shuffle(&r, a, 100);
	for (int i = 0; i < 100; i++) {
		NEED(a[i] >= 0 && a[i] < 100);
		seen[a[i]]++;
		moved += a[i] != i;
	}
	for (int i = 0; i < 100; i++)
		CHECK_EQ_INT(seen[i], 1);
	CHECK(moved > 80);
	ul_rng_shuffle(&r, a, 0);
	ul_rng_shuffle(&r, a, 1);
}

static void test_rng__stream_runs_over_its_low_word(void)
{
	ul_rng r = {.ctr = {~0u, 0, 0, 0}};
	for (int i = 0; i < 4; i++)
		ul_rng_u32(&r);
	CHECK_EQ_INT(r.ctr[0], 0);
	CHECK_EQ_INT(r.ctr[1], 1);
}

static void test_rng__secrets_differ(void)
{
	unsigned char a[32] = {0}, b[32] = {0};
	ul_err err = {0};
	NEED_OK(ul_secret_bytes(a, sizeof a, &err), err);
	NEED_OK(ul_secret_bytes(b, sizeof b, &err), err);
	CHECK(memcmp(a, b, sizeof a) != 0);
}
