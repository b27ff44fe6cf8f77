/*
 * net_list.c: the listing of a folder, made by who sends it and parsed by who receives it:
 *
 *	{"listing": 1, "chunk": 1048576, "files": [{"name": "model/a.safetensors", "size": 3000000, "sha256": ["9f86…", "60303a…", …]}, …]}
 *
 * It comes from the other party, so every name stays inside the folder and every count is bounded by what was agreed before.
 */
#include "protocols/net.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const uint64_t most_ever = (uint64_t)1 << 50;

size_t ul_net_chunk_bytes(const ul_net_file *f, size_t chunk)
{
	uint64_t left = f->size - (uint64_t)chunk * UL_NET_CHUNK;
	return left < UL_NET_CHUNK ? (size_t)left : UL_NET_CHUNK;
}

/* 67 bytes for a hash, its quotes and comma; the rest for names and sizes. */
size_t ul_net_list_limit(uint64_t most)
{
	return ((size_t)64 << 10) + (size_t)(most / UL_NET_CHUNK + UL_NET_FILES) * 68 + (size_t)256 * UL_NET_NAME;
}

void ul_net_list_release(ul_net_list *l)
{
	ul_arena_release(&l->arena);
	*l = (ul_net_list){0};
}

static size_t chunks_of(uint64_t size)
{
	return (size_t)((size + UL_NET_CHUNK - 1) / UL_NET_CHUNK);
}

/* ---- names ---- */

static bool check_name(const char *name, ul_err *err)
{
	size_t n = strlen(name);
	if (n == 0 || n > UL_NET_NAME)
		return ul_fail(err, "the listing has a name of %zu bytes; 1 to %d are possible", n, UL_NET_NAME);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];
		bool begins = i == 0 || name[i - 1] == '/';
		if (c < 0x20 || c == 0x7f || c == '\\' || (begins && (c == '.' || c == '/')) || (c == '/' && i + 1 == n))
			return ul_fail(err, "the listing has the name \"%s\", which does not stay inside its folder", name);
	}
	return true;
}

/* Strictly ascending names: sorted, and none twice. */
static bool check_order(const ul_net_list *l, int i, ul_err *err)
{
	if (i == 0 || strcmp(l->file[i - 1].name, l->file[i].name) < 0)
		return true;
	return ul_fail(err, "the listing has \"%s\" twice or out of order", l->file[i].name);
}

/* ---- text ---- */

