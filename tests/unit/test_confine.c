/*
 * test_confine.c: what a confined process can no longer do, and that it could before. Each test runs in a process of its own.
 */
#include "test.h"

#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* LeakSanitizer looks through /proc when a process ends, where a confined one may not look, and calls that a failure. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

static bool opens(const char *path, int how)
{
	int fd = open(path, how);
	if (fd >= 0) {
		close(fd);
	}
	return fd >= 0;
}

static bool has_socket(int family)
{
	int fd = socket(family, SOCK_STREAM, 0);
	if (fd >= 0) {
		close(fd);
	}
	return fd >= 0;
}

static bool child_reads(const char *path)
{
	pid_t p = fork();
	int status = 0;
	if (p == 0) {
		_exit(opens(path, O_RDONLY) ? 0 : 1);
	}
	return waitpid(p, &status, 0) == p && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void confine(ul_confined *c)
{
	ul_err err = {0};
	char dir[4096], out[4096], named[4096], gone[4096];
	snprintf(dir, sizeof dir, "%s", test_path("model"));
	snprintf(out, sizeof out, "%s", test_path("out"));
	snprintf(named, sizeof named, "%s", test_path("model/config.json"));
	snprintf(gone, sizeof gone, "%s", test_path("not-there"));
	mkdir(dir, 0777);
	mkdir(out, 0777);
	test_file("model/config.json", "{}");
	test_file("model/forget.jsonl", "secret");
	test_file("beside.jsonl", "secret");
	test_file("out/mine", "mine");
	/* The positive control: without confinement all of it can be done. */
	CHECK(opens(test_path("model/forget.jsonl"), O_RDONLY) && opens(test_path("beside.jsonl"), O_RDONLY) && has_socket(AF_UNIX));
	ul_grant g[] = {{UL_GRANT_LIST, dir}, {UL_GRANT_READ, named}, {UL_GRANT_TREE, out}, {UL_GRANT_READ, gone}};
	NEED_OK(ul_confine(g, 4, c, &err), err);
}

static void test_confine__files(void)
{
	ul_confined c = {0};
	confine(&c);
	if (!c.files) {
		SKIP("this kernel has no Landlock");
	}
	CHECK(opens(test_path("model/config.json"), O_RDONLY));
	CHECK(!opens(test_path("model/config.json"), O_WRONLY));
	CHECK(opens(test_path("model"), O_RDONLY | O_DIRECTORY));
	CHECK(!opens(test_path("model/forget.jsonl"), O_RDONLY) && errno == EACCES);
	CHECK(!opens(test_path("beside.jsonl"), O_RDONLY) && errno == EACCES);
	CHECK(!child_reads(test_path("beside.jsonl")) && child_reads(test_path("model/config.json")));
	CHECK(!opens("/etc/passwd", O_RDONLY));
	CHECK(opens(test_path("out/mine"), O_RDWR) && opens(test_path("out/new"), O_RDWR | O_CREAT));
	CHECK(!opens(test_path("new"), O_WRONLY | O_CREAT));
	CHECK(symlink(test_path("beside.jsonl"), test_path("out/link")) == 0 || errno == EEXIST);
	CHECK(!opens(test_path("out/link"), O_RDONLY));
}

static void test_confine__network(void)
{
	ul_confined c = {0};
	int pair[2];
	confine(&c);
	if (!c.network) {
		SKIP("there is no seccomp filter here");
	}
	CHECK(!has_socket(AF_INET) && errno == EPERM);
	CHECK(!has_socket(AF_INET6) && !has_socket(AF_UNIX));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
}
