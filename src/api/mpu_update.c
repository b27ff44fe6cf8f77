/*
 * mpu_update.c: the client's folder. Each copy of a round is unlearned and what changed is written: differences of all weights, or
 * the adapter. Nothing else leaves: no row, no count of rows, no loss, no name of a file.
 *
 * With clipping and noise of its own, an update of a copy is a Gaussian mechanism over everything that the client holds. Neighbours are
 * any two sets of rows: what could be told is whether this client holds these rows or any others. Two updates cut to length C differ
 * by up to 2C, the noise has standard deviation z C, so that a copy costs ρ = (2C)² / (2 z² C²) = 2 / z² of zero-concentrated
 * differential privacy (Bun and Steinke 2016, arXiv 1605.02065), all copies and rounds add up, and ε = ρ + 2 √(ρ ln 1/δ). Rounds: as many
 * as the manifest announces, each answered as this one. A round that is answered anew draws new noise and costs once more.
 */
#include "api/mpu_api.h"

#include "base/disk.h"

#include <math.h>
#include <openssl/crypto.h>
#include <string.h>

#define AT(field) offsetof(ul_mpu_client_config, field)

const ul_opt ul_mpu_client_opts[] = {
        {"copies", UL_OPT_TEXT, AT(copies), NULL, 0, 0, NULL, "copies to unlearn, as 0,2; default: all that are there", "LIST"},
        {"identity", UL_OPT_TEXT, AT(identity), NULL, 0, 0, NULL, "file of the key that signs the update, made where there is none; default: a new key", "FILE"},
        {"trust", UL_OPT_TEXT, AT(trust), NULL, 0, 0, NULL, "public key that must have signed the round", "KEY"},
        {"inexact", UL_OPT_BOOL, AT(inexact), "no", 0, 0, NULL, "take copies that were rotated although the optimiser is AdamW, under which the result differs", NULL},
        {"clip-update", UL_OPT_REAL, AT(clip), "0", 0, 100, NULL, "longest update that is sent, as a share of the length of the copy; 0: any", "X"},
        {"dp-noise", UL_OPT_REAL, AT(dp_noise), "0", 0, 1000, NULL, "noise added to what is sent, as a share of the longest update; its ε is said", "X"},
        {0},
};

enum { DELTA_EXPONENT = 5 }; /* δ = 10⁻⁵ */

typedef struct sending { /* of one copy */
	const ul_mpu_client_config *c;
	const ul_model *before, *after;
	ul_mpu_key key; /* of the client's noise: new for each copy, never kept */
	int k;
	double shrink, spread; /* what clipping asks; standard deviation of the noise */
} sending;

typedef struct client {
	const char *published;
	const ul_mpu_client_config *c;
	ul_mpu_job *job;
	json_t *round; /* its manifest */
	char of[65];
	ul_mpu_signer signer;
	json_t *updates;
	ul_arena arena;
} client;

/* ---- what is sent ---- */

static void raw(const sending *s, int i, float *out, float *room)
{
	const ul_param *p = s->after->param[i];
	ul_param_get_f32(p, out);
	ul_param_get_f32(s->before->param[i], room);
	ul_model_rest(s->before);
	for (size_t e = 0, n = (size_t)p->rows * (size_t)p->cols; e < n; e++)
		out[e] -= room[e];
}

static bool difference(void *ud, int i, float *out, ul_err *err)
{
	const sending *s = ud;
	const ul_param *p = s->after->param[i];
	size_t n = (size_t)p->rows * (size_t)p->cols;
	float *room = ul_malloc(n * sizeof *room);
	if (!room)
		return ul_nomem(err, n * sizeof *room);
	raw(s, i, out, room);
	bool ok = s->spread <= 0 || ul_mpu_normals(&s->key, 0, p->name, s->k, 0, room, n, err);
	for (size_t e = 0; ok && e < n && (s->shrink < 1 || s->spread > 0); e++)
		out[e] = (float)(s->shrink * out[e] + (s->spread > 0 ? s->spread * room[e] : 0));
	ul_free(room);
	return ok;
}

