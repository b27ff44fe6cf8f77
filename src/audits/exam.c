/*
 * exam.c: what was asked and what the models answered. Data sets are tokenized once; each model reads each of them once, and
 * everything an audit may want of that pass (probabilities, argmax, moments of the distribution) is kept.
 */
#include "audits/exam_parts.h"

#include <stdlib.h>
#include <string.h>

const char *ul_who_name(enum ul_who w)
{
	static const char *const name[] = {"after", "before", "oracle", "reference", "oracle-2", "oracle-3", "oracle-4"};
	return name[w];
}

const char *ul_split_name(enum ul_split s)
{
	static const char *const name[] = {"forget", "retain", "holdout", "neighbours", "general"};
	return name[s];
}

const char *ul_mode_name(enum ul_mode m)
{
	static const char *const name[] = {"oracle", "holdout", "before"};
	return name[m];
}

/* ---- subjects ---- */

typedef struct named {
	const char *subject;
	int row;
} named;

static int by_subject(const void *x, const void *y)
{
	const named *a = x, *b = y;
	int c = strcmp(a->subject, b->subject);
	return c ? c : a->row - b->row;
}

/* Rows of one subject share a number; a row without a subject stands for itself. So do all rows where there is but one subject:
 * a request about one person, or general text, says nothing about other subjects anyway. */
static int *clusters(ul_exam *e, const ul_dataset *d, ul_err *err)
{
	size_t n = (size_t)d->n;
	int *id = ul_alloc(&e->arena, (n + 1) * sizeof *id), many = 0, next = d->n;
	named *list = ul_malloc((n + 1) * sizeof *list);
	if (!id || !list) {
		ul_free(list);
		ul_nomem(err, (n + 1) * sizeof *list);
		return NULL;
	}
	for (int i = 0; i < d->n; i++) {
		id[i] = i;
		if (d->row[i].subject)
			list[many++] = (named){d->row[i].subject, i};
	}
	qsort(list, (size_t)many, sizeof *list, by_subject);
	for (int i = 0; i < many; i++) {
		if (i == 0 || strcmp(list[i].subject, list[i - 1].subject) != 0)
			next++;
		id[list[i].row] = next;
	}
	for (int i = 0; i < d->n && next == d->n + 1 && many == d->n; i++)
		id[i] = i;
	ul_free(list);
	return id;
}

/* ---- making one ---- */

static bool same_words(const ul_model *a, const ul_model *b)
{
	if (a->cfg.vocab != b->cfg.vocab || !a->tok != !b->tok)
		return false;
	if (!a->tok)
		return true;
	int n = ul_tok_size(a->tok);
	if (n != ul_tok_size(b->tok))
		return false;
	for (int i = 0; i < n; i++) {
		const char *x = ul_tok_piece(a->tok, i), *y = ul_tok_piece(b->tok, i);
		if (!x != !y || (x && strcmp(x, y) != 0))
			return false;
	}
	return true;
}

static bool prepare(ul_exam *e, ul_err *err)
{
	const ul_exam_config *c = &e->cfg;
	for (int w = 1; w < UL_WHOS; w++) {
		if (c->model[w] && !same_words(c->model[UL_AFTER], c->model[w]))
			return ul_fail(err, "the %s model has another vocabulary than the audited one: their scores cannot be compared", ul_who_name(w));
	}
	for (int s = 0; s < UL_SPLITS; s++) {
		if (!c->data[s])
			continue;
		if (!ul_dataset_tokenize(c->data[s], c->model[UL_AFTER], &c->encode, err))
			return false;
		e->cluster[s] = clusters(e, c->data[s], err);
		if (!e->cluster[s])
			return false;
	}
	return true;
}

ul_exam *ul_exam_new(const ul_exam_config *c, ul_err *err)
{
	UL_ASSERT(c->model[UL_AFTER], "no model to audit");
	if (!c->data[UL_S_FORGET]) {
		ul_fail(err, "an audit needs the rows that should be forgotten");
		ul_hint(err, "give them with --forget FILE");
		return NULL;
	}
	ul_exam *e = ul_calloc(1, sizeof *e);
	if (!e) {
		ul_nomem(err, sizeof *e);
		return NULL;
	}
	e->cfg = *c;
	e->cfg.encode.compat = c->compat ? UL_COMPAT_OPEN_UNLEARNING : c->encode.compat;
	if (e->cfg.min_k <= 0)
		e->cfg.min_k = 0.4;
	e->mode = c->model[UL_ORACLE] ? UL_MODE_ORACLE : c->data[UL_S_HOLDOUT] ? UL_MODE_HOLDOUT
	                                                                       : UL_MODE_BEFORE;
	if (!prepare(e, err)) {
		ul_exam_free(e);
		return NULL;
	}
	return e;
}

