/*
 * fuzz_jsonl.c: data files, as strangers write them.
 */
#include "fuzz.h"

#include "data/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_dataset d = {0};
	ul_err err = {0};
	bool ok = ul_dataset_read(&d, fuzz_file(data, size, ".jsonl"), NULL, &err);
	fuzz_verdict(ok, &err);
	if (ok)
		ul_dataset_overlap(&d, &d);
	ul_dataset_release(&d);
	return 0;
}
