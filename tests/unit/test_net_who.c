/*
 * test_net_who.c: who is let in: certificates, the list of those allowed, the list of those revoked, and both while they change.
 */
#include "net_ask.h"

#include <ctype.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

/* ---- certificates ---- */

static void test_net_who__certificates(void)
{
	world w = world_make(1, 1, 5000);
	char dir[4096];
	ul_err err = {0};
	world_path(&w, dir, "foreign");
	NEED_OK(ul_net_certs_make(dir, &(ul_net_certs){.hosts = "localhost", .clients = 1, .days = 30}, &err), err);
	pid_t server = start(&w);
	ask work = {.method = "POST", .path = "/v1/work", .who = NULL};
	expect(&w, work, 403, "not known");
	CHECK_EQ_INT(world_said(&w, "server", "it shows no certificate"), 1);
	work.who = "foreign/client-1";
	expect(&w, work, 403, "not known");
	CHECK_EQ_INT(world_said(&w, "server", "another authority"), 1);
	work.who = "certs/server"; /* good, but for a server */
	expect(&w, work, 403, "not known");
	CHECK_EQ_INT(world_said(&w, "server", "not one of a client"), 1);
	CHECK_EQ_INT(world_said(&w, "server", "|leased|"), 0);
	finish(&w, server);
}

/* An authority whose certificates have all expired: neither side trusts the other. */
static void test_net_who__expired(void)
{
	world w = world_make(1, 1, 5000);
	char dir[4096], good[4096], bad[4096];
	ul_err err = {0};
	world_path(&w, dir, "certs");
	NEED_OK(ul_remove_tree(dir, &err) && ul_net_certs_make(dir, &(ul_net_certs){.hosts = "127.0.0.1", .clients = 1}, &err), err);
	pid_t server = start(&w), client = world_join(&w, "client-1");
	CHECK_EQ_INT(world_reap(client, 30), 1);
	CHECK(world_said(&w, "client-1", "cannot be trusted") == 1);
	/* A client that does not look at the server's is refused by the server. */
	ask a = {.who = CLIENT, .method = "POST", .path = "/v1/work"};
	CURL *c = curl_easy_init();
	char url[64];
	snprintf(url, sizeof url, "https://127.0.0.1:%d/v1/work", w.port);
	world_path(&w, good, "certs/client-1/cert.pem");
	world_path(&w, bad, "certs/client-1/key.pem");
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(c, CURLOPT_SSLCERT, good);
	curl_easy_setopt(c, CURLOPT_SSLKEY, bad);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &a.text);
	curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a.status);
	curl_easy_cleanup(c);
	ul_buf_release(&a.text);
	CHECK_EQ_INT(a.status, 403);
	CHECK_EQ_INT(world_said(&w, "server", "its certificate has expired on 20"), 1);
	stop(server);
}

/* ---- the list of those allowed ---- */

/* SHA-256 of a client's certificate, with colons and large letters where wanted. */
static void print_of(const world *w, const char *who, bool colons, char out[128])
{
	char path[4096], hex[65];
	ul_buf b = {0};
	ul_err err = {0};
	world_path(w, path, "certs/%s/cert.pem", who);
	NEED_OK(ul_file_read(&b, path, 1 << 16, &err), err);
	gnutls_x509_crt_t crt;
	gnutls_datum_t pem = {(unsigned char *)b.data, (unsigned)b.len}, der;
	NEED(gnutls_x509_crt_init(&crt) == 0 && gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM) == 0 && gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der) == 0);
	ul_sha256(der.data, der.size, hex);
	gnutls_free(der.data);
	gnutls_x509_crt_deinit(crt);
	ul_buf_release(&b);
	size_t n = 0;
	for (int i = 0; i < 64; i++) {
		out[n++] = (char)(colons ? toupper((unsigned char)hex[i]) : hex[i]);
		if (colons && i % 2 && i < 63)
			out[n++] = ':';
	}
	out[n] = '\0';
}

static const ask work = {.who = CLIENT, .method = "POST", .path = "/v1/work"}, work_2 = {.who = "certs/client-2", .method = "POST", .path = "/v1/work"};

