/*
 * test_sobol.c: the sequence as another program writes it; what scrambling must not break.
 */
#include "test.h"

#include "sources/reveal/sobol.h"

static void test_sobol__as_scipy(void)
{
	enum { N = 64 };
	static double mine[N * UL_SOBOL_MOST], theirs[N * UL_SOBOL_MOST];
	ul_err err = {0};
	json_t *o = ul_json_file("tests/golden/reveal/sobol.json", 1 << 20, &err), *points = json_object_get(o, "points");
	NEED_OK(o, err);
	NEED(json_array_size(points) == N * UL_SOBOL_MOST);
	for (size_t i = 0; i < N * UL_SOBOL_MOST; i++)
		theirs[i] = json_number_value(json_array_get(points, i));
	ul_sobol(N, UL_SOBOL_MOST, false, 0, mine);
	CHECK_ARRAY(mine, theirs, N * UL_SOBOL_MOST, 0);
	json_decref(o);
}

/* Of 2^k points each of the 2^k equal intervals of every axis holds exactly one, whatever the scramble. */
static void test_sobol__scrambled_stays_even(void)
{
	enum { N = 256 };
	static double x[N * UL_SOBOL_MOST], other[N * UL_SOBOL_MOST];
	for (uint64_t seed = 1; seed < 4; seed++) {
		ul_sobol(N, UL_SOBOL_MOST, true, seed, x);
		for (int d = 0; d < UL_SOBOL_MOST; d++) {
			int held[N] = {0}, crowded = 0;
			for (int i = 0; i < N; i++)
				held[(int)(x[i * UL_SOBOL_MOST + d] * N)]++;
			for (int i = 0; i < N; i++)
				crowded += held[i] != 1;
			CHECK_MSG(crowded == 0, "seed %d, axis %d: %d intervals hold none or several", (int)seed, d, crowded);
		}
	}
	ul_sobol(N, UL_SOBOL_MOST, true, 1, x);
	ul_sobol(N, UL_SOBOL_MOST, true, 2, other);
	CHECK(memcmp(x, other, sizeof x) != 0);
	ul_sobol(N, UL_SOBOL_MOST, true, 1, other);
	CHECK(memcmp(x, other, sizeof x) == 0);
}
