/*
 * net_revoke.c: the list of revoked certificates of a test authority (net_certs.c), an X.509 CRL as RFC 5280 wants it. It is made anew
 * each time, of those in the old one and one more.
 */
#include "protocols/net.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { FILE_LIMIT = 16 << 20 };

static BIO *open_pem(const char *dir, const char *file, ul_buf *b, ul_err *err)
{
	char path[4096];
	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, file) >= sizeof path) {
		ul_fail(err, "paths below %.200s are longer than 4095 bytes", dir);
		return NULL;
	}
	return ul_file_read(b, path, FILE_LIMIT, err) ? BIO_new_mem_buf(b->data, (int)b->len) : NULL;
}

static X509 *read_cert(const char *dir, const char *file, ul_err *err)
{
	ul_buf b = {0};
	BIO *bio = open_pem(dir, file, &b, err);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	if (!x)
		ul_fail(err, "%s/%s holds no certificate", dir, file);
	BIO_free(bio);
	ul_buf_release(&b);
	return x;
}

static EVP_PKEY *read_key(const char *dir, ul_err *err)
{
	ul_buf b = {0};
	BIO *bio = open_pem(dir, "ca.key", &b, err);
	EVP_PKEY *k = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	if (!k)
		ul_fail(err, "%s/ca.key holds no key", dir);
	BIO_free(bio);
	if (b.data)
		explicit_bzero(b.data, b.len);
	ul_buf_release(&b);
	return k;
}

static bool add_revoked(X509_CRL *crl, const ASN1_INTEGER *serial, const ASN1_TIME *when)
{
	X509_REVOKED *r = X509_REVOKED_new();
	bool ok = r && X509_REVOKED_set_serialNumber(r, (ASN1_INTEGER *)(uintptr_t)serial) == 1 && X509_REVOKED_set_revocationDate(r, (ASN1_TIME *)(uintptr_t)when) == 1 && X509_CRL_add0_revoked(crl, r) == 1;
	if (!ok)
		X509_REVOKED_free(r);
	return ok;
}

/* Those of the list before; *number becomes one more than its own. */
static bool copy_old(X509_CRL *crl, const char *dir, long *number, ul_err *err)
{
	char path[4096];
	ul_buf b = {0};
	snprintf(path, sizeof path, "%s/revoked.pem", dir);
	*number = 1;
	if (!ul_file_exists(path))
		return true;
	BIO *bio = open_pem(dir, "revoked.pem", &b, err);
	X509_CRL *old = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
	bool ok = old != NULL;
	ASN1_INTEGER *was = ok ? X509_CRL_get_ext_d2i(old, NID_crl_number, NULL, NULL) : NULL;
	*number = was ? ASN1_INTEGER_get(was) + 1 : 1;
	ASN1_INTEGER_free(was);
	STACK_OF(X509_REVOKED) *list = ok ? X509_CRL_get_REVOKED(old) : NULL;
	for (int i = 0; ok && i < sk_X509_REVOKED_num(list); i++) {
		const X509_REVOKED *r = sk_X509_REVOKED_value(list, i);
		ok = add_revoked(crl, X509_REVOKED_get0_serialNumber(r), X509_REVOKED_get0_revocationDate(r));
	}
	X509_CRL_free(old);
	BIO_free(bio);
	ul_buf_release(&b);
	return ok || ul_fail(err, "%s holds no list of revoked certificates", path);
}

static bool sign_it(X509_CRL *crl, X509 *ca, EVP_PKEY *key, int days, long number)
{
	ASN1_TIME *now = X509_gmtime_adj(NULL, 0), *next = X509_time_adj_ex(NULL, days, 0, NULL);
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, ca, NULL, NULL, crl, 0);
	X509_EXTENSION *id = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid");
	bool ok = now && next && n && id && ASN1_INTEGER_set(n, number) == 1 && X509_CRL_set_version(crl, 1) == 1 && X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca)) == 1 &&
	          X509_CRL_set1_lastUpdate(crl, now) == 1 && X509_CRL_set1_nextUpdate(crl, next) == 1 && X509_CRL_add_ext(crl, id, -1) == 1 &&
	          X509_CRL_add1_ext_i2d(crl, NID_crl_number, n, 0, 0) == 1 && X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, key, EVP_sha256()) > 0;
	X509_EXTENSION_free(id);
	ASN1_INTEGER_free(n);
	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
	return ok;
}

static bool write_it(const X509_CRL *crl, const char *dir, ul_err *err)
{
	char path[4096], *data;
	BIO *b = BIO_new(BIO_s_mem());
	snprintf(path, sizeof path, "%s/revoked.pem", dir);
	bool ok = (b && PEM_write_bio_X509_CRL(b, (X509_CRL *)(uintptr_t)crl) == 1) || ul_fail(err, "cannot write %s", path);
	long n = ok ? BIO_get_mem_data(b, &data) : 0;
	ok = ok && ul_file_write(path, data, (size_t)n, err);
	BIO_free(b);
	return ok;
}

bool ul_net_certs_revoke(const char *dir, const char *name, int days, ul_err *err)
{
	char file[256];
	long number = 0;
	if (!*name || strchr(name, '/') || (size_t)snprintf(file, sizeof file, "%s/cert.pem", name) >= sizeof file)
		return ul_fail(err, "\"%.100s\" is not the name of a folder in %.200s", name, dir);
	X509 *cert = read_cert(dir, file, err), *ca = cert ? read_cert(dir, "ca.pem", err) : NULL;
	EVP_PKEY *key = ca ? read_key(dir, err) : NULL;
	X509_CRL *crl = X509_CRL_new();
	X509_REVOKED *there = NULL;
	ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
	bool ok = key && ((crl && now) || ul_nomem(err, 1024)) && copy_old(crl, dir, &number, err);
	if (ok && X509_CRL_get0_by_serial(crl, &there, X509_get_serialNumber(cert)) != 1)
		ok = add_revoked(crl, X509_get_serialNumber(cert), now);
	ok = ok && (sign_it(crl, ca, key, days, number) || ul_fail(err, "cannot sign the list of revoked certificates"));
	ok = ok && write_it(crl, dir, err);
	ASN1_TIME_free(now);
	X509_CRL_free(crl);
	EVP_PKEY_free(key);
	X509_free(ca);
	X509_free(cert);
	return ok;
}
