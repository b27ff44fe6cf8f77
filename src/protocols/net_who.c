/*
 * net_who.c: who is asking. A client must show a certificate that the server's authority signed for clients, that has not expired, that
 * is not in the authority's list of revoked ones, and that is in the list of those allowed where there is one.
 *
 * Both lists are read again when their files change, also for connections that were let in before: to take a line away shuts somebody
 * out. A list that cannot be read (half written, gone) is said, and the one before holds on.
 */
#include "protocols/net_server.h"

#include <ctype.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { LIST_LIMIT = 16 << 20,
	AUTHORITY_LIMIT = 1 << 20 };

struct ul_net_who {
	char (*print)[65]; /* [prints] of those allowed */
	size_t prints;
	gnutls_x509_crl_t crl; /* NULL: nobody is revoked */
	struct stat seen[2]; /* the files as they were read */
	unsigned version; /* changes when a list does */
};

/* ---- the list of those allowed ---- */

/* "ab12…", "AB:12:…" or "sha256 Fingerprint=AB:12:…" as OpenSSL prints it; behind # stands a comment. 1: a fingerprint, 0: none, -1: neither. */
static int read_print(const char *line, size_t n, char out[65])
{
	const char *hash = memchr(line, '#', n), *equals;
	int digits = 0;
	n = hash ? (size_t)(hash - line) : n;
	if ((equals = memchr(line, '=', n))) {
		n -= (size_t)(equals + 1 - line);
		line = equals + 1;
	}
	for (size_t i = 0; i < n; i++) {
		if (isspace((unsigned char)line[i]) || (line[i] == ':' && digits))
			continue;
		if (!isxdigit((unsigned char)line[i]) || digits == 64)
			return -1;
		out[digits++] = (char)tolower((unsigned char)line[i]);
	}
	out[digits] = '\0';
	return digits == 64 ? 1 : digits == 0 && !equals ? 0
	                                                 : -1;
}

static bool read_allowed(ul_net_who *w, const char *path, ul_err *err)
{
	ul_buf b = {0};
	char(*print)[65] = NULL;
	size_t n = 0, at = 0, number = 1;
	if (!ul_file_read(&b, path, LIST_LIMIT, err))
		return false;
	bool ok = (print = ul_malloc((b.len / 64 + 1) * sizeof *print)) || ul_nomem(err, b.len);
	for (; ok && at < b.len; number++) {
		const char *line = b.data + at, *end = memchr(line, '\n', b.len - at);
		size_t bytes = end ? (size_t)(end - line) : b.len - at;
		char got[65];
		int found = read_print(line, bytes, got);
		if (found < 0)
			ok = ul_fail(err, "%s, line %zu: \"%.*s\" is no SHA-256 of a certificate, which has 64 hexadecimal digits", path, number, (int)(bytes < 80 ? bytes : 80), line);
		else if (found)
			memcpy(print[n++], got, sizeof got);
		at += bytes + 1;
	}
	ul_buf_release(&b);
	if (!ok) {
		ul_free(print);
		return false;
	}
	ul_free(w->print);
	w->print = print;
	w->prints = n;
	return true;
}

static bool is_allowed(const ul_net_who *w, const char *print)
{
	for (size_t i = 0; i < w->prints; i++)
		if (!strcmp(w->print[i], print))
			return true;
	return false;
}

/* ---- the list of those revoked ---- */

static void say_day(time_t t, char out[24])
{
	struct tm day;
	if (t == (time_t)-1 || !gmtime_r(&t, &day) || strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &day) == 0)
		snprintf(out, 24, "an unknown day");
}

/* Signed by one of the authorities in ca.pem, and not older than it wants to be believed? */
static bool is_authentic(gnutls_x509_crl_t crl, const char *path, const ul_buf *ca, ul_err *err)
{
	gnutls_x509_crt_t *issuer = NULL;
	unsigned n = 0, status = 0;
	gnutls_datum_t pem = {(unsigned char *)ca->data, (unsigned)ca->len};
	char day[24];
	if (gnutls_x509_crt_list_import2(&issuer, &n, &pem, GNUTLS_X509_FMT_PEM, 0) < 0)
		return ul_fail(err, "ca.pem holds no certificate");
	bool ok = gnutls_x509_crl_verify(crl, issuer, (int)n, 0, &status) >= 0;
	for (unsigned i = 0; i < n; i++)
		gnutls_x509_crt_deinit(issuer[i]);
	gnutls_free(issuer);
	time_t next = gnutls_x509_crl_get_next_update(crl);
	say_day(next, day);
	if (ok && next != (time_t)-1 && next < time(NULL))
		return ul_fail(err, "%s is too old: the next list of those revoked was due on %s", path, day);
	return (ok && !status) || ul_fail(err, "%s is not signed by the authority in ca.pem", path);
}

static bool read_revoked(ul_net_who *w, const char *path, const char *certs, ul_err *err)
{
	char file[4096];
	ul_buf b = {0}, ca = {0};
	gnutls_x509_crl_t crl = NULL;
	snprintf(file, sizeof file, "%s/ca.pem", certs);
	bool ok = ul_file_read(&b, path, LIST_LIMIT, err) && ul_file_read(&ca, file, AUTHORITY_LIMIT, err);
	gnutls_datum_t pem = {(unsigned char *)b.data, (unsigned)b.len};
	ok = ok && (gnutls_x509_crl_init(&crl) == 0 || ul_nomem(err, 256));
	ok = ok && (gnutls_x509_crl_import(crl, &pem, GNUTLS_X509_FMT_PEM) == 0 || ul_fail(err, "%s holds no list of revoked certificates (X.509 CRL, PEM)", path));
	ok = ok && is_authentic(crl, path, &ca, err);
	ul_buf_release(&b);
	ul_buf_release(&ca);
	if (crl && !ok)
		gnutls_x509_crl_deinit(crl);
	if (!ok)
		return false;
	if (w->crl)
		gnutls_x509_crl_deinit(w->crl);
	w->crl = crl;
	return true;
}

