/*
 * stage.c: a directory that appears complete or not at all. It is built as `.NAME.ul-XXXXXXXX` beside its target, synced file by
 * file and renamed. The stage is locked while its process lives; what a killed process left is removed by the next one.
 */
#include "base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_empty(const char *dir)
{
	DIR *d = opendir(dir);
	if (!d)
		return false;
	bool empty = true;
	for (struct dirent *e; empty && (e = readdir(d));)
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(d);
	return empty;
}

/* out = target without trailing slashes, links and dots resolved where it exists */
static bool settle(const char *target, char out[4096], ul_err *err)
{
	char real[PATH_MAX];
	size_t n = strlen(target);
	while (n > 1 && target[n - 1] == '/')
		n--;
	if (n == 0 || n > 4096 - 32)
		return ul_fail(err, "the output path has %zu bytes; 1 to %d are possible", n, 4096 - 32);
	memcpy(out, target, n);
	out[n] = '\0';
	if (!realpath(out, real))
		return true;
	if (strlen(real) > 4096 - 32)
		return ul_fail(err, "the output path %s is longer than %d bytes", out, 4096 - 32);
	memcpy(out, real, strlen(real) + 1);
	return true;
}

static void split(const char *target, char dir[4096], const char **name)
{
	const char *slash = strrchr(target, '/');
	size_t n = slash ? (slash == target ? 1 : (size_t)(slash - target)) : 1;
	memcpy(dir, slash ? target : ".", n);
	dir[n] = '\0';
	*name = slash ? slash + 1 : target;
}

/* Files and directories called <prefix>XXXXXXXX whose lock nobody holds belong to processes that died. */
static void remove_dead(const char *parent, const char *prefix)
{
	DIR *d = opendir(parent);
	if (!d)
		return;
	size_t n = strlen(prefix);
	for (struct dirent *e; (e = readdir(d));) {
		size_t len = strlen(e->d_name);
		const char *mark = len > 12 ? e->d_name + len - 12 : "";
		if (e->d_name[0] != '.' || strncmp(mark, ".ul-", 4) != 0 || (n && (strncmp(e->d_name, prefix, n) != 0 || len != n + 8)))
			continue;
		int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		char path[4096 + 256];
		snprintf(path, sizeof path, "%s/%s", parent, e->d_name);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			ul_remove_tree(path, NULL);
		if (fd >= 0)
			close(fd);
	}
	closedir(d);
}

void ul_stage_sweep(const char *dir)
{
	remove_dead(dir, "");
}

void ul_stage_sweep_of(const char *target)
{
	char parent[4096], prefix[256 + 16];
	const char *name;
	if (strlen(target) >= sizeof parent)
		return;
	split(target, parent, &name);
	if (snprintf(prefix, sizeof prefix, ".%s.ul-", name) < (int)sizeof prefix)
		remove_dead(parent, prefix);
}

bool ul_stage_begin(ul_stage *s, const char *target, bool force, ul_err *err)
{
	ul_stage n = {.force = force, .open = true};
	char parent[4096], prefix[256 + 16], path[4096 + 256 + 16];
	const char *name;
	struct stat st;
	if (!settle(target, n.target, err))
		return false;
	split(n.target, parent, &name);
	if (strlen(name) == 0 || strlen(name) > 220)
		return ul_fail(err, "the output %s cannot be replaced: its name must have 1 to 220 bytes", target);
	if (lstat(n.target, &st) == 0) {
		if (!S_ISDIR(st.st_mode))
			return ul_fail(err, "the output %s exists and is not a directory", target);
		if (!is_empty(n.target) && !force) {
			ul_fail(err, "the output directory %s exists and is not empty", target);
			ul_hint(err, "name another directory, or add --force to replace it");
			return false;
		}
	} else if (!ul_mkdirs(parent, err)) {
		return false;
	}
	snprintf(prefix, sizeof prefix, ".%s.ul-", name);
	remove_dead(parent, prefix);
	snprintf(path, sizeof path, "%s%s%s", parent, strcmp(parent, "/") == 0 ? "" : "/", prefix);
	n.lock = ul_disk_temp(path, n.dir, sizeof n.dir, true);
	if (n.lock < 0)
		return ul_fail(err, "cannot write in %s: %s", parent, strerror(errno));
	flock(n.lock, LOCK_EX | LOCK_NB); /* a file system without locks loses only the cleaning up after a crash */
	*s = n;
	return true;
}

bool ul_stage_check(const char *target, bool force, ul_err *err)
{
	ul_stage s = {0};
	bool ok = ul_stage_begin(&s, target, force, err);
	ul_stage_abort(&s);
	return ok;
}

/* Every file, then its directory: a rename must never become visible before the bytes it promises. */
static bool sync_tree(int parent, const char *name, const char *shown, int depth, ul_err *err)
{
	int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 && errno == ELOOP)
		return true;
	if (fd < 0 || fstat(fd, &st) != 0 || depth > 64) {
		ul_fail(err, "cannot write %s to disk: %s", shown, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	bool ok = true;
	DIR *d = S_ISDIR(st.st_mode) ? fdopendir(fd) : NULL;
	for (struct dirent *e; d && ok && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			ok = sync_tree(fd, e->d_name, e->d_name, depth + 1, err);
	ok = ok && ul_disk_sync(fd, shown, err);
	if (d)
		closedir(d);
	else
		close(fd);
	return ok;
}

/* Puts the stage where a directory with content stands; the old one ends in s->dir and is removed. */
static bool replace(ul_stage *s, ul_err *err)
{
	ul_crash_point("rename");
	if (renameat2(AT_FDCWD, s->dir, AT_FDCWD, s->target, RENAME_EXCHANGE) == 0)
		return ul_remove_tree(s->dir, err);
	/* File systems without exchange: two renames, the old directory back if the second fails. */
	char old[4096];
	if ((size_t)snprintf(old, sizeof old, "%s-old", s->dir) >= sizeof old)
		return ul_fail(err, "the output path %s is too long", s->target);
	if (rename(s->target, old) != 0)
		return ul_fail(err, "cannot replace %s: %s", s->target, strerror(errno));
	if (rename(s->dir, s->target) != 0) {
		ul_fail(err, "cannot put %s in place: %s", s->target, strerror(errno));
		rename(old, s->target);
		return false;
	}
	return ul_remove_tree(old, err);
}

bool ul_stage_commit(ul_stage *s, ul_err *err)
{
	UL_ASSERT(s->open, "stage of %s", s->target);
	bool ok = sync_tree(AT_FDCWD, s->dir, s->target, 0, err);
	if (ok && ul_is_dir(s->target) && !is_empty(s->target)) {
		if (!s->force)
			ok = ul_fail(err, "the output directory %s was filled by somebody else meanwhile", s->target);
		else
			ok = replace(s, err);
	} else if (ok) {
		ok = ul_disk_rename(s->dir, s->target, err);
	}
	if (!ok) {
		ul_stage_abort(s);
		return false;
	}
	s->open = false;
	close(s->lock);
	return ul_disk_sync_dir_of(s->target, err);
}

void ul_stage_abort(ul_stage *s)
{
	if (!s->open)
		return;
	ul_remove_tree(s->dir, NULL);
	close(s->lock);
	s->open = false;
}
