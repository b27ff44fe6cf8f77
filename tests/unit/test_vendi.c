/*
 * test_vendi.c: the score on sets whose answer is known, and by numpy on others.
 */
#include "test.h"

#include "sources/reveal/vendi.h"

static double vendi(const double *x, int n, int width)
{
	ul_err err = {0};
	double out = 0;
	NEED_OK(ul_vendi(x, n, width, &out, &err), err);
	return out;
}

static void test_vendi__known_sets(void)
{
	const double same[] = {1, 2, 1, 2, 1, 2, 2, 4}; /* length does not matter */
	const double square[] = {1, 0, 0, 0, 2, 0, 0, 0, -1};
	const double pairs[] = {1, 1, 1, 1, 1, -1, 1, -1};
	CHECK_CLOSE(vendi(same, 4, 2), 1, 1e-12);
	CHECK_CLOSE(vendi(square, 3, 3), 3, 1e-12);
	CHECK_CLOSE(vendi(pairs, 4, 2), 2, 1e-12);
	CHECK_CLOSE(vendi(same, 1, 2), 1, 1e-12);
}

static void test_vendi__golden(void)
{
	ul_err err = {0};
	json_t *cases = ul_json_file("tests/golden/reveal/vendi.json", 1 << 20, &err), *c;
	size_t i;
	NEED_OK(cases, err);
	NEED(json_array_size(cases) >= 5);
	json_array_foreach(cases, i, c)
	{
		json_t *v = json_object_get(c, "x");
		int n = (int)json_integer_value(json_object_get(c, "n")), d = (int)json_integer_value(json_object_get(c, "d"));
		double *x = ul_malloc((size_t)n * (size_t)d * sizeof *x);
		NEED(x && json_array_size(v) == (size_t)n * (size_t)d);
		for (int k = 0; k < n * d; k++)
			x[k] = json_number_value(json_array_get(v, (size_t)k));
		CHECK_CLOSE(vendi(x, n, d), json_number_value(json_object_get(c, "vendi")), 1e-10);
		ul_free(x);
	}
	json_decref(cases);
}

static void test_vendi__share(void)
{
	CHECK(ul_vendi_share(1, 1) == 0);
	CHECK(ul_vendi_share(1, 8) == 0);
	CHECK(ul_vendi_share(8, 8) == 1);
	CHECK(ul_vendi_share(4.5, 8) == 0.5);
}

static void test_vendi__harmonic_mean(void)
{
	CHECK(ul_harmonic(0, 1, 0.5, 1) == 0);
	CHECK(ul_harmonic(0.5, 1, 0, 1) == 0);
	CHECK_CLOSE(ul_harmonic(0.3, 1, 0.3, 5), 0.3, 1e-15);
	CHECK_CLOSE(ul_harmonic(0.25, 1, 0.75, 1), 0.375, 1e-15);
	CHECK_CLOSE(ul_harmonic(0.25, 3, 0.75, 1), 4 / (3 / 0.25 + 1 / 0.75), 1e-15);
}
