/*
 * mpu_bench.h: one round of MPU on a committed checkpoint, and how far it ends from the run without noise.
 *
 * The client is a run of GradDiff through the same door as the command. Models compute in double; what the parties exchange is
 * float32, so an equality holds up to the rounding of weights against the size of an update.
 */
#ifndef MPU_BENCH_H
#define MPU_BENCH_H

#include "api/mpu_api.h"
#include "mpu_families.h"

enum { COPIES = 16 };

/* ---- a bench: θ, a client, and what each copy's update was in the server's coordinates ---- */

typedef struct bench {
	const char *path;
	ul_mpu_how how;
	ul_mpu_key key;
	const char *optim, *lr, *lora;
	bool own_order; /* each copy draws its rows in another order */
	double *update[COPIES]; /* [n], as far as wanted: without a transform only */
	ul_mpu_job job;
	ul_setting setting[16];
	size_t n; /* parameters */
	double *before; /* of the copy at hand */
} bench;

static inline void rows(void)
{
	ul_buf forget = {0}, retain = {0};
	for (int i = 0; i < 6; i++) {
		ul_rng r = ul_rng_at(7, "rows", (uint64_t)i);
		for (int side = 0; side < 2; side++) {
			ul_buf *b = side ? &retain : &forget;
			ul_buf_str(b, "{\"ids\": [");
			for (int t = 0; t < 8; t++)
				ul_buf_printf(b, "%s%u", t ? ", " : "", 3 + ul_rng_below(&r, 29));
			ul_buf_str(b, "]}\n");
		}
	}
	test_file("forget.jsonl", forget.data);
	test_file("retain.jsonl", retain.data);
	ul_buf_release(&forget);
	ul_buf_release(&retain);
}

static inline ul_model *open_model(const char *path)
{
	ul_err err = {0};
	ul_model *m = ul_model_open_with(path, &(ul_open){.backend = "ref64", .no_tokenizer = true}, &err);
	NEED_OK(m, err);
	return m;
}

/* All parameters of m, one after the other. */
static inline void read_all(const ul_model *m, double *out)
{
	for (int i = 0; i < m->params; i++) {
		ul_param_get(m->param[i], out);
		out += (size_t)m->param[i]->rows * (size_t)m->param[i]->cols;
	}
}

static inline bool client(void *ud, ul_model *copy, int k, ul_err *err)
{
	bench *b = ud;
	char seed[8];
	snprintf(seed, sizeof seed, "%d", b->own_order ? k : 0);
	b->setting[0].value = seed;
	if (b->update[k])
		read_all(copy, b->before);
	if (!ul_mpu_unlearn(&b->job, copy, k, err))
		return false;
	if (b->update[k]) {
		read_all(copy, b->update[k]);
		for (size_t e = 0; e < b->n; e++)
			b->update[k][e] = (float)b->update[k][e] - b->before[e];
	}
	return true;
}

/* One round from the start: θ' - θ to out [n]. */
static inline void run(bench *b, double *out)
{
	ul_err err = {0};
	char forget[4200], retain[4200];
	snprintf(forget, sizeof forget, "%s", test_path("forget.jsonl"));
	snprintf(retain, sizeof retain, "%s", test_path("retain.jsonl"));
	ul_setting s[] = {{"seed", "0"}, {"forget", forget}, {"retain", retain}, {"optim", b->optim}, {"lr", b->lr}, {"epochs", "2"}, {"batch", "3"}, {"schedule", "constant"}, {"clip", "1"}, {"weight-decay", "0"}, {"lora", b->lora}};
	b->job = (ul_mpu_job){.method = "graddiff", .setting = b->setting, .settings = 10 + (b->lora != NULL)};
	memcpy(b->setting, s, sizeof s);
	ul_mpu m = {.theta = open_model(b->path), .how = b->how, .key = b->key, .round = 1};
	b->n = ul_model_count(m.theta);
	b->before = malloc(2 * b->n * sizeof *b->before);
	double *was = b->before + b->n;
	NEED(b->before);
	read_all(m.theta, was);
	NEED_OK(ul_mpu_check(&m, &err), err);
	NEED_OK(ul_mpu_round(&m, client, b, &err), err);
	read_all(m.theta, out);
	for (size_t e = 0; e < b->n; e++)
		out[e] -= was[e];
	free(b->before);
	ul_model_free(m.theta);
	ul_mpu_release(&m);
}