/* Clipping and noise need the length of the whole update before its first number is written. */
static bool measure(sending *s, ul_err *err)
{
	size_t most = ul_mpu_largest(s->before);
	double squares = 0, own = 0;
	s->shrink = 1;
	if (s->c->clip <= 0)
		return s->c->dp_noise <= 0 || ul_fail(err, "--dp-noise is a share of the longest update, which --clip-update must name");
	float *x = ul_malloc(2 * most * sizeof *x);
	if (!x)
		return ul_nomem(err, 2 * most * sizeof *x);
	for (int i = 0; i < s->before->params; i++) {
		raw(s, i, x, x + most);
		for (size_t e = 0, n = (size_t)s->before->param[i]->rows * (size_t)s->before->param[i]->cols; e < n; e++) {
			squares += (double)x[e] * x[e];
			own += (double)x[most + e] * x[most + e];
		}
	}
	ul_free(x);
	double longest = s->c->clip * sqrt(own), length = sqrt(squares);
	s->shrink = length > longest ? longest / length : 1;
	s->spread = s->c->dp_noise * longest;
	return s->spread <= 0 || ul_secret_bytes(&s->key, sizeof s->key, err);
}

static bool write_adapter(client *cl, ul_model *copy, const char *dir, ul_err *err)
{
	if (cl->c->clip > 0 || cl->c->dp_noise > 0)
		return ul_fail(err, "clipping and noise at the client are for full updates: a sum with noise is no product of two factors");
	json_object_set_new(copy->adapter->config, "base_model_name_or_path", json_string("")); /* a path on this machine */
	return ul_lora_write(copy, dir, err);
}

static bool write_difference(client *cl, const ul_model *after, const char *from, int k, const char *dir, ul_err *err)
{
	sending s = {.c = cl->c, .after = after, .k = k};
	ul_model *before = ul_model_open_with(from, &(ul_open){.no_tokenizer = true}, err);
	s.before = before;
	bool ok = before && measure(&s, err) && ul_model_write_as(before, dir, UL_SAVE_F32, difference, &s, err);
	OPENSSL_cleanse(&s.key, sizeof s.key);
	ul_model_free(before);
	return ok;
}

/* ---- one copy ---- */

static bool note_update(client *cl, int k, bool lora, ul_err *err)
{
	return json_array_append_new(cl->updates, json_pack("{s:i, s:s}", "copy", k, "type", lora ? "lora" : "full")) == 0 || ul_nomem(err, 64);
}

static bool unlearn(client *cl, int k, const char *from, const char *to, ul_err *err)
{
	ul_stage stage = {0};
	ul_model *copy = ul_model_open(from, NULL, err);
	bool ok = copy && ul_mpu_unlearn(cl->job, copy, k, err) && ul_stage_begin(&stage, to, true, err);
	bool lora = ok && copy->adapter != NULL;
	ok = ok && (lora ? write_adapter(cl, copy, stage.dir, err) : write_difference(cl, copy, from, k, stage.dir, err));
	ok = ok && ul_stage_commit(&stage, err) && note_update(cl, k, lora, err);
	ul_stage_abort(&stage);
	ul_model_free(copy);
	return ok;
}

static bool one_copy(client *cl, int k, ul_err *err)
{
	char *from = ul_arena_printf(&cl->arena, "%s/copy-%d", cl->published, k), *to = ul_arena_printf(&cl->arena, "%s/copy-%d", cl->c->output, k);
	char *done = to ? ul_path_join(&cl->arena, to, "adapter_config.json") : NULL;
	if (!from || !done)
		return ul_nomem(err, 4096);
	if (ul_is_dir(to)) /* renamed into place whole: an earlier call made it */
		return note_update(cl, k, ul_file_exists(done), err);
	return ul_mpu_files_check(cl->published, cl->round, k, err) && unlearn(cl, k, from, to, err);
}

