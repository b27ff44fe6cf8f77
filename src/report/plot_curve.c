/*
 * plot_curve.c: the loss and its terms over the steps of a run, each named at its end.
 */
#include "report/parts.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 640,
	HEIGHT = 230,
	LEFT = 44,
	RIGHT = 90,
	TOP = 12,
	BOTTOM = 30,
	SERIES = 3,
	APART = 18,
	POINTS = 320 };

typedef struct frame {
	double x0, x1, y0, y1; /* of the data */
} frame;

static double px(const frame *f, double x)
{
	return LEFT + (x - f->x0) / (f->x1 - f->x0) * (WIDTH - LEFT - RIGHT);
}

static double py(const frame *f, double y)
{
	return TOP + (f->y1 - y) / (f->y1 - f->y0) * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, about a fourth of the span. */
static double nice_step(double span)
{
	double p = pow(10, floor(log10(span / 4))), m = span / 4 / p;
	return p * (m < 1.5 ? 1 : m < 3.5 ? 2
	                   : m < 7.5      ? 5
	                                  : 10);
}

static bool is_term(const char *key)
{
	static const char *const known[] = {"step", "loss", "grad_norm", "lr", "tokens", "seconds", "eval_nll", "eval_tokens"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(key, known[i]))
			return false;
	return true;
}

static int choose(const json_t *journal, const char *name[SERIES])
{
	int n = 0;
	const char *key;
	json_t *v;
	name[n++] = "loss";
	json_object_foreach(json_array_get(journal, 0), key, v) if (n < SERIES && json_is_number(v) && is_term(key)) name[n++] = key;
	return n;
}

static bool extent(const json_t *journal, const char *const *name, int names, frame *f)
{
	size_t i;
	json_t *v;
	*f = (frame){INFINITY, -INFINITY, INFINITY, -INFINITY};
	json_array_foreach(journal, i, v)
	{
		double step = ul_json_get(v, "step");
		for (int k = 0; k < names; k++) {
			double y = ul_json_get(v, name[k]);
			if (isnan(step) || !isfinite(y))
				continue;
			f->x0 = fmin(f->x0, step), f->x1 = fmax(f->x1, step);
			f->y0 = fmin(f->y0, y), f->y1 = fmax(f->y1, y);
		}
	}
	if (!(f->x1 > f->x0) || !isfinite(f->y0))
		return false;
	double pad = f->y1 > f->y0 ? 0.05 * (f->y1 - f->y0) : 0.5;
	f->y0 = f->y0 >= 0 && f->y0 < 4 * pad ? 0 : f->y0 - pad;
	f->y1 += pad;
	return true;
}

static void draw_grid(ul_buf *b, const frame *f)
{
	double step = nice_step(f->y1 - f->y0);
	for (int i = (int)ceil(f->y0 / step); i * step <= f->y1; i++)
		ul_buf_printf(b, "<path class=grid d=\"M%d %.1fH%d\"/><text x=%d y=%.1f text-anchor=end>%.3g</text>", LEFT, py(f, i * step), WIDTH - RIGHT, LEFT - 8, py(f, i * step) + 4, i * step);
	ul_buf_printf(b, "<text x=%d y=%d>%.0f</text><text x=%d y=%d text-anchor=end>step %.0f</text>", LEFT, HEIGHT - 8, f->x0, WIDTH - RIGHT, HEIGHT - 8, f->x1);
}

/* At most POINTS points: of each stretch its mean. Returns the height at which the curve ends. */
static double draw_series(ul_buf *b, const json_t *journal, const frame *f, const char *name, int k)
{
	size_t n = json_array_size(journal), each = (n + POINTS - 1) / POINTS;
	double end = NAN;
	bool begun = false;
	ul_buf_printf(b, "<path class=path%d d=\"", k + 1);
	for (size_t i = 0; i < n; i += each) {
		double x = 0, y = 0;
		int many = 0;
		for (size_t j = i; j < i + each && j < n; j++) {
			const json_t *v = json_array_get(journal, j);
			if (!isfinite(ul_json_get(v, name)) || isnan(ul_json_get(v, "step")))
				continue;
			x += ul_json_get(v, "step"), y += ul_json_get(v, name), many++;
		}
		if (!many)
			continue;
		end = py(f, y / many);
		ul_buf_printf(b, "%c%.1f %.1f", begun ? 'L' : 'M', px(f, x / many), end);
		begun = true;
	}
	ul_buf_str(b, "\"/>");
	return end;
}

void ul_plot_training(ul_buf *b, const ul_story *s)
{
	const char *name[SERIES];
	frame f;
	int n = choose(s->journal, name);
	if (!extent(s->journal, name, n, &f))
		return;
	ul_buf_printf(b, "<figure><svg class=wide viewBox=\"0 0 %d %d\" role=img aria-label=\"training curve\">", WIDTH, HEIGHT);
	draw_grid(b, &f);
	double taken[SERIES];
	for (int k = n - 1; k >= 0; k--)
		taken[k] = draw_series(b, s->journal, &f, name[k], k);
	for (int k = 0; k < n; k++) {
		for (int j = 0; j < k; j++) /* names keep a line's distance */
			if (fabs(taken[k] - taken[j]) < APART)
				taken[k] = taken[j] + (taken[k] >= taken[j] ? APART : -APART);
		if (isfinite(taken[k])) {
			ul_buf_printf(b, "<text class=t%d x=%d y=%.1f>", k + 1, WIDTH - RIGHT + 8, taken[k] + 4);
			ul_html_n(b, name[k], 14);
			ul_buf_str(b, "</text>");
		}
	}
	ul_buf_str(b, "</svg><figcaption>What the training minimised, step by step.</figcaption></figure>\n");
}
