/*
 * examples.c: what the model said before and says now, in its own words. Chosen by the audit, shown as they are.
 */
#include "report/parts.h"

enum { SHOWN = 8,
	LONGEST = 300 };

static void said(ul_buf *b, const char *who, const char *text)
{
	if (!text)
		return;
	ul_buf_printf(b, "<dt>%s</dt><dd>", who);
	if (*text)
		ul_html_n(b, text, LONGEST);
	else
		ul_buf_str(b, "(nothing)");
	ul_buf_str(b, "</dd>");
}

void ul_show_examples(ul_buf *b, const ul_story *s)
{
	const json_t *list = json_object_get(s->scores, "examples"), *v;
	size_t i;
	if (!json_array_size(list))
		return;
	ul_buf_str(b, "<h3>In its own words</h3>\n<p class=note>Answers to the same questions before and after. They quote the data the request is about: treat this page as you treat those.</p>\n");
	json_array_foreach(list, i, v)
	{
		const char *split = ul_json_str(v, "split");
		if (i >= SHOWN)
			break;
		ul_buf_str(b, "<div class=say>");
		if (split) {
			ul_buf_str(b, "<span class=code>");
			ul_html(b, split);
			ul_buf_str(b, "</span>");
		}
		ul_buf_str(b, "<p>");
		ul_html_n(b, ul_json_str(v, "prompt"), LONGEST);
		ul_buf_str(b, "</p><dl>");
		said(b, "true", ul_json_str(v, "expected"));
		said(b, "before", ul_json_str(v, "before"));
		said(b, "now", ul_json_str(v, "after"));
		said(b, "reference", ul_json_str(v, "oracle"));
		ul_buf_str(b, "</dl></div>\n");
	}
}
