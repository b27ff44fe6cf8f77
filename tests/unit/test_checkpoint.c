/* test_checkpoint.c: a resumed run ends in the very bits of an uninterrupted one; a state that does not fit is refused. */
#include "tests/unit/bench.h"

enum { STEPS = 7 };

static void whole(const char *method, const char *settings, char hex[65])
{
	struct lab lab = {0};
	bench_open(&lab, method, settings, NULL);
	bench_steps(&lab, STEPS);
	bench_hash(&lab, hex);
	lab_end(&lab);
}

/* Stops after `at` steps, forgets everything, opens the model again and goes on from the state. */
static void interrupted(const char *method, const char *settings, int at, char hex[65])
{
	struct lab lab = {0};
	bench_open(&lab, method, settings, test_tmp());
	bench_steps(&lab, at);
	NEED_OK(ul_state_save(&lab.run, &lab.err), lab.err);
	bench_steps(&lab, 1); /* lost work */
	lab_end(&lab);
	lab = (struct lab){0};
	bench_open(&lab, method, settings, test_tmp());
	NEED_OK(ul_state_load(&lab.run, test_tmp(), &lab.err), lab.err);
	CHECK_EQ_INT(lab.run.step, at);
	bench_steps(&lab, STEPS - at);
	bench_hash(&lab, hex);
	lab_end(&lab);
}

static void check(const char *method, const char *settings)
{
	char want[65], got[65];
	whole(method, settings, want);
	for (int at = 0; at < STEPS; at += 3) {
		interrupted(method, settings, at, got);
		CHECK_MSG(!strcmp(want, got), "%s %s: resumed after step %d it ends differently", method, settings, at);
	}
}

static void test_checkpoint__full_training(void)
{
	check("finetune", "{\"lr\": \"1e-2\", \"batch\": \"5\", \"steps\": \"7\"}");
}

static void test_checkpoint__adapter_with_reference(void)
{
	check("npo", "{\"lr\": \"1e-2\", \"batch\": \"5\", \"steps\": \"7\", \"lora\": \"r=3,alpha=6,target=mlp\"}");
}

static void test_checkpoint__full_with_reference(void)
{
	check("npo", "{\"lr\": \"1e-2\", \"batch\": \"5\", \"steps\": \"7\", \"retain-loss\": \"kl\", \"accumulate\": \"2\"}");
	check("undial", "{\"lr\": \"1e-2\", \"batch\": \"5\", \"steps\": \"7\"}");
	check("rmu", "{\"lr\": \"1e-2\", \"batch\": \"5\", \"steps\": \"7\"}");
}

static void test_checkpoint__sgd_with_and_without_momentum(void)
{
	check("ga", "{\"lr\": \"1e-2\", \"batch\": \"5\", \"steps\": \"7\", \"optim\": \"sgd\"}");
	check("ga", "{\"lr\": \"1e-2\", \"batch\": \"5\", \"steps\": \"7\", \"optim\": \"sgd\", \"momentum\": \"0.9\"}");
}

static void test_checkpoint__token_batches(void)
{
	check("graddiff", "{\"lr\": \"1e-2\", \"batch-tokens\": \"25\", \"steps\": \"7\"}");
}

static void test_checkpoint__another_run_is_refused(void)
{
	struct lab lab = {0};
	bench_open(&lab, "ga", "{\"batch\": \"5\", \"steps\": \"7\"}", test_tmp());
	bench_steps(&lab, 2);
	NEED_OK(ul_state_save(&lab.run, &lab.err), lab.err);
	lab_end(&lab);
	lab = (struct lab){0};
	bench_open(&lab, "ga", "{\"batch\": \"5\", \"steps\": \"9\"}", test_tmp());
	CHECK_FAILS(ul_state_load(&lab.run, test_tmp(), &lab.err), lab.err, "7 steps");
	lab_end(&lab);
	lab = (struct lab){0};
	bench_open(&lab, "ga", "{\"batch\": \"5\", \"steps\": \"7\", \"layers\": \"1\"}", test_tmp());
	CHECK_FAILS(ul_state_load(&lab.run, test_tmp(), &lab.err), lab.err, "tensors");
	lab_end(&lab);
}

static void test_checkpoint__no_state(void)
{
	struct lab lab = {0};
	bench_open(&lab, "ga", "{}", NULL);
	CHECK_FAILS(ul_state_load(&lab.run, test_path("nowhere"), &lab.err), lab.err, "nowhere");
	lab_end(&lab);
}

/* Lines of steps that a resumed run makes again are dropped, so the journal has each step once. */
static void test_checkpoint__journal_has_each_step_once(void)
{
	char hex[65];
	interrupted("ga", "{\"batch\": \"5\", \"steps\": \"7\"}", 3, hex);
	ul_buf text = {0};
	ul_err err = {0};
	NEED_OK(ul_file_read(&text, test_path("journal.jsonl"), 1 << 20, &err), err);
	int lines = 0;
	for (char *line = text.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		json_t *v = ul_json_parse(line, (size_t)(end - line), "journal", &err);
		NEED_OK(v, err);
		CHECK_EQ_INT(json_integer_value(json_object_get(v, "step")), ++lines);
		CHECK(json_is_real(json_object_get(v, "grad_norm")) && json_is_real(json_object_get(v, "lr")) && json_is_integer(json_object_get(v, "tokens")));
		json_decref(v);
	}
	CHECK_EQ_INT(lines, STEPS);
	ul_buf_release(&text);
}
