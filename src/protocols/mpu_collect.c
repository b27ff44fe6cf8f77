/*
 * mpu_collect.c: updates come in. Whoever sends them is not trusted: an update is judged whole, alone and against its round, before
 * any of it is added to anything.
 */
#include "model/lora_stack.h"
#include "protocols/mpu_server.h"

#include <string.h>

typedef struct arrival { /* the update of one copy */
	const char *from; /* folder of the update it came in */
	bool lora;
	ul_model *full; /* of differences */
	ul_adapter *adapter; /* on θ, for as long as it is needed */
	const ul_model *theta;
	double shrink;
	char sha256[65]; /* of its weights file, as listed */
} arrival;

typedef struct intake {
	ul_mpu_server *s;
	arrival at[UL_MPU_MAX_COPIES];
	char sha[UL_MPU_MAX_COPIES][65]; /* of the manifests */
	const char *shas[UL_MPU_MAX_COPIES];
	int manifests, adapters;
} intake;

/* ---- one parameter of one update ---- */

static const ul_lora *factors(const arrival *a, int i)
{
	for (const ul_lora *l = a->theta->param[i]->lora; l; l = l->next)
		for (int k = 0; k < a->adapter->params; k++)
			if (a->adapter->param[k] == l->a)
				return l;
	return NULL;
}

static bool delta(void *ud, int i, float *room, ul_mpu_delta *out, ul_err *err)
{
	arrival *a = ud;
	*out = (ul_mpu_delta){0};
	if (a->lora) {
		out->lora = factors(a, i);
		return true;
	}
	ul_param_get_f32(a->full->param[i], room);
	ul_model_rest(a->full);
	out->full = room;
	return true;
}

/* ---- is it one? ---- */

static bool same_shapes(const ul_model *theta, const ul_model *u, int k, ul_err *err)
{
	if (theta->arch != u->arch || theta->params != u->params)
		return ul_fail(err, "the update of copy %d is of another architecture: %s with %d tensors, and %s with %d was published", k, u->arch->name, u->params, theta->arch->name, theta->params);
	for (int i = 0; i < theta->params; i++) {
		const ul_param *p = theta->param[i], *d = u->param[i];
		if (strcmp(p->name, d->name) || p->rows != d->rows || p->cols != d->cols)
			return ul_fail(err, "the update of copy %d holds %s [%d, %d], and %s [%d, %d] was published", k, d->name, d->rows, d->cols, p->name, p->rows, p->cols);
	}
	return true;
}

static bool open_update(intake *in, int k, ul_err *err)
{
	ul_arena mem = {0};
	ul_err why = {0}; /* of a file that is named nowhere else */
	arrival *a = &in->at[k];
	a->theta = in->s->mpu.theta;
	char *path = ul_arena_printf(&mem, "%s/copy-%d", a->from, k);
	bool ok = path != NULL || ul_nomem(err, strlen(a->from));
	if (ok && a->lora) {
		ok = ul_lora_open(in->s->mpu.theta, path, &why);
		a->adapter = ok ? in->s->mpu.theta->adapter : NULL;
		in->adapters += ok;
	} else if (ok) {
		a->full = ul_model_open_with(path, &(ul_open){.no_tokenizer = true}, &why);
		ok = a->full && same_shapes(a->theta, a->full, k, err);
		if (a->full)
			ul_model_rest(a->full); /* opening looked at every number */
	}
	if (why.msg[0])
		ul_fail(err, "the update of copy %d in %s: %.300s", k, a->from, why.msg);
	ul_arena_release(&mem);
	return ok;
}

/* Every number finite, the whole not longer than the session allows; what clipping will make of it. */
static bool judge(intake *in, int k, ul_err *err)
{
	arrival *a = &in->at[k];
	double length, theta, most = json_number_value(json_object_get(in->s->state, "max_update"));
	if (!ul_mpu_length(&in->s->mpu, &(ul_mpu_update){a, delta, k}, &length, &theta, err))
		return false;
	if (most > 0 && length > most * theta) {
		ul_fail(err, "the update of copy %d is too large: its length is %.5g, and the session takes %.5g", k, length, most * theta);
		ul_hint(err, "that is %g times the length of the weights (--max-update of mpu publish)", most);
		return false;
	}
	a->shrink = ul_mpu_shrink(&in->s->mpu, length, theta);
	return true;
}

static bool belongs(const ul_mpu_server *s, const json_t *m, const char *dir, ul_err *err)
{
	const char *of = ul_json_str(s->state, "of");
	int64_t round = json_integer_value(json_object_get(m, "round"));
	if (strcmp(ul_json_str(m, "kind"), "mpu update"))
		return ul_fail(err, "%s is a round, not an update", dir);
	const char *theirs = ul_json_str(m, "session"), *ours = ul_json_str(s->state, "session");
	if (strcmp(theirs, ours))
		return ul_fail(err, "%s is an update of another session, %.16s…; this one is %.16s…", dir, theirs, ours);
	if (ul_mpu_server_done(s))
		return ul_fail(err, "all %d rounds of this session are over: nothing is applied twice", s->mpu.how.rounds);
	if (round != s->mpu.round)
		return ul_fail(err, "%s is an update of round %lld, and round %d is open: nothing is applied twice", dir, (long long)round, s->mpu.round);
	if (!of)
		return ul_fail(err, "round %d has not been published yet", s->mpu.round);
	return !strcmp(of, ul_json_str(m, "of")) || ul_fail(err, "%s was made from other copies than those that were published: from the manifest %.16s…, not %.16s…", dir, ul_json_str(m, "of"), of);
}

