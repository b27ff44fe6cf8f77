/*
 * mpu_attack_poison.c: what a dishonest client can do to the server, by doing it: updates are made, signed and handed to the check that a
 * real one passes, and what an accepted one does to the weights is computed by the steps of a real round. Nothing is applied.
 *
 * The poison is minus the copy, which takes what the model knows out of it; any other direction of the same length moves the weights as far.
 * It comes as the copy of the smallest α, which weighs most: with steps that is the first, with random α only the server knows.
 */
#include "api/mpu_attack_parts.h"

#include <math.h>
#include <string.h>

typedef struct dose { /* a bad update of one copy */
	const ul_model *copy;
	double share; /* the update is -share · the copy */
	bool odd; /* one number of it is a little off */
} dose;

typedef struct trial {
	ul_mpu_siege *t;
	ul_stage stage; /* inside the secret folder, which is nobody else's; never committed */
	int k; /* the copy of the smallest α */
	double length, theta; /* of that copy and of θ */
} trial;

static bool poison(void *ud, int i, float *out, ul_err *err)
{
	const dose *d = ud;
	const ul_param *p = d->copy->param[i];
	(void)err;
	ul_param_get_f32(p, out);
	ul_model_rest(d->copy);
	for (size_t e = 0, n = (size_t)p->rows * (size_t)p->cols; e < n; e++)
		out[e] = (float)(-d->share * out[e]);
	if (d->odd && i == 0)
		out[0] *= 1.0001f;
	return true;
}

/* dir: an update with dose[k] for each copy k that has one, signed by a key that the server trusts for as long as this process lives. */
static bool write_update(trial *x, const char *dir, const dose *const *of, ul_err *err)
{
	ul_mpu_server *s = x->t->s;
	ul_mpu_signer signer;
	char to[4200];
	json_t *list = json_array();
	bool ok = (list || ul_nomem(err, 64)) && ul_secret_bytes(signer.secret, sizeof signer.secret, err) && ul_mpu_signer_fill(&signer, err);
	for (int k = 0; ok && k < x->t->copies; k++) {
		if (!of[k])
			continue;
		dose d = *of[k];
		snprintf(to, sizeof to, "%.4000s/copy-%d", dir, k);
		ok = ul_mkdirs(to, err) && ul_model_write_as(of[k]->copy, to, UL_SAVE_F32, poison, &d, err) &&
		     (json_array_append_new(list, json_pack("{s:i, s:s}", "copy", k, "type", "full")) == 0 || ul_nomem(err, 64));
	}
	json_t *m = ok ? json_pack("{s:s, s:O, s:i, s:O, s:O}", "kind", "mpu update", "session", json_object_get(s->state, "session"), "round", s->mpu.round, "of", json_object_get(s->state, "of"),
	                         "updates", list)
	               : NULL;
	ok = ok && (m || ul_nomem(err, 256)) && ul_mpu_manifest_write(dir, m, &signer, err);
	if (ok && json_object_get(s->state, "client")) /* the client that is named has its key, and may be the dishonest one */
		json_object_set_new(s->state, "client", json_string(signer.key));
	ul_mpu_signer_release(&signer);
	json_decref(m);
	json_decref(list);
	return ok;
}

/* Was it taken? The sentence of the server's check into o if not. */
static bool offer(trial *x, const char *what, const dose *const *of, json_t **o, bool *taken)
{
	static const char name[] = "update";
	ul_err why = {0};
	char dir[4200];
	snprintf(dir, sizeof dir, "%.4000s/%s", x->stage.dir, name);
	*o = json_pack("{s:s}", "what", what);
	if (!*o || json_array_append_new(json_object_get(json_object_get(x->t->found, "poison"), "tried"), *o) != 0)
		return ul_nomem(x->t->err, 256);
	if (!write_update(x, dir, of, x->t->err))
		return false;
	*taken = ul_mpu_server_check(x->t->s, dir, &why);
	json_object_set_new(*o, "taken", json_boolean(*taken));
	if (!*taken)
		json_object_set_new(*o, "refused", json_string(why.msg));
	return ul_remove_tree(dir, x->t->err);
}

/* ---- what an accepted one does ---- */

static bool delta(void *ud, int i, float *room, ul_mpu_delta *out, ul_err *err)
{
	*out = (ul_mpu_delta){.full = room};
	return poison(ud, i, room, err);
}

