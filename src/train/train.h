/*
 * train.h: the shared loop, the state it keeps, and the plug-in table of a method.
 *
 * each step    batch ─► method.loss ─► backward ─► clip ─► optimiser ─► one line of journal.jsonl
 */
#ifndef UL_TRAIN_H
#define UL_TRAIN_H

#include "base/option.h"
#include "data/data.h"
#include "model/lora.h"

/* ---- settings every training verb shares (one option table: ul_train_opts) ---- */

enum { UL_OPTIM_ADAMW,
	UL_OPTIM_SGD };
enum { UL_SCHED_LINEAR,
	UL_SCHED_COSINE,
	UL_SCHED_CONSTANT };
enum { UL_RETAIN_NLL,
	UL_RETAIN_KL };
enum { UL_RECOMPUTE_AUTO,
	UL_RECOMPUTE_YES,
	UL_RECOMPUTE_NO };
enum { UL_TRAIN_CLEAN,
	UL_TRAIN_OPEN_UNLEARNING }; /* compat: whose executed behaviour is followed where it departs from the formula */

typedef struct ul_train_config {
	double epochs; /* of the forget (or training) data */
	int64_t steps; /* overrides epochs when > 0 */
	double lr; /* 0 = 1e-5 full, 1e-4 with LoRA, 1e-3 from random weights: filled in at the start */
	int64_t batch; /* rows per optimiser step */
	int64_t batch_tokens; /* overrides batch when > 0 */
	int64_t accumulate; /* micro-batches per optimiser step */
	int optim; /* UL_OPTIM_* */
	double beta1, beta2, eps, weight_decay, momentum;
	int schedule;
	double warmup; /* steps when >= 1, a share of all steps below 1; first step at lr·1/warmup, not 0 */
	double clip; /* global gradient norm, 0 = off */
	const char *lora; /* "r=8,alpha=16,target=all-linear" or NULL = full */
	const char *layers; /* trainable layers "0-3,5", NULL = all */
	int64_t max_length;
	const char *templ, *map;
	int eos; /* UL_EOS_*: where the end token is appended */
	int retain_loss; /* UL_RETAIN_* */
	int recompute; /* UL_RECOMPUTE_*: blocks keep only their input */
	int64_t memory; /* MiB that the process may take, 0 = 300 MB for what blocks keep */
	const char *idk; /* file of refusals, one a line; NULL = the built-in ones */
	int compat; /* UL_TRAIN_* */
	int64_t seed;
	int64_t checkpoint_every; /* steps between states; 0 = only when stopped */
	int64_t eval_every; /* steps; 0 = once an epoch */
	const char *eval; /* data file evaluated during the run, or NULL */
} ul_train_config;
extern const ul_opt ul_train_opts[];

/* ---- the run ---- */

typedef struct ul_method ul_method;
typedef struct ul_refcache ul_refcache; /* train/reference.c: what the frozen reference said about each row, computed once */
typedef struct ul_optim ul_optim; /* train/optim: moments of every trainable parameter */

enum ul_stream { UL_FORGET,
	UL_RETAIN,
	UL_ALT,
	UL_STREAMS }; /* ALT: refusals (idk), or what a method pairs with forget */

/* What one optimiser step holds of a stream, over all its micro-batches: the means of losses divide by these, so that
 * accumulation over N micro-batches is the same loss as one batch, not a mean of means. */
typedef struct ul_totals {
	int64_t labels, seqs, spots;
} ul_totals;

