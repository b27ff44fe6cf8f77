/*
 * safetensors.c: reading and writing of safetensors files.
 *
 * The file is `u64 length | JSON header | data`. As in the reference library the header must describe every byte of the data
 * exactly once: tensors that overlap, leave holes or reach beyond the end are refused, and so is a key that occurs twice.
 */
#include "model/safetensors.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_LIMIT = 100 << 20,
	MAX_TENSORS = 1 << 20,
	CHUNK = 1 << 16 };

static const struct dtype {
	const char *name;
	size_t bytes;
	enum ul_dtype as; /* UL_DTYPES: skipped over, never read */
} dtypes[] = {
        {"F32", 4, UL_F32},
        {"F16", 2, UL_F16},
        {"BF16", 2, UL_BF16},
        {"F64", 8, UL_F64},
        {"BOOL", 1, UL_DTYPES},
        {"U8", 1, UL_DTYPES},
        {"I8", 1, UL_DTYPES},
        {"U16", 2, UL_DTYPES},
        {"I16", 2, UL_DTYPES},
        {"U32", 4, UL_DTYPES},
        {"I32", 4, UL_DTYPES},
        {"U64", 8, UL_DTYPES},
        {"I64", 8, UL_DTYPES},
        {"F8_E4M3", 1, UL_DTYPES},
        {"F8_E5M2", 1, UL_DTYPES},
        {0},
};

/* ---- reading ---- */

struct extent { /* one tensor's bytes, for the proof that they tile the data */
	size_t begin, end;
	const char *name;
};

static int by_begin(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;
	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

static bool read_shape(const json_t *shape, const char *what, const char *name, ul_tensor *t, ul_err *err)
{
	if (!json_is_array(shape))
		return ul_fail(err, "%s: tensor \"%s\" has no shape", what, name);
	if (json_array_size(shape) > UL_TENSOR_DIMS)
		return ul_fail(err, "%s: tensor \"%s\" has %zu dimensions, at most %d are read", what, name, json_array_size(shape), UL_TENSOR_DIMS);
	t->dims = (int)json_array_size(shape);
	t->n = 1;
	for (int i = 0; i < t->dims; i++) {
		const json_t *d = json_array_get(shape, (size_t)i);
		if (!json_is_integer(d) || json_integer_value(d) < 0)
			return ul_fail(err, "%s: tensor \"%s\" has a dimension that is no natural number", what, name);
		t->shape[i] = json_integer_value(d);
		if (!ul_mul_ok(t->n, (size_t)t->shape[i], &t->n))
			return ul_fail(err, "%s: the shape of tensor \"%s\" overflows", what, name);
	}
	return true;
}

static bool read_extent(const json_t *offsets, const char *what, const char *name, size_t room, struct extent *out, ul_err *err)
{
	const json_t *b = json_array_get(offsets, 0), *e = json_array_get(offsets, 1);
	if (json_array_size(offsets) != 2 || !json_is_integer(b) || !json_is_integer(e) || json_integer_value(b) < 0 || json_integer_value(e) < json_integer_value(b))
		return ul_fail(err, "%s: tensor \"%s\" has no valid data_offsets", what, name);
	*out = (struct extent){(size_t)json_integer_value(b), (size_t)json_integer_value(e), name};
	if (out->end > room)
		return ul_fail(err, "%s: tensor \"%s\" ends at byte %zu of the data, which has only %zu", what, name, out->end, room);
	return true;
}

static bool read_tensor(const char *key, const json_t *v, const char *what, size_t room, ul_tensor *t, struct extent *x, ul_err *err)
{
	const char *dtype = ul_json_str(v, "dtype");
	if (!dtype)
		return ul_fail(err, "%s: tensor \"%s\" has no dtype", what, key);
	const struct dtype *d = dtypes;
	while (d->name && strcmp(d->name, dtype))
		d++;
	if (!d->name)
		return ul_fail(err, "%s: tensor \"%s\" has the unknown dtype \"%.32s\"", what, key, dtype);
	t->dtype = d->as;
	t->dtype_name = d->name;
	if (!read_shape(json_object_get(v, "shape"), what, key, t, err) ||
	        !read_extent(json_object_get(v, "data_offsets"), what, key, room, x, err))
		return false;
	size_t want;
	if (!ul_mul_ok(t->n, d->bytes, &want) || want != x->end - x->begin) {
		char shape[96];
		ul_tensor_shape(t, shape);
		return ul_fail(err, "%s: tensor \"%s\" %s %s does not fill its %zu bytes", what, key, d->name, shape, x->end - x->begin);
	}
	t->bytes = d->as == UL_DTYPES ? 0 : want;
	return true;
}

/* Sorted by their beginnings, the extents must meet end to begin and cover all `room` bytes. */
static bool check_tiling(struct extent *x, int n, const char *what, size_t room, ul_err *err)
{
	if (n)
		qsort(x, (size_t)n, sizeof *x, by_begin);
	size_t at = 0;
	for (int i = 0; i < n; i++) {
		if (x[i].begin < at)
			return ul_fail(err, "%s: tensors \"%s\" and \"%s\" overlap", what, x[i - 1].name, x[i].name);
		if (x[i].begin > at)
			return ul_fail(err, "%s: bytes %zu to %zu of the data belong to no tensor", what, at, x[i].begin);
		at = x[i].end;
	}
	if (at != room)
		return ul_fail(err, "%s: the last %zu bytes of the data belong to no tensor", what, room - at);
	return true;
}

static bool read_header(const json_t *header, const char *what, const unsigned char *data, size_t room, ul_tensors *out, ul_arena *a, ul_err *err)
{
	if (!json_is_object(header))
		return ul_fail(err, "%s: the header is no JSON object", what);
	size_t count = json_object_size(header);
	if (count > MAX_TENSORS)
		return ul_fail(err, "%s: %zu tensors, at most %d are read", what, count, MAX_TENSORS);
	struct extent *x = ul_calloc(count ? count : 1, sizeof *x);
	if (!x)
		return ul_nomem(err, count * sizeof *x);
	int n = 0;
	bool ok = true;
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)header, key, v)
	{
		if (!strcmp(key, "__metadata__"))
			continue;
		ul_tensor *t = ul_tensors_add(out, err);
		ok = t && read_tensor(key, v, what, room, t, &x[n], err);
		if (!ok)
			break;
		t->name = ul_arena_strdup(a, key);
		t->data = data + x[n].begin;
		if (!t->name) {
			ok = ul_nomem(err, strlen(key));
			break;
		}
		x[n++].name = t->name;
	}
	ok = ok && check_tiling(x, n, what, room, err);
	ul_free(x);
	return ok;
}

