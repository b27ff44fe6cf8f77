/*
 * logs.h: open-unlearning's aggregates from its own per-sample logs, to compare with what that framework printed.
 */
#ifndef UL_COMPAT_LOGS_H
#define UL_COMPAT_LOGS_H

#include "base/json.h"

/* `log` and `retain` (may be NULL) are TOFU_EVAL in columns: {metric: {agg_value, column: [...]}}. Returns {metric: value} for every
 * metric that can be recomputed; "forget_quality" also as "forget_quality_log10". */
json_t *ul_compat_aggregates(const json_t *log, const json_t *retain, ul_err *err);

#endif
