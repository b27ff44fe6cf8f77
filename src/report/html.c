/*
 * html.c: text into HTML, and the small marks used everywhere. A verdict is told by word, shape and colour, in that order, so that
 * neither colour blindness nor a black-and-white printer loses it.
 */
#include "report/parts.h"

#include <string.h>

void ul_html_byte(ul_buf *b, char c)
{
	switch (c) {
	case '&':
		ul_buf_str(b, "&amp;");
		break;
	case '<':
		ul_buf_str(b, "&lt;");
		break;
	case '>':
		ul_buf_str(b, "&gt;");
		break;
	case '"':
		ul_buf_str(b, "&quot;");
		break;
	case '\'':
		ul_buf_str(b, "&#39;");
		break;
	default:
		if ((unsigned char)c >= ' ' || c == '\n' || c == '\t')
			ul_buf_add(b, &c, 1);
		else
			ul_buf_str(b, "�");
	}
}

void ul_html_n(ul_buf *b, const char *text, size_t most)
{
	size_t n = text ? strlen(text) : 0;
	bool cut = n > most;
	if (cut)
		for (n = most; n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80; n--)
			;
	for (size_t i = 0; i < n; i++)
		ul_html_byte(b, text[i]);
	if (cut)
		ul_buf_str(b, "…");
}

void ul_html(ul_buf *b, const char *text)
{
	ul_html_n(b, text, (size_t)-1);
}

const char *ul_verdict_class(const char *verdict)
{
	if (!verdict)
		return "open";
	if (!strcmp(verdict, "PASS"))
		return "good";
	if (!strcmp(verdict, "UNDER") || !strcmp(verdict, "OVER") || !strcmp(verdict, "COLLAPSED"))
		return "bad";
	return "open";
}

void ul_chip(ul_buf *b, const char *verdict, bool useful)
{
	const char *kind = ul_verdict_class(verdict);
	const char *sign = !strcmp(kind, "good") ? "●" : !strcmp(kind, "bad") ? "▲"
	                                                                      : "○";
	ul_buf_printf(b, "<span class=\"chip %s\"><span aria-hidden=true>%s</span> ", kind, sign);
	ul_html(b, !verdict ? "NOT AUDITED" : useful && !strcmp(verdict, "OVER") ? "WORSE"
	                                                                         : verdict);
	ul_buf_str(b, "</span>");
}
