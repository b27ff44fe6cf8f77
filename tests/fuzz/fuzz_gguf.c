/*
 * fuzz_gguf.c: false counts, lengths and offsets; an accepted file is opened as a model, weights, keys and tokenizer.
 */
#include "fuzz.h"

#include "model/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_err err = {0};
	ul_open o = {.backend = "ref"};
	ul_model *m = ul_model_open_with(fuzz_file(data, size, ".gguf"), &o, &err);
	fuzz_verdict(m != NULL, &err);
	ul_model_free(m);
	return 0;
}
