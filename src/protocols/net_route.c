/*
 * net_route.c: the path of a request and its range. Both are read without allocation and without mercy: decimal numbers of at
 * most 15 digits without signs or leading zeros, and not a byte more than the form has.
 */
#include "protocols/net_server.h"

#include <string.h>

static bool number(const char **at, uint64_t *out)
{
	uint64_t v = 0;
	int n = 0;
	for (; **at >= '0' && **at <= '9'; (*at)++, n++) {
		if (n == 15 || (n == 1 && v == 0))
			return false;
		v = v * 10 + (uint64_t)(**at - '0');
	}
	*out = v;
	return n > 0;
}

static bool word(const char **at, const char *w)
{
	size_t n = strlen(w);
	if (strncmp(*at, w, n) != 0)
		return false;
	*at += n;
	return true;
}

static bool small(const char **at, int most, int *out)
{
	uint64_t v;
	if (!number(at, &v) || v > (uint64_t)most)
		return false;
	*out = (int)v;
	return true;
}

/* listing | file/I | update | done, behind /v1/round/R/copy/K/ */
static bool parse_tail(ul_net_route *r, const char *method, const char *at)
{
	bool get = !strcmp(method, "GET"), put = !strcmp(method, "PUT");
	r->put = put;
	if (!strcmp(at, "listing"))
		return r->verb = UL_NET_LISTING, get || put;
	if (!strcmp(at, "update"))
		return r->verb = UL_NET_UPDATE, get;
	if (!strcmp(at, "done"))
		return r->verb = UL_NET_DONE, !strcmp(method, "POST");
	r->verb = UL_NET_FILE;
	return word(&at, "file/") && small(&at, UL_NET_FILES - 1, &r->file) && !*at && (get || put);
}

bool ul_net_route_parse(ul_net_route *r, const char *method, const char *path)
{
	ul_net_route got = {.verb = UL_NET_WORK};
	const char *at = path;
	bool ok = true;
	if (strcmp(path, "/v1/work") != 0)
		ok = word(&at, "/v1/round/") && small(&at, 1000000, &got.round) && word(&at, "/copy/") && small(&at, 1000000, &got.copy) && word(&at, "/") && parse_tail(&got, method, at);
	else
		ok = !strcmp(method, "POST");
	if (ok)
		*r = got;
	return ok;
}

bool ul_net_range_parse(const char *text, uint64_t *first, uint64_t *bytes, uint64_t *size)
{
	const char *at = text;
	uint64_t a, b, n = 0;
	if (!text || !word(&at, size ? "bytes " : "bytes=") || !number(&at, &a) || !word(&at, "-") || !number(&at, &b) || b < a)
		return false;
	if (size && (!word(&at, "/") || !number(&at, &n) || b >= n))
		return false;
	if (*at)
		return false;
	*first = a;
	*bytes = b - a + 1;
	if (size)
		*size = n;
	return true;
}
