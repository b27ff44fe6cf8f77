/* test_net.c: folders between two processes over HTTPS: whole rounds, death at any moment. What strangers do is in test_net_hostile.c. */
#include "net_world.h"

/* ---- listing ---- */

static void put_file(const char *name, size_t n)
{
	unsigned char *b = ul_malloc(n + 1);
	ul_err err = {0};
	world_bytes(1, 2, b, n, 0);
	NEED_OK(ul_file_write(test_path(name), b, n, &err), err);
	ul_free(b);
}

static void test_net__listing_there_and_back(void)
{
	ul_err err = {0};
	ul_net_list a = {0}, b = {0};
	ul_buf text = {0};
	NEED_OK(ul_mkdirs(test_path("d/sub"), &err) && ul_mkdirs(test_path("d/copy-1"), &err), err);
	put_file("d/sub/b.bin", 2 * UL_NET_CHUNK + 5);
	put_file("d/a", UL_NET_CHUNK);
	put_file("d/nothing", 0);
	put_file("d/copy-1/x", 10);
	NEED_OK(ul_net_list_make(&a, test_path("d"), "sub", NULL, &err), err);
	CHECK_EQ_INT(a.files, 3);
	CHECK_STR(a.file[0].name, "a");
	CHECK_STR(a.file[2].name, "sub/b.bin");
	CHECK_EQ_INT(a.chunks, 4);
	CHECK_EQ_INT(a.bytes, 3 * UL_NET_CHUNK + 5);
	NEED_OK(ul_net_list_text(&a, &text, &err), err);
	CHECK(text.len < ul_net_list_limit(a.bytes));
	NEED_OK(ul_net_list_parse(&b, text.data, text.len, a.bytes, &err), err);
	CHECK_STR(a.id, b.id);
	CHECK_EQ_INT(b.file[2].size, 2 * UL_NET_CHUNK + 5);
	CHECK(memcmp(a.sha, b.sha, a.chunks * 32) == 0);
	ul_net_list_release(&b);
	CHECK_FAILS(ul_net_list_parse(&b, text.data, text.len, a.bytes - 1, &err), err, "which is the limit");
	NEED(symlink("a", test_path("d/link")) == 0);
	err = (ul_err){0};
	CHECK_FAILS(ul_net_list_make(&b, test_path("d"), NULL, NULL, &err), err, "neither a file nor a directory");
	ul_net_list_release(&a);
	ul_buf_release(&text);
}

static void refuse_listing(const char *files, const char *part)
{
	ul_net_list l = {0};
	ul_buf b = {0};
	ul_err err = {0};
	ul_buf_printf(&b, "{\"listing\":1,\"chunk\":1048576,\"files\":[%s]}", files);
	CHECK_FAILS(ul_net_list_parse(&l, b.data, b.len, 1 << 30, &err), err, part);
	ul_net_list_release(&l);
	ul_buf_release(&b);
}

static void test_net__listing_that_lies(void)
{
	static const char *const names[] = {"../a", "a/../b", "/a", "a//b", "a/", ".hidden", "a/.x", "a\\\\b", "a\\nb", ""};
	char file[256];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(file, sizeof file, "{\"name\":\"%s\",\"size\":0,\"sha256\":[]}", names[i]);
		refuse_listing(file, "listing");
	}
	refuse_listing("{\"name\":\"a\",\"size\":5,\"sha256\":[]}", "hashes");
	refuse_listing("{\"name\":\"a\",\"size\":-1,\"sha256\":[]}", "between");
	refuse_listing("{\"name\":\"a\",\"size\":1e18,\"sha256\":[]}", "whole number");
	refuse_listing("{\"name\":\"a\",\"size\":2000000000,\"sha256\":[]}", "limit");
	refuse_listing("{\"name\":\"a\",\"size\":1,\"sha256\":[\"zz\"]}", "SHA-256");
	refuse_listing("{\"name\":\"b\",\"size\":0,\"sha256\":[]},{\"name\":\"a\",\"size\":0,\"sha256\":[]}", "out of order");
	refuse_listing("{\"name\":\"a\",\"size\":0,\"sha256\":[]},{\"name\":\"a\",\"size\":0,\"sha256\":[]}", "twice");
}

