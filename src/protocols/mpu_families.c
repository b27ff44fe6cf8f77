/*
 * mpu_families.c: which transforms of MPU each kind of model bears: the facts that drawing and refusing go by, and the same as words.
 */
#include "base/json.h"
#include "protocols/mpu.h"

ul_mpu_bears ul_mpu_borne(const ul_model *m)
{
	return (ul_mpu_bears){.planes = m->cfg.rot > 0, .angles = m->cfg.rot > 0 && !m->cfg.qk_norm, .signs = !m->norm_b};
}

/* The smallest model of a kind, under the names that any of the architectures reads. */
static ul_model *smallest(const char *type, ul_err *err)
{
	json_t *config = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "model_type", type, "vocab_size", 8, "num_hidden_layers", 1, "hidden_size", 16, "num_attention_heads", 2,
	        "num_key_value_heads", 1, "head_dim", 8, "intermediate_size", 8, "max_position_embeddings", 8, "n_layer", 1, "n_embd", 16, "n_head", 2, "n_inner", 8, "n_positions", 8);
	ul_model *m = config ? ul_model_random(config, 0, "cpu", err) : (ul_nomem(err, 1024), NULL);
	json_decref(config);
	return m;
}

static json_t *words(const char *type, ul_mpu_bears b)
{
	const char *turns = !b.planes ? "signed permutation" : b.angles ? "quarter turns, free angles"
	                                                                : "quarter turns";
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "model_type", type, "ffn", "permutation", "heads", "permutation", "values", "signed permutation", "queries", turns, "residual",
	        b.signs ? "signed permutation" : "permutation", "adamw", b.angles ? "all but free angles" : "all");
}

json_t *ul_mpu_all_families(ul_err *err)
{
	json_t *list = json_array();
	bool ok = list || ul_nomem(err, 64);
	for (const ul_arch *const *a = ul_archs; ok && *a; a++)
		for (const char *const *type = (*a)->model_types; ok && *type; type++) {
			ul_model *m = smallest(*type, err);
			ok = m && (json_array_append_new(list, words(*type, ul_mpu_borne(m))) == 0 || ul_nomem(err, 256));
			ul_model_free(m);
		}
	if (ok)
		return list;
	json_decref(list);
	return NULL;
}
