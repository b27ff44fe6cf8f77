/*
 * verdict.c: from items to verdicts, the same way for every audit. First whether the model still works; then, line by line, whether
 * it is as ignorant as the reference and no more: an interval inside the margin passes, one outside fails in a direction, anything
 * else is undecided and says how many items would decide. The overall verdict is the worst of the required lines.
 */
#include "audits/audit.h"

#include <math.h>
#include <string.h>

typedef struct court {
	ul_exam *e;
	const ul_exam_config *cfg;
	enum ul_mode mode;
	int reps;
	ul_arena *keep;
	ul_err *err;
} court;

/* ---- samples ---- */

static ul_sample sample(const ul_items *it)
{
	return (ul_sample){.n = it->n, .value = it->value, .label = it->labelled ? it->label : NULL, .cluster = it->cluster, .stratum = it->split};
}

static bool same_items(const ul_items *a, const ul_items *b)
{
	return a->n == b->n && (a->n == 0 || (memcmp(a->row, b->row, (size_t)a->n * sizeof *a->row) == 0 && memcmp(a->split, b->split, (size_t)a->n * sizeof *a->split) == 0)); /* NOLINT(clang-analyzer-core.*): rows are there when n > 0 */
}

static double aggregate(const ul_audit_def *d, const ul_sample *s, ul_arena *scratch)
{
	return d->aggregate ? d->aggregate(s, scratch) : ul_average(s->value, s->n);
}

/* Statistics for the bootstrap; ud is the audit. */
static double own_value(void *ud, const ul_sample *a, const ul_sample *b, ul_arena *scratch)
{
	return aggregate(ud, a, scratch);
}

static double gap(void *ud, const ul_sample *a, const ul_sample *b, ul_arena *scratch)
{
	const ul_audit_def *d = ud;
	if (b && d->contrast)
		return d->sign * d->contrast(a, b, scratch);
	return d->sign * (aggregate(d, a, scratch) - (b ? aggregate(d, b, scratch) : d->chance));
}

static double once(const ul_audit_def *d, const ul_items *it)
{
	ul_arena scratch = {0};
	ul_sample s = sample(it);
	double v = it->n > 0 ? aggregate(d, &s, &scratch) : NAN;
	ul_arena_release(&scratch);
	return v;
}

/* As the line reports it: relative to the reference where the audit is a contrast. */
static double reported(const ul_audit_def *d, const ul_items *it, const ul_items *ref)
{
	if (!d->contrast || !ref || it->n == 0)
		return once(d, it);
	ul_arena scratch = {0};
	ul_sample a = sample(it), b = sample(ref);
	double v = d->contrast(&a, &b, &scratch);
	ul_arena_release(&scratch);
	return v;
}

/* ---- one line ---- */

static bool ask(const court *c, ul_line *l, enum ul_who w, enum ul_split s, ul_items *out)
{
	const char *why = NULL;
	ul_ask q = {.e = c->e, .who = w, .split = s, .why = &why, .err = c->err};
	if (l->def->items(&q, out) && !c->err->msg[0])
		return true;
	*out = (ul_items){0};
	if (c->err->msg[0])
		return false;
	if (w == UL_AFTER && s == l->def->split)
		l->not_tested = why ? why : "it does not apply here";
	return true;
}

static const enum ul_who oracles[] = {UL_ORACLE, UL_ORACLE_2, UL_ORACLE_3, UL_ORACLE_4};
enum { ORACLES = sizeof oracles / sizeof *oracles };

/* Oracles differ by their seeds alone: what lies within two deviations of them is no difference. */
static double spread(const ul_line *l)
{
	double x[ORACLES], mean = 0, var = 0;
	int n = 0;
	for (int k = 0; k < ORACLES; k++) {
		if (l->items[oracles[k]].n > 0)
			x[n++] = reported(l->def, &l->items[oracles[k]], &l->items[UL_ORACLE]);
	}
	for (int i = 0; i < n; i++)
		mean += x[i] / n;
	for (int i = 0; i < n; i++)
		var += (x[i] - mean) * (x[i] - mean);
	return n > 1 ? sqrt(var / (n - 1)) : 0;
}

