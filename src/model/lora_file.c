/*
 * lora_file.c: adapters in the files of PEFT (adapter_config.json, adapter_model.safetensors).
 *
 * The tensors say which modules are adapted, and the configuration must agree; it gives rank and scale of each (lora_match.c).
 * Kinds of adapters that compute something else than scale · B A x are refused by name.
 */
#include "model/lora_file.h"
#include "base/file.h"
#include "model/safetensors.h"

#include <math.h>
#include <string.h>

enum { CONFIG_LIMIT = 4 << 20 };

/* ---- the configuration ---- */

static bool empty(const json_t *v)
{
	return !v || json_is_null(v) || json_is_false(v) || (json_is_array(v) && !json_array_size(v)) || (json_is_object(v) && !json_object_size(v));
}

bool ul_lora_check(const json_t *config, ul_err *err)
{
	static const char *const others[] = {"use_dora", "use_qalora", "use_bdlora", "lora_bias", "modules_to_save", "layer_replication", "trainable_token_indices",
	        "target_parameters", "alora_invocation_tokens", "arrow_config", "kasa_config", "monteclora_config", "velora_config", "megatron_config", NULL};
	static const char *const changed[] = {"pissa", "olora", "loftq", "corda", "lora_ga", NULL}; /* these begin by changing the base model */
	const char *type = ul_json_str(config, "peft_type"), *bias = ul_json_str(config, "bias"), *init = ul_json_str(config, "init_lora_weights");
	if (!json_is_object(config))
		return ul_fail(err, "adapter_config.json is no JSON object");
	if (!type || strcmp(type, "LORA"))
		return ul_fail(err, "the adapter is of the kind \"%.64s\", of PEFT's kinds only LORA is read", type ? type : "?");
	for (int i = 0; others[i]; i++)
		if (!empty(json_object_get(config, others[i])))
			return ul_fail(err, "the adapter uses %s, which is not supported", others[i]);
	if (bias && strcmp(bias, "none"))
		return ul_fail(err, "the adapter trains biases (bias = \"%.32s\"), which is not supported", bias);
	for (int i = 0; init && changed[i]; i++)
		if (!strncmp(init, changed[i], strlen(changed[i])))
			return ul_fail(err, "the adapter began as \"%.32s\", which changes the base model and is not supported", init);
	return true;
}

static bool scale_of(const json_t *config, const char *module, int *rank, double *scale, ul_err *err)
{
	double r = 8, alpha = 8;
	bool rs = false;
	if (!ul_json_real(config, "r", 1, 65536, &r, err) || !ul_json_real(config, "lora_alpha", -1e9, 1e9, &alpha, err) ||
	        !ul_json_bool(config, "use_rslora", &rs, err) || !ul_lora_pattern(config, "rank_pattern", module, &r, err) ||
	        !ul_lora_pattern(config, "alpha_pattern", module, &alpha, err))
		return false;
	if (!(r >= 1 && r <= 65536 && r == floor(r)))
		return ul_fail(err, "adapter_config.json gives \"%s\" the rank %g", module, r);
	*rank = (int)r;
	*scale = rs ? alpha / sqrt(r) : alpha / r;
	return true;
}

static json_t *strings(const char *const *names)
{
	json_t *list = json_array();
	for (; *names; names++)
		json_array_append_new(list, json_string(*names));
	return list;
}

static json_t *targets(const ul_model *m, const char *target)
{
	if (!strcmp(target, "all-linear"))
		return strings(m->arch->linears);
	if (!strcmp(target, "mlp"))
		return strings(m->arch->mlp);
	json_t *list = json_array();
	for (const char *at = target; *at;) {
		size_t n = strcspn(at, ",");
		json_array_append_new(list, json_stringn(at, n));
		at += n + (at[n] == ',');
	}
	return list;
}

static json_t *layer_list(const ul_model *m, const char *layers)
{
	if (!layers)
		return json_null();
	json_t *list = json_array();
	for (int i = 0; i < m->cfg.layers; i++)
		if (ul_lora_layer_listed(layers, i))
			json_array_append_new(list, json_integer(i));
	return list;
}