bool ul_safetensors_parse(const unsigned char *data, size_t len, const char *what, ul_tensors *out, ul_arena *a, ul_err *err)
{
	if (len < 8)
		return ul_fail(err, "%s: %zu bytes are no safetensors file", what, len);
	uint64_t size = 0;
	for (int i = 0; i < 8; i++)
		size |= (uint64_t)data[i] << (8 * i);
	if (size > len - 8)
		return ul_fail(err, "%s: the header claims %llu bytes, the file has %zu left", what, (unsigned long long)size, len - 8);
	if (size > HEADER_LIMIT)
		return ul_fail(err, "%s: a header of %llu bytes, at most %d are read", what, (unsigned long long)size, HEADER_LIMIT);
	json_t *header = ul_json_parse((const char *)data + 8, (size_t)size, what, err);
	if (!header)
		return false;
	bool ok = read_header(header, what, data + 8 + size, len - 8 - (size_t)size, out, a, err);
	json_decref(header);
	return ok;
}

/* A shard is a plain file name: nothing that leaves the directory. */
static bool plain(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, "..") && strlen(name) < 256;
}

bool ul_safetensors_index(const json_t *index, const char *what, ul_arena *a, char ***names, int *n, ul_err *err)
{
	json_t *map = json_object_get(index, "weight_map");
	if (!json_is_object(map) || !json_object_size(map))
		return ul_fail(err, "%s: no weight_map", what);
	char **list = ul_alloc(a, json_object_size(map) * sizeof *list);
	if (!list)
		return ul_nomem(err, json_object_size(map) * sizeof *list);
	int count = 0;
	json_t *seen = json_object();
	bool ok = seen != NULL || ul_nomem(err, 64);
	const char *key;
	json_t *v;
	json_object_foreach(map, key, v)
	{
		const char *name = json_string_value(v);
		if (ok && (!name || !plain(name)))
			ok = ul_fail(err, "%s: the shard of tensor \"%s\" is no file name", what, key);
		if (!ok || json_object_get(seen, name))
			continue;
		list[count] = ul_arena_strdup(a, name);
		ok = (list[count++] && !json_object_set_new(seen, name, json_true())) || ul_nomem(err, strlen(name));
	}
	json_decref(seen);
	if (ok) {
		*names = list;
		*n = count;
	}
	return ok;
}

/* ---- writing ---- */

static size_t count(const ul_st_out *t)
{
	size_t n = 1;
	for (int i = 0; i < t->dims; i++)
		n *= (size_t)t->shape[i];
	return n;
}

static json_t *make_header(const ul_st_out *t, int n, enum ul_dtype dtype)
{
	json_t *h = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
	size_t at = 0;
	for (int i = 0; h && i < n; i++) {
		size_t bytes = ul_dtype_bytes(dtype, count(&t[i]));
		json_t *shape = json_array();
		for (int d = 0; d < t[i].dims; d++)
			json_array_append_new(shape, json_integer(t[i].shape[d]));
		json_t *v = json_pack("{s:s, s:o, s:[I, I]}", "dtype", ul_dtype_name(dtype), "shape", shape, "data_offsets", (json_int_t)at, (json_int_t)(at + bytes));
		if (!v || json_object_set_new(h, t[i].name, v)) {
			json_decref(h);
			return NULL;
		}
		at += bytes;
	}
	return h;
}

