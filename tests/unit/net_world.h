/*
 * net_world.h: two parties with an algorithm that can be followed by hand, for tests of what carries it.
 *
 * A copy is a folder of bytes drawn from (round, copy); its update is the same bytes with every bit turned; collecting writes the
 * hashes of all updates into `theta` and moves its round on, in one rename. What theta must hold at the end is known beforehand,
 * and whatever is lost, changed or applied twice on the way shows in it.
 */
#ifndef NET_WORLD_H
#define NET_WORLD_H

#include "protocols/net.h"
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct world {
	char dir[4096]; /* theta, copies/, certs/, server/, client-N/ */
	int rounds, copies;
	size_t bytes; /* of a copy */
	int work_ms; /* how long unlearning takes */
	ul_net_server server;
	int64_t patience; /* of clients */
	const char *poison; /* first bytes of every update, or NULL */
	const char *blind; /* while this file is there the server cannot judge */
	const char *key; /* file with what all updates are signed with, or NULL */
	bool ticks; /* progress goes into the logs, as lines "tick|…|WHAT DONE/TOTAL" */
	const char *host; /* address of the server */
	int port;
} world;

static inline void world_path(const world *w, char path[4096], const char *fmt, ...) UL_PRINTF(3, 4);
static inline void world_path(const world *w, char path[4096], const char *fmt, ...)
{
	int n = snprintf(path, 2048, "%.2000s/", w->dir);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(path + n, 4096 - (size_t)n, fmt, ap);
	va_end(ap);
}

/* A linear generator: a byte in the middle is known without those before it only to who has them all. */
static inline void world_bytes(int round, int copy, unsigned char *out, size_t n, unsigned char flip)
{
	uint64_t x = (uint64_t)round * 1000003 + (uint64_t)copy * 7919 + 12345;
	for (size_t i = 0; i < n; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		out[i] = (unsigned char)(x >> 56) ^ flip;
	}
}

static inline bool world_folder(const world *w, int round, int copy, unsigned char flip, const char *dir, ul_err *err)
{
	ul_stage s = {0};
	char path[4096 + 32];
	unsigned char *b = ul_malloc(w->bytes);
	if (!b)
		return ul_nomem(err, w->bytes);
	world_bytes(round, copy, b, w->bytes, flip);
	if (flip && w->poison)
		memcpy(b, w->poison, strlen(w->poison));
	bool ok = ul_stage_begin(&s, dir, false, err);
	if (ok) {
		snprintf(path, sizeof path, "%s/weights.bin", s.dir);
		ok = ul_file_write(path, b, w->bytes, err);
		snprintf(path, sizeof path, "%s/deep", s.dir);
		ok = ok && ul_mkdirs(path, err);
		snprintf(path, sizeof path, "%s/deep/config.json", s.dir);
		ok = ok && ul_file_write(path, "{}\n", 3, err);
		snprintf(path, sizeof path, "%s/empty", s.dir);
		ok = ok && ul_file_write(path, "", 0, err);
		ok = ok ? ul_stage_commit(&s, err) : (ul_stage_abort(&s), false);
	}
	ul_free(b);
	return ok;
}

/* ---- the algorithm ---- */

static inline bool world_now(void *ud, ul_net_round *r, ul_err *err)
{
	const world *w = ud;
	char path[4096];
	ul_buf b = {0};
	world_path(w, path, "theta");
	*r = (ul_net_round){.round = 1, .rounds = w->rounds, .copies = w->copies};
	if (!ul_file_exists(path))
		return true;
	if (!ul_file_read(&b, path, 1 << 20, err))
		return false;
	r->round = atoi(b.data);
	ul_buf_release(&b);
	return true;
}

static inline bool world_copy(void *ud, int round, int copy, char dir[4096], char only[64], ul_err *err)
{
	const world *w = ud;
	world_path(w, dir, "copies/round-%d/copy-%d", round, copy);
	return ul_is_dir(dir) || world_folder(w, round, copy, 0, dir, err);
}