static void drop_scores(ul_scores *s)
{
	if (s)
		ul_scores_release(s);
	ul_free(s);
}

void ul_exam_free(ul_exam *e)
{
	if (!e)
		return;
	for (int s = 0; s < UL_SPLITS; s++) {
		for (int k = 0; k < UL_ANSWER_KINDS; k++) {
			if (e->asked[s][k])
				ul_dataset_release(e->asked[s][k]);
			ul_free(e->asked[s][k]);
		}
		for (int w = 0; w < UL_WHOS; w++) {
			drop_scores(e->scores[w][s]);
			for (int k = 0; k < UL_ANSWER_KINDS; k++)
				drop_scores(e->answer_scores[w][s][k]);
		}
	}
	ul_arena_release(&e->arena);
	ul_free(e);
}

const ul_exam_config *ul_exam_settings(const ul_exam *e)
{
	return &e->cfg;
}

enum ul_mode ul_exam_mode(const ul_exam *e)
{
	return e->mode;
}

bool ul_exam_has(const ul_exam *e, enum ul_who w)
{
	return e->cfg.model[w] != NULL;
}

const ul_dataset *ul_exam_data(const ul_exam *e, enum ul_split s)
{
	return e->cfg.data[s];
}

int ul_exam_cluster(const ul_exam *e, enum ul_split s, int row)
{
	return e->cluster[s][row];
}

ul_arena *ul_exam_arena(ul_exam *e)
{
	return &e->arena;
}

void **ul_exam_memo(ul_exam *e, const char *name, enum ul_split s)
{
	for (struct ul_memo *m = e->memo; m; m = m->next) {
		if (m->split == s && strcmp(m->name, name) == 0)
			return &m->what;
	}
	struct ul_memo *m = ul_alloc(&e->arena, sizeof *m);
	if (!m)
		return NULL;
	*m = (struct ul_memo){.name = name, .split = s, .next = e->memo};
	e->memo = m;
	return &m->what;
}

/* ---- scores ---- */

static ul_scores *score(ul_exam *e, enum ul_who w, const ul_dataset *d, unsigned want, ul_err *err)
{
	ul_scores *s = ul_calloc(1, sizeof *s);
	if (!s) {
		ul_nomem(err, sizeof *s);
		return NULL;
	}
	if (!ul_score(e->cfg.model[w], d, want, s, e->cfg.progress, err)) {
		ul_free(s);
		return NULL;
	}
	return s;
}

const ul_scores *ul_exam_scores(ul_exam *e, enum ul_who w, enum ul_split s, unsigned want, ul_err *err)
{
	if (!e->cfg.model[w] || !e->cfg.data[s])
		return NULL;
	if (e->scores[w][s] && (e->have[w][s] & want) == want)
		return e->scores[w][s];
	/* General text feeds one number only; of the rest, one pass brings all that is likely to be wanted. */
	unsigned all = want | e->have[w][s] | (s == UL_S_GENERAL ? 0 : UL_WANT_ARGMAX | UL_WANT_MOMENTS);
	ul_scores *new = score(e, w, e->cfg.data[s], all, err);
	if (!new)
		return NULL;
	drop_scores(e->scores[w][s]);
	e->scores[w][s] = new;
	e->have[w][s] = all;
	return new;
}

/* ---- variants of the rows: other answers, other questions ---- */

static const json_t *listed(const ul_exam *e, const ul_row *r, enum ul_answer which)
{
	static const char *const usual[UL_ANSWER_KINDS][3] = {{"paraphrase", "paraphrased_answer", "para_answers"}, {"perturbed", "perturbed_answer", "wrong"}, {"paraphrase_prompt", "paraphrased_question", "para_prompts"}};
	const char *own[UL_ANSWER_KINDS] = {e->cfg.paraphrase, e->cfg.perturbed, e->cfg.rephrased};
	if (own[which])
		return json_object_get(r->json, own[which]);
	for (int k = 0; k < 3; k++) {
		const json_t *v = json_object_get(r->json, usual[which][k]);
		if (json_is_string(v) || json_array_size(v) > 0)
			return v;
	}
	return NULL;
}

static const char *text_at(const json_t *list, int k)
{
	if (json_is_string(list))
		return k == 0 ? json_string_value(list) : NULL;
	return json_string_value(json_array_get(list, (size_t)k));
}

/* "What is" goes on as "what is" behind a first word; a name does not. */
static bool begins_plainly(const char *s)
{
	static const char *const word[] = {"What ", "Which ", "Who ", "Where ", "When ", "How ", "In ", "On ", "At ", "Is ", "Does ", "Did ", "Tell ", "Give ", "Name "};
	for (size_t i = 0; i < sizeof word / sizeof *word; i++) {
		if (strncmp(s, word[i], strlen(word[i])) == 0)
			return true;
	}
	return false;
}

