/*
 * files.h: the tensors of a checkpoint, whatever file format they came in: name, dtype, shape and mapped bytes.
 */
#ifndef UL_FILES_H
#define UL_FILES_H

#include "base/file.h"
#include "model/model.h"

enum { UL_TENSOR_DIMS = 4 };

typedef struct ul_tensor {
	const char *name;
	enum ul_dtype dtype; /* UL_DTYPES: a type of the format that this program does not read (masks, IQ4, …) */
	const char *dtype_name; /* as the file calls it */
	int dims;
	int64_t shape[UL_TENSOR_DIMS]; /* row-major, slowest first */
	size_t n; /* elements */
	const unsigned char *data; /* borrowed from the map */
	size_t bytes; /* 0 when dtype is UL_DTYPES */
	bool used; /* some parameter came from it */
} ul_tensor;

typedef struct ul_tensors { /* sorted by name once a file is complete */
	ul_tensor *t;
	int n, cap;
} ul_tensors;

/* Everything a model keeps open. */
typedef struct ul_files {
	ul_arena arena; /* names */
	ul_map *map;
	char **path; /* [maps] */
	int maps;
	ul_tensors tensors;
	ul_gguf *gguf; /* NULL unless the checkpoint is one */
} ul_files;

/* A directory with model.safetensors or an index of shards, or one .gguf. Reads headers only. */
ul_files *ul_files_open(const char *path, ul_err *err);
void ul_files_close(ul_files *f);

ul_tensor *ul_tensors_add(ul_tensors *ts, ul_err *err); /* zeroed */
bool ul_tensors_sort(ul_tensors *ts, const char *what, ul_err *err); /* refuses the same name twice */
ul_tensor *ul_tensors_find(const ul_tensors *ts, const char *name);
/* "[3, 4]" */
void ul_tensor_shape(const ul_tensor *t, char out[96]);

#endif