static inline enum ul_net_verdict world_check(void *ud, const ul_net_update *u, char key[65], ul_err *err)
{
	const world *w = ud;
	char path[4096 + 32];
	ul_buf b = {0};
	ul_map m;
	snprintf(path, sizeof path, "%s/weights.bin", u->dir);
	if (w->blind && ul_file_exists(w->blind)) {
		ul_fail(err, "out of memory, or so");
		return UL_NET_UNDECIDED;
	}
	if (w->key && ul_file_read(&b, w->key, 64, NULL))
		snprintf(key, 65, "%s", b.data);
	ul_buf_release(&b);
	if (!ul_map_open(&m, path, err))
		return UL_NET_REFUSE;
	bool nan = m.len >= 3 && memcmp(m.data, "NaN", 3) == 0, huge = m.len >= 4 && memcmp(m.data, "huge", 4) == 0;
	ul_map_close(&m);
	if (nan)
		ul_fail(err, "the update holds a value that is not finite");
	if (huge)
		ul_fail(err, "the update is 1e30 times as large as its copy");
	return nan || huge ? UL_NET_REFUSE : UL_NET_TAKE;
}

static inline void theta_line(ul_buf *b, int round, int copy, const char *sha)
{
	ul_buf_printf(b, "%d %d %s\n", round, copy, sha);
}

static inline bool world_collect(void *ud, int round, char *const *update, int copies, ul_err *err)
{
	const world *w = ud;
	char path[4096], file[4096 + 32], sha[65];
	ul_buf old = {0}, b = {0};
	world_path(w, path, "theta");
	ul_buf_printf(&b, "%d\n", round + 1);
	bool ok = !ul_file_exists(path) || ul_file_read(&old, path, 1 << 20, err);
	const char *rest = old.data ? strchr(old.data, '\n') + 1 : "";
	ul_buf_str(&b, rest);
	for (int k = 0; ok && k < copies; k++) {
		snprintf(file, sizeof file, "%s/weights.bin", update[k]);
		ok = ul_sha256_file(file, sha, err);
		theta_line(&b, round, k, sha);
	}
	ok = ok && ul_file_write(path, b.data, b.len, err);
	ul_buf_release(&old);
	ul_buf_release(&b);
	return ok;
}

static inline bool world_unlearn(void *ud, int round, int copy, const char *from, const char *update, ul_err *err)
{
	const world *w = ud;
	char path[4096 + 32], sha[65], want[65];
	unsigned char *b = ul_malloc(w->bytes);
	world_bytes(round, copy, b, w->bytes, 0);
	ul_sha256(b, w->bytes, want);
	ul_free(b);
	snprintf(path, sizeof path, "%s/weights.bin", from);
	if (!ul_sha256_file(path, sha, err))
		return false;
	if (strcmp(sha, want) != 0)
		return ul_fail(err, "copy %d of round %d is not what was published", copy, round);
	nanosleep(&(struct timespec){.tv_sec = w->work_ms / 1000, .tv_nsec = w->work_ms % 1000 * 1000000l}, NULL);
	return world_folder(w, round, copy, 0xff, update, err);
}

/* What theta must be when all is over. */
static inline void world_expect(const world *w, ul_buf *b)
{
	unsigned char *bytes = ul_malloc(w->bytes);
	char sha[65];
	ul_buf_printf(b, "%d\n", w->rounds + 1);
	for (int r = 1; r <= w->rounds; r++)
		for (int k = 0; k < w->copies; k++) {
			world_bytes(r, k, bytes, w->bytes, 0xff);
			ul_sha256(bytes, w->bytes, sha);
			theta_line(b, r, k, sha);
		}
	ul_free(bytes);
}

static inline void world_check_theta(const world *w)
{
	char path[4096];
	ul_buf want = {0}, got = {0};
	ul_err err = {0};
	world_path(w, path, "theta");
	world_expect(w, &want);
	NEED_OK(ul_file_read(&got, path, 1 << 20, &err), err);
	CHECK_STR(got.data, want.data);
	ul_buf_release(&want);
	ul_buf_release(&got);
}

/* ---- the two processes ---- */

static inline void world_line(void *ud, const ul_net_event *e)
{
	FILE *f = ud;
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	fprintf(f, "%02d.%03d|%s|%s|%d|%d|%s\n", (int)(t.tv_sec % 60), (int)(t.tv_nsec / 1000000), e->what, e->client ? e->client : "", e->round, e->copy, e->detail ? e->detail : "");
	fflush(f);
}

