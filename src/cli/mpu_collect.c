/*
 * mpu_collect.c: unlearn mpu collect SECRET UPDATE…. The server judges the updates of a round and applies them once.
 */
#include "api/mpu_api.h"
#include "cli/work.h"

struct config {
	const char *output, *stack;
	bool check;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"output", UL_OPT_TEXT, AT(output), NULL, 0, 0, NULL, "also write the model as it is after this round (also -o)", "DIR"},
        {"stack", UL_OPT_TEXT, AT(stack), NULL, 0, 0, NULL, "also write what adapters changed in this round as one adapter, its rank the sum of theirs", "DIR"},
        {"check", UL_OPT_BOOL, AT(check), "no", 0, 0, NULL, "only say whether each update would be taken", NULL},
        {0},
};

static bool write_model(const char *secret, const char *to, bool force, ul_err *err)
{
	ul_mpu_names n;
	bool ok = ul_mpu_server_names(secret, &n, err);
	ul_model *m = ok ? ul_model_open(n.model, n.adapter, err) : NULL;
	ok = m && ul_model_put(m, to, force, err);
	ul_model_free(m);
	ul_arena_release(&n.arena);
	return ok;
}

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	if (o->output && !ul_stage_check(o->output, c->force, &c->err))
		return ul_cli_fail(c);
	if (o->stack && !ul_stage_check(o->stack, c->force, &c->err))
		return ul_cli_fail(c);
	ul_mpu_server *s = ul_mpu_server_load(c->arg[0], &c->err);
	bool ok = s != NULL;
	for (int i = 1; ok && o->check && i < c->args; i++)
		ok = ul_mpu_server_check(s, c->arg[i], &c->err);
	ok = ok && (o->check || ul_mpu_server_collect(s, c->arg + 1, c->args - 1, o->stack, &c->err));
	int round = ok ? s->mpu.round : 0, rounds = ok ? s->mpu.how.rounds : 0;
	ul_mpu_server_free(s);
	ok = ok && (o->check || !o->output || write_model(c->arg[0], o->output, c->force, &c->err));
	if (!ok)
		return ul_cli_fail(c);
	if (c->json) {
		json_t *v = json_pack("{s:i, s:i, s:b, s:i}", "round", round, "rounds", rounds, "applied", !o->check, "updates", c->args - 1);
		ul_cli_print(c, v);
		json_decref(v);
	} else if (!c->quiet) {
		printf(o->check ? "round %d of %d: %d updates would be taken\n" : "round %d of %d: %d updates applied\n", round, rounds, c->args - 1);
	}
	return UL_EXIT_DONE;
}

const ul_verb ul_mpu_collect = {
        .name = "mpu collect",
        .usage = "SECRET UPDATE… [-o MODEL]",
        .summary = "the server judges the updates of a round and applies them, once",
        .min_args = 2,
        .max_args = 65,
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
