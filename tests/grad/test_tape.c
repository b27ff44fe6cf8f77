/*
 * test_tape.c: what the tape promises beside right gradients: recomputed blocks change nothing but memory, frozen parts cost nothing,
 * [tokens, vocab] never exists, decoding with a cache equals one pass, products are counted, running out of memory is reported.
 */
#include "grad.h"

/* ---- a small transformer block, all of its operators inside ---- */

enum { WIDTH = 24,
	HEADS = 4,
	KV = 2,
	DIM = 6,
	FFN = 40,
	ROWS = 11,
	VOCAB = 37 };

struct block {
	struct world *w;
	ul_span span;
	const int *pos;
	ul_param *norm1, *q, *k, *v, *o, *norm2, *gate, *up, *down;
};

static ul_val *block(ul_val *x, const void *ud)
{
	static const double freq[] = {1, 0.2, 0.05};
	const struct block *b = ud;
	ul_rope rope = {DIM, DIM, freq, 1};
	ul_val *n = ul_rmsnorm(x, b->norm1, 1e-5, false);
	ul_val *q = ul_rotate(ul_linear(n, b->q, NULL), &rope, b->pos), *k = ul_rotate(ul_linear(n, b->k, NULL), &rope, b->pos);
	ul_val *y = ul_attend(q, k, ul_linear(n, b->v, NULL), &(ul_attention){.head_dim = DIM, .scale = 0.4, .span = b->span});
	x = ul_add(x, ul_linear(y, b->o, NULL));
	n = ul_rmsnorm(x, b->norm2, 1e-5, false);
	return ul_add(x, ul_linear(ul_gate(ul_linear(n, b->gate, NULL), ul_linear(n, b->up, NULL), UL_SILU), b->down, NULL));
}

static const int spans[] = {0, 6, 7, ROWS};
static const int positions[] = {0, 1, 2, 3, 4, 5, 0, 0, 1, 2, 3};

static ul_param *matrix(struct world *w, bool train, int rows, int cols)
{
	return train ? weight(w, rows, cols) : frozen(w, rows, cols, 1, 0);
}

static struct block *block_new(struct world *w, bool train, bool with_lora)
{
	struct block *b = ul_alloc(&w->tape.tables, sizeof *b);

	*b = (struct block){.w = w, .span = {3, spans}, .pos = positions};
	b->norm1 = matrix(w, train, 1, WIDTH);
	b->q = matrix(w, train, HEADS * DIM, WIDTH);
	b->k = matrix(w, train, KV * DIM, WIDTH);
	b->v = matrix(w, train, KV * DIM, WIDTH);
	b->o = matrix(w, train, WIDTH, HEADS * DIM);
	b->norm2 = matrix(w, train, 1, WIDTH);
	b->gate = matrix(w, train, FFN, WIDTH);
	b->up = matrix(w, train, FFN, WIDTH);
	b->down = matrix(w, train, WIDTH, FFN);
	if (with_lora) {
		ul_lora *l = ul_alloc(&w->tape.tables, sizeof *l);
		*l = (ul_lora){weight(w, 2, WIDTH), weight(w, FFN, 2), 2, 0.7, NULL};
		b->up->lora = l;
	}
	return b;
}

static ul_val *two_blocks(struct world *w, bool train, bool with_lora)
{
	ul_val *x = train ? input(w, ROWS, WIDTH) : constant(w, ROWS, WIDTH);
	const struct block *a = block_new(w, train, with_lora), *b = block_new(w, train, with_lora);

	return ul_recompute(ul_recompute(x, block, a), block, b);
}

static ul_val *two_full(struct world *w)
{
	return two_blocks(w, true, false);
}

static ul_val *two_lora(struct world *w)
{
	return two_blocks(w, false, true);
}

static ul_val *inner_pair(ul_val *x, const void *ud)
{
	struct block *const *b = ud;
	return ul_recompute(ul_recompute(x, block, b[0]), block, b[1]);
}

static ul_val *nested(struct world *w)
{
	ul_val *x = input(w, ROWS, WIDTH);
	struct block **b = ul_alloc(&w->tape.tables, 2 * sizeof *b);
	b[0] = block_new(w, true, true);
	b[1] = block_new(w, true, false);
	return ul_recompute(x, inner_pair, b);
}

