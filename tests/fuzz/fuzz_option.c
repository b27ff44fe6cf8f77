/*
 * fuzz_option.c: lines `name=value` set on a table with one option of each type; every value stays inside its range.
 */
#include "fuzz.h"

#include "base/option.h"

#include <math.h>
#include <string.h>

struct config {
	bool flag;
	int64_t n;
	double x;
	const char *text;
	int mode;
};

static const ul_opt opts[] = {
        {"flag", UL_OPT_BOOL, offsetof(struct config, flag), "no"},
        {"max-length", UL_OPT_INT, offsetof(struct config, n), "16", 1, 1024},
        {"rate", UL_OPT_REAL, offsetof(struct config, x), "0.1", 0, 10},
        {"text", UL_OPT_TEXT, offsetof(struct config, text)},
        {"mode", UL_OPT_ENUM, offsetof(struct config, mode), "cosine", .choices = "linear|cosine|constant"},
        {0},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config c;
	ul_arena a = {0};
	ul_err err = {0};
	ul_buf b = {0}, shown = {0};
	ul_buf_add(&b, data, size);
	bool ok = ul_opts_defaults(opts, &c, &a, &err);
	for (char *line = b.data, *next; ok && line && *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		char *eq = strchr(line, '=');
		if (eq)
			*eq++ = '\0';
		ok = ul_opts_set(opts, &c, line, eq ? eq : "", &a, &err);
	}
	UL_ASSERT(c.n >= 1 && c.n <= 1024 && c.x >= 0 && c.x <= 10 && c.mode >= 0 && c.mode <= 2, "%lld %g %d", (long long)c.n, c.x, c.mode);
	for (const ul_opt *o = opts; o->name; o++)
		ul_opts_show(o, &c, &shown);
	fuzz_verdict(ok, &err);
	ul_buf_release(&b);
	ul_buf_release(&shown);
	ul_arena_release(&a);
	return 0;
}
