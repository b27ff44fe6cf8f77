/*
 * optim.h: the optimisers there are. Each is one file of this folder.
 */
#ifndef UL_OPTIM_H
#define UL_OPTIM_H

#include "train/train.h"

extern const ul_optim_def ul_optim_adamw, ul_optim_sgd;

#endif