static const char *weights_sha(const json_t *m, int k, bool lora)
{
	char name[64];
	size_t i;
	json_t *f;
	snprintf(name, sizeof name, "copy-%d/%s", k, lora ? "adapter_model.safetensors" : "model.safetensors");
	json_array_foreach(json_object_get(m, "files"), i, f)
	{
		if (!strcmp(ul_json_str(f, "path"), name))
			return ul_json_str(f, "sha256");
	}
	return NULL;
}

/* Copies differ, so their updates differ: the same bytes twice are one update sent in place of two. */
static bool alone(const intake *in, int k, ul_err *err)
{
	const ul_mpu_how *h = &in->s->mpu.how;
	for (int j = 0; j < h->copies; j++)
		if (j != k && in->at[j].from && !strcmp(in->at[j].sha256, in->at[k].sha256) && (h->noise > 0 || h->reparam != UL_REPARAM_NONE))
			return ul_fail(err, "copies %d and %d came back as the same bytes: one update was sent in place of two", j < k ? j : k, j < k ? k : j);
	return true;
}

static bool take_copy(intake *in, const char *dir, const json_t *m, const json_t *u, ul_err *err)
{
	int64_t k = json_integer_value(json_object_get(u, "copy"));
	bool lora = !strcmp(ul_json_str(u, "type"), "lora");
	if (k >= in->s->mpu.how.copies)
		return ul_fail(err, "%s holds an update of copy %lld, and there are copies 0 to %d", dir, (long long)k, in->s->mpu.how.copies - 1);
	if (in->at[k].from)
		return ul_fail(err, "copy %lld came back twice: in %s and in %s", (long long)k, in->at[k].from, dir);
	const char *sha = weights_sha(m, (int)k, lora);
	if (!sha)
		return ul_fail(err, "%s lists no weights for copy %lld", dir, (long long)k);
	in->at[k] = (arrival){.from = dir, .lora = lora, .shrink = 1};
	memcpy(in->at[k].sha256, sha, sizeof in->at[k].sha256);
	return alone(in, (int)k, err) && open_update(in, (int)k, err) && judge(in, (int)k, err);
}

static bool take_folder(intake *in, const char *dir, ul_err *err)
{
	size_t i;
	json_t *u;
	if (in->manifests == UL_MPU_MAX_COPIES)
		return ul_fail(err, "more than %d updates for one round", UL_MPU_MAX_COPIES);
	json_t *m = ul_mpu_manifest_read(dir, ul_json_str(in->s->state, "client"), in->sha[in->manifests], err);
	bool ok = m && belongs(in->s, m, dir, err) && ul_mpu_files_check(dir, m, -1, err);
	json_array_foreach(json_object_get(m, "updates"), i, u)
	        ok = ok && take_copy(in, dir, m, u, err);
	in->shas[in->manifests] = in->sha[in->manifests];
	in->manifests += ok;
	json_decref(m);
	return ok;
}

static void release(intake *in)
{
	for (; in->adapters > 0; in->adapters--)
		ul_lora_detach(in->s->mpu.theta);
	for (int k = 0; k < UL_MPU_MAX_COPIES; k++)
		ul_model_free(in->at[k].full);
	ul_free(in);
}

bool ul_mpu_server_check(ul_mpu_server *s, const char *update, ul_err *err)
{
	intake *in = ul_calloc(1, sizeof *in);
	if (!in)
		return ul_nomem(err, sizeof *in);
	in->s = s;
	bool ok = take_folder(in, update, err);
	release(in);
	return ok;
}

/* ---- the aggregate ---- */

typedef struct outcome { /* θ of the next round, one parameter at a time */
	intake *in;
	ul_mpu_plan plan[UL_MPU_MAX_COPIES];
} outcome;

/* θ + η Σ T⁻¹(Δ) / α / Σ 1/α, in the order of copies, as in a round that never leaves memory. */
static bool next(void *ud, int i, float *room, ul_err *err)
{
	outcome *o = ud;
	ul_mpu *m = &o->in->s->mpu;
	double *sum = NULL;
	bool ok = true;
	for (int k = 0; ok && k < m->how.copies; k++)
		ok = ul_mpu_take(m, &o->plan[k], &(ul_mpu_update){&o->in->at[k], delta, k}, i, o->in->at[k].shrink, room, &sum, err);
	ok = ok && ul_mpu_stepped(m, i, sum, room, err);
	ul_free(sum);
	return ok;
}

