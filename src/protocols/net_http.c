/*
 * net_http.c: the client's side of the line, by libcurl. One connection is used again and again; what breaks is tried anew after a
 * pause that doubles. A certificate that does not prove right is no break: that ends the work at once.
 */
#include "protocols/net_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <time.h>

enum { TEXT_LIMIT = 1 << 20,
	STALL = 30 }; /* seconds at less than 1 KiB/s that count as a break */

struct ul_net_link {
	CURL *curl;
	const ul_net_client *cfg;
	char ca[4096], cert[4096], key[4096];
	char why[CURL_ERROR_SIZE];
	double alive, pause; /* when something last moved; until the next attempt */
	uint64_t moved;
	bool broken; /* said in the log */
	/* the request in progress */
	const ul_net_ask *ask;
	ul_net_reply *reply;
	FILE *file;
	size_t sent, limit;
	ul_err trouble; /* of the disk, or an answer that is too long */
};

static double clock_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool ul_net_link_stopped(const ul_net_link *l)
{
	const ul_progress *p = l->cfg->progress;
	return p && p->stop && p->stop(p->ud);
}

void ul_net_link_wait(ul_net_link *l, double seconds)
{
	double until = clock_now() + seconds;
	while (!ul_net_link_stopped(l) && clock_now() < until)
		nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

uint64_t ul_net_link_moved(const ul_net_link *l)
{
	return l->moved;
}

/* ---- what libcurl calls ---- */

static size_t on_body(char *data, size_t size, size_t n, void *ud)
{
	ul_net_link *l = ud;
	enum ul_net_trouble why = UL_NET_NONE;
	long status = 0;
	n *= size;
	l->alive = clock_now();
	l->moved += n;
	curl_easy_getinfo(l->curl, CURLINFO_RESPONSE_CODE, &status);
	if (l->ask->into && (status == 200 || status == 206)) {
		if (ul_net_store_feed(l->ask->into, data, n, &why, &l->trouble))
			return n;
		l->reply->changed = why == UL_NET_CHANGED;
		return 0;
	}
	if (n > l->limit - l->reply->text.len) {
		ul_fail(&l->trouble, "the server answers with more than %zu bytes", l->limit);
		return 0;
	}
	ul_buf_add(&l->reply->text, data, n);
	return l->reply->text.failed ? 0 : n;
}

static size_t on_read(char *out, size_t size, size_t n, void *ud)
{
	ul_net_link *l = ud;
	size_t want = size * n, left = (l->ask->body ? l->ask->body->len : (size_t)l->ask->bytes) - l->sent;
	want = want < left ? want : left;
	if (l->ask->body)
		memcpy(out, l->ask->body->data + l->sent, want);
	else if (want && fread(out, 1, want, l->file) != want) {
		ul_fail(&l->trouble, "cannot read %s: %s", l->ask->file, strerror(errno));
		return CURL_READFUNC_ABORT;
	}
	l->sent += want;
	l->moved += want;
	if (want)
		l->alive = clock_now();
	return want;
}

static int on_seek(void *ud, curl_off_t offset, int origin)
{
	ul_net_link *l = ud;
	if (origin != SEEK_SET || (l->file && fseeko(l->file, (off_t)(l->ask->offset + (uint64_t)offset), SEEK_SET) != 0))
		return CURL_SEEKFUNC_FAIL;
	l->sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static int on_progress(void *ud, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	return ul_net_link_stopped(ud);
}

/* ---- one attempt ---- */

static struct curl_slist *headers_of(ul_net_link *l)
{
	const ul_net_ask *q = l->ask;
	char line[96];
	/* Before a body is sent the server may refuse it. */
	struct curl_slist *h = !strcmp(q->method, "PUT") ? curl_slist_append(NULL, "Expect: 100-continue") : NULL;
	if (!q->file)
		return h;
	snprintf(line, sizeof line, "Content-Range: bytes %llu-%llu/%llu", (unsigned long long)q->offset, (unsigned long long)(q->offset + q->bytes - 1), (unsigned long long)q->size);
	return curl_slist_append(h, line);
}

static void set_common(ul_net_link *l)
{
	CURL *c = l->curl;
	curl_easy_reset(c);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, l->why);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_CAINFO, l->ca);
	curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(c, CURLOPT_SSLCERT, l->cert);
	curl_easy_setopt(c, CURLOPT_SSLKEY, l->key);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 20L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1024L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALL);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, l);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, l);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
	curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
}

static bool set_body(ul_net_link *l)
{
	const ul_net_ask *q = l->ask;
	CURL *c = l->curl;
	char range[64];
	if (!strcmp(q->method, "POST")) {
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, 0L);
	} else if (!strcmp(q->method, "PUT")) {
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(c, CURLOPT_READDATA, l);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, l);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)(q->body ? q->body->len : q->bytes));
		if (q->file && (!(l->file = fopen(q->file, "rb")) || fseeko(l->file, (off_t)q->offset, SEEK_SET) != 0))
			return ul_fail(&l->trouble, "cannot read %s: %s", q->file, strerror(errno));
	} else if (q->into) {
		snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)q->offset, (unsigned long long)(q->offset + q->bytes - 1));
		curl_easy_setopt(c, CURLOPT_RANGE, range);
	}
	return true;
}

