/*
 * gguf.c: reading GGUF versions 2 and 3 (ggml's docs/gguf.md): header, typed keys, tensor table, aligned data.
 *
 * A count or a length is believed only after it has been held against the bytes that remain. What the keys mean is the
 * architectures' business; the tokenizer among them is gguf_tok.c's.
 */
#include "model/gguf.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_KEYS = 1 << 16,
	MAX_TENSORS = 1 << 18,
	MAX_NAME = 1 << 12,
	MAX_DEPTH = 4 };

struct reader {
	const unsigned char *data;
	size_t at, len;
	const char *what;
	ul_arena *a;
	ul_err *err;
};

static const size_t value_size[UL_GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/* ggml's type numbers. */
static const struct ggml_type {
	int id;
	const char *name;
	enum ul_dtype as;
} ggml_types[] = {
        {0, "F32", UL_F32},
        {1, "F16", UL_F16},
        {2, "Q4_0", UL_Q4_0},
        {3, "Q4_1", UL_Q4_1},
        {6, "Q5_0", UL_Q5_0},
        {7, "Q5_1", UL_Q5_1},
        {8, "Q8_0", UL_Q8_0},
        {9, "Q8_1", UL_DTYPES},
        {10, "Q2_K", UL_DTYPES},
        {11, "Q3_K", UL_DTYPES},
        {12, "Q4_K", UL_Q4_K},
        {13, "Q5_K", UL_Q5_K},
        {14, "Q6_K", UL_Q6_K},
        {15, "Q8_K", UL_DTYPES},
        {16, "IQ2_XXS", UL_DTYPES},
        {17, "IQ2_XS", UL_DTYPES},
        {18, "IQ3_XXS", UL_DTYPES},
        {19, "IQ1_S", UL_DTYPES},
        {20, "IQ4_NL", UL_DTYPES},
        {21, "IQ3_S", UL_DTYPES},
        {22, "IQ2_S", UL_DTYPES},
        {23, "IQ4_XS", UL_DTYPES},
        {24, "I8", UL_DTYPES},
        {25, "I16", UL_DTYPES},
        {26, "I32", UL_DTYPES},
        {27, "I64", UL_DTYPES},
        {28, "F64", UL_F64},
        {29, "IQ1_M", UL_DTYPES},
        {30, "BF16", UL_BF16},
        {34, "TQ1_0", UL_DTYPES},
        {35, "TQ2_0", UL_DTYPES},
        {39, "MXFP4", UL_DTYPES},
        {-1, NULL, UL_DTYPES},
};

static bool truncated(struct reader *r, const char *where)
{
	return ul_fail(r->err, "%s: the file ends at byte %zu, inside %s", r->what, r->len, where);
}

static bool get(struct reader *r, size_t bytes, uint64_t *out, const char *where)
{
	if (r->len - r->at < bytes)
		return truncated(r, where);
	*out = 0;
	for (size_t i = 0; i < bytes; i++)
		*out |= (uint64_t)r->data[r->at++] << (8 * i);
	return true;
}

static bool get_string(struct reader *r, uint64_t limit, const char **out, const char *where)
{
	uint64_t n;
	if (!get(r, 8, &n, where))
		return false;
	if (n > r->len - r->at)
		return ul_fail(r->err, "%s: %s claims %llu bytes, the file has %zu left", r->what, where, (unsigned long long)n, r->len - r->at);
	if (n > limit)
		return ul_fail(r->err, "%s: %s has %llu bytes, at most %llu are read", r->what, where, (unsigned long long)n, (unsigned long long)limit);
	if (memchr(r->data + r->at, 0, (size_t)n))
		return ul_fail(r->err, "%s: %s holds a NUL byte", r->what, where);
	char *s = ul_alloc(r->a, (size_t)n + 1);
	if (!s)
		return ul_nomem(r->err, (size_t)n + 1);
	memcpy(s, r->data + r->at, (size_t)n);
	r->at += (size_t)n;
	*out = s;
	return true;
}

/* Passes over one value of type t; arrays may nest, as the format allows, but not forever. */
static bool skip(struct reader *r, uint64_t t, const char *key, int depth)
{
	uint64_t n, elem;
	if (t >= UL_GGUF_TYPES)
		return ul_fail(r->err, "%s: the key \"%s\" has the unknown type %llu", r->what, key, (unsigned long long)t);
	if (t == UL_GGUF_STRING) {
		if (!get(r, 8, &n, "a string"))
			return false;
		if (n > r->len - r->at)
			return ul_fail(r->err, "%s: a string of the key \"%s\" claims %llu bytes, the file has %zu left", r->what, key, (unsigned long long)n, r->len - r->at);
		r->at += (size_t)n;
		return true;
	}
	if (t != UL_GGUF_ARRAY) {
		if (r->len - r->at < value_size[t])
			return truncated(r, "a value");
		r->at += value_size[t];
		return true;
	}
	if (depth == MAX_DEPTH)
		return ul_fail(r->err, "%s: the key \"%s\" nests arrays deeper than %d", r->what, key, MAX_DEPTH);
	if (!get(r, 4, &elem, "an array") || !get(r, 8, &n, "an array"))
		return false;
	if (elem >= UL_GGUF_TYPES)
		return ul_fail(r->err, "%s: the key \"%s\" is an array of the unknown type %llu", r->what, key, (unsigned long long)elem);
	size_t least = elem == UL_GGUF_STRING ? 8 : elem == UL_GGUF_ARRAY ? 12
	                                                                  : value_size[elem];
	if (n > (r->len - r->at) / least)
		return ul_fail(r->err, "%s: the key \"%s\" claims %llu elements, the file has %zu bytes left", r->what, key, (unsigned long long)n, r->len - r->at);
	if (elem != UL_GGUF_STRING && elem != UL_GGUF_ARRAY) {
		r->at += (size_t)n * least;
		return true;
	}
	for (uint64_t i = 0; i < n; i++)
		if (!skip(r, elem, key, depth + 1))
			return false;
	return true;
}

static bool read_key(struct reader *r, ul_gguf_kv *kv)
{
	uint64_t type;
	if (!get_string(r, MAX_NAME, &kv->key, "the name of a key") || !get(r, 4, &type, "the type of a key"))
		return false;
	size_t start = r->at;
	if (!skip(r, type, kv->key, 0))
		return false;
	kv->type = (enum ul_gguf_type)type;
	kv->data = r->data + start;
	struct reader again = *r;
	again.at = start;
	if (type == UL_GGUF_STRING) {
		get(&again, 8, &kv->n, "a string");
		kv->data += 8;
	} else if (type == UL_GGUF_ARRAY) {
		uint64_t elem = 0;
		get(&again, 4, &elem, "an array");
		get(&again, 8, &kv->n, "an array");
		kv->elem = (enum ul_gguf_type)elem;
		kv->data += 12;
	}
	return true;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const ul_gguf_kv *)a)->key, ((const ul_gguf_kv *)b)->key);
}

