/*
 * knowmem_few_shot.c: knowledge memorisation as MUSE asks for it: behind a few questions with their answers, which show what is
 * wanted, so that a model that has merely lost the manner of answering is not taken for one that has forgotten.
 */
#include "audits/audit.h"
#include "audits/match/match.h"

#include <math.h>

enum { SHOTS = 10,
	ANSWER = 32 };

/* The first `shots` retained questions with their answers, and the question; ids of the text as it stands. */
static bool ask(const ul_ask *q, const ul_row *r, int shots, ul_ids *out)
{
	const ul_dataset *shown = ul_exam_data(q->e, UL_S_RETAIN);
	ul_buf text = {0};
	for (int i = 0, n = 0; i < shown->n && n < shots; i++) {
		if (!shown->row[i].prompt || !shown->row[i].response)
			continue;
		ul_buf_printf(&text, "Question: %s\nAnswer: %s\n\n", shown->row[i].prompt, shown->row[i].response);
		n++;
	}
	ul_buf_printf(&text, "Question: %s\nAnswer:", r->prompt);
	bool ok = !text.failed || ul_nomem(q->err, text.len);
	out->n = 0;
	ok = ok && ul_text_encode(ul_exam_settings(q->e)->model[q->who], text.data, text.len, out, q->err);
	ul_buf_release(&text);
	return ok;
}

/* As many examples as leave room for an answer; false without err: not even the question does. */
static bool ask_within(const ul_ask *q, const ul_row *r, ul_ids *out)
{
	int room = ul_exam_settings(q->e)->model[q->who]->cfg.context - ANSWER;
	for (int shots = SHOTS; shots >= 0; shots--) {
		if (!ask(q, r, shots, out))
			return false;
		if (out->n <= room)
			return true;
	}
	return false;
}

/* Questions of the asked rows; row[k] is the row of the k-th. */
static int gather(const ul_ask *q, const ul_dataset *d, ul_ids *prompt, int *row)
{
	int n = 0;
	for (int i = 0; i < d->n && !q->err->msg[0]; i++) {
		if (!d->row[i].prompt || !d->row[i].response || !ul_exam_asks(q->e, q->split, i))
			continue;
		if (ask_within(q, &d->row[i], &prompt[n]))
			row[n++] = i;
		else
			ul_ids_release(&prompt[n]);
	}
	return n;
}

static bool say(const ul_ask *q, const ul_dataset *d, const ul_ids *prompt, const int *row, int n, ul_items *out)
{
	static const char *const stop[] = {"\n\n", "\nQuestion", "Question:", NULL};
	ul_gen_config c = ul_gen_greedy(ANSWER);
	ul_gen *said = NULL;
	c.stop = stop;
	if (n > 0 && !ul_generate(ul_exam_settings(q->e)->model[q->who], prompt, n, &c, ul_exam_arena(q->e), &said, q->err))
		return false;
	for (int k = 0; k < n; k++) {
		ul_rouge r;
		if (!ul_rouge_score(d->row[row[k]].response, said[k].text ? said[k].text : "", false, &r, q->err))
			return false;
		if (!ul_items_add(q->e, out, q->split, row[k], r.f1_l, 0, q->err))
			return false;
	}
	return out->n > 0 || ul_not_here(q, "the forget rows are no questions with answers");
}

static bool items(const ul_ask *q, ul_items *out)
{
	const ul_dataset *d = ul_exam_data(q->e, q->split);
	if (!d || !ul_exam_data(q->e, UL_S_RETAIN))
		return ul_not_here(q, "no retain rows were given to show as examples");
	if (!ul_exam_settings(q->e)->model[UL_AFTER]->tok)
		return ul_not_here(q, "the model has no tokenizer to speak with");
	ul_ids *prompt = ul_calloc((size_t)d->n + 1, sizeof *prompt);
	int *row = ul_calloc((size_t)d->n + 1, sizeof *row);
	bool ok = (prompt && row) || ul_nomem(q->err, (size_t)d->n * sizeof *prompt);
	int n = ok ? gather(q, d, prompt, row) : 0;
	ok = ok && !q->err->msg[0] && say(q, d, prompt, row, n, out);
	for (int i = 0; prompt && i < d->n; i++)
		ul_ids_release(&prompt[i]);
	ul_free(prompt);
	ul_free(row);
	return ok;
}

const ul_audit_def ul_audit_knowmem_few_shot = {
        .name = "knowmem_few_shot",
        .title = "Knowledge shown behind examples",
        .paper = "Shi et al. 2024, MUSE",
        .notes = "Known: \"Question: …\\nAnswer: …\" pairs in front of the question, 32 new tokens, cut at an empty line or the next question, ROUGE-L F1. Departure: the ten examples are the first retained questions, fewer where the context is short; MUSE keeps a file of its own for them.",
        .kind = UL_K_FORGET,
        .split = UL_S_FORGET,
        .against = UL_VS_PEER,
        .sign = +1,
        .margin = 0.05,
        .rate = true,
        .level = UL_STANDARD,
        .items = items,
};
