/*
 * plot_people.c: forgetting against usefulness, and every person before and after. People are places on an axis, not names: the page
 * may travel further than the data it speaks of.
 */
#include "report/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- forgetting against usefulness ---- */

enum { SIDE = 310,
	PAD = 46,
	TOP = 24 };

static const char *const leaks[] = {"forget_entity_accuracy", "forget_prob", "extraction_strength", "e_hit", "err", "exact_memorization", "forget_rouge", NULL};
static const char *const keeps[] = {"retain_entity_accuracy", "model_utility", "retain_prob", "retain_rouge", NULL};

/* The first named line that has values before and after. */
static const ul_entry *first(const ul_story *s, const char *const *names)
{
	for (; *names; names++) {
		const ul_entry *l = ul_story_line(s, *names);
		if (l && l->tested && !isnan(l->before))
			return l;
	}
	return NULL;
}

static double unit(double v)
{
	return v < 0 ? 0 : v > 1 ? 1
	                         : v;
}

static double at_x(double v)
{
	return PAD + unit(v) * (SIDE - PAD - TOP);
}

static double at_y(double v)
{
	return SIDE - PAD - unit(v) * (SIDE - PAD - TOP);
}

static void tradeoff_frame(ul_buf *b, const ul_entry *keep, const ul_entry *leak)
{
	ul_buf_printf(b, "<figure><svg viewBox=\"0 0 %d %d\" style=\"max-width:460px\" role=img aria-label=\"forgetting against usefulness\">", SIDE + 120, SIDE);
	for (int i = 0; i <= 4; i++)
		ul_buf_printf(b, "<path class=grid d=\"M%.1f %.1fH%.1fM%.1f %.1fV%.1f\"/>", at_x(0), at_y(i / 4.0), at_x(1), at_x(i / 4.0), at_y(0), at_y(1));
	ul_buf_printf(b, "<text x=%.1f y=%.1f text-anchor=end>100 %%</text><text x=%.1f y=%.1f text-anchor=end>0</text>", at_x(0) - 6, at_y(1) + 4, at_x(0) - 6, at_y(0) + 4);
	ul_buf_printf(b, "<text x=%.1f y=%.1f text-anchor=end>100 %%</text><text x=%.1f y=%d>", at_x(1), at_y(0) + 18, at_x(0), SIDE - 6);
	ul_html(b, keep->label);
	ul_buf_printf(b, " →</text><text x=%.1f y=12>↑ ", at_x(0));
	ul_html(b, leak->label);
	ul_buf_str(b, "</text>");
}

void ul_plot_tradeoff(ul_buf *b, const ul_story *s)
{
	const ul_entry *keep = first(s, keeps), *leak = first(s, leaks);
	if (!keep || !leak || keep->unit != UL_U_SHARE || leak->unit != UL_U_SHARE)
		return;
	tradeoff_frame(b, keep, leak);
	double x0 = at_x(keep->before), y0 = at_y(leak->before), x1 = at_x(keep->value), y1 = at_y(leak->value);
	double reference = isnan(keep->reference) ? keep->before : keep->reference;
	ul_buf_printf(b, "<path class=zero stroke-dasharray=\"3 4\" d=\"M%.1f %.1fL%.1f %.1f\"/>", x0, y0, x1, y1);
	if (!isnan(leak->reference)) {
		double x = at_x(reference), y = at_y(leak->reference);
		ul_buf_printf(b, "<path class=tick d=\"M%.1f %.1fl10 10m0 -10l-10 10\"/><text class=t3 x=%.1f y=%.1f>reference</text>", x - 5, y - 5, x + 10, y + (fabs(y - y1) < 14 ? 18 : 4));
	}
	ul_buf_printf(b, "<circle class=ring cx=%.1f cy=%.1f r=5 /><text x=%.1f y=%.1f>before</text>", x0, y0, x0 + 10, y0 + 4);
	ul_buf_printf(b, "<circle class=\"dot %s\" cx=%.1f cy=%.1f r=6 /><text class=t1 text-anchor=end x=%.1f y=%.1f>now</text>", ul_verdict_class(s->verdict), x1, y1, x1 - 12, y1 + 4);
	ul_buf_str(b, "</svg><figcaption>Good is low and to the right: little known of what was to be forgotten, much of the rest.</figcaption></figure>\n");
}

/* ---- people ---- */

enum { PEOPLE = 400,
	WIDTH = 640,
	HEIGHT = 220,
	LEFT = 44 };

typedef struct person {
	const char *subject;
	double sum[3]; /* before, after, oracle */
	int n[3];
} person;
enum { BEFORE,
	AFTER,
	ORACLE };

