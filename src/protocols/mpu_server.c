/*
 * mpu_server.c: a round goes out. Copies are written side by side, one parameter of each in memory at a time.
 */
#include "protocols/mpu_server.h"

#include <string.h>

typedef struct writer { /* of all copies */
	const ul_mpu *m;
	ul_mpu_plan *plan; /* [copies] */
	bool *plain; /* [params] published as it is */
	float **ready; /* [copies] of the parameter at hand, in one block, where all of them are made at once */
	size_t most; /* elements of a parameter that ready has room for */
} writer;

/* Is parameter i published to this copy as it is? A row at a time. */
static bool is_plain(const ul_mpu *m, int i, const float *published, bool *plain, ul_err *err)
{
	const ul_param *p = m->theta->param[i];
	size_t cols = (size_t)p->cols;
	float *secret = ul_malloc(cols * sizeof *secret);
	bool same = true;
	if (!secret)
		return ul_nomem(err, cols * sizeof *secret);
	for (int r = 0; same && r < p->rows; r++) {
		ul_param_rows_f32(p, r, 1, secret);
		ul_mpu_round_to(m->how.dtype, secret, cols);
		same = !memcmp(secret, published + (size_t)r * cols, cols * sizeof *secret);
	}
	*plain |= same;
	ul_model_rest(m->theta);
	ul_free(secret);
	return true;
}

static bool fill(void *ud, int k, int i, float *room, ul_err *err)
{
	writer *w = ud;
	const ul_param *p = w->m->theta->param[i];
	size_t n = (size_t)p->rows * (size_t)p->cols;
	bool together = n <= w->most && ul_mpu_layer_of(w->m->theta, p) >= 0;
	if (together && k == 0 && !ul_mpu_perturb_all(w->m, w->plan, i, w->ready, err))
		return false;
	if (!together && !ul_mpu_perturb(w->m, &w->plan[k], k, i, room, err))
		return false;
	if (together)
		memcpy(room, w->ready[k], n * sizeof *room);
	return is_plain(w->m, i, room, &w->plain[i], err);
}

/* All copies of a parameter are made at once, so that each normal is drawn once and not for every copy, as long as they fit into a
 * tenth of the memory that a copy takes. */
static bool make_room(writer *w, ul_err *err)
{
	const ul_model *m = w->m->theta;
	int copies = w->m->how.copies;
	size_t budget = ul_model_count(m) / 10 / (size_t)copies;
	for (int i = 0; i < m->params; i++) {
		size_t n = (size_t)m->param[i]->rows * (size_t)m->param[i]->cols;
		if (ul_mpu_layer_of(m, m->param[i]) >= 0 && n <= budget && n > w->most)
			w->most = n;
	}
	w->ready = ul_calloc((size_t)copies, sizeof *w->ready);
	float *all = ul_malloc((w->most * (size_t)copies + 1) * sizeof *all);
	if (!w->ready || !all) {
		ul_free(all);
		return ul_nomem(err, w->most * (size_t)copies * sizeof *all);
	}
	for (int k = 0; k < copies; k++)
		w->ready[k] = all + (size_t)k * w->most;
	return true;
}

static int saved_as(enum ul_dtype t)
{
	return t == UL_BF16 ? UL_SAVE_BF16 : t == UL_F16 ? UL_SAVE_F16
	                                                 : UL_SAVE_F32;
}

static bool write_copies(const ul_mpu *m, const char *dir, bool *plain, ul_err *err)
{
	ul_arena a = {0};
	int copies = m->how.copies;
	const char **to = ul_alloc(&a, (size_t)copies * sizeof *to);
	writer w = {.m = m, .plan = ul_calloc((size_t)copies, sizeof *w.plan), .plain = plain};
	bool ok = (to && w.plan) || ul_nomem(err, (size_t)copies * sizeof *w.plan);
	for (int k = 0; ok && k < copies; k++) {
		to[k] = ul_arena_printf(&a, "%s/copy-%d", dir, k);
		ok = (to[k] || ul_nomem(err, strlen(dir))) && ul_mkdirs(to[k], err) && ul_mpu_plan_make(&w.plan[k], m->theta, m->how.reparam, m->how.exact, &m->key, m->round, k, err);
	}
	ok = ok && make_room(&w, err) && ul_model_write_many(m->theta, to, copies, saved_as(m->how.dtype), fill, &w, err);
	for (int k = 0; w.plan && k < copies; k++)
		ul_mpu_plan_release(&w.plan[k]);
	if (w.ready)
		ul_free(w.ready[0]);
	ul_free(w.ready);
	ul_free(w.plan);
	ul_arena_release(&a);
	return ok;
}

static json_t *describe(const ul_mpu_server *s, const bool *plain)
{
	const ul_mpu_how *h = &s->mpu.how;
	const char *moves = h->reparam == UL_REPARAM_NONE ? "none" : h->exact ? "exact"
	                                                                      : "any";
	json_t *names = json_array();
	for (int i = 0; i < s->mpu.theta->params; i++)
		if (plain[i])
			json_array_append_new(names, json_string(s->mpu.theta->param[i]->name));
	return json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:o}", "kind", "mpu round", "session", ul_json_str(s->state, "session"), "round", s->mpu.round, "rounds", h->rounds, "copies",
	        h->copies, "transforms", moves, "plain", names);
}

/* From now on updates of exactly these copies are taken. */
static bool remember(ul_mpu_server *s, const char *dir, ul_err *err)
{
	char sha[65];
	json_t *m = ul_mpu_manifest_read(dir, s->signer.key, sha, err);
	bool ok = m && (json_object_set_new(s->state, "of", json_string(sha)) == 0 || ul_nomem(err, 128)) && ul_mpu_state_write(s, err);
	json_decref(m);
	return ok;
}

bool ul_mpu_server_publish(ul_mpu_server *s, const char *dir, bool force, json_t **manifest, ul_err *err)
{
	ul_stage stage = {0};
	json_t *m = NULL;
	if (ul_mpu_server_done(s))
		return ul_fail(err, "all %d rounds of this session are over", s->mpu.how.rounds);
	bool *plain = ul_calloc((size_t)s->mpu.theta->params, sizeof *plain);
	bool ok = (plain || ul_nomem(err, (size_t)s->mpu.theta->params)) && ul_stage_begin(&stage, dir, force, err);
	ok = ok && write_copies(&s->mpu, stage.dir, plain, err) && ((m = describe(s, plain)) || ul_nomem(err, 1024)) && ul_mpu_manifest_write(stage.dir, m, &s->signer, err);
	ok = ok && remember(s, stage.dir, err) && ul_stage_commit(&stage, err);
	ul_stage_abort(&stage);
	ul_free(plain);
	if (ok && manifest)
		*manifest = json_incref(m);
	json_decref(m);
	return ok;
}
