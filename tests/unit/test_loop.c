/* test_loop.c: what a step is: its rows, its mean, what it moves and what it leaves alone. */
#include "tests/unit/bench.h"

static void hash_after(const char *method, const char *settings, int steps, char hex[65])
{
	struct lab lab = {0};
	bench_open(&lab, method, settings, NULL);
	bench_steps(&lab, steps);
	bench_hash(&lab, hex);
	lab_end(&lab);
}

static void test_loop__same_run_same_bits(void)
{
	char a[65], b[65], c[65];
	const char *s = "{\"lr\": \"1e-3\", \"batch\": \"4\"}";
	hash_after("npo", s, 5, a);
	hash_after("npo", s, 5, b);
	CHECK_STR(a, b);
	hash_after("npo", "{\"lr\": \"1e-3\", \"batch\": \"4\", \"seed\": \"1\"}", 5, c);
	CHECK_MSG(strcmp(a, c) != 0, "another seed gave the same run");
}

/* Micro-batches change nothing but rounding: means are those of the whole step. */
static void accumulate(const char *method)
{
	struct lab one = {0}, many = {0};
	bench_open(&one, method, "{\"batch\": \"4\"}", NULL);
	bench_open(&many, method, "{\"batch\": \"4\", \"accumulate\": \"3\"}", NULL);
	for (int k = 0; k < 3; k++) {
		bench_steps(&one, 1);
		bench_steps(&many, 1);
		CHECK_EQ_INT(one.run.micros, 1);
		CHECK_EQ_INT(many.run.micros, 3);
		CHECK_MSG(fabs(one.run.loss - many.run.loss) <= 2e-6 * (1 + fabs(one.run.loss)), "%s: loss %.9g in one batch, %.9g in three", method, one.run.loss, many.run.loss);
		CHECK_MSG(fabs(one.run.grad_norm - many.run.grad_norm) <= 1e-4 * one.run.grad_norm, "%s: gradient norm %.9g in one batch, %.9g in three", method, one.run.grad_norm, many.run.grad_norm);
		for (int t = 0; t < one.run.terms; t++) {
			CHECK_MSG(fabs(one.run.term[t].value - many.run.term[t].value) <= 2e-6 * (1 + fabs(one.run.term[t].value)), "%s: %s differs", method, one.run.term[t].name);
		}
	}
	lab_end(&one);
	lab_end(&many);
}

static void test_loop__accumulation_is_one_batch(void)
{
	const char *const methods[] = {"finetune", "graddiff", "npo", "simnpo", "wga", "satimp", "ceu", "undial", "gd-kl", "idk-dpo", "rmu"};
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		accumulate(methods[i]);
	}
}

static void test_loop__recompute_changes_no_bit(void)
{
	char a[65], b[65];
	hash_after("npo", "{\"lr\": \"1e-3\", \"recompute\": \"no\"}", 3, a);
	hash_after("npo", "{\"lr\": \"1e-3\", \"recompute\": \"yes\"}", 3, b);
	CHECK_STR(a, b);
}

static void test_loop__recomputing_some_blocks_changes_no_bit(void)
{
	char want[65], got[65];
	hash_after("npo", "{\"lr\": \"1e-3\", \"recompute\": \"no\"}", 3, want);
	for (int first = 1; first < 3; first++) {
		struct lab lab = {0};
		bench_open(&lab, "npo", "{\"lr\": \"1e-3\", \"recompute\": \"yes\"}", NULL);
		CHECK_EQ_INT(lab.run.tape.recompute_blocks, 3);
		lab.run.tape.recompute_blocks = first;
		bench_steps(&lab, 3);
		bench_hash(&lab, got);
		CHECK_STR(got, want);
		CHECK(lab.run.tape.recompute);
		lab_end(&lab);
	}
}