/* ---- store ---- */

static ul_net_store *open_store(ul_err *err)
{
	ul_net_list l = {0};
	NEED_OK(ul_net_list_make(&l, test_path("d"), NULL, NULL, err), *err);
	ul_net_store *s = ul_net_store_open(test_path("in"), &l, NULL, err);
	NEED_OK(s, *err);
	return s;
}

static void test_net__store_goes_on_and_takes_nothing_wrong(void)
{
	ul_err err = {0};
	ul_map m;
	enum ul_net_trouble why;
	int file = 0;
	uint64_t at = 0, n = 0;
	NEED_OK(ul_mkdirs(test_path("d"), &err), err);
	put_file("d/a", 3 * UL_NET_CHUNK + 7);
	NEED_OK(ul_map_open(&m, test_path("d/a"), &err), err);
	ul_net_store *s = open_store(&err);
	NEED_OK(ul_net_store_run(s, 0, 0, 3 * UL_NET_CHUNK + 7, &err), err);
	/* one and a half chunks, in odd pieces, and the process is gone */
	for (size_t i = 0; i < UL_NET_CHUNK + UL_NET_CHUNK / 2; i += 4099)
		NEED_OK(ul_net_store_feed(s, m.data + i, 4099, &why, &err), err);
	CHECK_EQ_INT(ul_net_store_got(s), UL_NET_CHUNK);
	ul_net_store_close(s);
	s = open_store(&err);
	CHECK_EQ_INT(ul_net_store_got(s), UL_NET_CHUNK);
	NEED(ul_net_store_missing(s, &file, &at, &n));
	CHECK_EQ_INT(at, UL_NET_CHUNK);
	CHECK_EQ_INT(n, 2 * UL_NET_CHUNK + 7);
	/* a chunk that is another one */
	NEED_OK(ul_net_store_run(s, 0, at, UL_NET_CHUNK, &err), err);
	CHECK_FAILS(ul_net_store_feed(s, m.data, UL_NET_CHUNK, &why, &err), err, "chunk 1 of \"a\" does not have the SHA-256");
	CHECK_EQ_INT(why, UL_NET_CHANGED);
	CHECK_EQ_INT(ul_net_store_got(s), UL_NET_CHUNK);
	/* wrong bytes for a chunk that is there leave it alone */
	err = (ul_err){0};
	NEED_OK(ul_net_store_run(s, 0, 0, UL_NET_CHUNK, &err), err);
	CHECK(!ul_net_store_feed(s, m.data + 1, UL_NET_CHUNK, &why, &err));
	err = (ul_err){0};
	CHECK(!ul_net_store_run(s, 0, 5, UL_NET_CHUNK, &err));
	CHECK(!ul_net_store_run(s, 0, 0, UL_NET_CHUNK + 1, &err));
	CHECK(!ul_net_store_run(s, 0, 3 * UL_NET_CHUNK, 8, &err));
	CHECK(!ul_net_store_run(s, 1, 0, 1, &err));
	err = (ul_err){0};
	NEED_OK(ul_net_store_run(s, 0, at, n, &err) && ul_net_store_feed(s, m.data + at, n, &why, &err), err);
	CHECK(!ul_net_store_missing(s, &(int){0}, &(uint64_t){0}, &n));
	NEED_OK(ul_net_store_finish(s, test_path("whole"), &err), err);
	ul_net_store_close(s);
	char a[65], b[65];
	NEED_OK(ul_sha256_file(test_path("d/a"), a, &err) && ul_sha256_file(test_path("whole/a"), b, &err), err);
	CHECK_STR(a, b);
	ul_map_close(&m);
}

/* ---- whole rounds ---- */