/* What is compared with: the mean over the oracles, item by item where the line is a mean; a rank or a median of means is not the
 * mean of ranks, and there the first oracle stands for all, with their common spread. */
static bool pool(const court *c, ul_line *l)
{
	l->common = l->items[UL_ORACLE];
	l->oracle_sd = spread(l);
	if (l->def->aggregate || l->def->contrast || l->common.n == 0)
		return true;
	double *sum = ul_alloc(ul_exam_arena(c->e), (size_t)l->common.n * sizeof *sum);
	int many = 0;
	if (!sum)
		return ul_nomem(c->err, (size_t)l->common.n * sizeof *sum);
	for (int k = 0; k < ORACLES; k++) {
		const ul_items *it = &l->items[oracles[k]];
		if (it->n == 0 || !same_items(it, &l->common))
			continue;
		many++;
		for (int i = 0; i < it->n; i++)
			sum[i] += it->value[i];
	}
	for (int i = 0; i < l->common.n; i++)
		sum[i] /= many;
	if (many > 1)
		l->common.value = sum;
	return true;
}

static bool gather(const court *c, ul_line *l)
{
	enum ul_split s = l->def->split;
	if (!ask(c, l, UL_AFTER, s, &l->items[UL_AFTER]))
		return false;
	if (l->not_tested)
		return true;
	if (ul_exam_has(c->e, UL_BEFORE) && !ask(c, l, UL_BEFORE, s, &l->items[UL_BEFORE]))
		return false;
	for (int k = 0; k < ORACLES; k++) {
		if (ul_exam_has(c->e, oracles[k]) && !ask(c, l, oracles[k], s, &l->items[oracles[k]]))
			return false;
	}
	if (!pool(c, l))
		return false;
	if (c->mode == UL_MODE_HOLDOUT && l->def->against == UL_VS_PEER)
		return ask(c, l, UL_AFTER, UL_S_HOLDOUT, &l->peer);
	return true;
}

/* No spread seen in a rate is not no spread: with n subjects alike, up to 1 - 0.05^(1/n) may still differ. */
static void widen(const ul_audit_def *d, ul_interval *i)
{
	if (!d->rate || i->se > 1e-12 || !isfinite(i->lo))
		return;
	double half = ul_zero_hits_bound(i->clusters, 0.05);
	i->lo = i->estimate - half;
	i->hi = i->estimate + half;
}

/* The interval of a rate itself stays within [0, 1]; of items that are 0 or 1 it is Wilson's. */
static void rate_interval(const ul_audit_def *d, const ul_items *it, ul_interval *i)
{
	ul_rate r = {.n = it->n, .clusters = i->clusters, .se = i->se};
	bool binary = d->rate && !d->aggregate && it->n > 0 && isfinite(i->lo);
	for (int k = 0; k < it->n; k++) {
		binary = binary && (it->value[k] == 0 || it->value[k] == 1);
		r.hits += it->value[k] == 1;
	}
	widen(d, i);
	if (binary)
		ul_rate_interval(&r, &i->lo, &i->hi);
	else if (d->rate && isfinite(i->lo)) {
		i->lo = fmax(0, i->lo);
		i->hi = fmin(1, i->hi);
	}
}

static int64_t needed(const ul_line *l, ul_margin m)
{
	const ul_interval *d = &l->difference;
	if (l->def->rate && d->se <= 1e-12 && d->clusters > 0 && fabs(d->estimate) < m.under)
		return (int64_t)ceil(log(0.05) / log(1 - fmin(0.999, m.under - fabs(d->estimate))) * l->n / d->clusters);
	return ul_items_needed(d, m, l->n);
}

static void show_interval(ul_line *l)
{
	const ul_interval *d = &l->difference;
	l->lo = l->def->sign > 0 ? l->reference + d->lo : l->reference - d->hi;
	l->hi = l->def->sign > 0 ? l->reference + d->hi : l->reference - d->lo;
}

