/*
 * audit.h: one file in this folder = one number worth reporting.
 *
 * An exam is what was asked and what the models answered: data sets, teacher-forced scores and generations of the audited model
 * and of its references, each computed once and shared by every audit that needs it. An audit turns that into one value per item
 * and an aggregate; verdicts are made by audits/verdict.c from those, the same way for all: utility gate first, then equivalence
 * by paired cluster bootstrap.
 */
#ifndef UL_AUDIT_H
#define UL_AUDIT_H

#include "audits/stat/stat.h"
#include "model/generate.h"
#include "train/train.h"

enum ul_who { UL_AFTER,
	UL_BEFORE,
	UL_ORACLE,
	UL_REFERENCE,
	UL_ORACLE_2,
	UL_ORACLE_3,
	UL_ORACLE_4,
	UL_WHOS }; /* the audited model, θ0, the retrained one, a calibrating one, the retrained one with other seeds */
enum ul_split { UL_S_FORGET,
	UL_S_RETAIN,
	UL_S_HOLDOUT,
	UL_S_NEIGHBOURS,
	UL_S_GENERAL,
	UL_SPLITS };
enum ul_mode { UL_MODE_ORACLE,
	UL_MODE_HOLDOUT,
	UL_MODE_BEFORE };
enum ul_level { UL_QUICK,
	UL_STANDARD,
	UL_HEAVY };
const char *ul_who_name(enum ul_who w);
const char *ul_split_name(enum ul_split s);
const char *ul_mode_name(enum ul_mode m);

/* ---- the exam: exam.c (scores, answers) and exam_say.c (generations) ---- */

typedef struct ul_exam_config {
	ul_model *model[UL_WHOS]; /* borrowed; NULL where absent, UL_AFTER always there */
	ul_dataset *data[UL_SPLITS]; /* borrowed; tokenized by ul_exam_new under `encode` */
	ul_data_config encode;
	enum ul_level level;
	bool compat; /* open-unlearning's exact conventions */
	bool allow_over; /* hazard removal: to know less than the reference is fine */
	bool arithmetic; /* truth ratio with the paper's arithmetic mean of wrong answers' probabilities */
	int beams; /* 0 = by level: 4, 40, 40 */
	int samples; /* candidates drawn beside them; 0 = by level: none, 64, 64; below 0 none */
	int asked; /* rows of a split that text is generated for, evenly spread; 0 = by level: 100, 300, all */
	int max_new; /* 0 = by the data: the longest answer, at most 128; compat 200 */
	double min_k; /* share of the least likely tokens, 0.4 */
	const char *paraphrase, *perturbed, *rephrased; /* keys of the rows; NULL = the usual ones */
	uint64_t seed;
	const ul_progress *progress;
} ul_exam_config;

typedef struct ul_exam ul_exam;
ul_exam *ul_exam_new(const ul_exam_config *c, ul_err *err);
void ul_exam_free(ul_exam *e);
const ul_exam_config *ul_exam_settings(const ul_exam *e);
enum ul_mode ul_exam_mode(const ul_exam *e);
bool ul_exam_has(const ul_exam *e, enum ul_who w);
const ul_dataset *ul_exam_data(const ul_exam *e, enum ul_split s); /* NULL = absent */
int ul_exam_cluster(const ul_exam *e, enum ul_split s, int row); /* the subject as a number; a row without one is its own */
ul_arena *ul_exam_arena(ul_exam *e);

/* Cached accessors: computed on first use; NULL with err when it could not be, NULL without err when model or split is absent. */
const ul_scores *ul_exam_scores(ul_exam *e, enum ul_who w, enum ul_split s, unsigned want, ul_err *err);
const ul_gen *ul_exam_greedy(ul_exam *e, enum ul_who w, enum ul_split s, ul_err *err); /* [rows], each from its ul_cut */
/* [rows * candidates] from the text before the first span: beams, the likeliest first, then samples. */
const ul_gen *ul_exam_candidates(ul_exam *e, enum ul_who w, enum ul_split s, ul_err *err);
int ul_exam_candidate_count(const ul_exam *e);
int ul_exam_beam_count(const ul_exam *e);
/* Whether text is generated for a row (`asked`); the others have text NULL. */
bool ul_exam_asks(const ul_exam *e, enum ul_split s, int row);
/* Scores of variants of each row: other answers listed in it ("paraphrase", "perturbed"), or its answer to other questions: those
 * listed ("paraphrase_prompt"), or its own with harmless words around it. row[r][k], k < n[r]. */
