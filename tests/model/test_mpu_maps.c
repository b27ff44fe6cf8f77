/*
 * test_mpu_maps.c: the transforms of MPU keep the function of every architecture, move its weights, and come back exactly
 * (specification 2.9, tests 1 and 2), on the small checkpoints that ship with the tests.
 */
#include "mpu_families.h"

#include "base/json.h"

#include <math.h>
#include <string.h>

static const ul_mpu_key key = {"thirty-two bytes of a secret key"};

static void logits(ul_model *m, double *out) /* [8, vocab] */
{
	static const int ids[8] = {3, 1, 4, 1, 5, 9, 2, 6}, pos[8] = {0, 1, 2, 3, 4, 5, 6, 7}, start[2] = {0, 8};
	ul_tape t;
	ul_tape_init(&t, m->be);
	ul_pass p = {.tape = &t, .ids = ids, .pos = pos, .span = {1, start}};
	ul_val *h = ul_forward(m, &p);
	ul_read(ul_head_logits(h, m->head, m->head_b), out);
	ul_tape_release(&t);
}

/* Every weight through T, or back; returns the relative change of all of them together. */
static double transform(ul_model *m, const ul_mpu_plan *p, bool back)
{
	double diff = 0, norm = 0;
	ul_err err = {0};

	for (int i = 0; i < m->params; i++) {
		ul_param *w = m->param[i];
		size_t n = (size_t)w->rows * (size_t)w->cols;
		float *x = ul_malloc(n * 2 * sizeof *x), *was = x + n;
		NEED(x != NULL);
		NEED_OK(ul_param_own(w, &err), err);
		ul_param_get_f32(w, x);
		memcpy(was, x, n * sizeof *x);
		NEED_OK(ul_mpu_apply(p, w, x, back, &err), err);
		for (size_t j = 0; j < n; j++) {
			diff += ((double)x[j] - was[j]) * ((double)x[j] - was[j]);
			norm += (double)was[j] * was[j];
		}
		ul_param_set_f32(w, x);
		ul_free(x);
	}
	return sqrt(diff / norm);
}

static void family(const char *name, enum ul_reparam mode, bool exact)
{
	char path[256];
	static double before[8 * 512], after[8 * 512];
	ul_err err = {0};
	ul_mpu_plan p;

	snprintf(path, sizeof path, "tests/golden/families/%s", name);
	ul_model *m = ul_model_open_with(path, &(ul_open){.backend = "ref64", .no_tokenizer = true}, &err);
	NEED_OK(m != NULL, err);
	NEED(m->cfg.vocab <= 512);
	size_t n = 8 * (size_t)m->cfg.vocab;
	logits(m, before);
	if (m->cfg.qk_norm && !exact) { /* one weight for all planes' columns: no free rotation keeps the function */
		CHECK_FAILS(ul_mpu_plan_make(&p, m, mode, exact, &key, 1, 0, &err), err, "only exact transforms");
		ul_model_free(m);
		return;
	}
	NEED_OK(ul_mpu_plan_make(&p, m, mode, exact, &key, 1, 0, &err), err);
	double moved = transform(m, &p, false);
	logits(m, after);
	CHECK_MSG(moved > 0.3, "%s: the weights moved by %g only", name, moved);
	CHECK_ARRAY(after, before, n, exact ? 1e-12 : 2e-6); /* rotations are rounded to the weights' floats */
	transform(m, &p, true);
	logits(m, after);
	CHECK_ARRAY(after, before, n, exact ? 1e-15 : 2e-6);
	ul_mpu_plan_release(&p);
	ul_model_free(m);
}

static void test_mpu_maps__quarter_turns_keep_every_family(void)
{
	for (int i = 0; i < FAMILIES; i++) {
		family(families[i], UL_REPARAM_PAPER, true);
		family(families[i], UL_REPARAM_FULL, true);
	}
}

static void test_mpu_maps__rotations_keep_every_family(void)
{
	for (int i = 0; i < FAMILIES; i++) {
		family(families[i], UL_REPARAM_PAPER, false);
		family(families[i], UL_REPARAM_FULL, false);
	}
}

static void test_mpu_maps__another_copy_is_another_transform(void)
{
	ul_err err = {0};
	ul_mpu_plan a, b;
	ul_model *m = ul_model_open_with("tests/golden/families/llama", &(ul_open){.no_tokenizer = true}, &err);
	NEED_OK(m != NULL, err);
	NEED_OK(ul_mpu_plan_make(&a, m, UL_REPARAM_FULL, true, &key, 1, 0, &err), err);
	NEED_OK(ul_mpu_plan_make(&b, m, UL_REPARAM_FULL, true, &key, 1, 1, &err), err);
	int same = 0;
	for (int i = 0; i < a.layer[0].ffn->n; i++)
		same += a.layer[0].ffn->src[0][i] == b.layer[0].ffn->src[0][i];
	CHECK(same < a.layer[0].ffn->n / 2);
	ul_mpu_plan_release(&a);
	ul_mpu_plan_release(&b);
	ul_model_free(m);
}

