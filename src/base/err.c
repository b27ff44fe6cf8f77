/*
 * err.c: one sentence about what went wrong, and the abort for what must never happen.
 */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

/* Messages quote names from files that strangers made: a control byte must not reach a terminal, nor half a UTF-8 character. */
static void clean(char *s, size_t size)
{
	size_t n = strlen(s), cut = n;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c < 0x20 || c == 0x7f)
			s[i] = '?';
	}
	if (n + 1 < size)
		return;
	while (cut > 0 && ((unsigned char)s[cut - 1] & 0xC0) == 0x80)
		cut--;
	if (cut > 0 && (unsigned char)s[cut - 1] >= 0xC0)
		s[cut - 1] = '\0';
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
