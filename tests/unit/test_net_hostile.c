/*
 * test_net_hostile.c: what the server says to those who mean it no good, and to lines and disks that fail. Each is refused or
 * survived, with one clear line in the log, and the round still ends where it should.
 */
#include "net_ask.h"

#include <sched.h>
#include <sys/mount.h>

/* ---- requests ---- */

static void test_net_hostile__requests(void)
{
	world w = world_make(2, 2, UL_NET_CHUNK + 100);
	pid_t server = start(&w);
	char *big = ul_calloc(20 << 20, 1);
	expect(&w, (ask){.who = CLIENT, .method = "GET", .path = "/etc/passwd"}, 404, "nothing that can be asked");
	expect(&w, (ask){.who = CLIENT, .method = "GET", .path = "/v1/round/1/copy/0/listing"}, 403, "not this client's yet");
	expect(&w, (ask){.who = CLIENT, .method = "POST", .path = "/v1/work"}, 200, "\"leased\"");
	expect(&w, (ask){.who = "certs/client-2", .method = "GET", .path = "/v1/round/1/copy/0/listing"}, 403, "not this client's");
	expect(&w, (ask){.who = CLIENT, .method = "GET", .path = "/v1/round/2/copy/0/listing"}, 409, "round 2 is not open");
	expect(&w, (ask){.who = CLIENT, .method = "GET", .path = "/v1/round/1/copy/7/listing"}, 404, "there is no copy 7");
	expect(&w, (ask){.who = CLIENT, .method = "GET", .path = "/v1/round/1/copy/0/file/2", .header = "Range: bytes=0-99999999"}, 416, "longer than");
	expect(&w, (ask){.who = CLIENT, .method = "GET", .path = "/v1/round/1/copy/0/file/99", .header = "Range: bytes=0-9"}, 404, "no file 99");
	expect(&w, (ask){.who = CLIENT, .method = "GET", .path = "/v1/round/1/copy/0/file/2"}, 416, "no range");
	expect(&w, (ask){.who = CLIENT, .method = "POST", .path = "/v1/work", .body = big, .bytes = 1000}, 413, "where none belongs");
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/listing", .body = big, .bytes = 20 << 20}, 413, "are possible");
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/listing", .body = "{}", .bytes = 2}, 422, "a listing has");
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/file/0", .body = big, .bytes = 10, .header = "Content-Range: bytes 0-9/10"}, 409, "not announced");
	/* An update that would fill the disk is refused when it is announced. */
	ul_buf b = {0};
	ul_buf_str(&b, "{\"listing\":1,\"chunk\":1048576,\"files\":[{\"name\":\"a\",\"size\":1099511627776,\"sha256\":[]}]}");
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/listing", .body = b.data, .bytes = b.len}, 422, "which is the limit");
	ul_buf_release(&b);
	ul_free(big);
	CHECK_EQ_INT(world_said(&w, "server", "|refused|client-1|1|0|a listing of 20971520 bytes; "), 1);
	CHECK_EQ_INT(world_said(&w, "server", "|refused|client-1|0|-1|a body of 1000 bytes where none belongs"), 1);
	finish(&w, server);
}

/* ---- updates ---- */

