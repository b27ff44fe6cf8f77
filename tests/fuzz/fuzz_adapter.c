/*
 * fuzz_adapter.c: adapter_config.json beside good weights for a good model.
 */
#include "fuzz.h"

#include "base/file.h"
#include "model/lora.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static ul_model *m;
	static ul_buf weights;
	ul_err err = {0};
	if (!m) {
		ul_open o = {.backend = "ref"};
		m = ul_model_open_with("tests/golden/families/llama", &o, &err);
		bool ok = m && ul_file_read(&weights, "tests/golden/adapters/llama_all/adapter_model.safetensors", 1 << 20, &err);
		UL_ASSERT(ok, "%s", err.msg);
	}
	const char *dir = fuzz_dir();
	fuzz_dir_file("adapter_model.safetensors", weights.data, weights.len);
	fuzz_dir_file("adapter_config.json", data, size);
	bool ok = ul_lora_open(m, dir, &err);
	UL_ASSERT(ok == (m->adapter != NULL), "%s", err.msg);
	fuzz_verdict(ok, &err);
	ul_lora_detach(m);
	return 0;
}
