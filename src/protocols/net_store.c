/*
 * net_store.c: a folder on its way in. Bytes go to their place in their file at once and are hashed as they pass; a chunk counts
 * from the moment its hash proves right. What counts is not written down: after a break the hashes of what lies there say it
 * again, and no record can disagree with the bytes.
 */
#include "base/disk.h"
#include "protocols/net.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ul_net_store {
	ul_net_list list;
	char dir[4096];
	unsigned char *have; /* [list.chunks] */
	uint64_t got;
	/* the run that is arriving */
	int fd, file;
	uint64_t at, end; /* next byte of the file, end of the run */
	ul_sha *sha; /* of the chunk so far */
};

const ul_net_list *ul_net_store_list(const ul_net_store *s)
{
	return &s->list;
}

uint64_t ul_net_store_got(const ul_net_store *s)
{
	return s->got;
}

static void end_run(ul_net_store *s)
{
	char hex[65];
	if (s->sha)
		ul_sha_end(s->sha, hex);
	if (s->fd >= 0)
		close(s->fd);
	s->sha = NULL;
	s->fd = -1;
}

static bool path_of(const ul_net_store *s, int file, char path[4096], ul_err *err)
{
	if ((size_t)snprintf(path, 4096, "%s/%s", s->dir, s->list.file[file].name) < 4096)
		return true;
	return ul_fail(err, "the path %s/%s is longer than 4095 bytes", s->dir, s->list.file[file].name);
}

static bool is_chunk(const ul_net_store *s, const ul_net_file *f, size_t chunk, const char hex[65])
{
	const unsigned char *want = s->list.sha[f->first + chunk];
	char as[65];
	for (int i = 0; i < 32; i++)
		snprintf(as + 2 * i, 3, "%02x", want[i]);
	return memcmp(as, hex, 64) == 0;
}

/* ---- opening: what is there already ---- */

static bool look(ul_net_store *s, int file, const ul_progress *p, uint64_t *seen, ul_err *err)
{
	const ul_net_file *f = &s->list.file[file];
	char path[4096], hex[65];
	ul_map m = {0};
	if (!path_of(s, file, path, err))
		return false;
	if (!ul_file_exists(path))
		return true;
	if (!ul_map_open(&m, path, err))
		return false;
	for (size_t c = 0; c < f->chunks; c++) {
		size_t n = ul_net_chunk_bytes(f, c), at = c * UL_NET_CHUNK;
		if (m.len < at + n)
			break;
		ul_sha256(m.data + at, n, hex);
		if (is_chunk(s, f, c, hex)) {
			s->have[f->first + c] = 1;
			s->got += n;
		}
		*seen += n;
		if (p && p->tick)
			p->tick(p->ud, "look at what came before", (int64_t)(*seen >> 20), (int64_t)(s->list.bytes >> 20), 0, 0);
	}
	ul_map_close(&m);
	return true;
}