static ul_val *plain(struct world *w)
{
	ul_val *x = input(w, ROWS, WIDTH);
	const struct block *a = block_new(w, true, false), *b = block_new(w, true, false);
	return block(block(x, a), b);
}

static double *grads(const char *backend, const struct grad_case *c, bool recompute, size_t *n)
{
	struct world w;
	double value;

	world_open(&w, backend, "blocks");
	w.tape.recompute = recompute;
	double *g = world_grads(&w, c, &value);
	*n = 0;
	for (int i = 0; i < w.n; i++)
		*n += size_of(w.param[i]);
	world_close(&w);
	return g;
}

static void test_tape__recompute_gives_the_same_bits(void)
{
	static const struct grad_case cases[] = {{"full", two_full, false}, {"lora", two_lora, false}, {"nested", nested, false}};
	static const char *const backends[] = {"ref64", "ref", "cpu"};

	for (int b = 0; b < 3; b++)
		for (int i = 0; i < 3; i++) {
			size_t n, m;
			double *on = grads(backends[b], &cases[i], true, &n), *off = grads(backends[b], &cases[i], false, &m);
			CHECK_MSG(n == m && !memcmp(on, off, n * sizeof *on), "%s: %s differs", backends[b], cases[i].name);
			ul_free(on);
			ul_free(off);
		}
}

static void test_tape__recompute_equals_plain(void)
{
	size_t n, m;
	double *on = grads("ref64", &(struct grad_case){"full", two_full, false}, true, &n);
	double *off = grads("ref64", &(struct grad_case){"plain", plain, false}, true, &m);

	CHECK(n == m && !memcmp(on, off, n * sizeof *on));
	ul_free(on);
	ul_free(off);
}

static void test_tape__blocks_below_the_trainable_ones_keep_nothing(void)
{
	struct world w;
	size_t used[2];

	world_open(&w, "ref", "blocks");
	for (int i = 0; i < 2; i++) {
		ul_tape_reset(&w.tape);
		w.next = 0;
		ul_val *x = constant(&w, ROWS, WIDTH);
		const struct block *b = block_new(&w, false, false);
		for (int layer = 0; layer < (i ? 9 : 1); layer++)
			x = ul_recompute(x, block, b);
		CHECK(!x->needs_grad);
		used[i] = w.tape.arena.used;
	}
	CHECK(used[1] - used[0] <= 8 * (ROWS * WIDTH * sizeof(float) + 2048));
	world_close(&w);
}

static void test_tape__frozen_parts_do_no_gradient_work(void)
{
	struct world w;

	world_open(&w, "ref", "blocks");
	ul_val *x = constant(&w, ROWS, WIDTH);
	ul_param *lower = frozen(&w, WIDTH, WIDTH, 1, 0), *upper = weight(&w, WIDTH, WIDTH);
	ul_val *loss = ul_sum(ul_linear(ul_linear(x, lower, NULL), upper, NULL));
	int64_t forward = w.tape.flops, one = 2LL * ROWS * WIDTH * WIDTH;
	CHECK_EQ_INT(forward, 2 * one);
	ul_backward(loss, 1);
	CHECK_EQ_INT(w.tape.flops - forward, one); /* dW of the upper one, nothing else */
	CHECK(lower->grad == NULL);
	world_close(&w);
}

/* Forward, dx and dW of every linear layer are 2mnk each; the head computes its logits twice when it is trained. */
static void test_tape__products_are_counted(void)
{
	static int target[ROWS];
	struct world w;

	world_open(&w, "ref", "blocks");
	ul_val *x = input(&w, ROWS, WIDTH);
	const struct block *b = block_new(&w, true, false);
	ul_param *head = weight(&w, VOCAB, WIDTH);
	ul_val *loss = ul_mean(ul_head_logp(ul_recompute(x, block, b), head, NULL, target, NULL));
	ul_backward(loss, 1);
	int64_t weights = 2 * HEADS * DIM * WIDTH + 2 * KV * DIM * WIDTH + 3 * FFN * WIDTH, logits = VOCAB * WIDTH;
	CHECK_EQ_INT(w.tape.flops, 2LL * ROWS * (3 * weights + 4 * logits));
	world_close(&w);
}

