/*
 * open.h: steps of opening that random models and copies share.
 */
#ifndef UL_OPEN_H
#define UL_OPEN_H

#include "model/model.h"

/* Finds the architecture of m->config and fills m->arch and m->cfg. */
bool ul_model_configure(ul_model *m, ul_err *err);

#endif