static bool read_keys(struct reader *r, uint64_t n, ul_gguf *g)
{
	g->kv = ul_alloc(r->a, (size_t)(n ? n : 1) * sizeof *g->kv);
	if (!g->kv)
		return ul_nomem(r->err, (size_t)n * sizeof *g->kv);
	for (uint64_t i = 0; i < n; i++)
		if (!read_key(r, &g->kv[i]))
			return false;
	g->keys = (int)n;
	qsort(g->kv, (size_t)n, sizeof *g->kv, by_key);
	for (uint64_t i = 1; i < n; i++)
		if (!strcmp(g->kv[i - 1].key, g->kv[i].key))
			return ul_fail(r->err, "%s: the key \"%s\" occurs twice", r->what, g->kv[i].key);
	return true;
}

/* Name, dims (fastest first: turned round here), type, offset into the data section. */
static bool read_info(struct reader *r, ul_tensor *t, uint64_t *offset)
{
	uint64_t dims, type, ne[UL_TENSOR_DIMS];
	if (!get_string(r, MAX_NAME, &t->name, "the name of a tensor") || !get(r, 4, &dims, "the tensor table"))
		return false;
	if (dims < 1 || dims > UL_TENSOR_DIMS)
		return ul_fail(r->err, "%s: tensor \"%s\" claims %llu dimensions, 1 to %d are read", r->what, t->name, (unsigned long long)dims, UL_TENSOR_DIMS);
	t->dims = (int)dims;
	t->n = 1;
	for (uint64_t i = 0; i < dims; i++) {
		if (!get(r, 8, &ne[i], "the tensor table"))
			return false;
		if (ne[i] > INT64_MAX || !ul_mul_ok(t->n, (size_t)ne[i], &t->n))
			return ul_fail(r->err, "%s: the shape of tensor \"%s\" overflows", r->what, t->name);
		t->shape[dims - 1 - i] = (int64_t)ne[i];
	}
	if (!get(r, 4, &type, "the tensor table") || !get(r, 8, offset, "the tensor table"))
		return false;
	const struct ggml_type *g = ggml_types;
	while (g->name && (uint64_t)g->id != type)
		g++;
	if (!g->name)
		return ul_fail(r->err, "%s: tensor \"%s\" has the unknown type %llu", r->what, t->name, (unsigned long long)type);
	t->dtype = g->as;
	t->dtype_name = g->name;
	if (t->dtype != UL_DTYPES && ne[0] % ul_dtype_block(t->dtype))
		return ul_fail(r->err, "%s: rows of tensor \"%s\" have %llu elements, %s needs a multiple of %zu", r->what, t->name, (unsigned long long)ne[0], g->name, ul_dtype_block(t->dtype));
	return true;
}

