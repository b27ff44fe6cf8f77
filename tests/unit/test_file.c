/*
 * test_file.c: reading, mapping, safe writing, sinks and full disks (a limit on file size stands in for one), paths.
 */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int entries(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n - 2;
}

static void disk_full_after(rlim_t bytes)
{
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit r = {bytes, RLIM_INFINITY};
	NEED(setrlimit(RLIMIT_FSIZE, &r) == 0);
}

static void test_file__map(void)
{
	ul_map m;
	ul_err err = {0};
	test_file("a", "hello");
	test_file("empty", "");
	NEED_OK(ul_map_open(&m, test_path("a"), &err), err);
	CHECK(m.len == 5 && memcmp(m.data, "hello", 5) == 0);
	ul_map_close(&m);
	NEED_OK(ul_map_open(&m, test_path("empty"), &err), err);
	CHECK(m.len == 0 && m.data);
	ul_map_close(&m);
	ul_err e1 = {0}, e2 = {0}, e3 = {0};
	CHECK_FAILS(ul_map_open(&m, test_path("none"), &e1), e1, "No such file");
	CHECK_FAILS(ul_map_open(&m, test_tmp(), &e2), e2, "is a directory");
	CHECK_FAILS(ul_map_open(&m, "/dev/null", &e3), e3, "not a regular file");
}

static void test_file__read(void)
{
	ul_buf b = {0};
	ul_err err = {0};
	test_file("a", "hello");
	NEED_OK(ul_file_read(&b, test_path("a"), 5, &err), err);
	CHECK_STR(b.data, "hello");
	CHECK_FAILS(ul_file_read(&b, test_path("a"), 4, &err), err, "larger than 4 bytes");
	CHECK_STR(b.data, "hello");
	ul_err e1 = {0};
	CHECK_FAILS(ul_file_read(&b, "/dev/zero", 100000, &e1), e1, "larger than 100000");
	test_file("empty", "");
	ul_err e2 = {0};
	NEED_OK(ul_file_read(&b, test_path("empty"), 4, &e2), e2);
	CHECK_STR(b.data, "");
	ul_buf_release(&b);
}

static void test_file__write_replaces_whole(void)
{
	ul_buf b = {0};
	ul_err err = {0};
	test_file("a", "old");
	NEED_OK(ul_file_write(test_path("a"), "new!", 4, &err), err);
	NEED_OK(ul_file_read(&b, test_path("a"), 100, &err), err);
	CHECK_STR(b.data, "new!");
	CHECK_EQ_INT(entries(test_tmp()), 1);
	ul_buf_release(&b);
	ul_err e1 = {0};
	CHECK_FAILS(ul_file_write(test_path("no/where"), "x", 1, &e1), e1, "No such file");
}

static void test_file__write_on_a_full_disk_leaves_the_old(void)
{
	ul_buf b = {0};
	ul_err err = {0};
	char *big = calloc(1, 100000);
	NEED(big);
	test_file("a", "old");
	disk_full_after(50000);
	CHECK_FAILS(ul_file_write(test_path("a"), big, 100000, &err), err, "cannot write");
	CHECK_EQ_INT(entries(test_tmp()), 1);
	ul_err e = {0};
	NEED_OK(ul_file_read(&b, test_path("a"), 100, &e), e);
	CHECK_STR(b.data, "old");
	ul_buf_release(&b);
	free(big);
}

static void test_file__sink(void)
{
	ul_err err = {0};
	ul_map m;
	ul_sink *s = ul_sink_open(test_path("s"), &err);
	NEED_OK(s, err);
	size_t total = 0;
	char *big = malloc(3 << 20);
	NEED(big);
	for (int i = 0; i < 3 << 20; i++)
		big[i] = (char)(i * 31 >> 3);
	size_t sizes[] = {0, 1, 1000, 3 << 20, 700000, 700000, 5, 1 << 20, 0};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		NEED_OK(ul_sink_write(s, big, sizes[i], &err), err);
		total += sizes[i];
	}
	NEED_OK(ul_sink_close(s, &err), err);
	NEED_OK(ul_map_open(&m, test_path("s"), &err), err);
	CHECK_EQ_INT(m.len, total);
	size_t at = 0;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		CHECK(memcmp(m.data + at, big, sizes[i]) == 0);
		at += sizes[i];
	}
	ul_map_close(&m);
	free(big);
	CHECK(!ul_sink_open(test_path("no/where"), &err));
	CHECK_HAS(err.msg, "No such file");
}

static void test_file__sink_on_a_full_disk(void)
{
	ul_err err = {0}, later = {0}, last = {0};
	char piece[4096] = {0};
	disk_full_after(2 << 20);
	ul_sink *s = ul_sink_open(test_path("s"), &err);
	NEED_OK(s, err);
	bool ok = true;
	for (int i = 0; ok && i < 2000; i++)
		ok = ul_sink_write(s, piece, sizeof piece, &err);
	CHECK_FAILS(ok, err, "cannot write");
	CHECK_FAILS(ul_sink_write(s, piece, 1, &later), later, "earlier piece");
	CHECK_FAILS(ul_sink_close(s, &last), last, "earlier piece");
}