/* An empty file has no chunk to wait for; a longer one than announced is cut. */
static bool make_file(ul_net_store *s, int file, ul_err *err)
{
	char path[4096], parent[4096];
	if (!path_of(s, file, path, err))
		return false;
	memcpy(parent, path, sizeof parent);
	*strrchr(parent, '/') = '\0';
	if (!ul_mkdirs(parent, err))
		return false;
	int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
	struct stat st;
	bool ok = fd >= 0 && fstat(fd, &st) == 0 && ((uint64_t)st.st_size <= s->list.file[file].size || ftruncate(fd, (off_t)s->list.file[file].size) == 0);
	if (!ok)
		ul_fail(err, "cannot write %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

ul_net_store *ul_net_store_open(const char *dir, ul_net_list *l, const ul_progress *p, ul_err *err)
{
	ul_net_store *s = ul_calloc(1, sizeof *s);
	unsigned char *have = ul_calloc(l->chunks + 1, 1);
	if (!s || !have) {
		ul_free(s);
		ul_free(have);
		ul_nomem(err, l->chunks);
		return NULL;
	}
	s->have = have;
	s->fd = -1;
	uint64_t seen = 0;
	bool ok = (size_t)snprintf(s->dir, sizeof s->dir, "%s", dir) < sizeof s->dir || ul_fail(err, "the path %s is longer than 4095 bytes", dir);
	s->list = *l;
	ok = ok && ul_mkdirs(dir, err);
	for (int i = 0; ok && i < l->files; i++)
		ok = make_file(s, i, err) && look(s, i, p, &seen, err);
	if (!ok) {
		s->list = (ul_net_list){0};
		ul_net_store_close(s);
		return NULL;
	}
	*l = (ul_net_list){0};
	return s;
}

void ul_net_store_close(ul_net_store *s)
{
	if (!s)
		return;
	end_run(s);
	ul_net_list_release(&s->list);
	ul_free(s->have);
	ul_free(s);
}

/* ---- what is missing, and its arrival ---- */

/* Chunks that begin before `offset`. The end of a file is no multiple of a chunk. */
static size_t chunks_until(uint64_t offset)
{
	return (size_t)((offset + UL_NET_CHUNK - 1) / UL_NET_CHUNK);
}

bool ul_net_store_missing(const ul_net_store *s, int *file, uint64_t *offset, uint64_t *bytes)
{
	for (int i = *file; i < s->list.files; i++) {
		const ul_net_file *f = &s->list.file[i];
		size_t c = i == *file ? chunks_until(*offset) : 0, end;
		while (c < f->chunks && s->have[f->first + c])
			c++;
		if (c >= f->chunks)
			continue;
		for (end = c; end < f->chunks && !s->have[f->first + end] && end - c < UL_NET_WINDOW / UL_NET_CHUNK;)
			end++;
		*file = i;
		*offset = (uint64_t)c * UL_NET_CHUNK;
		*bytes = (uint64_t)(end - c - 1) * UL_NET_CHUNK + ul_net_chunk_bytes(f, end - 1);
		return true;
	}
	return false;
}

bool ul_net_store_run(ul_net_store *s, int file, uint64_t offset, uint64_t bytes, ul_err *err)
{
	end_run(s);
	if (file < 0 || file >= s->list.files)
		return ul_fail(err, "there is no file %d; the listing has %d", file, s->list.files);
	const ul_net_file *f = &s->list.file[file];
	if (bytes == 0 || bytes > UL_NET_WINDOW || offset % UL_NET_CHUNK || offset > f->size || bytes > f->size - offset || (bytes % UL_NET_CHUNK && offset + bytes != f->size))
		return ul_fail(err, "bytes %llu to %llu of \"%s\" are not whole chunks of its %llu bytes, %d at most", (unsigned long long)offset,
		        (unsigned long long)(offset + bytes), f->name, (unsigned long long)f->size, UL_NET_WINDOW);
	char path[4096];
	if (!path_of(s, file, path, err))
		return false;
	int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ul_fail(err, "cannot write %s: %s", path, strerror(errno));
	if (!(s->sha = ul_sha_new())) {
		close(fd);
		return ul_nomem(err, 256);
	}
	s->fd = fd;
	s->file = file;
	s->at = offset;
	s->end = offset + bytes;
	return true;
}

/* The chunk that ends at s->at has arrived: is it the one that was announced? */
static bool judge(ul_net_store *s, const ul_net_file *f, size_t chunk, ul_err *err)
{
	char hex[65];
	ul_sha_end(s->sha, hex);
	s->sha = NULL;
	if (!is_chunk(s, f, chunk, hex))
		return ul_fail(err, "chunk %zu of \"%s\" does not have the SHA-256 that was announced", chunk, f->name);
	if (!s->have[f->first + chunk])
		s->got += ul_net_chunk_bytes(f, chunk);
	s->have[f->first + chunk] = 1;
	if (s->at < s->end && !(s->sha = ul_sha_new()))
		return ul_nomem(err, 256);
	return true;
}

static bool put(int fd, const char *p, size_t n, uint64_t at)
{
	while (n) {
		ssize_t w = pwrite(fd, p, n, (off_t)at);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
		at += (uint64_t)w;
	}
	return true;
}

bool ul_net_store_feed(ul_net_store *s, const void *data, size_t n, enum ul_net_trouble *why, ul_err *err)
{
	const ul_net_file *f = &s->list.file[s->file];
	const char *p = data;
	*why = UL_NET_CHANGED;
	if (s->fd < 0 || n > s->end - s->at)
		return ul_fail(err, "%zu bytes of \"%s\" came where %llu were announced", n, f->name, (unsigned long long)(s->fd < 0 ? 0 : s->end - s->at));
	while (n) {
		size_t chunk = (size_t)(s->at / UL_NET_CHUNK);
		uint64_t chunk_end = (uint64_t)chunk * UL_NET_CHUNK + ul_net_chunk_bytes(f, chunk);
		size_t now = n < chunk_end - s->at ? n : (size_t)(chunk_end - s->at);
		/* A chunk that is there stays as it is: bytes that do not prove right must not touch it. */
		if (!s->have[f->first + chunk] && !put(s->fd, p, now, s->at)) {
			*why = UL_NET_DISK;
			ul_fail(err, "cannot write %s/%s: %s", s->dir, f->name, strerror(errno));
			end_run(s);
			return false;
		}
		ul_sha_add(s->sha, p, now);
		ul_crash_point("chunk");
		p += now;
		n -= now;
		s->at += now;
		if (s->at == chunk_end && !judge(s, f, chunk, err)) {
			end_run(s);
			return false;
		}
	}
	if (s->at == s->end)
		end_run(s);
	*why = UL_NET_NONE;
	return true;
}

/* ---- the end ---- */

static bool sync_file(const ul_net_store *s, int file, ul_err *err)
{
	char path[4096];
	if (!path_of(s, file, path, err))
		return false;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ul_fail(err, "cannot open %s: %s", path, strerror(errno));
	bool ok = ul_disk_sync(fd, path, err);
	close(fd);
	return ok && ul_disk_sync_dir_of(path, err);
}

bool ul_net_store_finish(ul_net_store *s, const char *target, ul_err *err)
{
	UL_ASSERT(s->got == s->list.bytes, "%llu of %llu bytes", (unsigned long long)s->got, (unsigned long long)s->list.bytes);
	end_run(s);
	for (int i = 0; i < s->list.files; i++)
		if (!sync_file(s, i, err))
			return false;
	return ul_disk_sync_dir_of(s->dir, err) && ul_disk_rename(s->dir, target, err) && ul_disk_sync_dir_of(target, err);
}
