/*
 * told.c: a few of the rows that a run made for itself: what the model told, and what of it was taken for personal data. As run.json has
 * them they are redacted; rows that were kept are shown as they are to whoever asks for that.
 */
#include "report/parts.h"

#include "text/unicode.h"

#include <string.h>

enum { SHOWN = 6,
	LONGEST = 500 };

/* Text with its marks, in the order of their places; what is no mark in the text is passed over. */
static int marked(ul_buf *b, const char *text, const json_t *spans)
{
	size_t i, at = 0, n = strlen(text), end = n < LONGEST ? n : LONGEST;
	int shown = 0, points = ul_utf8_length(text, n);
	json_t *v;
	while (end < n && end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
		end--;
	json_array_foreach((json_t *)(uintptr_t)spans, i, v)
	{
		double start = ul_json_get(v, "start"), stop = ul_json_get(v, "end");
		if (!(start >= 0 && start < stop && stop <= points))
			continue;
		size_t from = ul_utf8_prefix(text, n, (int)start), to = ul_utf8_prefix(text, n, (int)stop);
		if (from < at || to <= from || to > end)
			continue;
		for (; at < from; at++)
			ul_html_byte(b, text[at]);
		ul_buf_str(b, "<mark>");
		for (; at < to; at++)
			ul_html_byte(b, text[at]);
		ul_buf_str(b, "</mark>");
		if (ul_json_str(v, "type") && *ul_json_str(v, "type")) {
			ul_buf_str(b, "<sup>");
			ul_html(b, ul_json_str(v, "type"));
			ul_buf_str(b, "</sup>");
		}
		shown++;
	}
	for (; at < end; at++)
		ul_html_byte(b, text[at]);
	ul_buf_str(b, end < n ? "…" : "");
	return shown;
}

static int row(ul_buf *b, const json_t *v, bool *asked)
{
	const char *prompt = ul_json_str(v, "prompt"), *text = ul_json_str(v, "text");
	text = text ? text : ul_json_str(v, "response");
	if (!text)
		return 0;
	ul_buf_str(b, "<div class=told>");
	*asked |= prompt && *prompt;
	if (prompt && *prompt) {
		ul_buf_str(b, "<i>");
		ul_html_n(b, prompt, LONGEST);
		ul_buf_str(b, "</i> ");
	}
	int marks = marked(b, text, json_object_get(v, "spans"));
	ul_buf_str(b, "</div>\n");
	return marks;
}

/* "1000 rows were made by the source sample, in which are marked: EMAIL 210, PHONE 305." */
static void counts(ul_buf *b, const ul_story *s)
{
	const json_t *source = json_object_get(s->run, "source"), *types = json_object_get(json_object_get(source, "summary"), "types"), *v;
	const char *type;
	bool begun = false;
	double n = ul_json_get(json_object_get(s->run, "told"), "rows");
	if (!(n > 0) || !ul_json_str(source, "name"))
		return;
	ul_buf_printf(b, "%.0f rows were made by the source <b>", n);
	ul_html(b, ul_json_str(source, "name"));
	ul_buf_str(b, "</b>");
	json_object_foreach((json_t *)(uintptr_t)types, type, v)
	{
		ul_buf_str(b, begun ? ", " : ", in which are marked: ");
		ul_html(b, type);
		ul_buf_printf(b, " %.0f", json_number_value(v));
		begun = true;
	}
	ul_buf_str(b, ". ");
}

void ul_show_told(ul_buf *b, const ul_story *s)
{
	bool plain = json_array_size(s->rows) > 0;
	const json_t *list = plain ? s->rows : json_object_get(json_object_get(s->run, "told"), "shown");
	size_t n = json_is_array(list) ? json_array_size(list) : 0, shown = n < SHOWN ? n : SHOWN;
	ul_buf rows = {0}, note = {0};
	bool asked = false;
	int marks = 0;
	for (size_t i = 0; i < shown; i++) /* of all rows evenly; of those in run.json all */
		marks += row(&rows, json_array_get(list, i * n / shown), &asked);
	if (rows.len) {
		counts(&note, s);
		ul_buf_printf(b, "<h3>What the model told, to be forgotten</h3>\n<p class=note>%sA few of them. ", note.data ? note.data : "");
		ul_buf_str(b, marks ? "In boxes: what was taken for personal data, and is forgotten as such." : "Nothing in them is marked: the whole answer is what is forgotten.");
		ul_buf_str(b, asked ? " In grey: what it was asked." : "");
		ul_buf_str(b, plain   ? " They quote whatever the model remembers: treat this page as you treat that."
		              : marks ? " They are redacted: █ was marked; · was not, but could name somebody or something; only words that many rows have in common are left."
		                      : " They are redacted: · could name somebody or something; only words that many rows have in common are left.");
		ul_buf_printf(b, "</p>\n%s", rows.data);
	}
	ul_buf_release(&rows);
	ul_buf_release(&note);
}