/* ---- both, whenever they change ---- */

static bool has_changed(struct stat *seen, const char *path)
{
	struct stat now = {0};
	if (!path)
		return false;
	if (stat(path, &now) != 0)
		now = (struct stat){0};
	bool same = now.st_ino == seen->st_ino && now.st_size == seen->st_size && now.st_mtim.tv_sec == seen->st_mtim.tv_sec && now.st_mtim.tv_nsec == seen->st_mtim.tv_nsec;
	*seen = now;
	return !same;
}

bool ul_net_who_open(ul_net_host *h, ul_err *err)
{
	const ul_net_server *cfg = h->cfg;
	ul_net_who *w = h->who = ul_calloc(1, sizeof *w);
	if (!w)
		return ul_nomem(err, sizeof *w);
	has_changed(&w->seen[0], cfg->allow);
	has_changed(&w->seen[1], cfg->revoked);
	if ((!cfg->allow || read_allowed(w, cfg->allow, err)) && (!cfg->revoked || read_revoked(w, cfg->revoked, cfg->certs, err)))
		return true;
	ul_net_who_close(h);
	return false;
}

void ul_net_who_close(ul_net_host *h)
{
	if (!h->who)
		return;
	if (h->who->crl)
		gnutls_x509_crl_deinit(h->who->crl);
	ul_free(h->who->print);
	ul_free(h->who);
	h->who = NULL;
}

static void look_again(ul_net_host *h)
{
	const ul_net_server *cfg = h->cfg;
	ul_net_who *w = h->who;
	bool allowed = has_changed(&w->seen[0], cfg->allow), revoked = has_changed(&w->seen[1], cfg->revoked);
	ul_err e = {0};
	if (!allowed && !revoked)
		return;
	bool ok = (!allowed || read_allowed(w, cfg->allow, &e)) && (!revoked || read_revoked(w, cfg->revoked, cfg->certs, &e));
	w->version++;
	if (ok)
		ul_net_say(h, NULL, 0, -1, "lists", "who may come was read again%s", w->crl ? ", and who is revoked" : "");
	else
		ul_net_say(h, NULL, 0, -1, "trouble", "%s; the list before holds on", e.msg);
}

/* ---- one certificate ---- */

static const char *why_not(unsigned status)
{
	if (status & GNUTLS_CERT_NOT_ACTIVATED)
		return "its certificate is not valid yet";
	if (status & GNUTLS_CERT_REVOKED)
		return "its certificate was revoked";
	if (status & GNUTLS_CERT_SIGNER_NOT_FOUND)
		return "its certificate comes from another authority";
	if (status & GNUTLS_CERT_PURPOSE_MISMATCH)
		return "its certificate is not one of a client";
	return status ? "its certificate does not prove right" : NULL;
}

/* Fingerprint and common name. */
static bool identify(ul_net_conn *c, const gnutls_datum_t *der, gnutls_x509_crt_t crt)
{
	size_t n = sizeof c->name;
	ul_sha256(der->data, der->size, c->print);
	bool ok = gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) == 0 && gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, c->name, &n) == 0;
	for (char *s = c->name; ok && *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
	return ok && c->name[0];
}

/* NULL: nothing speaks against it. `text`: room for the answer. */
static const char *objection(ul_net_host *h, ul_net_conn *c, gnutls_session_t session, gnutls_x509_crt_t crt, char text[96])
{
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (void *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
	unsigned n = 0, status = 0;
	char day[24];
	const gnutls_datum_t *der = session ? gnutls_certificate_get_peers(session, &n) : NULL;
	if (!der || n == 0)
		return "it shows no certificate";
	if (!identify(c, &der[0], crt))
		return "its certificate cannot be read or has no name";
	if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) != 0)
		return "its certificate cannot be checked";
	if (status & GNUTLS_CERT_EXPIRED) {
		say_day(gnutls_x509_crt_get_expiration_time(crt), day);
		snprintf(text, 96, "its certificate has expired on %s", day);
		return text;
	}
	if (status)
		return why_not(status);
	if (h->who->crl && gnutls_x509_crt_check_revocation(crt, &h->who->crl, 1) != 0)
		return "its certificate was revoked";
	if (h->cfg->allow && !is_allowed(h->who, c->print))
		return "its certificate is not in the list of those allowed";
	return NULL;
}

bool ul_net_known(ul_net_host *h, ul_net_conn *c, struct MHD_Connection *mhd)
{
	look_again(h);
	if (c->asked && c->asked_of == h->who->version)
		return c->trusted;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	char text[96];
	gnutls_x509_crt_t crt = NULL;
	bool had = c->asked && !c->trusted;
	c->asked = true;
	c->asked_of = h->who->version;
	const char *why = gnutls_x509_crt_init(&crt) == 0 ? objection(h, c, info ? (gnutls_session_t)info->tls_session : NULL, crt, text) : "out of memory";
	if (crt)
		gnutls_x509_crt_deinit(crt);
	c->trusted = !why;
	if (why && !had)
		ul_net_say(h, c, 0, -1, "refused", "%s", why);
	return c->trusted;
}
