/*
 * ga.c: gradient ascent (Jang et al. 2023, arXiv 2210.01504): the likelihood of the forget data is pushed down,
 *
 *     L = -mean_t l_t,   l_t = -log p(y_t | y_<t)
 *
 * with no bound: it ends by early stopping or in a collapse.
 */
#include "train/train.h"

static ul_val *loss(ul_run *r, const void *config)
{
	return ul_scale(ul_term(r, "forget", ul_nll(r, &r->forget)), -1);
}

const ul_method ul_method_ga = {
        .name = "ga",
        .title = "Gradient ascent",
        .paper = "Jang et al. 2023, Knowledge Unlearning for Mitigating Privacy Risks in Language Models, arXiv 2210.01504",
        .notes = "Equal to open-unlearning's GradAscent. Unbounded: the model collapses when it runs long.",
        .loss = loss,
};