static void test_net_hostile__updates(void)
{
	world w = world_make(1, 2, 5000);
	w.server.lease = 100000;
	pid_t server = start(&w);
	ul_buf text = {0};
	unsigned char *bytes = ul_malloc(w.bytes);
	world_bytes(1, 0, bytes, w.bytes, 0xff);
	const char *const whole = "Content-Range: bytes 0-4999/5000";
	expect(&w, (ask){.who = CLIENT, .method = "POST", .path = "/v1/work"}, 200, "\"leased\"");
	announce(&w, NULL, &text);
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/listing", .body = text.data, .bytes = text.len}, 200, "[2,0,5000]");
	/* a bit is turned on the way */
	bytes[4000] ^= 1;
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/file/2", .body = (char *)bytes, .bytes = w.bytes, .header = whole}, 422, "chunk 0 of \\\"weights.bin\\\" does not have the SHA-256");
	expect(&w, (ask){.who = CLIENT, .method = "POST", .path = "/v1/round/1/copy/0/done"}, 409, "not all bytes are here");
	/* a body that is not what its range says; a range outside of the file */
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/file/2", .body = (char *)bytes, .bytes = 4000, .header = whole}, 413, "were announced");
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/file/2", .body = (char *)bytes, .bytes = 4000, .header = "Content-Range: bytes 0-3999/4000"}, 416, "not announced");
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/file/2", .body = (char *)bytes, .bytes = 4000, .header = "Content-Range: bytes 1000-4999/5000"}, 416, "not whole chunks");
	bytes[4000] ^= 1;
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/file/2", .body = (char *)bytes, .bytes = w.bytes, .header = whole}, 200, "receiving");
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/file/0", .body = "{}\n", .bytes = 3, .header = "Content-Range: bytes 0-2/3"}, 200, "receiving");
	expect(&w, (ask){.who = CLIENT, .method = "POST", .path = "/v1/round/1/copy/0/done"}, 200, "checking");
	NEED(world_wait_for(&w, "server", "|accepted|", 20));
	/* the same again is no harm; another update for the same copy is */
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/listing", .body = text.data, .bytes = text.len}, 200, "accepted");
	announce(&w, "other", &text);
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/listing", .body = text.data, .bytes = text.len}, 409, "was returned already");
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/file/2", .body = (char *)bytes, .bytes = w.bytes, .header = whole}, 409, "was returned already");
	CHECK_EQ_INT(world_said(&w, "server", "|accepted|"), 1);
	CHECK_EQ_INT(world_said(&w, "server", "|refused|client-1|1|0|chunk 0 of \"weights.bin\" does not have the SHA-256 that was announced"), 1);
	CHECK_EQ_INT(world_said(&w, "server", "|refused|client-1|1|0|a body of 4000 bytes, where 5000 were announced"), 1);
	CHECK_EQ_INT(world_said(&w, "server", "|refused|client-1|1|0|copy 0 was returned already"), 2);
	ul_free(bytes);
	ul_buf_release(&text);
	finish(&w, server);
}

/* What the algorithm refuses reaches the client as a sentence; its copy may go to somebody else. */
static void refuse_poison(const char *poison, const char *part)
{
	world w = world_make(1, 1, 5000);
	w.server.lease = 2;
	pid_t server = start(&w);
	w.poison = poison;
	pid_t client = world_join(&w, "client-2");
	CHECK_EQ_INT(world_reap(client, 60), 1);
	CHECK_EQ_INT(world_said(&w, "client-2", part), 1);
	CHECK(world_wait_for(&w, "server", part, 20));
	w.poison = NULL;
	finish(&w, server);
}

static void test_net_hostile__not_finite(void)
{
	refuse_poison("NaN", "not finite");
}

static void test_net_hostile__huge(void)
{
	refuse_poison("huge", "1e30 times");
}