struct ul_run {
	ul_arena arena;
	ul_model *model;
	ul_model *ref; /* full training: a frozen copy, made only if the method needs one; LoRA: NULL (adapters off) */
	const ul_method *method;
	void *config; /* of the method, filled from its options */
	ul_train_config train;
	ul_dataset *data[UL_STREAMS]; /* NULL where absent; owned by whoever made the run */
	ul_sampler sampler[UL_STREAMS];
	ul_batch forget, retain, alt; /* of this step */
	ul_totals total[UL_STREAMS];
	ul_tape tape;
	ul_tape ref_tape; /* values only: passes of the frozen reference */
	ul_arena step_arena; /* batches of this step */
	ul_refcache *cache[UL_STREAMS];
	struct ul_lower *lower; /* train/lower.c: states below the lowest trained block, or NULL where that is the first */
	ul_param **param; /* trainable ones */
	int params;
	ul_optim *optim;
	int64_t step, steps;
	int micro, micros; /* micro-batch of this step, and how many it has */
	int *item[UL_STREAMS]; /* rows of this step, in the order they were drawn */
	int items;
	struct {
		const char *name;
		double value;
	} term[8]; /* what the journal says beside the loss */
	int terms;
	double loss, grad_norm, lr;
	int64_t tokens; /* that carried a label, so far */
	double seconds; /* of training, over all sittings */
	bool from_scratch; /* random weights: only the default of lr depends on it */
	bool own_alt, own_ref; /* the refusals, the clone were made here */
	ul_dataset *eval; /* of --eval, or NULL */
	bool stopped; /* progress->stop asked for it, and the state was saved */
	bool last; /* a method asks that this step be the last one */
	void *state; /* the method's own, from begin() */
	bool (*watch)(ul_run *r, bool *end, ul_err *err); /* asked at every evaluation point whether the run shall end; or NULL */
	const char *dir; /* where journal and state go, NULL = nowhere */
	const ul_progress *progress;
	/* Forget rows are made again, by their source, from the model as it is now; *relevance: how much of what it looks for the model still
	 * says, NAN where the source does not measure that. No row at all is no failure. NULL when the rows came from a file. */
	bool (*renew)(ul_run *r, int round, double *relevance, ul_err *err);
	double relevance; /* of the rows it began with, or NAN */
	ul_err unmet; /* done, but not what was asked for: says what */
	json_t *origin; /* what to start again from, kept beside the state; borrowed, or NULL */
	FILE *journal;
};

/* ---- a method: one file under methods/ ---- */

enum {
	UL_NEEDS_REF = 1, /* frozen reference of the start */
	UL_NEEDS_RETAIN = 2, /* refuses to start without retain rows */
	UL_NEEDS_LORA = 4,
	UL_NEEDS_ALT = 8, /* refusals: rows of the forget prompts with another answer */
	UL_USES_RETAIN = 16, /* takes them when they are there */
	UL_ALL_TOKENS = 32, /* every token of a row is predicted, not only the labelled ones */
	UL_NEEDS_SPANS = 64, /* rows must say where the personal data are */
	UL_ALT_ALIGNED = 256, /* of forget rows and their alternatives only tokens that stand in both are labelled */
	UL_FIXED_DIRECTION = 512, /* draws a direction in the coordinates of the residual stream: another one after they are turned */
	UL_NEEDS_REF_PASS = 128, /* hidden states of the reference during the run: full training keeps a frozen copy */
};

struct ul_method {
	const char *name, *title, *paper;
	const char *notes; /* what is known, what is reconstructed, where it departs from the paper */
	unsigned needs;
	size_t config;
	const ul_opt *opts;
	const ul_setting *defaults; /* training settings the method prefers, NULL-key terminated, or NULL */
	bool (*alternatives)(ul_run *r, ul_err *err); /* optional: makes r->data[UL_ALT], one row for each forget row; without it they are refusals */
	bool (*begin)(ul_run *r, void *config, ul_err *err); /* optional: masks, adapters, control vectors */
	bool (*trains)(const ul_run *r, const void *config, const ul_param *p); /* optional: narrows full training to some parameters */
	ul_val *(*loss)(ul_run *r, const void *config); /* most methods are only this */
	bool (*run)(ul_run *r, const void *config, ul_err *err); /* instead: closed-form edits, arithmetic, outer loops */
	void (*end)(ul_run *r, void *config); /* optional: frees what begin made */
};
extern const ul_method *const ul_methods[]; /* generated registry, NULL-terminated */
const ul_method *ul_method_find(const char *name, ul_err *err); /* names the nearest known one */

/* ---- the loop ---- */

/* The caller has set model, method, config, train, data[], dir, progress. Checks needs, tokenizes, makes the trainable set,
 * fills reference caches, calls method->begin. On failure the caller still calls ul_loop_end. */