/* Capitals and colons as OpenSSL prints them, comments, ends of lines of two bytes; and what stands in a comment lets nobody in. */
static void test_net_who__allowed(void)
{
	world w = world_make(1, 2, 5000);
	char one[128], two[128], text[512];
	print_of(&w, "client-1", true, one);
	print_of(&w, "client-2", false, two);
	snprintf(text, sizeof text, "# those of this year\n\nsha256 Fingerprint=%s  # the first\r\n#%s\n", one, two);
	test_file("allowed", text);
	w.server.allow = test_path("allowed");
	w.server.per_client = 1;
	pid_t server = start(&w);
	expect(&w, work, 200, "\"leased\"");
	expect(&w, work_2, 403, "not known");
	CHECK_EQ_INT(world_said(&w, "server", "|refused|127.0.0.1"), 1);
	CHECK_EQ_INT(world_said(&w, "server", "its certificate is not in the list of those allowed"), 1);
	/* another list, while the server runs */
	test_file("allowed", two);
	expect(&w, work, 403, "not known");
	expect(&w, work_2, 200, "\"leased\"");
	/* one that cannot be read changes nothing */
	test_file("allowed", "00112233\n");
	expect(&w, work, 403, "not known");
	expect(&w, work_2, 200, "\"leased\"");
	CHECK_EQ_INT(world_said(&w, "server", "line 1: \"00112233\" is no SHA-256 of a certificate, which has 64 hexadecimal digits; the list before holds on"), 1);
	stop(server);
}

static void test_net_who__list_that_is_none(void)
{
	world w = world_make(1, 1, 5000);
	test_file("allowed", "# nobody yet\nclient-1\n");
	w.server.allow = test_path("allowed");
	CHECK_EQ_INT(world_reap(world_serve(&w), 30), 1);
	CHECK_EQ_INT(world_said(&w, "server", "line 2: \"client-1\" is no SHA-256"), 1);
}

/* ---- the list of those revoked ---- */

static void test_net_who__revoked(void)
{
	world w = world_make(1, 2, 5000);
	char certs[4096], list[4096];
	ul_err err = {0};
	world_path(&w, certs, "certs");
	world_path(&w, list, "certs/revoked.pem");
	NEED_OK(ul_net_certs_revoke(certs, "client-3", 30, &err), err);
	w.server.revoked = list;
	w.server.per_client = 1;
	pid_t server = start(&w);
	expect(&w, (ask){.who = "certs/client-3", .method = "POST", .path = "/v1/work"}, 403, "not known");
	expect(&w, work, 200, "\"leased\"");
	expect(&w, work_2, 200, "\"leased\"");
	NEED_OK(ul_net_certs_revoke(certs, "client-1", 30, &err), err);
	expect(&w, work, 403, "not known");
	expect(&w, (ask){.who = "certs/client-3", .method = "POST", .path = "/v1/work"}, 403, "not known");
	expect(&w, work_2, 200, "\"leased\"");
	CHECK_EQ_INT(world_said(&w, "server", "its certificate was revoked"), 3);
	stop(server);
}

/* A list of another authority, an old one, one that is none: the server does not begin, and says why. */
static void test_net_who__list_of_revoked_that_does_not_prove_right(void)
{
	world w = world_make(1, 1, 5000);
	char other[4096], list[4096];
	ul_err err = {0};
	world_path(&w, other, "foreign");
	world_path(&w, list, "foreign/revoked.pem");
	NEED_OK(ul_net_certs_make(other, &(ul_net_certs){.hosts = "localhost", .clients = 1, .days = 30}, &err) && ul_net_certs_revoke(other, "client-1", 30, &err), err);
	w.server.revoked = list;
	CHECK_EQ_INT(world_reap(world_serve(&w), 30), 1);
	CHECK_EQ_INT(world_said(&w, "server", "is not signed by the authority in ca.pem"), 1);
	world_path(&w, other, "certs");
	world_path(&w, list, "certs/revoked.pem");
	NEED_OK(ul_net_certs_revoke(other, "client-1", -2, &err), err);
	CHECK_EQ_INT(world_reap(world_serve(&w), 30), 1);
	CHECK_EQ_INT(world_said(&w, "server", "is too old: the next list of those revoked was due on 20"), 1);
	test_file("none", "nothing\n");
	w.server.revoked = test_path("none");
	CHECK_EQ_INT(world_reap(world_serve(&w), 30), 1);
	CHECK_EQ_INT(world_said(&w, "server", "holds no list of revoked certificates"), 1);
	CHECK_FAILS(ul_net_certs_revoke(other, "client-9", 30, &err), err, "client-9/cert.pem");
	err = (ul_err){0};
	CHECK_FAILS(ul_net_certs_revoke(other, "../certs", 30, &err), err, "is not the name of a folder");
}