static double margin_of(const ul_line *l, const ul_items *ref)
{
	const ul_audit_def *d = l->def;
	bool oracle = ref == &l->common;
	double fixed = d->second > 0 && oracle && l->items[UL_BEFORE].n > 0 ? d->second : d->relative ? d->margin * fabs(l->reference)
	                                                                                              : d->margin;
	return oracle ? fmax(fixed, 2 * l->oracle_sd) : fixed;
}

static bool compare(const court *c, ul_line *l, const ul_items *ref, bool one_sided)
{
	const ul_audit_def *d = l->def;
	ul_sample a = sample(&l->items[UL_AFTER]), b = ref ? sample(ref) : (ul_sample){0};
	bool paired = ref && same_items(&l->items[UL_AFTER], ref);
	ul_boot boot = {.a = &a, .b = ref ? &b : NULL, .paired = paired, .stat = gap, .ud = (void *)(uintptr_t)d, .reps = c->reps, .seed = c->cfg->seed, .line = d->name, .purpose = "difference"};
	l->reference = ref ? (d->contrast ? 0 : once(d, ref)) : d->chance;
	l->margin = margin_of(l, ref);
	l->value = reported(d, &l->items[UL_AFTER], ref);
	l->before = l->items[UL_BEFORE].n > 0 ? reported(d, &l->items[UL_BEFORE], ref) : NAN;
	if (d->judge && ref) {
		ul_ask q = {.e = c->e, .who = UL_AFTER, .split = d->split, .err = c->err};
		return d->judge(&q, &a, &b, paired, l);
	}
	if (!ul_bootstrap(&boot, &l->difference, c->err))
		return false;
	widen(d, &l->difference);
	show_interval(l);
	ul_margin m = {.under = d->kind == UL_K_UTILITY ? INFINITY : l->margin, .over = one_sided ? INFINITY : l->margin};
	l->verdict = ul_decide(&l->difference, m);
	l->p = ul_claim_p(&l->difference, m);
	l->n_needed = l->verdict == UL_INCONCLUSIVE ? needed(l, m) : 0;
	return true;
}

/* Utility against the model before; a loss that the oracle shows as well is no fault of forgetting. */
static bool judge_utility(const court *c, ul_line *l)
{
	const ul_items *before = &l->items[UL_BEFORE], *oracle = &l->common;
	if (before->n == 0 && oracle->n == 0)
		return true;
	l->against = before->n > 0 ? "before" : "oracle";
	if (!compare(c, l, before->n > 0 ? before : &l->common, false))
		return false;
	if (l->verdict == UL_PASS || before->n == 0 || oracle->n == 0)
		return true;
	ul_line other = *l;
	other.against = "oracle";
	if (!compare(c, &other, &other.common, false))
		return false;
	if (other.verdict == UL_PASS)
		*l = other;
	return true;
}

static bool judge_leak(const court *c, ul_line *l)
{
	bool one_sided = c->cfg->allow_over && l->def->kind == UL_K_FORGET;
	if (l->common.n > 0) {
		l->against = "oracle";
		return compare(c, l, &l->common, one_sided);
	}
	if (c->mode == UL_MODE_HOLDOUT && l->def->against == UL_VS_CHANCE) {
		l->against = "chance";
		return compare(c, l, NULL, one_sided);
	}
	if (l->peer.n > 0) { /* other rows than the forgotten ones: "no better known than never seen" is all they can show */
		l->against = "holdout";
		return compare(c, l, &l->peer, l->def->kind == UL_K_FORGET || one_sided);
	}
	return true;
}

static const char *words(const ul_line *l)
{
	bool utility = l->def->kind == UL_K_UTILITY;
	switch (l->verdict) {
	case UL_PASS:
		return utility ? "what should stay is still there" : "no more and no less than the reference shows, within the margin";
	case UL_UNDER:
		return "the model still shows more of the forgotten data than the reference does";
	case UL_OVER:
		return utility ? "what should stay has suffered" : "suppressed below what a model that never saw the data shows: the suppression itself can be noticed";
	case UL_COLLAPSED:
		return "the model no longer works well enough for forgetting to mean anything";
	case UL_INCONCLUSIVE:
		return "the interval is too wide for this margin: neither passed nor failed";
	default:
		return l->def->kind == UL_K_INFO ? "for information" : "there is no reference to judge by";
	}
}