bool ul_loop_begin(ul_run *r, ul_err *err);
/* The rows of this step are drawn, then every micro-batch: pack ─► loss ─► backward; then clip and update. */
bool ul_loop_step(ul_run *r, ul_err *err);

/* memory.c: how many blocks are run again in backward. At the start by what they would keep; with --memory all of them until the first step has
 * shown what the rest takes, which is refused where it is more than the limit. */
void ul_memory_begin(ul_run *r);
bool ul_memory_measured(ul_run *r, ul_err *err);
/* Steps until done or progress->stop (then the state is saved and *stopped is set). */
bool ul_loop_run(ul_run *r, bool *stopped, ul_err *err);
void ul_loop_end(ul_run *r);
/* Packs the given rows as the batch of a stream, with the totals of that batch: what tests and closed-form methods use. */
/* Rows that came after the beginning, as the others were: what a method with rows of its own calls before it scores them. */
bool ul_loop_tokenize(ul_run *r, ul_dataset *d, const char *what, ul_err *err);
bool ul_loop_pack(ul_run *r, enum ul_stream s, const int *item, int n, ul_err *err);
/* select.c: parameters that this run trains, into r->param, gradients allocated. */
bool ul_select_params(ul_run *r, ul_err *err);
bool ul_layer_listed(const char *list, int layer); /* "0-3,5"; NULL lists all */
int ul_param_layer(const ul_param *p); /* number of its block, -1 = outside the blocks */
/* strangers.c: r->data[UL_ALT] = the forget rows about people who are not there, named after people of the retain rows where those name enough. */
bool ul_strangers_make(ul_run *r, ul_err *err);
/* align.c: labels only where row i of both holds the same token, in the same order. */
bool ul_align_labels(ul_dataset *a, ul_dataset *b, ul_err *err);
/* refusals.c: r->data[UL_ALT] = the forget prompts, each with a refusal. */
bool ul_refusals_make(ul_run *r, ul_err *err);
/* journal.c: opened at the first line, when lines of steps that a resumed run makes again are dropped */
bool ul_journal_step(ul_run *r, double seconds, ul_err *err);
bool ul_journal_note(ul_run *r, json_t *line, ul_err *err); /* a line of a method's own, with "step" added; takes the reference */
bool ul_journal_eval(ul_run *r, double nll, int64_t tokens, ul_err *err);

/* ---- optimisers: one file each under optim/ ---- */

typedef struct ul_optim_def {
	const char *name;
	int moments; /* buffers of the parameter's size: 0, 1 or 2 */
	void (*update)(ul_optim *o, int i, ul_param *p, double lr, double gscale);
} ul_optim_def;
struct ul_optim {
	const ul_optim_def *def;
	const ul_train_config *c;
	int64_t t; /* updates made */
	int params;
	ul_param **param;
	void **moment[2]; /* [params] backend elements */
};
ul_optim *ul_optim_new(const ul_train_config *c, ul_param **param, int params, ul_err *err);
void ul_optim_free(ul_optim *o);
void ul_optim_update(ul_optim *o, double lr, double gscale);
double ul_grad_norm(ul_param *const *param, int params); /* over all of them together */
void ul_grad_zero(ul_param *const *param, int params);

/* reference.c */
ul_refcache *ul_refcache_new(int rows, ul_err *err);
void ul_refcache_free(ul_refcache *c);
bool ul_lower_begin(ul_run *r, ul_err *err); /* once the trained parameters are chosen */
void ul_lower_end(ul_run *r);
bool ul_refcache_fill(ul_run *r, enum ul_stream s, ul_err *err); /* Σ log p of every row, before the first step */

double ul_schedule(const ul_train_config *c, int64_t step, int64_t steps); /* lr of step 0, 1, … */

/* checkpoint.c: state/ below r->dir, written aside and renamed. Resumed = uninterrupted, bit for bit. */
bool ul_state_save(const ul_run *r, ul_err *err);
bool ul_state_load(ul_run *r, const char *dir, ul_err *err);
/* What is trained, alone, in one file: the best step of a run that watches itself. */
bool ul_params_save(const ul_run *r, const char *path, ul_err *err);
bool ul_params_load(ul_run *r, const char *path, ul_err *err);