typedef struct ul_answers {
	int *n;
	ul_row_score **row;
} ul_answers;
enum ul_answer { UL_PARAPHRASE,
	UL_PERTURBED,
	UL_REPHRASED,
	UL_POLITE,
	UL_ANSWER_KINDS };
const ul_answers *ul_exam_answers(ul_exam *e, enum ul_who w, enum ul_split s, enum ul_answer which, ul_err *err);

/* What was said, if it was asked already; else NULL. */
const ul_gen *ul_exam_said(const ul_exam *e, enum ul_who w, enum ul_split s);
/* A place where one audit keeps what it computed for all models (in the exam's arena); NULL when out of memory. */
void **ul_exam_memo(ul_exam *e, const char *name, enum ul_split s);

/* Where a row is cut into what the model is given and what it should say: in front of the first label, or for rows of text in
 * front of the first span or in the middle. at = number of tokens given. */
typedef struct ul_cut {
	int at;
	const char *expected; /* what follows, as text */
} ul_cut;
bool ul_exam_cut(ul_exam *e, enum ul_split s, int row, ul_cut *out, ul_err *err);
const char *ul_row_content(const ul_row *r); /* what spans point into: its text or response; NULL when it has neither */
/* Labelled tokens that count for memory and membership: without a closing end token (compat: without the last one, always). */
int ul_counted(const ul_exam *e, enum ul_split s, int row, const ul_row_score *score);

/* ---- items: one value each, with where it comes from ---- */

typedef struct ul_items {
	int n, cap;
	double *value, *label; /* [n]; label: 1 = member, 0 = non-member for AUC-like aggregates, else a part number */
	int *split, *row; /* [n] where the item comes from */
	int *cluster; /* [n] */
	bool labelled; /* label means something */
} ul_items;
bool ul_items_add(ul_exam *e, ul_items *it, enum ul_split s, int row, double value, double label, ul_err *err);

/* Fill functions several audits share (items.c). They return false without err when it does not apply; *why says why. */
typedef struct ul_ask {
	ul_exam *e;
	enum ul_who who;
	enum ul_split split;
	const char **why;
	ul_err *err;
} ul_ask;
typedef bool (*ul_items_fn)(const ul_ask *q, ul_items *out);
bool ul_not_here(const ul_ask *q, const char *why); /* always false: sets *why */
/* One value per scored row by `f` (NaN = skip): the common shape of audits on one teacher-forced pass. */
typedef double (*ul_row_fn)(const ul_ask *q, int row, const ul_row_score *s);
bool ul_items_by_row(const ul_ask *q, unsigned want, ul_row_fn f, ul_items *out);
/* The same over members (forget) and non-members (holdout), labelled: membership inference. */
bool ul_items_members(const ul_ask *q, unsigned want, ul_row_fn f, ul_items *out);
bool ul_items_nll(const ul_ask *q, ul_items *out);
bool ul_items_prob(const ul_ask *q, ul_items *out);
bool ul_items_entity(const ul_ask *q, bool entity, bool accuracy, ul_items *out);
double ul_entity_right(const ul_ask *q, int row, const ul_row_score *s); /* 1: no token of its personal data is missed; NaN: it has none */
/* One value for each continuation that was asked for; NaN with q->err set stops. */
typedef double (*ul_said_fn)(const ul_ask *q, const char *text);
bool ul_items_said(const ul_ask *q, ul_said_fn f, ul_items *out);
bool ul_items_rouge(const ul_ask *q, bool stem, bool recall, ul_items *out);
bool ul_items_fluency(const ul_ask *q, bool repetition, ul_items *out); /* of what is said: distinct word pairs, or words repeated at once */
bool ul_items_truth_ratio(const ul_ask *q, ul_items *out); /* x = wrong / correct */
double ul_truth_ratio(const ul_answers *correct, const ul_row_score *own, const ul_answers *wrong, int row, bool arithmetic);
/* Reconstruction of personal data from the text before it (items_pii.c). */
enum ul_pii_count { UL_PII_EXACT,
	UL_PII_SIMILARITY,
	UL_PII_ANY,
	UL_PII_ENTITIES };
unsigned char *ul_hits(const ul_ask *q, int row, const ul_row_score *s, int *n); /* [n] is the argmax of each counted token right? ul_free */
bool ul_items_pii(const ul_ask *q, enum ul_pii_count what, ul_items *out);
double ul_min_k(const ul_ask *q, int row, const ul_row_score *s, bool normalised); /* minus the mean of the lowest: low = member */
double ul_mia_loss(const ul_ask *q, int row, const ul_row_score *s); /* these: high = member */
double ul_mia_zlib(const ul_ask *q, int row, const ul_row_score *s);
double ul_mia_min_k(const ul_ask *q, int row, const ul_row_score *s);
double ul_mia_min_k_plus_plus(const ul_ask *q, int row, const ul_row_score *s);
/* Which of n attacks each half of the people is attacked by, from how far they stand above the reference: apart[half][attack]. */
void ul_mia_pair(const double *const apart[2], int n, int of[2]);
double ul_sample_auc(const ul_sample *s, ul_arena *scratch);