static bool judge_line(const court *c, ul_line *l)
{
	const ul_items *own = &l->items[UL_AFTER];
	ul_sample a = sample(own);
	ul_interval i;
	ul_boot boot = {.a = &a, .stat = own_value, .ud = (void *)(uintptr_t)l->def, .reps = c->reps, .seed = c->cfg->seed, .line = l->def->name, .purpose = "value"};
	if (!ul_bootstrap(&boot, &i, c->err))
		return false;
	rate_interval(l->def, own, &i);
	l->n = own->n;
	l->clusters = i.clusters;
	l->value = i.estimate;
	l->lo = l->own_lo = i.lo;
	l->hi = l->own_hi = i.hi;
	l->before = once(l->def, &l->items[UL_BEFORE]);
	l->oracle = once(l->def, &l->common);
	if (l->def->unjudged)
		return true;
	bool ok = l->def->against == UL_VS_BEFORE ? judge_utility(c, l) : judge_leak(c, l);
	if (ok && l->def->kind == UL_K_UTILITY && l->def->gate && l->verdict == UL_OVER)
		l->verdict = UL_COLLAPSED;
	if (c->mode == UL_MODE_BEFORE && l->verdict != UL_COLLAPSED)
		l->verdict = UL_UNVERIFIED;
	return ok;
}

/* ---- all lines ---- */

static bool counts(const ul_line *l)
{
	return l->def->required && !l->not_tested;
}

/* A claim of a difference among many lines must survive Holm's correction; equivalence needs none. */
static bool correct(const court *c, ul_verdicts *v)
{
	double *p = ul_alloc(c->keep, (size_t)(v->n + 1) * sizeof *p);
	int n = 0;
	if (!p)
		return ul_nomem(c->err, (size_t)v->n * sizeof *p);
	for (int i = 0; i < v->n; i++) {
		if (counts(&v->line[i]) && v->line[i].verdict != UL_UNVERIFIED)
			p[n++] = v->line[i].p;
	}
	if (!ul_holm(p, n, c->err))
		return false;
	n = 0;
	for (int i = 0; i < v->n; i++) {
		ul_line *l = &v->line[i];
		if (!counts(l) || l->verdict == UL_UNVERIFIED)
			continue;
		double alone = l->p;
		l->p = p[n++];
		if ((l->verdict == UL_UNDER || l->verdict == UL_OVER) && l->p > 0.05) {
			l->verdict = UL_INCONCLUSIVE;
			l->n_needed = ul_claim_needed(alone, l->p / alone, l->n);
		}
	}
	return true;
}

static void conclude(ul_verdicts *v)
{
	int gates = 0, forgetting = 0;
	bool gate_open = true;
	enum ul_verdict worst = UL_PASS;
	for (int i = 0; i < v->n; i++) {
		const ul_line *l = &v->line[i];
		if (l->not_tested)
			continue;
		if (l->verdict == UL_COLLAPSED) {
			v->overall = UL_COLLAPSED;
			v->why = "the model lost what it should have kept: its forgetting proves nothing";
			return;
		}
		if (l->def->gate) {
			gates++;
			gate_open &= l->verdict == UL_PASS;
		}
		if (!l->def->required || l->verdict == UL_UNVERIFIED)
			continue;
		forgetting += l->def->kind != UL_K_UTILITY;
		worst = l->verdict > worst ? l->verdict : worst;
	}
	v->overall = worst;
	v->why = worst == UL_PASS ? "every required line lies within its margin of the reference" : "the worst required line decides";
	if (v->mode == UL_MODE_BEFORE || forgetting == 0) {
		v->overall = UL_UNVERIFIED;
		v->why = v->mode == UL_MODE_BEFORE ? "without an oracle or a holdout there is nothing to compare with" : "no required line on forgetting was tested";
	} else if (worst == UL_PASS && (gates == 0 || !gate_open)) {
		v->overall = UL_INCONCLUSIVE;
		v->why = gates == 0 ? "whether the model still works was not tested" : "whether the model still works was not decided";
	}
}

