/*
 * rng.c: Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3" (SC 2011). A stream is addressed by (seed, purpose, index) and never shared.
 */
#include "base/base.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/random.h>

static void philox(const uint32_t key[2], const uint32_t ctr[4], uint32_t out[4])
{
	uint32_t k0 = key[0], k1 = key[1], c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3];
	for (int round = 0; round < 10; round++) {
		uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
		c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)p1;
		c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)p0;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* The finaliser of splitmix64: a bijection, so distinct inputs stay distinct. */
static uint64_t mix(uint64_t x)
{
	x += 0x9E3779B97F4A7C15u;
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
	return x ^ (x >> 31);
}

ul_rng ul_rng_at(uint64_t seed, const char *purpose, uint64_t index)
{
	uint64_t name = 0xCBF29CE484222325u; /* FNV-1a */
	for (const char *p = purpose; *p; p++)
		name = (name ^ (unsigned char)*p) * 0x100000001B3u;
	uint64_t key = mix(mix(seed) ^ name);
	/* The low half of the counter runs through the stream, the high half is the index. */
	return (ul_rng){.key = {(uint32_t)key, (uint32_t)(key >> 32)}, .ctr = {0, 0, (uint32_t)index, (uint32_t)(index >> 32)}};
}

uint32_t ul_rng_u32(ul_rng *r)
{
	if (r->have == 0) {
		philox(r->key, r->ctr, r->out);
		if (++r->ctr[0] == 0)
			r->ctr[1]++;
		r->have = 4;
	}
	return r->out[4 - r->have--];
}

double ul_rng_uniform(ul_rng *r)
{
	uint64_t hi = ul_rng_u32(r) >> 5, lo = ul_rng_u32(r) >> 6; /* 27 + 26 bits */
	return (double)(hi << 26 | lo) * 0x1p-53;
}

double ul_rng_normal(ul_rng *r)
{
	double u = 1 - ul_rng_uniform(r), v = ul_rng_uniform(r); /* u in (0, 1] */
	return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
}

/* Lemire, "Fast random integer generation in an interval" (2019). */
uint32_t ul_rng_below(ul_rng *r, uint32_t n)
{
	UL_ASSERT(n > 0, "n = %u", n);
	uint32_t reject = -n % n;
	for (;;) {
		uint64_t m = (uint64_t)ul_rng_u32(r) * n;
		if ((uint32_t)m >= reject)
			return (uint32_t)(m >> 32);
	}
}

void ul_rng_shuffle(ul_rng *r, int *a, int n)
{
	for (int i = n - 1; i > 0; i--) {
		int j = (int)ul_rng_below(r, (uint32_t)i + 1), t = a[i];
		a[i] = a[j];
		a[j] = t;
	}
}

bool ul_secret_bytes(void *out, size_t n, ul_err *err)
{
	for (size_t at = 0; at < n;) {
		ssize_t got = getrandom((char *)out + at, n - at, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			memset(out, 0, n);
			return ul_fail(err, "the system gave no random bytes: %s", strerror(errno));
		}
		at += (size_t)got;
	}
	return true;
}