static void test_file__full_device(void)
{
	ul_err err = {0}, e2 = {0};
	if (access("/dev/full", W_OK) != 0)
		SKIP("/dev/full is not here");
	ul_sink *s = ul_sink_open("/dev/full", &err);
	NEED_OK(s, err);
	CHECK(ul_sink_write(s, "x", 1, &err));
	CHECK_FAILS(ul_sink_close(s, &e2), e2, "No space left");
}

static void test_file__paths(void)
{
	ul_arena a = {0};
	ul_err err = {0};
	CHECK_STR(ul_path_join(&a, "a", "b"), "a/b");
	CHECK_STR(ul_path_join(&a, "a/", "b"), "a/b");
	CHECK_STR(ul_path_join(&a, "/", "b"), "/b");
	CHECK_STR(ul_path_join(&a, "", "b"), "b");
	NEED_OK(ul_mkdirs(test_path("x/y//z/"), &err), err);
	CHECK(ul_is_dir(test_path("x/y/z")));
	CHECK(ul_mkdirs(test_path("x/y"), &err));
	test_file("f", "");
	CHECK(ul_file_exists(test_path("f")) && !ul_is_dir(test_path("f")) && !ul_file_exists(test_path("g")));
	CHECK_FAILS(ul_mkdirs(test_path("f/g"), &err), err, "cannot make directory");
	CHECK(ul_path_inside(test_path("x"), test_path("x")));
	CHECK(ul_path_inside(test_path("x"), test_path("x/y/../y/z")));
	CHECK(!ul_path_inside(test_path("x/y"), test_path("x")));
	NEED(mkdir(test_path("xy"), 0777) == 0);
	CHECK(!ul_path_inside(test_path("x"), test_path("xy")));
	NEED(symlink("x", test_path("link")) == 0);
	CHECK(ul_path_inside(test_path("link"), test_path("x/y")));
	CHECK(!ul_path_inside(test_path("absent"), test_path("x")));
	ul_err e0 = {0};
	CHECK(ul_output_apart(test_path("x"), "model", NULL, &e0) && ul_output_apart(NULL, "model", test_path("x"), &e0));
	CHECK(ul_output_apart(test_path("x/y"), "model", test_path("x"), &e0));
	CHECK_FAILS(ul_output_apart(test_path("x"), "model", test_path("link/y"), &e0), e0, "never overwritten");
	ul_err e1 = {0};
	CHECK_FAILS(ul_mkdirs("", &e1), e1, "0 bytes");
	ul_arena_release(&a);
}

static void test_file__remove_tree_stays_inside(void)
{
	ul_err err = {0};
	NEED_OK(ul_mkdirs(test_path("keep"), &err) && ul_mkdirs(test_path("gone/deep/er"), &err), err);
	test_file("keep/file", "x");
	test_file("gone/deep/file", "x");
	NEED(symlink("../keep", test_path("gone/link")) == 0);
	NEED_OK(ul_remove_tree(test_path("gone"), &err), err);
	CHECK(!ul_file_exists(test_path("gone")));
	CHECK(ul_file_exists(test_path("keep/file")));
	CHECK(ul_remove_tree(test_path("gone"), &err)); /* nothing there is fine */
	test_file("one", "x");
	CHECK(ul_remove_tree(test_path("one"), &err) && !ul_file_exists(test_path("one")));
}

/* How a child ends that reaches crash point `name` for the `times`-th time. */
static int crash(const char *at, const char *name, int times)
{
	pid_t pid = fork();
	if (pid == 0) {
		setenv("UNLEARN_CRASH_AT", at, 1);
		for (int i = 0; i < times; i++)
			ul_crash_point(name);
		_exit(0);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_file__crash_points(void)
{
	CHECK_EQ_INT(crash("write", "write", 1), SIGKILL);
	CHECK_EQ_INT(crash("write:3", "write", 2), 0);
	CHECK_EQ_INT(crash("write:3", "write", 3), SIGKILL);
	CHECK_EQ_INT(crash("write", "rename", 5), 0);
	CHECK_EQ_INT(crash("writer", "write", 5), 0);
}

/* Killed in the middle of its bytes, the old file stands untouched. */
static void test_file__killed_while_writing(void)
{
	const char *const at[] = {"write", "fsync", "rename"};
	for (int i = 0; i < 3; i++) {
		test_file("a", "old");
		const char *path = test_path("a");
		pid_t pid = fork();
		if (pid == 0) {
			setenv("UNLEARN_CRASH_AT", at[i], 1);
			ul_file_write(path, "new", 3, NULL);
			_exit(0);
		}
		int status = 0;
		waitpid(pid, &status, 0);
		CHECK(WIFSIGNALED(status));
		ul_buf b = {0};
		ul_err err = {0};
		NEED_OK(ul_file_read(&b, path, 10, &err), err);
		CHECK_STR(b.data, "old");
		ul_buf_release(&b);
	}
}

static bool read_again(void *ud, ul_err *err)
{
	ul_buf b = {0};
	bool ok = ul_file_read(&b, ud, 1000000, err);
	ul_buf_release(&b);
	return ok;
}

static bool sink_again(void *ud, ul_err *err)
{
	ul_sink *s = ul_sink_open(ud, err);
	return s && ul_sink_close(s, err);
}

static void test_file__no_memory(void)
{
	test_file("a", "hello");
	CHECK(test_each_alloc(read_again, (void *)(uintptr_t)test_path("a")) > 0);
	CHECK(test_each_alloc(sink_again, (void *)(uintptr_t)test_path("s")) > 0);
}
