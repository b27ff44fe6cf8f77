/*
 * mpu_simulate.c: server and client in one process, the noise-free run beside them, and what the noise cost, metric by metric.
 *
 * The noise-free run is the same rounds with one copy, no noise and no transform: identical hyper-parameters, identical data order.
 * (The published comparison trains its baseline differently.)
 */
#include "api/audit_api.h"
#include "api/mpu_api.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define AT(field) offsetof(ul_mpu_sim_config, field)

/* Those whose values lie in [0, 1], so that absolute differences can be averaged. */
#define BOUNDED                                                                                                                  \
	"forget_prob,forget_rouge,exact_memorization,extraction_strength,forget_truth_ratio,forget_entity_accuracy,retain_prob," \
	"retain_rouge,retain_entity_accuracy,model_utility,mia_loss,mia_zlib,mia_min_k,mia_min_k_plus_plus"

const ul_opt ul_mpu_sim_opts[] = {
        {"noise-free", UL_OPT_BOOL, AT(noise_free), "yes", 0, 0, NULL, "run without copies too, and compare", NULL},
        {"against", UL_OPT_TEXT, AT(against), NULL, 0, 0, NULL, "an earlier simulation of the same model and settings, whose noise-free run is compared with instead of another", "DIR"},
        {"holdout", UL_OPT_TEXT, AT(holdout), NULL, 0, 0, NULL, "for the comparison: rows that were never trained on", "F"},
        {"general", UL_OPT_TEXT, AT(general), NULL, 0, 0, NULL, "for the comparison: text that has nothing to do with the request", "F"},
        {"neighbours", UL_OPT_TEXT, AT(neighbours), NULL, 0, 0, NULL, "for the comparison: rows like the forgotten ones that should stay", "F"},
        {"oracle", UL_OPT_TEXT, AT(oracle), NULL, 0, 0, NULL, "for the comparison: a model trained without those rows", "MODEL"},
        {"only", UL_OPT_TEXT, AT(only), BOUNDED, 0, 0, NULL, "audits to compare, separated by commas", "A,B"},
        {"level", UL_OPT_ENUM, AT(level), "quick", 0, 0, "quick|standard|heavy", "how much the audits ask", NULL},
        {0},
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the rounds ---- */

typedef struct outcome {
	ul_model *model; /* after the last round, or NULL: its scores come from an earlier simulation */
	json_t *scores; /* or NULL */
	json_t *rounding; /* of the copies, or NULL */
	double wall, train, processor, training; /* seconds: on the clock, and of the processor */
	int64_t steps, tokens;
	bool merged; /* the start had an adapter */
} outcome;

static ul_model *open_start(const ul_mpu_sim *s, bool *merged, ul_err *err)
{
	ul_model *m = ul_model_open(s->model, s->adapter, err);
	*merged = m && m->adapter;
	if (m && ((m->adapter && !ul_lora_merge(m, 1, err)) || !ul_model_hash(m, err))) {
		ul_model_free(m);
		return NULL;
	}
	return m;
}

static json_t *input(const char *role, const char *path)
{
	char hex[65] = "";
	return ul_sha256_file(path, hex, NULL) ? json_pack("{s:s, s:s, s:s}", "role", role, "path", path, "sha256", hex) : NULL;
}

/* Settings of the client, as they were given. */
static json_t *client(const ul_mpu_sim *s)
{
	json_t *run = json_object();
	for (size_t i = 0; i < s->job.settings; i++)
		json_object_set_new(run, s->job.setting[i].key, json_string(s->job.setting[i].value));
	return run;
}

static json_t *inputs(const ul_mpu_sim *s)
{
	const char *const role[] = {"forget", "retain", "eval", "subjects"}, *const own[] = {s->sim->holdout, s->sim->general, s->sim->neighbours};
	const char *const own_role[] = {"holdout", "general", "neighbours"};
	json_t *all = json_array();
	for (size_t i = 0; i < sizeof role / sizeof *role; i++) {
		const char *path = ul_settings_get(s->job.setting, s->job.settings, role[i]);
		if (path && ul_file_exists(path))
			json_array_append_new(all, input(role[i], path));
	}
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (own[i] && ul_file_exists(own[i]))
			json_array_append_new(all, input(own_role[i], own[i]));
	return all;
}

/* Everything that the noise-free run and its scores depend on. */
static json_t *terms(const ul_mpu_sim *s, const outcome *mpu)
{
	ul_mpu_sim_config compared = *s->sim;
	compared.noise_free = true;
	compared.against = NULL;
	return json_pack("{s:s, s:s, s:s, s:I, s:f, s:I, s:o, s:o, s:o}", "version", UL_VERSION, "base_sha256", mpu->model->sha256, "method", s->job.method, "rounds",
	        (json_int_t)s->server->rounds, "server_lr", s->server->server_lr, "seed", (json_int_t)s->seed, "run", client(s), "compared", ul_opts_json(ul_mpu_sim_opts, &compared), "inputs",
	        inputs(s));
}

/* The noise-free scores of an earlier simulation, which had the same terms. */
static bool recall(const ul_mpu_sim *s, const outcome *mpu, outcome *plain, ul_err *err)
{
	const char *dir = s->sim->against, *name, *other = NULL;
	ul_arena a = {0};
	json_t *want = terms(s, mpu), *run = NULL, *v;
	const char *run_path = ul_path_join(&a, dir, "run.json"), *scores = ul_path_join(&a, dir, "scores-noise-free.json");
	bool ok = (want && run_path && scores) || ul_nomem(err, 256);
	ok = ok && (!mpu->merged || ul_fail(err, "--against needs a model without an adapter: `unlearn export --merge` makes one of both"));
	ok = ok && (run = ul_json_file(run_path, 1 << 20, err)) && (plain->scores = ul_json_file(scores, 1 << 24, err));
	if (ok)
		json_object_foreach(want, name, v) if (!other && !json_equal(v, json_object_get(json_object_get(run, "terms"), name)))
		        other = name;
	if (other) {
		ok = ul_fail(err, "the simulation in %s differs from this one in its \"%s\": its noise-free run is not the one to compare with", dir, other);
		ul_hint(err, "without --against that run is made here");
	}
	json_decref(want);
	json_decref(run);
	ul_arena_release(&a);
	return ok;
}

static bool rounds(const ul_mpu_sim *s, ul_mpu *m, outcome *o, ul_mpu_job *job, ul_err *err)
{
	double start = now(), began = ul_mpu_processor();
	bool ok = ul_mpu_check(m, err);
	job->copies = m->how.copies;
	for (m->round = 1; ok && m->round <= m->how.rounds;) {
		job->round = m->round;
		ok = ul_mpu_round(m, ul_mpu_unlearn, job, err);
	}
	o->wall = now() - start;
	o->train = job->seconds;
	o->processor = ul_mpu_processor() - began;
	o->training = job->processor;
	o->steps = job->steps;
	o->tokens = job->tokens;
	return ok;
}

static bool draw_key(const char *file, ul_mpu_key *key, ul_err *err)
{
	ul_mpu_signer k; /* 32 secret bytes in a file of their own, as every key is kept */
	if (!file)
		return ul_secret_bytes(key, sizeof *key, err);
	if (!ul_mpu_signer_open(&k, file, true, err))
		return false;
	memcpy(key->bytes, k.secret, sizeof key->bytes);
	ul_mpu_signer_release(&k);
	return true;
}

/* plain: its scores, where an earlier simulation has them. */
static bool with_copies(ul_mpu_sim *s, outcome *o, outcome *plain, ul_mpu_how *how, ul_err *err)
{
	ul_mpu m = {.theta = o->model = open_start(s, &o->merged, err), .progress = s->progress};
	m.keep = !ul_settings_get(s->job.setting, s->job.settings, "lora"); /* an adapter is its own difference */
	ul_model *base = NULL;
	bool sgd = false, ok = m.theta && (!s->sim->against || recall(s, o, plain, err)) && ul_mpu_job_check(&s->job, m.theta, &sgd, err);
	if (ok && s->server->base)
		ok = (m.base = base = ul_model_open(s->server->base, NULL, err)) != NULL;
	m.how = *how = ul_mpu_how_of(s->server, sgd);
	m.round = 1;
	if (ok)
		ul_mpu_job_note(&s->job, how->reparam == UL_REPARAM_FULL);
	ok = ok && draw_key(s->server->noise_key, &m.key, err) && ul_mpu_check(&m, err) && ul_mpu_begin(&m, err) &&
	     (o->rounding = ul_mpu_precision_json(&m, s->progress, err)) != NULL && rounds(s, &m, o, &s->job, err);
	ul_mpu_release(&m);
	ul_model_free(base);
	return ok;
}

static bool without(const ul_mpu_sim *s, outcome *o, ul_err *err)
{
	ul_mpu m = {.theta = o->model = open_start(s, &o->merged, err), .how = {.copies = 1, .rounds = (int)s->server->rounds, .server_lr = s->server->server_lr, .exact = true}};
	m.keep = !ul_settings_get(s->job.setting, s->job.settings, "lora");
	ul_mpu_job job = {.method = s->job.method, .setting = s->job.setting, .settings = s->job.settings, .progress = s->progress};
	bool ok = m.theta && rounds(s, &m, o, &job, err);
	ul_mpu_release(&m);
	return ok;
}

/* ---- the comparison ---- */

static bool examine(const ul_mpu_sim *s, outcome *o, ul_err *err)
{
	const ul_mpu_sim_config *c = s->sim;
	ul_audit_config a = {0};
	ul_arena mem = {0};
	enum ul_verdict verdict;
	const char *forget = ul_settings_get(s->job.setting, s->job.settings, "forget"), *retain = ul_settings_get(s->job.setting, s->job.settings, "retain");
	bool ok = ul_opts_defaults(ul_audit_opts, &a, &mem, err);
	a.forget = forget;
	a.retain = retain && strcmp(retain, "self") ? retain : NULL;
	a.holdout = c->holdout;
	a.general = c->general;
	a.neighbours = c->neighbours;
	a.oracle = c->oracle;
	a.only = c->only;
	a.level = c->level;
	a.bootstrap = 10; /* intervals are not what is compared */
	a.templ = ul_settings_get(s->job.setting, s->job.settings, "template");
	a.map = ul_settings_get(s->job.setting, s->job.settings, "map");
	a.seed = (int64_t)s->seed;
	ok = ok && ul_audit_make(o->model, &a, s->progress, &o->scores, &verdict, err);
	ul_arena_release(&mem);
	return ok;
}

static json_t *compare(const outcome *mpu, const outcome *plain)
{
	json_t *metrics = json_object(), *v;
	const char *name;
	double sum = 0, relative = 0, worst = 0;
	int n = 0, bounded = 0;
	json_object_foreach(json_object_get(mpu->scores, "audits"), name, v)
	{
		double a = json_number_value(json_object_get(v, "value"));
		const json_t *other = json_object_get(json_object_get(json_object_get(plain->scores, "audits"), name), "value");
		double b = json_number_value(other), d = fabs(a - b);
		if (!json_is_number(json_object_get(v, "value")) || !json_is_number(other))
			continue;
		json_object_set_new(metrics, name, json_pack("{s:f, s:f, s:f, s:o}", "mpu", a, "noise_free", b, "difference", d, "relative", ul_json_number(b != 0 ? d / fabs(b) : NAN)));
		if (!strstr("," BOUNDED ",", name))
			continue;
		sum += d;
		worst = d > worst ? d : worst;
		n++;
		if (b != 0)
			relative += d / fabs(b), bounded++;
	}
	json_t *t = json_pack("{s:i, s:o, s:i, s:o, s:o, s:o}", "schema", 1, "metrics", metrics, "averaged", n, "mean_difference", ul_json_number(n ? sum / n : NAN), "mean_relative",
	        ul_json_number(bounded ? relative / bounded : NAN), "worst_difference", ul_json_number(n ? worst : NAN));
	json_object_set(t, "not_tested", json_object_get(mpu->scores, "not_tested"));
	return t;
}

/* ---- the folder ---- */

static json_t *record(const ul_mpu_sim *s, const ul_mpu_how *how, const outcome *mpu, const outcome *plain)
{
	static const char *const reparam[] = {"none", "paper", "full"};
	json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s}", "schema", 1, "program", "unlearn", "version", UL_VERSION, "verb", "mpu simulate", "result", "model", "method", s->job.method);
	json_t *settings = ul_opts_json(ul_mpu_opts, s->server);
	json_object_set_new(o, "base", json_string(s->model));
	json_object_set_new(o, "base_sha256", json_string(mpu->model->sha256));
	json_object_set_new(settings, "exact", json_boolean(how->exact));
	json_object_set_new(settings, "reparam", json_string(reparam[how->reparam]));
	json_object_set_new(settings, "run", client(s));
	json_object_set_new(o, "settings", settings);
	json_object_set_new(o, "inputs", inputs(s));
	json_object_set_new(o, "terms", terms(s, mpu));
	json_object_set(o, "rounding", mpu->rounding);
	json_object_set_new(o, "seed", json_integer((json_int_t)s->seed));
	json_object_set_new(o, "machine", ul_machine());
	json_object_set_new(o, "wall_seconds", ul_json_number(mpu->wall));
	json_object_set_new(o, "train_seconds", ul_json_number(mpu->train));
	json_object_set_new(o, "processor", json_pack("{s:f, s:f, s:o}", "seconds", mpu->processor, "training", mpu->training, "overhead", ul_json_number(mpu->training > 0 ? mpu->processor / mpu->training - 1 : NAN)));
	json_object_set_new(o, "steps", json_integer(mpu->steps));
	json_object_set_new(o, "tokens", json_integer(mpu->tokens));
	if (plain->model)
		json_object_set_new(o, "noise_free", json_pack("{s:f, s:f, s:I}", "wall_seconds", plain->wall, "train_seconds", plain->train, "steps", (json_int_t)plain->steps));
	return o;
}

