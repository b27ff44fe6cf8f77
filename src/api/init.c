/*
 * init.c: a model that knows nothing yet: random weights of a preset or of a config.json, and a tokenizer from a folder or learnt
 * from the data it will be trained on.
 */
#include "api/api.h"

#include <string.h>

/* The texts a row is made of, without what a template adds. */
static bool learn(ul_tok **out, const ul_dataset *d, int vocab, ul_err *err)
{
	size_t most = 2 * (size_t)d->n + 1, n = 0;
	const char **text = ul_malloc(most * sizeof *text);
	size_t *len = ul_malloc(most * sizeof *len);
	bool ok = (text && len) || ul_nomem(err, most * sizeof *text);
	for (int i = 0; ok && i < d->n; i++) {
		const char *parts[] = {d->row[i].text, d->row[i].prompt, d->row[i].response};
		for (int k = 0; k < 3; k++) {
			if (parts[k] && n < most) {
				text[n] = parts[k];
				len[n++] = strlen(parts[k]);
			}
		}
	}
	if (ok && n == 0) {
		ok = ul_fail(err, "%s holds no text to learn a tokenizer from", d->path ? d->path : "the data");
	}
	*out = ok ? ul_tok_train(text, len, (int)n, vocab, err) : NULL;
	ul_free(text);
	ul_free(len);
	return *out != NULL;
}

static bool tokenizer(ul_tok **out, const ul_job_config *c, const char *map, ul_err *err)
{
	*out = NULL;
	if (c->tokenizer && c->train_tokenizer > 0) {
		return ul_fail(err, "--tokenizer and --train-tokenizer exclude each other");
	}
	if (c->tokenizer) {
		*out = ul_tok_open_dir(c->tokenizer, err);
		return *out != NULL;
	}
	if (c->train_tokenizer == 0) {
		return true; /* rows of ids */
	}
	ul_dataset d = {0};
	ul_data_config how = {.map = map};
	if (!c->data) {
		return ul_fail(err, "no rows to learn: --data F is wanted");
	}
	bool ok = ul_dataset_read(&d, c->data, &how, err) && learn(out, &d, (int)c->train_tokenizer, err);
	ul_dataset_release(&d);
	return ok;
}

static json_t *configuration(const char *init, int vocab, ul_err *err)
{
	size_t n = strlen(init);
	if (n < 5 || strcmp(init + n - 5, ".json")) {
		return ul_model_preset(init, vocab, err);
	}
	json_t *config = ul_json_file(init, (size_t)4 << 20, err);
	int64_t own = 0;
	if (!config || vocab == 0) {
		return config;
	}
	if (!ul_json_int(config, "vocab_size", 1, 1 << 24, &own, err) || own >= vocab) {
		return config;
	}
	ul_fail(err, "%s has a vocabulary of %lld, the tokenizer one of %d", init, (long long)own, vocab);
	json_decref(config);
	return NULL;
}

ul_model *ul_model_init(const ul_job_config *c, const char *map, uint64_t seed, ul_err *err)
{
	ul_tok *tok;
	if (!tokenizer(&tok, c, map, err)) {
		return NULL;
	}
	/* Rows of ids bring no vocabulary: a preset then keeps its own. */
	json_t *config = configuration(c->init, tok ? ul_tok_size(tok) : 0, err);
	ul_model *m = config ? ul_model_random(config, seed, NULL, err) : NULL;
	json_decref(config);
	if (!m) {
		ul_tok_free(tok);
		return NULL;
	}
	m->tok = tok;
	return m;
}
