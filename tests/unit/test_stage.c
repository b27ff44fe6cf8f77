/*
 * test_stage.c: a directory appears complete or not at all.
 */
#include "test.h"

#include <dirent.h>
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

static void put(const char *dir, const char *name, const char *text)
{
	char path[8192];
	ul_err err = {0};
	snprintf(path, sizeof path, "%s/%s", dir, name);
	NEED_OK(ul_file_write(path, text, strlen(text), &err), err);
}

static void holds(const char *path, const char *text)
{
	ul_buf b = {0};
	ul_err err = {0};
	NEED_OK(ul_file_read(&b, path, 1000, &err), err);
	CHECK_STR(b.data, text);
	ul_buf_release(&b);
}

static void test_stage__commit(void)
{
	ul_stage s;
	ul_err err = {0};
	NEED_OK(ul_stage_begin(&s, test_path("a/b/out/"), false, &err), err);
	put(s.dir, "file", "1");
	char sub[8192];
	snprintf(sub, sizeof sub, "%s/sub", s.dir);
	NEED_OK(ul_mkdirs(sub, &err), err);
	put(sub, "file", "2");
	CHECK(!ul_file_exists(test_path("a/b/out")));
	NEED_OK(ul_stage_commit(&s, &err), err);
	holds(test_path("a/b/out/file"), "1");
	holds(test_path("a/b/out/sub/file"), "2");
	ul_stage_abort(&s);
	CHECK_EQ_INT(entries(test_path("a/b")), 1);
}

static void test_stage__abort_leaves_nothing(void)
{
	ul_stage s;
	ul_err err = {0};
	NEED_OK(ul_stage_begin(&s, test_path("out"), false, &err), err);
	put(s.dir, "file", "1");
	ul_stage_abort(&s);
	ul_stage_abort(&s);
	CHECK_EQ_INT(entries(test_tmp()), 0);
}

static void test_stage__empty_target_is_fine(void)
{
	ul_stage s;
	ul_err err = {0};
	NEED_OK(ul_mkdirs(test_path("out"), &err), err);
	NEED_OK(ul_stage_begin(&s, test_path("out"), false, &err), err);
	put(s.dir, "file", "1");
	NEED_OK(ul_stage_commit(&s, &err), err);
	holds(test_path("out/file"), "1");
}

static void test_stage__full_target_needs_force(void)
{
	ul_stage s;
	ul_err err = {0};
	NEED_OK(ul_mkdirs(test_path("out"), &err), err);
	test_file("out/old", "old");
	CHECK_FAILS(ul_stage_begin(&s, test_path("out"), false, &err), err, "not empty");
	CHECK_HAS(err.hint, "--force");
	ul_err e2 = {0}, e3 = {0};
	CHECK_FAILS(ul_stage_check(test_path("out"), false, &e3), e3, "not empty");
	CHECK(ul_stage_check(test_path("out"), true, &e2));
	CHECK_EQ_INT(entries(test_tmp()), 1);
	NEED_OK(ul_stage_begin(&s, test_path("out"), true, &e2), e2);
	put(s.dir, "new", "new");
	holds(test_path("out/old"), "old"); /* until the commit */
	NEED_OK(ul_stage_commit(&s, &e2), e2);
	holds(test_path("out/new"), "new");
	CHECK_EQ_INT(entries(test_path("out")), 1);
	CHECK_EQ_INT(entries(test_tmp()), 1);
}

static void test_stage__target_filled_meanwhile(void)
{
	ul_stage s;
	ul_err err = {0};
	NEED_OK(ul_stage_begin(&s, test_path("out"), false, &err), err);
	NEED_OK(ul_mkdirs(test_path("out"), &err), err);
	test_file("out/theirs", "x");
	CHECK_FAILS(ul_stage_commit(&s, &err), err, "somebody else");
	CHECK(!s.open);
	holds(test_path("out/theirs"), "x");
	CHECK_EQ_INT(entries(test_tmp()), 1);
}

static void test_stage__refuses_files_and_odd_names(void)
{
	ul_stage s;
	ul_err e1 = {0}, e2 = {0}, e3 = {0}, e4 = {0};
	test_file("file", "x");
	CHECK_FAILS(ul_stage_begin(&s, test_path("file"), true, &e1), e1, "not a directory");
	CHECK_FAILS(ul_stage_begin(&s, "", true, &e2), e2, "0 bytes");
	CHECK_FAILS(ul_stage_begin(&s, "/", true, &e3), e3, "cannot be replaced");
	CHECK_FAILS(ul_stage_begin(&s, test_path("file/below"), false, &e4), e4, "file");
	holds(test_path("file"), "x");
}

