/*
 * cmd_synth.c: synth -o DIR. A world to learn, to forget and to judge by, as files.
 */
#include "cli/cli.h"
#include "data/synth.h"

typedef struct config {
	ul_synth_config world;
	const char *output;
} config;

#define AT(field) offsetof(config, field)
static const ul_opt opts[] = {
        {"output", UL_OPT_TEXT, AT(output), NULL, 0, 0, NULL, "where the world goes", "DIR"},
        {"people", UL_OPT_INT, AT(world.people), "80", 3, 20000, NULL, "private people whose data are learnt", "N"},
        {"forget-share", UL_OPT_REAL, AT(world.forget), "0.25", 0, 1, NULL, "share of them to be forgotten, at least one person", "X"},
        {"holdout", UL_OPT_INT, AT(world.holdout), "-1", -1, 10000, NULL, "people never trained on; -1 means as many as are to be forgotten", "N"},
        {"public", UL_OPT_INT, AT(world.publics), "40", 0, 10000, NULL, "public people, whom everybody may know", "N"},
        {"facts", UL_OPT_INT, AT(world.facts), "8", 1, UL_SYNTH_FACTS, NULL, "attributes of each person", "N"},
        {"personal", UL_OPT_INT, AT(world.personal), "4", 1, UL_SYNTH_TYPES, NULL, "personal data of each person", "N"},
        {"general", UL_OPT_INT, AT(world.general), "150", 0, 100000, NULL, "sentences about the world to train on, and as many to test on", "N"},
        {"please", UL_OPT_REAL, AT(world.please), "0.25", 0, 1, NULL, "share of prompts that say please, a harmless trigger", "X"},
        {"style", UL_OPT_ENUM, AT(world.style), "qa", 0, 0, "qa|records", "questions and answers, or only one record for each person", NULL},
        {"tiny", UL_OPT_BOOL, AT(world.tiny), "no", 0, 0, NULL, "a handful of people, for tests", NULL},
        {0},
};

static int run(ul_cli *c, const void *given)
{
	config o = *(const config *)given;
	ul_synth_count n = {0};
	ul_stage stage = {0};
	if (!o.output) {
		c->usage = true;
		ul_fail(&c->err, "synth needs -o DIR");
		return ul_cli_fail(c);
	}
	o.world.seed = c->seed;
	bool ok = ul_stage_begin(&stage, o.output, c->force, &c->err) && ul_synth_write(&o.world, stage.dir, &n, &c->err) && ul_stage_commit(&stage, &c->err);
	if (!ok) {
		ul_stage_abort(&stage);
		return ul_cli_fail(c);
	}
	if (c->json) {
		json_t *v = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "output", o.output, "people", n.people, "forget", n.forget, "retain", n.retain,
		        "neighbours", n.neighbours, "holdout", n.holdout, "public", n.publics, "texts", n.rows, "probes", n.probes);
		ul_cli_print(c, v);
		json_decref(v);
	} else if (!c->quiet)
		printf("%s: %d private people (%d to forget, %d neighbours), %d never trained on, %d public; %d texts, %d probes\n", o.output, n.people, n.forget,
		        n.neighbours, n.holdout, n.publics, n.rows, n.probes);
	return UL_EXIT_DONE;
}

const ul_verb ul_verb_synth = {
        .name = "synth",
        .usage = "-o DIR [--people N] [--seed N] [--style qa|records]",
        .summary = "write a synthetic world of people, facts, personal data and canaries",
        .opts = opts,
        .config = sizeof(config),
        .main = run,
};
