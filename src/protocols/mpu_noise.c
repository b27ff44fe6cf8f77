/*
 * mpu_noise.c: zero-sum noise from a keyed counter generator.
 *
 * Each (round, tensor, copy) has its own ChaCha20 key, SHA-256(master ‖ round ‖ copy ‖ name); the block counter is the position of
 * the element. Nothing is stored, any piece can be drawn again, and who lacks the master key cannot draw it. Normals are
 * Box-Muller pairs of two 32-bit words of one block; the published code draws its noise from a seeded Python generator with constant seeds,
 * which anybody could regenerate.
 */
#include "protocols/mpu.h"

#include <math.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

enum { BLOCK = 64,
	PER_BLOCK = 16, /* bytes of a ChaCha20 block, and normals made from it */
	BLOCKS = 64 }; /* at a time */

/* Inlined into each of the loops below, so that each is compiled for its own instructions. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

static bool subkey(const ul_mpu_key *key, int round, const char *tensor, int copy, unsigned char out[32])
{
	EVP_MD_CTX *h = EVP_MD_CTX_new();
	uint32_t at[2] = {(uint32_t)round, (uint32_t)copy};
	bool ok = h && EVP_DigestInit_ex(h, EVP_sha256(), NULL) && EVP_DigestUpdate(h, key->bytes, sizeof key->bytes) &&
	          EVP_DigestUpdate(h, at, sizeof at) && EVP_DigestUpdate(h, tensor, strlen(tensor)) && EVP_DigestFinal_ex(h, out, NULL);
	EVP_MD_CTX_free(h);
	return ok;
}

/* The key stream of one address, from `first_block` on; read on in pieces. NULL: the library failed. */
static EVP_CIPHER_CTX *stream_open(const ul_mpu_key *key, int round, const char *tensor, int copy, size_t first_block)
{
	unsigned char k[32], iv[16] = {0}; /* OpenSSL: 64-bit little-endian block counter, then the nonce */
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	for (int i = 0; i < 8; i++)
		iv[i] = (unsigned char)((uint64_t)first_block >> (8 * i));
	bool ok = c && subkey(key, round, tensor, copy, k) && EVP_EncryptInit_ex(c, EVP_chacha20(), NULL, k, iv);
	OPENSSL_cleanse(k, sizeof k);
	if (!ok) {
		EVP_CIPHER_CTX_free(c);
		return NULL;
	}
	return c;
}

static bool stream_read(EVP_CIPHER_CTX *c, unsigned char *out, size_t blocks)
{
	static const unsigned char zeros[BLOCKS * BLOCK];
	int n = 0;
	UL_ASSERT(blocks <= BLOCKS, "%zu", blocks);
	return EVP_EncryptUpdate(c, out, &n, zeros, (int)(blocks * BLOCK));
}

