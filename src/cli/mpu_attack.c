/*
 * mpu_attack.c: unlearn mpu attack PUBLISHED. Tries on a round what its parties could try, and says how much they would find.
 */
#include "api/mpu_attack_api.h"
#include "cli/work.h"

#include <math.h>

#define AT(field) offsetof(ul_mpu_attack_job, field)
static const ul_opt opts[] = {
        {"secret", UL_OPT_TEXT, AT(secret), NULL, 0, 0, NULL, "the server's secret folder, to judge by; of what is in it attackers are told only which public model the base is", "DIR"},
        {"data", UL_OPT_TEXT, AT(data), NULL, 0, 0, NULL, "rows that the secret and the recovered models are scored on: mean NLL, and the share of tokens that are most probable", "F"},
        {"update", UL_OPT_TEXT, AT(update), NULL, 0, 0, NULL, "a client's update of this round, which attack 4 reads: what does it tell the server? The first copy in it is taken", "DIR"},
        {"forget", UL_OPT_TEXT, AT(forget), NULL, 0, 0, NULL, "with --update: the rows it was made from", "F"},
        {"retain", UL_OPT_TEXT, AT(retain), NULL, 0, 0, NULL, "with --update: the retain rows it was made from", "F"},
        {"holdout", UL_OPT_TEXT, AT(holdout), NULL, 0, 0, NULL, "with --update: rows that it was not made from, to tell the forgotten ones from", "F"},
        {0},
};

static double number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	return json_is_number(v) ? json_number_value(v) : NAN;
}

static void print_settings(const json_t *o)
{
	double longest = number(o, "max_update");
	printf("round %.0f of %.0f: %.0f copies, noise %g of the %s, α %s, transforms %s (%s), common noise %g, updates cut at %g and refused beyond %g (0: never), server step %g\n",
	        number(o, "round"), number(o, "rounds"), number(o, "copies"), number(o, "noise"), json_is_true(json_object_get(o, "base")) ? "task vector" : "weights, as there is no base",
	        ul_json_str(o, "alpha"), ul_json_str(o, "reparam"), ul_json_str(o, "turns"), number(o, "common_noise"), number(o, "clip_update"), longest, number(o, "server_lr"));
}

static void print_copies(const json_t *found)
{
	static const char *const what[][2] = {{"secret", "the secret itself"}, {"one copy", "a copy, transform undone by the judge"}, {"mean", "1 mean of the copies"},
	        {"copies", "2 copies aligned to one another"}, {"base", "3 that mean aligned to the base"}};
	printf("%-40s %10s %10s %10s %10s %10s\n", "", "noise left", "cosine", "exact", "mean NLL", "accuracy");
	for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
		const json_t *o = json_object_get(found, what[i][0]);
		if (!o)
			continue;
		printf("%-40s %10.4f %10.4f %9.1f%%", what[i][1], number(o, "noise_left"), number(o, "cosine"), 100 * number(o, "exact"));
		if (json_object_get(o, "nll"))
			printf(" %10.4f %9.1f%%", number(o, "nll"), 100 * number(o, "accuracy"));
		printf("\n");
	}
}

static void print_update(const json_t *u)
{
	if (!u)
		return;
	if (json_is_number(json_object_get(u, "membership_auc")))
		printf("4 from the update of copy %.0f: forgotten rows told from others with AUC %.3f (0.5 tells nothing)\n", number(u, "copy"), number(u, "membership_auc"));
	else
		printf("4 from the update of copy %.0f: whether forgotten rows can be told from others is not tried without --holdout\n", number(u, "copy"));
	if (json_is_number(json_object_get(u, "tokens_auc")))
		printf("4 tokens of the client's rows told from others with AUC %.3f (0.5 tells nothing)\n", number(u, "tokens_auc"));
	if (json_object_get(u, "rows"))
		printf("4 by gradient inversion: %.0f of %.0f rows read whole, %.1f %% of their tokens (rank %.0f of %.0f)\n", number(u, "rows_read"), number(u, "rows"), 100 * number(u, "tokens_read"),
		        number(u, "rank"), number(u, "of"));
	if (json_object_get(u, "not_tried"))
		printf("4 not tried on an adapter: %s\n", ul_json_str(u, "not_tried"));
}

