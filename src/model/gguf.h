/*
 * gguf.h: llama.cpp's checkpoint file, versions 2 and 3: typed keys, tensor table, aligned data; and writing version 3.
 */
#ifndef UL_GGUF_H
#define UL_GGUF_H

#include "model/files.h"

enum ul_gguf_type {
	UL_GGUF_U8,
	UL_GGUF_I8,
	UL_GGUF_U16,
	UL_GGUF_I16,
	UL_GGUF_U32,
	UL_GGUF_I32,
	UL_GGUF_F32,
	UL_GGUF_BOOL,
	UL_GGUF_STRING,
	UL_GGUF_ARRAY,
	UL_GGUF_U64,
	UL_GGUF_I64,
	UL_GGUF_F64,
	UL_GGUF_TYPES
};

typedef struct ul_gguf_kv {
	const char *key;
	enum ul_gguf_type type, elem; /* elem: of an array */
	uint64_t n; /* elements of an array, bytes of a string */
	const unsigned char *data; /* borrowed: the value, or the first element */
} ul_gguf_kv;

struct ul_gguf {
	uint32_t version;
	ul_gguf_kv *kv;
	int keys;
	const char *arch; /* general.architecture, or "" */
};

/* Parses the bytes of one file: keys into *g, tensors appended to `out`. Everything is copied into or allocated from `a`. */
bool ul_gguf_parse(const unsigned char *data, size_t len, const char *what, ul_gguf *g, ul_tensors *out, ul_arena *a, ul_err *err);

/* `key` may begin with "%s", which stands for the architecture. Absent keys leave *out alone and are fine unless `must`. */
const ul_gguf_kv *ul_gguf_find(const ul_gguf *g, const char *key);
bool ul_gguf_int(const ul_gguf *g, const char *key, bool must, int64_t *out, ul_err *err);
bool ul_gguf_real(const ul_gguf *g, const char *key, bool must, double *out, ul_err *err);
bool ul_gguf_bool(const ul_gguf *g, const char *key, bool *out, ul_err *err);
char *ul_gguf_str(const ul_gguf *g, const char *key, ul_arena *a); /* NULL when absent or no string */

/* The tokenizer inside. NULL with an error when there is none; *none tells absence from failure. */
ul_tok *ul_gguf_tok(const ul_gguf *g, bool *none, ul_err *err);

/* ---- writing ---- */

typedef struct ul_gguf_out { /* keys as they are gathered; "%s" stands for the architecture */
	ul_buf kv;
	int keys;
	char arch[32];
	double *factors; /* [rot / 2]: rope_freqs.weight, or NULL */
	int factors_n;
	ul_arena arena;
} ul_gguf_out;

void ul_gguf_out_arch(ul_gguf_out *o, const char *arch);
void ul_gguf_out_str(ul_gguf_out *o, const char *key, const char *s);
void ul_gguf_out_u32(ul_gguf_out *o, const char *key, uint32_t x);
void ul_gguf_out_f32(ul_gguf_out *o, const char *key, double x);
void ul_gguf_out_bool(ul_gguf_out *o, const char *key, bool x);
void ul_gguf_out_sizes(ul_gguf_out *o, const ul_config *c); /* layers, widths, heads, context, vocabulary */
/* Base, columns, and the scaling as one divisor per frequency; attention factors other than 1 are refused by the caller. */
bool ul_gguf_out_rope(ul_gguf_out *o, const ul_model *m, ul_err *err);

/* GGUF version 3 with everything llama.cpp needs. dtype: UL_F32, UL_F16, UL_BF16 or UL_Q8_0 for matrices; the rest is F32. */
bool ul_gguf_write(ul_model *m, const char *path, int dtype, ul_err *err);

#endif