static inline double distance(const double *a, const double *b, size_t n)
{
	double d = 0, s = 0;
	for (size_t e = 0; e < n; e++) {
		d += (a[e] - b[e]) * (a[e] - b[e]);
		s += b[e] * b[e];
	}
	return sqrt(d / s);
}

static inline bench of_family(const char *name, const char *optim)
{
	static char path[FAMILIES + 1][256];
	static int used;
	char *p = path[used++ % (FAMILIES + 1)];
	snprintf(p, sizeof path[0], "tests/golden/families/%s", name);
	bool sgd = !strcmp(optim, "sgd");
	return (bench){.path = p, .optim = optim, .lr = sgd ? "0.05" : "1e-3", .key = {"thirty-two bytes of a secret key"}, .how = {.copies = 1, .rounds = 1, .server_lr = 1, .exact = true}};
}

static inline size_t count_of(const char *path)
{
	ul_model *m = open_model(path);
	size_t n = ul_model_count(m);
	ul_model_free(m);
	return n;
}

/* ---- κ = 0: the round is the noise-free run ---- */

/* Relative difference between a noise-free round of three copies under the transforms, and the plain run. */
static inline double at_zero(const char *name, const char *optim, enum ul_reparam reparam, bool exact, const char *lora)
{
	bench b = of_family(name, optim);
	size_t n = count_of(b.path);
	double *u = malloc(2 * n * sizeof *u);
	NEED(u);
	b.lora = lora;
	run(&b, u);
	b.how = (ul_mpu_how){.copies = 3, .rounds = 1, .server_lr = 1, .reparam = reparam, .exact = exact};
	run(&b, u + n);
	double d = distance(u + n, u, n);
	free(u);
	return d;
}

/* ---- with noise ---- */

typedef struct errors {
	double harmonic, single, plain; /* Σ Δ/α / Σ 1/α; Δ of one copy; the plain mean under unequal α */
} errors;

static inline errors errors_at(bench *b, double kappa, const double *u)
{
	errors x;
	size_t n = count_of(b->path);
	double *out = malloc((size_t)(COPIES + 2) * n * sizeof *out), *plain = out + n;
	NEED(out);
	b->how = (ul_mpu_how){.copies = 4, .rounds = 1, .server_lr = 1, .noise = kappa, .exact = true};
	for (int k = 0; k < 4; k++)
		b->update[k] = out + (size_t)(2 + k) * n;
	run(b, out);
	for (size_t e = 0; e < n; e++) {
		plain[e] = 0;
		for (int k = 0; k < 4; k++)
			plain[e] += b->update[k][e] / 4;
	}
	x = (errors){distance(out, u, n), distance(b->update[0], u, n), distance(plain, u, n)};
	memset(b->update, 0, sizeof b->update);
	free(out);
	return x;
}

/* Copies whose noises have nothing to do with one another, each from a key of its own: the plain mean of their updates. */
static inline double independent(bench *b, double kappa, const double *u, size_t n)
{
	enum { KEYS = 4 };
	const ul_mpu_key key = b->key;
	double *sum = calloc(3 * n, sizeof *sum);
	NEED(sum);
	b->how = (ul_mpu_how){.copies = 2, .rounds = 1, .server_lr = 1, .noise = kappa, .exact = true};
	b->update[0] = sum + n;
	for (int k = 0; k < KEYS; k++) {
		b->key.bytes[0] = (unsigned char)k;
		run(b, sum + 2 * n);
		for (size_t e = 0; e < n; e++)
			sum[e] += b->update[0][e] / KEYS;
	}
	b->update[0] = NULL;
	b->key = key;
	double d = distance(sum, u, n);
	free(sum);
	return d;
}

#endif