/* Under an adapter the base keeps every bit, in spite of weight decay. */
static void test_loop__lora_leaves_the_base_alone(void)
{
	struct lab lab = {0};
	char before[65], after[65];
	lab.model = lab_model(BENCH_MODEL, "cpu");
	bench_hash(&lab, before);
	ul_model_free(lab.model);
	bench_open(&lab, "npo", "{\"lr\": \"1e-2\", \"lora\": \"r=2,alpha=4,target=all-linear\", \"weight-decay\": \"0.5\"}", NULL);
	bench_steps(&lab, 4);
	const ul_adapter *a = lab.model->adapter;
	double norm = 0;
	for (int i = 0; i < a->params; i++) {
		norm += strstr(a->param[i]->name, "lora_B") ? a->param[i]->be->dot(a->param[i]->data, a->param[i]->data, (size_t)a->param[i]->rows * (size_t)a->param[i]->cols) : 0;
	}
	CHECK_MSG(norm > 0, "the adapter did not move");
	ul_lora_detach(lab.model);
	lab.run.params = 0; /* they are gone */
	bench_hash(&lab, after);
	CHECK_STR(after, before);
	lab_end(&lab);
}

static double *copy_of(const ul_param *p)
{
	double *x = malloc((size_t)p->rows * (size_t)p->cols * sizeof *x);
	NEED(x);
	ul_param_get(p, x);
	return x;
}

static void test_loop__layers_limit_what_moves(void)
{
	struct lab lab = {0};
	bench_open(&lab, "graddiff", "{\"lr\": \"1e-2\", \"layers\": \"1-2\", \"weight-decay\": \"0.1\"}", NULL);
	double *before[64];
	NEED(lab.model->params <= 64);
	for (int i = 0; i < lab.model->params; i++) {
		before[i] = copy_of(lab.model->param[i]);
	}
	bench_steps(&lab, 2);
	for (int i = 0; i < lab.model->params; i++) {
		const ul_param *p = lab.model->param[i];
		double *now = copy_of(p);
		bool moved = memcmp(now, before[i], (size_t)p->rows * (size_t)p->cols * sizeof *now) != 0;
		CHECK_MSG(moved == (ul_param_layer(p) >= 1), "%s %s", p->name, moved ? "moved" : "stayed");
		free(now);
		free(before[i]);
	}
	lab_end(&lab);
}

/* What lies below the trained blocks is kept from step to step. Forgetting it in between, as a resumed run has, changes no bit;
 * doing without changes rounding. */
static void lower(const char *method, const char *settings)
{
	struct lab kept = {0}, forgetful = {0}, without = {0};
	ul_err err = {0};
	char a[65], b[65];
	bench_open(&kept, method, settings, NULL);
	bench_open(&forgetful, method, settings, NULL);
	bench_open(&without, method, settings, NULL);
	NEED(kept.run.lower && without.run.lower);
	ul_lower_end(&without.run);
	for (int k = 0; k < 3; k++) {
		int64_t flops = kept.run.tape.flops, all = without.run.tape.flops;
		ul_lower_end(&forgetful.run);
		NEED_OK(ul_lower_begin(&forgetful.run, &err), err);
		bench_steps(&kept, 1);
		bench_steps(&forgetful, 1);
		bench_steps(&without, 1);
		CHECK_MSG(fabs(kept.run.loss - without.run.loss) <= 2e-6 * (1 + fabs(without.run.loss)), "%s: loss %.9g, and %.9g from the bottom", method, kept.run.loss, without.run.loss);
		CHECK_CLOSE(kept.run.grad_norm, without.run.grad_norm, 1e-4);
		CHECK_MSG(kept.run.tape.flops - flops < without.run.tape.flops - all, "%s: the blocks below ran again", method);
	}
	bench_hash(&kept, a);
	bench_hash(&forgetful, b);
	CHECK_STR(a, b);
	lab_end(&kept);
	lab_end(&forgetful);
	lab_end(&without);
}

static void test_loop__blocks_below_run_once(void)
{
	static const char *const methods[] = {"finetune", "graddiff", "npo", "undial", "gd-kl", "idk-dpo"};
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		lower(methods[i], "{\"lr\": \"1e-3\", \"batch\": \"4\", \"layers\": \"1-2\", \"lora\": \"r=2,alpha=4,target=all-linear\"}");
	}
	lower("npo", "{\"lr\": \"1e-3\", \"batch\": \"4\", \"layers\": \"2\"}");
}

