/*
 * mpu_client.c: the client of MPU. A copy is unlearned through the same door as `unlearn run`: any method, full or LoRA, with the copy
 * itself as the reference of NPO and DPO. (The published code hands the client the server's exact model for that.)
 */
#include "api/mpu_api.h"

#include <string.h>

#define AT(field) offsetof(ul_mpu_config, field)

const ul_opt ul_mpu_opts[] = {
        {"copies", UL_OPT_INT, AT(copies), "4", 2, 64, NULL, "perturbed copies of each round (m)", "N"},
        {"noise", UL_OPT_REAL, AT(noise), "0.01", 0, 10, NULL, "κ: noise of a layer, as a share of the root mean square of its task vector", "X"},
        {"rounds", UL_OPT_INT, AT(rounds), "1", 1, 1000, NULL, "times that copies go out and updates come back", "N"},
        {"base", UL_OPT_TEXT, AT(base), NULL, 0, 0, NULL, "public model that MODEL was made from; without it the noise is a share of the weights themselves", "MODEL"},
        {"reparam", UL_OPT_ENUM, AT(reparam), "full", 0, 0, "none|paper|full", "transforms of each copy: paper leaves embeddings, final norm and head as they are", NULL},
        {"turns", UL_OPT_ENUM, AT(turns), "auto", 0, 0, "auto|exact|any", "exact: signed permutations, under which any optimiser does the same; any: rotations too, under which only SGD does", NULL},
        {"alpha", UL_OPT_ENUM, AT(alpha), "steps", 0, 0, "steps|random", "sizes of the copies' noises: 1 to 2 in equal steps, or drawn anew in each round", NULL},
        {"server-lr", UL_OPT_REAL, AT(server_lr), "1", 0, 100, NULL, "η: how much of the averaged update is applied", "X"},
        {"common-noise", UL_OPT_REAL, AT(common), "0", 0, 100, NULL, "noise that all copies share and no average takes out, as a share of the other", "X"},
        {"clip-update", UL_OPT_REAL, AT(clip), "0", 0, 100, NULL, "longest update of a copy, as a share of the length of the weights; 0: any", "X"},
        {"noise-key", UL_OPT_TEXT, AT(noise_key), NULL, 0, 0, NULL, "file of the key that noise and transforms are drawn with, made where there is none; default: a new key", "FILE"},
        {0},
};

ul_mpu_how ul_mpu_how_of(const ul_mpu_config *c, bool sgd)
{
	return (ul_mpu_how){
	        .copies = (int)c->copies,
	        .rounds = (int)c->rounds,
	        .noise = c->noise,
	        .server_lr = c->server_lr,
	        .common = c->common,
	        .clip = c->clip,
	        .random_alpha = c->alpha == 1,
	        .reparam = (enum ul_reparam)c->reparam,
	        .exact = c->turns == UL_TURNS_EXACT || (c->turns == UL_TURNS_AUTO && !sgd),
	};
}

bool ul_mpu_job_check(const ul_mpu_job *j, ul_model *m, bool *sgd, ul_err *err)
{
	ul_run *r = ul_run_new(m, j->method, j->setting, j->settings, err);
	if (r)
		*sgd = r->train.optim == UL_OPTIM_SGD;
	ul_run_free(r);
	return r != NULL;
}

bool ul_mpu_unlearn(void *ud, ul_model *copy, int k, ul_err *err)
{
	ul_mpu_job *j = ud;
	char text[96];
	if (j->progress && j->progress->note && j->copies > 1) {
		snprintf(text, sizeof text, "round %d: unlearning copy %d of %d", j->round, k + 1, j->copies);
		j->progress->note(j->progress->ud, text);
	}
	ul_run *r = ul_run_new(copy, j->method, j->setting, j->settings, err);
	bool ok = r && ul_run_train(r, j->progress, err);
	if (ok && r->stopped) {
		j->stopped = true;
		ok = ul_fail(err, "stopped in round %d, copy %d of %d, after step %lld of %lld", j->round, k + 1, j->copies, (long long)r->step, (long long)r->steps);
	}
	if (ok) {
		j->steps += r->step;
		j->tokens += r->tokens;
		j->seconds += r->seconds;
	}
	ul_run_free(r);
	return ok;
}
