/*
 * mpu_attack.c: what the parties of MPU can learn that they should not, tried on real folders, and scored against the secret that only
 * whoever runs this has.
 *
 *   1 mean       1/α-weighted mean of the copies as they are published
 *   2 copies     each copy aligned to the first, then the mean
 *   3 base       that mean aligned to a public base
 *   4 updates    server: what an update tells of the client's rows (mpu_attack_learn.c)
 *   5 poison     client: what a dishonest copy can do (mpu_attack_poison.c)
 *
 * The attackers get what a party has: the round's folder with its manifest, the base, which is public, and the update. The secret folder
 * is the judge's; of it an attacker is told which model the base is, and nothing else.
 */
#include "api/mpu_attack_parts.h"

#include <math.h>
#include <string.h>

bool ul_mpu_siege_score(const ul_mpu_siege *t, ul_model *m, json_t *o)
{
	ul_dataset d = {0};
	ul_data_config c = {0};
	ul_scores s = {0};
	double sum = 0, right = 0;
	if (!t->a->data)
		return true;
	bool ok = ul_dataset_read(&d, t->a->data, &c, t->err) && ul_dataset_tokenize(&d, t->copy[0], &c, t->err) && ul_score(m, &d, UL_WANT_ARGMAX, &s, NULL, t->err);
	for (int i = 0; ok && i < s.n; i++) {
		sum += s.row[i].nll;
		for (int j = 0; j < s.row[i].n; j++)
			right += s.row[i].argmax[j] == s.row[i].target[j];
	}
	if (ok) {
		json_object_set_new(o, "nll", ul_json_number(s.tokens ? sum / (double)s.tokens : NAN));
		json_object_set_new(o, "accuracy", ul_json_number(s.tokens ? right / (double)s.tokens : NAN));
	}
	ul_scores_release(&s);
	ul_dataset_release(&d);
	return ok;
}

/* One line of the result: what was guessed, in whose coordinates it stands. */
static bool note(ul_mpu_siege *t, const char *name, ul_model *guess, const ul_mpu_plan *turned)
{
	ul_mpu_found f;
	if (!ul_mpu_judge(&t->s->mpu, guess, turned, &f, t->err))
		return false;
	json_t *o = json_pack("{s:o, s:o, s:o}", "noise_left", ul_json_number(f.residual), "cosine", ul_json_number(f.cosine), "exact", ul_json_number(f.exact));
	bool ok = json_object_set_new(t->found, name, o) == 0 || ul_nomem(t->err, 256);
	return ok && ul_mpu_siege_score(t, guess, o);
}

/* ---- what a round shows of how it was made ---- */

static bool exact_of(const ul_mpu_siege *t)
{
	return strcmp(ul_json_str(t->round, "transforms"), "any") != 0;
}

/* The manifest names the tensors that are published as they are: the embedding is one of them unless the residual stream turns. */
static enum ul_reparam mode_of(const ul_mpu_siege *t)
{
	size_t i;
	json_t *name;
	if (!strcmp(ul_json_str(t->round, "transforms"), "none"))
		return UL_REPARAM_NONE;
	json_array_foreach(json_object_get(t->round, "plain"), i, name)
	{
		if (!strcmp(json_string_value(name), t->copy[0]->embed->name))
			return UL_REPARAM_PAPER;
	}
	return UL_REPARAM_FULL;
}

static bool settings(ul_mpu_siege *t)
{
	static const char *const reparam[] = {"none", "paper", "full"};
	const ul_mpu_how *h = &t->s->mpu.how;
	json_t *alpha = json_array();
	for (int k = 0; alpha && k < h->copies; k++)
		json_array_append_new(alpha, json_real(t->s->mpu.alpha[k]));
	json_t *o = json_pack("{s:i, s:i, s:i, s:f, s:s, s:o, s:s, s:s, s:f, s:f, s:f, s:O, s:b}", "round", t->s->mpu.round, "rounds", h->rounds, "copies", h->copies, "noise", h->noise, "alpha",
	        h->random_alpha ? "random" : "steps", "alphas", alpha, "reparam", reparam[h->reparam], "turns", h->exact ? "exact" : "any", "common_noise", h->common, "clip_update", h->clip,
	        "server_lr", h->server_lr, "max_update", json_object_get(t->s->state, "max_update"), "base", t->s->mpu.base != NULL);
	return json_object_set_new(t->found, "settings", o) == 0 || ul_nomem(t->err, 256);
}

