/*
 * test_lora_stack.c: sums, signs, truncation and Ext-Sub of adapters against dense matrices.
 */
#include "test.h"

#include "model/lora_stack.h"

static ul_model *tiny(void)
{
	ul_err err = {0};
	json_t *config = ul_model_preset("llama-tiny", 40, &err);
	NEED_OK(config, err);
	ul_model *m = ul_model_random(config, 7, "ref64", &err);
	json_decref(config);
	NEED_OK(m, err);
	return m;
}

static void fill(ul_param *p, uint64_t seed)
{
	size_t n = (size_t)p->rows * (size_t)p->cols;
	double *x = ul_malloc(n * sizeof *x);
	ul_rng r = ul_rng_at(seed, "test", 0);
	for (size_t i = 0; i < n; i++)
		x[i] = 0.1 * ul_rng_normal(&r);
	ul_param_set(p, x);
	ul_free(x);
}

/* An adapter of rank r whose factors are random; `still`: B stays zero. */
static void attach(ul_model *m, int rank, uint64_t seed, bool still)
{
	ul_err err = {0};
	ul_lora_config c = {.r = rank, .alpha = 2.0 * rank, .target = "all-linear"};
	NEED_OK(ul_lora_attach(m, &c, seed, &err), err);
	for (int k = 1; !still && k < m->adapter->params; k += 2)
		fill(m->adapter->param[k], seed * 1000 + (uint64_t)k);
}

static double *logits(ul_model *m)
{
	int ids[] = {1, 5, 9, 2, 30, 7}, pos[] = {0, 1, 2, 3, 4, 5}, start[] = {0, 6};
	double *out = ul_malloc(6 * 40 * sizeof *out);
	ul_tape t;
	ul_tape_init(&t, m->be);
	t.record = false;
	ul_pass p = {.tape = &t, .ids = ids, .pos = pos, .span = {1, start}};
	ul_read(ul_head_logits(ul_forward(m, &p), m->head, m->head_b), out);
	ul_tape_release(&t);
	return out;
}

/* ΔW of the adapter `below` the top one, of module k / 2; [rows, cols] */
static double *dense(const ul_adapter *ad, int k, double scale)
{
	const ul_param *a = ad->param[k], *b = ad->param[k + 1];
	double *x = ul_malloc((size_t)a->rows * (size_t)a->cols * sizeof *x), *y = ul_malloc((size_t)b->rows * (size_t)b->cols * sizeof *y);
	double *w = ul_calloc((size_t)b->rows * (size_t)a->cols, sizeof *w);
	ul_param_get(a, x);
	ul_param_get(b, y);
	for (int i = 0; i < b->rows; i++)
		for (int j = 0; j < a->cols; j++)
			for (int r = 0; r < a->rows; r++)
				w[i * a->cols + j] += scale * y[i * a->rows + r] * x[r * a->cols + j];
	ul_free(x);
	ul_free(y);
	return w;
}

static void same(const double *a, const double *b, double rel)
{
	CHECK_ARRAY(a, b, 6 * 40, rel);
}

static void test_lora_stack__nothing_changes_no_bit(void)
{
	ul_err err = {0};
	ul_model *m = tiny();
	double *base = logits(m);
	attach(m, 3, 1, true);
	double *still = logits(m);
	same(still, base, 0); /* B = 0 */
	ul_lora_detach(m);
	attach(m, 3, 1, false);
	double *moved = logits(m);
	CHECK(memcmp(moved, base, 6 * 40 * sizeof *base) != 0);
	NEED_OK(ul_lora_scale(m->adapter, 0, &err), err);
	double *zero = logits(m);
	same(zero, base, 0); /* λ = 0 */
	ul_lora_detach(m);
	double *back = logits(m);
	same(back, base, 0); /* taken off, not subtracted */
	ul_free(base);
	ul_free(still);
	ul_free(moved);
	ul_free(zero);
	ul_free(back);
	ul_model_free(m);
}

