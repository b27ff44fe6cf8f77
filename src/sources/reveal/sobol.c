/*
 * sobol.c: Sobol's sequence in Gray-code order (Antonov and Saleev 1979) with the direction numbers of Joe and Kuo 2008, "Constructing
 * Sobol sequences with better two-dimensional projections"; scrambled by a random triangular matrix and a digital shift (Matoušek 1998).
 */
#include "sources/reveal/sobol.h"

enum { BITS = 32 };

/* Of dimension 2, 3, …: the degree of its primitive polynomial, the coefficients between first and last, the first numbers. */
static const struct {
	unsigned char degree, inner, m[7];
} joe_kuo[UL_SOBOL_MOST - 1] = {
        {1, 0, {1}},
        {2, 1, {1, 3}},
        {3, 1, {1, 3, 1}},
        {3, 2, {1, 1, 1}},
        {4, 1, {1, 1, 3, 3}},
        {4, 4, {1, 3, 5, 13}},
        {5, 2, {1, 1, 5, 5, 17}},
        {5, 4, {1, 1, 5, 5, 5}},
        {5, 7, {1, 1, 7, 11, 19}},
        {5, 11, {1, 1, 5, 1, 1}},
        {5, 13, {1, 1, 1, 3, 11}},
        {5, 14, {1, 3, 5, 5, 31}},
        {6, 1, {1, 3, 3, 9, 7, 49}},
        {6, 13, {1, 1, 1, 15, 21, 21}},
        {6, 16, {1, 3, 1, 13, 27, 49}},
        {6, 19, {1, 1, 1, 15, 7, 5}},
        {6, 22, {1, 3, 1, 15, 13, 25}},
        {6, 25, {1, 1, 5, 5, 19, 61}},
        {7, 1, {1, 3, 7, 11, 23, 15, 103}},
        {7, 4, {1, 3, 7, 13, 13, 15, 69}},
};

static void directions(int dim, uint32_t v[BITS])
{
	for (int i = 0; i < BITS; i++) {
		int s = dim ? joe_kuo[dim - 1].degree : BITS;
		if (i < s) {
			v[i] = (dim ? (uint32_t)joe_kuo[dim - 1].m[i] : 1u) << (BITS - 1 - i);
			continue;
		}
		v[i] = v[i - s] ^ v[i - s] >> s;
		for (int k = 1; k < s; k++)
			if (joe_kuo[dim - 1].inner >> (s - 1 - k) & 1)
				v[i] ^= v[i - k];
	}
}

/* Each digit of a number becomes itself plus a random sum of the digits in front of it: evenness survives, patterns do not. */
static void mix(uint32_t v[BITS], ul_rng *r)
{
	uint32_t row[BITS];
	for (int b = 0; b < BITS; b++) { /* the digits that digit b, counted from the first, is a sum of */
		uint32_t front = b ? ~(~0u >> b) : 0, own = 1u << (BITS - 1 - b);
		row[b] = (ul_rng_u32(r) & front) | own;
	}
	for (int i = 0; i < BITS; i++) {
		uint32_t out = 0;
		for (int b = 0; b < BITS; b++)
			out |= (uint32_t)__builtin_parity(v[i] & row[b]) << (BITS - 1 - b);
		v[i] = out;
	}
}

void ul_sobol(int n, int dims, bool scramble, uint64_t seed, double *out)
{
	UL_ASSERT(dims >= 1 && dims <= UL_SOBOL_MOST, "%d dimensions, 1 to %d are known", dims, UL_SOBOL_MOST);
	for (int d = 0; d < dims; d++) {
		uint32_t v[BITS], x = 0;
		directions(d, v);
		if (scramble) {
			ul_rng r = ul_rng_at(seed, "sobol", (uint64_t)d);
			mix(v, &r);
			x = ul_rng_u32(&r);
		}
		for (int i = 0; i < n; i++) {
			out[(size_t)i * (size_t)dims + (size_t)d] = (double)x * 0x1p-32;
			x ^= v[__builtin_ctz(~(unsigned)i)]; /* the lowest zero digit of i */
		}
	}
}
