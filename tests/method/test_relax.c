/*
 * test_relax.c: short inputs of a small model, found again from what it expects behind them.
 */
#include "test.h"

#include "tensor/backend.h"
#include "train/inverter.h"
#include "train/relax.h"

enum { VOCAB = 40 };

static ul_model *loud(const char *backend)
{
	ul_err err = {0};
	json_t *config = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f}", "model_type", "llama", "num_hidden_layers", 1, "hidden_size", 32, "num_attention_heads", 4, "intermediate_size", 48, "vocab_size", VOCAB,
	        "max_position_embeddings", 32, "rms_norm_eps", 1e-5, "initializer_range", 0.3);
	ul_set_threads(1);
	ul_model *m = ul_model_random(config, 5, backend, &err);
	NEED_OK(m, err);
	json_decref(config);
	return m;
}

static int found(const char *backend, ul_relax_config c, int *rows)
{
	ul_model *m = loud(backend);
	ul_err err = {0};
	int hits = 0;
	ul_rng r = ul_rng_at(9, "inputs", 0);
	for (int i = 0; i < *rows; i++) {
		int want[2] = {(int)ul_rng_below(&r, VOCAB), (int)ul_rng_below(&r, VOCAB)}, got[2] = {-1, -1};
		float hidden[32];
		double kl = -1;
		NEED_OK(ul_last_rows(m, &(ul_ids){.id = want, .n = 2}, 1, hidden, NULL, &err), err);
		NEED_OK(ul_relax(m, hidden, 2, &c, got, &kl, &err), err);
		bool same = got[0] == want[0] && got[1] == want[1];
		hits += same;
		CHECK(kl >= -1e-9 && (!same || kl < 1e-6));
		int again[2];
		double kl_again;
		NEED_OK(ul_relax(m, hidden, 2, &c, again, &kl_again, &err), err); /* the same seed, the same answer */
		CHECK(again[0] == got[0] && again[1] == got[1] && kl_again == kl);
	}
	ul_model_free(m);
	return hits;
}

static void test_relax__finds_short_inputs(void)
{
	int rows = 10;
	ul_relax_config c = {.steps = 800, .restart = 10, .check = 5, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .decay = 0.02, .temperature = 0.1, .seed = 1};
	int hits = found("cpu", c, &rows);
	CHECK_MSG(hits >= 8, "%d of %d found", hits, rows); /* chance: 1 in 1600 each */
	rows = 2;
	CHECK(found("ref64", c, &rows) >= 1);
}

static void test_relax__refuses(void)
{
	ul_model *m = loud("cpu");
	ul_err err = {0};
	float hidden[32] = {0};
	int ids[64];
	double kl;
	ul_relax_config c = {.steps = 1, .restart = 1, .check = 1, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .temperature = 1};
	CHECK_FAILS(ul_relax(m, hidden, 40, &c, ids, &kl, &err), err, "40 tokens do not fit the context of 32");
	ul_model_free(m);
}
