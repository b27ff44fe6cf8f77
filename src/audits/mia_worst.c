/*
 * mia_worst.c: the membership attack that works best against this model. Choosing the best of several on the rows it is then
 * scored on would flatter it, so that each half of the people is attacked with what separates the other half best. Both halves are
 * attacked from one side, from above the reference or from below: an area above one half of the people and one below the other would
 * cancel in their mean, and hide two attacks that each succeed.
 */
#include "audits/audit.h"

#include <math.h>

typedef struct attack {
	const char *name;
	unsigned want;
	ul_row_fn score;
} attack;

static const attack attacks[] = {
        {"loss", 0, ul_mia_loss},
        {"zlib", 0, ul_mia_zlib},
        {"min_k", 0, ul_mia_min_k},
        {"min_k_plus_plus", UL_WANT_MOMENTS, ul_mia_min_k_plus_plus},
};
enum { ATTACKS = sizeof attacks / sizeof *attacks };

typedef struct choice {
	int of[2]; /* the attack that each half is judged by */
} choice;

static int half_of(const ul_items *it, int i)
{
	return it->cluster[i] & 1;
}

static double auc_on(const ul_items *it, int half)
{
	ul_arena a = {0};
	double *v = ul_alloc_raw(&a, (size_t)(it->n + 1) * sizeof *v), *l = ul_alloc_raw(&a, (size_t)(it->n + 1) * sizeof *l);
	int n = 0;
	for (int i = 0; v && l && i < it->n; i++) {
		if (half_of(it, i) != half)
			continue;
		v[n] = it->value[i];
		l[n++] = it->label[i];
	}
	double auc = n > 0 ? ul_auc(v, l, n, &a) : NAN;
	ul_arena_release(&a);
	return auc;
}

/* apart[h][k]: how far attack k stands above the reference on half h. Both tails count: suppression gives away membership as well. */
void ul_mia_pair(const double *const apart[2], int n, int of[2])
{
	double sum[2] = {0};
	int best[2][2] = {{0}}; /* [above, below][half] */
	for (int side = 0; side < 2; side++) {
		double sign = side ? -1 : 1;
		for (int h = 0; h < 2; h++) {
			const double *other = apart[1 - h];
			for (int k = 1; k < n; k++)
				best[side][h] = sign * other[k] > sign * other[best[side][h]] ? k : best[side][h];
			sum[side] += sign * other[best[side][h]];
		}
	}
	for (int h = 0; h < 2; h++)
		of[h] = best[sum[1] > sum[0]][h];
}

static bool choose(const ul_ask *q, choice *c)
{
	double apart[2][ATTACKS];
	for (int k = 0; k < ATTACKS; k++) {
		ul_ask ask = *q;
		ul_items own = {0}, ref = {0};
		ask.who = UL_AFTER;
		if (!ul_items_members(&ask, attacks[k].want, attacks[k].score, &own))
			return false;
		ask.who = UL_ORACLE;
		if (ul_exam_has(q->e, UL_ORACLE) && !ul_items_members(&ask, attacks[k].want, attacks[k].score, &ref))
			return false;
		for (int h = 0; h < 2; h++)
			apart[h][k] = auc_on(&own, h) - (ref.n > 0 ? auc_on(&ref, h) : 0.5);
	}
	ul_mia_pair((const double *const[]){apart[0], apart[1]}, ATTACKS, c->of);
	return true;
}

static const choice *chosen(const ul_ask *q)
{
	void **memo = ul_exam_memo(q->e, "mia_worst", UL_S_FORGET);
	if (memo && !*memo) {
		choice *c = ul_alloc(ul_exam_arena(q->e), sizeof *c);
		if (!c || !choose(q, c))
			return NULL;
		*memo = c;
	}
	return memo ? *memo : NULL;
}

static bool items(const ul_ask *q, ul_items *out)
{
	if (!ul_exam_data(q->e, UL_S_HOLDOUT))
		return ul_not_here(q, "no holdout data were given: membership needs rows of the same kind that were never trained on");
	const choice *c = chosen(q);
	if (!c)
		return q->err->msg[0] ? false : ul_not_here(q, "no row has what it measures");
	out->labelled = true;
	for (int h = 0; h < 2; h++) {
		const attack *k = &attacks[c->of[h]];
		ul_items all = {0};
		if (!ul_items_members(q, k->want, k->score, &all))
			return false;
		for (int i = 0; i < all.n; i++) {
			if (half_of(&all, i) == h && !ul_items_add(q->e, out, (enum ul_split)all.split[i], all.row[i], all.value[i], all.label[i] + 2 * h, q->err))
				return false;
		}
	}
	return true;
}

static bool more(ul_exam *e, const ul_line *l, json_t *o, ul_err *err)
{
	void **memo = ul_exam_memo(e, "mia_worst", UL_S_FORGET);
	const choice *c = memo ? *memo : NULL;
	if (c)
		json_object_set_new(o, "attacks", json_pack("[s, s]", attacks[c->of[0]].name, attacks[c->of[1]].name));
	return ul_more_roc(e, l, o, err);
}

const ul_audit_def ul_audit_mia_worst = {
        .name = "mia_worst",
        .title = "Membership by the attack that works best",
        .paper = "Carlini et al. 2022, Membership Inference Attacks From First Principles",
        .notes = "Ours: of loss, zlib, Min-K% and Min-K%++ the one that stands farthest from the oracle (else from 0.5) on every second subject attacks the others, and the other way round, both from the side, above or below, on which more stands apart; the mean of both areas, nearly without the bias of a maximum. tpr_at_fpr tells members found at 10, 1 and 0.1 % false alarms, with Wilson's interval, where never-seen rows suffice (10 / rate).",
        .kind = UL_K_PRIVACY,
        .split = UL_S_FORGET,
        .against = UL_VS_CHANCE,
        .sign = +1,
        .margin = 0.05,
        .chance = 0.5,
        .required = true,
        .level = UL_QUICK,
        .items = items,
        .aggregate = ul_sample_auc,
        .more = more,
};