static bool write_header(ul_sink *s, const ul_st_out *t, int n, enum ul_dtype dtype, ul_err *err)
{
	json_t *h = make_header(t, n, dtype);
	char *text = h ? json_dumps(h, JSON_COMPACT) : NULL;
	json_decref(h);
	if (!text)
		return ul_nomem(err, (size_t)n * 128);
	size_t len = strlen(text), padded = (len + 7) / 8 * 8; /* data begins at a multiple of 8 */
	unsigned char size[8];
	for (int i = 0; i < 8; i++)
		size[i] = (unsigned char)((uint64_t)padded >> (8 * i));
	bool ok = ul_sink_write(s, size, 8, err) && ul_sink_write(s, text, len, err) && ul_sink_write(s, "       ", padded - len, err);
	ul_free(text);
	return ok;
}

/* Element i of the file's order, in floating point, CHUNK at a time. */
static void fetch(const ul_st_out *t, size_t at, size_t n, double *out)
{
	size_t elem = t->be ? t->be->elem : sizeof(float);
	if (t->as != UL_F32) {
		float *x = (float *)(out + CHUNK); /* write_tensor's own room for floats */
		ul_dequantize(t->as, (const char *)t->data + ul_dtype_bytes(t->as, at), x, n);
		for (size_t i = 0; i < n; i++)
			out[i] = (double)x[i];
		return;
	}
	if (!t->transpose) {
		const char *src = (const char *)t->data + at * elem;
		if (t->be)
			t->be->to_f64(out, src, n);
		else
			for (size_t i = 0; i < n; i++)
				out[i] = ((const float *)src)[i];
		return;
	}
	size_t rows = (size_t)t->shape[0], cols = (size_t)t->shape[1];
	for (size_t i = 0; i < n; i++) {
		size_t r = (at + i) / cols, c = (at + i) % cols;
		const char *src = (const char *)t->data + (c * rows + r) * elem;
		if (t->be)
			t->be->to_f64(&out[i], src, 1);
		else
			out[i] = *(const float *)src;
	}
}

static bool write_tensor(ul_sink *s, const ul_st_out *t, enum ul_dtype dtype, double *wide, ul_err *err)
{
	float *narrow = (float *)(wide + CHUNK);
	void *packed = narrow + CHUNK;
	for (size_t at = 0, n = count(t); at < n; at += CHUNK) {
		size_t k = n - at < CHUNK ? n - at : CHUNK;
		fetch(t, at, k, wide);
		const void *bytes = wide;
		if (dtype != UL_F64) {
			for (size_t i = 0; i < k; i++)
				narrow[i] = (float)wide[i];
			ul_quantize(dtype, narrow, packed, k);
			bytes = packed;
		}
		if (!ul_sink_write(s, bytes, ul_dtype_bytes(dtype, k), err))
			return false;
	}
	return true;
}

static bool next_tensor(ul_sink *s, const ul_st_out *t, enum ul_dtype dtype, double *scratch, ul_err *err)
{
	size_t bytes = count(t) * sizeof(float);
	if (!t->be && t->as == UL_F32 && !t->transpose && dtype == UL_F32) /* is already what it should be */
		return ul_sink_write(s, t->data, bytes, err);
	return write_tensor(s, t, dtype, scratch, err);
}

static bool all_tensors(ul_sink *const *s, const ul_st_many *f, const ul_st_out *t, int n, enum ul_dtype dtype, float *room, double *scratch, ul_err *err)
{
	for (int i = 0; i < n; i++)
		for (int k = 0; k < f->files; k++) {
			ul_st_out one = t[i];
			if (f->fill) {
				one.be = NULL;
				one.data = room;
				one.as = UL_F32; /* whatever the model's own numbers are packed as */
			}
			if ((f->fill && !f->fill(f->ud, k, i, room, err)) || !next_tensor(s[k], &one, dtype, scratch, err))
				return false;
		}
	return true;
}

bool ul_safetensors_many(const ul_st_many *f, const ul_st_out *t, int n, enum ul_dtype dtype, ul_err *err)
{
	size_t most = 1;
	for (int i = 0; f->fill && i < n; i++)
		most = count(&t[i]) > most ? count(&t[i]) : most;
	double *scratch = ul_malloc(CHUNK * (sizeof(double) + 2 * sizeof(float)));
	float *room = ul_malloc(most * sizeof *room);
	ul_sink **s = ul_calloc((size_t)f->files, sizeof *s);
	bool ok = (scratch && room && s) || ul_nomem(err, most * sizeof *room);
	for (int k = 0; ok && k < f->files; k++)
		ok = (s[k] = ul_sink_open(f->path[k], err)) != NULL && write_header(s[k], t, n, dtype, err);
	ok = ok && all_tensors(s, f, t, n, dtype, room, scratch, err);
	for (int k = 0; s && k < f->files; k++)
		if (s[k])
			ok = ul_sink_close(s[k], err) && ok;
	ul_free(s);
	ul_free(room);
	ul_free(scratch);
	return ok;
}

bool ul_safetensors_write(const char *path, const ul_st_out *t, int n, enum ul_dtype dtype, ul_err *err)
{
	return ul_safetensors_many(&(ul_st_many){.path = &path, .files = 1}, t, n, dtype, err);
}