static void test_loop__embedding_keeps_the_bottom(void)
{
	struct lab lab = {0};
	bench_open(&lab, "npo", "{\"lr\": \"1e-3\"}", NULL);
	CHECK(!lab.run.lower);
	lab_end(&lab);
}

static void test_loop__rmu_trains_three_matrices(void)
{
	struct lab lab = {0};
	bench_open(&lab, "rmu", "{\"layer\": \"2\"}", NULL);
	CHECK_EQ_INT(lab.run.params, 3);
	for (int i = 0; i < lab.run.params; i++) {
		CHECK_HAS(lab.run.param[i]->name, "mlp.down_proj");
	}
	lab_end(&lab);
}

/* Each step pairs as many retain rows as forget rows, and the retain data is gone through before a row comes twice. */
static void test_loop__retain_rows_are_paired(void)
{
	struct lab lab = {0};
	int seen[3] = {0};
	bench_open(&lab, "graddiff", "{\"batch\": \"3\"}", NULL);
	for (int k = 0; k < 4; k++) {
		bench_steps(&lab, 1);
		CHECK_EQ_INT(lab.run.retain.seqs, lab.run.forget.seqs);
		for (int i = 0; i < lab.run.items; i++) {
			seen[lab.run.item[UL_RETAIN][i]]++;
		}
		CHECK_EQ_INT(seen[0], k + 1);
		CHECK_EQ_INT(seen[1], k + 1);
		CHECK_EQ_INT(seen[2], k + 1);
	}
	lab_end(&lab);
}

static void test_loop__steps_follow_epochs(void)
{
	struct lab lab = {0};
	bench_open(&lab, "ga", "{\"batch\": \"5\", \"epochs\": \"4\"}", NULL);
	CHECK_EQ_INT(lab.run.steps, 12); /* 12 rows, batches of 5, 5 and 2 */
	bool stopped;
	NEED_OK(ul_loop_run(&lab.run, &stopped, &lab.err), lab.err);
	CHECK(!stopped);
	CHECK_EQ_INT(lab.run.step, 12);
	lab_end(&lab);
}

static void test_loop__clip_bounds_the_update(void)
{
	struct lab lab = {0};
	bench_open(&lab, "finetune", "{\"optim\": \"sgd\", \"lr\": \"1\", \"clip\": \"0.01\", \"weight-decay\": \"0\", \"schedule\": \"constant\"}", NULL);
	double *before[64], sum = 0;
	for (int i = 0; i < lab.model->params; i++) {
		before[i] = copy_of(lab.model->param[i]);
	}
	bench_steps(&lab, 1);
	CHECK(lab.run.grad_norm > 0.1);
	for (int i = 0; i < lab.model->params; i++) {
		const ul_param *p = lab.model->param[i];
		double *now = copy_of(p);
		for (size_t k = 0; k < (size_t)p->rows * (size_t)p->cols; k++) {
			sum += (now[k] - before[i][k]) * (now[k] - before[i][k]);
		}
		free(now);
		free(before[i]);
	}
	CHECK_CLOSE(sqrt(sum), 0.01, 1e-3);
	lab_end(&lab);
}

static void test_loop__learns(void)
{
	struct lab lab = {0};
	bench_open(&lab, "finetune", "{\"lr\": \"3e-3\", \"batch\": \"12\", \"schedule\": \"constant\"}", NULL);
	bench_steps(&lab, 1);
	double first = lab.run.loss;
	bench_steps(&lab, 150);
	CHECK_MSG(lab.run.loss < 0.3 * first, "150 steps took the loss from %g to %g only", first, lab.run.loss);
	lab_end(&lab);
}