/* ---- 1 to 3 ---- */

static bool true_plan(ul_mpu_siege *t, int k, ul_mpu_plan *p)
{
	const ul_mpu *m = &t->s->mpu;
	return ul_mpu_plan_make(p, m->theta, m->how.reparam, m->how.exact, &m->key, m->round, k, t->err);
}

/* The secret, and a single copy, its transform undone by the judge: what everything else is compared with. */
static bool known(ul_mpu_siege *t)
{
	ul_mpu_plan p;
	if (!note(t, "secret", t->s->mpu.theta, NULL) || !true_plan(t, 0, &p))
		return false;
	bool ok = ul_mpu_mean(t->copy, NULL, 1, t->guess, t->err) && note(t, "one copy", t->guess, &p);
	ul_mpu_plan_release(&p);
	return ok;
}

static bool to_one_another(ul_mpu_siege *t)
{
	ul_mpu_plan plan[UL_MPU_MAX_COPIES] = {0}, turned = {0};
	const ul_mpu_plan *use[UL_MPU_MAX_COPIES] = {0};
	bool ok = true;
	for (int k = 1; ok && k < t->copies; k++) {
		ok = ul_mpu_align(&plan[k], t->copy[0], t->copy[k], mode_of(t), exact_of(t), t->err);
		use[k] = &plan[k];
	}
	/* the estimate stands in the first copy's coordinates, which the judge undoes */
	ok = ok && true_plan(t, 0, &turned) && ul_mpu_mean(t->copy, use, t->copies, t->guess, t->err) && note(t, "copies", t->guess, &turned);
	for (int k = 0; k < t->copies; k++)
		ul_mpu_plan_release(&plan[k]);
	ul_mpu_plan_release(&turned);
	return ok;
}

/* The guess of the attack before, whose noise is gone, in the coordinates of the base. */
static bool to_the_base(ul_mpu_siege *t)
{
	ul_mpu_plan plan = {0};
	const ul_mpu_plan *use[1] = {&plan};
	ul_model *mean = ul_model_clone(t->guess, t->err);
	bool ok = mean && ul_mpu_align(&plan, t->s->mpu.base, mean, mode_of(t), exact_of(t), t->err);
	ok = ok && ul_mpu_mean(&mean, use, 1, t->guess, t->err) && note(t, "base", t->guess, NULL);
	ul_mpu_plan_release(&plan);
	ul_model_free(mean);
	return ok;
}

/* ---- the whole of it ---- */

static bool set_up(ul_mpu_siege *t)
{
	char path[4200], sha[65];
	t->s = ul_mpu_server_load(t->a->secret, t->err);
	t->round = t->s ? ul_mpu_manifest_read(t->a->published, t->s->signer.key, sha, t->err) : NULL;
	if (!t->round)
		return false;
	const char *of = ul_json_str(t->s->state, "of");
	if (!of || strcmp(of, sha))
		return ul_fail(t->err, "%s is not the open round of %s: attack it before its updates are collected", t->a->published, t->a->secret);
	t->copies = t->s->mpu.how.copies;
	if (!ul_mpu_files_check(t->a->published, t->round, -1, t->err))
		return false;
	for (int k = 0; k < t->copies; k++) {
		snprintf(path, sizeof path, "%.4000s/copy-%d", t->a->published, k);
		if (!(t->copy[k] = ul_model_open(path, NULL, t->err)))
			return false;
	}
	return (t->guess = ul_model_clone(t->copy[0], t->err)) != NULL;
}

bool ul_mpu_attack_run(const ul_mpu_attack_job *a, json_t **found, ul_err *err)
{
	ul_mpu_siege t = {.a = a, .found = json_object(), .err = err};
	bool ok = (t.found || ul_nomem(err, 64)) && set_up(&t) && settings(&t) && known(&t);
	ok = ok && ul_mpu_mean(t.copy, NULL, t.copies, t.guess, err) && note(&t, "mean", t.guess, NULL);
	ok = ok && to_one_another(&t) && (!t.s->mpu.base || to_the_base(&t));
	ok = ok && (!a->update || ul_mpu_siege_learn(&t)) && ul_mpu_siege_poison(&t);
	for (int k = 0; k < t.copies; k++)
		ul_model_free(t.copy[k]);
	ul_model_free(t.guess);
	ul_mpu_server_free(t.s);
	json_decref(t.round);
	if (ok)
		*found = t.found;
	else
		json_decref(t.found);
	return ok;
}
