/*
 * file.c: reading whole or mapped files, and writing a file so that a reader sees the old or the new one, never half of one.
 */
#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE_LIMIT = 1 << 30 };

static int open_read(const char *path, struct stat *st, ul_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, st) != 0) {
		if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG && errno != ELOOP)
			ul_trouble();
		ul_fail(err, "cannot open %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (S_ISDIR(st->st_mode)) {
		ul_fail(err, "%s is a directory, not a file", path);
		close(fd);
		return -1;
	}
	return fd;
}

/* Until the end; *out is replaced on success. */
static bool read_all(ul_buf *out, int fd, size_t limit, const char *path, ul_err *err)
{
	ul_buf b = {0};
	char piece[65536];
	ssize_t got = 0;
	ul_buf_add(&b, "", 0); /* an empty file gives "" */
	while (!b.failed && b.len <= limit && (got = read(fd, piece, sizeof piece)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		ul_buf_add(&b, piece, (size_t)got);
	}
	int saved = errno;
	bool ok = true;
	if (b.failed)
		ok = ul_nomem(err, b.len);
	else if (got < 0)
		ok = (ul_trouble(), ul_fail(err, "cannot read %s: %s", path, strerror(saved)));
	else if (b.len > limit)
		ok = ul_fail(err, "%s is larger than %zu bytes", path, limit);
	if (!ok) {
		ul_buf_release(&b);
		return false;
	}
	ul_buf_release(out);
	*out = b;
	return true;
}

/* What a pipe gives until it ends, on pages like a file's. */
static bool map_pipe(ul_map *m, int fd, const char *path, ul_err *err)
{
	ul_buf b = {0};
	if (!read_all(&b, fd, PIPE_LIMIT, path, err))
		return false;
	void *p = b.len ? mmap(NULL, b.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : NULL;
	bool ok = p != MAP_FAILED || ul_nomem(err, b.len);
	if (ok && p)
		memcpy(p, b.data, b.len);
	if (ok)
		*m = (ul_map){.data = p ? p : (const unsigned char *)"", .len = b.len};
	ul_buf_release(&b);
	return ok;
}

static bool map_file(ul_map *m, int fd, size_t len, const char *path, ul_err *err)
{
	void *p = len ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	if (p == MAP_FAILED) {
		ul_trouble();
		return ul_fail(err, "cannot map %s (%zu bytes): %s", path, len, strerror(errno));
	}
	*m = (ul_map){.data = p ? p : (const unsigned char *)"", .len = len};
	return true;
}

bool ul_map_open(ul_map *m, const char *path, ul_err *err)
{
	struct stat st;
	int fd = open_read(path, &st, err);
	if (fd < 0)
		return false;
	bool ok = S_ISREG(st.st_mode) ? map_file(m, fd, (size_t)st.st_size, path, err) : ul_fail(err, "%s is not a regular file", path);
	close(fd);
	return ok;
}

bool ul_map_read(ul_map *m, const char *path, ul_err *err)
{
	struct stat st;
	int fd = open_read(strcmp(path, "-") ? path : "/dev/stdin", &st, err);
	if (fd < 0)
		return false;
	bool pipe = S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode);
	bool ok = S_ISREG(st.st_mode) ? map_file(m, fd, (size_t)st.st_size, path, err) : pipe ? map_pipe(m, fd, path, err)
	                                                                                      : ul_fail(err, "%s is neither a file nor a pipe", path);
	close(fd);
	return ok;
}

void ul_map_rest(const ul_map *m)
{
	if (m->len)
		madvise((void *)(uintptr_t)m->data, m->len, MADV_DONTNEED);
}

void ul_map_close(ul_map *m)
{
	if (m->len)
		munmap((void *)(uintptr_t)m->data, m->len);
	*m = (ul_map){0};
}

bool ul_file_read(ul_buf *out, const char *path, size_t limit, ul_err *err)
{
	struct stat st;
	int fd = open_read(path, &st, err);
	if (fd < 0)
		return false;
	bool ok = read_all(out, fd, limit, path, err);
	close(fd);
	return ok;
}

bool ul_aside_begin(ul_aside *a, const char *target, ul_err *err)
{
	char prefix[sizeof a->path];
	const char *slash = strrchr(target, '/'), *name = slash ? slash + 1 : target;
	a->lock = -1;
	if (snprintf(a->target, sizeof a->target, "%s", target) >= (int)sizeof a->target ||
	        snprintf(prefix, sizeof prefix, "%.*s.%s.ul-", (int)(name - target), target, name) >= (int)sizeof prefix)
		return ul_fail(err, "the path %s is longer than %zu bytes", target, sizeof a->target - 1);
	a->lock = ul_disk_temp(prefix, a->path, sizeof a->path, false);
	if (a->lock < 0)
		return ul_fail(err, "cannot write %s: %s", target, strerror(errno));
	flock(a->lock, LOCK_EX | LOCK_NB); /* tells ul_stage_sweep that somebody is at work */
	return true;
}

bool ul_aside_commit(ul_aside *a, bool replace, ul_err *err)
{
	bool ok = replace || !ul_file_exists(a->target) || ul_fail(err, "the output %s was written by somebody else meanwhile", a->target);
	ok = ok && ul_disk_sync(a->lock, a->target, err) && ul_disk_rename(a->path, a->target, err);
	if (!ok) {
		ul_aside_abort(a);
		return false;
	}
	close(a->lock);
	a->lock = -1;
	return ul_disk_sync_dir_of(a->target, err);
}

void ul_aside_abort(ul_aside *a)
{
	if (a->lock < 0)
		return;
	unlink(a->path);
	close(a->lock);
	a->lock = -1;
}

bool ul_file_write(const char *path, const void *data, size_t n, ul_err *err)
{
	ul_aside a;
	bool ok = ul_aside_begin(&a, path, err) && ul_disk_write(a.lock, path, data, n, err) && ul_aside_commit(&a, true, err);
	ul_aside_abort(&a);
	return ok;
}

/* ---- a sink: one large file, piece by piece ---- */

enum { SINK_BUFFER = 1 << 20 };

struct ul_sink {
	int fd;
	size_t fill;
	bool failed;
	char path[PATH_MAX];
	char data[SINK_BUFFER];
};

ul_sink *ul_sink_open(const char *path, ul_err *err)
{
	ul_sink *s = ul_malloc(sizeof *s);
	if (!s) {
		ul_nomem(err, sizeof *s);
		return NULL;
	}
	s->fill = 0;
	s->failed = false;
	s->fd = -1;
	if ((size_t)snprintf(s->path, sizeof s->path, "%s", path) >= sizeof s->path)
		ul_fail(err, "the path %s is longer than %d bytes", path, PATH_MAX);
	else if ((s->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) < 0)
		ul_fail(err, "cannot write %s: %s", path, strerror(errno));
	if (s->fd < 0) {
		ul_free(s);
		return NULL;
	}
	return s;
}

static bool flush(ul_sink *s, ul_err *err)
{
	if (!ul_disk_write(s->fd, s->path, s->data, s->fill, err)) {
		s->failed = true;
		return false;
	}
	s->fill = 0;
	return true;
}

bool ul_sink_write(ul_sink *s, const void *data, size_t n, ul_err *err)
{
	if (s->failed)
		return ul_fail(err, "cannot write %s: an earlier piece failed", s->path);
	if (n > SINK_BUFFER - s->fill && s->fill && !flush(s, err))
		return false;
	if (n >= SINK_BUFFER) {
		s->failed = !ul_disk_write(s->fd, s->path, data, n, err);
		return !s->failed;
	}
	if (n)
		memcpy(s->data + s->fill, data, n);
	s->fill += n;
	return true;
}

bool ul_sink_close(ul_sink *s, ul_err *err)
{
	bool ok = !s->failed || ul_fail(err, "cannot write %s: an earlier piece failed", s->path);
	ok = ok && flush(s, err) && ul_disk_sync(s->fd, s->path, err);
	if (close(s->fd) != 0 && ok)
		ok = ul_fail(err, "cannot write %s: %s", s->path, strerror(errno));
	ul_free(s);
	return ok;
}