static bool wanted(const client *cl, int k)
{
	char name[32];
	snprintf(name, sizeof name, "copy-%d", k);
	char *path = ul_path_join(&((client *)(uintptr_t)cl)->arena, cl->published, name);
	for (const char *s = cl->c->copies; s && *s; s += strcspn(s, ","), s += *s == ',')
		if (strtol(s, NULL, 10) == k)
			return true;
	return !cl->c->copies && path && ul_is_dir(path);
}

/* --copies before any work is done: numbers with commas between them, each of a copy that the round has. */
static bool check_copies(const client *cl, ul_err *err)
{
	int last = cl->job->copies - 1;
	if (cl->c->copies && !*cl->c->copies)
		return ul_fail(err, "--copies names no copy; this round has copies 0 to %d", last);
	for (const char *s = cl->c->copies; s && *s;) {
		size_t n = strspn(s, "0123456789"), item = strcspn(s, ",");
		if (!n || n != item || n > 9 || strtol(s, NULL, 10) > last)
			return ul_fail(err, "--copies names \"%.*s\", and this round has copies 0 to %d", (int)(item < 32 ? item : 32), s, last);
		s += n + (s[n] == ',');
	}
	return true;
}

/* ---- the folder ---- */

/* work.json says of which round and settings the finished copies are; it is gone when the update is whole. */
static json_t *plan_of(const client *cl)
{
	json_t *s = json_object();
	for (size_t i = 0; i < cl->job->settings; i++)
		json_object_set_new(s, cl->job->setting[i].key, json_string(cl->job->setting[i].value));
	return json_pack("{s:s, s:s, s:o}", "of", cl->of, "method", cl->job->method, "settings", s);
}

static bool begin_folder(client *cl, bool force, ul_err *err)
{
	const char *work = ul_path_join(&cl->arena, cl->c->output, "work.json"), *whole = ul_path_join(&cl->arena, cl->c->output, "manifest.json");
	json_t *plan = plan_of(cl), *was = work && ul_file_exists(work) ? ul_json_file(work, 1 << 20, NULL) : NULL;
	bool ok = (work && whole && plan) || ul_nomem(err, 4096), goes_on = was && json_equal(was, plan);
	ul_stage_sweep(cl->c->output); /* what a killed call was writing */
	if (ok && !goes_on && (ul_file_exists(whole) || was || ul_is_dir(cl->c->output))) {
		ok = ul_stage_check(cl->c->output, force, err);
		if (ok)
			ok = ul_remove_tree(cl->c->output, err);
	}
	ok = ok && ul_mkdirs(cl->c->output, err) && (goes_on || ul_json_write(work, plan, err));
	json_decref(plan);
	json_decref(was);
	return ok;
}

static bool finish_folder(client *cl, ul_err *err)
{
	const char *work = ul_path_join(&cl->arena, cl->c->output, "work.json");
	json_t *m = json_pack("{s:s, s:s, s:O, s:s, s:O}", "kind", "mpu update", "session", ul_json_str(cl->round, "session"), "round", json_object_get(cl->round, "round"), "of", cl->of,
	        "updates", cl->updates);
	bool ok = ((m && work) || ul_nomem(err, 1024)) && ul_mpu_manifest_write(cl->c->output, m, &cl->signer, err) && ul_remove_tree(work, err);
	json_decref(m);
	return ok;
}

/* ---- the whole of it ---- */

/* The manifest names what is published as it is: the embedding is not among it when the residual stream turns. */
static bool residual_turns(const client *cl, const ul_model *m)
{
	size_t i;
	json_t *name;
	bool turns = strcmp(ul_json_str(cl->round, "transforms"), "none") != 0;
	json_array_foreach(json_object_get(cl->round, "plain"), i, name)
	        turns &= strcmp(json_string_value(name), m->embed->name) != 0;
	return turns;
}

