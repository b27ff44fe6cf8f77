/*
 * cmd_info.c: info MODEL. What a checkpoint is, what it holds, and the memory that it will take.
 */
#include "cli/work.h"
#include "model/lora.h"
#include "tensor/backend.h"

#include <string.h>

struct config {
	bool tensors;
};

static const ul_opt opts[] = {
        {"tensors", UL_OPT_BOOL, offsetof(struct config, tensors), "no", 0, 0, NULL, "the SHA-256 of each tensor's float32 values too", NULL},
        {0},
};

/* ---- tensors ---- */

/* Rows and columns as the Hugging Face file has them, whatever way round the program keeps them. */
static json_t *shape_of(const ul_param *p)
{
	if (p->vector)
		return json_pack("[i]", p->rows * p->cols);
	return p->transposed ? json_pack("[i,i]", p->cols, p->rows) : json_pack("[i,i]", p->rows, p->cols);
}

static bool hash_of(const ul_param *p, char hex[65], ul_err *err)
{
	size_t rows = (size_t)p->rows, cols = (size_t)p->cols, n = rows * cols;
	float *x = ul_malloc(n * sizeof *x), *y = p->transposed ? ul_malloc(n * sizeof *y) : x;
	bool ok = (x && y) || ul_nomem(err, n * sizeof *x);
	if (ok) {
		ul_param_get_f32(p, x);
		for (size_t i = 0; y != x && i < rows; i++)
			for (size_t j = 0; j < cols; j++)
				y[j * rows + i] = x[i * cols + j];
		ul_sha256(y, n * sizeof *y, hex);
	}
	if (y != x)
		ul_free(y);
	ul_free(x);
	return ok;
}

static json_t *tensors(const ul_model *m, bool hashes, ul_err *err)
{
	json_t *list = json_array();
	for (int i = 0; i < m->params; i++) {
		const ul_param *p = m->param[i];
		char hex[65];
		json_t *v = json_pack("{s:s, s:o, s:s}", "name", p->name, "shape", shape_of(p), "dtype", ul_dtype_name(p->dtype));
		json_array_append_new(list, v);
		if (hashes && !hash_of(p, hex, err)) {
			json_decref(list);
			return NULL;
		}
		if (hashes)
			json_object_set_new(v, "sha256", json_string(hex));
	}
	return list;
}

/* The dtype that most elements have. */
static const char *main_dtype(const ul_model *m)
{
	size_t count[UL_DTYPES] = {0};
	int best = 0;
	for (int i = 0; i < m->params; i++)
		count[m->param[i]->dtype] += (size_t)m->param[i]->rows * (size_t)m->param[i]->cols;
	for (int t = 1; t < UL_DTYPES; t++)
		best = count[t] > count[best] ? t : best;
	return ul_dtype_name((enum ul_dtype)best);
}

/* ---- memory, in bytes ---- */

/* Estimates. Weights are float32 in memory; a recomputed block keeps its input only, so that a step of T tokens takes L inputs, the
 * inside of one block (about 8 widths, 4 feed-forward widths and their gradients) and 256 rows of logits, twice. */
static json_t *memory(const ul_model *m)
{
	const double elem = (double)m->be->elem, tokens = 1024, weights = (double)ul_model_count(m) * elem;
	const ul_config *c = &m->cfg;
	double kv = 2.0 * c->layers * c->kv_heads * c->head_dim * elem;
	double block = 2.0 * tokens * (8.0 * c->hidden + 4.0 * c->ffn) * elem, logits = 2.0 * 256 * c->vocab * elem;
	double step = tokens * c->hidden * c->layers * elem + block + logits;
	double lora = 0; /* r = 8 on every matrix of every block */
	for (int i = 0; i < m->params; i++)
		if (!m->param[i]->vector && m->param[i] != m->embed && m->param[i] != m->head && m->param[i] != m->pos_embed)
			lora += 8.0 * (m->param[i]->rows + m->param[i]->cols) * elem;
	return json_pack("{s:I, s:I, s:I, s:I}", "inference", (json_int_t)(weights + kv * c->context), "kv_per_token", (json_int_t)kv,
	        "train_lora", (json_int_t)(weights + 4 * lora + step), "train_full", (json_int_t)(4 * weights + step));
}

/* ---- the whole ---- */

static json_t *tokenizer(const ul_tok *t)
{
	if (!t)
		return json_null();
	json_t *v = json_pack("{s:i}", "size", ul_tok_size(t));
	json_object_set_new(v, "bos", ul_tok_bos(t) < 0 ? json_null() : json_integer(ul_tok_bos(t)));
	json_object_set_new(v, "eos", ul_tok_eos(t) < 0 ? json_null() : json_integer(ul_tok_eos(t)));
	return v;
}

