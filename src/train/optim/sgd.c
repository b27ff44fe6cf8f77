/*
 * sgd.c: stochastic gradient descent, m <- momentum·m + g, w -= lr·m. The decay is decoupled
 * (w -= lr·decay·w), unlike torch.optim.SGD's, which adds it to the gradient: one meaning of --weight-decay for both optimisers.
 */
#include "tensor/backend.h"
#include "train/optim/optim.h"

static void update(ul_optim *o, int i, ul_param *p, double lr, double gscale)
{
	const ul_train_config *c = o->c;
	size_t n = (size_t)p->rows * (size_t)p->cols;
	p->be->sgd(p->data, p->grad, o->moment[0] ? o->moment[0][i] : NULL, n, lr, c->momentum, c->weight_decay, gscale);
}

const ul_optim_def ul_optim_sgd = {.name = "sgd", .moments = 1, .update = update};
