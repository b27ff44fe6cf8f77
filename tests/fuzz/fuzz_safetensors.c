/*
 * fuzz_safetensors.c: headers that lie. Every byte of every tensor of an accepted file must be there to be read.
 */
#include "fuzz.h"

#include "model/safetensors.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_err err = {0};
	ul_arena a = {0};
	ul_tensors ts = {0};
	bool ok = ul_safetensors_parse(data, size, "input", &ts, &a, &err) && ul_tensors_sort(&ts, "input", &err);
	for (int i = 0; ok && i < ts.n; i++) {
		const ul_tensor *t = &ts.t[i];
		float x[64];
		char shape[96];
		ul_tensor_shape(t, shape);
		UL_ASSERT(ul_tensors_find(&ts, t->name) == t, "%s", t->name);
		UL_ASSERT(t->bytes <= size, "%zu", t->bytes);
		if (t->dtype == UL_F64 || t->dtype == UL_DTYPES)
			continue;
		for (size_t at = 0; at < t->n; at += 64) {
			size_t n = t->n - at < 64 ? t->n - at : 64;
			ul_dequantize(t->dtype, t->data + ul_dtype_bytes(t->dtype, at), x, n);
		}
	}
	fuzz_verdict(ok, &err);
	ul_free(ts.t);
	ul_arena_release(&a);
	return 0;
}
