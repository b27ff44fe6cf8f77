/*
 * test_cost.c: what work costs, counted and not timed: multiplications per useful token, and memory by tokens and vocabulary.
 */
#include "data/data.h"
#include "model/lora.h"
#include "tensor/backend.h"
#include "test.h"

enum { LAYERS = 4,
	HIDDEN = 128,
	KV = 64,
	FFN = 352,
	RANK = 2 };

/* Weights of one block of llama-tiny, and what an adapter on all its linear layers adds. */
static const int64_t block = 2 * HIDDEN * HIDDEN + 2 * KV * HIDDEN + 3 * FFN * HIDDEN;
static const int64_t low = RANK * (2 * 2 * HIDDEN + 2 * (HIDDEN + KV) + 3 * (HIDDEN + FFN));

static ul_model *tiny(int vocab)
{
	ul_err err = {0};
	json_t *config = ul_model_preset("llama-tiny", vocab, &err);
	NEED_OK(config, err);
	ul_model *m = ul_model_random(config, 1, "cpu", &err);
	NEED_OK(m, err);
	json_decref(config);
	return m;
}

/* One step over `rows` tokens in sequences of `length`, the first `labels` of them predicting something. */
static ul_tape step(ul_model *m, int rows, int length, int labels)
{
	int *ids = ul_calloc((size_t)rows * 4 + 1, sizeof *ids), *pos = ids + rows, *at = pos + rows, *start = at + rows, n = 0;
	ul_tape t;
	ul_err err = {0};
	for (int i = 0; i < rows; i++) {
		ids[i] = i * 7919 % m->cfg.vocab;
		pos[i] = i % length;
		at[i] = i;
		if (pos[i] == 0)
			start[n++] = i;
	}
	start[n] = rows;
	ul_tape_init(&t, m->be);
	ul_pass p = {.tape = &t, .ids = ids, .pos = pos, .span = {n, start}};
	ul_val *h = ul_rows(ul_forward(m, &p), at, labels);
	ul_val *loss = ul_mean(ul_head_logp(h, m->head, m->head_b, ids, NULL));
	if (loss->needs_grad)
		ul_backward(loss, -1);
	NEED_OK(ul_tape_ok(&t, &err), err);
	ul_tape_release(&t);
	ul_free(ids);
	return t; /* its counters */
}

static int64_t flops_of(ul_model *m, int rows, int labels)
{
	int64_t n = step(m, rows, 32, labels).flops;
	ul_model_free(m);
	return n;
}

static void test_cost__products_follow_the_formula(void)
{
	const int64_t rows = 96, labels = 40, vocab = 300, head = vocab * HIDDEN;
	ul_err err = {0};

	/* scoring: every weight once a token, the head only where something is predicted */
	CHECK_EQ_INT(flops_of(tiny(300), 96, 40), 2 * rows * LAYERS * block + 2 * labels * head);

	/* full training: x Wᵀ, dy W and dyᵀ x; logits once more on the way back, since they are not kept */
	ul_model *m = tiny(300);
	for (int i = 0; i < m->params; i++)
		NEED_OK(ul_param_train(m->param[i], true, &err), err);
	CHECK_EQ_INT(flops_of(m, 96, 40), 6 * rows * LAYERS * block + 8 * labels * head);

	/* an adapter everywhere: no gradient of a frozen weight, none in front of the first block's q, k and v */
	m = tiny(300);
	NEED_OK(ul_lora_attach(m, &(ul_lora_config){.r = RANK, .alpha = 4, .target = "all-linear"}, 1, &err), err);
	for (int i = 0; i < m->adapter->params; i++)
		NEED_OK(ul_param_train(m->adapter->param[i], true, &err), err);
	int64_t first = HIDDEN * HIDDEN + 2 * KV * HIDDEN, first_low = RANK * 3 * HIDDEN; /* q, k, v and their As */
	/* x Aᵀ is computed again with its block: it is cheaper than kept */
	int64_t all = rows * (4 * LAYERS * block - 2 * first) + rows * (6 * LAYERS * low - 2 * first_low) + 2 * rows * LAYERS * RANK * (4 * HIDDEN + 2 * HIDDEN + FFN) + 4 * labels * head;
	CHECK_EQ_INT(flops_of(m, 96, 40), all);
}

