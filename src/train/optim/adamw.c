/*
 * adamw.c: AdamW (Loshchilov & Hutter 2019) in PyTorch's order: w -= lr·decay·w, then
 * w -= lr · (m / c1) / (sqrt(v / c2) + eps) with c = 1 - beta^t. Every trained parameter decays, vectors too, as torch.optim does
 * when it is given one group.
 */
#include "tensor/backend.h"
#include "train/optim/optim.h"

#include <math.h>

static void update(ul_optim *o, int i, ul_param *p, double lr, double gscale)
{
	const ul_train_config *c = o->c;
	ul_adamw k = {.lr = lr, .beta1 = c->beta1, .beta2 = c->beta2, .eps = c->eps, .decay = c->weight_decay, .gscale = gscale};
	k.c1 = 1 - pow(c->beta1, (double)o->t);
	k.c2 = 1 - pow(c->beta2, (double)o->t);
	size_t n = (size_t)p->rows * (size_t)p->cols;
	p->be->adamw(p->data, p->grad, o->moment[0][i], o->moment[1][i], n, &k);
}

const ul_optim_def ul_optim_adamw = {.name = "adamw", .moments = 2, .update = update};
