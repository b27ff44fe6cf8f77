/*
 * net_ask.h: a client that asks a server of net_world.h for what it likes, and looks at the answer.
 */
#ifndef NET_ASK_H
#define NET_ASK_H

#include "net_world.h"

#include <arpa/inet.h>
#include <curl/curl.h>

typedef struct ask {
	const char *who; /* folder of certs, or NULL: none */
	const char *method, *path, *body, *header;
	size_t bytes; /* of body */
	long status;
	ul_buf text;
	CURLcode rc;
} ask;

static inline size_t take(char *data, size_t size, size_t n, void *ud)
{
	ul_buf_add(ud, data, size * n);
	return size * n;
}

static inline void send_ask(const world *w, ask *a)
{
	char url[256], ca[4096], cert[4096], key[4096];
	CURL *c = curl_easy_init();
	snprintf(url, sizeof url, "https://127.0.0.1:%d%s", w->port, a->path);
	world_path(w, ca, "certs/ca.pem");
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_CAINFO, ca);
	if (a->who) {
		world_path(w, cert, "%s/cert.pem", a->who);
		world_path(w, key, "%s/key.pem", a->who);
		curl_easy_setopt(c, CURLOPT_SSLCERT, cert);
		curl_easy_setopt(c, CURLOPT_SSLKEY, key);
	}
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, a->method);
	if (a->body) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, a->body);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)a->bytes);
	}
	struct curl_slist *h = curl_slist_append(NULL, "Expect: 100-continue");
	if (a->header)
		h = curl_slist_append(h, a->header);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, h);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &a->text);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 30L);
	ul_buf_release(&a->text);
	a->rc = curl_easy_perform(c);
	a->status = 0;
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a->status);
	curl_slist_free_all(h);
	curl_easy_cleanup(c);
}

/* The answer has this status, and its sentence contains `part`. */
static inline void expect(const world *w, ask a, long status, const char *part)
{
	send_ask(w, &a);
	CHECK_MSG(a.status == status, "%s %s: %ld, not %ld: %s (%s)", a.method, a.path, a.status, status, a.text.data ? a.text.data : "", curl_easy_strerror(a.rc));
	CHECK_HAS(a.text.data ? a.text.data : "", part);
	ul_buf_release(&a.text);
}

static inline pid_t start(world *w)
{
	pid_t pid = world_serve(w);
	NEED(world_wait_for(w, "server", "|listening|", 30));
	return pid;
}

static inline void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	world_reap(pid, 5);
}

static inline void finish(world *w, pid_t server)
{
	pid_t client = world_join(w, "client-1");
	CHECK_EQ_INT(world_reap(client, 120), 0);
	CHECK_EQ_INT(world_reap(server, 60), 0);
	world_check_theta(w);
}

#define CLIENT "certs/client-1"

/* The listing of copy 0's update as it should be, with other first bytes, or none. */
static inline void announce(const world *w, const char *poison, ul_buf *text)
{
	world other = *w;
	char dir[4096];
	ul_err err = {0};
	ul_net_list l = {0};
	other.poison = poison;
	snprintf(dir, sizeof dir, "%s", test_path("made"));
	NEED_OK(ul_remove_tree(dir, &err) && world_folder(&other, 1, 0, 0xff, dir, &err) && ul_net_list_make(&l, dir, NULL, NULL, &err) && ul_net_list_text(&l, text, &err), err);
	ul_net_list_release(&l);
}

static inline int dial(const world *w)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)w->port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	UL_ASSERT(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0, "connect");
	return fd;
}

static inline long peak_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = -1;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		sscanf(line, "VmHWM: %ld", &kib);
	if (f)
		fclose(f);
	return kib;
}

#endif