static bool make_plans(outcome *o, ul_err *err)
{
	const ul_mpu *m = &o->in->s->mpu;
	bool ok = true;
	for (int k = 0; ok && k < m->how.copies; k++)
		ok = ul_mpu_plan_make(&o->plan[k], m->theta, m->how.reparam, m->how.exact, &m->key, m->round, k, err);
	return ok;
}

/* ---- the same as one adapter: ranks add up, and nothing as large as a weight is made ---- */

/* B A -> w T⁻¹(B A), where it hangs. */
static bool turn_factors(outcome *o, int k, double w, ul_err *err)
{
	const ul_mpu *m = &o->in->s->mpu;
	bool ok = true;
	for (int i = 0; ok && i < m->theta->params; i++) {
		const ul_param *p = m->theta->param[i];
		const ul_lora *l = factors(&o->in->at[k], i);
		if (!l)
			continue;
		size_t nb = (size_t)p->rows * (size_t)l->rank, na = (size_t)l->rank * (size_t)p->cols;
		float *b = ul_malloc((nb + na) * sizeof *b);
		if (!b)
			return ul_nomem(err, (nb + na) * sizeof *b);
		float *a = b + nb;
		ul_param_get_f32(l->b, b);
		ul_param_get_f32(l->a, a);
		ok = ul_mpu_apply_factors(&o->plan[k], p, l->rank, b, a, true, err);
		for (size_t e = 0; e < nb; e++)
			b[e] = (float)(w * b[e]);
		ul_param_set_f32(l->b, b);
		ul_param_set_f32(l->a, a);
		ul_free(b);
	}
	return ok;
}

/* Nothing can be taken from the updates after this: they are the stack. */
static bool write_stack(outcome *o, const char *dir, ul_err *err)
{
	const ul_mpu *m = &o->in->s->mpu;
	double weights = 0;
	ul_stage stage = {0};
	bool ok = true;
	for (int k = 0; k < m->how.copies; k++)
		weights += 1 / m->alpha[k];
	for (int k = 0; ok && k < m->how.copies; k++)
		ok = turn_factors(o, k, o->in->at[k].shrink * m->how.server_lr / (m->alpha[k] * weights), err);
	ok = ok && ul_lora_fold(m->theta, m->how.copies, err);
	o->in->adapters = ok ? 1 : o->in->adapters;
	ok = ok && ul_stage_begin(&stage, dir, true, err) && ul_lora_write(m->theta, stage.dir, err) && ul_stage_commit(&stage, err);
	ul_stage_abort(&stage);
	return ok;
}

static bool all_adapters(const intake *in, ul_err *err)
{
	for (int k = 0; k < in->s->mpu.how.copies; k++)
		if (!in->at[k].lora)
			return ul_fail(err, "copy %d came back as a difference of all weights: only adapters stack", k);
	return true;
}

/* The weights of the next round lie in the folder, then state.json names them, then the old ones go. */
static bool write_next(ul_mpu_server *s, outcome *o, const char *stack, ul_err *err)
{
	char name[32], path[4200], old[4200] = "";
	ul_stage stage = {0};
	const char *was = ul_json_str(s->state, "weights");
	snprintf(name, sizeof name, "weights-%d", s->mpu.round + 1);
	snprintf(path, sizeof path, "%s/%s", s->dir, name);
	if (was)
		snprintf(old, sizeof old, "%s/%s", s->dir, was);
	ul_adapter *hidden = s->mpu.theta->adapter; /* updates hang on θ; what is written is θ */
	s->mpu.theta->adapter = NULL;
	bool ok = ul_stage_begin(&stage, path, true, err) && ul_model_write_as(s->mpu.theta, stage.dir, UL_SAVE_F32, next, o, err) && ul_stage_commit(&stage, err);
	s->mpu.theta->adapter = hidden;
	ul_stage_abort(&stage);
	ok = ok && (!stack || write_stack(o, stack, err)) && ul_mpu_state_advance(s, name, o->in->shas, o->in->manifests, err);
	if (ok && old[0])
		ul_remove_tree(old, NULL);
	return ok;
}

bool ul_mpu_server_collect(ul_mpu_server *s, char *const *update, int n, const char *stack, ul_err *err)
{
	intake *in = ul_calloc(1, sizeof *in);
	outcome *o = ul_calloc(1, sizeof *o);
	bool ok = (in && o) || ul_nomem(err, sizeof *in + sizeof *o);
	if (ok) {
		in->s = s;
		o->in = in;
	}
	for (int i = 0; ok && i < n; i++)
		ok = take_folder(in, update[i], err);
	for (int k = 0; ok && k < s->mpu.how.copies; k++)
		ok = in->at[k].from || ul_fail(err, "no update of copy %d: a round is over when all %d have come back", k, s->mpu.how.copies);
	ok = ok && (!stack || all_adapters(in, err)) && make_plans(o, err) && write_next(s, o, stack, err);
	for (int k = 0; o && k < UL_MPU_MAX_COPIES; k++)
		ul_mpu_plan_release(&o->plan[k]);
	if (in)
		release(in);
	ul_free(o);
	return ok;
}
