/*
 * mpu_serve.c: unlearn mpu serve SECRET. The server of MPU over the network: publishes each round of the secret folder, gives its
 * copies to clients, takes their updates and collects them, until no round is left.
 */
#include "api/mpu_api.h"
#include "cli/wire.h"
#include "cli/work.h"

#include <string.h>

struct config {
	const char *listen, *certs, *allow, *revoked, *state, *output;
	int64_t per_client, lease, quota, max_bytes, patience, connections;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"listen", UL_OPT_TEXT, AT(listen), "127.0.0.1:8443", 0, 0, NULL, "where to listen; the default is heard on this machine only", "ADDRESS:PORT"},
        {"certs", UL_OPT_TEXT, AT(certs), NULL, 0, 0, NULL, "folder with ca.pem, cert.pem and key.pem, as `unlearn mpu certs` makes it", "DIR"},
        {"allow", UL_OPT_TEXT, AT(allow), NULL, 0, 0, NULL, "SHA-256 of the certificates of clients that may come, one a line, # before a comment; read again when it changes; default: all of the authority", "FILE"},
        {"revoked", UL_OPT_TEXT, AT(revoked), NULL, 0, 0, NULL, "list of revoked certificates, signed by the authority (X.509 CRL, PEM); read again when it changes", "FILE"},
        {"state", UL_OPT_TEXT, AT(state), NULL, 0, 0, NULL, "folder of published copies, arriving updates and the audit trail; default: SECRET/net", "DIR"},
        {"output", UL_OPT_TEXT, AT(output), NULL, 0, 0, NULL, "also write the model as it is after the last round (also -o)", "DIR"},
        {"per-client", UL_OPT_INT, AT(per_client), "0", 0, 64, NULL, "copies of a round that one client may have; 0: all. With 1 no client can average noise away", "N"},
        {"lease", UL_OPT_INT, AT(lease), "86400", 1, 31536000, NULL, "seconds after which a copy not returned may go to another client", "N"},
        {"quota", UL_OPT_INT, AT(quota), "4", 1, 1000000, NULL, "what a client may move in a round, as a multiple of its copies and their updates", "N"},
        {"max-bytes", UL_OPT_INT, AT(max_bytes), "0", 0, 9007199254740992.0, NULL, "largest update in bytes; 0: twice its copy and a MiB", "N"},
        {"patience", UL_OPT_INT, AT(patience), "60", 1, 86400, NULL, "seconds in which a connection must move 64 KiB or finish a request", "N"},
        {"connections", UL_OPT_INT, AT(connections), "64", 1, 1000, NULL, "connections at the same time, each of which costs about 100 KiB of memory", "N"},
        {0},
};

typedef struct serving {
	const char *secret, *state;
	ul_wire wire; /* to say what was published */
	ul_mpu_server *server; /* of the round now; NULL: to be loaded */
} serving;

static bool load(serving *s, ul_err *err)
{
	return s->server || (s->server = ul_mpu_server_load(s->secret, err));
}

/* What is published is said as `mpu publish` says it: what goes out as it is, and what rounding makes of the noise. */
static bool publish(serving *s, int round, const char *dir, ul_err *err)
{
	json_t *manifest = NULL, *rounding = ul_mpu_precision_json(&s->server->mpu, &s->wire.progress, err);
	bool ok = rounding && ul_mpu_server_publish(s->server, dir, false, &manifest, err);
	const json_t *plain = json_object_get(manifest, "plain");
	char text[512];
	int n = json_array_size(plain) == 0 ? snprintf(text, sizeof text, "no tensor is published exactly as it is") : snprintf(text, sizeof text, "%zu tensors are published exactly as they are, the first of them %.200s", json_array_size(plain), json_string_value(json_array_get(plain, 0)));
	snprintf(text + n, sizeof text - (size_t)n, "; as %s, noise changes %.4g %% of the weights it should, and %.1g of it is left in the average of the copies", ul_json_str(rounding, "dtype"),
	        100 * json_number_value(json_object_get(rounding, "noise_reaches")), json_number_value(json_object_get(rounding, "noise_left")));
	if (ok)
		s->wire.log.line(s->wire.log.ud, &(ul_net_event){.what = "published", .round = round, .copy = -1, .detail = text});
	json_decref(rounding);
	json_decref(manifest);
	return ok;
}

/* ---- what the network asks ---- */

static bool now(void *ud, ul_net_round *r, ul_err *err)
{
	serving *s = ud;
	if (!load(s, err))
		return false;
	const ul_mpu *m = &s->server->mpu;
	*r = (ul_net_round){.round = ul_mpu_server_done(s->server) ? m->how.rounds + 1 : m->round, .rounds = m->how.rounds, .copies = m->how.copies};
	return true;
}

static bool copy(void *ud, int round, int k, char dir[4096], char only[64], ul_err *err)
{
	serving *s = ud;
	if ((size_t)snprintf(dir, 4096, "%s/round-%d/published", s->state, round) >= 4096)
		return ul_fail(err, "paths below %.200s are longer than 4095 bytes", s->state);
	snprintf(only, 64, "copy-%d", k);
	return ul_is_dir(dir) || (load(s, err) && publish(s, round, dir, err));
}