/* What was taken in a round that is over is not taken again. */
static void test_net_hostile__replayed(void)
{
	world w = world_make(2, 1, 5000);
	pid_t server = start(&w);
	ul_buf text = {0};
	unsigned char *bytes = ul_malloc(w.bytes);
	world_bytes(1, 0, bytes, w.bytes, 0xff);
	const ask list = {.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/listing"}, done = {.who = CLIENT, .method = "POST", .path = "/v1/round/1/copy/0/done"};
	const ask body = {.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/file/2", .body = (char *)bytes, .bytes = w.bytes, .header = "Content-Range: bytes 0-4999/5000"};
	ask announced = list, again = list;
	announce(&w, NULL, &text);
	again.body = announced.body = text.data;
	again.bytes = announced.bytes = text.len;
	again.path = "/v1/round/2/copy/0/listing";
	expect(&w, (ask){.who = CLIENT, .method = "POST", .path = "/v1/work"}, 200, "\"leased\"");
	expect(&w, announced, 200, "[2,0,5000]");
	expect(&w, body, 200, "receiving");
	expect(&w, (ask){.who = CLIENT, .method = "PUT", .path = "/v1/round/1/copy/0/file/0", .body = "{}\n", .bytes = 3, .header = "Content-Range: bytes 0-2/3"}, 200, "receiving");
	expect(&w, done, 200, "checking");
	NEED(world_wait_for(&w, "server", "|applied|", 20));
	for (int i = 0; i < 200; i++) { /* until round 2 is open */
		ask a = announced;
		send_ask(&w, &a);
		ul_buf_release(&a.text);
		if (a.status != 503)
			break;
		nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	}
	expect(&w, announced, 409, "round 1 is not open any more");
	expect(&w, body, 409, "round 1 is not open any more");
	expect(&w, done, 409, "round 1 is not open any more");
	expect(&w, again, 403, "not this client's yet"); /* nor under another round's name before it was given */
	CHECK_EQ_INT(world_said(&w, "server", "|refused|client-1|1|0|round 1 is not open any more: what belongs to it is neither given nor taken") >= 3, true);
	ul_free(bytes);
	ul_buf_release(&text);
	finish(&w, server);
	CHECK_EQ_INT(world_said(&w, "server", "|applied|"), 2);
}

/* ---- quotas ---- */

static void test_net_hostile__quota(void)
{
	world w = world_make(1, 1, 3 * UL_NET_CHUNK);
	w.server.quota = 1;
	pid_t server = start(&w);
	ask a = {.who = CLIENT, .method = "GET", .path = "/v1/round/1/copy/0/file/2", .header = "Range: bytes=0-3145727"};
	expect(&w, (ask){.who = CLIENT, .method = "POST", .path = "/v1/work"}, 200, "\"leased\"");
	for (int i = 0; i < 30; i++) {
		send_ask(&w, &a);
		if (a.status != 206)
			break;
	}
	CHECK_EQ_INT(a.status, 429);
	CHECK_HAS(a.text.data, "the quota of round 1 is used up");
	ul_buf_release(&a.text);
	CHECK_EQ_INT(world_said(&w, "server", "|refused|client-1|1|0|the quota of round 1 is used up: "), 1);
	CHECK_EQ_INT(world_said(&w, "server", " bytes have moved, and this asks for 3145728 more (--quota 1)"), 1);
	stop(server);
}

/* ---- a full disk ---- */

static void test_net_hostile__full_disk(void)
{
	world w = world_make(1, 2, 3 * UL_NET_CHUNK);
	char mount_at[4096], ballast[4096];
	world_path(&w, mount_at, "small");
	ul_err err = {0};
	NEED_OK(ul_mkdirs(mount_at, &err), err);
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("small", mount_at, "tmpfs", 0, "size=12m") != 0)
		SKIP("mounting a small file system needs privileges");
	w.server.dir = mount_at;
	world_path(&w, ballast, "small/ballast");
	FILE *f = fopen(ballast, "wb");
	char *zeros = ul_calloc(10 << 20, 1);
	CHECK(f && fwrite(zeros, 1, 10 << 20, f) == 10 << 20);
	if (f)
		fclose(f);
	ul_free(zeros);
	pid_t server = start(&w), client = world_join(&w, "client-1");
	NEED(world_wait_for(&w, "server", "No space left on device", 60));
	NEED(world_wait_for(&w, "client-1", "the server's disk is full", 60));
	unlink(ballast);
	CHECK_EQ_INT(world_reap(client, 120), 0);
	CHECK_EQ_INT(world_reap(server, 60), 0);
	world_check_theta(&w);
	umount2(mount_at, MNT_DETACH);
}

/* The client's disk is full: it says so and goes on when there is room. */
static void test_net_hostile__full_disk_of_the_client(void)
{
	world w = world_make(1, 1, 3 * UL_NET_CHUNK);
	char mount_at[4096];
	world_path(&w, mount_at, "client-1");
	ul_err err = {0};
	NEED_OK(ul_mkdirs(mount_at, &err), err);
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("small", mount_at, "tmpfs", 0, "size=2m") != 0)
		SKIP("mounting a small file system needs privileges");
	pid_t server = start(&w), client = world_join(&w, "client-1");
	CHECK_EQ_INT(world_reap(client, 60), 1);
	CHECK_EQ_INT(world_said(&w, "client-1", "No space left on device"), 1);
	CHECK(mount("small", mount_at, "tmpfs", MS_REMOUNT, "size=20m") == 0);
	finish(&w, server);
	umount2(mount_at, MNT_DETACH);
}