/* What a family does not bear changes its function: a sign on one coordinate of the residual stream, where its mean is subtracted. */
static void test_mpu_maps__no_sign_is_borne_under_layernorm(void)
{
	static double before[8 * 512], after[8 * 512];
	ul_err err = {0};
	int seen = 0;
	for (int i = 0; i < FAMILIES; i++) {
		ul_mpu_plan p;
		double apart = 0;
		ul_model *m = family_open(families[i], "ref64");
		bool signs = ul_mpu_borne(m).signs;
		logits(m, before);
		NEED_OK(ul_mpu_plan_make(&p, m, UL_REPARAM_FULL, true, &key, 1, 0, &err), err);
		p.residual->c[0][0] = -p.residual->c[0][0];
		transform(m, &p, false);
		logits(m, after);
		for (int j = 0; j < 8 * m->cfg.vocab; j++)
			apart = fmax(apart, fabs(after[j] - before[j]));
		CHECK_MSG(signs == (apart < 1e-12), "%s: one sign more changes the logits by %g", families[i], apart);
		seen += !signs;
		ul_mpu_plan_release(&p);
		ul_model_free(m);
	}
	CHECK(seen > 0 && seen < FAMILIES);
}

/* ---- the table of `mpu families` (docs/mpu.md) ---- */

/* What a map does within blocks of `width`: to whole blocks when `whole`, otherwise inside them. */
typedef struct drawn {
	bool moved, signs, angles, planes; /* planes: nothing leaves its rotary plane */
} drawn;

static void look(drawn *d, const ul_turns *t, int width, bool whole, int rot)
{
	for (int i = 0; i < t->n; i++)
		for (int j = 0; j < 2; j++) {
			int from = t->src[j][i] % width, to = i % width;
			if (t->c[j][i] == 0)
				continue;
			d->moved |= whole ? t->src[j][i] / width != i / width : from != to;
			d->signs |= t->c[j][i] < 0;
			d->angles |= t->c[0][i] != 0 && t->c[1][i] != 0;
			d->planes &= to >= rot || from == to || from == (to < rot / 2 ? to + rot / 2 : to - rot / 2);
		}
}

static const char *permuted(drawn d)
{
	return !d.moved || d.angles ? "something else" : d.signs ? "signed permutation"
	                                                         : "permutation";
}

/* What eight copies draw for m, in the words of the table. */
static void draws(const ul_model *m, char row[512])
{
	ul_err err = {0};
	const ul_config *c = &m->cfg;
	drawn ffn = {0}, heads = {0}, values = {0}, residual = {0}, queries = {.planes = true}, any = {0};
	for (int k = 0; k < 8; k++) {
		ul_mpu_plan full, paper, free_ones = {0};
		NEED_OK(ul_mpu_plan_make(&full, m, UL_REPARAM_FULL, true, &key, 1, k, &err) && ul_mpu_plan_make(&paper, m, UL_REPARAM_PAPER, true, &key, 1, k, &err), err);
		bool turns = ul_mpu_plan_make(&free_ones, m, UL_REPARAM_PAPER, false, &key, 1, k, NULL);
		look(&residual, full.residual, c->hidden, false, 0);
		for (int l = 0; l < c->layers; l++) {
			look(&ffn, full.layer[l].ffn, c->ffn, false, 0);
			look(&heads, full.layer[l].q, c->head_dim, true, 0);
			look(&values, full.layer[l].v, c->head_dim, false, 0);
			look(&queries, paper.layer[l].k, c->head_dim, false, c->rot); /* heads stay where they are */
			if (turns)
				look(&any, free_ones.layer[l].k, c->head_dim, false, c->rot);
		}
		ul_mpu_plan_release(&full);
		ul_mpu_plan_release(&paper);
		ul_mpu_plan_release(&free_ones);
	}
	const char *turns = !c->rot || !queries.planes ? permuted(queries) : queries.angles || !queries.moved ? "something else"
	                                                                                                      : "quarter turns";
	snprintf(row, 512, "ffn %s, heads %s, values %s, queries %s%s, residual %s, adamw %s", permuted(ffn), heads.moved ? "permutation" : "something else", permuted(values), turns,
	        any.angles ? ", free angles" : "", permuted(residual), any.angles ? "all but free angles" : "all");
}

static void test_mpu_maps__the_table_of_families_says_what_is_drawn(void)
{
	ul_err err = {0};
	json_t *table = ul_mpu_all_families(&err), *o;
	size_t i;
	int found = 0;
	NEED_OK(table != NULL, err);
	json_array_foreach(table, i, o)
	{
		char says[512], draw[512];
		const char *type = ul_json_str(o, "model_type");
		snprintf(says, sizeof says, "ffn %s, heads %s, values %s, queries %s, residual %s, adamw %s", ul_json_str(o, "ffn"), ul_json_str(o, "heads"), ul_json_str(o, "values"),
		        ul_json_str(o, "queries"), ul_json_str(o, "residual"), ul_json_str(o, "adamw"));
		for (int f = 0; f < FAMILIES; f++) {
			ul_model *m = family_open(families[f], NULL);
			if (!strcmp(ul_json_str(m->config, "model_type"), type)) {
				draws(m, draw);
				CHECK_MSG(!strcmp(says, draw), "%s: the table says \"%s\", drawn are \"%s\"", families[f], says, draw);
				found++;
			}
			ul_model_free(m);
		}
	}
	CHECK_EQ_INT(found, FAMILIES); /* gemma3, whose language model opens as gemma3_text, is the one kind without a checkpoint here */
	CHECK_EQ_INT((int)json_array_size(table), 8);
	json_decref(table);
}
