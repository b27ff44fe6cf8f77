/*
 * release.c: forgetting by repeated subtraction (Reveal and Release, Zhu et al. 2025, arXiv 2509.14624, stage 2). In each iteration an
 * adapter F learns what the model reveals, perhaps another, R, what it is to keep, and
 *
 *     θ ← θ - λ F + λ_R R                          or, by Ext-Sub, less only what F does not share with R
 *
 * with the largest λ of a line that leaves utility within its budget, of which iteration t of T may have spent t/T: many small subtractions
 * instead of a large one. Then the model is asked again. The formula, λ, rank and number of
 * iterations are not published; this is the task-vector form that fits what is. Nothing is merged on the way: every iteration is an adapter
 * on top of the last, so that λ = 0 changes no bit and a bad iterate is taken off again.
 */
#include "model/lora_stack.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

enum { JUDGED = 4 /* every fourth retain row says what utility is; a retain adapter learns from the others */ };

struct config {
	int64_t iterations, line, rank;
	double lambda, lambda_retain, budget, target, orthogonal;
	bool ext_sub;
};

/* ---- an adapter that learns ---- */

struct lesson {
	double orthogonal;
};

/* Σ |A_before A_nowᵀ| over the modules of the adapter being trained (O-LoRA, Wang et al. 2023, arXiv 2310.14152); only A, and what was there
 * before gets no gradient. NULL when nothing was. */
static ul_val *orthogonality(ul_run *r)
{
	ul_val *sum = NULL;
	for (int i = 0; i < r->model->params; i++) {
		const ul_lora *now = r->model->param[i]->lora;
		if (!now || !now->a->trainable)
			continue;
		for (const ul_lora *l = now->next; l; l = l->next) {
			ul_val *x = ul_linear(ul_leaf_param(&r->tape, l->a), now->a, NULL); /* [before, now] */
			x = ul_sum(ul_map_fn(x, UL_ABS));
			sum = sum ? ul_add(sum, x) : x;
		}
	}
	return sum;
}

static ul_val *lesson_loss(ul_run *r, const void *config)
{
	const struct lesson *c = config;
	ul_val *nll = ul_term(r, "nll", ul_nll(r, &r->forget)), *o = c->orthogonal > 0 ? orthogonality(r) : NULL;
	return o ? ul_add(nll, ul_scale(ul_term(r, "orthogonality", ul_scale(o, 1.0 / r->micros)), c->orthogonal)) : nll;
}

static const ul_method lesson = {.name = "release", .loss = lesson_loss};

/* The steps of a lesson are the run's own: journal and progress see one line of them. */
static void tell(ul_run *r, const ul_run *s)
{
	r->step++;
	r->loss = s->loss;
	r->grad_norm = s->grad_norm;
	r->lr = s->lr;
	r->tokens += s->total[UL_FORGET].labels;
	r->terms = s->terms;
	memcpy(r->term, s->term, sizeof r->term);
}

/* A new adapter on top of the model learns the rows of d. */
static bool learn(ul_run *r, ul_dataset *d, double orthogonal, bool *stopped, ul_err *err)
{
	struct lesson c = {.orthogonal = orthogonal};
	ul_run s = {.model = r->model, .method = &lesson, .config = &c, .train = r->train, .data = {d}, .progress = r->progress};
	double before = 0;
	s.train.eval = NULL;
	s.train.seed = r->train.seed + ul_lora_depth(r->model); /* an adapter that began like another would overlap with it */
	bool ok = ul_loop_begin(&s, err);
	while (ok && s.step < s.steps && !*stopped) {
		*stopped = r->progress && r->progress->stop && r->progress->stop(r->progress->ud);
		if (*stopped)
			break;
		ok = ul_loop_step(&s, err);
		if (ok) {
			tell(r, &s);
			ok = ul_journal_step(r, s.seconds - before, err);
			r->seconds += s.seconds - before;
			before = s.seconds;
		}
	}
	ul_loop_end(&s);
	return ok;
}

