/*
 * test_score.c: teacher-forced scores against the plain pass, row by row; the extras; windows.
 */
#include "test.h"

#include "tensor/backend.h"
#include "train/train.h"

#include <string.h>

enum { VOCAB = 31,
	CONTEXT = 64,
	ROWS = 5 };

static ul_model *tiny(const char *backend)
{
	ul_err err = {0};
	json_t *config = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:b}", "model_type", "llama", "num_hidden_layers", 2, "hidden_size", 16, "num_attention_heads", 4,
	        "num_key_value_heads", 2, "intermediate_size", 24, "vocab_size", VOCAB, "max_position_embeddings", CONTEXT, "rms_norm_eps", 1e-5, "rope_theta", 1e4, "tie_word_embeddings", 0);
	ul_model *m = ul_model_random(config, 9, backend, &err);
	NEED_OK(m, err);
	json_decref(config);
	return m;
}

static ul_dataset rows_of(ul_row row[ROWS], ul_arena *a)
{
	static const int length[ROWS] = {7, 1, 12, 3, 9};
	ul_rng r = ul_rng_at(1, "rows", 0);
	for (int i = 0; i < ROWS; i++) {
		row[i] = (ul_row){.n = length[i], .ids = ul_alloc(a, 64), .flags = ul_alloc(a, 64)};
		for (int t = 0; t < length[i]; t++) {
			row[i].ids[t] = (int)ul_rng_below(&r, VOCAB);
			row[i].flags[t] = t > 0 && (i != 2 || t > 6) ? UL_ROW_LABEL | (t == 2 ? UL_ROW_SPAN : 0) : 0;
		}
	}
	return (ul_dataset){.row = row, .n = ROWS};
}

/* log softmax of every row's logits but the last: [n - 1, VOCAB] */
static void plain(ul_model *m, const int *ids, int n, double *logp)
{
	int pos[CONTEXT], span[] = {0, n}, at[CONTEXT];
	float *z = malloc((size_t)n * VOCAB * sizeof *z);
	ul_tape t;
	for (int i = 0; i < n; i++)
		pos[i] = at[i] = i;
	ul_tape_init(&t, m->be);
	t.record = false;
	ul_pass p = {.tape = &t, .ids = ids, .pos = pos, .span = {1, span}};
	ul_read_f32(ul_head_logits(ul_rows(ul_forward(m, &p), at, n), m->head, m->head_b), z);
	for (int i = 0; i < n - 1; i++) {
		double sum = 0;
		for (int v = 0; v < VOCAB; v++)
			sum += exp((double)z[i * VOCAB + v]);
		for (int v = 0; v < VOCAB; v++)
			logp[i * VOCAB + v] = (double)z[i * VOCAB + v] - log(sum);
	}
	ul_tape_release(&t);
	free(z);
}

/* Rows that begin like rows before them, some by way of others, one of them whole: the scores are those of each row alone. */
static void shared(const char *backend, double close)
{
	enum { N = 7 };
	static const char *const text[N] = {"abcdefghijkl", "abcdefghxyz", "abcdefghxyzuvw", "bcdefg", "abcdefghijkl", "abcdefghxyq", "ab"};
	ul_arena a = {0};
	ul_row row[N];
	ul_scores all;
	ul_err err = {0};
	ul_model *m = tiny(backend);
	for (int i = 0; i < N; i++) {
		row[i] = (ul_row){.n = (int)strlen(text[i]), .ids = ul_alloc(&a, 64), .flags = ul_alloc(&a, 64)};
		for (int t = 0; t < row[i].n; t++) {
			row[i].ids[t] = text[i][t] - 'a';
			row[i].flags[t] = t > i % 3 ? UL_ROW_LABEL : 0;
		}
	}
	NEED_OK(ul_score(m, &(ul_dataset){.row = row, .n = N}, UL_WANT_ARGMAX, &all, NULL, &err), err);
	for (int i = 0; i < N; i++) {
		ul_scores one;
		NEED_OK(ul_score(m, &(ul_dataset){.row = &row[i], .n = 1}, UL_WANT_ARGMAX, &one, NULL, &err), err);
		CHECK_EQ_INT(all.row[i].n, one.row[0].n);
		for (int t = 0; t < one.row[0].n; t++) {
			CHECK_CLOSE(all.row[i].logp[t], one.row[0].logp[t], close);
			CHECK_EQ_INT(all.row[i].argmax[t], one.row[0].argmax[t]);
		}
		ul_scores_release(&one);
	}
	ul_scores_release(&all);
	ul_arena_release(&a);
	ul_model_free(m);
}

