/*
 * test_release.c: the orthogonality of O-LoRA, the first order of a subtraction, λ = 0, and two skills of which one is forgotten.
 */
#include "lab.h"

#include "model/lora_stack.h"

static ul_model *random_model(const char *backend, int vocab)
{
	ul_err err = {0};
	json_t *config = ul_model_preset("llama-tiny", vocab, &err);
	NEED_OK(config, err);
	ul_model *m = ul_model_random(config, 11, backend, &err);
	json_decref(config);
	NEED_OK(m, err);
	return m;
}

/* Sequences of two skills over tokens of their own: skill 0 counts up in steps of 3 below 20, skill 1 down in steps of 2 from 20 on. */
static void skill(ul_dataset *d, int which, int n)
{
	ul_err err = {0};
	for (int i = 0; i < n; i++) {
		json_t *ids = json_array(), *row;
		for (int t = 0, x = i; t < 12; t++, x += which ? 18 : 3)
			json_array_append_new(ids, json_integer(20 * which + x % 20));
		row = json_pack("{s:o}", "ids", ids);
		NEED_OK(ul_dataset_add(d, row, &err), err);
		json_decref(row);
	}
}

static double nll(struct lab *lab, ul_dataset *d)
{
	ul_scores s = {0};
	double sum = 0;
	NEED_OK(ul_score(lab->run.model, d, 0, &s, NULL, &lab->err), lab->err);
	for (int i = 0; i < s.n; i++)
		sum += s.row[i].nll / (double)s.tokens;
	ul_scores_release(&s);
	return sum;
}

static void train_both(ul_model *m)
{
	struct lab lab = {.model = m};
	skill(&lab.data[UL_FORGET], 0, 20);
	skill(&lab.data[UL_FORGET], 1, 20);
	lab.run.data[UL_FORGET] = &lab.data[UL_FORGET];
	lab_method(&lab, "finetune", NULL);
	lab.run.train.lr = 3e-3;
	lab.run.train.batch = 20;
	lab.run.train.epochs = 12;
	lab.run.from_scratch = true;
	lab_begin(&lab);
	bool stopped;
	NEED_OK(ul_loop_run(&lab.run, &stopped, &lab.err), lab.err);
	ul_loop_end(&lab.run);
	ul_dataset_release(&lab.data[UL_FORGET]);
	ul_arena_release(&lab.arena);
}

struct outcome {
	double forget, retain, forget_before, retain_before;
};

/* Skill 0 is forgotten, from its own rows; skill 1 is what is kept. */
static struct outcome forget_one(const ul_model *trained, const json_t *settings)
{
	struct lab lab = {0};
	struct outcome o;
	lab.model = ul_model_clone(trained, &lab.err);
	NEED_OK(lab.model, lab.err);
	skill(&lab.data[UL_FORGET], 0, 20);
	skill(&lab.data[UL_RETAIN], 1, 20);
	lab.run.data[UL_FORGET] = &lab.data[UL_FORGET];
	lab.run.data[UL_RETAIN] = &lab.data[UL_RETAIN];
	lab_method(&lab, "release", settings);
	lab.run.train.lora = "r=4,alpha=8,target=all-linear";
	lab.run.train.lr = 5e-3;
	lab.run.train.batch = 10;
	lab.run.train.epochs = 8;
	lab_begin(&lab);
	ul_lora_detach(lab.model); /* as the method does: the model as it was trained */
	lab.run.params = 0;
	o.forget_before = nll(&lab, &lab.data[UL_FORGET]);
	o.retain_before = nll(&lab, &lab.data[UL_RETAIN]);
	NEED_OK(lab.method.run(&lab.run, lab.run.config, &lab.err), lab.err);
	CHECK_EQ_INT(ul_lora_depth(lab.model), 1);
	o.forget = nll(&lab, &lab.data[UL_FORGET]);
	o.retain = nll(&lab, &lab.data[UL_RETAIN]);
	ul_loop_end(&lab.run);
	for (int s = 0; s < UL_STREAMS; s++)
		ul_dataset_release(&lab.data[s]);
	ul_arena_release(&lab.arena);
	ul_model_free(lab.model);
	return o;
}

