/*
 * api.h: the run behind unlearn.h, as the command line sees it too: settings in, one run folder out.
 */
#ifndef UL_API_H
#define UL_API_H

#include "base/confine.h"
#include "base/file.h"
#include "data/annotator.h"
#include "sources/source.h"
#include "train/train.h"

/* What a run is made of beside the training settings. `unlearn train` fills `data`, `unlearn run` the others. */
typedef struct ul_job_config {
	const char *data; /* train */
	const char *init, *tokenizer; /* train from random weights: preset or config.json, folder of a tokenizer */
	int64_t train_tokenizer; /* tokens of a tokenizer learnt from the data, 0 = none */
	const char *forget, *source, *retain, *subjects; /* run */
	const char *recipe; /* run: the name of a combination of settings */
	const char *stop, *bound, *general; /* run: conditions on audits, and public text to measure them on */
	const char *output, *resume, *adapter;
	int64_t invent; /* run: retain rows that are copies of forget rows with invented values */
	const char *annotator; /* run: a command that marks personal data */
	double annotator_seconds;
	bool data_free; /* run: the process confines itself before the model is opened */
	bool keep_data, force;
} ul_job_config;
extern const ul_opt ul_train_job_opts[], ul_run_job_opts[];

typedef struct ul_watch ul_watch; /* watch.c: the conditions of --stop and --bound */
typedef struct ul_job {
	ul_run run; /* first: a ul_run * is a ul_job * */
	ul_arena arena;
	ul_job_config cfg;
	ul_setting *setting; /* all of them, owned */
	size_t settings;
	const ul_opt *job_opts;
	const ul_source *source; /* NULL when the rows come from a file */
	void *source_config;
	ul_dataset data[UL_STREAMS];
	json_t *origin, *summary; /* what resuming needs; what the source says about its rows */
	int overlap; /* forget rows that also stand in the retain data */
	bool had_adapter; /* an adapter was merged before the run: the result is a whole model */
	int64_t trained; /* parameters */
	int trained_tensors;
	bool begun, saved;
	bool made; /* the folder was not there before */
	int lock; /* on the folder, from before the first step on; -1: none */
	ul_stage begin; /* inside the folder, until the run can begin: run.dir points there meanwhile */
	char started[32];
	ul_annotator *annotator; /* NULL: the built-in recognisers alone */
	ul_confined confined;
	ul_grant *grant; /* [grants] what a confined run may still reach */
	int grants;
	ul_watch *watch; /* NULL without conditions */
	json_t *told; /* a few of the rows_told rows that the source made at first, redacted, for the record; or NULL */
	int rows_told;
	json_t *subjects; /* what is still said of each of cfg.subjects, or NULL */
	double wall; /* seconds of earlier sittings and of this one */
} ul_job;

/* A run of plain fine-tuning; the counterpart of ul_run_new. */
ul_run *ul_train_new(ul_model *m, const ul_setting *settings, size_t n, ul_err *err);

/* ul_model_save, in the place of the model that lies there if `force`: that one goes only when the new one is whole. */
bool ul_model_put(ul_model *m, const char *dir, bool force, ul_err *err);

/* init.c: a model of random weights, with the tokenizer of `tokenizer` or one learnt from `data`. */
ul_model *ul_model_init(const ul_job_config *c, const char *map, uint64_t seed, ul_err *err);

/* The two halves of ul_run_new, for the program: settings first, before there is a model (the source starts its commands, the annotator
 * runs); then, between them, outset.c confines the process if the run is data-free. On a failure the caller frees the run. */
ul_run *ul_run_plan(const char *method, const ul_setting *settings, size_t n, ul_err *err);
bool ul_run_outset(ul_run *r, const char *model, const char *adapter, const ul_progress *p, ul_err *err);
bool ul_run_equip(ul_run *r, ul_model *m, ul_err *err);
json_t *ul_outset_json(const ul_job *j); /* for run.json */

/* recipe.c: the settings of --recipe, put in front of the given ones; the method it brings, or NULL (with err: no such recipe). */
bool ul_recipe_expand(ul_job *j, ul_err *err);
const char *ul_recipe_method(const ul_setting *s, size_t n, ul_err *err);

/* resume.c: what lies in DIR/state of an unfinished run. The caller owns the object. */
json_t *ul_resume_read(const char *dir, ul_err *err);
bool ul_resume_make(ul_job *j, const char *method, ul_err *err);
bool ul_resume_same_model(const ul_job *j, ul_err *err);
bool ul_resume_same_data(const ul_job *j, ul_err *err); /* resuming: the files hold what they held */
/* With the setting "resume": the settings it began with take the place of the given ones, which must not contradict them. */
bool ul_resume_apply(ul_job *j, const char *method, ul_err *err);

/* folder.c: the run folder. */
bool ul_folder_check(const ul_job *j, ul_err *err); /* not an input, not somebody else's, not full */
bool ul_folder_open(ul_job *j, ul_err *err); /* made, with a place aside to begin in */
bool ul_folder_settle(ul_job *j, ul_err *err); /* the run can begin: what it replaces goes, what it wrote aside takes its place */
void ul_folder_undo(ul_job *j); /* it cannot: what folder_open began is gone again, and nothing else */
bool ul_folder_finish(ul_job *j, ul_err *err); /* state and generated rows removed */
void ul_folder_failed(ul_job *j, ul_err *err); /* after a failure: what can be gone on with stays and is named, what cannot goes */
bool ul_folder_clean(const char *dir, int *removed, ul_err *err);
bool ul_rows_write(const ul_dataset *d, const char *path, ul_err *err); /* forget.jsonl */
bool ul_rows_hide(ul_job *j, const ul_dataset *d, const char *path, ul_err *err); /* generated ones: readable by the owner only */

bool ul_self_rows(ul_job *j, const ul_progress *p, ul_err *err); /* --retain self */
bool ul_self_invent(ul_job *j, const ul_progress *p, ul_err *err); /* --invent N: adds to the retain rows */

/* record.c */
bool ul_record_able(const ul_job *j, const ul_model *m, ul_err *err); /* whether a record can name what is named */
bool ul_record_told(ul_job *j, ul_err *err); /* for it: what the source has just made, redacted */
bool ul_record_write(ul_job *j, ul_err *err); /* run.json */
json_t *ul_machine(void);

#endif
