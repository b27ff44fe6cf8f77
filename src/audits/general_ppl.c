/*
 * general_ppl.c: perplexity of general text: exp of the token-weighted mean negative log-likelihood, as language modelling reports it.
 */
#include "audits/audit.h"

#include <math.h>

/* value: summed NLL of a text, label: its tokens. */
static double total(const ul_ask *q, int row, const ul_row_score *s)
{
	return s->nll;
}

static bool items(const ul_ask *q, ul_items *out)
{
	if (!ul_items_by_row(q, 0, total, out))
		return false;
	const ul_scores *s = ul_exam_scores(q->e, q->who, q->split, 0, q->err);
	for (int i = 0; s && i < out->n; i++)
		out->label[i] = s->row[out->row[i]].n;
	out->labelled = true;
	return s != NULL;
}

static double perplexity(const ul_sample *s, ul_arena *scratch)
{
	double nll = 0, tokens = 0;
	for (int i = 0; i < s->n; i++) {
		nll += s->value[i];
		tokens += s->label[i];
	}
	return exp(nll / tokens);
}

const ul_audit_def ul_audit_general_ppl = {
        .name = "general_ppl",
        .title = "Perplexity of general text",
        .paper = "Jelinek et al. 1977",
        .notes = "Known. Items are texts: the interval resamples texts, the value weighs tokens. Margin 5 % of the model before.",
        .kind = UL_K_UTILITY,
        .split = UL_S_GENERAL,
        .against = UL_VS_BEFORE,
        .sign = -1,
        .margin = 0.05,
        .relative = true,
        .level = UL_QUICK,
        .items = items,
        .aggregate = perplexity,
};