json_t *ul_lora_describe(const ul_model *m, const ul_lora_config *c)
{
	bool conv = false;
	for (int i = 0; i < m->params; i++)
		conv |= m->param[i]->transposed;
	json_t *j = json_object();
	json_object_set_new(j, "peft_type", json_string("LORA"));
	json_object_set_new(j, "task_type", json_string("CAUSAL_LM"));
	json_object_set_new(j, "base_model_name_or_path", json_string(m->path ? m->path : ""));
	json_object_set_new(j, "r", json_integer(c->r));
	json_object_set_new(j, "lora_alpha", c->alpha == floor(c->alpha) && fabs(c->alpha) < 1e9 ? json_integer((json_int_t)c->alpha) : json_real(c->alpha));
	json_object_set_new(j, "use_rslora", json_boolean(c->rslora));
	json_object_set_new(j, "target_modules", targets(m, c->target));
	json_object_set_new(j, "layers_to_transform", layer_list(m, c->layers));
	json_object_set_new(j, "fan_in_fan_out", json_boolean(conv));
	json_object_set_new(j, "bias", json_string("none"));
	json_object_set_new(j, "lora_dropout", json_real(0));
	json_object_set_new(j, "init_lora_weights", json_true());
	json_object_set_new(j, "inference_mode", json_true());
	json_object_set_new(j, "rank_pattern", json_object());
	json_object_set_new(j, "alpha_pattern", json_object());
	return j;
}

/* ---- reading ---- */

/* The weight a module's name means: as it stands, without what a multimodal wrapper put in front, or with the family's prefix. */
static ul_param *weight_of(const ul_model *m, const char *module)
{
	const char *const wrappers[] = {"", "language_model.", "model.language_model."};
	for (int i = 0; i < 3; i++) {
		size_t n = strlen(wrappers[i]);
		if (strncmp(module, wrappers[i], n))
			continue;
		char name[256];
		snprintf(name, sizeof name, "%s.weight", module + n);
		ul_param *w = ul_model_param(m, name);
		if (!w) {
			snprintf(name, sizeof name, "%s%s.weight", m->arch->prefix, module + n);
			w = ul_model_param(m, name);
		}
		if (w)
			return w;
	}
	return NULL;
}

static bool load(ul_param *p, ul_tensor *t, ul_err *err)
{
	char shape[96];
	ul_tensor_shape(t, shape);
	if (t->dims != 2 || t->shape[0] != p->rows || t->shape[1] != p->cols)
		return ul_fail(err, "adapter tensor \"%s\" has shape %s, [%d, %d] is needed", t->name, shape, p->rows, p->cols);
	if (t->dtype != UL_F32 && t->dtype != UL_F16 && t->dtype != UL_BF16)
		return ul_fail(err, "adapter tensor \"%s\" is stored as %s; F32, F16 and BF16 are read", t->name, t->dtype_name);
	float *x = ul_malloc(t->n * sizeof *x + 1);
	if (!x)
		return ul_nomem(err, t->n * sizeof *x);
	ul_dequantize(t->dtype, t->data, x, t->n);
	bool finite = true;
	for (size_t i = 0; i < t->n; i++)
		finite &= isfinite(x[i]) != 0;
	ul_param_set_f32(p, x);
	ul_free(x);
	p->dtype = t->dtype;
	t->used = true;
	return finite || ul_fail(err, "adapter tensor \"%s\" holds NaN or infinite values", t->name);
}

/* "base_model.model.<module>.lora_A.weight" -> <module>. */
static bool module_of(const char *name, char out[192])
{
	const char *head = "base_model.model.", *tail = ".lora_A.weight";
	size_t n = strlen(name), h = strlen(head), t = strlen(tail);
	if (n <= h + t || n - h - t >= 192 || strncmp(name, head, h) || strcmp(name + n - t, tail))
		return false;
	snprintf(out, 192, "%.*s", (int)(n - h - t), name + h);
	return true;
}

struct pair { /* one module's two tensors, by the weight they belong to */
	ul_tensor *a, *b;
	char module[192];
};

static bool collect(const ul_model *m, ul_tensors *ts, struct pair *pairs, ul_err *err)
{
	for (int i = 0; i < ts->n; i++) {
		char module[192], other[256];
		if (!module_of(ts->t[i].name, module))
			continue;
		ul_param *w = weight_of(m, module);
		int at = 0;
		char ours[192];
		while (w && m->param[at] != w)
			at++;
		if (!w || !ul_lora_module(m, w, ours))
			return ul_fail(err, "the adapter changes the module \"%s\", which is no linear layer of this model", module);
		if (pairs[at].a)
			return ul_fail(err, "the adapter changes the module \"%s\" twice", module);
		snprintf(other, sizeof other, "base_model.model.%s.lora_B.weight", module);
		pairs[at].a = &ts->t[i];
		pairs[at].b = ul_tensors_find(ts, other);
		snprintf(pairs[at].module, sizeof pairs[at].module, "%s", module);
		if (!pairs[at].b)
			return ul_fail(err, "the adapter has no tensor \"%s\"", other);
	}
	return true;
}

