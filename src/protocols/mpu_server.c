/*
 * mpu_server.c: a round goes out. Copies are written one after the other, one parameter in memory at a time.
 */
#include "protocols/mpu_server.h"

#include <string.h>

typedef struct writer { /* of one copy */
	const ul_mpu *m;
	ul_mpu_plan plan;
	int k;
	bool *plain; /* [params] published as it is */
} writer;

static bool fill(void *ud, int i, float *room, ul_err *err)
{
	writer *w = ud;
	const ul_param *p = w->m->theta->param[i];
	bool same = true;
	float *secret = ul_malloc((size_t)p->cols * sizeof *secret); /* a row */
	bool ok = (secret || ul_nomem(err, (size_t)p->cols * sizeof *secret)) && ul_mpu_perturb(w->m, &w->plan, w->k, i, room, err);
	for (int r = 0; ok && same && r < p->rows; r++) {
		ul_param_rows_f32(p, r, 1, secret);
		ul_mpu_round_to(w->m->how.dtype, secret, (size_t)p->cols);
		same = !memcmp(secret, room + (size_t)r * (size_t)p->cols, (size_t)p->cols * sizeof *room);
	}
	w->plain[i] |= ok && same;
	ul_model_rest(w->m->theta);
	ul_free(secret);
	return ok;
}

static int saved_as(enum ul_dtype t)
{
	return t == UL_BF16 ? UL_SAVE_BF16 : t == UL_F16 ? UL_SAVE_F16
	                                                 : UL_SAVE_F32;
}

static bool write_copy(const ul_mpu *m, int k, const char *dir, bool *plain, ul_err *err)
{
	ul_arena a = {0};
	writer w = {.m = m, .k = k, .plain = plain};
	char *to = ul_arena_printf(&a, "%s/copy-%d", dir, k);
	bool ok = (to || ul_nomem(err, strlen(dir))) && ul_mkdirs(to, err) && ul_mpu_plan_make(&w.plan, m->theta, m->how.reparam, m->how.exact, &m->key, m->round, k, err);
	if (ok) {
		ok = ul_model_write_as(m->theta, to, saved_as(m->how.dtype), fill, &w, err);
		ul_mpu_plan_release(&w.plan);
	}
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
	for (int k = 0; ok && k < s->mpu.how.copies; k++)
		ok = write_copy(&s->mpu, k, stage.dir, plain, err);
	ok = ok && ((m = describe(s, plain)) || ul_nomem(err, 1024)) && ul_mpu_manifest_write(stage.dir, m, &s->signer, err);
	ok = ok && remember(s, stage.dir, err) && ul_stage_commit(&stage, err);
	ul_stage_abort(&stage);
	ul_free(plain);
	if (ok && manifest)
		*manifest = json_incref(m);
	json_decref(m);
	return ok;
}