static void test_stage__read_only_parent(void)
{
	ul_stage s;
	ul_err err = {0};
	NEED_OK(ul_mkdirs(test_path("ro"), &err), err);
	NEED(chmod(test_path("ro"), 0555) == 0);
	/* root writes everywhere: /proc stands in for a directory that refuses */
	const char *target = geteuid() == 0 ? "/proc/unlearn-out" : test_path("ro/out");
	CHECK_FAILS(ul_stage_begin(&s, target, false, &err), err, "cannot write in");
	NEED(chmod(test_path("ro"), 0777) == 0);
}

/* A killed process leaves its stage; the next one for the same target clears it, but not one that is still at work. */
static void test_stage__clears_what_the_dead_left(void)
{
	ul_stage mine, theirs;
	ul_err err = {0};
	const char *target = test_path("out");
	pid_t pid = fork();
	if (pid == 0) {
		ul_stage s;
		ul_stage_begin(&s, target, false, NULL);
		put(s.dir, "half", "x");
		_exit(0); /* without commit or abort */
	}
	waitpid(pid, NULL, 0);
	CHECK_EQ_INT(entries(test_tmp()), 1);
	NEED_OK(ul_stage_begin(&mine, target, false, &err), err);
	CHECK_EQ_INT(entries(test_tmp()), 1);
	NEED_OK(ul_stage_begin(&theirs, target, false, &err), err);
	CHECK(ul_is_dir(mine.dir));
	ul_stage_abort(&theirs);
	put(mine.dir, "file", "1");
	NEED_OK(ul_stage_commit(&mine, &err), err);
	holds(test_path("out/file"), "1");
}

static void test_stage__sweep_takes_only_the_dead(void)
{
	ul_stage mine;
	ul_err err = {0};
	const char *at[] = {"write", "rename"}, *file = test_path("file"), *target = test_path("dead");
	NEED_OK(ul_stage_begin(&mine, test_path("mine"), false, &err), err);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			ul_stage s;
			ul_stage_begin(&s, target, false, NULL);
			setenv("UNLEARN_CRASH_AT", at[i], 1);
			ul_file_write(file, "abc", 3, NULL);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	test_file(".theirs.ul-short", "not ours");
	test_file("a.ul-abcdefgh", "not hidden");
	CHECK(entries(test_tmp()) >= 6);
	ul_stage_sweep(test_tmp());
	CHECK_EQ_INT(entries(test_tmp()), 3);
	CHECK(ul_is_dir(mine.dir));
	ul_stage_abort(&mine);
	ul_stage_sweep(test_path("absent"));
}

static void test_stage__through_a_link(void)
{
	ul_stage s;
	ul_err err = {0};
	NEED_OK(ul_mkdirs(test_path("real"), &err), err);
	test_file("real/old", "x");
	NEED(symlink("real", test_path("link")) == 0);
	NEED_OK(ul_stage_begin(&s, test_path("link"), true, &err), err);
	put(s.dir, "new", "1");
	NEED_OK(ul_stage_commit(&s, &err), err);
	holds(test_path("real/new"), "1");
	struct stat st;
	CHECK(lstat(test_path("link"), &st) == 0 && S_ISLNK(st.st_mode));
}

/* Killed at every named point: the target is the old one or the new one, never something between. */
static void test_stage__killed_at_every_point(void)
{
	const char *const at[] = {"write", "fsync", "rename", "fsync:2", "fsync:3", "fsync:4", "rename:2", "write:2"};
	int killed = 0;
	for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
		ul_err err = {0};
		NEED_OK(ul_remove_tree(test_path("out"), &err) && ul_mkdirs(test_path("out"), &err), err);
		test_file("out/old", "old");
		const char *target = test_path("out");
		pid_t pid = fork();
		if (pid == 0) {
			ul_stage s;
			setenv("UNLEARN_CRASH_AT", at[i], 1);
			ul_stage_begin(&s, target, true, NULL);
			put(s.dir, "new", "new");
			put(s.dir, "more", "more");
			_exit(ul_stage_commit(&s, NULL) ? 0 : 1);
		}
		int status = 0;
		waitpid(pid, &status, 0);
		killed += WIFSIGNALED(status);
		bool old = ul_file_exists(test_path("out/old")), new = ul_file_exists(test_path("out/new")), more = ul_file_exists(test_path("out/more"));
		CHECK_MSG((old && !new && !more) || (!old && new &&more), "killed at %s: old %d new %d more %d", at[i], old, new, more);
	}
	CHECK(killed >= 7);
}
