/*
 * test_net_trouble.c: what goes wrong without anybody meaning it: a disk that is full between two rounds, a server that cannot judge, a
 * line that turns bits, a client that comes late or with another key. And what both sides say of how far they are.
 */
#include "net_ask.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

/* The server's reads of a copy, some of which turn a bit: what no line under TLS can do, a disk or a memory can. */
static int damaged; /* how many reads from now on; -1: all */
ssize_t pread(int fd, void *out, size_t n, off_t at)
{
	char link[64], path[4096] = "";
	ssize_t got = (ssize_t)syscall(SYS_pread64, fd, out, n, at);
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if (damaged && got > 0 && readlink(link, path, sizeof path - 1) > 0 && strstr(path, "/weights.bin")) {
		((unsigned char *)out)[got / 2] ^= 1;
		damaged -= damaged > 0;
	}
	return got;
}

static void test_net_trouble__chunk_damaged_once(void)
{
	world w = world_make(1, 1, 3 * UL_NET_CHUNK);
	damaged = 1;
	pid_t server = start(&w);
	damaged = 0;
	finish(&w, server);
	CHECK_EQ_INT(world_said(&w, "client-1", "a chunk does not have the SHA-256 that was announced; asking again"), 1);
}

static void test_net_trouble__chunk_damaged_always(void)
{
	world w = world_make(1, 1, 3 * UL_NET_CHUNK);
	damaged = -1;
	pid_t server = start(&w), client = world_join(&w, "client-1");
	CHECK_EQ_INT(world_reap(client, 60), 1);
	CHECK_EQ_INT(world_said(&w, "client-1", "asking again"), 3);
	CHECK_EQ_INT(world_said(&w, "client-1", "copy 0 arrives changed: a chunk of \"weights.bin\" has a wrong SHA-256 every time"), 1);
	stop(server);
	damaged = 0;
	server = start(&w);
	finish(&w, server);
}

/* The round is applied and the next one does not fit on the disk: the server says so, asks everybody to come again, and goes on. */
static void test_net_trouble__next_round_does_not_fit(void)
{
	world w = world_make(2, 2, 3 * UL_NET_CHUNK);
	char mount_at[4096], ballast[4096];
	ul_err err = {0};
	world_path(&w, mount_at, "copies");
	world_path(&w, ballast, "copies/ballast");
	NEED_OK(ul_mkdirs(mount_at, &err), err);
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("small", mount_at, "tmpfs", 0, "size=14m") != 0)
		SKIP("mounting a small file system needs privileges");
	char *zeros = ul_calloc(4 << 20, 1);
	NEED_OK(ul_file_write(ballast, zeros, 4 << 20, &err), err);
	ul_free(zeros);
	pid_t server = start(&w), client = world_join(&w, "client-1");
	NEED(world_wait_for(&w, "server", "No space left on device", 60));
	CHECK_EQ_INT(world_said(&w, "server", "|applied|"), 1);
	expect(&w, (ask){.who = CLIENT, .method = "GET", .path = "/v1/round/2/copy/0/listing"}, 507, "cannot be opened yet");
	unlink(ballast);
	CHECK_EQ_INT(world_reap(client, 120), 0);
	CHECK_EQ_INT(world_reap(server, 60), 0);
	CHECK_EQ_INT(world_said(&w, "server", "|applied|"), 2);
	world_check_theta(&w);
	umount2(mount_at, MNT_DETACH);
}

/* A server that lacks memory refuses nobody for it. */
static void test_net_trouble__cannot_judge_now(void)
{
	world w = world_make(1, 1, 5000);
	test_file("blind", "");
	w.blind = test_path("blind");
	pid_t server = start(&w), client = world_join(&w, "client-1");
	NEED(world_wait_for(&w, "server", "|trouble||1|0|out of memory", 30));
	CHECK_EQ_INT(world_said(&w, "server", "|refused|"), 0);
	unlink(w.blind);
	CHECK_EQ_INT(world_reap(client, 60), 0);
	CHECK_EQ_INT(world_reap(server, 60), 0);
	CHECK(world_said(&w, "server", "|trouble|") <= 3);
	world_check_theta(&w);
}