static void test_net__two_rounds(void)
{
	world w = world_make(2, 3, 5 * UL_NET_CHUNK / 2);
	pid_t server = world_serve(&w), client = world_join(&w, "client-1");
	CHECK_EQ_INT(world_reap(client, 60), 0);
	CHECK_EQ_INT(world_reap(server, 60), 0);
	world_check_theta(&w);
	CHECK_EQ_INT(world_said(&w, "server", "accepted|"), 6);
	CHECK_EQ_INT(world_said(&w, "server", "applied|"), 2);
	CHECK_EQ_INT(world_said(&w, "server", "refused|"), 0);
	char path[4096];
	world_path(&w, path, "client-1/round-2");
	CHECK(!ul_file_exists(path));
	world_path(&w, path, "server/round-2");
	CHECK(!ul_file_exists(path));
}

/* Each has one copy and never sees another's. */
static void test_net__several_clients(void)
{
	world w = world_make(1, 3, UL_NET_CHUNK + 9);
	w.server.per_client = 1;
	pid_t server = world_serve(&w), client[3];
	for (int i = 0; i < 3; i++)
		client[i] = world_join(&w, (const char *const[]){"client-1", "client-2", "client-3"}[i]);
	for (int i = 0; i < 3; i++)
		CHECK_EQ_INT(world_reap(client[i], 60), 0);
	CHECK_EQ_INT(world_reap(server, 60), 0);
	world_check_theta(&w);
	for (int i = 1; i <= 3; i++) {
		char who[16];
		snprintf(who, sizeof who, "client-%d", i);
		CHECK_EQ_INT(world_said(&w, who, "pulled|"), 1);
	}
}

/* A client that never comes back keeps its copy for the time of the lease, and no longer. */
static void test_net__lease_lapses(void)
{
	world w = world_make(1, 2, 3000);
	w.server.lease = 2;
	w.work_ms = 60000;
	pid_t server = world_serve(&w), lost = world_join(&w, "client-1");
	NEED(world_wait_for(&w, "client-1", "pulled|", 20));
	kill(lost, SIGKILL);
	world_reap(lost, 5);
	w.work_ms = 0;
	pid_t client = world_join(&w, "client-2");
	CHECK_EQ_INT(world_reap(client, 60), 0);
	CHECK_EQ_INT(world_reap(server, 60), 0);
	world_check_theta(&w);
	CHECK(world_said(&w, "client-2", "waiting|") > 0);
}

/* ---- death ---- */

static void test_net__killed_at_random_moments(void)
{
	const char *given = getenv("KILL_SEED"), *is_long = getenv("LONG");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
	int kills = is_long && *is_long == '2' ? 100 : 12, deaths[2] = {0};
	ul_rng r = ul_rng_at(seed, "kill", 0);
	world w = world_make(is_long && *is_long == '2' ? 12 : 3, 3, 3 * UL_NET_CHUNK + 77);
	w.work_ms = 30;
	w.server.quota = 1000; /* what is pulled again after a death counts too */
	printf("seed %llu, %d kills\n", (unsigned long long)seed, kills);
	pid_t pid[2] = {world_serve(&w), world_join(&w, "client-1")};
	for (int i = 0; i < kills; i++) {
		int which = (int)ul_rng_below(&r, 2);
		nanosleep(&(struct timespec){.tv_nsec = (long)ul_rng_below(&r, 400) * 1000000}, NULL);
		int status;
		if (waitpid(pid[which], &status, WNOHANG) == pid[which]) {
			CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0, "seed %llu: party %d ended with %x", (unsigned long long)seed, which, (unsigned)status);
		} else {
			kill(pid[which], SIGKILL);
			waitpid(pid[which], &status, 0);
			deaths[which]++;
		}
		pid[which] = which ? world_join(&w, "client-1") : world_serve(&w);
	}
	printf("the server died %d times, the client %d times\n", deaths[0], deaths[1]);
	CHECK_EQ_INT(world_reap(pid[1], 120), 0);
	CHECK_EQ_INT(world_reap(pid[0], 120), 0);
	world_check_theta(&w);
	CHECK(deaths[0] > 0 && deaths[1] > 0);
	CHECK_EQ_INT(world_said(&w, "server", "FAILED"), 0);
	CHECK_EQ_INT(world_said(&w, "client-1", "FAILED"), 0);
}
