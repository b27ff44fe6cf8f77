/*
 * child.h: a shell command that answers every line it is given with one line: annotators and scorers of other programs.
 */
#ifndef UL_CHILD_H
#define UL_CHILD_H

#include "base/base.h"

typedef struct ul_child ul_child;

/* Started in a process group of its own, its messages where ours go. `what` names it in sentences ("annotator"). A command that does
 * not exist shows at the first question. */
ul_child *ul_child_start(const char *command, const char *what, double seconds, ul_err *err);
/* Writes the line (without its end) and reads one; appended to `answer` without its end. A command that ends, stays silent for longer
 * than `seconds`, answers without end, or has written anything it was not asked for is ended, and every further question fails. */
bool ul_child_ask(ul_child *c, const char *line, size_t n, ul_buf *answer, ul_err *err);
const char *ul_child_command(const ul_child *c);
void ul_child_end(ul_child *c); /* its input is closed; if that does not end it soon, it is killed; what it has started, too */

#endif