static inline FILE *world_log(const world *w, const char *who)
{
	char path[4096];
	world_path(w, path, "%s.log", who);
	FILE *f = fopen(path, "a");
	UL_ASSERT(f, "%s", path);
	return f;
}

/* How often `part` stands in the log of `who`. */
static inline int world_said(const world *w, const char *who, const char *part)
{
	char path[4096];
	ul_buf b = {0};
	world_path(w, path, "%s.log", who);
	int n = 0;
	if (ul_file_read(&b, path, 64 << 20, NULL))
		for (const char *s = b.data; (s = strstr(s, part)); s += strlen(part))
			n++;
	ul_buf_release(&b);
	return n;
}

static inline bool world_wait_for(const world *w, const char *who, const char *part, int seconds)
{
	for (int i = 0; i < seconds * 20; i++) {
		if (world_said(w, who, part))
			return true;
		nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	}
	return false;
}

static inline void world_tick(void *ud, const char *what, int64_t done, int64_t total, double loss, double rate)
{
	char text[160];
	snprintf(text, sizeof text, "%s %lld/%lld", what, (long long)done, (long long)total);
	world_line(ud, &(ul_net_event){.what = "tick", .copy = -1, .detail = text});
}

static inline pid_t world_serve(world *w)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	char dir[4096], certs[4096], listen[64];
	ul_net_rounds rounds = {w, world_now, world_copy, world_check, world_collect};
	ul_net_server s = w->server;
	ul_err err = {0};
	bool stopped;
	world_path(w, dir, "server");
	world_path(w, certs, "certs/server");
	snprintf(listen, sizeof listen, "%s:%d", w->host, w->port);
	s.dir = s.dir ? s.dir : dir;
	s.certs = certs;
	s.listen = listen;
	s.rounds = &rounds;
	s.log = (ul_net_log){world_log(w, "server"), world_line};
	ul_progress ticks = {.ud = s.log.ud, .tick = world_tick};
	s.progress = w->ticks ? &ticks : NULL;
	bool ok = ul_net_serve(&s, &stopped, &err);
	if (!ok)
		world_line(s.log.ud, &(ul_net_event){.what = "FAILED", .detail = err.msg});
	fclose(s.log.ud);
	_exit(ok ? 0 : 1);
}

static inline pid_t world_join(world *w, const char *name)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	char dir[4096], certs[4096], url[64];
	ul_net_work work = {w, world_unlearn};
	ul_err err = {0};
	bool stopped;
	world_path(w, dir, "%s", name);
	world_path(w, certs, "certs/%s", name);
	snprintf(url, sizeof url, "https://%s:%d", w->host, w->port);
	ul_net_client c = {.url = url, .certs = certs, .dir = dir, .patience = w->patience, .work = &work, .log = {world_log(w, name), world_line}};
	ul_progress ticks = {.ud = c.log.ud, .tick = world_tick};
	c.progress = w->ticks ? &ticks : NULL;
	bool ok = ul_net_join(&c, &stopped, &err);
	if (!ok)
		world_line(c.log.ud, &(ul_net_event){.what = "FAILED", .detail = err.msg});
	fclose(c.log.ud);
	_exit(ok ? 0 : 1);
}

/* Exit status, or -1 when it had to be killed after so many seconds. */
static inline int world_reap(pid_t pid, int seconds)
{
	int status = 0;
	for (int i = 0; i < seconds * 100; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

static inline int world_free_port(void);
static inline world world_make(int rounds, int copies, size_t bytes)
{
	world w = {.rounds = rounds, .copies = copies, .bytes = bytes, .patience = 60, .host = "127.0.0.1", .port = world_free_port()};
	char certs[4096];
	ul_err err = {0};
	snprintf(w.dir, sizeof w.dir, "%s", test_tmp());
	w.server = (ul_net_server){.lease = 3600, .quota = 4, .patience = 30, .connections = 64};
	world_path(&w, certs, "certs");
	NEED_OK(ul_net_certs_make(certs, &(ul_net_certs){.hosts = "localhost,127.0.0.1,10.213.7.1", .clients = 3, .days = 30}, &err), err);
	return w;
}

#include <netinet/in.h>
#include <sys/socket.h>
static inline int world_free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	UL_ASSERT(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0, "no port");
	close(fd);
	return ntohs(a.sin_port);
}

#endif
