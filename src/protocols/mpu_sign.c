/*
 * mpu_sign.c: Ed25519 signatures of manifests (RFC 8032, by OpenSSL), and files that hold secrets.
 */
#include "base/disk.h"
#include "protocols/mpu_files.h"
#include "protocols/mpu_sign.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void ul_hex(const unsigned char *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
	                                                             : -1;
}

bool ul_unhex(const char *hex, unsigned char *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int a = digit(hex[2 * i]), b = a < 0 ? -1 : digit(hex[2 * i + 1]);
		if (b < 0)
			return false;
		out[i] = (unsigned char)(a << 4 | b);
	}
	return hex[2 * n] == 0;
}

/* Created before anybody else could open it: the mode is given at the creation, not after it. */
bool ul_secret_write(const char *path, const void *data, size_t n, ul_err *err)
{
	char temp[PATH_MAX];
	if ((size_t)snprintf(temp, sizeof temp, "%s.new", path) >= sizeof temp)
		return ul_fail(err, "the path %s is longer than %d bytes", path, PATH_MAX);
	unlink(temp); /* what a killed process left */
	int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ul_fail(err, "cannot write %s: %s", path, strerror(errno));
	bool ok = ul_disk_write(fd, path, data, n, err) && ul_disk_sync(fd, path, err);
	if (close(fd) != 0 && ok)
		ok = ul_fail(err, "cannot write %s: %s", path, strerror(errno));
	ok = ok && ul_disk_rename(temp, path, err);
	if (!ok) {
		unlink(temp);
		return false;
	}
	return ul_disk_sync_dir_of(path, err);
}

static EVP_PKEY *private_key(const ul_mpu_signer *s)
{
	return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, s->secret, sizeof s->secret);
}

bool ul_mpu_signer_fill(ul_mpu_signer *s, ul_err *err)
{
	unsigned char public[32];
	size_t n = sizeof public;
	EVP_PKEY *k = private_key(s);
	bool ok = k && EVP_PKEY_get_raw_public_key(k, public, &n) && n == sizeof public;
	EVP_PKEY_free(k);
	if (!ok)
		return ul_fail(err, "the cryptographic library could not make an Ed25519 key");
	ul_hex(public, sizeof public, s->key);
	return true;
}

static bool read_secret(ul_mpu_signer *s, const char *path, ul_err *err)
{
	struct stat st;
	ul_buf text = {0};
	if (stat(path, &st) == 0 && st.st_mode & (S_IRWXG | S_IRWXO)) {
		ul_fail(err, "the key %s can be read by others (mode %03o)", path, (unsigned)st.st_mode & 0777);
		ul_hint(err, "chmod 600 %s, if nobody has read it yet", path);
		return false;
	}
	bool ok = ul_file_read(&text, path, 256, err);
	if (ok && text.len == 65 && text.data[64] == '\n')
		text.data[64] = 0;
	ok = ok && ((text.len == 65 && ul_unhex(text.data, s->secret, 32)) || ul_fail(err, "%s does not hold a key: 64 hex digits and the end of the line are needed", path));
	if (text.data)
		OPENSSL_cleanse(text.data, text.len);
	ul_buf_release(&text);
	return ok;
}

bool ul_mpu_signer_open(ul_mpu_signer *s, const char *path, bool make, ul_err *err)
{
	char line[66];
	*s = (ul_mpu_signer){0};
	if (ul_file_exists(path) || !make)
		return read_secret(s, path, err) && ul_mpu_signer_fill(s, err);
	if (!ul_secret_bytes(s->secret, sizeof s->secret, err) || !ul_mpu_signer_fill(s, err))
		return false;
	ul_hex(s->secret, sizeof s->secret, line);
	line[64] = '\n';
	bool ok = ul_secret_write(path, line, 65, err);
	OPENSSL_cleanse(line, sizeof line);
	return ok;
}

void ul_mpu_signer_release(ul_mpu_signer *s)
{
	OPENSSL_cleanse(s, sizeof *s);
}

bool ul_mpu_sign_bytes(const ul_mpu_signer *s, const void *data, size_t n, char sig[129], ul_err *err)
{
	unsigned char raw[64];
	size_t len = sizeof raw;
	EVP_PKEY *k = private_key(s);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = k && c && EVP_DigestSignInit(c, NULL, NULL, NULL, k) > 0 && EVP_DigestSign(c, raw, &len, data, n) > 0 && len == sizeof raw;
	EVP_MD_CTX_free(c);
	EVP_PKEY_free(k);
	if (!ok)
		return ul_fail(err, "the cryptographic library could not sign");
	ul_hex(raw, sizeof raw, sig);
	return true;
}

bool ul_mpu_signed(const char *key, const void *data, size_t n, const char *sig)
{
	unsigned char public[32], raw[64];
	if (strlen(key) != 64 || strlen(sig) != 128 || !ul_unhex(key, public, 32) || !ul_unhex(sig, raw, 64))
		return false;
	EVP_PKEY *k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, sizeof public);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = k && c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, k) > 0 && EVP_DigestVerify(c, raw, sizeof raw, data, n) == 1;
	EVP_MD_CTX_free(c);
	EVP_PKEY_free(k);
	return ok;
}
