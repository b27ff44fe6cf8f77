/* test_optim.c: what optimisers keep and touch; their arithmetic is checked against PyTorch in tests/method/test_golden.c. */
#include "tests/unit/bench.h"

static void test_optim__moments_by_kind(void)
{
	const char *const settings[] = {"{}", "{\"optim\": \"sgd\"}", "{\"optim\": \"sgd\", \"momentum\": \"0.5\"}"};
	const int want[] = {2, 0, 1};
	for (int k = 0; k < 3; k++) {
		struct lab lab = {0};
		bench_open(&lab, "ga", settings[k], NULL);
		CHECK_EQ_INT((lab.run.optim->moment[0] != NULL) + (lab.run.optim->moment[1] != NULL), want[k]);
		lab_end(&lab);
	}
}

/* A step without a gradient is decay alone: every parameter shrinks by lr · decay, vectors too. */
static void test_optim__decay_reaches_vectors(void)
{
	struct lab lab = {0};
	bench_open(&lab, "ga", "{\"weight-decay\": \"0.5\"}", NULL);
	const ul_param *norm = ul_model_param(lab.model, "model.norm.weight");
	double before[16], after[16];
	NEED(norm && norm->cols == 16);
	ul_param_get(norm, before);
	ul_grad_zero(lab.run.param, lab.run.params);
	ul_optim_update(lab.run.optim, 0.1, 1);
	ul_param_get(norm, after);
	for (int i = 0; i < 16; i++) {
		CHECK_CLOSE(after[i], before[i] * (1 - 0.1 * 0.5), 1e-6);
	}
	lab_end(&lab);
}

/* An adapter costs gradients and moments of itself only. */
static void test_optim__adapter_is_all_that_has_gradients(void)
{
	struct lab full = {0}, lora = {0};
	bench_open(&full, "ga", "{}", NULL);
	bench_open(&lora, "ga", "{\"lora\": \"r=1,alpha=2,target=mlp\"}", NULL);
	size_t n[2] = {0};
	for (int i = 0; i < lora.model->params; i++) {
		CHECK_MSG(lora.model->param[i]->grad == NULL, "%s is frozen and has a gradient", lora.model->param[i]->name);
		CHECK_MSG(full.model->param[i]->grad != NULL, "%s is trained and has no gradient", full.model->param[i]->name);
	}
	for (int i = 0; i < full.run.params; i++) {
		n[0] += (size_t)full.run.param[i]->rows * (size_t)full.run.param[i]->cols;
	}
	for (int i = 0; i < lora.run.params; i++) {
		n[1] += (size_t)lora.run.param[i]->rows * (size_t)lora.run.param[i]->cols;
	}
	CHECK_EQ_INT(n[0], ul_model_count(full.model));
	CHECK_EQ_INT(n[1], 3 * 3 * (16 + 24)); /* three matrices of each of three blocks, rank 1 */
	lab_end(&full);
	lab_end(&lora);
}

static void test_optim__norm_is_over_all(void)
{
	struct lab lab = {0};
	double sum = 0;
	bench_open(&lab, "ga", "{}", NULL);
	lab_loss(&lab);
	for (int i = 0; i < lab.run.params; i++) {
		double one = lab_grad_norm(&lab, lab.run.param[i]->name);
		sum += one * one;
	}
	CHECK_CLOSE(ul_grad_norm(lab.run.param, lab.run.params), sqrt(sum), 1e-6);
	ul_grad_zero(lab.run.param, lab.run.params);
	CHECK_NEAR(ul_grad_norm(lab.run.param, lab.run.params), 0, 0);
	lab_end(&lab);
}
