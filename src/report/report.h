/*
 * report.h: run and audit folders in, one page out that a data protection officer can read: the verdict first, in words, then what
 * was done, the numbers with their intervals, pictures, examples, settings and hashes. Static HTML, self-contained, no script.
 */
#ifndef UL_REPORT_H
#define UL_REPORT_H

#include "base/base.h"

/* dirs: [n] run folders (run.json, journal.jsonl) or audit folders (scores.json, scores.jsonl); what a folder lacks is said or left
 * out. An audit folder whose model is a run folder brings that run's story along. Rows that a run made are shown redacted, as run.json
 * has them; with `rows` as they are, which only runs with --keep-data still know. */
bool ul_report_write(const char *const *dirs, int n, bool rows, const char *out_html, ul_err *err);

#endif