/* And as long as it cannot, a copy is kept no longer than its lease. */
static void test_net_trouble__cannot_judge_until_the_lease_is_over(void)
{
	world w = world_make(1, 1, 5000);
	test_file("blind", "");
	w.blind = test_path("blind");
	w.server.lease = 2;
	pid_t server = start(&w), client = world_join(&w, "client-1");
	NEED(world_wait_for(&w, "server", "|trouble||1|0|out of memory", 30));
	kill(client, SIGKILL);
	world_reap(client, 5);
	nanosleep(&(struct timespec){.tv_sec = 3}, NULL);
	client = world_join(&w, "client-2");
	NEED(world_wait_for(&w, "client-2", "|pulled|", 60));
	unlink(w.blind);
	CHECK_EQ_INT(world_reap(client, 60), 0);
	CHECK_EQ_INT(world_reap(server, 60), 0);
	world_check_theta(&w);
}

/* The lease is over and another client has the copy: the first one's update is too late. */
static void test_net_trouble__late_update(void)
{
	world w = world_make(1, 1, 5000);
	ul_buf text = {0};
	unsigned char *bytes = ul_malloc(w.bytes);
	world_bytes(1, 0, bytes, w.bytes, 0xff);
	w.server.lease = 1;
	pid_t server = start(&w);
	const ask work = {.who = CLIENT, .method = "POST", .path = "/v1/work"}, body = {.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/file/2", .body = (char *)bytes, .bytes = w.bytes, .header = "Content-Range: bytes 0-4999/5000"};
	ask other = work;
	other.who = "certs/client-2";
	announce(&w, NULL, &text);
	const ask list = {.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/listing", .body = text.data, .bytes = text.len};
	expect(&w, work, 200, "\"leased\"");
	expect(&w, list, 200, "[2,0,5000]");
	nanosleep(&(struct timespec){.tv_sec = 2, .tv_nsec = 100000000}, NULL);
	expect(&w, other, 200, "\"leased\"");
	expect(&w, body, 403, "copy 0 is not this client's");
	expect(&w, list, 403, "copy 0 is not this client's");
	expect(&w, (ask){.who = CLIENT, .method = "POST", .path = "/v1/round/1/copy/0/done"}, 403, "copy 0 is not this client's");
	CHECK_EQ_INT(world_said(&w, "server", "|refused|client-1|1|0|copy 0 is not this client's"), 3);
	CHECK_EQ_INT(world_said(&w, "server", "|accepted|"), 0);
	ul_free(bytes);
	ul_buf_release(&text);
	nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
	finish(&w, server);
}

/* The key of a client's first update is its key: another one is refused, also in a later round and after the server has died. */
static void test_net_trouble__another_key(void)
{
	world w = world_make(2, 1, 5000);
	w.server.lease = 4;
	test_file("key", "aaaa");
	w.key = test_path("key");
	w.work_ms = 1000;
	pid_t server = start(&w), client = world_join(&w, "client-1");
	NEED(world_wait_for(&w, "server", "|applied|", 30));
	stop(server);
	test_file("key", "bbbb");
	server = start(&w);
	CHECK_EQ_INT(world_reap(client, 60), 1);
	CHECK_EQ_INT(world_said(&w, "server", "is signed with the key bbbb…, and this client's updates are signed with aaaa…"), 1);
	CHECK_EQ_INT(world_said(&w, "client-1", "is signed with the key bbbb…"), 1);
	client = world_join(&w, "client-2"); /* whose first it is */
	CHECK_EQ_INT(world_reap(client, 60), 0);
	CHECK_EQ_INT(world_reap(server, 60), 0);
	world_check_theta(&w);
}

/* Both sides say how far they are: copies out and in, MiB of a copy, and which of how many. */
static void test_net_trouble__progress(void)
{
	world w = world_make(1, 2, 20 * UL_NET_CHUNK);
	w.ticks = true;
	w.work_ms = 500;
	pid_t server = start(&w);
	finish(&w, server);
	CHECK(world_said(&w, "server", "tick||0|-1|round 1: 0 of 2 copies out, updates in 0/2") >= 1);
	CHECK(world_said(&w, "server", "tick||0|-1|round 1: 2 of 2 copies out, updates in 0/2") >= 1);
	CHECK(world_said(&w, "server", "tick||0|-1|round 1: 2 of 2 copies out, updates in 1/2") >= 1);
	CHECK_EQ_INT(world_said(&w, "client-1", "round 1: pull copy 0 (1 of 2), MiB 16/21"), 1);
	CHECK_EQ_INT(world_said(&w, "client-1", "round 1: pull copy 0 (1 of 2), MiB 20/21"), 1);
	CHECK_EQ_INT(world_said(&w, "client-1", "round 1: push copy 1 (2 of 2), MiB 16/21"), 1);
}
