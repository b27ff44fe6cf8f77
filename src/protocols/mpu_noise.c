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
#include <openssl/evp.h>
#include <string.h>

enum { BLOCK = 64,
	PER_BLOCK = 16, /* bytes of a ChaCha20 block, and normals made from it */
	BLOCKS = 64 }; /* at a time */

static bool subkey(const ul_mpu_key *key, int round, const char *tensor, int copy, unsigned char out[32])
{
	EVP_MD_CTX *h = EVP_MD_CTX_new();
	uint32_t at[2] = {(uint32_t)round, (uint32_t)copy};
	bool ok = h && EVP_DigestInit_ex(h, EVP_sha256(), NULL) && EVP_DigestUpdate(h, key->bytes, sizeof key->bytes) &&
	          EVP_DigestUpdate(h, at, sizeof at) && EVP_DigestUpdate(h, tensor, strlen(tensor)) && EVP_DigestFinal_ex(h, out, NULL);
	EVP_MD_CTX_free(h);
	return ok;
}

/* `blocks` key-stream blocks from `first_block` on. */
static bool stream(const unsigned char key[32], size_t first_block, unsigned char *out, size_t blocks)
{
	unsigned char iv[16] = {0}; /* OpenSSL: 64-bit little-endian block counter, then the nonce */
	for (int i = 0; i < 8; i++)
		iv[i] = (unsigned char)((uint64_t)first_block >> (8 * i));
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0;
	memset(out, 0, blocks * BLOCK);
	bool ok = c && EVP_EncryptInit_ex(c, EVP_chacha20(), NULL, key, iv) && EVP_EncryptUpdate(c, out, &n, out, (int)(blocks * BLOCK));
	EVP_CIPHER_CTX_free(c);
	return ok;
}

static uint32_t word(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ---- normals: nothing but adding, multiplying and square roots, eight pairs side by side, so that the bits are the same everywhere ---- */

static float as_float(int32_t i)
{
	float f;
	memcpy(&f, &i, sizeof f);
	return f;
}

static int32_t as_int(float f)
{
	int32_t i;
	memcpy(&i, &f, sizeof i);
	return i;
}

/* ln u for 0 < u <= 1, to a few parts in 10⁷: u = 2^e (1 + f) with 1 + f in [√½, √2), and the polynomial of the Cephes library. */
static float log_of(float u)
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
static void pair(uint32_t w, uint32_t v, float *a, float *b)
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
static void normals_of(const unsigned char *bytes, size_t blocks, float *x)
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

bool ul_mpu_normals(const ul_mpu_key *key, int round, const char *tensor, int copy, size_t first, float *out, size_t n, ul_err *err)
{
	unsigned char k[32], bytes[BLOCKS * BLOCK];
	if (!subkey(key, round, tensor, copy, k))
		return ul_fail(err, "the cryptographic library could not derive a noise key");
	for (size_t done = 0; done < n;) {
		size_t block = (first + done) / PER_BLOCK, skip = (first + done) % PER_BLOCK;
		size_t blocks = (skip + (n - done) + PER_BLOCK - 1) / PER_BLOCK;
		if (blocks > BLOCKS)
			blocks = BLOCKS;
		if (!stream(k, block, bytes, blocks))
			return ul_fail(err, "the cryptographic library could not draw noise");
		float x[BLOCKS * PER_BLOCK];
		size_t len = blocks * PER_BLOCK - skip < n - done ? blocks * PER_BLOCK - skip : n - done;
		normals_of(bytes, blocks, x);
		memcpy(out + done, x + skip, len * sizeof *x);
		done += len;
	}
	return true;
}

bool ul_mpu_words(const ul_mpu_key *key, int round, const char *purpose, int copy, uint32_t *out, size_t n, ul_err *err)
{
	unsigned char k[32], bytes[BLOCKS * BLOCK];
	if (!subkey(key, round, purpose, copy, k))
		return ul_fail(err, "the cryptographic library could not derive a transform key");
	for (size_t done = 0; done < n;) {
		size_t len = n - done < BLOCKS * PER_BLOCK ? n - done : BLOCKS * PER_BLOCK;
		if (!stream(k, done / PER_BLOCK, bytes, (len + PER_BLOCK - 1) / PER_BLOCK))
			return ul_fail(err, "the cryptographic library could not draw a transform");
		for (size_t i = 0; i < len; i++)
			out[done + i] = word(bytes + 4 * i);
		done += len;
	}
	return true;
}

bool ul_mpu_noise(const ul_mpu_key *key, int round, const char *tensor, const ul_mpu_copies *c, int copy, double sigma, size_t first, float *out, size_t n, ul_err *err)
{
	enum { PIECE = 1024 };
	float z[PIECE], mine[PIECE] = {0};
	double mean[PIECE], share = 1.0 / c->m, scale = sigma * c->alpha[copy] * sqrt((double)c->m / (c->m - 1));
	UL_ASSERT(c->m >= 2, "m %d", c->m);
	for (size_t at = 0; at < n; at += PIECE) {
		size_t len = n - at < PIECE ? n - at : PIECE;
		memset(mean, 0, len * sizeof *mean);
		for (int k = 0; k < c->m; k++) {
			if (!ul_mpu_normals(key, round, tensor, k, first + at, z, len, err))
				return false;
#pragma omp simd
			for (size_t i = 0; i < len; i++)
				mean[i] += z[i];
			if (k == copy)
				memcpy(mine, z, len * sizeof *z);
		}
#pragma omp simd
		for (size_t i = 0; i < len; i++)
			out[at + i] = (float)(scale * (mine[i] - mean[i] * share));
	}
	return true;
}
