/* A small world for audits: a byte-level tokenizer, a random model that is sure of what it says, and rows made of its own words. */
#ifndef AUDIT_WORLD_H
#define AUDIT_WORLD_H

#include "audits/audit.h"
#include "test.h"

/* tokenizer.json of GPT-2's bytes without merges; id = order of the bytes in it, 256 = the end. */
static inline void world_tokenizer(ul_buf *b)
{
	static const char *const special = "{\"id\":256,\"content\":\"<|endoftext|>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}";
	ul_buf_printf(b, "{\"version\":\"1.0\",\"added_tokens\":[%s],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{", special);
	for (int c = 0, other = 256; c < 256; c++) {
		bool plain = (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || c >= 174;
		ul_buf_printf(b, "\"\\u%04x\":%d,", plain ? c : other++, c);
	}
	ul_buf_str(b, "\"<|endoftext|>\":256},\"merges\":[]}}");
}

static inline ul_model *world_model(uint64_t seed)
{
	ul_err err = {0};
	ul_buf tok = {0};
	json_t *config = json_pack("{s:[s], s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:b, s:i, s:s}", "architectures", "LlamaForCausalLM", "model_type", "llama", "num_hidden_layers", 2, "hidden_size", 32, "num_attention_heads", 2, "num_key_value_heads", 1, "intermediate_size", 64, "vocab_size", 257, "max_position_embeddings", 160, "rms_norm_eps", 1e-5, "rope_theta", 1e4, "tie_word_embeddings", 0, "eos_token_id", 256, "hidden_act", "silu");
	ul_model *m = ul_model_random(config, seed, "cpu", &err);
	json_decref(config);
	NEED_OK(m, err);
	world_tokenizer(&tok);
	m->tok = ul_tok_open_json(tok.data, tok.len, &err);
	NEED_OK(m->tok, err);
	ul_buf_release(&tok);
	for (int p = 0; p < m->params; p++) { /* weights large enough that some tokens are likely and others are not */
		ul_param *w = m->param[p];
		size_t n = (size_t)w->rows * (size_t)w->cols;
		double *x = ul_malloc(n * sizeof *x), by = w->vector ? 1 : w == m->head ? 40
		                                                                        : 8;
		ul_param_get(w, x);
		for (size_t i = 0; i < n; i++) {
			size_t id = i / (size_t)w->cols; /* of the head: it speaks in printable characters */
			x[i] *= w == m->head && (id <= 32 || id > 126) ? 0 : by;
		}
		ul_param_set(w, x);
		ul_free(x);
	}
	return m;
}

/* Twelve letters that the model says after the prompt; false when it says something else than letters. */
static inline bool world_say(ul_model *m, const char *prompt, char out[13])
{
	ul_err err = {0};
	ul_arena a = {0};
	ul_ids p = {0};
	ul_data_config c = {.templ = "plain"};
	ul_gen *g;
	ul_gen_config how = ul_gen_greedy(12);
	bool letters = true;
	how.ignore_eos = true;
	NEED_OK(ul_prompt_encode(m, &c, prompt, &p, &err) && ul_generate(m, &p, 1, &how, &a, &g, &err), err);
	for (int k = 0; k < 12; k++) {
		letters &= g->ids[k] > 32 && g->ids[k] < 127;
		out[k] = (char)g->ids[k];
	}
	out[12] = 0;
	ul_ids_release(&p);
	ul_arena_release(&a);
	return letters;
}

/* n rows {"prompt", "response", "spans", "subject"}, two to a subject; what `speaker` says itself, or noise. */
static inline void world_rows(ul_dataset *d, ul_model *speaker, int n, const char *who)
{
	ul_err err = {0};
	for (int i = 0; d->n < n && i < 100 * n; i++) {
		char prompt[64], answer[64];
		snprintf(prompt, sizeof prompt, "%s %d?", who, i);
		snprintf(answer, sizeof answer, "%s%dxy%d", who, i * 7919 % 1000, i * 31 % 100);
		if (speaker && !world_say(speaker, prompt, answer))
			continue;
		json_t *row = json_pack("{s:s, s:s, s:[{s:i, s:i, s:s}]}", "prompt", prompt, "response", answer, "spans", "start", 2, "end", 8, "type", "NAME");
		json_object_set_new(row, "subject", json_sprintf("%s%d", who, d->n / 2));
		NEED_OK(ul_dataset_add(d, row, &err), err);
		json_decref(row);
	}
	NEED(d->n == n);
}

static inline const ul_line *world_line(const ul_verdicts *v, const char *name)
{
	for (int i = 0; i < v->n; i++) {
		if (strcmp(v->line[i].def->name, name) == 0)
			return &v->line[i];
	}
	return NULL;
}

#endif