static CURLcode attempt(ul_net_link *l)
{
	char url[4096];
	snprintf(url, sizeof url, "%s%s", l->cfg->url, l->ask->path);
	l->sent = 0;
	l->why[0] = '\0';
	l->reply->status = 0;
	l->reply->text.len = 0;
	set_common(l);
	curl_easy_setopt(l->curl, CURLOPT_URL, url);
	struct curl_slist *headers = headers_of(l);
	if (headers)
		curl_easy_setopt(l->curl, CURLOPT_HTTPHEADER, headers);
	CURLcode rc = set_body(l) ? curl_easy_perform(l->curl) : CURLE_READ_ERROR;
	curl_easy_getinfo(l->curl, CURLINFO_RESPONSE_CODE, &l->reply->status);
	curl_slist_free_all(headers);
	if (l->file)
		fclose(l->file);
	l->file = NULL;
	return rc;
}

/* ---- again and again ---- */

static bool is_final(CURLcode rc)
{
	return rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CERTPROBLEM || rc == CURLE_SSL_CACERT_BADFILE || rc == CURLE_SSL_ISSUER_ERROR ||
	       rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL || rc == CURLE_OUT_OF_MEMORY;
}

static void say(ul_net_link *l, const char *what, const char *detail)
{
	ul_net_event e = {.what = what, .copy = -1, .detail = detail};
	if (l->cfg->log.line)
		l->cfg->log.line(l->cfg->log.ud, &e);
}

/* The server answered and meant it; 503 and 507 ask to come again. */
static bool is_answered(ul_net_link *l, CURLcode rc)
{
	if (rc != CURLE_OK || l->reply->status == 503 || l->reply->status == 507)
		return false;
	if (l->broken)
		say(l, "connected", "again");
	l->broken = false;
	l->alive = clock_now();
	return true;
}

static const char *reason(ul_net_link *l, CURLcode rc)
{
	if (rc == CURLE_OK)
		return l->reply->status == 507 ? "the server's disk is full" : "the server asks to come later";
	return l->why[0] ? l->why : curl_easy_strerror(rc);
}

/* One break: whether and when to try again. */
static bool try_again(ul_net_link *l, CURLcode rc, double patience, ul_err *err)
{
	char detail[CURL_ERROR_SIZE + 64];
	if (l->trouble.msg[0])
		return ul_fail(err, "%s", l->trouble.msg);
	if (ul_net_link_stopped(l))
		return ul_fail(err, "stopped; the same command goes on");
	if (is_final(rc))
		return ul_fail(err, "the server %s cannot be trusted: %s", l->cfg->url, reason(l, rc));
	if (clock_now() - l->alive > patience)
		return ul_fail(err, "nothing moved to or from %s for %.0f seconds: %s", l->cfg->url, patience, reason(l, rc));
	snprintf(detail, sizeof detail, "%s; trying again", reason(l, rc));
	if (!l->broken)
		say(l, "broken", detail);
	l->pause = !l->broken ? 0.1 : l->pause < 4 ? l->pause * 2
	                                           : 5;
	l->broken = true;
	ul_net_link_wait(l, l->pause);
	return true;
}

bool ul_net_link_ask(ul_net_link *l, const ul_net_ask *q, ul_net_reply *r, ul_err *err)
{
	double patience = q->patience > 0 ? q->patience : (double)l->cfg->patience;
	l->ask = q;
	l->reply = r;
	l->limit = q->limit ? q->limit : TEXT_LIMIT;
	l->trouble = (ul_err){0};
	if (!l->broken)
		l->alive = clock_now();
	for (;;) {
		r->changed = false;
		CURLcode rc = attempt(l);
		if (r->changed || is_answered(l, rc))
			return true;
		if (!try_again(l, rc, patience, err))
			return false;
		/* Of a range that broke off, whole chunks count: the caller asks for the rest. */
		if (q->into) {
			r->status = 0;
			return true;
		}
	}
}

ul_net_link *ul_net_link_open(const ul_net_client *c, ul_err *err)
{
	ul_net_link *l = ul_calloc(1, sizeof *l);
	if (!l) {
		ul_nomem(err, sizeof *l);
		return NULL;
	}
	l->cfg = c;
	snprintf(l->ca, sizeof l->ca, "%s/ca.pem", c->certs);
	snprintf(l->cert, sizeof l->cert, "%s/cert.pem", c->certs);
	snprintf(l->key, sizeof l->key, "%s/key.pem", c->certs);
	const char *const need[] = {l->ca, l->cert, l->key};
	bool ok = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && (l->curl = curl_easy_init());
	if (!ok)
		ul_fail(err, "cannot start libcurl");
	for (int i = 0; ok && i < 3; i++)
		ok = ul_file_exists(need[i]) || ul_fail(err, "there is no %s", need[i]);
	if (ok && strncmp(c->url, "https://", 8) != 0)
		ok = ul_fail(err, "\"%.200s\" is no https://HOST:PORT", c->url);
	if (ok)
		return l;
	ul_net_link_close(l);
	return NULL;
}

void ul_net_link_close(ul_net_link *l)
{
	if (!l)
		return;
	if (l->curl)
		curl_easy_cleanup(l->curl);
	curl_global_cleanup();
	ul_free(l);
}