/* ---- what is measured ---- */

static bool mean_nll(ul_model *m, ul_dataset *d, double *out, ul_err *err)
{
	ul_scores s = {0};
	double sum = 0;
	if (!ul_score(m, d, 0, &s, NULL, err))
		return false;
	for (int i = 0; i < s.n; i++)
		sum += s.row[i].nll;
	*out = s.tokens ? sum / (double)s.tokens : 0;
	ul_scores_release(&s);
	return true;
}

struct release {
	ul_run *r;
	const struct config *c;
	ul_arena arena;
	ul_dataset learnt, judged; /* of the retain rows; texts borrowed from them */
	double begun, utility; /* mean NLL of the judged rows, at first and now */
	double relevance; /* of the model as it is */
	double best; /* relevance of the best iterate, and how many adapters it has */
	int best_depth, floor; /* floor: adapters that were there before */
	double total; /* λ so far */
	double share; /* of the budget that may be spent by now */
	bool stopped;
};

/* Rows n of d with n % JUDGED == 0 (or all others) as a data set of its own. */
static bool view(struct release *x, ul_dataset *out, ul_dataset *d, bool judged, ul_err *err)
{
	*out = (ul_dataset){.shape = d->shape, .row = ul_alloc(&x->arena, ((size_t)d->n + 1) * sizeof *out->row)};
	for (int i = 0; out->row && i < d->n; i++)
		if ((i % JUDGED == 0) == judged || d->n < JUDGED)
			out->row[out->n++] = d->row[i];
	return out->row || ul_nomem(err, (size_t)d->n * sizeof *out->row);
}

static bool has_utility(const struct release *x)
{
	return x->judged.n > 0;
}

static bool within(const struct release *x, double utility)
{
	return !has_utility(x) || utility - x->begun <= log1p(x->c->budget) * x->share;
}

/* ---- the line ---- */

/* How B of the adapter on top was before λ. */
static double **keep_b(const ul_adapter *ad, ul_arena *mem)
{
	double **b = ul_alloc(mem, ((size_t)ad->params + 1) * sizeof *b);
	for (int k = 1; b && k < ad->params; k += 2) {
		b[k] = ul_alloc(mem, (size_t)ad->param[k]->rows * (size_t)ad->param[k]->cols * sizeof **b);
		if (b[k])
			ul_param_get(ad->param[k], b[k]);
	}
	return mem->failed ? NULL : b;
}

static bool put_b(ul_adapter *ad, double *const *b, double by, ul_err *err)
{
	for (int k = 1; k < ad->params; k += 2)
		ul_param_set(ad->param[k], b[k]);
	return ul_lora_scale(ad, by, err);
}

/* The model with λ: F is scaled in place; R lies below it as it is to be added. */
static bool try_lambda(struct release *x, double *const *f, double lambda, double *utility, ul_err *err)
{
	if (!put_b(x->r->model->adapter, f, -lambda, err))
		return false;
	*utility = x->utility;
	return !has_utility(x) || mean_nll(x->r->model, &x->judged, utility, err);
}

/* The largest λ, going up, that the budget bears; 0 when the smallest breaks it. F stands at it afterwards. */
static bool search(struct release *x, double *lambda, ul_err *err)
{
	ul_arena mem = {0};
	double *const *f = keep_b(x->r->model->adapter, &mem), utility = x->utility, found = x->utility;
	bool ok = f || ul_nomem(err, 64);
	*lambda = 0;
	for (int64_t i = 1; ok && i <= x->c->line; i++) {
		double at = x->c->lambda * (double)(has_utility(x) ? i : x->c->line) / (double)x->c->line;
		ok = try_lambda(x, f, at, &utility, err);
		if (!ok || !within(x, utility))
			break;
		*lambda = at;
		found = utility;
		if (!has_utility(x))
			break;
	}
	ok = ok && put_b(x->r->model->adapter, f, -*lambda, err);
	x->utility = found;
	ul_arena_release(&mem);
	return ok;
}

