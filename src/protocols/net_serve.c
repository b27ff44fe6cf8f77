/*
 * net_serve.c: connections. Certificates on both sides: the server shows its own, and net_who.c says who is asking before anything
 * else is looked at.
 *
 * Memory is bounded by the number of connections times what one may buffer. A connection that neither finishes a request nor moves
 * 64 KiB within the patience is closed, so that a client which sends a byte a second holds its place for that long and no longer.
 */
#include "protocols/net_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PER_CONNECTION = 48 << 10, /* bytes of buffers */
	MOVES = 64 << 10, /* bytes a connection has to move within the patience */
	CERT_LIMIT = 1 << 20 };

double ul_net_clock(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- log and audit trail ---- */

/* Whoever makes the server refuse a thousand times a second must not fill its disk with lines. */
static bool may_say(ul_net_host *h)
{
	double t = ul_net_clock();
	h->tokens += (t - h->refill) * 20;
	h->tokens = h->tokens > 20 ? 20 : h->tokens;
	h->refill = t;
	if (h->tokens < 1) {
		h->unsaid++;
		return false;
	}
	h->tokens -= 1;
	return true;
}

void ul_net_say(ul_net_host *h, const ul_net_conn *c, int round, int copy, const char *what, const char *fmt, ...)
{
	char text[640];
	ul_err err = {0};
	if (!strcmp(what, "refused") && !may_say(h))
		return;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text - 64, fmt, ap);
	va_end(ap);
	n = n < 0 ? 0 : n < (int)sizeof text - 64 ? n
	                                          : (int)sizeof text - 65;
	if (h->unsaid)
		snprintf(text + n, sizeof text - (size_t)n, " (and %lld refusals not said)", (long long)h->unsaid);
	h->unsaid = 0;
	ul_net_event e = {.what = what, .client = c ? (c->trusted ? c->name : c->address) : NULL, .round = round, .copy = copy, .detail = text};
	if (h->cfg->log.line)
		h->cfg->log.line(h->cfg->log.ud, &e);
	ul_net_db_audit(h->db, &e, c && c->print[0] ? c->print : NULL, &err); /* on a full disk the line on the screen must do */
}

/* ---- connections ---- */

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
{
	ul_net_host *h = cls;
	ul_net_conn *c = *context;
	pthread_mutex_lock(&h->lock);
	if (code == MHD_CONNECTION_NOTIFY_STARTED && (c = ul_calloc(1, sizeof *c))) {
		const union MHD_ConnectionInfo *fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
		const union MHD_ConnectionInfo *peer = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
		char host[48] = "?", port[8] = "?";
		if (peer)
			getnameinfo(peer->client_addr, peer->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in), host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
		snprintf(c->address, sizeof c->address, "%s:%s", host, port);
		c->fd = fd ? fd->connect_fd : -1;
		c->since = ul_net_clock();
		c->working = true;
		c->next = h->conns;
		if (c->next)
			c->next->prev = c;
		h->conns = c;
		*context = c;
	} else if (code == MHD_CONNECTION_NOTIFY_CLOSED && c) {
		if (c->prev)
			c->prev->next = c->next;
		else
			h->conns = c->next;
		if (c->next)
			c->next->prev = c->prev;
		ul_free(c);
		*context = NULL;
	}
	pthread_mutex_unlock(&h->lock);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *path, const char *method, const char *version, const char *data, size_t *n, void **request)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	if (!info || !info->socket_context)
		return MHD_NO;
	ul_net_piece p = {.method = method, .path = path, .data = data, .n = n, .request = (ul_net_request **)request};
	return ul_net_answer(cls, info->socket_context, mhd, &p) ? MHD_YES : MHD_NO;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **request, enum MHD_RequestTerminationCode code)
{
	ul_net_request_free(cls, *request);
	*request = NULL;
}

/* What the libraries have to say about strangers who break off is no news. */
static void on_message(void *cls, const char *fmt, va_list ap)
{
}

static void watch_one(ul_net_host *h, ul_net_conn *c, double now)
{
	double patience = (double)h->cfg->patience;
	if (c->dead || now - c->since < patience)
		return;
	if (c->working && c->moved >= MOVES) {
		c->since = now;
		c->moved = 0;
		return;
	}
	c->dead = true;
	if (c->working)
		ul_net_say(h, c, 0, -1, "refused", "too slow: %llu bytes in %.0f seconds, where a connection has to move %d in %lld (--patience); it is closed", (unsigned long long)c->moved, now - c->since, MOVES,
		        (long long)h->cfg->patience);
	shutdown(c->fd, SHUT_RDWR);
}