static void print_poison(const json_t *p)
{
	size_t i;
	json_t *o;
	json_array_foreach(json_object_get(p, "tried"), i, o)
	{
		const char *refused = ul_json_str(o, "refused");
		printf("5 %s: %s%s", ul_json_str(o, "what"), refused ? "refused: " : "taken", refused ? refused : "");
		if (json_object_get(o, "moved"))
			printf(", and moves the weights by %.3g of their length", number(o, "moved"));
		if (json_object_get(o, "nll"))
			printf(" (mean NLL %.4f, accuracy %.1f %%)", number(o, "nll"), 100 * number(o, "accuracy"));
		printf("\n");
	}
	if (json_is_number(json_object_get(p, "one_copy_moves")))
		printf("5 one dishonest copy moves the weights by at most %.3g of their length\n", number(p, "one_copy_moves"));
	else
		printf("5 nothing limits how far one dishonest copy moves the weights: neither --max-update nor --clip-update is set\n");
}

static void print_table(const json_t *found)
{
	print_settings(json_object_get(found, "settings"));
	print_copies(found);
	print_update(json_object_get(found, "updates"));
	print_poison(json_object_get(found, "poison"));
}

static int run(ul_cli *c, const void *given)
{
	ul_mpu_attack_job a = *(const ul_mpu_attack_job *)given;
	json_t *found = NULL;
	a.published = c->arg[0];
	if (!a.secret)
		return ul_work_usage(c, "mpu attack needs --secret DIR to judge what was found");
	if (!a.update && (a.forget || a.retain || a.holdout))
		return ul_work_usage(c, "--forget, --retain and --holdout say what is known of an update: --update DIR must name it");
	if (a.update && !a.forget)
		return ul_work_usage(c, "--update needs --forget F, the rows it was made from");
	if (!ul_mpu_attack_run(&a, &found, &c->err))
		return ul_cli_fail(c);
	if (c->json)
		ul_cli_print(c, found);
	else if (!c->quiet)
		print_table(found);
	json_decref(found);
	return UL_EXIT_DONE;
}

const ul_verb ul_mpu_attack = {
        .name = "mpu attack",
        .usage = "PUBLISHED --secret DIR [--data F] [--update DIR --forget F [--retain F] [--holdout F]]",
        .summary = "try on a round what its parties could try, and say how much they would find",
        .notes = "attacks, by whom, and what each needs\n"
                 "  1 mean of the copies             whoever holds all of them: their weighted mean, in which the noises cancel\n"
                 "  2 copies aligned to one another  the same, after permutations and turns were found by comparing the copies\n"
                 "  3 that mean aligned to the base  the same in the coordinates of the public base; tried where the round was published with --base\n"
                 "  4 from the update                the server, about the client's rows; tried with --update and --forget, and --retain where it had such\n"
                 "  5 poison                         a client: updates too long, sent twice, or turned against the model, on the server's own check\n"
                 "\n"
                 "what is printed of 1 to 3, and to compare with of the secret itself and of a copy whose transform the judge undid\n"
                 "  noise left   distance from the secret in units of one copy's noise: 0 everything was found, 1 no more than one copy shows\n"
                 "  cosine       between what was found and the secret, both less the base where there is one: 1 the same direction\n"
                 "  exact        share of numbers right to a ten-thousandth of their tensor's root mean square\n"
                 "  mean NLL     with --data: how surprising the rows are to what was found, in nats a token\n"
                 "  accuracy     with --data: share of their tokens that it finds most probable\n"
                 "\n"
                 "what is printed of 4\n"
                 "  forgotten rows told from others, AUC  with --holdout: how often a forgotten row rose more in surprise than one of these; 0.5 tells nothing\n"
                 "  tokens told from others, AUC          how often a token of the client's rows moved further in the embedding than one of no row;\n"
                 "                                        0.5 tells nothing, less as much as more\n"
                 "  gradient inversion                    rows rebuilt word for word from how one matrix changed, and that change's rank of the largest possible\n"
                 "\n"
                 "what is printed of 5: refused, with the server's sentence, or taken, with how far it moves the weights as a share of their length and,\n"
                 "with --data, what the model is then worth; and the farthest that one copy can move them.",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .config = sizeof(ul_mpu_attack_job),
        .main = run,
};
