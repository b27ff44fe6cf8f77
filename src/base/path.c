/*
 * path.c: names in the file system: what is there, making directories, removing trees.
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool ul_file_exists(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0;
}

bool ul_is_dir(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *ul_path_join(ul_arena *a, const char *dir, const char *name)
{
	size_t n = strlen(dir);
	return ul_arena_printf(a, "%s%s%s", dir, n == 0 || dir[n - 1] == '/' ? "" : "/", name);
}

bool ul_path_inside(const char *dir, const char *path)
{
	char outer[PATH_MAX], inner[PATH_MAX];
	if (!realpath(dir, outer) || !realpath(path, inner))
		return false;
	size_t n = strlen(outer);
	return strncmp(outer, inner, n) == 0 && (inner[n] == '\0' || inner[n] == '/' || n == 1);
}

bool ul_output_apart(const char *output, const char *what, const char *input, ul_err *err)
{
	if (!output || !input || !ul_path_inside(output, input))
		return true;
	ul_fail(err, "the output %s is or contains the %s %s: an input is never overwritten", output, what, input);
	ul_hint(err, "give another one with -o");
	return false;
}

bool ul_mkdirs(const char *path, ul_err *err)
{
	char at[PATH_MAX];
	size_t n = strlen(path);
	if (n == 0 || n >= sizeof at)
		return ul_fail(err, "cannot make a directory whose name has %zu bytes; at most %zu are possible", n, sizeof at - 1);
	memcpy(at, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (at[i] != '/' && at[i] != '\0')
			continue;
		char kept = at[i];
		at[i] = '\0';
		int why = mkdir(at, 0777) != 0 ? errno : 0;
		if (why && !ul_is_dir(at))
			return ul_fail(err, "cannot make directory %s: %s", at, strerror(why));
		at[i] = kept;
	}
	return true;
}

/* Works on descriptors, so that a link put in place of a directory meanwhile leads nowhere. */
static int remove_below(int dirfd, const char *name, int depth)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if ((errno != EISDIR && errno != EPERM) || depth > 256)
		return -1;
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	int rc = 0;
	for (struct dirent *e; rc == 0 && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = remove_below(fd, e->d_name, depth + 1);
	int saved = errno;
	closedir(d);
	errno = saved;
	return rc == 0 ? unlinkat(dirfd, name, AT_REMOVEDIR) : rc;
}

bool ul_remove_tree(const char *path, ul_err *err)
{
	if (remove_below(AT_FDCWD, path, 0) == 0)
		return true;
	return ul_fail(err, "cannot remove %s: %s", path, strerror(errno));
}

int ul_dir_lock(const char *dir, bool make, ul_err *err)
{
	char path[PATH_MAX];
	int fd = -1;
	if (make && !ul_file_exists(dir)) {
		if (!ul_mkdirs(dir, err))
			return -1;
		chmod(dir, 0700);
	}
	if ((size_t)snprintf(path, sizeof path, "%s/lock", dir) >= sizeof path)
		ul_fail(err, "the path %.200s is too long", dir);
	else if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
		ul_fail(err, "cannot write %s: %s", path, strerror(errno));
	else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		ul_fail(err, "another process is at work in %s", dir);
		close(fd);
		fd = -1;
	}
	return fd;
}

int ul_dir_hold(const char *dir, ul_err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		ul_fail(err, "cannot open %s: %s", dir, strerror(errno));
	} else if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
		ul_fail(err, "another process is at work in %s", dir);
		close(fd);
		fd = -1;
	}
	return fd;
}