static void *watch(void *ud)
{
	ul_net_host *h = ud;
	pthread_mutex_lock(&h->lock);
	while (!h->stop) {
		double now = ul_net_clock();
		for (ul_net_conn *c = h->conns; c; c = c->next)
			watch_one(h, c, now);
		pthread_mutex_unlock(&h->lock);
		nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
		pthread_mutex_lock(&h->lock);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* ---- the listening socket ---- */

/* "127.0.0.1:8443", "[::1]:8443" */
static int open_socket(const char *where, ul_err *err)
{
	char host[256];
	const char *colon = strrchr(where, ':');
	bool bracket = where[0] == '[' && colon && colon > where && colon[-1] == ']';
	size_t n = colon ? (size_t)(colon - where) - (bracket ? 2 : 0) : 0;
	if (!colon || n == 0 || n >= sizeof host) {
		ul_fail(err, "\"%.200s\" is no ADDRESS:PORT to listen on", where);
		return -1;
	}
	memcpy(host, where + bracket, n);
	host[n] = '\0';
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found = NULL;
	int rc = getaddrinfo(host, colon + 1, &hints, &found);
	if (rc != 0) {
		ul_fail(err, "cannot listen on %.200s: %s", where, gai_strerror(rc));
		return -1;
	}
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* a server that was killed comes back at once */
	if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 64) != 0) {
		ul_fail(err, "cannot listen on %.200s: %s", where, strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

static int port_of(int fd)
{
	struct sockaddr_in6 a; /* the larger of the two; both keep the port at the same place */
	socklen_t n = sizeof a;
	memset(&a, 0, sizeof a);
	return getsockname(fd, (struct sockaddr *)&a, &n) == 0 ? ntohs(a.sin6_port) : 0;
}

static bool read_pem(const char *dir, const char *file, ul_buf *out, ul_err *err)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, file);
	return ul_file_read(out, path, CERT_LIMIT, err);
}

/* The library only logs why it cannot start; these are the reasons there are. */
static bool check_pair(const ul_buf *cert, const ul_buf *key, const char *dir, ul_err *err)
{
	gnutls_certificate_credentials_t cred;
	if (gnutls_certificate_allocate_credentials(&cred) != 0)
		return ul_nomem(err, 256);
	gnutls_datum_t c = {(unsigned char *)cert->data, (unsigned)cert->len}, k = {(unsigned char *)key->data, (unsigned)key->len};
	int rc = gnutls_certificate_set_x509_key_mem(cred, &c, &k, GNUTLS_X509_FMT_PEM);
	gnutls_certificate_free_credentials(cred);
	return rc >= 0 || ul_fail(err, "cert.pem and key.pem in %s do not go together: %s", dir, gnutls_strerror(rc));
}

static struct MHD_Daemon *start_daemon(ul_net_host *h, int fd, const ul_buf pem[3])
{
	return MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_USE_TLS | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, h,
	        MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_HTTPS_MEM_TRUST, pem[0].data,
	        MHD_OPTION_HTTPS_MEM_CERT, pem[1].data, MHD_OPTION_HTTPS_MEM_KEY, pem[2].data,
	        MHD_OPTION_HTTPS_PRIORITIES, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", MHD_OPTION_CONNECTION_LIMIT, (unsigned)h->cfg->connections,
	        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)PER_CONNECTION, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
	        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

bool ul_net_listen(ul_net_host *h, ul_err *err)
{
	ul_buf pem[3] = {{0}};
	const char *dir = h->cfg->certs;
	bool ok = read_pem(dir, "ca.pem", &pem[0], err) && read_pem(dir, "cert.pem", &pem[1], err) && read_pem(dir, "key.pem", &pem[2], err) &&
	          check_pair(&pem[1], &pem[2], dir, err) && ul_net_who_open(h, err);
	int fd = ok ? open_socket(h->cfg->listen, err) : -1;
	if (ok && fd >= 0 && !(h->daemon = start_daemon(h, fd, pem))) {
		ul_fail(err, "cannot start the server on %s", h->cfg->listen);
		close(fd);
	}
	if (pem[2].data)
		explicit_bzero(pem[2].data, pem[2].len);
	for (int i = 0; i < 3; i++)
		ul_buf_release(&pem[i]);
	if (!h->daemon) {
		ul_net_who_close(h);
		return false;
	}
	if (pthread_create(&h->watch, NULL, watch, h) != 0) {
		MHD_stop_daemon(h->daemon);
		h->daemon = NULL;
		ul_net_who_close(h);
		return ul_fail(err, "cannot start a thread");
	}
	const char *colon = strrchr(h->cfg->listen, ':');
	ul_net_say(h, NULL, 0, -1, "listening", "on https://%.*s:%d", (int)(colon - h->cfg->listen), h->cfg->listen, port_of(fd));
	return true;
}

void ul_net_hang_up(ul_net_host *h)
{
	if (!h->daemon)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->watch, NULL);
	MHD_stop_daemon(h->daemon);
	h->daemon = NULL;
	ul_net_who_close(h);
}