/* The hash of the weights that a manifest lists. */
static const char *weights_of(const json_t *manifest)
{
	const json_t *f;
	size_t i;
	json_array_foreach(json_object_get(manifest, "files"), i, f)
	{
		const char *path = ul_json_str(f, "path"), *name = path ? strrchr(path, '/') : NULL;
		if (name && (!strcmp(name, "/model.safetensors") || !strcmp(name, "/adapter_model.safetensors")))
			return ul_json_str(f, "sha256");
	}
	return NULL;
}

/* Collecting would find the same, but then all updates are here and nobody is left to send another. */
static bool is_new(const json_t *mine, const ul_net_update *u, ul_err *err)
{
	const char *sha = weights_of(mine);
	bool ok = true;
	for (int j = 0; ok && sha && j < u->copies; j++) {
		json_t *other = j != u->copy && u->accepted[j] ? ul_mpu_manifest_read(u->accepted[j], NULL, NULL, err) : NULL;
		const char *theirs = other ? weights_of(other) : NULL;
		ok = !theirs || strcmp(theirs, sha) != 0 || ul_fail(err, "copies %d and %d came back as the same bytes: one update was sent in place of two", j, u->copy);
		json_decref(other);
	}
	return ok;
}

/* Is it one of this copy, new, and signed as this client signs? Then the algorithm looks at it. */
static bool is_right(serving *s, const ul_net_update *u, char key[65], ul_err *err)
{
	json_t *m = ul_mpu_manifest_read(u->dir, NULL, NULL, err);
	const json_t *list = json_object_get(m, "updates");
	int64_t k = -1;
	if (m)
		snprintf(key, 65, "%s", ul_json_str(m, "key"));
	bool ok = m && ul_json_int(json_array_get(list, 0), "copy", 0, UL_MPU_MAX_COPIES, &k, err);
	if (ok && (json_array_size(list) != 1 || k != u->copy))
		ok = ul_fail(err, "the update came for copy %d, and is one of %zu copies, the first of them %lld", u->copy, json_array_size(list), (long long)k);
	ok = ok && is_new(m, u, err) && ul_mpu_server_check(s->server, u->dir, err);
	json_decref(m);
	return ok;
}

/* What fails for want of memory or of a disk says nothing about the update. */
static enum ul_net_verdict check(void *ud, const ul_net_update *u, char key[65], ul_err *err)
{
	serving *s = ud;
	if (!load(s, err))
		return UL_NET_UNDECIDED;
	unsigned long troubles = ul_troubles();
	if (is_right(s, u, key, err))
		return UL_NET_TAKE;
	return ul_troubles() == troubles ? UL_NET_REFUSE : UL_NET_UNDECIDED;
}

static bool collect(void *ud, int round, char *const *update, int copies, ul_err *err)
{
	serving *s = ud;
	bool ok = load(s, err) && ul_mpu_server_collect(s->server, update, copies, NULL, err);
	ul_mpu_server_free(s->server); /* of the old round now, or perhaps half changed: read again */
	s->server = NULL;
	return ok;
}

/* ---- the verb ---- */

static bool serve(ul_cli *c, const struct config *o, serving *s, bool *stopped)
{
	ul_net_rounds rounds = {s, now, copy, check, collect};
	ul_wire_begin(&s->wire, c);
	ul_net_server net = {.dir = s->state, .listen = o->listen, .certs = o->certs, .allow = o->allow, .revoked = o->revoked, .per_client = o->per_client, .lease = o->lease, .quota = o->quota, .most = o->max_bytes, .patience = o->patience, .connections = o->connections, .rounds = &rounds, .progress = &s->wire.progress, .log = s->wire.log};
	bool ok = ul_net_serve(&net, stopped, &c->err);
	ul_wire_end(&s->wire);
	return ok;
}

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	serving s = {.secret = c->arg[0], .state = o->state ? o->state : ul_path_join(&c->arena, c->arg[0], "net")};
	bool stopped = false;
	if (!o->certs)
		return ul_work_usage(c, "mpu serve needs --certs DIR; `unlearn mpu certs` makes some for tests");
	if (o->output && !ul_stage_check(o->output, c->force, &c->err))
		return ul_cli_fail(c);
	bool ok = s.state && load(&s, &c->err) && serve(c, o, &s, &stopped);
	ok = ok && (stopped || !o->output || (load(&s, &c->err) && ul_model_put(s.server->mpu.theta, o->output, c->force, &c->err)));
	ul_mpu_server_free(s.server);
	if (ok && stopped) {
		ul_fail(&c->err, "stopped before all rounds were over");
		ul_hint(&c->err, "the same command goes on where it was");
		return UL_EXIT_INTERRUPTED;
	}
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_mpu_serve = {
        .name = "mpu serve",
        .usage = "SECRET --certs DIR [--listen ADDRESS:PORT] [-o MODEL]",
        .summary = "the server over the network: gives copies, takes updates, until no round is left",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
