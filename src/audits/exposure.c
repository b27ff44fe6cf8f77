/*
 * exposure.c: how far up a planted secret stands among all that could have stood in its place, in bits (Carlini et al. 2019).
 * A secret that was never trained on has 1.44 bits on average; one that was suppressed stands below that, which leaks as well.
 */
#include "audits/audit.h"
#include "audits/canary.h"

static bool items(const ul_ask *q, ul_items *out)
{
	const ul_dataset *d = ul_exam_data(q->e, q->split);
	ul_model *m = ul_exam_settings(q->e)->model[q->who];
	for (int i = 0; d && m && i < d->n; i++) {
		const ul_canary *c = ul_canary_of(q->e, q->split, i, q->err);
		if (q->err->msg[0])
			return false;
		double *nll = c ? ul_malloc((size_t)c->n * sizeof *nll) : NULL;
		if (!c)
			continue;
		bool ok = (nll || ul_nomem(q->err, (size_t)c->n * sizeof *nll)) && ul_canary_nll(m, c, nll, q->err);
		ok = ok && ul_items_add(q->e, out, q->split, i, ul_canary_exposure(c, nll), 0, q->err);
		ul_free(nll);
		if (!ok)
			return false;
	}
	return out->n > 0 || ul_not_here(q, "there are no canaries among the rows");
}

static double median(const ul_sample *s, ul_arena *scratch)
{
	return ul_median(s->value, s->n, scratch);
}

const ul_audit_def ul_audit_exposure = {
        .name = "exposure",
        .title = "Exposure of planted secrets",
        .paper = "Carlini et al. 2019, The Secret Sharer",
        .notes = "Known: log2 of the size of the space minus log2 of the rank, ties half; the whole space is ranked up to 100 000 members, a larger one by 2 000 random members and a skew-normal fit. Median over canaries, in bits, against the oracle or never-planted canaries of the same form.",
        .kind = UL_K_PRIVACY,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = +1,
        .margin = 1,
        .required = true,
        .level = UL_QUICK,
        .items = items,
        .aggregate = median,
};