static void test_tape__gradients_add_up_over_two_passes(void)
{
	struct world w;
	double one[WIDTH * WIDTH], two[WIDTH * WIDTH];

	world_open(&w, "ref64", "twice");
	for (int i = 0; i < 2; i++) {
		w.next = 0;
		ul_tape_reset(&w.tape);
		ul_val *x = input(&w, ROWS, WIDTH);
		ul_param *p = weight(&w, WIDTH, WIDTH);
		ul_backward(ul_sum(ul_linear(x, p, NULL)), 0.5);
		ul_param_grad(p, i ? two : one);
	}
	for (int i = 0; i < WIDTH * WIDTH; i++)
		CHECK_CLOSE(two[i], 2 * one[i], 1e-15);
	world_close(&w);
}

static void test_tape__leaves_keep_their_gradient(void)
{
	static const double x[] = {1, 2, 3, 4}, w[] = {2, -1};
	ul_tape t;
	double g[4];

	ul_tape_init(&t, &ul_backend_ref64);
	ul_val *leaf = ul_leaf(&t, 2, 2, x), *other = ul_leaf(&t, 2, 2, x);
	ul_backward(ul_sum(ul_mul(ul_mul_rows(leaf, w), ul_detach(leaf))), 3);
	ul_read_grad(leaf, g);
	CHECK_NEAR(g[0], 3 * 2 * 1, 0);
	CHECK_NEAR(g[3], 3 * -1 * 4, 0);
	ul_read_grad(other, g);
	CHECK(g[0] == 0 && g[3] == 0);
	ul_tape_release(&t);
}

/* ---- memory ---- */

static size_t head_peak(int rows, int vocab)
{
	enum { W = 8 };
	struct world w;
	int *target = ul_calloc((size_t)rows, sizeof *target);

	NEED(target != NULL);
	world_open(&w, "cpu", "head");
	ul_val *h = input(&w, rows, W);
	ul_backward(ul_sum(ul_head_logp(h, weight(&w, vocab, W), NULL, target, NULL)), 1);
	size_t peak = w.tape.arena.peak + w.tape.scratch.peak;
	world_close(&w);
	ul_free(target);
	return peak;
}

static void test_tape__head_memory_does_not_grow_with_rows_times_vocab(void)
{
	enum { V = 40000 };
	size_t few = head_peak(700, V), many = head_peak(1400, V);

	/* of the logits of 700 more rows not one is there at once: only rows of hidden size and a few numbers each */
	CHECK_MSG(many - few < 700 * (2 * 8 * sizeof(float) + 64), "%zu bytes for 700 rows, %zu for 1400", few, many);
	CHECK(few < (size_t)80 << 20);
}

static bool step_without_memory(void *ud, ul_err *err)
{
	struct world *w = ud;
	static int target[ROWS];
	bool ok;

	ul_tape t;
	ul_tape_init(&t, w->be);
	w->tape = t;
	w->next = 0;
	ul_val *x = input(w, ROWS, WIDTH);
	const struct block b = {w, {3, spans}, positions, w->param[1], w->param[2], w->param[3], w->param[4], w->param[5], w->param[6], w->param[7], w->param[8], w->param[9]};
	ul_backward(ul_mean(ul_head_logp(ul_recompute(x, block, &b), w->param[10], NULL, target, NULL)), 1);
	ok = ul_tape_ok(&w->tape, err);
	ul_tape_release(&w->tape);
	return ok;
}

static void test_tape__running_out_of_memory_is_reported(void)
{
	static const char *const backends[] = {"ref64", "cpu"};

	for (int i = 0; i < 2; i++) {
		struct world w;
		world_open(&w, backends[i], "oom");
		input(&w, ROWS, WIDTH);
		block_new(&w, true, false);
		weight(&w, VOCAB, WIDTH);
		ul_tape_release(&w.tape);
		CHECK(test_each_alloc(step_without_memory, &w) >= 3);
		world_close(&w);
	}
}

/* ---- decoding ---- */

