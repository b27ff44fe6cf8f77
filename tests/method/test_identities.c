/*
 * test_identities.c: what the formulas promise of each other: the limits and special cases of specs and papers, in double.
 */
#include "tests/method/lab.h"

#define GOLDEN "tests/golden/methods/"

/* A bench with the golden rows; the reference is another model, or the start itself. */
static void open_lab(struct lab *lab, const char *method, const char *settings, bool other_ref)
{
	const json_t *golden = lab_json(GOLDEN "golden.json");
	json_t *s = ul_json_parse(settings, strlen(settings), "settings", &lab->err);
	NEED_OK(s, lab->err);
	lab->model = lab_model(GOLDEN "theta", "ref64");
	lab->ref = lab_model(other_ref ? GOLDEN "ref" : GOLDEN "theta", "ref64");
	lab_method(lab, method, s);
	lab_rows(lab, UL_FORGET, json_object_get(golden, "forget"));
	if (lab->method.needs & (UL_NEEDS_RETAIN | UL_USES_RETAIN)) {
		lab_rows(lab, UL_RETAIN, json_object_get(golden, "retain"));
	}
	if (lab->method.needs & UL_NEEDS_ALT) {
		lab_rows(lab, UL_ALT, json_object_get(golden, lab->method.needs & UL_ALT_ALIGNED ? "strangers" : "idk"));
	}
	lab_begin(lab);
	json_decref(s);
	json_decref((json_t *)(uintptr_t)golden);
}

/* All gradients of one loss, one after the other. */
struct grads {
	double value, *g;
	size_t n;
};

static struct grads grads_of(struct lab *lab)
{
	struct grads x = {.value = lab_loss(lab)};
	const ul_model *m = lab->model;
	x.g = malloc(ul_model_count(m) * sizeof *x.g);
	NEED(x.g);
	for (int i = 0; i < m->params; i++) {
		ul_param_grad(m->param[i], x.g + x.n);
		x.n += (size_t)m->param[i]->rows * (size_t)m->param[i]->cols;
	}
	return x;
}

static struct grads solve(const char *method, const char *settings, bool other_ref)
{
	struct lab lab = {0};
	open_lab(&lab, method, settings, other_ref);
	struct grads x = grads_of(&lab);
	lab_end(&lab);
	return x;
}

/* g(a) = factor · g(b) */
static void same_direction(struct grads a, struct grads b, double factor, double rel, const char *what)
{
	double worst = 0, scale = 0;
	NEED(a.n == b.n);
	for (size_t i = 0; i < a.n; i++) {
		worst = fmax(worst, fabs(a.g[i] - factor * b.g[i]));
		scale = fmax(scale, fabs(factor * b.g[i]));
	}
	CHECK_MSG(scale > 0 && worst <= rel * scale, "%s: gradients differ by %g of %g", what, worst, scale);
	free(a.g);
	free(b.g);
}

static double largest(struct grads a)
{
	double x = 0;
	for (size_t i = 0; i < a.n; i++) {
		x = fmax(x, fabs(a.g[i]));
	}
	free(a.g);
	return x;
}

static void test_identities__ga_is_minus_fine_tuning(void)
{
	struct grads a = solve("ga", "{}", false), b = solve("finetune", "{}", false);
	CHECK_CLOSE(a.value, -b.value, 1e-14);
	same_direction(a, b, -1, 1e-13, "ga");
}

static void test_identities__graddiff_without_retain_is_ga(void)
{
	struct grads a = solve("graddiff", "{\"retain-weight\": \"0\"}", false), b = solve("ga", "{}", false);
	CHECK_CLOSE(a.value, b.value, 1e-14);
	same_direction(a, b, 1, 1e-13, "graddiff");
}

/* KL(ref ‖ model) and its gradient vanish at the start. */
static void test_identities__kl_is_zero_at_the_reference(void)
{
	struct grads a = solve("gd-kl", "{\"forget-weight\": \"0\", \"retain-weight\": \"1\"}", false);
	CHECK_NEAR(a.value, 0, 1e-12);
	CHECK_NEAR(largest(a), 0, 1e-12);
	struct grads b = solve("gd-kl", "{\"forget-weight\": \"0\", \"retain-weight\": \"1\"}", true);
	CHECK(b.value > 1e-4);
	CHECK(largest(b) > 1e-4);
}

/* At the start NPO is (2/β) log 2 and its gradient that of ascent on the sums: weight -1 on each token, mean over rows. */
static void test_identities__npo_at_the_reference_is_ascent(void)
{
	struct grads a = solve("npo", "{\"beta\": \"0.3\", \"retain-weight\": \"0\"}", false);
	struct grads b = solve("npo", "{\"beta\": \"1e-5\", \"retain-weight\": \"0\"}", true);
	struct grads c = solve("npo", "{\"beta\": \"0.05\", \"retain-weight\": \"0\"}", false);
	CHECK_CLOSE(a.value, 2 / 0.3 * log(2), 1e-12);
	struct grads a2 = a, c2 = c;
	a2.g = malloc(a.n * sizeof *a.g);
	c2.g = malloc(c.n * sizeof *c.g);
	NEED(a2.g && c2.g);
	memcpy(a2.g, a.g, a.n * sizeof *a.g);
	memcpy(c2.g, c.g, c.n * sizeof *c.g);
	same_direction(a, c, 1, 1e-12, "at the reference β does not matter");
	same_direction(b, a2, 1, 1e-3, "β -> 0 is ascent wherever the reference is");
	free(c2.g);
}