static bool save_model(ul_model *m, ul_arena *a, const char *dir, const char *name, ul_err *err)
{
	const char *to = ul_path_join(a, dir, name);
	return (to || ul_nomem(err, 64)) && ul_mkdirs(to, err) && ul_model_write(m, to, UL_SAVE_F32, err);
}

static bool save_json(const json_t *v, ul_arena *a, const char *dir, const char *name, ul_err *err)
{
	const char *to = ul_path_join(a, dir, name);
	return !v || ((to || ul_nomem(err, 64)) && ul_json_write(to, v, err));
}

static bool save(const ul_mpu_sim *s, const ul_mpu_how *how, const outcome *mpu, const outcome *plain, const json_t *table, ul_err *err)
{
	ul_arena a = {0};
	ul_stage stage;
	json_t *run = record(s, how, mpu, plain);
	bool ok = (run || ul_nomem(err, 64)) && ul_stage_begin(&stage, s->output, s->force, err);
	if (ok) {
		ok = save_model(mpu->model, &a, stage.dir, "model", err) && (!plain->model || save_model(plain->model, &a, stage.dir, "noise-free", err));
		ok = ok && save_json(mpu->scores, &a, stage.dir, "scores.json", err) && save_json(plain->scores, &a, stage.dir, "scores-noise-free.json", err);
		ok = ok && save_json(table, &a, stage.dir, "degradation.json", err) && save_json(run, &a, stage.dir, "run.json", err) && ul_stage_commit(&stage, err);
		if (!ok)
			ul_stage_abort(&stage);
	}
	json_decref(run);
	ul_arena_release(&a);
	return ok;
}

bool ul_mpu_sim_run(ul_mpu_sim *s, json_t **table, ul_err *err)
{
	outcome mpu = {0}, plain = {0};
	ul_mpu_how how;
	bool compares = s->sim->noise_free && ul_settings_get(s->job.setting, s->job.settings, "forget");
	*table = NULL;
	bool ok = ul_stage_check(s->output, s->force, err) && ul_output_apart(s->output, "model", s->model, err);
	ok = ok && with_copies(s, &mpu, &plain, &how, err) && (!s->sim->noise_free || s->sim->against || without(s, &plain, err));
	ok = ok && (!compares || (examine(s, &mpu, err) && (plain.scores || examine(s, &plain, err))));
	if (ok)
		*table = compares ? compare(&mpu, &plain) : json_object();
	ok = ok && (*table || ul_nomem(err, 64)) && save(s, &how, &mpu, &plain, *table, err);
	json_decref(mpu.scores);
	json_decref(mpu.rounding);
	json_decref(plain.scores);
	ul_model_free(mpu.model);
	ul_model_free(plain.model);
	if (!ok) {
		json_decref(*table);
		*table = NULL;
	}
	return ok;
}
