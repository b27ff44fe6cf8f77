/*
 * audit.h: one file in this folder = one number worth reporting.
 *
 * An exam is what was asked and what the models answered: data sets, teacher-forced scores and generations of the audited model
 * and of its references, each computed once and shared by every audit that needs it. An audit turns that into per-item values and
 * an aggregate; verdicts (specs: utility gate first, then equivalence by paired cluster bootstrap) are made by audits/verdict.c
 * from those, the same way for all.
 */
#ifndef UL_AUDIT_H
#define UL_AUDIT_H

#include "model/generate.h"
#include "train/train.h"

enum ul_who { UL_AFTER, UL_BEFORE, UL_ORACLE, UL_WHOS };                  /* the audited model, θ0, the retrained reference */
enum ul_split { UL_S_FORGET, UL_S_RETAIN, UL_S_HOLDOUT, UL_S_NEIGHBOURS, UL_S_GENERAL, UL_SPLITS };
enum ul_mode { UL_MODE_ORACLE, UL_MODE_HOLDOUT, UL_MODE_BEFORE };

typedef struct ul_exam ul_exam; /* audits/exam.c */

/* Cached accessors: computed on first use, NULL (with err) when it could not be, NULL without err when the split is absent. */
const ul_dataset *ul_exam_data(ul_exam *e, enum ul_split s);
const ul_scores *ul_exam_scores(ul_exam *e, enum ul_who w, enum ul_split s, unsigned want, ul_err *err);
const ul_gen *ul_exam_greedy(ul_exam *e, enum ul_who w, enum ul_split s, ul_err *err);   /* one per row of the split, from its prompt */
const ul_gen *ul_exam_beams(ul_exam *e, enum ul_who w, enum ul_split s, int beams, ul_err *err); /* [rows * beams], from the text before the first span */
/* Scores of the answers listed in each row under `key` ("paraphrase": text or list, "perturbed": list): [row][answer]. */
typedef struct ul_answers { int *n; ul_row_score **row; } ul_answers;
const ul_answers *ul_exam_answers(ul_exam *e, enum ul_who w, enum ul_split s, const char *key, ul_err *err);
bool ul_exam_has(const ul_exam *e, enum ul_who w);
enum ul_mode ul_exam_mode(const ul_exam *e);
bool ul_exam_compat(const ul_exam *e); /* open-unlearning's exact conventions */

/* What an audit returns: one value per item with its cluster, and how to aggregate. */
typedef struct ul_items {
	int n;
	double *value;       /* [n] */
	int *cluster;        /* [n]: subject */
	double *label;       /* [n] or NULL: for AUC-like aggregates, 1 = member (forget), 0 = non-member */
} ul_items;

enum ul_kind { UL_K_UTILITY, UL_K_FORGET, UL_K_PRIVACY, UL_K_INFO };
typedef struct ul_audit_def {
	const char *name, *title, *paper, *notes;
	enum ul_kind kind;
	int sign;            /* +1: larger leaks more (or, utility: larger is better) */
	double margin;       /* Δ₀ of the equivalence test */
	bool gate, required; /* utility gate; counted in the overall verdict */
	int level;           /* 0 quick, 1 standard, 2 heavy */
	unsigned compares;   /* 1 << who it is compared with when there: UL_ORACLE first, else UL_BEFORE for utility */
	/* Items of `w`; false without message = not applicable here ("not tested", reason in *why). */
	bool (*items)(ul_exam *e, enum ul_who w, ul_arena *a, ul_items *out, const char **why, ul_err *err);
	/* Aggregate of a resample; NULL = mean. */
	double (*aggregate)(const double *value, const double *label, int n, ul_arena *scratch);
} ul_audit_def;
extern const ul_audit_def *const ul_audits[]; /* generated registry, NULL-terminated */

#endif
