/*
 * plot_interval.c: one line's difference from its reference as a dot with its 95 % interval, in units of the margin, so that all
 * lines share one scale: the band is where a pass lies, to the right of it is trouble. What lies far outside is an arrow at the edge.
 */
#include "report/parts.h"

#include <math.h>

enum { WIDTH = 300,
	HEIGHT = 26,
	MIDDLE = 150,
	MARGIN = 34,
	REACH = 4 };

/* Margins to the right of the reference; for usefulness larger is better, so it is turned round. */
static double place(const ul_entry *l, double diff)
{
	double m = diff / l->margin;
	return l->group == UL_G_USEFUL ? -m : m;
}

static double x_of(double m)
{
	double most = REACH;
	return MIDDLE + MARGIN * (m < -most ? -most : m > most ? most
	                                                       : m);
}

static void arrow(ul_buf *b, double m)
{
	double x = x_of(m), s = m > 0 ? 1 : -1;
	ul_buf_printf(b, "<path class=arrow d=\"M%.1f 8l%.1f 5l%.1f 5\"/>", x + 6 * s, 5 * s, -5 * s);
}

void ul_plot_interval(ul_buf *b, const ul_entry *l)
{
	if (!l->judged)
		return;
	double m = place(l, l->diff), lo = place(l, l->lo), hi = place(l, l->hi);
	ul_buf_printf(b, "<svg viewBox=\"0 0 %d %d\" class=%s role=img aria-label=\"difference %.3g, margin %.3g\">", WIDTH, HEIGHT, ul_verdict_class(l->verdict), l->diff,
	        l->margin);
	ul_buf_printf(b, "<rect class=band x=%d y=0 width=%d height=%d rx=3 /><path class=zero d=\"M%d 0v%d\"/>", MIDDLE - MARGIN, 2 * MARGIN, HEIGHT, MIDDLE, HEIGHT);
	double before = place(l, l->was);
	if (!isnan(before)) {
		ul_buf_printf(b, "<circle class=ring cx=%.1f cy=13 r=4 />", x_of(before));
		if (fabs(before) > REACH)
			arrow(b, before);
	}
	if (!isnan(lo) && !isnan(hi))
		ul_buf_printf(b, "<path class=ci d=\"M%.1f 13H%.1f\"/>", x_of(lo), x_of(hi));
	ul_buf_printf(b, "<circle class=dot cx=%.1f cy=13 r=5 />", x_of(m));
	if (fabs(m) > REACH)
		arrow(b, m);
	ul_buf_str(b, "</svg>");
}

void ul_plot_axis(ul_buf *b, enum ul_group g, const char *title)
{
	static const char *const left[] = {"better", "avoided", "avoided", ""}, *const right[] = {"worse", "still known", "still leaks", ""};
	ul_buf_printf(b, "<div class=axis><b>%s</b><span><i>%s%s</i><i>%s</i><i>%s%s</i></span><i></i></div>\n", title, *left[g] ? "← " : "", left[g],
	        *left[g] ? "margin" : "", right[g], *right[g] ? " →" : "");
}