static ul_val *attention_pass(struct world *w, int row, int n, ul_span span, ul_kv *kv, const int *slot, int window)
{
	int index[ROWS];

	w->next = 0;
	ul_val *q = constant(w, ROWS, HEADS * DIM), *k = constant(w, ROWS, KV * DIM), *v = constant(w, ROWS, KV * DIM);
	for (int i = 0; i < n; i++)
		index[i] = row + i;
	return ul_attend(ul_rows(q, index, n), ul_rows(k, index, n), ul_rows(v, index, n), &(ul_attention){.head_dim = DIM, .scale = 0.4, .window = window, .span = span, .kv = kv, .slot = slot});
}

/* The same rows at once, and in three calls through a cache whose slots are in another order than the sequences. */
static void cache_equals_one_pass(const char *backend, int window, double tol)
{
	static const int whole[] = {0, ROWS}, part[][2] = {{0, 4}, {0, 1}, {0, 6}}, first[] = {0, 4, 5}, slot[] = {2};
	struct world w;
	double once[ROWS * HEADS * DIM], steps[ROWS * HEADS * DIM];
	int len[3] = {0};

	world_open(&w, backend, "cache");
	ul_kv kv = {3, ROWS, KV * DIM, len, ul_calloc((size_t)3 * ROWS * KV * DIM, w.be->elem), ul_calloc((size_t)3 * ROWS * KV * DIM, w.be->elem)};
	NEED(kv.k && kv.v);
	w.tape.record = false;
	ul_read(attention_pass(&w, 0, ROWS, (ul_span){1, whole}, NULL, NULL, window), once);
	for (int i = 0; i < 3; i++)
		ul_read(attention_pass(&w, first[i], part[i][1], (ul_span){1, part[i]}, &kv, slot, window), steps + first[i] * HEADS * DIM);
	CHECK_EQ_INT(len[2], ROWS);
	CHECK_ARRAY(steps, once, (size_t)ROWS * HEADS * DIM, tol);
	ul_free(kv.k);
	ul_free(kv.v);
	world_close(&w);
}

static void test_tape__decoding_with_a_cache_equals_one_pass(void)
{
	for (int window = 0; window <= 3; window += 3) {
		cache_equals_one_pass("ref64", window, 1e-14);
		cache_equals_one_pass("ref", window, 1e-6);
		cache_equals_one_pass("cpu", window, 1e-6);
	}
}

/* Two sequences of different lengths in one batch, each as if alone. */
static void test_tape__sequences_of_different_lengths_decode_together(void)
{
	static const int both[] = {0, 3, 8}, one[][2] = {{0, 3}, {0, 5}}, next[] = {0, 1, 2}, slots[] = {1, 0};
	static const char *const backends[] = {"ref64", "ref", "cpu"};

	for (int b = 0; b < 3; b++) {
		struct world w;
		double alone[2 * HEADS * DIM], together[2 * HEADS * DIM];
		int len[2] = {0}, len2[2] = {0};
		world_open(&w, backends[b], "batch");
		ul_kv kv = {2, ROWS, KV * DIM, len, ul_calloc((size_t)2 * ROWS * KV * DIM, w.be->elem), ul_calloc((size_t)2 * ROWS * KV * DIM, w.be->elem)};
		ul_kv kv2 = {2, ROWS, KV * DIM, len2, ul_calloc((size_t)2 * ROWS * KV * DIM, w.be->elem), ul_calloc((size_t)2 * ROWS * KV * DIM, w.be->elem)};
		NEED(kv.k && kv.v && kv2.k && kv2.v);
		w.tape.record = false;
		attention_pass(&w, 0, 8, (ul_span){2, both}, &kv, slots, 0);
		ul_read(attention_pass(&w, 8, 2, (ul_span){2, next}, &kv, slots, 0), together);
		for (int i = 0; i < 2; i++) {
			attention_pass(&w, i ? 3 : 0, one[i][1], (ul_span){1, one[i]}, &kv2, slots + i, 0);
			ul_read(attention_pass(&w, 8 + i, 1, (ul_span){1, next}, &kv2, slots + i, 0), alone + i * HEADS * DIM);
		}
		CHECK_ARRAY(together, alone, (size_t)2 * HEADS * DIM, b ? 1e-6 : 1e-14);
		ul_free(kv.k);
		ul_free(kv.v);
		ul_free(kv2.k);
		ul_free(kv2.v);
		world_close(&w);
	}
}

/* ---- what the head says beside the log-probability ---- */