/* The guess becomes θ after a round in which the others changed nothing; how far it is from θ, over the length of θ. */
static bool apply(trial *x, const dose *d, double *moved)
{
	ul_mpu_siege *t = x->t;
	const ul_mpu *m = &t->s->mpu;
	ul_mpu_plan plan;
	ul_mpu_update u = {(void *)(uintptr_t)d, delta, x->k};
	size_t most = ul_mpu_largest(m->theta);
	float *a = ul_malloc(2 * most * sizeof *a), *b;
	double shrink = ul_mpu_shrink(m, d->share * x->length, x->theta), far = 0;
	if (!a)
		return ul_nomem(t->err, 2 * most * sizeof *a);
	b = a + most;
	bool ok = ul_mpu_plan_make(&plan, m->theta, m->how.reparam, m->how.exact, &m->key, m->round, x->k, t->err);
	for (int i = 0; ok && i < m->theta->params; i++) {
		double *sum = NULL;
		ul_param *to = t->guess->param[i];
		ok = ul_mpu_take(m, &plan, &u, i, shrink, a, &sum, t->err) && ul_mpu_stepped(m, i, sum, b, t->err) && ul_param_own(to, t->err);
		if (ok)
			ul_param_set_f32(to, b);
		ul_param_get_f32(m->theta->param[i], a);
		for (size_t e = 0, n = (size_t)to->rows * (size_t)to->cols; ok && e < n; e++)
			far += ((double)b[e] - a[e]) * ((double)b[e] - a[e]);
		ul_free(sum);
	}
	*moved = sqrt(far) / x->theta;
	ul_mpu_plan_release(&plan);
	ul_free(a);
	return ok;
}

/* ---- the trials ---- */

static bool too_long(trial *x, double most)
{
	const dose d = {.copy = x->t->copy[x->k], .share = 1.01 * most * x->theta / x->length};
	const dose *of[UL_MPU_MAX_COPIES] = {0};
	json_t *o;
	bool taken;
	of[x->k] = &d;
	return offer(x, "1.01 times the longest update that is taken", of, &o, &taken);
}

static bool twice(trial *x, bool odd)
{
	const dose first = {.copy = x->t->copy[0], .share = 0.001}, second = {.copy = x->t->copy[0], .share = 0.001, .odd = odd};
	const dose *of[UL_MPU_MAX_COPIES] = {&first, &second};
	json_t *o;
	bool taken;
	return x->t->copies < 2 || offer(x, odd ? "the update of copy 0 once more as that of copy 1, one number changed" : "the update of copy 0 once more as that of copy 1", of, &o, &taken);
}

static bool longest(trial *x, double most)
{
	const dose d = {.copy = x->t->copy[x->k], .share = 0.99 * (most > 0 ? most : 1) * x->theta / x->length};
	const dose *of[UL_MPU_MAX_COPIES] = {0};
	json_t *o;
	double moved = 0;
	bool taken;
	of[x->k] = &d;
	if (!offer(x, most > 0 ? "minus a copy, 0.99 times the longest update that is taken" : "minus a copy, 0.99 times as long as the weights; no length is refused", of, &o, &taken))
		return false;
	if (!taken)
		return true;
	if (!apply(x, &d, &moved))
		return false;
	json_object_set_new(o, "moved", ul_json_number(moved));
	return ul_mpu_siege_score(x->t, x->t->guess, o);
}

static double length_of(const ul_model *m, float *room)
{
	double s = 0;
	for (int i = 0; i < m->params; i++) {
		ul_param_get_f32(m->param[i], room);
		ul_model_rest(m);
		for (size_t e = 0, n = (size_t)m->param[i]->rows * (size_t)m->param[i]->cols; e < n; e++)
			s += (double)room[e] * room[e];
	}
	return sqrt(s);
}

/* The most that one copy can move the weights, over their length: η C / α_k / Σ 1/α; infinite where no length is refused or cut. */
static double bound(const ul_mpu *m, int k, double most)
{
	double weights = 0;
	if (m->how.clip > 0 && (most <= 0 || m->how.clip < most))
		most = m->how.clip;
	for (int j = 0; j < m->how.copies; j++)
		weights += 1 / m->alpha[j];
	return most > 0 ? m->how.server_lr * most / (m->alpha[k] * weights) : INFINITY;
}

bool ul_mpu_siege_poison(ul_mpu_siege *t)
{
	trial x = {.t = t};
	char path[4200];
	const ul_mpu *m = &t->s->mpu;
	double most = json_number_value(json_object_get(t->s->state, "max_update"));
	for (int k = 1; k < t->copies; k++)
		x.k = m->alpha[k] < m->alpha[x.k] ? k : x.k;
	json_t *o = json_pack("{s:i, s:o, s:[]}", "copy", x.k, "one_copy_moves", ul_json_number(bound(m, x.k, most)), "tried");
	float *room = ul_malloc(ul_mpu_largest(m->theta) * sizeof *room);
	if (json_object_set_new(t->found, "poison", o) != 0 || !room) {
		ul_free(room);
		return ul_nomem(t->err, 1024);
	}
	x.theta = length_of(m->theta, room);
	x.length = length_of(t->copy[x.k], room);
	ul_free(room);
	snprintf(path, sizeof path, "%.4000s/trial", t->a->secret);
	ul_stage_sweep_of(path);
	bool ok = ul_stage_begin(&x.stage, path, true, t->err);
	ok = ok && (most <= 0 || too_long(&x, most)) && twice(&x, false) && twice(&x, true) && longest(&x, most);
	ul_stage_abort(&x.stage);
	return ok;
}
