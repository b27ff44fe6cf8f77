/*
 * mpu_api.h: MPU behind the command line: what the server decides, what the client does, and both in one process.
 */
#ifndef UL_MPU_API_H
#define UL_MPU_API_H

#include "api/api.h"
#include "protocols/mpu_server.h"

/* ---- the server's decisions ---- */

enum { UL_TURNS_AUTO, /* exact, unless the client is known to use SGD */
	UL_TURNS_EXACT,
	UL_TURNS_ANY };

typedef struct ul_mpu_config {
	int64_t copies, rounds;
	double noise, server_lr, common, clip;
	int reparam, turns, alpha, dtype;
	const char *base, *noise_key;
} ul_mpu_config;
extern const ul_opt ul_mpu_opts[];
ul_mpu_how ul_mpu_how_of(const ul_mpu_config *c, bool sgd);
/* What rounding costs the bookkeeping of a begun round: {"dtype", "noise_reaches", "noise_left", "base_rounding"}, and a note for each of
 * them that is not as it should be. The caller owns it. */
json_t *ul_mpu_precision_json(const ul_mpu *m, const ul_progress *progress, ul_err *err);

/* ---- the client: a run of any method on a copy ---- */

typedef struct ul_mpu_job {
	const char *method;
	const ul_setting *setting; /* of the run; without output and resume */
	size_t settings;
	const ul_progress *progress;
	int copies; /* for what is said */
	int round;
	bool stopped; /* progress->stop asked for it */
	int64_t steps, tokens; /* of all copies so far */
	double seconds, processor; /* of training: on the clock, and of all threads together */
} ul_mpu_job;
double ul_mpu_processor(void); /* seconds of processor time of this program so far */
bool ul_mpu_unlearn(void *job, ul_model *copy, int k, ul_err *err); /* a ul_mpu_client_fn */
/* Are these the settings of a run that m can have? *sgd: does it use SGD? */
bool ul_mpu_job_check(const ul_mpu_job *j, ul_model *m, bool *sgd, ul_err *err);
/* Says so when the method does not do under transforms that turn the residual stream what it does without them. */
void ul_mpu_job_note(const ul_mpu_job *j, bool residual_turns);

/* mpu_update.c: unlearns the copies of the round in `published` and writes the update folder. Stopped or killed, the same call goes on
 * with the first copy that is not done. */
typedef struct ul_mpu_client_config {
	const char *output, *identity, *trust, *copies; /* copies: "0,2", NULL = all */
	bool inexact; /* AdamW under rotations all the same */
	double clip, dp_noise; /* of what is sent: longest update, and noise, both as shares; 0 = off */
} ul_mpu_client_config;
extern const ul_opt ul_mpu_client_opts[];
/* *said: what was made, for people and programs; the caller owns it. */
bool ul_mpu_client_run(const char *published, const ul_mpu_client_config *c, ul_mpu_job *job, bool force, json_t **said, ul_err *err);

/* mpu_serve.c: the server's folder with its models opened. */
ul_mpu_server *ul_mpu_server_load(const char *dir, ul_err *err);

/* ---- both in one process ---- */

typedef struct ul_mpu_sim_config {
	const char *holdout, *general, *neighbours, *oracle, *only, *against;
	int level;
	bool noise_free;
} ul_mpu_sim_config;
extern const ul_opt ul_mpu_sim_opts[];

typedef struct ul_mpu_sim {
	const char *model, *adapter, *output;
	const ul_mpu_config *server;
	const ul_mpu_sim_config *sim;
	ul_mpu_job job;
	uint64_t seed;
	bool force;
	const ul_progress *progress;
} ul_mpu_sim;
/* Runs, compares with the noise-free run, writes the folder. *table: degradation.json; the caller owns it. */
bool ul_mpu_sim_run(ul_mpu_sim *s, json_t **table, ul_err *err);

#endif
