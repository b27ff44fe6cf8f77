/*
 * checkpoint.c: DIR/state, from which a run goes on as if nothing had happened.
 *
 * state.json holds the counters, the positions of the samplers and what the run began with; state.safetensors the trained parameters
 * and the optimiser's moments, in the backend's own element type, so that not a bit is lost. Everything else (adapters' start,
 * reference, orders) is a function of that and is made again. The folder is written aside and renamed: a process killed at
 * any moment leaves the old state or the new one.
 */
#include "base/file.h"
#include "model/safetensors.h"
#include "train/train.h"

#include <string.h>

static const char *const stream_name[UL_STREAMS] = {"forget", "retain", "alt"};

static json_t *counters(const ul_run *r)
{
	json_t *o = json_pack("{s:i, s:I, s:I, s:I, s:f, s:I, s:i, s:i}", "version", 1, "step", (json_int_t)r->step, "steps", (json_int_t)r->steps, "tokens", (json_int_t)r->tokens, "seconds", r->seconds, "updates", (json_int_t)(r->optim ? r->optim->t : 0), "threads", ul_threads(), "tensors", r->params);
	json_object_set_new(o, "precision", json_integer(ul_precision()));
	json_t *samplers = json_object();
	for (int s = 0; s < UL_ALT; s++) {
		const ul_sampler *p = &r->sampler[s];
		if (p->d) {
			json_object_set_new(samplers, stream_name[s], json_pack("{s:I, s:i}", "epoch", (json_int_t)p->epoch, "at", p->at));
		}
	}
	json_object_set_new(o, "samplers", samplers);
	if (r->origin) {
		json_object_set(o, "origin", r->origin);
	}
	return o;
}

static int moments(const ul_optim *o)
{
	return (o->moment[0] != NULL) + (o->moment[1] != NULL);
}

static const char *tensor_name(ul_arena *a, int kind, const char *param)
{
	return kind == 0 ? param : ul_arena_printf(a, "moment%d.%s", kind, param);
}

static void *tensor_data(const ul_run *r, int kind, int i)
{
	return kind == 0 ? r->param[i]->data : r->optim->moment[kind - 1][i];
}

static bool write_tensors(const ul_run *r, int kinds, const char *path, ul_arena *a, ul_err *err)
{
	int n = 0;
	ul_st_out *t = ul_alloc(a, (size_t)kinds * (size_t)r->params * sizeof *t);
	if (!t) {
		return ul_nomem(err, (size_t)kinds * (size_t)r->params * sizeof *t);
	}
	for (int k = 0; k < kinds; k++) {
		for (int i = 0; i < r->params; i++) {
			const ul_param *p = r->param[i];
			t[n] = (ul_st_out){.name = tensor_name(a, k, p->name), .dims = 2, .shape = {p->rows, p->cols}, .be = p->be, .data = tensor_data(r, k, i)};
			if (!t[n++].name) {
				return ul_nomem(err, 64);
			}
		}
	}
	return ul_safetensors_write(path, t, n, r->model->be->elem == 8 ? UL_F64 : UL_F32, err);
}

bool ul_state_save(const ul_run *r, ul_err *err)
{
	ul_arena a = {0};
	ul_stage stage = {0};
	const char *dir = ul_path_join(&a, r->dir, "state");
	if (!dir || !ul_stage_begin(&stage, dir, true, err)) {
		ul_arena_release(&a);
		return dir ? false : ul_nomem(err, strlen(r->dir));
	}
	const char *json = ul_path_join(&a, stage.dir, "state.json"), *tensors = ul_path_join(&a, stage.dir, "state.safetensors");
	json_t *state = counters(r);
	bool ok = json && tensors && state ? true : ul_nomem(err, strlen(stage.dir));
	/* Before the first step everything follows from the origin of the run. */
	ok = ok && (r->step == 0 || write_tensors(r, 1 + moments(r->optim), tensors, &a, err)) && ul_json_write(json, state, err);
	json_decref(state);
	if (ok) {
		ok = ul_stage_commit(&stage, err);
	} else {
		ul_stage_abort(&stage);
	}
	ul_arena_release(&a);
	return ok;
}

/* ---- loading ---- */

static bool read_tensor(const ul_tensors *ts, const char *name, const ul_param *p, void *out, ul_err *err)
{
	const ul_tensor *t = ul_tensors_find(ts, name);
	size_t n = (size_t)p->rows * (size_t)p->cols;
	enum ul_dtype want = p->be->elem == 8 ? UL_F64 : UL_F32;
	if (!t) {
		return ul_fail(err, "the state lacks %s", name);
	}
	if (t->dtype != want || t->n != n) {
		return ul_fail(err, "%s in the state has %zu elements of %s, the run wants %zu of %s", name, t->n, t->dtype_name, n, ul_dtype_name(want));
	}
	/* The map may be unaligned for the element type. */
	void *copy = ul_malloc(t->bytes + 1);
	if (!copy) {
		return ul_nomem(err, t->bytes);
	}
	memcpy(copy, t->data, t->bytes);
	if (want == UL_F64) {
		p->be->from_f64(out, copy, n);
	} else {
		p->be->from_f32(out, copy, n);
	}
	ul_free(copy);
	return true;
}