ALWAYS_INLINE uint32_t word(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ---- normals: nothing but adding, multiplying and square roots, side by side, so that the bits are the same everywhere ---- */

ALWAYS_INLINE float as_float(int32_t i)
{
	float f;
	memcpy(&f, &i, sizeof f);
	return f;
}

ALWAYS_INLINE int32_t as_int(float f)
{
	int32_t i;
	memcpy(&i, &f, sizeof i);
	return i;
}

/* ln u for 0 < u <= 1, to a few parts in 10⁷: u = 2^e (1 + f) with 1 + f in [√½, √2), and the polynomial of the Cephes library. */
ALWAYS_INLINE float log_of(float u)
{
	int32_t shifted = as_int(u) - 0x3f3504f3, e = shifted >> 23;
	float f = as_float((shifted & 0x007fffff) + 0x3f3504f3) - 1, z = f * f;
	float y = 7.0376836292e-2f * f - 1.1514610310e-1f;
	y = y * f + 1.1676998740e-1f;
	y = y * f - 1.2420140846e-1f;
	y = y * f + 1.4249322787e-1f;
	y = y * f - 1.6668057665e-1f;
	y = y * f + 2.0000714765e-1f;
	y = y * f - 2.4999993993e-1f;
	y = y * f + 3.3333331174e-1f;
	y = y * f * z - 0.5f * z + (float)e * -2.12194440e-4f;
	return f + y + (float)e * 0.693359375f;
}

/* Box and Muller: 31 bits of the first word are u, and the second is an angle: two bits of quadrant, thirty inside it. */
ALWAYS_INLINE void pair(uint32_t w, uint32_t v, float *a, float *b)
{
	float u = ((float)(int32_t)(w >> 1) + 0.5f) * 4.656612873e-10f, r = sqrtf(-2 * log_of(u));
	float t = (float)((int32_t)(v << 2) >> 2) * 1.4629180793e-9f, z = t * t; /* [-π/4, π/4) */
	float sn = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * t + t;
	float cs = ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1;
	int32_t swap = -(int32_t)(v >> 30 & 1), x = as_int(cs), y = as_int(sn);
	int32_t c = ((x & ~swap) | (y & swap)) ^ (int32_t)((v ^ v << 1) & 0x80000000u), s = ((y & ~swap) | (x & swap)) ^ (int32_t)(v & 0x80000000u);
	*a = r * as_float(c);
	*b = r * as_float(s);
}

/* Blocks of the stream become PER_BLOCK normals each: x [blocks · PER_BLOCK]. A block's first half are radii, its second angles. */
ALWAYS_INLINE void normals_of(const unsigned char *bytes, size_t blocks, float *x)
{
	enum { HALF = PER_BLOCK / 2 };
	uint32_t w[BLOCKS * HALF], v[BLOCKS * HALF];
	float a[BLOCKS * HALF], b[BLOCKS * HALF];
	for (size_t i = 0; i < blocks; i++)
		for (size_t j = 0; j < HALF; j++) {
			w[i * HALF + j] = word(bytes + i * BLOCK + 4 * j);
			v[i * HALF + j] = word(bytes + i * BLOCK + BLOCK / 2 + 4 * j);
		}
#pragma omp simd
	for (size_t i = 0; i < blocks * HALF; i++)
		pair(w[i], v[i], &a[i], &b[i]);
	for (size_t i = 0; i < blocks; i++) {
		memcpy(x + i * PER_BLOCK, a + i * HALF, HALF * sizeof *a);
		memcpy(x + i * PER_BLOCK + HALF, b + i * HALF, HALF * sizeof *b);
	}
}

/* sum[n] += z[n] */
ALWAYS_INLINE void add_to(double *sum, const float *z, size_t n)
{
#pragma omp simd
	for (size_t i = 0; i < n; i++)
		sum[i] += z[i];
}

/* out[n] += scale (z[n] - share sum[n]) */
ALWAYS_INLINE void add_noise(float *out, const float *z, const double *sum, double scale, double share, size_t n)
{
#pragma omp simd
	for (size_t i = 0; i < n; i++)
		out[i] += (float)(scale * (z[i] - sum[i] * share));
}

/* The loops for the baseline of the architecture, and eight wide where the processor is: without fused products, so the same bits. */
typedef struct loops {
	void (*normals)(const unsigned char *bytes, size_t blocks, float *x);
	void (*add_to)(double *sum, const float *z, size_t n);
	void (*add_noise)(float *out, const float *z, const double *sum, double scale, double share, size_t n);
} loops;

#define LOOPS(name, attribute)                                                                                                      \
	attribute static void name##_normals(const unsigned char *bytes, size_t blocks, float *x)                                   \
	{                                                                                                                           \
		normals_of(bytes, blocks, x);                                                                                       \
	}                                                                                                                           \
	attribute static void name##_add_to(double *sum, const float *z, size_t n)                                                  \
	{                                                                                                                           \
		add_to(sum, z, n);                                                                                                  \
	}                                                                                                                           \
	attribute static void name##_add_noise(float *out, const float *z, const double *sum, double scale, double share, size_t n) \
	{                                                                                                                           \
		add_noise(out, z, sum, scale, share, n);                                                                            \
	}                                                                                                                           \
	static const loops name = {name##_normals, name##_add_to, name##_add_noise};

LOOPS(anywhere, )
#if defined __x86_64__
LOOPS(wide, __attribute__((target("avx2"))))
#endif

static const loops *chosen(void)
{
#if defined __x86_64__
	if (__builtin_cpu_supports("avx2"))
		return &wide;
#endif
	return &anywhere;
}

bool ul_mpu_normals(const ul_mpu_key *key, int round, const char *tensor, int copy, size_t first, float *out, size_t n, ul_err *err)
{
	unsigned char bytes[BLOCKS * BLOCK];
	float x[BLOCKS * PER_BLOCK];
	size_t skip = first % PER_BLOCK;
	EVP_CIPHER_CTX *c = stream_open(key, round, tensor, copy, first / PER_BLOCK);
	bool ok = c != NULL;
	for (size_t done = 0; ok && done < n; skip = 0) {
		size_t blocks = (skip + (n - done) + PER_BLOCK - 1) / PER_BLOCK;
		if (blocks > BLOCKS)
			blocks = BLOCKS;
		size_t len = blocks * PER_BLOCK - skip < n - done ? blocks * PER_BLOCK - skip : n - done;
		ok = stream_read(c, bytes, blocks);
		chosen()->normals(bytes, blocks, x);
		memcpy(out + done, x + skip, len * sizeof *x);
		done += len;
	}
	EVP_CIPHER_CTX_free(c);
	return ok || ul_fail(err, "the cryptographic library could not draw noise");
}

bool ul_mpu_words(const ul_mpu_key *key, int round, const char *purpose, int copy, uint32_t *out, size_t n, ul_err *err)
{
	unsigned char bytes[BLOCKS * BLOCK];
	EVP_CIPHER_CTX *c = stream_open(key, round, purpose, copy, 0);
	bool ok = c != NULL;
	for (size_t done = 0; ok && done < n;) {
		size_t len = n - done < BLOCKS * PER_BLOCK ? n - done : BLOCKS * PER_BLOCK;
		ok = stream_read(c, bytes, (len + PER_BLOCK - 1) / PER_BLOCK);
		for (size_t i = 0; ok && i < len; i++)
			out[done + i] = word(bytes + 4 * i);
		done += len;
	}
	EVP_CIPHER_CTX_free(c);
	return ok || ul_fail(err, "the cryptographic library could not draw a transform");
}

/* ---- zero-sum noise ---- */

typedef struct drawing { /* of one piece of a tensor */
	const ul_mpu_copies *c;
	float *const *out; /* [m]; NULL: this copy is not wanted */
	EVP_CIPHER_CTX **stream; /* [m] */
	float *z; /* [m, CHUNK], of the copies that are wanted */
	double sigma;
} drawing;

enum { CHUNK = BLOCKS * PER_BLOCK };

/* ε of `len` elements that lie `skip` behind where the streams stand, added to out[k] + at. */
static bool draw_chunk(const drawing *d, size_t blocks, size_t skip, size_t at, size_t len)
{
	unsigned char bytes[BLOCKS * BLOCK];
	double sum[CHUNK] = {0};
	int m = d->c->m;
	const loops *l = chosen();
	for (int k = 0; k < m; k++) {
		float *z = d->z + (size_t)k * CHUNK;
		if (!stream_read(d->stream[k], bytes, blocks))
			return false;
		l->normals(bytes, blocks, z);
		l->add_to(sum, z, blocks * PER_BLOCK);
	}
	for (int k = 0; k < m; k++)
		if (d->out[k])
			l->add_noise(d->out[k] + at, d->z + (size_t)k * CHUNK + skip, sum + skip, d->sigma * d->c->alpha[k] * sqrt((double)m / (m - 1)), 1.0 / m, len);
	return true;
}

bool ul_mpu_add_noise(const ul_mpu_key *key, int round, const char *tensor, const ul_mpu_copies *c, double sigma, size_t first, float *const *out, size_t n, ul_err *err)
{
	drawing d = {.c = c, .out = out, .sigma = sigma};
	size_t skip = first % PER_BLOCK;
	UL_ASSERT(c->m >= 2, "m %d", c->m);
	d.stream = ul_calloc((size_t)c->m, sizeof *d.stream);
	d.z = ul_malloc((size_t)c->m * CHUNK * sizeof *d.z);
	bool ok = (d.stream && d.z) || ul_nomem(err, (size_t)c->m * CHUNK * sizeof *d.z);
	for (int k = 0; ok && k < c->m; k++)
		ok = (d.stream[k] = stream_open(key, round, tensor, k, first / PER_BLOCK)) != NULL;
	for (size_t done = 0; ok && done < n; skip = 0) {
		size_t blocks = (skip + (n - done) + PER_BLOCK - 1) / PER_BLOCK;
		if (blocks > BLOCKS)
			blocks = BLOCKS;
		size_t len = blocks * PER_BLOCK - skip < n - done ? blocks * PER_BLOCK - skip : n - done;
		ok = draw_chunk(&d, blocks, skip, done, len);
		done += len;
	}
	for (int k = 0; d.stream && k < c->m; k++)
		EVP_CIPHER_CTX_free(d.stream[k]);
	ul_free(d.stream);
	ul_free(d.z);
	return ok || ul_fail(err, "the cryptographic library could not draw noise for %s", tensor);
}
