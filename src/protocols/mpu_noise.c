/*
 * mpu_noise.c: zero-sum noise from a keyed counter generator.
 *
 * Each (round, tensor, copy) has its own ChaCha20 key, SHA-256(master ‖ round ‖ copy ‖ name); the block counter is the position of
 * the element. Nothing is stored, any piece can be drawn again, and who lacks the master key cannot draw it. Normals are
 * Box-Muller pairs of two 32-bit words; the published code draws its noise from a seeded Python generator with constant seeds,
 * which anybody could regenerate.
 */
#include "protocols/mpu.h"

#include <math.h>
#include <openssl/evp.h>
#include <string.h>

enum { BLOCK = 64,
	PER_BLOCK = 16 }; /* bytes of a ChaCha20 block, and normals made from it */

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

static void pair(const unsigned char *p, float *a, float *b)
{
	double u = (word(p) + 0.5) / 4294967296.0, v = word(p + 4) / 4294967296.0;
	double r = sqrt(-2 * log(u)), t = 2 * 3.14159265358979323846 * v;
	*a = (float)(r * cos(t));
	*b = (float)(r * sin(t));
}

bool ul_mpu_normals(const ul_mpu_key *key, int round, const char *tensor, int copy, size_t first, float *out, size_t n, ul_err *err)
{
	unsigned char k[32], bytes[64 * BLOCK];
	UL_ASSERT(first % 2 == 0, "first %zu", first);
	if (!subkey(key, round, tensor, copy, k))
		return ul_fail(err, "the cryptographic library could not derive a noise key");
	for (size_t done = 0; done < n;) {
		size_t block = (first + done) / PER_BLOCK, skip = (first + done) % PER_BLOCK;
		size_t blocks = (skip + (n - done) + PER_BLOCK - 1) / PER_BLOCK;
		if (blocks > 64)
			blocks = 64;
		if (!stream(k, block, bytes, blocks))
			return ul_fail(err, "the cryptographic library could not draw noise");
		for (size_t i = skip; i < blocks * PER_BLOCK && done < n; i += 2) {
			float a, b;
			pair(bytes + i * 4, &a, &b);
			out[done++] = a;
			if (done < n)
				out[done++] = b;
		}
	}
	return true;
}

bool ul_mpu_words(const ul_mpu_key *key, int round, const char *purpose, int copy, uint32_t *out, size_t n, ul_err *err)
{
	unsigned char k[32], bytes[64 * BLOCK];
	if (!subkey(key, round, purpose, copy, k))
		return ul_fail(err, "the cryptographic library could not derive a transform key");
	for (size_t done = 0; done < n;) {
		size_t len = n - done < 64 * PER_BLOCK ? n - done : 64 * PER_BLOCK;
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
	double mean[PIECE], spread = sqrt((double)c->m / (c->m - 1));
	UL_ASSERT(c->m >= 2, "m %d", c->m);
	for (size_t at = 0; at < n; at += PIECE) {
		size_t len = n - at < PIECE ? n - at : PIECE;
		memset(mean, 0, len * sizeof *mean);
		for (int k = 0; k < c->m; k++) {
			if (!ul_mpu_normals(key, round, tensor, k, first + at, z, len, err))
				return false;
			for (size_t i = 0; i < len; i++)
				mean[i] += z[i] / c->m;
			if (k == copy)
				memcpy(mine, z, len * sizeof *z);
		}
		for (size_t i = 0; i < len; i++)
			out[at + i] = (float)(sigma * c->alpha[copy] * spread * (mine[i] - mean[i]));
	}
	return true;
}
