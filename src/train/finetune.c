/*
 * finetune.c: plain cross-entropy, what `unlearn train` minimises: the mean negative log-likelihood of the labelled tokens.
 */
#include "train/train.h"

static ul_val *loss(ul_run *r, const void *config)
{
	return ul_nll(r, &r->forget);
}

const ul_method ul_finetune = {
        .name = "finetune",
        .title = "Fine-tuning",
        .paper = "",
        .notes = "Cross-entropy on the data given; not an unlearning method.",
        .loss = loss,
};
