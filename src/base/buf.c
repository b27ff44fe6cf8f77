/*
 * buf.c: growable bytes, always NUL-terminated. A failed growth is remembered, so that callers look once, at the end.
 */
#include "base/base.h"

#include <string.h>

static bool grow(ul_buf *b, size_t more)
{
	size_t need;
	if (b->failed)
		return false;
	if (!ul_add_ok(b->len, more, &need) || !ul_add_ok(need, 1, &need)) {
		b->failed = true;
		return false;
	}
	if (need <= b->cap)
		return true;
	size_t cap = b->cap ? b->cap : 64;
	while (cap < need)
		cap = cap > need / 2 ? need : cap * 2;
	if (cap < b->cap + b->cap / 2)
		cap = b->cap + b->cap / 2; /* growth stays geometric, so that n small additions cost n */
	char *data = ul_realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void ul_buf_add(ul_buf *b, const void *bytes, size_t n)
{
	if (!grow(b, n))
		return;
	if (n)
		memcpy(b->data + b->len, bytes, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void ul_buf_str(ul_buf *b, const char *s)
{
	ul_buf_add(b, s, strlen(s));
}

void ul_buf_printf(ul_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0)
		b->failed = true;
	else if (grow(b, (size_t)n)) {
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	va_end(ap);
}

void ul_buf_release(ul_buf *b)
{
	ul_free(b->data);
	*b = (ul_buf){0};
}