static double mean(const person *p, int who)
{
	return p->n[who] ? p->sum[who] / p->n[who] : NAN;
}

static int by_subject(const void *x, const void *y)
{
	return strcmp(((const person *)x)->subject, ((const person *)y)->subject);
}

static int by_after(const void *x, const void *y)
{
	double a = mean(x, AFTER), b = mean(y, AFTER);
	if (a != b)
		return a < b ? 1 : -1;
	return by_subject(x, y);
}

/* Values of one audit on the forget rows, gathered by subject. Returns the number of people. */
static int gather(const ul_story *s, const char *audit, person *out, size_t most)
{
	static const char *const name[] = {"before", "after", "oracle"};
	size_t i, n = 0, k = 0;
	json_t *v;
	json_array_foreach(s->items, i, v)
	{
		const char *of = ul_json_str(v, "audit"), *subject = ul_json_str(v, "subject"), *who = ul_json_str(v, "who"), *split = ul_json_str(v, "split");
		double value = ul_json_get(v, "value");
		if (!of || !subject || !who || isnan(value) || strcmp(of, audit) != 0 || (split && strcmp(split, "forget") != 0) || n == most)
			continue;
		person one = {.subject = subject};
		for (int w = 0; w < 3; w++)
			if (!strcmp(who, name[w]))
				one.sum[w] = value, one.n[w] = 1;
		out[n++] = one;
	}
	qsort(out, n, sizeof *out, by_subject);
	for (i = 0; i < n; i++) {
		if (k == 0 || strcmp(out[k - 1].subject, out[i].subject) != 0) {
			out[k++] = out[i];
			continue;
		}
		for (int w = 0; w < 3; w++)
			out[k - 1].sum[w] += out[i].sum[w], out[k - 1].n[w] += out[i].n[w];
	}
	for (i = 0, n = k, k = 0; i < n; i++)
		if (out[i].n[BEFORE] && out[i].n[AFTER])
			out[k++] = out[i];
	qsort(out, k, sizeof *out, by_after);
	return (int)k;
}

static double level(double v)
{
	return 10 + (1 - unit(v)) * (HEIGHT - 40);
}

static void draw_people(ul_buf *b, const person *p, int n, const char *label)
{
	double each = (double)(WIDTH - LEFT - 10) / n, r = each < 9 ? each * 0.36 : 3.6;
	ul_buf_printf(b, "<figure><svg class=wide viewBox=\"0 0 %d %d\" role=img aria-label=\"each person before and after\">", WIDTH, HEIGHT);
	for (int i = 0; i <= 4; i += 2)
		ul_buf_printf(b, "<path class=grid d=\"M%d %.1fH%d\"/><text x=%d y=%.1f text-anchor=end>%d %%</text>", LEFT, level(i / 4.0), WIDTH, LEFT - 8, level(i / 4.0) + 4, 25 * i);
	for (int i = 0; i < n; i++) {
		double x = LEFT + each * (i + 0.5), before = level(mean(&p[i], BEFORE)), after = level(mean(&p[i], AFTER));
		ul_buf_printf(b, "<path class=drop d=\"M%.1f %.1fV%.1f\"/>", x, before, after);
		ul_buf_printf(b, "<circle class=ring cx=%.1f cy=%.1f r=%.1f />", x, before, r);
		if (p[i].n[ORACLE])
			ul_buf_printf(b, "<path class=tick d=\"M%.1f %.1fh%.1f\"/>", x - r * 1.3, level(mean(&p[i], ORACLE)), 2.6 * r);
		ul_buf_printf(b, "<circle class=dot style=\"--c:var(--ink)\" cx=%.1f cy=%.1f r=%.1f />", x, after, r);
	}
	ul_buf_printf(b, "<text x=%d y=%d>%d people, the best remembered first</text></svg><figcaption>", LEFT, HEIGHT - 6, n);
	ul_html(b, label);
	ul_buf_str(b, ", for each person: ring before, dot now, blue bar the reference.</figcaption></figure>\n");
}

void ul_plot_people(ul_buf *b, const ul_story *s)
{
	size_t rows = json_array_size(s->items);
	person *p = rows ? ul_calloc(rows, sizeof *p) : NULL;
	for (int i = 0; p && leaks[i]; i++) {
		int n = gather(s, leaks[i], p, rows);
		const ul_wording *w = ul_wording_of(leaks[i]);
		if (n < 2)
			continue;
		draw_people(b, p, n > PEOPLE ? PEOPLE : n, w ? w->label : leaks[i]);
		break;
	}
	ul_free(p);
}
