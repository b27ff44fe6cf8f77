/*
 * json.h: jansson with the caps that hostile files need, and getters that name the key, the value and the limit.
 */
#ifndef UL_JSON_H
#define UL_JSON_H

#include "base/base.h"

#include <jansson.h>

/* Parses one value. Duplicate keys are refused, depth is capped at 64, reals that do not fit are refused (integers beyond 64 bits
 * become reals: tokenizer_config.json holds 10^30), trailing bytes are refused, and so is a NUL inside a string. `what` names the text in the message ("config.json"). The caller owns the reference. */
json_t *ul_json_parse(const char *text, size_t n, const char *what, ul_err *err);
json_t *ul_json_file(const char *path, size_t limit, ul_err *err);

/* Optional keys: a missing one or null leaves *out alone and is fine; a wrong type or range fails. */
bool ul_json_int(const json_t *obj, const char *key, int64_t min, int64_t max, int64_t *out, ul_err *err);
bool ul_json_real(const json_t *obj, const char *key, double min, double max, double *out, ul_err *err);
bool ul_json_bool(const json_t *obj, const char *key, bool *out, ul_err *err);
const char *ul_json_str(const json_t *obj, const char *key); /* NULL when absent or no string; borrowed */

/* Writing: sorted keys stay as inserted, reals with 17 digits, non-finite reals become null. */
json_t *ul_json_number(double x);
bool ul_json_write(const char *path, const json_t *v, ul_err *err); /* indented, atomic */
bool ul_json_line(ul_buf *out, const json_t *v); /* one compact line with '\n' */

#endif
