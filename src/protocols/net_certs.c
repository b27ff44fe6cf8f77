/*
 * net_certs.c: a test authority. One key signs a certificate for the server and one for each client, P-256 and X.509 v3 as
 * RFC 5280 wants them; each party gets a folder of its own, and the authority's key belongs to none of them. Parties who have an
 * authority use theirs: `serve` and `join` know nothing of this file.
 */
#include "protocols/net.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>

typedef struct party {
	const char *name; /* common name, and the folder */
	const char *usage; /* extended key usage; NULL: the authority */
	char hosts[1024]; /* "DNS:localhost,IP:127.0.0.1", or empty */
	EVP_PKEY *key;
	X509 *cert;
} party;

static void party_release(party *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->cert);
	p->key = NULL;
	p->cert = NULL;
}

static bool extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = e && X509_add_ext(cert, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static bool name_it(party *p, const party *authority)
{
	X509_NAME *n = X509_get_subject_name(p->cert);
	return X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const unsigned char *)p->name, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(p->cert, X509_get_subject_name(authority ? authority->cert : p->cert)) == 1;
}

static bool number_it(X509 *cert, ul_err *err)
{
	unsigned char serial[16];
	if (!ul_secret_bytes(serial, sizeof serial, err))
		return false;
	serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40); /* positive, and of full length */
	BIGNUM *b = BN_bin2bn(serial, sizeof serial, NULL);
	bool ok = b && BN_to_ASN1_INTEGER(b, X509_get_serialNumber(cert));
	BN_free(b);
	return ok;
}

/* `authority` NULL: signs itself. An hour ago, since clocks differ. */
static bool issue(party *p, const party *authority, int days, ul_err *err)
{
	p->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	p->cert = X509_new();
	X509 *issuer = authority ? authority->cert : p->cert;
	long until = days > 0 ? 0 : -60;
	bool ok = p->key && p->cert && X509_set_version(p->cert, 2) == 1 && number_it(p->cert, err) && X509_set_pubkey(p->cert, p->key) == 1 &&
	          X509_gmtime_adj(X509_getm_notBefore(p->cert), -3600) && X509_time_adj_ex(X509_getm_notAfter(p->cert), days, until, NULL) && name_it(p, authority) &&
	          extend(p->cert, issuer, NID_basic_constraints, authority ? "critical,CA:FALSE" : "critical,CA:TRUE,pathlen:0") &&
	          extend(p->cert, issuer, NID_key_usage, authority ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign") &&
	          extend(p->cert, issuer, NID_subject_key_identifier, "hash") && extend(p->cert, issuer, NID_authority_key_identifier, "keyid") &&
	          (!p->usage || extend(p->cert, issuer, NID_ext_key_usage, p->usage)) && (!p->hosts[0] || extend(p->cert, issuer, NID_subject_alt_name, p->hosts)) &&
	          X509_sign(p->cert, authority ? authority->key : p->key, EVP_sha256()) > 0;
	return ok || ul_fail(err, "cannot make the certificate of \"%s\"", p->name);
}

/* "a.example,10.0.0.1" as a subjectAltName. */
static bool add_hosts(party *p, const char *hosts, ul_err *err)
{
	size_t at = 0;
	for (const char *h = hosts; *h;) {
		size_t n = strcspn(h, ",");
		bool address = n && (strspn(h, "0123456789.") >= n || memchr(h, ':', n));
		for (size_t i = 0; i < n; i++)
			if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:*", h[i]))
				return ul_fail(err, "\"%.*s\" is neither the name nor the address of a host", (int)(n < 100 ? n : 100), h);
		if (n == 0 || at + n + 8 > sizeof p->hosts)
			return ul_fail(err, "the list of hosts \"%.100s\" has an empty entry, or more than %zu bytes", hosts, sizeof p->hosts);
		at += (size_t)snprintf(p->hosts + at, sizeof p->hosts - at, "%s%s:%.*s", at ? "," : "", address ? "IP" : "DNS", (int)n, h);
		h += n + (h[n] == ',');
	}
	return true;
}

/* ---- files ---- */

static bool write_bio(const char *dir, const char *folder, const char *file, BIO *b, ul_err *err)
{
	char path[4096 + 64];
	char *data;
	long n = BIO_get_mem_data(b, &data);
	snprintf(path, sizeof path, "%s/%s", dir, folder);
	if (!ul_mkdirs(path, err))
		return false;
	snprintf(path, sizeof path, "%s/%s%s%s", dir, folder, *folder ? "/" : "", file);
	return ul_file_write(path, data, (size_t)n, err);
}

static bool write_cert(const char *dir, const char *folder, const char *file, X509 *cert, ul_err *err)
{
	BIO *b = BIO_new(BIO_s_mem());
	bool ok = b && PEM_write_bio_X509(b, cert) == 1 ? write_bio(dir, folder, file, b, err) : ul_fail(err, "cannot write %s/%s/%s", dir, folder, file);
	BIO_free(b);
	return ok;
}

/* Private keys are read by their owner only, from the first byte on. */
static bool write_key(const char *dir, const char *folder, const char *file, EVP_PKEY *key, ul_err *err)
{
	BIO *b = BIO_new(BIO_s_mem());
	mode_t old = umask(077);
	bool ok = b && PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) == 1 ? write_bio(dir, folder, file, b, err) : ul_fail(err, "cannot write %s/%s/%s", dir, folder, file);
	umask(old);
	BIO_free(b);
	return ok;
}

static bool hand_out(const char *dir, party *p, const party *authority, int days, ul_err *err)
{
	bool ok = issue(p, authority, days, err) && write_cert(dir, p->name, "ca.pem", authority->cert, err) && write_cert(dir, p->name, "cert.pem", p->cert, err) &&
	          write_key(dir, p->name, "key.pem", p->key, err);
	party_release(p);
	return ok;
}

bool ul_net_certs_make(const char *dir, const ul_net_certs *c, ul_err *err)
{
	party authority = {.name = "unlearn test authority"}, server = {.name = "server", .usage = "serverAuth"};
	ul_stage s = {0};
	if (!add_hosts(&server, c->hosts, err) || !ul_stage_begin(&s, dir, false, err))
		return false;
	/* The authority outlives what it signs, or an expired certificate would be refused for the wrong reason. */
	bool ok = issue(&authority, NULL, c->days + 3650, err) && write_key(s.dir, "", "ca.key", authority.key, err) && write_cert(s.dir, "", "ca.pem", authority.cert, err) &&
	          hand_out(s.dir, &server, &authority, c->days, err);
	for (int i = 1; ok && i <= c->clients; i++) {
		char name[32];
		snprintf(name, sizeof name, "client-%d", i);
		party client = {.name = name, .usage = "clientAuth"};
		ok = hand_out(s.dir, &client, &authority, c->days, err);
	}
	party_release(&authority);
	if (!ok) {
		ul_stage_abort(&s);
		return false;
	}
	return ul_stage_commit(&s, err);
}
