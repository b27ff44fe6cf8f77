/*
 * report.c: the page, from top to bottom: for each request its verdict and the facts in words, the numbers with their intervals, the
 * pictures, examples, settings.
 */
#include "report/report.h"

#include "base/file.h"
#include "report/parts.h"

#include <math.h>

enum { MAX_STORIES = 16 };

/* ---- numbers ---- */

static void number_row(ul_buf *b, const ul_entry *l)
{
	ul_buf_str(b, "<div class=row><div>");
	ul_html(b, l->label);
	ul_buf_str(b, "<small>");
	if (!isnan(l->before)) {
		ul_say_value(b, l->unit, l->before);
		ul_buf_str(b, " → ");
	}
	ul_buf_str(b, "<b>");
	ul_say_value(b, l->unit, l->value);
	ul_buf_str(b, "</b>");
	ul_say_reference(b, l);
	if (l->n)
		ul_buf_printf(b, ", n = %d", l->n);
	if (l->note) {
		ul_buf_str(b, "<br>");
		ul_html(b, l->note);
	}
	ul_buf_str(b, "</small><span class=code>");
	ul_html(b, l->name);
	ul_buf_str(b, "</span></div><div>");
	ul_plot_interval(b, l);
	ul_buf_str(b, "</div>");
	if (l->verdict)
		ul_chip(b, l->verdict, l->group == UL_G_USEFUL);
	ul_buf_str(b, "</div>\n");
}

static bool decides(const ul_entry *l)
{
	return l->required || l->gate;
}

/* The lines of each group that decide the verdict, or those that do not. */
static void groups(ul_buf *b, const ul_story *s, bool deciding)
{
	static const char *const title[] = {"Still useful", "Forgotten", "Private", "For information"};
	for (int g = 0; g < UL_G_GROUPS; g++) {
		bool begun = false;
		for (int i = 0; i < s->lines; i++) {
			const ul_entry *l = &s->line[i];
			if ((int)l->group != g || !l->tested || decides(l) != deciding)
				continue;
			if (!begun) {
				ul_plot_axis(b, (enum ul_group)g, title[g]);
				ul_buf_str(b, "<div class=rows>\n");
			}
			begun = true;
			number_row(b, l);
		}
		if (begun)
			ul_buf_str(b, "</div>\n");
	}
}

static bool any(const ul_story *s, bool deciding)
{
	for (int i = 0; i < s->lines; i++)
		if (s->line[i].tested && decides(&s->line[i]) == deciding)
			return true;
	return false;
}

static void numbers(ul_buf *b, const ul_story *s)
{
	if (!any(s, true))
		return;
	ul_buf_str(b, "<h3>The numbers that decide</h3>\n<p class=note>Ring: before. Dot: now, with its 95 % interval. The middle is the reference: for usefulness the model before, otherwise ");
	ul_buf_str(b, ul_reference_words(s));
	ul_buf_str(b, ". The band is the margin: an interval inside it passes, one that leaves it is open, one outside it has failed. The scale is in margins.</p>\n");
	groups(b, s, true);
}

static void other_numbers(ul_buf *b, const ul_story *s)
{
	if (!any(s, false))
		return;
	ul_buf_str(b, "<h3>Other numbers</h3>\n<p class=note>Measured besides; the verdict does not depend on them.</p>\n");
	groups(b, s, false);
}

/* ---- pictures ---- */

static void pictures(ul_buf *b, const ul_story *s)
{
	ul_buf people = {0}, trade = {0}, curve = {0};
	ul_plot_people(&people, s);
	ul_plot_tradeoff(&trade, s);
	ul_plot_training(&curve, s);
	if (people.len)
		ul_buf_printf(b, "<h3>Person by person</h3>\n%s", people.data);
	ul_show_subjects(b, s);
	if (trade.len)
		ul_buf_printf(b, "<h3>Forgetting against usefulness</h3>\n%s", trade.data);
	ul_show_rounds(b, s);
	if (curve.len)
		ul_buf_printf(b, "<h3>The training</h3>\n%s", curve.data);
	ul_show_told(b, s);
	ul_buf_release(&people);
	ul_buf_release(&trade);
	ul_buf_release(&curve);
}

/* ---- the page ---- */

static void story(ul_buf *b, const ul_story *s)
{
	ul_buf_str(b, "<article>\n<p class=name>");
	ul_html(b, s->title);
	ul_buf_str(b, "</p>\n");
	ul_chip(b, s->verdict, false);
	ul_say_verdict(b, s);
	ul_say_facts(b, s);
	numbers(b, s);
	pictures(b, s);
	ul_show_examples(b, s);
	other_numbers(b, s);
	ul_show_settings(b, s);
	ul_buf_str(b, "</article>\n");
}

static void page(ul_buf *b, const ul_story *s, int n)
{
	ul_buf_str(b, "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n<meta name=viewport content=\"width=device-width,initial-scale=1\">\n<title>What the model still knows</title>\n<style>");
	ul_buf_str(b, ul_css);
	ul_buf_printf(b, "</style>\n</head>\n<body>\n<main%s>\n<header><h1>What the model still knows</h1></header>\n<div class=stories>\n", n > 1 ? " class=many" : "");
	for (int i = 0; i < n; i++)
		story(b, &s[i]);
	ul_buf_str(b, "</div>\n<footer>Written by unlearn " UL_VERSION ". Each statement is about the tests named here, at the margins named here, against whoever has the abilities those tests assume. "
	              "No test can show that nothing is left; only training anew without the data gives that by construction.</footer>\n</main>\n</body>\n</html>\n");
}

bool ul_report_write(const char *const *dirs, int n, bool rows, const char *out_html, ul_err *err)
{
	ul_arena a = {0};
	ul_story s[MAX_STORIES] = {{0}};
	ul_buf b = {0};
	int loaded = 0;
	bool ok = (n >= 1 && n <= MAX_STORIES) || ul_fail(err, "a report takes 1 to %d folders, not %d", MAX_STORIES, n);
	for (; ok && loaded < n; loaded++)
		ok = ul_story_load(&s[loaded], dirs[loaded], rows, &a, err);
	if (ok)
		page(&b, s, n);
	ok = ok && (!b.failed || ul_nomem(err, b.len)) && ul_file_write(out_html, b.data, b.len, err);
	for (int i = 0; i < loaded; i++)
		ul_story_release(&s[i]);
	ul_buf_release(&b);
	ul_arena_release(&a);
	return ok;
}
