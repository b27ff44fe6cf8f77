/*
 * fuzz_net_route.c: what stands before the body of a request: "METHOD PATH\n", then a line that is tried as a range. Accepted are
 * only numbers that fit, and a range that lies in its file.
 */
#include "fuzz.h"

#include "protocols/net_server.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[512], *range, *path;
	ul_err err = {0};
	size_t n = size < sizeof line - 1 ? size : sizeof line - 1;
	memcpy(line, data, n);
	line[n] = '\0';
	if ((range = strchr(line, '\n')))
		*range++ = '\0';
	if ((path = strchr(line, ' ')))
		*path++ = '\0';
	ul_net_route r = {0};
	uint64_t first, bytes, whole;
	bool ok = path && ul_net_route_parse(&r, line, path);
	UL_ASSERT(!ok || (r.round >= 0 && r.round <= 1000000 && r.copy >= 0 && r.copy <= 1000000 && r.file >= 0 && r.file < UL_NET_FILES), "%d %d %d", r.round, r.copy, r.file);
	if (range && *range) {
		bool out = ul_net_range_parse(range, &first, &bytes, NULL), in = ul_net_range_parse(range, &first, &bytes, &whole);
		UL_ASSERT(!in || (bytes > 0 && first + bytes <= whole), "%llu", (unsigned long long)first);
		ok = ok && (out || in);
	}
	if (!ok)
		ul_fail(&err, "no request");
	fuzz_verdict(ok, &err);
	return 0;
}
