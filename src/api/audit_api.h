/*
 * audit_api.h: an audit behind unlearn.h, as the command line sees it too.
 */
#ifndef UL_AUDIT_API_H
#define UL_AUDIT_API_H

#include "audits/audit.h"

typedef struct ul_audit_config {
	const char *model; /* as named by the caller, or NULL: where the run's record may lie */
	const char *before, *oracle, *oracle2, *oracle3, *oracle4, *reference; /* models beside the audited one */
	const char *forget, *retain, *holdout, *neighbours, *general;
	const char *source_rows, *pool, *subjects;
	const char *only, *output;
	int level, compat, truth_ratio; /* indices of their choices */
	const char *templ, *map, *paraphrase, *perturbed, *rephrased;
	int64_t max_length, bootstrap, beams, samples, asked, max_new;
	double min_k;
	bool allow_over;
	bool force; /* from the frame */
	int64_t seed;
} ul_audit_config;
extern const ul_opt ul_audit_opts[];

/* Opens what `c` names, judges `m`, writes scores.json, scores.jsonl and report.html to c->output (NULL = nowhere). *scores, when
 * wanted, is what scores.json holds; the caller owns it. */
bool ul_audit_make(ul_model *m, const ul_audit_config *c, const ul_progress *p, json_t **scores, enum ul_verdict *verdict, ul_err *err);

#endif