static bool acceptable(client *cl, ul_err *err)
{
	char from[64];
	bool sgd = false;
	const char *moves = ul_json_str(cl->round, "transforms");
	for (int k = 0; k < UL_MPU_MAX_COPIES; k++) {
		if (!wanted(cl, k))
			continue;
		snprintf(from, sizeof from, "copy-%d", k);
		char *path = ul_path_join(&cl->arena, cl->published, from);
		if (!ul_mpu_files_check(cl->published, cl->round, k, err))
			return false;
		ul_model *m = path ? ul_model_open(path, NULL, err) : NULL;
		bool ok = m && ul_mpu_job_check(cl->job, m, &sgd, err);
		if (ok)
			ul_mpu_job_note(cl->job, residual_turns(cl, m));
		ul_model_free(m);
		if (ok && !sgd && !cl->c->inexact && !strcmp(moves, "any")) {
			ul_fail(err, "these copies were rotated, and AdamW does not do the same under a rotation");
			ul_hint(err, "--optim sgd does; --inexact goes on all the same");
			return false;
		}
		return ok;
	}
	return ul_fail(err, "%s holds the folder of no copy, copy-0 to copy-%d", cl->published, cl->job->copies - 1);
}

static bool open_round(client *cl, ul_err *err)
{
	cl->round = ul_mpu_manifest_read(cl->published, cl->c->trust, cl->of, err);
	if (!cl->round)
		return false;
	if (strcmp(ul_json_str(cl->round, "kind"), "mpu round"))
		return ul_fail(err, "%s is an update, not a published round", cl->published);
	cl->job->round = (int)json_integer_value(json_object_get(cl->round, "round"));
	cl->job->copies = (int)json_integer_value(json_object_get(cl->round, "copies"));
	if (!check_copies(cl, err))
		return false;
	if (cl->c->identity)
		return ul_mpu_signer_open(&cl->signer, cl->c->identity, true, err);
	return ul_secret_bytes(cl->signer.secret, sizeof cl->signer.secret, err) && ul_mpu_signer_fill(&cl->signer, err);
}

static double epsilon(double rho)
{
	return rho + 2 * sqrt(rho * DELTA_EXPONENT * log(10));
}

static json_t *say(const client *cl)
{
	json_t *o = json_pack("{s:s, s:O, s:O, s:s}", "update", cl->c->output, "round", json_object_get(cl->round, "round"), "updates", cl->updates, "key", cl->signer.key);
	double z = cl->c->dp_noise;
	if (o && z > 0) {
		double rho = 2 * (double)json_array_size(cl->updates) / (z * z), rounds = json_number_value(json_object_get(cl->round, "rounds"));
		json_object_set_new(o, "dp", json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "neighbours", "any other rows in place of all that the client holds", "delta", pow(10, -DELTA_EXPONENT), "rho", rho, "epsilon", epsilon(rho), "rounds", rounds, "rho_rounds", rounds * rho, "epsilon_rounds", epsilon(rounds * rho)));
	}
	return o;
}

bool ul_mpu_client_run(const char *published, const ul_mpu_client_config *c, ul_mpu_job *job, bool force, json_t **said, ul_err *err)
{
	client cl = {.published = published, .c = c, .job = job, .updates = json_array()};
	bool ok = (cl.updates || ul_nomem(err, 64)) && ul_output_apart(c->output, "published round", published, err) && open_round(&cl, err) && acceptable(&cl, err) && begin_folder(&cl, force, err);
	for (int k = 0; ok && k < UL_MPU_MAX_COPIES; k++)
		ok = !wanted(&cl, k) || one_copy(&cl, k, err);
	ok = ok && finish_folder(&cl, err) && ((*said = say(&cl)) || ul_nomem(err, 1024));
	ul_mpu_signer_release(&cl.signer);
	json_decref(cl.updates);
	json_decref(cl.round);
	ul_arena_release(&cl.arena);
	return ok;
}
