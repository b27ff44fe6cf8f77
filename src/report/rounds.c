/*
 * rounds.c: the iterations of a run that reveals and releases: how much of what is looked for the model still says after each, how
 * much was subtracted for that, and what it cost.
 */
#include "report/parts.h"

#include <math.h>

enum { WIDTH = 640,
	HEIGHT = 200,
	LEFT = 44,
	RIGHT = 24,
	TOP = 14,
	BOTTOM = 30,
	FEW = 10, /* numbers on the axis */
	MOST = 200 };

struct rounds {
	const json_t *at[MOST]; /* lines of the journal that close an iteration; each says what was there when it began */
	int n, kept; /* kept: iterations in the result, -1 = not said */
	double last, begun; /* relevance after the last one; mean NLL of the retain rows before the first */
};

static bool gather(const ul_story *s, struct rounds *r)
{
	size_t i;
	json_t *v;
	*r = (struct rounds){.kept = -1, .begun = NAN, .last = NAN};
	json_array_foreach(s->journal, i, v)
	{
		if (json_object_get(v, "iteration") && r->n < MOST)
			r->at[r->n++] = v;
		if (json_is_integer(json_object_get(v, "kept_iterations"))) {
			r->kept = (int)json_integer_value(json_object_get(v, "kept_iterations"));
			r->begun = ul_json_get(v, "begun_nll");
			r->last = ul_json_get(v, "relevance");
		}
	}
	return r->n > 0;
}

/* Relevance after k iterations. */
static double relevance(const struct rounds *r, int k)
{
	return k < r->n ? ul_json_get(r->at[k], "relevance") : r->last;
}

static double x_of(const struct rounds *r, double k)
{
	return LEFT + k / r->n * (WIDTH - LEFT - RIGHT);
}

static double y_of(double v, double top)
{
	return TOP + (1 - v / top) * (HEIGHT - TOP - BOTTOM);
}

static void curve(ul_buf *b, const struct rounds *r)
{
	double top = 0;
	bool begun = false;
	for (int k = 0; k <= r->n; k++)
		top = fmax(top, isnan(relevance(r, k)) ? 0 : relevance(r, k));
	if (!(top > 0) || top > 1e6) /* no relevance */
		return;
	ul_buf_printf(b, "<figure><svg class=wide viewBox=\"0 0 %d %d\" role=img aria-label=\"relevance after each iteration\">", WIDTH, HEIGHT);
	for (int i = 0; i <= 2; i++)
		ul_buf_printf(b, "<path class=grid d=\"M%d %.1fH%d\"/><text x=%d y=%.1f text-anchor=end>%.2g</text>", LEFT, y_of(top * i / 2, top), WIDTH - RIGHT, LEFT - 8, y_of(top * i / 2, top) + 4, top * i / 2);
	ul_buf_str(b, "<path class=path1 d=\"");
	for (int k = 0; k <= r->n; k++)
		if (!isnan(relevance(r, k))) {
			ul_buf_printf(b, "%c%.1f %.1f", begun ? 'L' : 'M', x_of(r, k), y_of(relevance(r, k), top));
			begun = true;
		}
	ul_buf_str(b, "\"/>");
	for (int k = 0; k <= r->n; k++) {
		if (!isnan(relevance(r, k)))
			ul_buf_printf(b, "<circle class=dot style=\"--c:var(--ink)\" cx=%.1f cy=%.1f r=4 />", x_of(r, k), y_of(relevance(r, k), top));
		if (r->n <= FEW || k % ((r->n + FEW - 1) / FEW) == 0)
			ul_buf_printf(b, k ? "<text x=%.1f y=%d text-anchor=middle>%d</text>" : "<text x=%.1f y=%d>start</text>", k ? x_of(r, k) : LEFT, HEIGHT - 8, k);
	}
	ul_buf_str(b, "</svg><figcaption>How much of what is looked for the model says when it is asked anew, after each iteration.</figcaption></figure>\n");
}

static void cell(ul_buf *b, double x, const char *unit)
{
	if (isnan(x))
		ul_buf_str(b, "<td>–</td>");
	else
		ul_buf_printf(b, *unit ? "<td>%+.1f%s</td>" : "<td>%.3g%s</td>", x, unit);
}

static void table(ul_buf *b, const struct rounds *r)
{
	ul_buf_str(b, "<div class=\"people even\"><table><tr><th>iteration</th><th>relevance before</th><th>after</th><th>λ subtracted</th><th>perplexity of what stays</th><th>rows</th></tr>\n");
	for (int k = 0; k < r->n; k++) {
		double utility = ul_json_get(r->at[k], "utility_nll");
		ul_buf_printf(b, "<tr><td>%d</td>", k + 1);
		cell(b, relevance(r, k), "");
		cell(b, relevance(r, k + 1), "");
		cell(b, ul_json_get(r->at[k], "lambda"), "");
		cell(b, 100 * expm1(utility - r->begun), "\u202f%");
		cell(b, ul_json_get(r->at[k], "rows"), "");
		ul_buf_str(b, "</tr>\n");
	}
	ul_buf_str(b, "</table></div>\n");
}

void ul_show_rounds(ul_buf *b, const ul_story *s)
{
	struct rounds r;
	if (!gather(s, &r))
		return;
	ul_buf_str(b, "<h3>Iteration by iteration</h3>\n<p class=note>In each the model is asked, an adapter learns what it told, and λ times that adapter is subtracted, as far as what stays bears it.");
	if (r.kept >= 0)
		ul_buf_printf(b, " The result holds %d of them: those up to where least was told.", r.kept);
	ul_buf_str(b, "</p>\n");
	curve(b, &r);
	table(b, &r);
}