static void test_score__shared_beginnings_change_nothing(void)
{
	shared("ref64", 1e-13);
	shared("cpu", 1e-6);
}

static void test_score__is_the_plain_pass(void)
{
	ul_arena a = {0};
	ul_row row[ROWS];
	ul_dataset d = rows_of(row, &a);
	ul_model *m = tiny("ref64");
	ul_scores s;
	ul_err err = {0};
	double logp[CONTEXT * VOCAB];
	NEED_OK(ul_score(m, &d, UL_WANT_ARGMAX | UL_WANT_MOMENTS, &s, NULL, &err), err);
	CHECK_EQ_INT(s.tokens, 6 + 0 + 5 + 2 + 8);
	for (int i = 0; i < ROWS; i++) {
		const ul_row_score *r = &s.row[i];
		double nll = 0;
		int k = 0;
		plain(m, row[i].ids, row[i].n, logp);
		for (int t = 1; t < row[i].n; t++) {
			const double *p = logp + (t - 1) * VOCAB;
			double mean = 0, var = 0;
			int best = 0;
			if (!(row[i].flags[t] & UL_ROW_LABEL))
				continue;
			for (int v = 0; v < VOCAB; v++) {
				mean += exp(p[v]) * p[v];
				best = p[v] > p[best] ? v : best;
			}
			for (int v = 0; v < VOCAB; v++)
				var += exp(p[v]) * (p[v] - mean) * (p[v] - mean);
			CHECK_EQ_INT(r->target[k], row[i].ids[t]);
			CHECK_EQ_INT(r->argmax[k], best);
			CHECK_CLOSE(r->logp[k], p[row[i].ids[t]], 1e-6);
			CHECK_CLOSE(r->mean[k], mean, 1e-6);
			CHECK_CLOSE(r->var[k], var, 1e-3);
			CHECK_EQ_INT(r->spot[k], t == 2);
			nll -= p[row[i].ids[t]];
			k++;
		}
		CHECK_EQ_INT(r->n, k);
		CHECK_CLOSE(r->nll, nll, 1e-6);
	}
	ul_scores_release(&s);
	ul_model_free(m);
	ul_arena_release(&a);
}

static void test_score__packed_is_alone(void)
{
	ul_arena a = {0};
	ul_row row[ROWS];
	ul_dataset d = rows_of(row, &a);
	const char *const backends[] = {"ref64", "cpu"};
	for (int b = 0; b < 2; b++) {
		ul_model *m = tiny(backends[b]);
		ul_scores all, one;
		ul_err err = {0};
		NEED_OK(ul_score(m, &d, 0, &all, NULL, &err), err);
		for (int i = 0; i < ROWS; i++) {
			ul_dataset single = {.row = &row[i], .n = 1};
			NEED_OK(ul_score(m, &single, 0, &one, NULL, &err), err);
			CHECK_CLOSE(one.row[0].nll, all.row[i].nll, b ? 1e-5 : 1e-13);
			ul_scores_release(&one);
		}
		ul_scores_release(&all);
		ul_model_free(m);
	}
	ul_arena_release(&a);
}