static bool chosen(const char *only, const ul_audit_def *d, enum ul_level level)
{
	if (!only || !*only)
		return d->level <= (int)level;
	size_t n = strlen(d->name);
	for (const char *s = only; (s = strstr(s, d->name)); s += n) {
		if ((s == only || s[-1] == ',' || s[-1] == ' ') && (s[n] == '\0' || s[n] == ',' || s[n] == ' '))
			return true;
	}
	return false;
}

/* Gates first, so that a reader meets them first. */
static int rank(const ul_audit_def *d)
{
	return d->gate ? 0 : d->kind == UL_K_UTILITY ? 1
	             : d->kind == UL_K_FORGET        ? 2
	             : d->kind == UL_K_PRIVACY       ? 3
	                                             : 4;
}

static bool line_up(const court *c, const char *only, ul_verdicts *v)
{
	int all = 0;
	while (ul_audits[all])
		all++;
	v->line = ul_alloc(c->keep, (size_t)(all + 1) * sizeof *v->line);
	if (!v->line)
		return ul_nomem(c->err, (size_t)all * sizeof *v->line);
	for (int r = 0; r <= 4; r++) {
		for (int i = 0; i < all; i++) {
			const ul_audit_def *d = ul_audits[i];
			static const char *const later[] = {"", "not tried at level quick", "not tried below level heavy"};
			if (rank(d) != r || (only && *only && !chosen(only, d, c->cfg->level)))
				continue;
			v->line[v->n++] = (ul_line){.def = d, .verdict = UL_UNVERIFIED, .value = NAN, .lo = NAN, .hi = NAN, .own_lo = NAN, .own_hi = NAN, .before = NAN, .oracle = NAN, .reference = NAN, .p = 1, .margin = d->margin, .not_tested = chosen(only, d, c->cfg->level) ? NULL : later[d->level]};
		}
	}
	return true;
}

bool ul_judge(ul_exam *e, const char *only, int reps, ul_verdicts *out, ul_err *err)
{
	ul_err local = {0};
	ul_verdicts v = {.mode = ul_exam_mode(e)};
	court c = {.e = e, .cfg = ul_exam_settings(e), .mode = v.mode, .reps = reps, .keep = &v.arena, .err = &local};
	bool ok = ul_audits_known(only, &local) && line_up(&c, only, &v);
	const ul_progress *p = c.cfg->progress;
	for (int i = 0; ok && i < v.n; i++) {
		ul_line *l = &v.line[i];
		if (p && p->tick)
			p->tick(p->ud, l->def->name, i, v.n, 0, 0);
		if (p && p->stop && p->stop(p->ud))
			ok = ul_fail(&local, "interrupted after %d of %d audits", i, v.n);
		if (ok && !l->not_tested)
			ok = gather(&c, l) && (l->not_tested || judge_line(&c, l));
	}
	ok = ok && correct(&c, &v);
	for (int i = 0; ok && i < v.n; i++)
		v.line[i].words = words(&v.line[i]);
	if (!ok) {
		ul_fail(err, "%s", local.msg);
		if (local.hint[0])
			ul_hint(err, "%s", local.hint);
		ul_arena_release(&v.arena);
		return false;
	}
	conclude(&v);
	*out = v;
	return true;
}

void ul_verdicts_release(ul_verdicts *v)
{
	ul_arena_release(&v->arena);
	*v = (ul_verdicts){0};
}

bool ul_measure(ul_exam *e, const ul_audit_def *d, enum ul_who w, double *value, ul_err *err)
{
	ul_err local = {0};
	const char *why = NULL;
	ul_items it = {0};
	ul_ask q = {.e = e, .who = w, .split = d->split, .why = &why, .err = &local};
	if (!d->items(&q, &it))
		return local.msg[0] ? ul_fail(err, "%s", local.msg) : ul_fail(err, "%s cannot be measured: %s", d->name, why ? why : "it does not apply here");
	*value = once(d, &it);
	return true;
}
