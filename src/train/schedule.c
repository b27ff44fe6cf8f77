/*
 * schedule.c: the learning rate of each step.
 *
 * Steps count from 0. During a warm-up of W steps the factor is (k + 1) / W, so that the first step already moves; Hugging Face's
 * linear warm-up is k / W with a first step of lr 0, which --compat open-unlearning restores. After it both fall alike:
 * linear (steps - k) / (steps - W), cosine (1 + cos(π (k - W) / (steps - W))) / 2, constant 1.
 */
#include "train/train.h"

#include <math.h>

static double warmup_steps(const ul_train_config *c, int64_t steps)
{
	double w = c->warmup < 1 ? ceil(c->warmup * (double)steps) : floor(c->warmup);
	return w < (double)steps ? w : (double)steps;
}

double ul_schedule(const ul_train_config *c, int64_t step, int64_t steps)
{
	double w = warmup_steps(c, steps);
	double first = c->compat == UL_TRAIN_OPEN_UNLEARNING ? 0 : 1;
	if ((double)step < w) {
		return c->lr * ((double)step + first) / w;
	}
	double left = (double)steps - w;
	double at = left > 0 ? ((double)step - w) / left : 0;
	switch (c->schedule) {
	case UL_SCHED_LINEAR:
		return c->lr * (at < 1 ? 1 - at : 0);
	case UL_SCHED_COSINE:
		return c->lr * (at < 1 ? (1 + cos(acos(-1.0) * at)) / 2 : 0);
	default:
		return c->lr;
	}
}