/* Nothing happens below the lowest trained block on the way back. */
static void test_cost__backward_stops_where_nothing_is_trained(void)
{
	const int64_t rows = 96, labels = 40, head = 300 * HIDDEN;
	ul_err err = {0};
	ul_model *m = tiny(300);
	NEED_OK(ul_param_train(m->layer[LAYERS - 1].down, true, &err), err);
	CHECK_EQ_INT(flops_of(m, 96, 40), 2 * rows * LAYERS * block + 2 * rows * FFN * HIDDEN + 4 * labels * head);
}

/* Two questions with four answers each: each question is computed once. */
static void test_cost__answers_share_their_question(void)
{
	enum { QUESTION = 40,
		ANSWER = 9,
		EACH = 4,
		ROWS = 2 * EACH };
	const int64_t rows = 2 * QUESTION + ROWS * ANSWER, labels = (int64_t)ROWS * ANSWER, head = 300 * HIDDEN;
	ul_row row[ROWS];
	int item[ROWS];
	ul_arena a = {0};
	ul_err err = {0};
	ul_batch b;
	ul_tape t;
	ul_model *m = tiny(300);
	for (int i = 0; i < ROWS; i++) {
		item[i] = i;
		row[i] = (ul_row){.n = QUESTION + ANSWER, .ids = ul_alloc(&a, (QUESTION + ANSWER) * sizeof(int)), .flags = ul_alloc(&a, QUESTION + ANSWER)};
		for (int p = 0; p < row[i].n; p++) {
			row[i].ids[p] = (p < QUESTION ? p * 7 + i / EACH * 100 : p * 11 + i) % 300;
			row[i].flags[p] = p < QUESTION ? 0 : UL_ROW_LABEL;
		}
	}
	ul_dataset d = {.row = row, .n = ROWS};
	NEED_OK(ul_pack_shared(&d, item, ROWS, &a, &b, &err), err);
	CHECK_EQ_INT(b.rows, rows);
	CHECK_EQ_INT(b.labels, labels);
	ul_tape_init(&t, m->be);
	t.record = false;
	ul_pass p = ul_batch_pass(&b, &t);
	ul_head_logp(ul_rows(ul_forward(m, &p), b.at, b.labels), m->head, m->head_b, b.target, NULL);
	NEED_OK(ul_tape_ok(&t, &err), err);
	CHECK_EQ_INT(t.flops, 2 * rows * LAYERS * block + 2 * labels * head);
	ul_tape_release(&t);
	ul_arena_release(&a);
	ul_model_free(m);
}

/* Twice the tokens need as much more memory under a vocabulary of 300 as under one of 8,192: logits of a batch never exist. */
static void test_cost__memory_does_not_grow_with_tokens_times_vocabulary(void)
{
	for (int full = 0; full < 2; full++) {
		size_t more[2];
		for (int big = 0; big < 2; big++) {
			size_t peak[2];
			ul_err err = {0};
			ul_model *m = tiny(big ? 8192 : 300);
			for (int i = 0; i < m->params; i++)
				NEED_OK(full || m->param[i]->vector ? ul_param_train(m->param[i], true, &err) : true, err);
			for (int twice = 0; twice < 2; twice++) {
				ul_tape t = step(m, twice ? 1024 : 512, 64, twice ? 1024 : 512);
				peak[twice] = t.arena.peak + t.scratch.peak;
			}
			more[big] = peak[1] - peak[0];
			ul_model_free(m);
		}
		CHECK_MSG(more[1] <= more[0] + more[0] / 50, "512 tokens more: %zu bytes under 300 words, %zu under 8192", more[0], more[1]);
	}
}
