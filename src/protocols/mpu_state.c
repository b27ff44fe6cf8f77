/*
 * mpu_state.c: the server's secret folder.
 *
 *     state.json   session, settings, the open round, what its manifest hashes to, which updates were applied   0600
 *     noise.key    of the noise and the transforms                                                              0600
 *     sign.key     of the manifests                                                                             0600
 *     weights-R/   the model as round R finds it; before the first round the model it was made from stands in its place
 *     lock
 *
 * state.json is replaced in one step and last: what a killed server leaves is either the old round or the new one.
 */
#include "base/disk.h"
#include "protocols/mpu_server.h"
#include "protocols/mpu_sign.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const reparams[] = {"none", "paper", "full"};
static const char *const dtypes[] = {"f32", "bf16", "f16"};
static const enum ul_dtype dtype_of[] = {UL_F32, UL_BF16, UL_F16};

static const char *dtype_name(enum ul_dtype t)
{
	return t == UL_BF16 ? dtypes[1] : t == UL_F16 ? dtypes[2]
	                                              : dtypes[0];
}

static json_t *how_json(const ul_mpu_how *h)
{
	return json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:b, s:s, s:b, s:s}", "copies", h->copies, "rounds", h->rounds, "noise", h->noise, "server_lr", h->server_lr,
	        "common_noise", h->common, "clip_update", h->clip, "random_alpha", h->random_alpha, "reparam", reparams[h->reparam], "exact", h->exact, "dtype", dtype_name(h->dtype));
}

static bool how_read(const json_t *o, ul_mpu_how *h, ul_err *err)
{
	int64_t copies = 0, rounds = 0;
	const char *reparam = ul_json_str(o, "reparam"), *dtype = ul_json_str(o, "dtype");
	bool ok = ul_json_int(o, "copies", 1, UL_MPU_MAX_COPIES, &copies, err) && ul_json_int(o, "rounds", 1, UL_MPU_MAX_ROUNDS, &rounds, err) &&
	          ul_json_real(o, "noise", 0, 1e6, &h->noise, err) && ul_json_real(o, "server_lr", 0, 1e6, &h->server_lr, err) &&
	          ul_json_real(o, "common_noise", 0, 1e6, &h->common, err) && ul_json_real(o, "clip_update", 0, 1e6, &h->clip, err) &&
	          ul_json_bool(o, "random_alpha", &h->random_alpha, err) && ul_json_bool(o, "exact", &h->exact, err);
	for (int i = 0; reparam && i < 3; i++)
		if (!strcmp(reparam, reparams[i]))
			h->reparam = (enum ul_reparam)i;
	for (int i = 0; dtype && i < 3; i++)
		if (!strcmp(dtype, dtypes[i]))
			h->dtype = dtype_of[i];
	h->copies = (int)copies;
	h->rounds = (int)rounds;
	return ok && ((copies && rounds && reparam) || ul_fail(err, "state.json does not say how the rounds are made"));
}

/* ---- making ---- */

static bool key_file(const char *from, const char *to, ul_err *err)
{
	ul_mpu_signer k; /* a noise key is 32 secret bytes too, kept in the same form */
	char line[66];
	if (!ul_mpu_signer_open(&k, from ? from : to, true, err))
		return false;
	ul_hex(k.secret, sizeof k.secret, line);
	line[64] = '\n';
	bool ok = !from || ul_secret_write(to, line, 65, err);
	OPENSSL_cleanse(line, sizeof line);
	ul_mpu_signer_release(&k);
	return ok;
}

static json_t *absolute(const char *path)
{
	char buffer[PATH_MAX];
	const char *full = path ? realpath(path, buffer) : NULL;
	return path ? json_string(full ? full : path) : json_null();
}

static json_t *first_state(const ul_mpu_secret *s, ul_err *err)
{
	unsigned char id[16];
	char hex[33];
	if (!ul_secret_bytes(id, sizeof id, err))
		return NULL;
	ul_hex(id, sizeof id, hex);
	json_t *o = json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:i, s:f, s:[]}", "schema", 1, "session", hex, "model", absolute(s->model), "adapter", absolute(s->adapter), "base",
	        absolute(s->base), "how", how_json(&s->how), "round", 1, "max_update", s->max_update, "applied");
	if (o && s->client)
		json_object_set_new(o, "client", json_string(s->client));
	if (!o)
		ul_nomem(err, 1024);
	return o;
}

bool ul_mpu_server_make(const ul_mpu_secret *s, ul_err *err)
{
	ul_arena a = {0};
	const char *noise = ul_path_join(&a, s->dir, "noise.key"), *sign = ul_path_join(&a, s->dir, "sign.key"), *path = ul_path_join(&a, s->dir, "state.json");
	bool ok = (noise && sign && path) || ul_nomem(err, strlen(s->dir));
	if (ok && ul_file_exists(path)) {
		ul_fail(err, "%s already holds the secrets of a session", s->dir);
		ul_hint(err, "`unlearn mpu publish %s` publishes its next round", s->dir);
		ok = false;
	}
	ok = ok && (mkdir(s->dir, 0700) == 0 || errno == EEXIST || ul_fail(err, "cannot make %s: %s", s->dir, strerror(errno))) &&
	     (chmod(s->dir, 0700) == 0 || ul_fail(err, "cannot make %s private: %s", s->dir, strerror(errno)));
	ok = ok && key_file(s->noise_key, noise, err) && key_file(NULL, sign, err);
	json_t *state = ok ? first_state(s, err) : NULL;
	char *text = state ? json_dumps(state, JSON_INDENT(2)) : NULL;
	ok = ok && state && (text || ul_nomem(err, 4096)) && ul_secret_write(path, text, strlen(text), err);
	ul_free(text);
	json_decref(state);
	ul_arena_release(&a);
	return ok;
}

