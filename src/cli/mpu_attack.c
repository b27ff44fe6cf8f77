/*
 * mpu_attack.c: unlearn mpu attack PUBLISHED. Tries on a round what its parties could try, and says how much they would find.
 */
#include "api/mpu_attack_api.h"
#include "cli/work.h"

#include <math.h>

#define AT(field) offsetof(ul_mpu_attack_job, field)
static const ul_opt opts[] = {
        {"secret", UL_OPT_TEXT, AT(secret), NULL, 0, 0, NULL, "the server's secret folder, to judge by; the attacks do not look into it", "DIR"},
        {"data", UL_OPT_TEXT, AT(data), NULL, 0, 0, NULL, "rows that the recovered models are scored on", "F"},
        {"update", UL_OPT_TEXT, AT(update), NULL, 0, 0, NULL, "a client's update of this round: what does it tell the server?", "DIR"},
        {"forget", UL_OPT_TEXT, AT(forget), NULL, 0, 0, NULL, "with --update: the rows it was made from", "F"},
        {"retain", UL_OPT_TEXT, AT(retain), NULL, 0, 0, NULL, "with --update: the retain rows it was made from", "F"},
        {"holdout", UL_OPT_TEXT, AT(holdout), NULL, 0, 0, NULL, "with --update: rows that it was not made from", "F"},
        {0},
};

static double number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	return json_is_number(v) ? json_number_value(v) : NAN;
}

static void print_table(const json_t *found)
{
	static const char *const what[][2] = {{"one copy", "a copy, transform undone by the judge"}, {"mean", "1 mean of the copies"}, {"copies", "2 copies aligned to one another"}, {"base", "3 copies aligned to the base"}};
	printf("%-40s %10s %10s %10s %10s\n", "", "noise left", "cosine", "exact", "mean NLL");
	for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
		const json_t *o = json_object_get(found, what[i][0]);
		if (!o)
			continue;
		printf("%-40s %10.4f %10.4f %9.1f%%", what[i][1], number(o, "noise_left"), number(o, "cosine"), 100 * number(o, "exact"));
		if (json_object_get(o, "nll"))
			printf(" %10.4f", number(o, "nll"));
		printf("\n");
	}
	const json_t *u = json_object_get(found, "updates");
	if (u)
		printf("4 from an update: forgotten rows told from others with AUC %.3f, their tokens with AUC %.3f (0.5 tells nothing)\n", number(u, "membership_auc"), number(u, "tokens_auc"));
	if (u && json_object_get(u, "rows"))
		printf("4 by gradient inversion: %.0f of %.0f rows read whole, %.1f %% of their tokens (rank %.0f of %.0f)\n", number(u, "rows_read"), number(u, "rows"), 100 * number(u, "tokens_read"),
		        number(u, "rank"), number(u, "of"));
	printf("5 one dishonest copy moves the weights by at most %.3g of their length\n", number(json_object_get(found, "poison"), "one_copy_moves"));
}

static int run(ul_cli *c, const void *given)
{
	ul_mpu_attack_job a = *(const ul_mpu_attack_job *)given;
	json_t *found = NULL;
	a.published = c->arg[0];
	if (!a.secret)
		return ul_work_usage(c, "mpu attack needs --secret DIR to judge what was found");
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
        .usage = "PUBLISHED --secret DIR [--data F] [--update DIR --forget F --holdout F]",
        .summary = "try on a round what its parties could try, and say how much they would find",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .config = sizeof(ul_mpu_attack_job),
        .main = run,
};