static bool read_tensors(ul_run *r, int kinds, const char *path, ul_arena *a, ul_err *err)
{
	ul_map map = {0};
	ul_tensors ts = {0};
	if (!ul_map_open(&map, path, err)) {
		return false;
	}
	bool ok = ul_safetensors_parse(map.data, map.len, path, &ts, a, err) && ul_tensors_sort(&ts, path, err);
	for (int k = 0; ok && k < kinds; k++) {
		for (int i = 0; ok && i < r->params; i++) {
			const char *name = tensor_name(a, k, r->param[i]->name);
			ok = name ? read_tensor(&ts, name, r->param[i], tensor_data(r, k, i), err) : ul_nomem(err, 64);
		}
	}
	ul_free(ts.t);
	ul_map_close(&map);
	return ok;
}

bool ul_params_save(const ul_run *r, const char *path, ul_err *err)
{
	ul_arena a = {0};
	bool ok = write_tensors(r, 1, path, &a, err);
	ul_arena_release(&a);
	return ok;
}

bool ul_params_load(ul_run *r, const char *path, ul_err *err)
{
	ul_arena a = {0};
	bool ok = read_tensors(r, 1, path, &a, err);
	ul_arena_release(&a);
	return ok;
}

static bool read_samplers(ul_run *r, const json_t *o, ul_err *err)
{
	for (int s = 0; s < UL_ALT; s++) {
		const json_t *v = json_object_get(o, stream_name[s]);
		int64_t epoch = 0, at = 0;
		if (!r->data[s]) {
			continue;
		}
		if (!json_is_object(v) || !ul_json_int(v, "epoch", 0, INT64_MAX / 2, &epoch, err) || !ul_json_int(v, "at", 0, r->data[s]->n, &at, err)) {
			return ul_fail(err, "the state does not say where the %s rows stand", stream_name[s]);
		}
		ul_sampler_seek(&r->sampler[s], epoch, (int)at);
	}
	return true;
}

static bool apply(ul_run *r, const json_t *o, const char *tensors, ul_arena *a, ul_err *err)
{
	int64_t step = 0, steps = 0, tokens = 0, updates = 0, count = 0, threads = 0, precision = UL_PRECISION_F32;
	double seconds = 0;
	if (!ul_json_int(o, "step", 0, INT64_MAX / 2, &step, err) || !ul_json_int(o, "steps", 0, INT64_MAX / 2, &steps, err) || !ul_json_int(o, "tokens", 0, INT64_MAX / 2, &tokens, err) || !ul_json_int(o, "updates", 0, INT64_MAX / 2, &updates, err) || !ul_json_int(o, "tensors", 0, INT32_MAX, &count, err) || !ul_json_int(o, "threads", 0, INT32_MAX, &threads, err) || !ul_json_int(o, "precision", UL_PRECISION_F32, UL_PRECISION_BF16, &precision, err) || !ul_json_real(o, "seconds", 0, 1e18, &seconds, err)) {
		return false;
	}
	if (precision != (int64_t)ul_precision() && r->progress && r->progress->note) {
		r->progress->note(r->progress->ud, "the state was made with another --precision: products round differently from here on");
	}
	if (threads != ul_threads() && r->progress && r->progress->note) {
		r->progress->note(r->progress->ud, "the state was made with another number of threads: sums may round differently from here on");
	}
	if (step == 0) {
		return true;
	}
	if (steps != r->steps || count != r->params) {
		return ul_fail(err, "the state is of a run of %lld steps over %lld tensors, this one has %lld over %d", (long long)steps, (long long)count, (long long)r->steps, r->params);
	}
	if (!read_tensors(r, 1 + moments(r->optim), tensors, a, err) || !read_samplers(r, json_object_get(o, "samplers"), err)) {
		return false;
	}
	r->step = step;
	r->tokens = tokens;
	r->seconds = seconds;
	r->optim->t = updates;
	return true;
}

bool ul_state_load(ul_run *r, const char *dir, ul_err *err)
{
	ul_arena a = {0};
	const char *json = ul_path_join(&a, dir, "state/state.json"), *tensors = ul_path_join(&a, dir, "state/state.safetensors");
	json_t *o = json && tensors ? ul_json_file(json, (size_t)64 << 20, err) : NULL;
	bool ok = o ? apply(r, o, tensors, &a, err) : ul_fail(err, "%s holds no state to resume from", dir);
	json_decref(o);
	ul_arena_release(&a);
	return ok;
}