/* ---- opening ---- */

static json_t *read_state(const char *dir, ul_err *err)
{
	ul_arena a = {0};
	const char *path = ul_path_join(&a, dir, "state.json");
	json_t *o = NULL;
	if (!path)
		ul_nomem(err, strlen(dir));
	else if (!ul_file_exists(path))
		ul_fail(err, "%s holds no state.json: it is no secret folder of a server", dir);
	else
		o = ul_json_file(path, 4 << 20, err);
	ul_arena_release(&a);
	return o;
}

bool ul_mpu_server_names(const char *dir, ul_mpu_names *out, ul_err *err)
{
	json_t *o = read_state(dir, err);
	const char *weights = ul_json_str(o, "weights"), *model = ul_json_str(o, "model"), *adapter = ul_json_str(o, "adapter"), *base = ul_json_str(o, "base");
	*out = (ul_mpu_names){0};
	bool ok = o && (model || ul_fail(err, "%s/state.json names no model", dir));
	if (ok) {
		out->model = weights ? ul_path_join(&out->arena, dir, weights) : ul_arena_strdup(&out->arena, model);
		out->adapter = !weights && adapter ? ul_arena_strdup(&out->arena, adapter) : NULL;
		out->base = base ? ul_arena_strdup(&out->arena, base) : NULL;
		ok = !out->arena.failed || ul_nomem(err, 4096);
	}
	json_decref(o);
	return ok;
}

static bool read_keys(ul_mpu_server *s, ul_err *err)
{
	char path[4200];
	ul_mpu_signer noise;
	snprintf(path, sizeof path, "%s/noise.key", s->dir);
	if (!ul_mpu_signer_open(&noise, path, false, err))
		return false;
	memcpy(s->mpu.key.bytes, noise.secret, sizeof s->mpu.key.bytes);
	ul_mpu_signer_release(&noise);
	snprintf(path, sizeof path, "%s/sign.key", s->dir);
	return ul_mpu_signer_open(&s->signer, path, false, err);
}

/* The model a session began with must still be the one it was. */
static bool same_model(ul_mpu_server *s, ul_err *err)
{
	const char *sha = ul_json_str(s->state, "sha256");
	if (ul_json_str(s->state, "weights"))
		return true;
	if (!ul_model_hash(s->mpu.theta, err))
		return false;
	if (!sha)
		return json_object_set_new(s->state, "sha256", json_string(s->mpu.theta->sha256)) == 0 || ul_nomem(err, 128);
	return !strcmp(sha, s->mpu.theta->sha256) || ul_fail(err, "the model at %s is not the one that this session began with", s->mpu.theta->path);
}

ul_mpu_server *ul_mpu_server_new(const char *dir, ul_model *theta, ul_model *base, ul_err *err)
{
	ul_mpu_server *s = ul_calloc(1, sizeof *s);
	if (!s) {
		ul_model_free(theta);
		ul_model_free(base);
		ul_nomem(err, sizeof *s);
		return NULL;
	}
	s->lock = -1;
	s->mpu.theta = theta;
	s->mpu.base = s->base = base;
	int64_t round = 0;
	bool ok = (size_t)snprintf(s->dir, sizeof s->dir, "%s", dir) < sizeof s->dir || ul_fail(err, "the path %s is longer than 4095 bytes", dir);
	ok = ok && (s->lock = ul_dir_lock(dir, false, err)) >= 0 && (s->state = read_state(dir, err)) && how_read(json_object_get(s->state, "how"), &s->mpu.how, err) &&
	     ul_json_int(s->state, "round", 1, UL_MPU_MAX_ROUNDS + 1, &round, err) && (round > 0 || ul_fail(err, "%s/state.json names no round", dir));
	s->mpu.round = (int)round;
	ok = ok && read_keys(s, err) && same_model(s, err) && ul_mpu_check(&s->mpu, err) && ul_mpu_begin(&s->mpu, err);
	if (ok)
		return s;
	ul_mpu_server_free(s);
	return NULL;
}

void ul_mpu_server_free(ul_mpu_server *s)
{
	if (!s)
		return;
	ul_model_free(s->mpu.theta);
	ul_model_free(s->base);
	ul_mpu_release(&s->mpu);
	ul_mpu_signer_release(&s->signer);
	json_decref(s->state);
	if (s->lock >= 0)
		close(s->lock);
	ul_free(s);
}

bool ul_mpu_server_done(const ul_mpu_server *s)
{
	return s->mpu.round > s->mpu.how.rounds;
}

/* ---- going on ---- */

bool ul_mpu_state_write(const ul_mpu_server *s, ul_err *err)
{
	char path[4200];
	char *text = json_dumps(s->state, JSON_INDENT(2));
	snprintf(path, sizeof path, "%s/state.json", s->dir);
	bool ok = (text || ul_nomem(err, 4096)) && ul_secret_write(path, text, strlen(text), err);
	ul_free(text);
	return ok;
}

bool ul_mpu_state_advance(ul_mpu_server *s, const char *weights, const char *const *sha, int n, ul_err *err)
{
	json_t *applied = json_object_get(s->state, "applied");
	int ok = 0;
	for (int i = 0; i < n; i++)
		ok |= json_array_append_new(applied, json_pack("{s:i, s:s}", "round", s->mpu.round, "sha256", sha[i]));
	ok |= json_object_set_new(s->state, "weights", json_string(weights));
	ok |= json_object_set_new(s->state, "round", json_integer(s->mpu.round + 1));
	json_object_del(s->state, "of");
	return (ok == 0 || ul_nomem(err, 1024)) && ul_mpu_state_write(s, err);
}
