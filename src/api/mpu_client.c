/*
 * mpu_client.c: the client of MPU. A copy is unlearned through the same door as `unlearn run`: any method, full or LoRA, with the copy
 * itself as the reference of NPO and DPO. (The published code hands the client the server's exact model for that.)
 */
#include "api/mpu_api.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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
        {"dtype", UL_OPT_ENUM, AT(dtype), "f32", 0, 0, "f32|bf16|f16", "of the copies; 16 bits are half the bytes and round noise away, which is said", NULL},
        {"noise-key", UL_OPT_TEXT, AT(noise_key), NULL, 0, 0, NULL, "file of the key that noise and transforms are drawn with, made where there is none; default: a new key", "FILE"},
        {0},
};

ul_mpu_how ul_mpu_how_of(const ul_mpu_config *c, bool sgd)
{
	static const enum ul_dtype dtype[] = {UL_F32, UL_BF16, UL_F16};
	return (ul_mpu_how){
	        .copies = (int)c->copies,
	        .rounds = (int)c->rounds,
	        .noise = c->noise,
	        .server_lr = c->server_lr,
	        .common = c->common,
	        .clip = c->clip,
	        .random_alpha = c->alpha == 1,
	        .reparam = (enum ul_reparam)c->reparam,
	        .dtype = dtype[c->dtype],
	        .exact = c->turns == UL_TURNS_EXACT || (c->turns == UL_TURNS_AUTO && !sgd),
	};
}

static void warn(const ul_progress *p, const char *fmt, ...) UL_PRINTF(2, 3);
static void warn(const ul_progress *p, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (p && p->note)
		p->note(p->ud, text);
}

json_t *ul_mpu_precision_json(const ul_mpu *m, const ul_progress *progress, ul_err *err)
{
	ul_mpu_precision x;
	const char *name = m->how.dtype == UL_BF16 ? "bf16" : m->how.dtype == UL_F16 ? "f16"
	                                                                             : "f32";
	if (!ul_mpu_precision_of(m, &x, err))
		return NULL;
	if (x.reached < 0.99)
		warn(progress, "warning: stored as %s, noise changes only %.3g %% of the weights that should carry it: the others are published as they are", name, 100 * x.reached);
	if (x.left > 0.01)
		warn(progress, "warning: stored as %s, %.2g of a copy's noise is left in the average of all copies, where none should be; --dtype f32 keeps it exact", name, x.left);
	if (x.base > 0.1)
		warn(progress, "warning: the base is stored with fewer bits than the model: its rounding alone may be %.2g of the task vector that the noise is a share of", x.base);
	json_t *o = json_pack("{s:s, s:f, s:f, s:f}", "dtype", name, "noise_reaches", x.reached, "noise_left", x.left, "base_rounding", x.base);
	if (!o)
		ul_nomem(err, 256);
	return o;
}

bool ul_mpu_job_check(const ul_mpu_job *j, ul_model *m, bool *sgd, ul_err *err)
{
	ul_run *r = ul_run_new(m, j->method, j->setting, j->settings, err);
	if (r)
		*sgd = r->train.optim == UL_OPTIM_SGD;
	ul_run_free(r);
	return r != NULL;
}

void ul_mpu_job_note(const ul_mpu_job *j, bool residual_turns)
{
	const ul_method *m = ul_method_find(j->method, NULL);
	if (m && residual_turns && m->needs & UL_FIXED_DIRECTION)
		warn(j->progress, "warning: %s drives the residual stream to a direction of its own, which is another one in the coordinates of each copy: even without noise this is not what it does without copies. "
		                  "Copies published with --reparam paper or none keep it",
		        j->method);
}

double ul_mpu_processor(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool ul_mpu_unlearn(void *ud, ul_model *copy, int k, ul_err *err)
{
	ul_mpu_job *j = ud;
	char text[96];
	if (j->progress && j->progress->note && j->copies > 1) {
		snprintf(text, sizeof text, "round %d: unlearning copy %d of %d", j->round, k + 1, j->copies);
		j->progress->note(j->progress->ud, text);
	}
	double began = ul_mpu_processor();
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
		j->processor += ul_mpu_processor() - began;
	}
	ul_run_free(r);
	return ok;
}
