/*
 * cmd_audit.c: unlearn audit MODEL: did it forget, does it still work, against what was that measured.
 */
#include "cli/cli.h"
#include "api/audit_api.h"

#include <math.h>
#include <string.h>

typedef struct config {
	int require;
} config;

static const ul_opt opts[] = {
        {"require", UL_OPT_ENUM, offsetof(config, require), "none", 0, 0, "none|PASS|INCONCLUSIVE|UNVERIFIED|OVER|UNDER", "exit with 3 when the verdict is worse than this", NULL},
        {0},
};
static const ul_opt *const more[] = {ul_audit_opts, NULL};

static void number(char *out, size_t n, const json_t *v)
{
	double x = json_number_value(v);
	if (!json_is_number(v))
		snprintf(out, n, "-");
	else if (x != 0 && (fabs(x) < 1e-3 || fabs(x) >= 1e5))
		snprintf(out, n, "%.2e", x);
	else
		snprintf(out, n, "%.4f", x);
}

static void print_line(const char *name, const json_t *l)
{
	char value[32], before[32], reference[32];
	number(value, sizeof value, json_object_get(l, "value"));
	number(before, sizeof before, json_object_get(l, "before"));
	number(reference, sizeof reference, json_object_get(l, "reference"));
	printf("%-24s %10s %10s %10s %6lld  %s", name, value, before, reference, (long long)json_integer_value(json_object_get(l, "n")), ul_json_str(l, "verdict"));
	json_int_t needed = json_integer_value(json_object_get(l, "n_needed"));
	if (needed > 0)
		printf(" (%lld items would decide)", (long long)needed);
	printf("%s\n", json_is_true(json_object_get(l, "gate")) ? "  [gate]" : json_is_true(json_object_get(l, "required")) ? "  [required]"
	                                                                                                                    : "");
}

static void print_source(const json_t *s)
{
	char found[32], precision[32], recall[32];
	number(found, sizeof found, json_object_get(s, "recall"));
	number(precision, sizeof precision, json_object_get(json_object_get(s, "masks"), "precision"));
	number(recall, sizeof recall, json_object_get(json_object_get(s, "masks"), "recall"));
	printf("made rows: %lld, with %lld personal data: %lld remembered, %lld borrowed from the pool, %lld invented; %s of the true ones found; masks: precision %s, recall %s\n",
	        (long long)json_integer_value(json_object_get(s, "rows")), (long long)json_integer_value(json_object_get(s, "entities")), (long long)json_integer_value(json_object_get(s, "remembered")),
	        (long long)json_integer_value(json_object_get(s, "borrowed")), (long long)json_integer_value(json_object_get(s, "invented")), found, precision, recall);
}

static void print_table(const json_t *scores, const char *output)
{
	const char *name;
	json_t *v;
	printf("%-24s %10s %10s %10s %6s\n", "", "after", "before", "reference", "n");
	json_object_foreach(json_object_get(scores, "audits"), name, v)
	        print_line(name, v);
	json_object_foreach(json_object_get(scores, "not_tested"), name, v)
	        printf("%-24s not tested: %s\n", name, json_string_value(v));
	if (json_object_get(scores, "source"))
		print_source(json_object_get(scores, "source"));
	printf("%s: %s (mode %s)\n", ul_json_str(scores, "verdict"), ul_json_str(scores, "why"), ul_json_str(scores, "mode"));
	if (output)
		printf("%s/report.html\n", output);
}

static int run(ul_cli *c, const void *given)
{
	const config *o = given;
	json_t *scores = NULL;
	enum ul_verdict v;
	ul_audit_config *a = ul_cli_config(c, ul_audit_opts, sizeof *a);
	if (!a || !ul_cli_done(c, c->verb->more)) {
		c->usage = true;
		return ul_cli_fail(c);
	}
	a->model = c->arg[0];
	a->seed = c->seed;
	a->force = c->force;
	if (!a->forget) {
		c->usage = true;
		ul_fail(&c->err, "an audit needs the rows that should be forgotten");
		ul_hint(&c->err, "give them with --forget FILE");
		return ul_cli_fail(c);
	}
	ul_model *m = ul_model_open(c->arg[0], c->adapter, &c->err);
	bool ok = m && ul_audit_make(m, a, &c->progress, &scores, &v, &c->err);
	ul_model_free(m);
	if (!ok)
		return ul_cli_fail(c);
	if (c->json)
		ul_cli_print(c, scores);
	else if (!c->quiet)
		print_table(scores, a->output);
	json_decref(scores);
	if (o->require > 0 && (int)v > o->require - 1) {
		static const char *const name[] = {"", "PASS", "INCONCLUSIVE", "UNVERIFIED", "OVER", "UNDER"};
		ul_fail(&c->err, "the verdict is %s, and %s was required", ul_verdict_name(v), name[o->require]);
		return UL_EXIT_VERDICT;
	}
	return UL_EXIT_DONE;
}

const ul_verb ul_verb_audit = {
        .name = "audit",
        .usage = "MODEL --forget F [--before M] [--oracle M] [--retain F] [--holdout F] [--general F] -o DIR",
        .summary = "judge whether a model has forgotten, and whether it still works",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .more = more,
        .config = sizeof(config),
        .main = run,
};
