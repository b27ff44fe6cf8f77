/*
 * test_net_slow.c: a byte a second, from strangers and from clients who are let in: the server cuts them off in time, stays small, and
 * serves the others.
 */
#include "net_ask.h"

#include <errno.h>
#include <gnutls/gnutls.h>

/* ---- slow clients ---- */

/* Sends a byte, and looks whether the other side is still there. */
static bool is_closed(int fd)
{
	char c = 0x16;
	(void)send(fd, &c, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN);
}

/* A byte a second from as many as are let in, and more: all are closed in time, memory stays small, the others are served. */
static void test_net_slow__strangers(void)
{
	world w = world_make(1, 1, 5000);
	int fd[40], closed = 0;
	w.server.patience = 3;
	w.server.connections = 32;
	pid_t server = start(&w);
	long before = peak_kib(server);
	for (int i = 0; i < 40; i++)
		fd[i] = dial(&w);
	for (int second = 0; second < 40 && closed < 32; second++) {
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
		closed = 0;
		for (int i = 0; i < 40; i++)
			closed += is_closed(fd[i]);
	}
	for (int i = 0; i < 40; i++)
		close(fd[i]);
	CHECK_MSG(closed >= 32, "%d of 40 connections were closed", closed);
	CHECK(world_said(&w, "server", "too slow: 0 bytes in 3 seconds") >= 1);
	long after = peak_kib(server);
#ifdef __SANITIZE_ADDRESS__
	after = before; /* the sanitizer keeps what is freed */
#endif
	CHECK_MSG(after - before < 16 << 10, "the server grew from %ld to %ld KiB", before, after);
	finish(&w, server);
}

/* ---- slow clients who are let in ---- */

typedef struct line {
	int fd;
	gnutls_session_t s;
	gnutls_certificate_credentials_t cred;
} line;

static line dial_in(const world *w)
{
	line l = {.fd = dial(w)};
	char cert[4096], key[4096];
	world_path(w, cert, CLIENT "/cert.pem");
	world_path(w, key, CLIENT "/key.pem");
	NEED(gnutls_init(&l.s, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL) == 0 && gnutls_set_default_priority(l.s) == 0 && gnutls_certificate_allocate_credentials(&l.cred) == 0);
	NEED(gnutls_certificate_set_x509_key_file(l.cred, cert, key, GNUTLS_X509_FMT_PEM) == 0 && gnutls_credentials_set(l.s, GNUTLS_CRD_CERTIFICATE, l.cred) == 0);
	gnutls_transport_set_int(l.s, l.fd);
	int rc;
	do
		rc = gnutls_handshake(l.s);
	while (rc < 0 && !gnutls_error_is_fatal(rc));
	NEED(rc == 0);
	return l;
}

static void hang_up(line *l)
{
	close(l->fd);
	gnutls_deinit(l->s);
	gnutls_certificate_free_credentials(l->cred);
}

/* A byte a second of an update, and a byte a second of a copy that is read: both are cut off, and hold little memory while they last. */
static void test_net_slow__bodies(void)
{
	enum { EACH = 6 };
	world w = world_make(1, 1, 15 * UL_NET_CHUNK);
	line up[EACH], down[EACH];
	ul_buf text = {0};
	w.server.patience = 3;
	w.server.quota = 1000;
	pid_t server = start(&w);
	expect(&w, (ask){.who = CLIENT, .method = "POST", .path = "/v1/work"}, 200, "\"leased\"");
	announce(&w, NULL, &text);
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/listing", .body = text.data, .bytes = text.len}, 200, "receiving");
	ul_buf_release(&text);
	long before = peak_kib(server);
	for (int i = 0; i < EACH; i++) {
		static const char put[] = "PUT /v1/round/1/copy/0/file/2 HTTP/1.1\r\nHost: a\r\nContent-Range: bytes 0-15728639/15728640\r\nContent-Length: 15728640\r\n\r\n";
		static const char get[] = "GET /v1/round/1/copy/0/file/2 HTTP/1.1\r\nHost: a\r\nRange: bytes=0-15728639\r\n\r\n";
		up[i] = dial_in(&w);
		down[i] = dial_in(&w);
		CHECK(gnutls_record_send(up[i].s, put, sizeof put - 1) > 0 && gnutls_record_send(down[i].s, get, sizeof get - 1) > 0);
	}
	int cut = 0;
	for (int second = 0; second < 40 && cut < 2 * EACH; second++) {
		char c = 0;
		for (int i = 0; i < EACH; i++) {
			(void)gnutls_record_send(up[i].s, &c, 1);
			(void)gnutls_record_recv(down[i].s, &c, 1);
		}
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
		cut = world_said(&w, "server", "too slow");
	}
	long after = peak_kib(server);
#ifdef __SANITIZE_ADDRESS__
	after = before;
#endif
	for (int i = 0; i < EACH; i++) {
		hang_up(&up[i]);
		hang_up(&down[i]);
	}
	CHECK_MSG(cut >= 2 * EACH, "%d of %d were cut off", cut, 2 * EACH);
	CHECK_MSG(after - before < 16 << 10, "the server grew from %ld to %ld KiB", before, after);
	finish(&w, server);
}

/* A line that breaks again and again: of a range that broke off only what the system took to send is charged, and the client gets its copy all the same. */
static void test_net_slow__breaks_cost_what_moved(void)
{
	enum { BREAKS = 8 };
	world w = world_make(1, 1, 15 * UL_NET_CHUNK);
	static const char get[] = "GET /v1/round/1/copy/0/file/2 HTTP/1.1\r\nHost: a\r\nRange: bytes=0-15728639\r\n\r\n";
	w.server.quota = 2; /* six times its copy and three MiB: not eight whole ranges */
	pid_t server = start(&w);
	expect(&w, (ask){.who = CLIENT, .method = "POST", .path = "/v1/work"}, 200, "\"leased\"");
	for (int i = 0; i < BREAKS; i++) {
		char c;
		line l = dial_in(&w);
		setsockopt(l.fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
		CHECK(gnutls_record_send(l.s, get, sizeof get - 1) > 0 && gnutls_record_recv(l.s, &c, 1) == 1);
		CHECK_EQ_INT(c, 'H');
		hang_up(&l);
	}
	finish(&w, server);
	CHECK_EQ_INT(world_said(&w, "server", "quota"), 0);
}