static void to_hex(const unsigned char sha[32], char hex[65])
{
	for (int i = 0; i < 32; i++) {
		hex[2 * i] = "0123456789abcdef"[sha[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[sha[i] & 15];
	}
	hex[64] = '\0';
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
	                                                             : -1;
}

static bool from_hex(const char *hex, unsigned char sha[32])
{
	if (!hex || strlen(hex) != 64)
		return false;
	for (int i = 0; i < 32; i++) {
		int hi = digit(hex[2 * i]), lo = digit(hex[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		sha[i] = (unsigned char)(hi << 4 | lo);
	}
	return true;
}

static void add_name(ul_buf *out, const char *name)
{
	json_t *s = json_string(name);
	if (!s || !ul_json_line(out, s))
		out->failed = true;
	json_decref(s);
}

bool ul_net_list_text(const ul_net_list *l, ul_buf *out, ul_err *err)
{
	ul_buf b = {0};
	ul_buf_printf(&b, "{\"listing\":1,\"chunk\":%d,\"files\":[", UL_NET_CHUNK);
	for (int i = 0; i < l->files; i++) {
		const ul_net_file *f = &l->file[i];
		ul_buf_str(&b, i ? ",\n{\"name\":" : "\n{\"name\":");
		add_name(&b, f->name);
		ul_buf_printf(&b, ",\"size\":%llu,\"sha256\":[", (unsigned long long)f->size);
		for (size_t c = 0; c < f->chunks; c++) {
			char hex[65];
			to_hex(l->sha[f->first + c], hex);
			ul_buf_printf(&b, "%s\"%s\"", c ? "," : "", hex);
		}
		ul_buf_str(&b, "]}");
	}
	ul_buf_str(&b, "]}\n");
	if (b.failed) {
		size_t wanted = b.cap;
		ul_buf_release(&b);
		return ul_nomem(err, wanted);
	}
	ul_buf_release(out);
	*out = b;
	return true;
}

/* ---- parsing ---- */

static bool parse_file(ul_net_list *l, const json_t *v, uint64_t most, ul_err *err)
{
	const char *name = ul_json_str(v, "name");
	const json_t *hashes = json_object_get(v, "sha256");
	int64_t size = -1;
	if (!name || !json_is_array(hashes))
		return ul_fail(err, "a file of the listing lacks \"name\" or \"sha256\"");
	if (!check_name(name, err) || !ul_json_int(v, "size", 0, (int64_t)most_ever, &size, err))
		return false;
	if (size < 0)
		return ul_fail(err, "\"%s\" of the listing lacks \"size\"", name);
	ul_net_file *f = &l->file[l->files];
	*f = (ul_net_file){.name = ul_arena_strdup(&l->arena, name), .size = (uint64_t)size, .first = l->chunks, .chunks = chunks_of((uint64_t)size)};
	if (!f->name)
		return ul_nomem(err, strlen(name));
	l->bytes += f->size;
	if (l->bytes > most)
		return ul_fail(err, "the listing announces more than %llu bytes, which is the limit", (unsigned long long)most);
	if (json_array_size(hashes) != f->chunks)
		return ul_fail(err, "\"%s\" of %llu bytes has %zu chunks, and the listing %zu hashes", f->name, (unsigned long long)f->size, f->chunks, json_array_size(hashes));
	for (size_t c = 0; c < f->chunks; c++)
		if (!from_hex(json_string_value(json_array_get(hashes, c)), l->sha[l->chunks++]))
			return ul_fail(err, "hash %zu of \"%s\" is no SHA-256 in lower-case hex", c, f->name);
	return check_order(l, l->files++, err);
}

static bool parse(ul_net_list *l, const json_t *v, uint64_t most, ul_err *err)
{
	int64_t version = 0, chunk = 0;
	const json_t *files = json_object_get(v, "files"), *f;
	size_t i, chunks = 0;
	if (!ul_json_int(v, "listing", 1, 1, &version, err) || !ul_json_int(v, "chunk", UL_NET_CHUNK, UL_NET_CHUNK, &chunk, err))
		return false;
	if (version != 1 || chunk == 0 || !json_is_array(files))
		return ul_fail(err, "a listing has \"listing\": 1, \"chunk\" and \"files\"");
	if (json_array_size(files) > UL_NET_FILES)
		return ul_fail(err, "the listing has %zu files; %d are possible", json_array_size(files), UL_NET_FILES);
	json_array_foreach(files, i, f)
	{
		chunks += json_array_size(json_object_get(f, "sha256"));
	}
	l->file = ul_alloc(&l->arena, (json_array_size(files) + 1) * sizeof *l->file);
	l->sha = ul_alloc(&l->arena, (chunks + 1) * sizeof *l->sha);
	if (!l->file || !l->sha)
		return ul_nomem(err, chunks * sizeof *l->sha);
	json_array_foreach(files, i, f)
	{
		if (!parse_file(l, f, most, err))
			return false;
	}
	return true;
}

bool ul_net_list_parse(ul_net_list *l, const char *text, size_t n, uint64_t most, ul_err *err)
{
	if (n > ul_net_list_limit(most))
		return ul_fail(err, "the listing has %zu bytes; %zu are possible", n, ul_net_list_limit(most));
	json_t *v = ul_json_parse(text, n, "the listing", err);
	if (!v)
		return false;
	ul_net_list got = {0};
	bool ok = parse(&got, v, most < most_ever ? most : most_ever, err);
	json_decref(v);
	if (!ok) {
		ul_net_list_release(&got);
		return false;
	}
	ul_sha256(text, n, got.id);
	*l = got;
	return true;
}

/* ---- making ---- */

typedef struct walk {
	ul_net_list *l;
	const char *dir, *only;
	ul_err *err;
} walk;

static bool look_into(walk *w, const char *below, int depth);

/* One entry: a directory is walked, a file is listed, anything else cannot travel. */
static bool look_at(walk *w, const char *below, const char *leaf, int depth)
{
	char name[UL_NET_NAME + 1], path[4096];
	struct stat st;
	if ((size_t)snprintf(name, sizeof name, "%s%s%s", below, *below ? "/" : "", leaf) >= sizeof name ||
	        (size_t)snprintf(path, sizeof path, "%s/%s", w->dir, name) >= sizeof path)
		return ul_fail(w->err, "the name %s/%s is longer than %d bytes", below, leaf, UL_NET_NAME);
	if (lstat(path, &st) != 0)
		return ul_fail(w->err, "cannot read %s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode) && depth == 0 && w->only && strcmp(leaf, w->only) != 0)
		return true;
	if (S_ISDIR(st.st_mode))
		return look_into(w, name, depth + 1);
	if (!S_ISREG(st.st_mode))
		return ul_fail(w->err, "%s is neither a file nor a directory, and cannot be sent", path);
	if (!check_name(name, w->err))
		return false;
	if (w->l->files >= UL_NET_FILES)
		return ul_fail(w->err, "%s holds more than %d files", w->dir, UL_NET_FILES);
	ul_net_file *f = &w->l->file[w->l->files++];
	*f = (ul_net_file){.name = ul_arena_strdup(&w->l->arena, name), .size = (uint64_t)st.st_size, .chunks = chunks_of((uint64_t)st.st_size)};
	w->l->bytes += f->size;
	w->l->chunks += f->chunks;
	return f->name != NULL || ul_nomem(w->err, strlen(name));
}

static bool look_into(walk *w, const char *below, int depth)
{
	char path[4096];
	if ((size_t)snprintf(path, sizeof path, "%s/%s", w->dir, below) >= sizeof path || depth > 16)
		return ul_fail(w->err, "%s/%s lies more than 16 folders deep, or its path has more than 4095 bytes", w->dir, below);
	DIR *d = opendir(path);
	if (!d)
		return ul_fail(w->err, "cannot read %s: %s", path, strerror(errno));
	bool ok = true;
	for (struct dirent *e; ok && (e = readdir(d));)
		ok = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || look_at(w, below, e->d_name, depth);
	closedir(d);
	return ok;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const ul_net_file *)a)->name, ((const ul_net_file *)b)->name);
}

static bool hash_file(walk *w, ul_net_file *f, uint64_t *done, const ul_progress *p)
{
	char path[4096];
	ul_map m;
	snprintf(path, sizeof path, "%s/%s", w->dir, f->name);
	if (!ul_map_open(&m, path, w->err))
		return false;
	bool ok = m.len == f->size || ul_fail(w->err, "%s changed its size while it was read", path);
	for (size_t c = 0; ok && c < f->chunks; c++) {
		char hex[65];
		size_t n = ul_net_chunk_bytes(f, c);
		ul_sha256(m.data + c * UL_NET_CHUNK, n, hex);
		from_hex(hex, w->l->sha[f->first + c]);
		*done += n;
		if (p && p->tick)
			p->tick(p->ud, "hash", (int64_t)(*done >> 20), (int64_t)(w->l->bytes >> 20), 0, 0);
		if (p && p->stop && p->stop(p->ud))
			ok = ul_fail(w->err, "stopped while %s was read", path);
	}
	ul_map_close(&m);
	return ok;
}

bool ul_net_list_make(ul_net_list *l, const char *dir, const char *only, const ul_progress *p, ul_err *err)
{
	ul_net_list got = {0};
	walk w = {.l = &got, .dir = dir, .only = only, .err = err};
	ul_buf text = {0};
	uint64_t done = 0;
	got.file = ul_alloc(&got.arena, UL_NET_FILES * sizeof *got.file);
	bool ok = got.file != NULL || ul_nomem(err, UL_NET_FILES * sizeof *got.file);
	ok = ok && look_into(&w, "", 0);
	if (ok)
		qsort(got.file, (size_t)got.files, sizeof *got.file, by_name);
	got.sha = ok ? ul_alloc(&got.arena, (got.chunks + 1) * sizeof *got.sha) : NULL;
	ok = ok && (got.sha != NULL || ul_nomem(err, got.chunks * sizeof *got.sha));
	for (int i = 0; ok && i < got.files; i++) {
		got.file[i].first = i ? got.file[i - 1].first + got.file[i - 1].chunks : 0;
		ok = hash_file(&w, &got.file[i], &done, p);
	}
	ok = ok && ul_net_list_text(&got, &text, err);
	if (ok) {
		ul_sha256(text.data, text.len, got.id);
		*l = got;
	} else {
		ul_net_list_release(&got);
	}
	ul_buf_release(&text);
	return ok;
}
