/*
 * fuzz_config.c: config.json of every architecture.
 */
#include "fuzz.h"

#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_err err = {0};
	ul_open o = {.backend = "ref", .no_weights = true, .no_tokenizer = true};
	const char *dir = fuzz_dir();
	fuzz_dir_file("config.json", data, size);
	ul_model *m = ul_model_open_with(dir, &o, &err);
	if (m) {
		const ul_config *c = &m->cfg;
		UL_ASSERT(c->layers > 0 && c->hidden > 0 && c->heads > 0 && c->heads % c->kv_heads == 0 && c->rot <= c->head_dim && c->eos_n <= 8, "%d layers", c->layers);
		for (int i = 0; i < c->rot / 2; i++)
			UL_ASSERT(c->inv_freq[i] > 0, "frequency %d is %g", i, c->inv_freq[i]);
	}
	fuzz_verdict(m != NULL, &err);
	ul_model_free(m);
	return 0;
}
