/*
 * watch.h: --stop and --bound: audits during the run, and the best safe step.
 */
#ifndef UL_WATCH_H
#define UL_WATCH_H

#include "api/api.h"

bool ul_watch_parse(ul_job *j, ul_err *err); /* before any work: are these conditions? */
bool ul_watch_begin(ul_job *j, ul_err *err); /* before the first step: the data are there, the start is measured */
/* After the last step: back to the best safe one; j->run.unmet says what was not reached. False: no step was safe. */
bool ul_watch_conclude(ul_job *j, ul_err *err);
json_t *ul_watch_json(const ul_job *j); /* for run.json */
void ul_watch_free(ul_watch *w); /* before the run's parameters go */

#endif
