/*
 * bench.h: what cmd_bench.c measures and bench.c does.
 */
#ifndef UL_CLI_BENCH_H
#define UL_CLI_BENCH_H

#include "cli/cli.h"
#include "train/train.h"

enum { UL_BENCH_PARTS = 5 }; /* products with weights, attention, softmax of the head, optimiser, the rest */
extern const char *const ul_bench_parts[UL_BENCH_PARTS];

typedef struct ul_bench_config {
	const char *work, *data, *retain, *layers;
	int64_t steps, tokens, seqs, batch, max_new, vocab;
} ul_bench_config;

typedef struct ul_bench {
	ul_cli *c;
	const ul_bench_config *o;
	ul_model *m;
	ul_dataset rows, retain; /* ragged rows, and as many that the model may keep */
	ul_dataset plain; /* seqs rows of `tokens` tokens */
	ul_probe probe; /* before */
} ul_bench;

typedef struct ul_bench_result {
	double seconds, worst; /* of one step: the median, the slowest */
	double tokens; /* of one step */
	double flops; /* of one step's products with weights */
	double part[UL_BENCH_PARTS]; /* seconds of the median step, on this thread's clock */
	double peak; /* bytes of resident memory at most */
	double drift; /* probe after over probe before */
} ul_bench_result;

/* Everything a bench needs besides the model; the model's kernels are watched from here on. */
bool ul_bench_begin(ul_bench *b);
void ul_bench_end(ul_bench *b);

bool ul_bench_train(ul_bench *b, ul_bench_result *r);
bool ul_bench_lora(ul_bench *b, ul_bench_result *r);
bool ul_bench_unlearn(ul_bench *b, ul_bench_result *r);
bool ul_bench_score(ul_bench *b, ul_bench_result *r);
bool ul_bench_generate(ul_bench *b, ul_bench_result *r);
bool ul_bench_batch(ul_bench *b, ul_bench_result *r); /* generate, many at once */

/* One product of a step alone: its best time in seconds. which: 0 x Wᵀ, 1 dy W, 2 dyᵀ x. */
double ul_bench_product(ul_bench *b, int which, int rows, int out, int in);

#endif