/* ---- an audit ---- */

enum ul_kind { UL_K_UTILITY,
	UL_K_FORGET,
	UL_K_PRIVACY,
	UL_K_INFO };
enum ul_against {
	UL_VS_PEER, /* the oracle on the same items, else the holdout's items ("forget no better known than never seen") */
	UL_VS_CHANCE, /* the oracle, else the constant `chance` where a holdout makes that meaningful */
	UL_VS_BEFORE, /* utility: θ0, and the oracle as a second way to pass */
};
typedef struct ul_line ul_line;
bool ul_more_roc(ul_exam *e, const ul_line *line, json_t *o, ul_err *err); /* members found at small false positive rates: items_mia.c */
typedef struct ul_audit_def {
	const char *name, *title, *paper, *notes;
	enum ul_kind kind;
	enum ul_split split;
	enum ul_against against;
	int sign; /* +1: larger leaks more (utility: larger is better) */
	double margin; /* Δ₀ of the equivalence test */
	bool relative; /* the margin is a share of the reference */
	double second; /* utility: the margin against the oracle, absolute, where the model before does not let it pass; 0 = the same margin */
	bool rate; /* values in [0, 1] of which many are equal: no spread seen is not no spread */
	double chance;
	bool gate, required; /* utility gate; counted in the overall verdict */
	bool unjudged; /* a number without a verdict */
	int level; /* enum ul_level at which it starts */
	ul_items_fn items;
	double (*aggregate)(const ul_sample *s, ul_arena *scratch); /* NULL = mean */
	/* Difference to the reference, larger = more of what `sign` says; NULL = aggregate - aggregate. When set, it is also the
	 * value reported. */
	double (*contrast)(const ul_sample *after, const ul_sample *reference, ul_arena *scratch);
	/* Instead of the interval rule. */
	bool (*judge)(const ul_ask *q, const ul_sample *after, const ul_sample *reference, bool paired, ul_line *line);
	/* Keys of its own in scores.json. */
	bool (*more)(ul_exam *e, const ul_line *line, json_t *o, ul_err *err);
} ul_audit_def;
extern const ul_audit_def *const ul_audits[]; /* generated registry, NULL-terminated */
const ul_audit_def *ul_audit_find(const char *name, ul_err *err); /* find.c: names the nearest known one */
bool ul_audits_known(const char *only, ul_err *err); /* all names of a comma-separated list; NULL: none to know */

/* ---- verdict.c ---- */

struct ul_line {
	const ul_audit_def *def;
	ul_items items[UL_WHOS]; /* of the models that were asked */
	ul_items common; /* of the oracles together: what is compared with */
	double oracle_sd; /* of the value over oracles of several seeds; 0 with one */
	ul_items peer; /* of the holdout, where that is the reference */
	int n, clusters;
	double value, lo, hi; /* of the audited model; without a reference the interval of its own value */
	double own_lo, own_hi;
	double before, oracle, reference; /* NaN = none */
	double p; /* of the claim "outside the margin", Holm-adjusted over the required lines */
	ul_interval difference; /* signed: positive leaks more */
	double margin;
	enum ul_verdict verdict;
	int64_t n_needed;
	const char *not_tested; /* reason, or NULL */
	const char *against; /* "oracle" | "holdout" | "before" | "chance" | NULL */
	const char *words; /* what the verdict means here */
};
typedef struct ul_verdicts {
	ul_arena arena;
	enum ul_mode mode;
	ul_line *line; /* [n] */
	int n;
	enum ul_verdict overall;
	const char *why;
} ul_verdicts;
/* Judges `only` (comma-separated names) or everything the level allows. reps: bootstrap resamples. */
bool ul_judge(ul_exam *e, const char *only, int reps, ul_verdicts *out, ul_err *err);
void ul_verdicts_release(ul_verdicts *v);
/* One aggregate of one model, without verdict: what a run stops by. */
bool ul_measure(ul_exam *e, const ul_audit_def *d, enum ul_who w, double *value, ul_err *err);

/* ---- result.c: scores.json and scores.jsonl ---- */

json_t *ul_verdicts_json(ul_exam *e, const ul_verdicts *v, ul_err *err);
bool ul_verdicts_items(ul_exam *e, const ul_verdicts *v, ul_buf *out);

#endif
