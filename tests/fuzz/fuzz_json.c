/*
 * fuzz_json.c: the door every JSON file comes through; what was accepted is written and read again.
 */
#include "fuzz.h"

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_err err = {0};
	json_t *v = ul_json_parse((const char *)data, size, "input", &err);
	if (v) {
		int64_t i = 0;
		double x = 0;
		bool b = false;
		ul_err none = {0};
		ul_json_int(v, "i", -5, 5, &i, &none);
		ul_json_real(v, "x", -5, 5, &x, &none);
		ul_json_bool(v, "b", &b, &none);
		UL_ASSERT(i >= -5 && i <= 5 && x >= -5 && x <= 5, "%lld %g", (long long)i, x);
		ul_buf line = {0};
		UL_ASSERT(ul_json_line(&line, v), "%zu bytes", size);
		json_t *w = ul_json_parse(line.data, line.len, "line", &none);
		UL_ASSERT(w, "what was written cannot be read: %s", none.msg);
		json_decref(w);
		ul_buf_release(&line);
	}
	fuzz_verdict(v != NULL, &err);
	json_decref(v);
	return 0;
}