static void test_identities__npo_saturates(void)
{
	/* Far below the reference a row is left alone: the weight 2σ(-βs) of ascent is small. */
	struct grads near = solve("npo", "{\"beta\": \"0.01\", \"retain-weight\": \"0\"}", true), far = solve("npo", "{\"beta\": \"20\", \"retain-weight\": \"0\"}", true);
	double n = largest(near), f = largest(far);
	CHECK_MSG(n > 0 && f != n, "β has no effect away from the reference");
}

/* p^0 = 1: every token weighs the same. */
static void test_identities__wga_with_power_zero_is_graddiff(void)
{
	struct grads a = solve("wga", "{\"beta\": \"0\"}", false), b = solve("graddiff", "{}", false);
	CHECK_CLOSE(a.value, b.value, 1e-13);
	same_direction(a, b, 1, 1e-12, "wga");
}

static void test_identities__satimp_without_importance_is_wga(void)
{
	struct grads a = solve("satimp", "{\"satimp-beta1\": \"0.8\", \"satimp-beta2\": \"0\", \"forget-weight\": \"1\"}", false), b = solve("wga", "{\"beta\": \"0.8\"}", false);
	CHECK_CLOSE(a.value, b.value, 1e-10);
	same_direction(a, b, 1, 1e-10, "satimp");
}

/* With β = 0 the target is the reference itself, where cross-entropy has no slope. */
static void test_identities__undial_without_penalty_stays(void)
{
	CHECK_NEAR(largest(solve("undial", "{\"beta\": \"0\"}", false)), 0, 1e-12);
	CHECK(largest(solve("undial", "{\"beta\": \"10\"}", false)) > 1e-3);
}

static void test_identities__rmu_holds_at_the_reference(void)
{
	CHECK_NEAR(largest(solve("rmu", "{\"layer\": \"1\", \"forget-weight\": \"0\"}", false)), 0, 1e-12);
	CHECK(largest(solve("rmu", "{\"layer\": \"1\", \"forget-weight\": \"0\"}", true)) > 1e-4);
}

/* A pass that stops at block 0 leaves the blocks above without a gradient. */
static void test_identities__rmu_stops_at_its_block(void)
{
	struct lab lab = {0};
	open_lab(&lab, "rmu", "{\"layer\": \"0\"}", true);
	lab_loss(&lab);
	CHECK(lab_grad_norm(&lab, "model.layers.0.mlp.down_proj.weight") > 0);
	CHECK_NEAR(lab_grad_norm(&lab, "model.layers.1.mlp.down_proj.weight"), 0, 0);
	CHECK_NEAR(lab_grad_norm(&lab, "lm_head.weight"), 0, 0);
	lab_end(&lab);
}

static struct grads pscu(const char *settings, int flag)
{
	struct lab lab = {0};
	open_lab(&lab, "pscu", settings, false);
	for (int i = 0; i < lab.data[UL_FORGET].n; i++) {
		for (int t = 0; t < lab.data[UL_FORGET].row[i].n; t++) {
			lab.data[UL_FORGET].row[i].flags[t] = (unsigned char)flag;
		}
	}
	struct grads x = grads_of(&lab);
	lab_end(&lab);
	return x;
}

/* Everything under a span: -β times the mean NLL of all tokens. Nothing: α times it, which is fine-tuning. */
static void test_identities__pscu_masks(void)
{
	struct grads all = pscu("{\"retain-weight\": \"0\", \"beta\": \"1.7\"}", UL_ROW_SPAN), none = pscu("{\"retain-weight\": \"0\", \"alpha\": \"0.6\"}", 0);
	CHECK_CLOSE(all.value / -1.7, none.value / 0.6, 1e-13);
	same_direction(all, none, -1.7 / 0.6, 1e-12, "pscu");
}

/* A clamp at log V takes the slope from tokens that are past it: an untrained model has many of them. */
static void test_identities__pscu_clamp_bounds(void)
{
	struct grads free_run = pscu("{\"retain-weight\": \"0\"}", UL_ROW_SPAN), held = pscu("{\"retain-weight\": \"0\", \"clamp\": \"yes\"}", UL_ROW_SPAN);
	CHECK(held.value > free_run.value);
	CHECK(held.value >= -log(64) - 1e-12);
	free(free_run.g);
	free(held.g);
}

/* Turning the sign of B once more gives the adapter that was learnt: W - λ s B A. */
static void test_identities__task_arithmetic_subtracts(void)
{
	double nll[2];
	for (int k = 0; k < 2; k++) {
		struct lab lab = {0};
		const json_t *golden = lab_json(GOLDEN "golden.json");
		lab.model = lab_model(GOLDEN "theta", "cpu");
		lab_method(&lab, "task-arithmetic", NULL);
		lab.run.train.lora = "r=4,alpha=8,target=all-linear";
		lab.run.train.lr = 1e-2;
		lab.run.train.steps = 20;
		lab_rows(&lab, UL_FORGET, json_object_get(golden, "forget"));
		lab.run.model = lab.model;
		NEED_OK(ul_loop_begin(&lab.run, &lab.err), lab.err);
		double start = lab_loss(&lab);
		bool stopped = false;
		NEED_OK(k ? lab.method.run(&lab.run, lab.run.config, &lab.err) : ul_loop_run(&lab.run, &stopped, &lab.err), lab.err);
		nll[k] = lab_loss(&lab) - start;
		lab_end(&lab);
		json_decref((json_t *)(uintptr_t)golden);
	}
	CHECK_MSG(nll[0] < -0.3, "the adapter learnt nothing: %g", nll[0]);
	CHECK_MSG(nll[1] > 0.1, "the negated adapter forgot nothing: %g", nll[1]);
}