/* ---- an iteration ---- */

/* The line has found λ with all of F, which is turned back; what it shares with R is now spared. */
static bool ext_sub(struct release *x, double lambda, ul_err *err)
{
	ul_model *m = x->r->model;
	return ul_lora_scale(m->adapter, -1 / lambda, err) && ul_lora_ext_sub(m, lambda, err) && mean_nll(m, &x->judged, &x->utility, err);
}

static bool note_iteration(struct release *x, int iteration, double lambda, double before, double after, const double shared[2], ul_err *err)
{
	json_t *line = json_pack("{s:i, s:f, s:f, s:f, s:i}", "iteration", iteration, "lambda", lambda, "forget_nll_before", before, "forget_nll_after", after, "rows", x->r->data[UL_FORGET]->n);
	if (!line)
		return ul_nomem(err, 256);
	json_object_set_new(line, "relevance", ul_json_number(x->relevance));
	if (has_utility(x))
		json_object_set_new(line, "utility_nll", ul_json_number(x->utility));
	if (x->c->lambda_retain > 0) {
		json_object_set_new(line, "interference", ul_json_number(shared[0]));
		json_object_set_new(line, "overlap", ul_json_number(shared[1]));
	}
	return ul_journal_note(x->r, line, err);
}

static bool train_modules(struct release *x, bool retain, ul_err *err)
{
	ul_run *r = x->r;
	double orthogonal = x->c->orthogonal;
	ul_arena mem = {0};
	double *const *kept = NULL;
	bool ok = !retain || learn(r, &x->learnt, orthogonal, &x->stopped, err);
	if (retain && ok) { /* F learns on the model without R */
		kept = keep_b(r->model->adapter, &mem);
		ok = (kept || ul_nomem(err, 64)) && put_b(r->model->adapter, kept, 0, err);
	}
	ok = ok && (x->stopped || learn(r, r->data[UL_FORGET], orthogonal, &x->stopped, err));
	if (retain && ok && !x->stopped)
		ok = put_b(r->model->adapter->below, kept, 1, err);
	ul_arena_release(&mem);
	return ok;
}

static bool iterate(struct release *x, int iteration, double *lambda, ul_err *err)
{
	ul_run *r = x->r;
	bool retain = x->c->lambda_retain > 0;
	double before = 0, after = 0, shared[2] = {0, 0};
	if (!mean_nll(r->model, r->data[UL_FORGET], &before, err) || !train_modules(x, retain, err) || x->stopped)
		return x->stopped;
	if (retain && !ul_lora_interference(r->model, &shared[0], &shared[1], err))
		return false;
	if (retain && !x->c->ext_sub && !ul_lora_scale(r->model->adapter->below, x->c->lambda_retain, err))
		return false;
	if (!search(x, lambda, err))
		return false;
	if (retain && !(x->c->ext_sub && *lambda > 0 ? ext_sub(x, *lambda, err) : ul_lora_fold(r->model, 2, err)))
		return false;
	if (!retain && *lambda == 0)
		ul_lora_detach(r->model);
	if (!mean_nll(r->model, r->data[UL_FORGET], &after, err))
		return false;
	x->total += *lambda;
	return note_iteration(x, iteration, *lambda, before, after, shared, err);
}

/* Asks the model again, or where nobody can, takes the probability it gives the rows. */
static bool measure(struct release *x, int iteration, ul_err *err)
{
	double nll;
	if (x->r->renew)
		return x->r->renew(x->r, iteration, &x->relevance, err) && ul_loop_tokenize(x->r, x->r->data[UL_FORGET], "forget", err);
	if (!mean_nll(x->r->model, x->r->data[UL_FORGET], &nll, err))
		return false;
	x->relevance = exp(-nll);
	return true;
}

static void say(const ul_run *r, const char *text)
{
	if (r->progress && r->progress->note)
		r->progress->note(r->progress->ud, text);
}

