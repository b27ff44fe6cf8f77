/*
 * sgd.c: stochastic gradient descent as torch.optim.SGD: g += decay·w, m <- momentum·m + g, w -= lr·m. The decay joins the
 * gradient here, which for this optimiser differs from a decoupled one only through the momentum.
 */
#include "tensor/backend.h"
#include "train/optim/optim.h"

static void update(ul_optim *o, int i, ul_param *p, double lr, double gscale)
{
	const ul_train_config *c = o->c;
	ul_sgd k = {.lr = lr, .momentum = c->momentum, .decay = c->weight_decay, .gscale = gscale};
	p->be->sgd(p->data, p->grad, o->moment[0] ? o->moment[0][i] : NULL, (size_t)p->rows * (size_t)p->cols, &k);
}

const ul_optim_def ul_optim_sgd = {.name = "sgd", .moments = 1, .update = update};
