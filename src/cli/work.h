/*
 * work.h: what several verbs begin with.
 */
#ifndef UL_WORK_H
#define UL_WORK_H

#include "cli/cli.h"
#include "data/data.h"

/* MODEL with --adapter on top. NULL: c->err. */
ul_model *ul_work_model(ul_cli *c, const char *path);
/* Reads and tokenizes; rows that were cut are said aloud. */
bool ul_work_data(ul_cli *c, ul_dataset *d, const char *path, const ul_model *m, const ul_data_config *how);
void ul_work_note(ul_cli *c, const char *fmt, ...) UL_PRINTF(2, 3);
int ul_work_usage(ul_cli *c, const char *fmt, ...) UL_PRINTF(2, 3); /* a wrong use: the exit code */
json_t *ul_work_text(const char *s, size_t n); /* a JSON string, ill-formed UTF-8 mended */
double ul_work_seconds(void); /* of a clock that only moves forward */
json_t *ul_work_ids(const int *ids, int n);

#endif
