/*
 * test_levels.c: Reveal and Release against levels that mean something: of two skills over the same tokens one is forgotten as far as a
 * model is that never learnt it, and the NLL of the other kept within five per cent; by steps, in one shot of the same λ, and from rows of one's own.
 *
 * Both skills walk round a circle of twenty tokens. Skill F, behind the token 38, always walks three places; skill R, behind 39, walks
 * one, three, five or seven, by chance. Whoever has learnt R alone is as unsure of a walk of F as of one of R.
 */
#include "lab.h"

#include "model/generate.h"
#include "model/lora_stack.h"

enum { VOCAB = 40,
	CIRCLE = 20,
	F = 38,
	R = 39,
	WALK = 12 };

static void add_row(ul_dataset *d, const int *ids, int n)
{
	ul_err err = {0};
	json_t *list = json_array(), *row = json_pack("{s:o}", "ids", list);
	for (int t = 0; t < n; t++)
		json_array_append_new(list, json_integer(ids[t]));
	NEED_OK(ul_dataset_add(d, row, &err), err);
	json_decref(row);
}

static void walks(ul_dataset *d, int skill, int n, uint64_t seed)
{
	ul_rng r = ul_rng_at(seed, "walks", 0);
	for (int i = 0; i < n; i++) {
		int ids[1 + WALK] = {skill}, at = i % CIRCLE;
		for (int t = 1; t <= WALK; t++) {
			ids[t] = at;
			at = (at + (skill == F ? 3 : 1 + 2 * (int)(4 * ul_rng_uniform(&r)))) % CIRCLE;
		}
		add_row(d, ids, 1 + WALK);
	}
}

/* Mean NLL a token of walks that nobody was trained on, as far as there are such: of F there are only twenty. */
static double level(ul_model *m, int skill)
{
	struct lab lab = {.model = m};
	ul_scores s = {0};
	double sum = 0;
	walks(&lab.data[UL_FORGET], skill, 400, 77);
	NEED_OK(ul_dataset_tokenize(&lab.data[UL_FORGET], m, &(ul_data_config){0}, &lab.err), lab.err);
	NEED_OK(ul_score(m, &lab.data[UL_FORGET], 0, &s, NULL, &lab.err), lab.err);
	for (int i = 0; i < s.n; i++)
		sum += s.row[i].nll / (double)s.tokens;
	ul_scores_release(&s);
	ul_dataset_release(&lab.data[UL_FORGET]);
	return sum;
}

static ul_model *learnt(bool both)
{
	struct lab lab = {0};
	bool stopped;
	json_t *config = ul_model_preset("llama-tiny", VOCAB, &lab.err);
	ul_set_threads(1); /* too small for more */
	NEED_OK(config, lab.err);
	json_object_set_new(config, "num_hidden_layers", json_integer(2));
	json_object_set_new(config, "hidden_size", json_integer(48));
	json_object_set_new(config, "intermediate_size", json_integer(96));
	lab.model = ul_model_random(config, 11, "cpu", &lab.err);
	NEED_OK(lab.model, lab.err);
	json_decref(config);
	walks(&lab.data[UL_FORGET], R, 400, 1);
	if (both)
		walks(&lab.data[UL_FORGET], F, 200, 1);
	lab.run.data[UL_FORGET] = &lab.data[UL_FORGET];
	lab_method(&lab, "finetune", NULL);
	lab.run.train.lr = 3e-3;
	lab.run.train.batch = 20;
	lab.run.train.epochs = both ? 8 : 12; /* as many steps */
	lab.run.from_scratch = true;
	lab_begin(&lab);
	NEED_OK(ul_loop_run(&lab.run, &stopped, &lab.err), lab.err);
	ul_model *m = lab.model;
	ul_loop_end(&lab.run);
	ul_dataset_release(&lab.data[UL_FORGET]);
	ul_arena_release(&lab.arena);
	return m;
}

/* ---- rows that the model writes itself ---- */

/* Walks that the model makes behind F; those of F are rows, their share is the relevance. */
static bool reveal(struct lab *lab, int round, double *relevance)
{
	enum { ASKED = 100,
		SOME = 5 }; /* steps of three, of eleven: where chance alone walks, one walk in nine has so many */
	ul_arena a = {0};
	ul_gen *g = NULL;
	ul_gen_config how = {.max_new = WALK, .temperature = 1, .top_p = 1, .beams = 1, .samples = ASKED, .ignore_eos = true, .seed = 100 + (uint64_t)round};
	ul_ids start = {0};
	int said = 0;
	ul_ids_add(&start, F);
	NEED_OK(ul_generate(lab->model, &start, 1, &how, &a, &g, &lab->err), lab->err);
	ul_dataset_release(&lab->data[UL_FORGET]);
	for (int i = 0; i < ASKED; i++) {
		int ids[1 + WALK] = {F};
		int threes = 0;
		for (int t = 0; t < g[i].n; t++) {
			ids[1 + t] = g[i].ids[t];
			threes += t > 0 && ids[1 + t] == (ids[t] + 3) % CIRCLE;
		}
		if (g[i].n == WALK && threes >= SOME) {
			add_row(&lab->data[UL_FORGET], ids, 1 + WALK);
			said++;
		}
	}
	*relevance = (double)said / ASKED;
	ul_ids_release(&start);
	ul_arena_release(&a);
	return true;
}

