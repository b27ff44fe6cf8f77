/*
 * job.h: what `train` and `run` share: settings for the library, and a run from its first step to its folder.
 */
#ifndef UL_CLI_JOB_H
#define UL_CLI_JOB_H

#include "api/api.h"
#include "cli/cli.h"

/* What was typed for the library, and what every verb has: *n of them; NULL with c->err. */
const ul_setting *ul_job_settings(ul_cli *c, size_t *n);
/* The same for a run inside something larger, which has no folder of its own: without output, force and adapter. */
const ul_setting *ul_job_inner(ul_cli *c, size_t *n, const char **output);
/* The settings of the unfinished run in dir, with its "method" and "model" among them; NULL with c->err. */
const ul_setting *ul_job_origin(ul_cli *c, const char *dir, size_t *n);
/* Trains and saves r (NULL: it could not be made), frees it, returns the exit code. */
int ul_job_do(ul_cli *c, ul_run *r);

#endif