/* Plain cross-entropy on the forget stream: what `unlearn train` minimises. Not in the registry of methods. */
extern const ul_method ul_finetune;

/* ---- the words methods are written with (losses.c, reference.c) ---- */

ul_val *ul_token_logp(ul_run *r, ul_model *m, const ul_batch *b); /* [labels, 1]: log p of each labelled token */
ul_val *ul_token_logp_stats(ul_run *r, ul_model *m, const ul_batch *b, const ul_head_stats *want);
ul_val *ul_seq_sum(ul_val *token, const ul_batch *b); /* [seqs, 1] */
ul_val *ul_seq_mean(ul_val *token, const ul_batch *b); /* [seqs, 1]: sum / number of labels */
ul_val *ul_nll(ul_run *r, const ul_batch *b); /* [1, 1]: mean over the labelled tokens of the step */
ul_val *ul_token_mean(ul_run *r, ul_val *token, const ul_batch *b); /* [labels,1] -> [1,1]: Σ / labels of the whole step */
ul_val *ul_row_mean(ul_run *r, ul_val *row, const ul_batch *b); /* [seqs,1] -> [1,1]: Σ / sequences of the whole step */
ul_totals ul_batch_totals(const ul_run *r, const ul_batch *b); /* of the step when b is one of r's batches, else of b */
ul_val *ul_cached_ref(ul_run *r, const ul_batch *b); /* [seqs, 1]: Σ log p under the reference, computed once per row */
ul_val *ul_kl_to_ref(ul_run *r, const ul_batch *b); /* [1, 1]: mean over labelled tokens of KL(ref ‖ model) */
ul_val *ul_kl_to_ref_of(ul_run *r, const ul_batch *b, const ul_batch *said); /* [1, 1]: KL to what the reference says in rows with as many labels */
ul_val *ul_soft_ce_to_ref(ul_run *r, const ul_batch *b, double drop); /* [1, 1]: CE to softmax(z_ref - drop·onehot) */
/* The retain term by --retain-loss (nll or kl) on r->retain, recorded as "retain"; NULL-safe: without retain rows a constant 0. */
ul_val *ul_retain(ul_run *r);
/* forget·x + retain·L_R, both recorded; a weight of 0 or missing rows cost no pass. */
ul_val *ul_forget_retain(ul_run *r, ul_val *x, double forget, double retain);
/* Nothing in front of the first token is masked: frameworks then label the first token too, though nothing predicts it. */
bool ul_row_whole(const ul_row *row);
ul_val *ul_term(ul_run *r, const char *name, ul_val *x); /* notes the value for the journal; returns x */
/* Hidden states at the output of block `layer` for all rows of b; the pass stops there. With `reference` from the frozen start. */
ul_val *ul_hidden(ul_run *r, const ul_batch *b, int layer, bool reference); /* [rows, hidden] */

/* ---- scoring: one teacher-forced pass (score.c) ---- */

enum { UL_WANT_ARGMAX = 1,
	UL_WANT_MOMENTS = 2,
	UL_WANT_GRADNORM = 4 };
typedef struct ul_row_score {
	int n; /* labelled tokens */
	double nll; /* sum over them */
	double *logp; /* [n] */
	int *target, *argmax; /* [n]; argmax with UL_WANT_ARGMAX */
	double *mean, *var; /* [n] with UL_WANT_MOMENTS: of log p under p */
	unsigned char *spot; /* [n] token overlaps a span */
	double grad_norm; /* UL_WANT_GRADNORM: mean over parameter tensors of ‖∂ mean NLL‖₂ */
} ul_row_score;
typedef struct ul_scores {
	ul_arena arena;
	ul_row_score *row;
	int n;
	int64_t tokens;
	double seconds;
} ul_scores;
bool ul_score(ul_model *m, const ul_dataset *d, unsigned want, ul_scores *out, const ul_progress *p, ul_err *err);
void ul_scores_release(ul_scores *s);
/* Long texts in windows: stride tokens are scored per window of `window`, the rest is context. */
bool ul_score_windows(ul_model *m, const int *ids, int n, int window, int stride, double *nll, int64_t *tokens, ul_err *err);

#endif