static void test_tape__head_statistics(void)
{
	static const char *const backends[] = {"ref64", "ref", "cpu"};
	enum { N = 5,
		V = 203 };
	static const int target[N] = {1, 2, 3, 4, 202};

	for (int b = 0; b < 3; b++) {
		struct world w;
		int argmax[N];
		double entropy[N], mean[N], var[N], top[N], mean_logit[N], z[N * V], lp[N];
		double tol = b ? 2e-6 : 1e-12;
		world_open(&w, backends[b], "stats");
		ul_val *h = constant(&w, N, 16);
		ul_param *a = around(&w, V, 16, 2, 0);
		ul_read(ul_head_logp(h, a, NULL, target, &(ul_head_stats){argmax, entropy, mean, var, top, mean_logit}), lp);
		ul_read(ul_head_logits(h, a, NULL), z);
		for (int r = 0; r < N; r++) {
			double total = 0, m = 0, v = 0, sum = 0;
			int best = 0;
			for (int i = 0; i < V; i++) {
				best = z[r * V + i] > z[r * V + best] ? i : best;
				total += exp(z[r * V + i]);
				sum += z[r * V + i];
			}
			for (int i = 0; i < V; i++)
				m += exp(z[r * V + i]) / total * (z[r * V + i] - log(total));
			for (int i = 0; i < V; i++)
				v += exp(z[r * V + i]) / total * pow(z[r * V + i] - log(total) - m, 2);
			CHECK_EQ_INT(argmax[r], best);
			CHECK_CLOSE(lp[r], z[r * V + target[r]] - log(total), tol);
			CHECK_CLOSE(entropy[r], -m, tol);
			CHECK_CLOSE(mean[r], m, tol);
			CHECK_CLOSE(var[r], v, 5 * tol);
			CHECK_CLOSE(top[r], z[r * V + best], tol);
			CHECK_NEAR(mean_logit[r], sum / V, 10 * tol);
		}
		world_close(&w);
	}
}

static void test_tape__equal_logits_choose_the_lowest_id(void)
{
	static const char *const backends[] = {"ref64", "cpu"};
	static const int target[] = {0};

	for (int b = 0; b < 2; b++) {
		struct world w;
		int argmax = -1;
		world_open(&w, backends[b], "ties");
		ul_param *a = weight(&w, 300, 4);
		double x[4] = {0}, rows[300 * 4] = {0};
		for (int i = 0; i < 300; i++)
			rows[i * 4] = i == 77 || i == 141 || i == 299 ? 1 : -1;
		x[0] = 1;
		ul_param_set(a, rows);
		ul_head_logp(ul_const(&w.tape, 1, 4, x), a, NULL, target, &(ul_head_stats){.argmax = &argmax});
		CHECK_EQ_INT(argmax, 77);
		world_close(&w);
	}
}

/* ---- optimisers ---- */

static void test_tape__adamw_follows_its_formula(void)
{
	static const char *const backends[] = {"ref64", "ref", "cpu"};
	enum { N = 77 };

	for (int b = 0; b < 3; b++) {
		struct world w;
		double x[N], m[N] = {0}, v[N] = {0}, got[N];
		world_open(&w, backends[b], "adamw");
		ul_param *p = weight(&w, 1, N), *pm = frozen(&w, 1, N, 0, 0), *pv = frozen(&w, 1, N, 0, 0);
		ul_param_get(p, x);
		for (int step = 1; step <= 3; step++) {
			ul_adamw o = {1e-2, 0.9, 0.99, 1e-8, 0.1, 1 - pow(0.9, step), 1 - pow(0.99, step), 0.5};
			w.be->axpby(p->grad, 1, p->data, 0, N);
			for (int i = 0; i < N; i++) {
				double g = x[i] * 0.5;
				m[i] = 0.9 * m[i] + 0.1 * g;
				v[i] = 0.99 * v[i] + 0.01 * g * g;
				x[i] -= 1e-2 * 0.1 * x[i] + 1e-2 * (m[i] / o.c1) / (sqrt(v[i] / o.c2) + 1e-8);
			}
			w.be->adamw(p->data, p->grad, pm->data, pv->data, N, &o);
		}
		ul_param_get(p, got);
		CHECK_ARRAY(got, x, N, b ? 1e-6 : 1e-13);
		world_close(&w);
	}
}