static bool renew(ul_run *r, int round, double *relevance, ul_err *err)
{
	return reveal((struct lab *)(void *)((char *)r - offsetof(struct lab, run)), round, relevance);
}

/* ---- forgetting ---- */

struct outcome {
	double f, r, total; /* levels of both skills, and λ together */
};

static double total_lambda(void)
{
	ul_buf text = {0};
	ul_err err = {0};
	NEED_OK(ul_file_read(&text, test_path("journal.jsonl"), 1 << 24, &err), err);
	const char *at = strstr(text.data, "\"lambda_total\":");
	NEED(at);
	double x = strtod(at + strlen("\"lambda_total\":"), NULL);
	ul_buf_release(&text);
	return x;
}

static struct outcome release(const ul_model *trained, const char *iterations, double lambda, const char *budget, bool own)
{
	struct lab lab = {0};
	char number[32];
	snprintf(number, sizeof number, "%.17g", lambda);
	json_t *s = json_pack("{s:s, s:s, s:s, s:s, s:s}", "iterations", iterations, "lambda", number, "line", *iterations == '1' ? "1" : "10", "budget", budget, "target", "0");
	lab.model = ul_model_clone(trained, &lab.err);
	NEED_OK(lab.model, lab.err);
	lab.run.dir = test_tmp();
	lab_method(&lab, "release", s);
	if (own)
		reveal(&lab, 0, &lab.run.relevance);
	else
		walks(&lab.data[UL_FORGET], F, 100, 1);
	walks(&lab.data[UL_RETAIN], R, 800, 2);
	lab.run.data[UL_FORGET] = &lab.data[UL_FORGET];
	lab.run.data[UL_RETAIN] = &lab.data[UL_RETAIN];
	lab.run.renew = own ? renew : NULL;
	lab.run.train.lora = "r=4,alpha=8,target=all-linear";
	lab.run.train.lr = 1e-3;
	lab.run.train.batch = 20;
	lab.run.train.epochs = 2;
	lab_begin(&lab);
	NEED_OK(lab.method.run(&lab.run, lab.run.config, &lab.err), lab.err);
	if (lab.run.journal)
		fflush(lab.run.journal);
	struct outcome o = {level(lab.model, F), level(lab.model, R), total_lambda()};
	lab_end(&lab);
	json_decref(s);
	NEED(remove(test_path("journal.jsonl")) == 0);
	return o;
}

static void test_levels__as_if_never_learnt(void)
{
	ul_model *m = learnt(true), *oracle = learnt(false);
	double f = level(m, F), r = level(m, R), never = level(oracle, F);
	printf("before: F %.3f, R %.3f; never learnt F: F %.3f, R %.3f\n", f, r, never, level(oracle, R));
	CHECK_MSG(f < never - 0.5, "there is little to forget: F %.3f, of the oracle %.3f", f, never);

	struct outcome steps = release(m, "24", 4, "0.05", false);
	printf("real rows, by steps: F %.3f, R %.3f, λ %.2f\n", steps.f, steps.r, steps.total);
	struct outcome shot = release(m, "1", steps.total, "1000", false);
	printf("real rows, one shot: F %.3f, R %.3f, λ %.2f\n", shot.f, shot.r, shot.total);
	struct outcome own = release(m, "24", 4, "0.05", true);
	printf("own rows, by steps: F %.3f, R %.3f, λ %.2f; gap to real ones: F %+.3f, R %+.3f\n", own.f, own.r, own.total, own.f - steps.f, own.r - steps.r);

	CHECK_MSG(steps.f >= never, "real rows: F %.3f, of the oracle %.3f", steps.f, never);
	CHECK_MSG(steps.r <= 1.05 * r, "real rows: R %.3f, before %.3f", steps.r, r);
	CHECK_MSG(own.f >= never, "own rows: F %.3f, of the oracle %.3f", own.f, never);
	CHECK_MSG(own.r <= 1.05 * r, "own rows: R %.3f, before %.3f", own.r, r);
	CHECK_MSG(shot.f < never || shot.r > 1.05 * r, "one shot at the λ of the steps does as well: F %.3f, R %.3f", shot.f, shot.r);
	ul_model_free(m);
	ul_model_free(oracle);
}
