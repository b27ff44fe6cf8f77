/*
 * pseudo.h: forget data that were made without the truth, looked at by whoever holds it.
 */
#ifndef UL_AUDIT_PSEUDO_H
#define UL_AUDIT_PSEUDO_H

#include "data/pool.h"

/* How many of the personal data that `rows` mark are remembered ones of `truth`, how many are the pool's (may be NULL), how many
 * nobody's; how many of the true ones they are; whether the marks stand where personal data do. The caller owns *out. */
bool ul_pseudo_judge(const ul_dataset *rows, const ul_dataset *truth, const ul_pool *pool, json_t **out, ul_err *err);

#endif