static void refuse(const char *method, const char *settings, bool retain, const char *part)
{
	struct lab lab = {0};
	ul_err err = {0};
	const json_t *golden = lab_json("tests/golden/methods/golden.json");
	json_t *s = ul_json_parse(settings, strlen(settings), "settings", &err);
	lab.model = lab_model(BENCH_MODEL, "cpu");
	lab_method(&lab, method, s);
	lab_rows(&lab, UL_FORGET, json_object_get(golden, "forget"));
	if (retain) {
		lab_rows(&lab, UL_RETAIN, json_object_get(golden, "retain"));
	}
	lab.run.model = lab.model;
	CHECK_FAILS(ul_loop_begin(&lab.run, &lab.err), lab.err, part);
	lab_end(&lab);
	json_decref(s);
	json_decref((json_t *)(uintptr_t)golden);
}

static void test_loop__says_what_is_missing(void)
{
	refuse("graddiff", "{}", false, "graddiff needs retain rows");
	refuse("pscu", "{}", false, "where the personal data are");
	refuse("idk-sft", "{}", true, "needs forget rows with a prompt");
	refuse("task-arithmetic", "{}", false, "needs --lora");
	refuse("ga", "{\"layers\": \"1-9\"}", false, "the model has blocks 0 to 2");
	refuse("ga", "{\"layers\": \"one\"}", false, "no list of blocks");
	refuse("rmu", "{\"layer\": \"3\"}", true, "the model has blocks 0 to 2");
}

static void test_loop__a_loss_that_is_not_finite_ends_the_run(void)
{
	struct lab lab = {0};
	bench_open(&lab, "ga", "{\"lr\": \"1000\", \"clip\": \"0\"}", NULL);
	bool ok = true;
	for (int i = 0; ok && i < 200; i++) {
		ok = ul_loop_step(&lab.run, &lab.err);
	}
	CHECK_FAILS(ok, lab.err, "is");
	CHECK_HAS(lab.err.hint, "--lr");
	lab_end(&lab);
}

/* Memory may run out at any moment of a run: one sentence, and everything is freed. */
struct scarce {
	struct lab lab;
	const json_t *golden;
};

static bool add_rows(ul_dataset *d, const json_t *rows, ul_err *err)
{
	for (size_t i = 0; i < json_array_size(rows); i++) {
		if (!ul_dataset_add(d, json_array_get(rows, i), err)) {
			return false;
		}
	}
	return true;
}

static bool short_run(void *ud, ul_err *err)
{
	struct scarce *x = ud;
	ul_dataset forget = {0}, retain = {0};
	ul_run r = {.model = x->lab.model, .method = &x->lab.method, .config = x->lab.run.config, .train = x->lab.run.train};
	bool stopped;
	r.data[UL_FORGET] = &forget;
	r.data[UL_RETAIN] = &retain;
	r.train.steps = 1;
	bool ok = add_rows(&forget, json_object_get(x->golden, "forget"), err) && add_rows(&retain, json_object_get(x->golden, "retain"), err);
	ok = ok && ul_loop_begin(&r, err) && ul_loop_run(&r, &stopped, err);
	ul_loop_end(&r);
	ul_lora_detach(x->lab.model);
	ul_dataset_release(&forget);
	ul_dataset_release(&retain);
	return ok;
}

static void test_loop__survives_want_of_memory(void)
{
	const char *const settings[] = {"{\"lora\": \"r=1,alpha=1,target=mlp\", \"retain-loss\": \"kl\"}", "{\"retain-loss\": \"kl\"}"};
	for (int k = 0; k < 2; k++) {
		struct scarce x = {.golden = lab_json("tests/golden/methods/golden.json")};
		json_t *s = ul_json_parse(settings[k], strlen(settings[k]), "settings", &x.lab.err);
		NEED_OK(s, x.lab.err);
		x.lab.model = lab_model(BENCH_MODEL, "ref");
		lab_method(&x.lab, "npo", s);
		int refused = test_each_alloc(short_run, &x);
		CHECK_MSG(refused > 20, "only %d allocations were refused", refused);
		json_decref(s);
		json_decref((json_t *)(uintptr_t)x.golden);
		lab_end(&x.lab);
	}
}
