/*
 * disk.c: write, fsync, rename: each reports its failure with the path, each can be made the last thing the process does.
 */
#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Counts passages for the tests that kill the process; untouched unless UNLEARN_CRASH_AT is set. */
static atomic_long passages;

void ul_crash_point(const char *name)
{
	const char *at = getenv("UNLEARN_CRASH_AT");
	if (!at)
		return;
	size_t n = strlen(name);
	if (strncmp(at, name, n) != 0 || (at[n] != '\0' && at[n] != ':'))
		return;
	long count = at[n] == ':' ? strtol(at + n + 1, NULL, 10) : 1;
	if (atomic_fetch_add(&passages, 1) + 1 == count)
		raise(SIGKILL);
}

int ul_disk_temp(const char *prefix, char *out, size_t size, bool directory)
{
	for (int tries = 0; tries < 64; tries++) {
		unsigned char r[8];
		if (!ul_secret_bytes(r, sizeof r, NULL))
			return -1;
		for (int i = 0; i < 8; i++)
			r[i] = (unsigned char)"abcdefghijklmnopqrstuvwxyz012345"[r[i] % 32];
		int n = snprintf(out, size, "%s%.8s", prefix, (const char *)r);
		if (n < 0 || (size_t)n >= size) {
			errno = ENAMETOOLONG;
			return -1;
		}
		int fd = -1;
		if (!directory)
			fd = open(out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		else if (mkdir(out, 0777) == 0)
			fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 || errno != EEXIST)
			return fd;
	}
	return -1;
}

static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t put = write(fd, p, n < (1u << 30) ? n : (1u << 30));
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		p += put;
		n -= (size_t)put;
	}
	return true;
}

bool ul_disk_write(int fd, const char *path, const void *data, size_t n, ul_err *err)
{
	/* The crash point lies in the middle of the bytes: that is where a dying process leaves half a file. */
	if (!write_all(fd, data, n / 2))
		return ul_fail(err, "cannot write %s: %s", path, strerror(errno));
	ul_crash_point("write");
	if (!write_all(fd, (const char *)data + n / 2, n - n / 2))
		return ul_fail(err, "cannot write %s: %s", path, strerror(errno));
	return true;
}

bool ul_disk_sync(int fd, const char *path, ul_err *err)
{
	ul_crash_point("fsync");
	/* Some file systems cannot sync a directory and say so with EINVAL; there is then nothing to wait for. */
	if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
		return ul_fail(err, "cannot write %s to disk: %s", path, strerror(errno));
	return true;
}

bool ul_disk_sync_dir_of(const char *path, ul_err *err)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (slash == path ? 1 : (size_t)(slash - path)) : 0;
	if (n >= sizeof dir)
		return ul_fail(err, "the path %s is longer than %d bytes", path, PATH_MAX);
	memcpy(dir, slash ? path : ".", slash ? n : 1);
	dir[slash ? n : 1] = '\0';
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ul_fail(err, "cannot open %s: %s", dir, strerror(errno));
	bool ok = ul_disk_sync(fd, dir, err);
	close(fd);
	return ok;
}

bool ul_disk_rename(const char *from, const char *to, ul_err *err)
{
	ul_crash_point("rename");
	if (rename(from, to) != 0)
		return ul_fail(err, "cannot put %s in place: %s", to, strerror(errno));
	return true;
}
