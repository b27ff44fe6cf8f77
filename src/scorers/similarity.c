/*
 * similarity.c: how near a text comes to a description, as the model itself sees both.
 *
 * Hidden states of a language model all point much the same way; what they have in common is measured on texts that the model says
 * unasked, and taken away from both sides of the cosine.
 */
#include "scorers/scorer.h"

#include "data/data.h"
#include "data/vectors.h"

#include <math.h>
#include <string.h>

enum { UNASKED = 16,
	UNASKED_TOKENS = 32 };

struct similarity {
	double *common, *wanted, *work; /* [hidden] */
};

static void mean(const double *x, int n, int width, double *out)
{
	memset(out, 0, (size_t)width * sizeof *out);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < width; j++)
			out[j] += x[(size_t)i * (size_t)width + (size_t)j] / n;
}

/* What texts have in common that were not asked for anything. */
static bool measure(ul_scoring *s, struct similarity *t, ul_err *err)
{
	ul_arena a = {0};
	ul_ids start = {0};
	ul_gen *g = NULL;
	ul_gen_config c = {.max_new = UNASKED_TOKENS, .temperature = 1, .top_p = 1, .beams = 1, .samples = UNASKED, .seed = s->seed};
	int width = s->model->cfg.hidden;
	double *x = ul_alloc(&a, (size_t)UNASKED * (size_t)width * sizeof *x);
	const char *text[UNASKED];
	bool ok = x || ul_nomem(err, (size_t)width * UNASKED * sizeof *x);
	ok = ok && ul_text_encode(s->model, "", 0, &start, err) && ul_generate(s->model, &start, 1, &c, &a, &g, err);
	for (int i = 0; ok && i < UNASKED; i++)
		text[i] = g[i].text;
	ok = ok && ul_text_vectors(s->model, text, UNASKED, x, err);
	if (ok)
		mean(x, UNASKED, width, t->common);
	ul_ids_release(&start);
	ul_arena_release(&a);
	return ok;
}

static bool open(ul_scoring *s, ul_err *err)
{
	size_t width = (size_t)s->model->cfg.hidden;
	struct similarity *t = s->state = ul_alloc(&s->arena, sizeof *t);
	if (!s->model->tok)
		return ul_fail(err, "the scorer \"similarity\" needs a tokenizer, which the model has not");
	if (!t || !(t->common = ul_alloc(&s->arena, 3 * width * sizeof(double))))
		return ul_nomem(err, 3 * width * sizeof(double));
	t->wanted = t->common + width;
	t->work = t->wanted + width;
	return ul_text_vectors(s->model, (const char *const *)&s->arg, 1, t->wanted, err) && measure(s, t, err);
}

static double cosine(const struct similarity *t, const double *x, int width)
{
	double xy = 0, xx = 0, yy = 0;
	for (int j = 0; j < width; j++) {
		double a = x[j] - t->common[j], b = t->wanted[j] - t->common[j];
		xy += a * b;
		xx += a * a;
		yy += b * b;
	}
	return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

static bool score(ul_scoring *s, const char *const *text, int n, double *out, ul_err *err)
{
	struct similarity *t = s->state;
	for (int i = 0; i < n; i++) {
		if (!ul_text_vectors(s->model, text + i, 1, t->work, err))
			return false;
		double c = *text[i] ? cosine(t, t->work, s->model->cfg.hidden) : 0;
		out[i] = c < 0 ? 0 : c > 1 ? 1
		                           : c;
	}
	return true;
}

const ul_scorer ul_scorer_similarity = {
        .name = "similarity",
        .title = "cosine of a text and a description, as the model sees them",
        .notes = "Means of the last hidden states, less what texts of the model have in common; below 0 counts as 0.",
        .arg = "DESCRIPTION",
        .open = open,
        .score = score,
};