static bool hang_all(ul_model *m, ul_adapter *ad, ul_tensors *ts, const struct pair *pairs, ul_err *err)
{
	for (int i = 0; i < m->params; i++) {
		int rank = 0;
		double scale = 0;
		if (!pairs[i].a)
			continue;
		bool selected;
		if (!ul_lora_selects(m, ad->config, pairs[i].module, &selected, err) || !scale_of(ad->config, pairs[i].module, &rank, &scale, err))
			return false;
		if (!selected) /* PEFT would ignore the tensors with a warning: whose mistake it is, nobody knows */
			return ul_fail(err, "the adapter holds tensors for \"%s\", which its adapter_config.json leaves out", pairs[i].module);
		if (pairs[i].a->dims != 2 || pairs[i].a->shape[0] != rank)
			return ul_fail(err, "adapter_config.json gives \"%s\" the rank %d, its tensor lora_A has %lld rows", pairs[i].module, rank,
			        (long long)(pairs[i].a->dims == 2 ? pairs[i].a->shape[0] : 0));
		if (!ul_lora_hang(ad, m->param[i], pairs[i].module, rank, scale, err) || !load(ad->param[ad->params - 2], pairs[i].a, err) ||
		        !load(ad->param[ad->params - 1], pairs[i].b, err))
			return false;
	}
	for (int i = 0; i < ts->n; i++)
		if (!ts->t[i].used)
			return ul_fail(err, "the adapter holds a tensor \"%s\", which is not of LoRA", ts->t[i].name);
	return ad->params > 0 || ul_fail(err, "the adapter holds no tensors");
}

static bool open_tensors(ul_model *m, ul_adapter *ad, const ul_map *map, ul_err *err)
{
	ul_tensors ts = {0};
	struct pair *pairs = ul_calloc((size_t)m->params, sizeof *pairs);
	bool ok = pairs ? true : ul_nomem(err, (size_t)m->params * sizeof *pairs);
	ok = ok && ul_safetensors_parse(map->data, map->len, "adapter_model.safetensors", &ts, &ad->arena, err) &&
	     ul_tensors_sort(&ts, "adapter_model.safetensors", err) && collect(m, &ts, pairs, err) && hang_all(m, ad, &ts, pairs, err);
	ul_free(pairs);
	ul_free(ts.t);
	return ok;
}

bool ul_lora_open(ul_model *m, const char *dir, ul_err *err)
{
	ul_adapter *ad = ul_lora_begin(m, err);
	if (!ad)
		return false;
	char *config = ul_path_join(&ad->arena, dir, "adapter_config.json"), *weights = ul_path_join(&ad->arena, dir, "adapter_model.safetensors");
	ul_map map = {0};
	bool ok = (config && weights) || ul_nomem(err, strlen(dir));
	if (ok && !ul_file_exists(config))
		ok = ul_fail(err, "%s is no PEFT adapter: it holds no adapter_config.json", dir);
	ad->config = ok ? ul_json_file(config, CONFIG_LIMIT, err) : NULL;
	ok = ad->config && ul_lora_check(ad->config, err);
	if (ok && !ul_file_exists(weights))
		ok = ul_fail(err, "%s holds no adapter_model.safetensors", dir);
	ok = ok && ul_map_open(&map, weights, err);
	if (ok) {
		ok = open_tensors(m, ad, &map, err);
		ul_map_close(&map);
	}
	if (ok) {
		int64_t r = 8;
		double alpha = 8;
		ok = ul_json_int(ad->config, "r", 1, 65536, &r, err) && ul_json_real(ad->config, "lora_alpha", -1e9, 1e9, &alpha, err) &&
		     ul_json_bool(ad->config, "use_rslora", &ad->cfg.rslora, err);
		ad->cfg.r = (int)r;
		ad->cfg.alpha = alpha;
		ad->cfg.target = "all-linear";
	}
	if (!ok)
		ul_lora_detach(m);
	return ok;
}

/* ---- writing ---- */

bool ul_lora_write(const ul_model *m, const char *dir, ul_err *err)
{
	const ul_adapter *ad = m->adapter;
	if (!ad)
		return ul_fail(err, "there is no adapter to write");
	ul_arena a = {0};
	ul_st_out *out = ul_alloc(&a, (size_t)ad->params * sizeof *out);
	char *config = ul_path_join(&a, dir, "adapter_config.json"), *weights = ul_path_join(&a, dir, "adapter_model.safetensors");
	bool ok = (out && config && weights) || ul_nomem(err, (size_t)ad->params * sizeof *out);
	for (int i = 0; ok && i < ad->params; i++) {
		const ul_param *p = ad->param[i];
		out[i] = (ul_st_out){.name = p->name, .dims = 2, .shape = {p->rows, p->cols}, .be = p->be, .data = p->data};
	}
	ok = ok && ul_mkdirs(dir, err) && ul_safetensors_write(weights, out, ad->params, UL_F32, err) && ul_json_write(config, ad->config, err);
	ul_arena_release(&a);
	return ok;
}