static void test_release__forgets_one_skill_of_two(void)
{
	ul_model *m = random_model("cpu", 40);
	train_both(m);
	json_t *many = json_pack("{s:s, s:s, s:s}", "iterations", "6", "lambda", "3", "budget", "0.03");
	struct outcome o = forget_one(m, many);
	CHECK_MSG(o.forget_before < 1 && o.retain_before < 1, "NLL of the skills before: %.3f, %.3f", o.forget_before, o.retain_before);
	CHECK_MSG(o.forget > o.forget_before + 0.4, "NLL of the skill to forget: %.3f, then %.3f", o.forget_before, o.forget);
	CHECK_MSG(o.retain - o.retain_before < log(1.06), "NLL of the other: %.3f, then %.3f", o.retain_before, o.retain);
	printf("forget %.3f -> %.3f, retain %.3f -> %.3f\n", o.forget_before, o.forget, o.retain_before, o.retain);
	json_decref(many);
	ul_model_free(m);
}

static void test_release__lambda_zero_changes_nothing(void)
{
	ul_model *m = random_model("cpu", 40);
	json_t *zero = json_pack("{s:s, s:s, s:s, s:s}", "iterations", "2", "lambda", "0", "lambda-retain", "0", "target", "0");
	struct outcome o = forget_one(m, zero);
	CHECK(o.forget == o.forget_before && o.retain == o.retain_before);
	json_decref(zero);
	ul_model_free(m);
}

/* With a retain adapter, with and without Ext-Sub: both end with one adapter that has forgotten something. */
static void test_release__two_modules(void)
{
	ul_model *m = random_model("cpu", 40);
	train_both(m);
	for (int ext = 0; ext < 2; ext++) {
		json_t *s = json_pack("{s:s, s:s, s:s, s:s, s:s}", "iterations", "2", "lambda", "1", "lambda-retain", "0.5", "budget", "0.05", "ext-sub", ext ? "yes" : "no");
		struct outcome o = forget_one(m, s);
		CHECK_MSG(o.forget > o.forget_before + 0.2, "%s: NLL of the skill to forget %.3f, then %.3f", ext ? "Ext-Sub" : "plain", o.forget_before, o.forget);
		CHECK_MSG(o.retain - o.retain_before < log(1.06), "%s: NLL of the other: %.3f, then %.3f", ext ? "Ext-Sub" : "plain", o.retain_before, o.retain);
		json_decref(s);
	}
	ul_model_free(m);
}

/* ---- a lesson's loss ---- */

static void begin_lesson(struct lab *lab, double orthogonal)
{
	char weight[32];
	snprintf(weight, sizeof weight, "%g", orthogonal);
	skill(&lab->data[UL_FORGET], 0, 3);
	lab->run.data[UL_FORGET] = &lab->data[UL_FORGET];
	json_t *s = json_pack("{s:s}", "orthogonal", weight);
	lab_method(lab, "release", s);
	json_decref(s);
	lab->run.train.lora = "r=2,alpha=4,target=q_proj,up_proj";
	lab_begin(lab);
}

static double *get(const ul_param *p)
{
	double *x = ul_malloc((size_t)p->rows * (size_t)p->cols * sizeof *x);
	ul_param_get(p, x);
	return x;
}

