/*
 * safetensors.h: Hugging Face's tensor file: 8 bytes of header length, a JSON header, raw little-endian data.
 */
#ifndef UL_SAFETENSORS_H
#define UL_SAFETENSORS_H

#include "model/files.h"
#include "tensor/backend.h"

/* Appends the tensors of one file's bytes. `what` names the file in messages; names are copied into `a`, data is borrowed. */
bool ul_safetensors_parse(const unsigned char *data, size_t len, const char *what, ul_tensors *out, ul_arena *a, ul_err *err);
/* The shard names of a model.safetensors.index.json, each once, in order: *names [n], in arena a. */
bool ul_safetensors_index(const json_t *index, const char *what, ul_arena *a, char ***names, int *n, ul_err *err);

typedef struct ul_st_out { /* one tensor to write */
	const char *name;
	int dims;
	int64_t shape[2];
	const ul_backend *be; /* of data; NULL: data is float */
	const void *data;
	enum ul_dtype as; /* not UL_F32: data is packed like this, and not turned */
	bool transpose; /* memory is [shape[1], shape[0]] */
} ul_st_out;
/* F32, F16, BF16 or F64, in the order given, streamed. */
bool ul_safetensors_write(const char *path, const ul_st_out *t, int n, enum ul_dtype dtype, ul_err *err);
/* The same tensors to several files at once, made one at a time, just before each is written: `fill` puts tensor i of file k into room,
 * in the order of memory; it is asked for all files of a tensor before the next. t[i].data and .be are not looked at then. */
typedef struct ul_st_many {
	const char *const *path; /* [files] */
	int files;
	bool (*fill)(void *ud, int k, int i, float *room, ul_err *err); /* NULL: t[i].data goes to each */
	void *ud;
} ul_st_many;
bool ul_safetensors_many(const ul_st_many *f, const ul_st_out *t, int n, enum ul_dtype dtype, ul_err *err);

#endif