/* Turning B is turning A; turning both is turning nothing. */
static void test_lora_stack__signs(void)
{
	ul_err err = {0};
	ul_model *m = tiny();
	attach(m, 3, 1, false);
	double *plain = logits(m);
	NEED_OK(ul_lora_scale(m->adapter, -1, &err), err);
	double *by_b = logits(m);
	for (int k = 0; k < m->adapter->params; k += 2) {
		ul_param *a = m->adapter->param[k];
		double *x = ul_malloc((size_t)a->rows * (size_t)a->cols * sizeof *x);
		ul_param_get(a, x);
		for (int i = 0; i < a->rows * a->cols; i++)
			x[i] = -x[i];
		ul_param_set(a, x);
		ul_free(x);
	}
	double *both = logits(m);
	same(both, plain, 0);
	NEED_OK(ul_lora_scale(m->adapter, -1, &err), err);
	double *by_a = logits(m);
	same(by_a, by_b, 0);
	CHECK(memcmp(by_a, plain, 6 * 40 * sizeof *plain) != 0);
	ul_free(plain);
	ul_free(by_b);
	ul_free(both);
	ul_free(by_a);
	ul_model_free(m);
}

/* An adapter and its negation on top of it cancel, and the weights below never moved: nothing has to be subtracted from them again. */
static void test_lora_stack__plus_and_minus_is_nothing(void)
{
	ul_err err = {0};
	ul_model *m = tiny(), *copy = tiny();
	double *base = logits(m);
	attach(m, 3, 1, false);
	attach(m, 3, 1, false);
	NEED_OK(ul_lora_scale(m->adapter, -1, &err), err);
	double *stacked = logits(m);
	same(stacked, base, 1e-14);
	NEED_OK(ul_lora_fold(m, 2, &err), err);
	double *folded = logits(m);
	same(folded, base, 1e-14);
	for (int i = 0; i < m->params; i++) {
		size_t n = (size_t)m->param[i]->rows * (size_t)m->param[i]->cols;
		double *x = ul_malloc(2 * n * sizeof *x);
		ul_param_get(m->param[i], x);
		ul_param_get(copy->param[i], x + n);
		CHECK_MSG(!memcmp(x, x + n, n * sizeof *x), "%s has changed", m->param[i]->name);
		ul_free(x);
	}
	ul_lora_detach(m);
	double *bare = logits(m);
	same(bare, base, 0);
	ul_free(base);
	ul_free(stacked);
	ul_free(folded);
	ul_free(bare);
	ul_model_free(m);
	ul_model_free(copy);
}

static void test_lora_stack__fold_is_the_sum(void)
{
	ul_err err = {0};
	ul_model *m = tiny();
	attach(m, 3, 1, false);
	attach(m, 2, 2, false);
	attach(m, 4, 3, false);
	NEED_OK(ul_lora_scale(m->adapter->below, -0.5, &err), err);
	double *three = logits(m);
	NEED_OK(ul_lora_fold(m, 2, &err), err);
	CHECK_EQ_INT(ul_lora_depth(m), 2);
	double *two = logits(m);
	same(two, three, 1e-12);
	NEED_OK(ul_lora_fold(m, 2, &err), err);
	CHECK_EQ_INT(ul_lora_depth(m), 1);
	CHECK_EQ_INT(m->adapter->param[0]->rows, 9);
	double *one = logits(m);
	same(one, three, 1e-12);
	NEED_OK(ul_lora_write(m, test_path("adapter"), &err), err); /* PEFT's files say the same */
	ul_lora_detach(m);
	NEED_OK(ul_lora_open(m, test_path("adapter"), &err), err);
	double *read = logits(m);
	same(read, three, 1e-5);
	ul_free(three);
	ul_free(two);
	ul_free(one);
	ul_free(read);
	ul_model_free(m);
}