static void test_release__orthogonality_and_its_gradient(void)
{
	struct lab lab = {.model = random_model("ref64", 40)};
	ul_lora_config first = {.r = 2, .alpha = 4, .target = "q_proj,up_proj"};
	NEED_OK(ul_lora_attach(lab.model, &first, 99, &lab.err), lab.err);
	begin_lesson(&lab, 0.5);
	const ul_adapter *now = lab.model->adapter, *before = now->below;
	lab_loss(&lab);
	double told = 0, want = 0;
	for (int i = 0; i < lab.run.terms; i++)
		told = strcmp(lab.run.term[i].name, "orthogonality") ? told : lab.run.term[i].value;
	for (int k = 0; k < now->params; k += 2) {
		double *a = get(now->param[k]), *b = get(before->param[k]);
		int cols = now->param[k]->cols;
		for (int i = 0; i < 2; i++)
			for (int j = 0; j < 2; j++) {
				double s = 0;
				for (int c = 0; c < cols; c++)
					s += b[i * cols + c] * a[j * cols + c];
				want += fabs(s);
			}
		ul_free(a);
		ul_free(b);
		CHECK(!before->param[k]->grad); /* what was there before learns nothing */
	}
	CHECK_CLOSE(told, want, 1e-12);
	ul_param *p = now->param[0];
	size_t n = (size_t)p->rows * (size_t)p->cols;
	double *x = get(p), *g = ul_malloc(n * sizeof *g);
	ul_param_grad(p, g);
	for (size_t i = 0; i < n; i += 37) {
		const double h = 1e-6, at = x[i];
		x[i] = at + h;
		ul_param_set(p, x);
		double up = lab_loss(&lab);
		x[i] = at - h;
		ul_param_set(p, x);
		double down = lab_loss(&lab);
		x[i] = at;
		CHECK_NEAR((up - down) / (2 * h), g[i], 1e-6);
	}
	ul_free(x);
	ul_free(g);
	ul_loop_end(&lab.run);
	ul_dataset_release(&lab.data[UL_FORGET]);
	ul_arena_release(&lab.arena);
	ul_model_free(lab.model);
}

static void test_release__orthogonal_rows_cost_nothing(void)
{
	struct lab lab = {.model = random_model("ref64", 40)};
	ul_lora_config first = {.r = 2, .alpha = 4, .target = "q_proj,up_proj"};
	NEED_OK(ul_lora_attach(lab.model, &first, 99, &lab.err), lab.err);
	begin_lesson(&lab, 0.5);
	ul_adapter *all[] = {lab.model->adapter, lab.model->adapter->below};
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < all[i]->params; k += 2) { /* rows e_1, e_2 here and e_3, e_4 there */
			ul_param *p = all[i]->param[k];
			double *x = ul_calloc((size_t)p->rows * (size_t)p->cols, sizeof *x);
			x[2 * i] = x[p->cols + 2 * i + 1] = 1;
			ul_param_set(p, x);
			ul_free(x);
		}
	lab_loss(&lab);
	for (int i = 0; i < lab.run.terms; i++)
		CHECK(strcmp(lab.run.term[i].name, "orthogonality") || lab.run.term[i].value == 0);
	ul_loop_end(&lab.run);
	ul_dataset_release(&lab.data[UL_FORGET]);
	ul_arena_release(&lab.arena);
	ul_model_free(lab.model);
}

/* One small step of plain gradient descent in B gives ΔW; -λ ΔW raises the NLL by λ η ‖∂NLL/∂B‖² to first order, and monotonically. */
static void test_release__first_order(void)
{
	struct lab lab = {.model = random_model("ref64", 40)};
	const double eta = 1e-3;
	begin_lesson(&lab, 0);
	double at0 = lab_loss(&lab), square = 0, last = at0;
	ul_adapter *ad = lab.model->adapter;
	double *b[64];
	NEED(ad->params <= 128);
	for (int k = 1; k < ad->params; k += 2) { /* B is zero: gradient of A is too */
		ul_param *p = ad->param[k];
		size_t n = (size_t)p->rows * (size_t)p->cols;
		b[k / 2] = ul_malloc(n * sizeof(double));
		ul_param_grad(p, b[k / 2]);
		for (size_t i = 0; i < n; i++) {
			square += b[k / 2][i] * b[k / 2][i];
			b[k / 2][i] *= -eta;
		}
		ul_param_set(p, b[k / 2]);
	}
	for (int i = 1; i <= 5; i++) {
		double lambda = 0.2 * i;
		for (int k = 1; k < ad->params; k += 2)
			ul_param_set(ad->param[k], b[k / 2]);
		NEED_OK(ul_lora_scale(ad, -lambda, &lab.err), lab.err);
		double now = lab_loss(&lab);
		CHECK(now > last);
		CHECK_CLOSE(now - at0, lambda * eta * square, 0.02);
		last = now;
	}
	for (int k = 1; k < ad->params; k += 2)
		ul_free(b[k / 2]);
	ul_loop_end(&lab.run);
	ul_dataset_release(&lab.data[UL_FORGET]);
	ul_arena_release(&lab.arena);
	ul_model_free(lab.model);
}