/* A question with a harmless word around it; NULL when there is no k-th, or when it has such a word already. */
static const char *polite(ul_exam *e, const char *prompt, int k)
{
	static const char *const with[] = {"Please, %c%s", "Then, %c%s", "%c%s Thanks."};
	if (k >= (int)(sizeof with / sizeof *with) || strncasecmp(prompt, "please", 6) == 0 || !*prompt)
		return NULL;
	bool lower = k < 2 && begins_plainly(prompt);
	return ul_arena_printf(&e->arena, with[k], lower ? *prompt | 0x20 : *prompt, prompt + 1);
}

/* The k-th variant of a row; false when there is none. */
static bool variant(ul_exam *e, const ul_row *r, enum ul_answer which, int k, const char **prompt, const char **answer)
{
	*prompt = r->prompt;
	*answer = r->response;
	if (which == UL_PARAPHRASE || which == UL_PERTURBED)
		*answer = r->prompt || r->text ? text_at(listed(e, r, which), k) : NULL;
	else if (r->prompt && r->response)
		*prompt = which == UL_POLITE ? polite(e, r->prompt, k) : text_at(listed(e, r, which), k);
	return *answer && (*prompt || r->text);
}

static json_t *spans_of(const ul_row *r)
{
	json_t *list = json_array();
	for (int k = 0; k < r->spot_n; k++)
		json_array_append_new(list, json_pack("{s:i, s:i, s:s}", "start", r->spots[k].start, "end", r->spots[k].end, "type", r->spots[k].type ? r->spots[k].type : "MISC"));
	return list;
}

static bool add_variant(ul_dataset *d, const ul_row *r, const char *prompt, const char *answer, ul_err *err)
{
	json_t *record = prompt ? json_pack("{s:s, s:s}", "prompt", prompt, "response", answer) : json_pack("{s:s}", "text", answer);
	if (record && prompt && answer == r->response && r->spot_n > 0)
		json_object_set_new(record, "spans", spans_of(r));
	bool ok = record ? ul_dataset_add(d, record, err) : ul_nomem(err, strlen(answer));
	json_decref(record);
	return ok;
}

/* All variants of all rows, row by row; many[i] = how many row i has. */
static ul_dataset *ask(ul_exam *e, enum ul_split s, enum ul_answer which, int *many, ul_err *err)
{
	const ul_dataset *from = e->cfg.data[s];
	ul_dataset *d = ul_calloc(1, sizeof *d);
	bool ok = d || ul_nomem(err, sizeof *d);
	for (int i = 0; ok && i < from->n; i++) {
		const char *prompt, *answer;
		for (many[i] = 0; ok && variant(e, &from->row[i], which, many[i], &prompt, &answer); many[i]++)
			ok = add_variant(d, &from->row[i], prompt, answer, err);
	}
	ok = ok && (d->n == 0 || ul_dataset_tokenize(d, e->cfg.model[UL_AFTER], &e->cfg.encode, err));
	if (ok)
		return d;
	if (d)
		ul_dataset_release(d);
	ul_free(d);
	return NULL;
}

const ul_answers *ul_exam_answers(ul_exam *e, enum ul_who w, enum ul_split s, enum ul_answer which, ul_err *err)
{
	const ul_dataset *from = e->cfg.data[s];
	if (!e->cfg.model[w] || !from)
		return NULL;
	if (e->answers[w][s][which])
		return e->answers[w][s][which];
	if (!e->asked[s][which]) {
		e->asked_n[s][which] = ul_alloc(&e->arena, (size_t)(from->n + 1) * sizeof(int));
		if (!e->asked_n[s][which] || !(e->asked[s][which] = ask(e, s, which, e->asked_n[s][which], err)))
			return NULL;
	}
	const ul_dataset *d = e->asked[s][which];
	if (d->n == 0)
		return NULL;
	ul_scores *sc = score(e, w, d, which == UL_REPHRASED ? UL_WANT_ARGMAX : 0, err);
	if (!sc)
		return NULL;
	e->answer_scores[w][s][which] = sc;
	ul_answers *a = ul_alloc(&e->arena, sizeof *a);
	if (a)
		*a = (ul_answers){.n = e->asked_n[s][which], .row = ul_alloc(&e->arena, (size_t)from->n * sizeof *a->row)};
	if (!a || !a->row) {
		ul_nomem(err, (size_t)from->n * sizeof *a->row);
		return NULL;
	}
	for (int i = 0, at = 0; i < from->n; at += a->n[i++])
		a->row[i] = sc->row + at;
	e->answers[w][s][which] = a;
	return a;
}