static void judge(struct release *x)
{
	if (isnan(x->relevance) || isnan(x->best) || x->relevance < x->best) {
		x->best = x->relevance;
		x->best_depth = ul_lora_depth(x->r->model);
	}
}

/* A scorer that has died, or whatever else keeps the model from being asked, costs no iterate that was judged before. */
static bool keep_earlier(struct release *x, int iteration, ul_err *err)
{
	const ul_progress *p = x->r->progress;
	if (x->best_depth == x->floor || (p && p->stop && p->stop(p->ud)))
		return false;
	ul_fail(&x->r->unmet, "iteration %d could not be judged, and the best one before it is kept: %s", iteration, err->msg);
	*err = (ul_err){0};
	x->relevance = NAN; /* nobody knows */
	return true;
}

static bool iterations(struct release *x, ul_err *err)
{
	char text[200];
	judge(x);
	for (int i = 1; i <= x->c->iterations && !x->stopped; i++) {
		double lambda = 0;
		x->share = (double)i / (double)x->c->iterations;
		if (!iterate(x, i, &lambda, err))
			return false;
		if (x->stopped)
			return true;
		if (lambda == 0) {
			snprintf(text, sizeof text, "iteration %d: no λ of the line keeps the retain rows within the budget: nothing is subtracted", i);
			say(x->r, text);
			continue;
		}
		if (!measure(x, i, err))
			return keep_earlier(x, i, err);
		judge(x);
		snprintf(text, sizeof text, "iteration %d: λ %.3g, relevance %.3f, retain NLL %+.4f", i, lambda, x->relevance, x->utility - x->begun);
		say(x->r, text);
		if (x->r->data[UL_FORGET]->n == 0 || x->relevance <= x->c->target)
			break;
	}
	return true;
}

/* The best iterate as one adapter. One that changes nothing takes its place where none helped. */
static bool settle(struct release *x, ul_err *err)
{
	ul_run *r = x->r;
	double kept = 1;
	char text[160];
	int depth = ul_lora_depth(r->model);
	for (; depth > x->best_depth; depth--)
		ul_lora_detach(r->model);
	if (depth == x->floor) {
		ul_lora_config blank;
		if (x->total > 0)
			ul_fail(&r->unmet, "no iteration within the budget revealed less than the model began with: the result changes nothing");
		else
			ul_fail(&r->unmet, "no λ keeps the retain rows within --budget %g: nothing is subtracted, the result changes nothing", x->c->budget);
		if (!ul_lora_parse(r->train.lora, &blank, &x->arena, err) || !ul_lora_attach(r->model, &blank, 0, err))
			return false;
	} else if (!ul_lora_fold(r->model, depth - x->floor, err)) {
		return false;
	}
	if (x->c->rank > 0 && !ul_lora_truncate(r->model, (int)x->c->rank, &kept, err))
		return false;
	if (x->c->rank > 0) {
		snprintf(text, sizeof text, "an adapter of rank %d keeps %.4g of the squared update of the module it suits least", (int)x->c->rank, kept);
		say(r, text);
	}
	return ul_journal_note(r, json_pack("{s:i, s:f, s:f, s:f, s:o}", "kept_iterations", depth - x->floor, "lambda_total", x->total, "begun_nll", x->begun, "kept_share", kept, "relevance", ul_json_number(x->relevance)), err);
}

static bool prepare(struct release *x, ul_err *err)
{
	ul_run *r = x->r;
	if (x->c->ext_sub && !(x->c->lambda_retain > 0))
		return ul_fail(err, "--ext-sub subtracts what a retain adapter does not share: --lambda-retain is 0");
	if (x->c->lambda_retain > 0 && !r->data[UL_RETAIN])
		return ul_fail(err, "a retain adapter needs retain rows (--retain F or --retain self)");
	if (!r->data[UL_RETAIN]) {
		say(r, "there are no retain rows: λ is taken as given, nothing bounds what is lost");
		return true;
	}
	return view(x, &x->judged, r->data[UL_RETAIN], true, err) && view(x, &x->learnt, r->data[UL_RETAIN], false, err) && mean_nll(r->model, &x->judged, &x->begun, err);
}