static json_t *chat(const ul_tok *t)
{
	enum ul_chat kind;
	char system[256];
	ul_err none = {0};
	if (!t || !ul_tok_chat_template(t))
		return json_null();
	return json_string(ul_chat_detect(ul_tok_chat_template(t), &kind, system, &none) ? ul_chat_name(kind) : "unknown");
}

static json_t *adapter(const ul_model *m)
{
	if (!m->adapter)
		return json_null();
	size_t n = 0;
	for (int i = 0; i < m->adapter->params; i++)
		n += (size_t)m->adapter->param[i]->rows * (size_t)m->adapter->param[i]->cols;
	return json_pack("{s:i, s:f, s:b, s:I}", "r", m->adapter->cfg.r, "alpha", m->adapter->cfg.alpha, "rslora", m->adapter->cfg.rslora, "parameters", (json_int_t)n);
}

static json_t *describe(ul_model *m, bool hashes, ul_err *err)
{
	const ul_config *c = &m->cfg;
	json_t *list = ul_model_hash(m, err) ? tensors(m, hashes, err) : NULL;
	if (!list)
		return NULL;
	json_t *v = json_pack("{s:s, s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:b}", "architecture", m->arch->name, "parameters", (json_int_t)ul_model_count(m), "layers", c->layers, "hidden", c->hidden, "heads", c->heads, "kv_heads", c->kv_heads, "head_dim", c->head_dim, "ffn", c->ffn, "vocab", c->vocab, "context", c->context, "dtype", main_dtype(m), "tied", c->tied);
	const char *type = ul_json_str(m->config, "model_type");
	json_object_set_new(v, "model_type", type ? json_string(type) : json_null());
	json_object_set_new(v, "window", json_integer(c->window));
	json_object_set_new(v, "tokenizer", tokenizer(m->tok));
	json_object_set_new(v, "chat_template", chat(m->tok));
	json_object_set_new(v, "adapter", adapter(m));
	json_object_set_new(v, "memory", memory(m));
	json_object_set_new(v, "path", json_string(m->path ? m->path : ""));
	json_object_set_new(v, "sha256", json_string(m->sha256));
	json_object_set_new(v, "tensors", list);
	return v;
}

static double mib(const json_t *v, const char *key)
{
	return json_number_value(json_object_get(json_object_get(v, "memory"), key)) / (1 << 20);
}

static void print(const json_t *v, bool hashes)
{
	static const char *const lines[] = {"path", "architecture", "parameters", "layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab", "context", "dtype", "tied", "chat_template", "sha256"};
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		const json_t *x = json_object_get(v, lines[i]);
		if (json_is_integer(x))
			printf("%-14s %lld\n", lines[i], (long long)json_integer_value(x));
		else
			printf("%-14s %s\n", lines[i], json_is_string(x) ? json_string_value(x) : json_is_true(x) ? "yes"
			                                                                  : json_is_false(x)      ? "no"
			                                                                                          : "none");
	}
	const json_t *tok = json_object_get(v, "tokenizer"), *t;
	printf("%-14s %lld\n", "tokens known", (long long)json_integer_value(json_object_get(tok, "size")));
	printf("%-14s %.0f MiB to run with a full context, %.0f MiB to train an adapter (r 8, 1024 tokens a step), %.0f MiB to train all\n", "memory", mib(v, "inference"), mib(v, "train_lora"), mib(v, "train_full"));
	size_t i;
	json_array_foreach(json_object_get(v, "tensors"), i, t)
	{
		if (!hashes)
			break;
		const json_t *shape = json_object_get(t, "shape");
		printf("%s  %-5s", ul_json_str(t, "sha256"), ul_json_str(t, "dtype"));
		for (size_t d = 0; d < json_array_size(shape); d++)
			printf(d ? " x %lld" : " %lld", (long long)json_integer_value(json_array_get(shape, d)));
		printf("  %s\n", ul_json_str(t, "name"));
	}
}

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	ul_model *m = ul_work_model(c, c->arg[0]);
	json_t *v = m ? describe(m, o->tensors, &c->err) : NULL;
	if (v && c->json)
		ul_cli_print(c, v);
	else if (v)
		print(v, o->tensors);
	json_decref(v);
	ul_model_free(m);
	return v ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_verb_info = {
        .name = "info",
        .usage = "MODEL [--tensors]",
        .summary = "what a checkpoint is, and the memory it takes",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
