/*
 * mpu_server.h: the server of MPU over folders: a secret folder that outlives the process, rounds out, updates in.
 */
#ifndef UL_MPU_SERVER_H
#define UL_MPU_SERVER_H

#include "protocols/mpu.h"
#include "protocols/mpu_files.h"

typedef struct ul_mpu_server {
	ul_mpu mpu; /* key, weights of this round, settings; mpu.round is the round that updates are taken for */
	ul_model *base; /* owned, or NULL */
	ul_mpu_signer signer;
	char dir[4096]; /* the secret folder */
	json_t *state; /* state.json */
	int lock;
} ul_mpu_server;

/* What is secret about a model that will be published: a new folder, mode 0700. Names, not copies, of model and base are kept. */
typedef struct ul_mpu_secret {
	const char *dir, *model, *adapter, *base;
	ul_mpu_how how;
	double max_update; /* longest update that is taken, as a share of the length of θ */
	const char *noise_key; /* file of a key, or NULL: a new one */
	const char *client; /* public key that updates must be signed with, or NULL: any */
} ul_mpu_secret;
bool ul_mpu_server_make(const ul_mpu_secret *s, ul_err *err);

/* Holds a lock on the folder until it is freed. `theta` and `base`: models the caller has opened as state.json names them
 * (ul_mpu_server_models); owned by the server from here on, also on failure. */
typedef struct ul_mpu_names {
	char *model, *adapter, *base; /* adapter and base may be NULL */
	ul_arena arena;
} ul_mpu_names;
bool ul_mpu_server_names(const char *dir, ul_mpu_names *out, ul_err *err);
ul_mpu_server *ul_mpu_server_new(const char *dir, ul_model *theta, ul_model *base, ul_err *err);
void ul_mpu_server_free(ul_mpu_server *s);
bool ul_mpu_server_done(const ul_mpu_server *s); /* no round is left */

/* Writes the current round to dir (made aside and renamed). The same round gives the same bytes every time. *manifest, when wanted, is
 * what was written; the caller owns it. */
bool ul_mpu_server_publish(ul_mpu_server *s, const char *dir, bool force, json_t **manifest, ul_err *err);
/* Would this update be taken? Signature, session, round, hashes, shapes, every number finite, none too large. */
bool ul_mpu_server_check(ul_mpu_server *s, const char *update, ul_err *err);
/* Applies the updates of all copies, each exactly once, and goes on to the next round: s is of the old one then, and only good to be
 * freed. On failure nothing has changed. `stack`: where the average of adapters is also written as one adapter on the weights before
 * this round, its rank the sum of theirs, or NULL. */
bool ul_mpu_server_collect(ul_mpu_server *s, char *const *update, int n, const char *stack, ul_err *err);

/* mpu_state.c: for the files above only */
bool ul_mpu_state_write(const ul_mpu_server *s, ul_err *err); /* state.json, mode 0600, replaced */
/* A round is over: the weights lie in `weights` inside the folder, updates[n] were applied. */
bool ul_mpu_state_advance(ul_mpu_server *s, const char *weights, const char *const *sha, int n, ul_err *err);

#endif
