/*
 * err.c: one sentence about what went wrong, and the abort for what must never happen.
 */
#include "base/base.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_ulong troubles;

unsigned long ul_troubles(void)
{
	return troubles;
}

void ul_trouble(void)
{
	troubles++;
}

/* Bytes of the UTF-8 character at s; 0 = there is none, or a control of C1. */
static size_t character(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = u[0] < 0x80 ? 1 : u[0] >= 0xC2 && u[0] < 0xE0 ? 2
	                     : u[0] >= 0xE0 && u[0] < 0xF0       ? 3
	                     : u[0] >= 0xF0 && u[0] < 0xF5       ? 4
	                                                         : 0;
	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xC0) != 0x80) /* the end of the string is none either */
			return 0;
	return u[0] == 0xC2 && u[1] < 0xA0 ? 0 : n;
}

/* Messages quote names from files that strangers made, and what commands print: a control byte must not reach a terminal, nor what is no
 * UTF-8, nor half a character. */
static void clean(char *s, size_t size)
{
	size_t cut = strlen(s), step;
	if (cut + 1 >= size) {
		while (cut > 0 && ((unsigned char)s[cut - 1] & 0xC0) == 0x80)
			cut--;
		if (cut > 0 && (unsigned char)s[cut - 1] >= 0xC0)
			s[cut - 1] = '\0';
	}
	for (; *s; s += step) {
		unsigned char c = (unsigned char)*s;
		step = character(s);
		if (c < 0x20 || c == 0x7f || step == 0) {
			*s = '?';
			step = 1;
		}
	}
}

bool(ul_fail)(ul_err *err, const char *fmt, ...)
{
	if (!err || err->msg[0])
		return false;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	clean(err->msg, sizeof err->msg);
	if (!err->msg[0])
		snprintf(err->msg, sizeof err->msg, "failed without a message");
	return false;
}

void ul_hint(ul_err *err, const char *fmt, ...)
{
	if (!err || err->hint[0])
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof err->hint, fmt, ap);
	va_end(ap);
	clean(err->hint, sizeof err->hint);
}

bool(ul_nomem)(ul_err *err, size_t bytes)
{
	ul_trouble();
	return ul_fail(err, "out of memory: %zu bytes wanted", bytes);
}

void ul_abort(const char *file, int line, const char *cond, const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "%s:%d: %s does not hold: ", file, line, cond);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}