static void test_lora_stack__truncation(void)
{
	ul_err err = {0};
	ul_model *m = tiny();
	double kept = 0;
	attach(m, 3, 1, false);
	attach(m, 2, 2, false);
	double *whole = logits(m);
	NEED_OK(ul_lora_fold(m, 2, &err) && ul_lora_truncate(m, 5, &kept, &err), err);
	CHECK_CLOSE(kept, 1, 1e-12);
	double *all = logits(m);
	same(all, whole, 1e-10); /* the rank there is loses nothing */
	double *before = dense(m->adapter, 0, 1);
	int rows = m->adapter->param[1]->rows, cols = m->adapter->param[0]->cols;
	NEED_OK(ul_lora_truncate(m, 2, &kept, &err), err);
	CHECK(kept > 0.2 && kept < 1);
	CHECK_EQ_INT(m->adapter->param[0]->rows, 2);
	double *after = dense(m->adapter, 0, 1), dot = 0, norm = 0;
	for (int i = 0; i < rows * cols; i++) { /* what is dropped is orthogonal to what stays */
		dot += (before[i] - after[i]) * after[i];
		norm += after[i] * after[i];
	}
	CHECK_NEAR(dot / norm, 0, 1e-10);
	ul_free(whole);
	ul_free(all);
	ul_free(before);
	ul_free(after);
	ul_model_free(m);
}

/* W = r - λ (f - ⟨f, c⟩ c), c = normalise(r̂ + f̂), written out with dense rows. */
static void test_lora_stack__ext_sub(void)
{
	ul_err err = {0};
	ul_model *m = tiny();
	attach(m, 3, 1, false);
	attach(m, 2, 2, false);
	const double lambda = 0.7, scale = 2;
	int rows = m->adapter->param[1]->rows, cols = m->adapter->param[0]->cols;
	double *f = dense(m->adapter, 0, scale), *r = dense(m->adapter->below, 0, scale), *want = ul_malloc((size_t)rows * (size_t)cols * sizeof *want);
	for (int i = 0; i < rows; i++) {
		double nf = 0, nr = 0, nc = 0, fc = 0;
		for (int j = 0; j < cols; j++) {
			nf += f[i * cols + j] * f[i * cols + j];
			nr += r[i * cols + j] * r[i * cols + j];
		}
		for (int j = 0; j < cols; j++) {
			double c = r[i * cols + j] / sqrt(nr) + f[i * cols + j] / sqrt(nf);
			nc += c * c;
			fc += f[i * cols + j] * c;
		}
		for (int j = 0; j < cols; j++) {
			double c = (r[i * cols + j] / sqrt(nr) + f[i * cols + j] / sqrt(nf)) / sqrt(nc);
			want[i * cols + j] = r[i * cols + j] - lambda * (f[i * cols + j] - fc / sqrt(nc) * c);
		}
	}
	NEED_OK(ul_lora_ext_sub(m, lambda, &err), err);
	CHECK_EQ_INT(ul_lora_depth(m), 1);
	double *got = dense(m->adapter, 0, 1);
	CHECK_ARRAY(got, want, (size_t)rows * (size_t)cols, 1e-9);
	ul_free(f);
	ul_free(r);
	ul_free(want);
	ul_free(got);
	ul_model_free(m);
}

static void test_lora_stack__interference(void)
{
	ul_err err = {0};
	ul_model *m = tiny();
	double cosine = 0, overlap = 0;
	attach(m, 3, 1, false);
	attach(m, 3, 1, false);
	NEED_OK(ul_lora_interference(m, &cosine, &overlap, &err), err);
	CHECK_CLOSE(cosine, 1, 1e-9); /* with itself */
	NEED_OK(ul_lora_scale(m->adapter, -2, &err) && ul_lora_interference(m, &cosine, &overlap, &err), err);
	CHECK_CLOSE(cosine, -1, 1e-9);
	ul_model_free(m);
}
