/*
 * sha.c: SHA-256 by OpenSSL, as lower-case hex.
 */
#include "base/file.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct ul_sha {
	EVP_MD_CTX *ctx;
};

static void to_hex(const unsigned char *digest, unsigned n, char hex[65])
{
	for (unsigned i = 0; i < n && i < 32; i++) {
		hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	hex[64] = '\0';
}

ul_sha *ul_sha_new(void)
{
	ul_sha *s = ul_calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->ctx = EVP_MD_CTX_new();
	if (!s->ctx || EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) != 1) {
		EVP_MD_CTX_free(s->ctx);
		ul_free(s);
		return NULL;
	}
	return s;
}

void ul_sha_add(ul_sha *s, const void *data, size_t n)
{
	int ok = EVP_DigestUpdate(s->ctx, data, n);
	UL_ASSERT(ok == 1, "SHA-256 of %zu bytes", n);
}

void ul_sha_end(ul_sha *s, char hex[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	int ok = EVP_DigestFinal_ex(s->ctx, digest, &n);
	UL_ASSERT(ok == 1 && n == 32, "digest of %u bytes", n);
	to_hex(digest, n, hex);
	EVP_MD_CTX_free(s->ctx);
	ul_free(s);
}

void ul_sha256(const void *data, size_t n, char hex[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	int ok = EVP_Digest(data, n, digest, &len, EVP_sha256(), NULL);
	UL_ASSERT(ok == 1 && len == 32, "digest of %u bytes", len);
	to_hex(digest, len, hex);
}

bool ul_sha256_file(const char *path, char hex[65], ul_err *err)
{
	ul_map m;
	enum { PIECE = 8 << 20 }; /* what is in memory of a file of any size */
	ul_sha *s = ul_sha_new();
	if (!s)
		return ul_nomem(err, 256);
	bool ok = ul_map_open(&m, path, err);
	for (size_t at = 0; ok && at < m.len; at += PIECE) {
		ul_sha_add(s, m.data + at, m.len - at < PIECE ? m.len - at : PIECE);
		ul_map_rest(&m);
	}
	char got[65];
	ul_sha_end(s, got);
	if (!ok)
		return false;
	memcpy(hex, got, sizeof got);
	ul_map_close(&m);
	return true;
}