static bool run(ul_run *r, const void *config, ul_err *err)
{
	struct release x = {.r = r, .c = config, .relevance = r->relevance, .best = INFINITY};
	r->params = 0; /* the loop's own adapter is not used: each lesson brings one */
	ul_lora_detach(r->model);
	x.floor = ul_lora_depth(r->model);
	r->steps = r->steps * x.c->iterations * (x.c->lambda_retain > 0 ? 2 : 1);
	bool ok = prepare(&x, err) && (r->renew || measure(&x, 0, err));
	x.utility = x.begun;
	ok = ok && iterations(&x, err);
	if (ok && x.stopped)
		r->stopped = true; /* the state of the beginning lies there */
	else
		ok = ok && settle(&x, err);
	ul_arena_release(&x.learnt.arena);
	ul_arena_release(&x.judged.arena);
	ul_arena_release(&x.arena);
	return ok;
}

static const ul_opt opts[] = {
        {"iterations", UL_OPT_INT, offsetof(struct config, iterations), "5", 1, 1000, NULL, "revelations and subtractions at most", "N"},
        {"lambda", UL_OPT_REAL, offsetof(struct config, lambda), "1", 0, 1e3, NULL, "λ, the most that is subtracted of an adapter", "X"},
        {"line", UL_OPT_INT, offsetof(struct config, line), "10", 1, 1000, NULL, "values of λ that are tried, from λ/N up to λ", "N"},
        {"budget", UL_OPT_REAL, offsetof(struct config, budget), "0.05", 0, 1e3, NULL, "share by which the perplexity of the retain rows may rise, in equal parts over the iterations", "X"},
        {"target", UL_OPT_REAL, offsetof(struct config, target), "0.02", 0, 1, NULL, "relevance of what is revealed that ends the run", "X"},
        {"lambda-retain", UL_OPT_REAL, offsetof(struct config, lambda_retain), "0", 0, 1e3, NULL, "how much of an adapter that learnt the retain rows is added; 0 trains none", "X"},
        {"orthogonal", UL_OPT_REAL, offsetof(struct config, orthogonal), "0.5", 0, 1e3, NULL, "weight of the O-LoRA term against all adapters before", "X"},
        {"ext-sub", UL_OPT_BOOL, offsetof(struct config, ext_sub), "no", 0, 0, NULL, "subtract only what the forget adapter does not share with the retain adapter", NULL},
        {"rank", UL_OPT_INT, offsetof(struct config, rank), "0", 0, 65536, NULL, "rank of the result, by truncation; 0 keeps the sum of all ranks", "N"},
        {0},
};

static const ul_setting defaults[] = {{"lora", "r=16,alpha=32,target=all-linear"}, {"lr", "1e-4"}, {NULL, NULL}};

const ul_method ul_method_release = {
        .name = "release",
        .title = "Subtracting again and again what the model reveals",
        .paper = "Zhu et al. 2025, Reveal and Release: Iterative LLM Unlearning with Self-generated Data, arXiv 2509.14624",
        .notes = "Known: forget and retain modules trained on what the model reveals, small subtractions, repeated; O-LoRA's term between them. Reconstructed: λ by a line "
                 "search under a budget of utility, ranks, learning rates, when to stop. With rows of a file nothing is revealed anew, and their probability takes the place of "
                 "relevance. Every fourth retain row judges, the others teach. The result is one adapter; an interrupted run begins its iterations again.",
        .needs = UL_NEEDS_LORA | UL_USES_RETAIN,
        .config = sizeof(struct config),
        .opts = opts,
        .defaults = defaults,
        .loss = lesson_loss,
        .run = run,
};