static int by_data(const void *a, const void *b)
{
	const ul_tensor *x = *(const ul_tensor *const *)a, *y = *(const ul_tensor *const *)b;
	if (x->data != y->data)
		return x->data < y->data ? -1 : 1;
	return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static bool check_overlap(struct reader *r, const ul_tensor *t, int n)
{
	const ul_tensor **order = ul_calloc((size_t)n + 1, sizeof *order);
	if (!order)
		return ul_nomem(r->err, (size_t)n * sizeof *order);
	for (int i = 0; i < n; i++)
		order[i] = &t[i];
	qsort(order, (size_t)n, sizeof *order, by_data);
	bool ok = true;
	for (int i = 1; ok && i < n; i++)
		if (order[i - 1]->data + order[i - 1]->bytes > order[i]->data)
			ok = ul_fail(r->err, "%s: tensors \"%s\" and \"%s\" overlap", r->what, order[i - 1]->name, order[i]->name);
	ul_free(order);
	return ok;
}

static bool place(struct reader *r, ul_tensor *t, uint64_t offset, size_t base, size_t align)
{
	if (offset % align)
		return ul_fail(r->err, "%s: tensor \"%s\" begins at %llu, no multiple of the alignment %zu", r->what, t->name, (unsigned long long)offset, align);
	size_t bytes = 0, room = base <= r->len ? r->len - base : 0, most;
	if (t->dtype != UL_DTYPES) {
		/* No block takes more than 8 bytes an element, so that this product bounds the exact one. */
		if (!ul_mul_ok(t->n, 8, &most))
			return ul_fail(r->err, "%s: the shape of tensor \"%s\" overflows", r->what, t->name);
		bytes = ul_dtype_bytes(t->dtype, t->n);
	}
	if (offset > room || bytes > room - (size_t)offset)
		return ul_fail(r->err, "%s: tensor \"%s\" needs bytes %llu to %llu of the data, the file has %zu", r->what, t->name, (unsigned long long)offset,
		        (unsigned long long)(offset + bytes), room);
	t->data = r->data + base + offset;
	t->bytes = bytes;
	return true;
}

static bool read_tensors(struct reader *r, uint64_t n, const ul_gguf *g, ul_tensors *out)
{
	uint64_t *offset = ul_calloc((size_t)n + 1, sizeof *offset);
	if (!offset)
		return ul_nomem(r->err, (size_t)n * sizeof *offset);
	int first = out->n;
	bool ok = true;
	for (uint64_t i = 0; ok && i < n; i++) {
		ul_tensor *t = ul_tensors_add(out, r->err);
		ok = t && read_info(r, t, &offset[i]);
	}
	int64_t align = 32;
	ok = ok && ul_gguf_int(g, "general.alignment", false, &align, r->err);
	if (ok && (align < 8 || align > 1 << 20 || align % 8))
		ok = ul_fail(r->err, "%s: an alignment of %lld, a multiple of 8 up to %d is read", r->what, (long long)align, 1 << 20);
	size_t base = ok ? (r->at + (size_t)align - 1) / (size_t)align * (size_t)align : 0;
	for (uint64_t i = 0; ok && i < n; i++)
		ok = place(r, &out->t[first + (int)i], offset[i], base, (size_t)align);
	ok = ok && (!n || check_overlap(r, out->t + first, (int)n));
	ul_free(offset);
	return ok;
}

bool ul_gguf_parse(const unsigned char *data, size_t len, const char *what, ul_gguf *g, ul_tensors *out, ul_arena *a, ul_err *err)
{
	struct reader r = {data, 4, len, what, a, err};
	uint64_t version, tensors, keys;
	if (len < 4 || memcmp(data, "GGUF", 4))
		return ul_fail(err, "%s is no GGUF file", what);
	if (!get(&r, 4, &version, "the header"))
		return false;
	if (version != 2 && version != 3) {
		bool swapped = version == 2u << 24 || version == 3u << 24;
		return ul_fail(err, swapped ? "%s: big-endian GGUF is not read (version field %llu)" : "%s: GGUF version %llu, 2 and 3 are read", what, (unsigned long long)version);
	}
	if (!get(&r, 8, &tensors, "the header") || !get(&r, 8, &keys, "the header"))
		return false;
	/* A key takes at least 13 bytes, a tensor 32. */
	if (keys > MAX_KEYS || keys > (len - r.at) / 13)
		return ul_fail(err, "%s claims %llu keys, %zu bytes are left and at most %d keys are read", what, (unsigned long long)keys, len - r.at, MAX_KEYS);
	if (tensors > MAX_TENSORS || tensors > (len - r.at) / 32)
		return ul_fail(err, "%s claims %llu tensors, %zu bytes are left and at most %d tensors are read", what, (unsigned long long)tensors, len - r.at, MAX_TENSORS);
	ul_gguf got = {.version = (uint32_t)version, .arch = ""};
	if (!read_keys(&r, keys, &got) || !read_tensors(&r, tensors, &got, out))
		return false;
	char *arch = ul_gguf_str(&got, "general.architecture", a);
	if (arch)
		got.arch = arch;
	*g = got;
	return true;
}

/* ---- keys ---- */

const ul_gguf_kv *ul_gguf_find(const ul_gguf *g, const char *key)
{
	char full[256];
	if (!strncmp(key, "%s", 2)) {
		snprintf(full, sizeof full, "%.128s%s", g->arch, key + 2);
		key = full;
	}
	ul_gguf_kv want = {.key = key};
	return g->keys ? bsearch(&want, g->kv, (size_t)g->keys, sizeof want, by_key) : NULL;
}

static uint64_t bits(const ul_gguf_kv *kv)
{
	uint64_t x = 0;
	for (size_t i = 0; i < value_size[kv->type]; i++)
		x |= (uint64_t)kv->data[i] << (8 * i);
	return x;
}

static bool missing(const char *key, const ul_gguf *g, bool must, ul_err *err)
{
	return must ? ul_fail(err, "the GGUF has no key \"%s%s\"", strncmp(key, "%s", 2) ? "" : g->arch, strncmp(key, "%s", 2) ? key : key + 2) : true;
}

bool ul_gguf_int(const ul_gguf *g, const char *key, bool must, int64_t *out, ul_err *err)
{
	const ul_gguf_kv *kv = ul_gguf_find(g, key);
	if (!kv)
		return missing(key, g, must, err);
	uint64_t x = value_size[kv->type] ? bits(kv) : 0;
	switch (kv->type) {
	case UL_GGUF_I8:
		*out = (int8_t)x;
		return true;
	case UL_GGUF_I16:
		*out = (int16_t)x;
		return true;
	case UL_GGUF_I32:
		*out = (int32_t)x;
		return true;
	case UL_GGUF_U8:
	case UL_GGUF_U16:
	case UL_GGUF_U32:
	case UL_GGUF_I64:
		*out = (int64_t)x;
		return true;
	case UL_GGUF_U64:
		if (x > INT64_MAX)
			return ul_fail(err, "the GGUF key \"%s\" is %llu, at most %lld is read", kv->key, (unsigned long long)x, (long long)INT64_MAX);
		*out = (int64_t)x;
		return true;
	default:
		return ul_fail(err, "the GGUF key \"%s\" is no integer", kv->key);
	}
}

bool ul_gguf_real(const ul_gguf *g, const char *key, bool must, double *out, ul_err *err)
{
	const ul_gguf_kv *kv = ul_gguf_find(g, key);
	if (!kv)
		return missing(key, g, must, err);
	if (kv->type == UL_GGUF_F32) {
		float f;
		uint32_t x = (uint32_t)bits(kv);
		memcpy(&f, &x, sizeof f);
		*out = (double)f;
		return true;
	}
	if (kv->type == UL_GGUF_F64) {
		uint64_t x = bits(kv);
		memcpy(out, &x, sizeof x);
		return true;
	}
	int64_t i = 0;
	if (!ul_gguf_int(g, key, must, &i, err))
		return false;
	*out = (double)i;
	return true;
}

bool ul_gguf_bool(const ul_gguf *g, const char *key, bool *out, ul_err *err)
{
	const ul_gguf_kv *kv = ul_gguf_find(g, key);
	if (!kv)
		return true;
	if (kv->type != UL_GGUF_BOOL)
		return ul_fail(err, "the GGUF key \"%s\" is neither true nor false", kv->key);
	*out = kv->data[0] != 0;
	return true;
}

char *ul_gguf_str(const ul_gguf *g, const char *key, ul_arena *a)
{
	const ul_gguf_kv *kv = ul_gguf_find(g, key);
	if (!kv || kv->type != UL_GGUF_STRING || memchr(kv->data, 0, (size_t)kv->n))
		return NULL;
	char *s = ul_alloc(a, (size_t)kv->n + 1);
	if (s && kv->n)
		memcpy(s, kv->data, (size_t)kv->n);
	return s;
}