/* The norm of each tensor's gradient of the mean NLL, by nudging every one of its weights. */
static void test_score__gradient_norms(void)
{
	ul_arena a = {0};
	ul_row row[ROWS];
	ul_dataset d = rows_of(row, &a), one = {.row = &row[4], .n = 1};
	ul_model *m = tiny("ref64");
	ul_scores s, nudged;
	ul_err err = {0};
	NEED_OK(ul_score(m, &d, UL_WANT_GRADNORM, &s, NULL, &err), err);
	double mean = 0;
	for (int i = 0; i < m->params; i++) {
		int n = m->param[i]->rows * m->param[i]->cols;
		double *w = malloc((size_t)n * sizeof *w), square = 0;
		ul_param_get(m->param[i], w);
		for (int k = 0; k < n; k++) {
			double old = w[k], two[2];
			for (int side = 0; side < 2; side++) {
				w[k] = old + (side ? 1e-5 : -1e-5);
				ul_param_set(m->param[i], w);
				NEED_OK(ul_score(m, &one, 0, &nudged, NULL, &err), err);
				two[side] = nudged.row[0].nll / nudged.row[0].n;
				ul_scores_release(&nudged);
			}
			w[k] = old;
			square += (two[1] - two[0]) * (two[1] - two[0]) / 4e-10;
		}
		ul_param_set(m->param[i], w);
		mean += sqrt(square) / m->params;
		free(w);
	}
	CHECK_CLOSE(s.row[4].grad_norm, mean, 1e-5);
	CHECK(s.row[0].grad_norm > 0 && s.row[1].grad_norm == 0);
	for (int i = 0; i < m->params; i++)
		CHECK(!m->param[i]->trainable && !m->param[i]->grad);
	ul_scores_release(&s);
	ul_model_free(m);
	ul_arena_release(&a);
}

static void test_score__windows(void)
{
	ul_model *m = tiny("ref64");
	ul_err err = {0};
	ul_rng r = ul_rng_at(2, "text", 0);
	int ids[100];
	double logp[CONTEXT * VOCAB], nll, want = 0;
	int64_t tokens;
	for (int i = 0; i < 100; i++)
		ids[i] = (int)ul_rng_below(&r, VOCAB);
	NEED_OK(ul_score_windows(m, ids, 40, 40, 10, &nll, &tokens, &err), err);
	plain(m, ids, 40, logp);
	for (int t = 1; t < 40; t++)
		want -= logp[(t - 1) * VOCAB + ids[t]];
	CHECK_EQ_INT(tokens, 39);
	CHECK_CLOSE(nll, want, 1e-6);
	/* 100 tokens, windows of 32 every 20: the first scores 31, the others what is new in them */
	want = 0;
	for (int begin = 0, done = 1; done < 100; begin += 20) {
		int end = begin + 32 < 100 ? begin + 32 : 100;
		plain(m, ids + begin, end - begin, logp);
		for (int t = done; t < end; t++)
			want -= logp[(t - begin - 1) * VOCAB + ids[t]];
		done = end;
	}
	NEED_OK(ul_score_windows(m, ids, 100, 32, 20, &nll, &tokens, &err), err);
	CHECK_EQ_INT(tokens, 99);
	CHECK_CLOSE(nll, want, 1e-6);
	CHECK_FAILS(ul_score_windows(m, ids, 100, 65, 20, &nll, &tokens, &err), err, "longer than the context of 64");
	ul_model_free(m);
}

struct work {
	ul_model *m;
	ul_dataset d;
};

static bool score_once(void *ud, ul_err *err)
{
	struct work *w = ud;
	ul_scores s = {0};
	bool ok = ul_score(w->m, &w->d, UL_WANT_GRADNORM | UL_WANT_MOMENTS, &s, NULL, err);
	ul_scores_release(&s);
	return ok;
}

static void test_score__every_failing_allocation(void)
{
	ul_arena a = {0};
	ul_row row[ROWS];
	struct work w = {tiny("ref"), rows_of(row, &a)};
	CHECK(test_each_alloc(score_once, &w) > 5);
	ul_model_free(w.m);
	ul_arena_release(&a);
}
