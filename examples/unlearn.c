/*
 * unlearn.c: a model forgets the rows of a file, through the library.
 *
 *     cc -o unlearn-example examples/unlearn.c $(pkg-config --cflags --libs unlearn)
 *     ./unlearn-example MODEL forget.jsonl retain.jsonl OUT
 *
 * Settings are those of the command line: `unlearn help run` and `unlearn methods npo` list them.
 */
#include <stdio.h>
#include <unlearn.h>

static void tick(void *ud, const char *what, int64_t done, int64_t total, double loss, double rate)
{
	(void)ud;
	(void)rate;
	fprintf(stderr, "\r%s %lld/%lld loss %.3f", what, (long long)done, (long long)total, loss);
}

static int fail(const ul_err *err)
{
	fprintf(stderr, "%s\n%s\n", err->msg, err->hint);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: %s MODEL FORGET.jsonl RETAIN.jsonl OUT\n", argv[0]);
		return 2;
	}
	ul_setting settings[] = {{"forget", argv[2]}, {"retain", argv[3]}, {"output", argv[4]}, {"lora", "r=8,alpha=16,target=all-linear"}, {"epochs", "5"}, {"lr", "1e-4"}};
	ul_setting exam[] = {{"forget", argv[2]}, {"retain", argv[3]}, {"before", argv[1]}};
	ul_progress progress = {.tick = tick};
	ul_err err = {0};
	char verdict[16];

	ul_model *model = ul_model_open(argv[1], NULL, &err);
	if (!model)
		return fail(&err);
	ul_run *run = ul_run_new(model, "npo", settings, sizeof settings / sizeof *settings, &err);
	bool ok = run && ul_run_train(run, &progress, &err) && ul_run_save(run, &err);
	ok = ok && ul_audit(model, exam, sizeof exam / sizeof *exam, &progress, verdict, &err);
	ul_run_free(run);
	ul_model_free(model);
	if (!ok)
		return fail(&err);
	printf("\n%s: %s\n", argv[4], verdict);
	return 0;
}
