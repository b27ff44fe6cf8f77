/*
 * starts.c: the openings that a model suggests itself, before anything was drawn from it: tokens that begin or end texts, and every
 * likely first token, those first whose continuation the model is surest of. What was learnt by heart is recited without doubt.
 */
#include "data/openings.h"

#include "model/decode.h"
#include "model/generate.h"

#include "text/unicode.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

enum { CHAT_WORDS = 16 }; /* likely first words of a user that are tried */
#define CHAT_WORD 1.1 /* their prior: before all first tokens of texts */

/* The likeliest tokens behind the `n` tokens of `start`; -1 on an error. */
static int first_tokens(ul_model *m, const int *start, int n, int k, ul_choice *out, ul_err *err)
{
	ul_tape tape;
	int span[] = {0, n}, last = n - 1, found = -1;
	size_t vocab = (size_t)m->cfg.vocab;
	ul_tape_init(&tape, m->be);
	tape.record = false;
	int *pos = ul_malloc((size_t)n * sizeof *pos);
	float *logits = ul_malloc(2 * vocab * sizeof *logits); /* and as much to sort in */
	for (int i = 0; pos && i < n; i++)
		pos[i] = i;
	if (!pos || !logits)
		ul_nomem(err, 2 * vocab * sizeof *logits);
	else {
		ul_pass pass = {.tape = &tape, .ids = start, .pos = pos, .span = {1, span}};
		ul_val *z = ul_head_logits(ul_rows(ul_forward(m, &pass), &last, 1), m->head, m->head_b); /* [1, vocab] */
		if (ul_tape_ok(&tape, err)) {
			ul_read_f32(z, logits);
			found = ul_choose_best(logits, m->cfg.vocab, k, out, logits + vocab);
		}
	}
	ul_free(pos);
	ul_free(logits);
	ul_tape_release(&tape);
	return found;
}

/* Does a token begin as a text does? In a small vocabulary any may. */
static bool may_begin(const ul_model *m, int id)
{
	ul_buf text = {0};
	if (ul_tok_is_special(m->tok, id))
		return false;
	ul_tok_decode(m->tok, &id, 1, true, &text);
	bool yes = text.len && (m->cfg.vocab <= 4096 || isupper((unsigned char)text.data[0]));
	ul_buf_release(&text);
	return yes;
}

struct sweep {
	ul_openings *pool;
	ul_model *m;
	const ul_ids *front; /* what the tokenizer puts in front of every text */
};

struct first { /* a token that may begin a text, and how sure the model is of what follows */
	int id;
	double sure;
};

static int by_sure(const void *x, const void *y)
{
	const struct first *a = x, *b = y;
	return a->sure != b->sure ? (a->sure > b->sure ? -1 : 1) : a->id - b->id;
}

/* Sorts tokens by the probability, a token, of the `next` tokens that follow each greedily. */
static bool weigh(struct sweep *s, struct first *f, int n, int next, ul_err *err)
{
	ul_arena a = {0};
	ul_gen *g = NULL;
	ul_gen_config greedy = ul_gen_greedy(next);
	ul_ids *prompt = ul_alloc(&a, (size_t)(n + 1) * sizeof *prompt);
	bool ok = prompt || ul_nomem(err, (size_t)n * sizeof *prompt);
	for (int i = 0; ok && i < n; i++) {
		for (int t = 0; t < s->front->n; t++)
			ul_ids_add(&prompt[i], s->front->id[t]);
		ul_ids_add(&prompt[i], f[i].id);
	}
	ok = ok && ul_generate(s->m, prompt, n, &greedy, &a, &g, err);
	for (int i = 0; i < n; i++) {
		if (ok)
			f[i].sure = g[i].n ? exp(g[i].logp / g[i].n) : 0;
		if (prompt)
			ul_ids_release(&prompt[i]);
	}
	qsort(f, (size_t)n, sizeof *f, by_sure);
	s->pool->tokens += (int64_t)n * next;
	ul_arena_release(&a);
	return ok;
}

/* First tokens become openings; the prior of each is how sure the model is of the words that follow it. The likeliest behind the
 * starts and, because no training text may ever have stood behind a start, all that look like the beginning of a text. */
static bool sweep(struct sweep *s, const int *start, int starts, int most, ul_err *err)
{
	ul_model *m = s->m;
	int n = 0;
	ul_arena a = {0};
	ul_choice *best = ul_alloc(&a, (size_t)(most + 1) * sizeof *best);
	bool *in = ul_alloc(&a, (size_t)m->cfg.vocab), ok = true;
	struct first *f = ul_alloc(&a, (size_t)m->cfg.vocab * sizeof *f);
	if (a.failed)
		ok = ul_nomem(err, (size_t)m->cfg.vocab * sizeof *f);
	for (int k = 0; ok && k < starts; k++) {
		int found = first_tokens(m, &start[k], 1, most / starts, best, err);
		ok = found >= 0;
		for (int i = 0; i < found; i++)
			in[best[i].id] |= !ul_tok_is_special(m->tok, best[i].id);
	}
	for (int id = 0; ok && id < m->cfg.vocab && id < ul_tok_size(m->tok); id++)
		if (in[id] || may_begin(m, id))
			f[n++].id = id;
	ok = ok && weigh(s, f, n, 1, err);
	n = n < most ? n : most;
	ok = ok && weigh(s, f, n, 4, err);
	for (int i = 0; ok && i < n; i++) {
		ul_ids prompt = {0};
		ul_buf text = {0};
		for (int t = 0; t < s->front->n; t++)
			ul_ids_add(&prompt, s->front->id[t]);
		ul_ids_add(&prompt, f[i].id);
		ul_tok_decode(m->tok, &f[i].id, 1, true, &text);
		ok = ul_opening_add(s->pool, text.data, text.len, &prompt, f[i].sure, false, err);
		ul_buf_release(&text);
		ul_ids_release(&prompt);
	}
	ul_arena_release(&a);
	return ok;
}

/* Tokens that a text may follow: what begins texts, what ends them, and what separates documents in models that chat. */
static int starts(const ul_model *m, int out[3])
{
	const int all[3] = {ul_tok_bos(m->tok), ul_tok_eos(m->tok), ul_tok_id(m->tok, "<|endoftext|>")};
	int n = 0;
	out[0] = out[1] = out[2] = -1;
	for (int i = 0; i < 3; i++) {
		bool there = all[i] < 0;
		for (int k = 0; k < n; k++)
			there |= out[k] == all[i];
		if (!there)
			out[n++] = all[i];
	}
	return n;
}

/* A user's turn, empty and with each likely first word. A template that is not known is no reason to fail: texts are still drawn. */
static bool conversations(ul_openings *p, ul_model *m, double prior, ul_err *err)
{
	ul_ids open = {0};
	ul_choice best[CHAT_WORDS];
	ul_err unknown = {0};
	char stop[64];
	bool known = ul_tok_chat_template(m->tok) && ul_turn_open(m, "", &open, stop, &unknown), ok = true;
	if (known && open.n > 0 && open.n < m->cfg.context) {
		int n = first_tokens(m, open.id, open.n, CHAT_WORDS, best, err);
		ok = n >= 0 && ul_opening_chat(p, "", false, prior, false, err);
		for (int i = 0; ok && i < n; i++) {
			ul_buf word = {0};
			if (ul_tok_is_special(m->tok, best[i].id))
				continue;
			ul_tok_decode(m->tok, &best[i].id, 1, true, &word);
			ok = !word.len || !ul_utf8_ok(word.data, word.len) || ul_opening_chat(p, word.data, false, CHAT_WORD, false, err);
			ul_buf_release(&word);
		}
	}
	ul_ids_release(&open);
	return ok;
}

bool ul_openings_suggest(ul_openings *p, ul_model *m, const ul_ids *front, int most, double prior, ul_err *err)
{
	struct sweep s = {p, m, front};
	int start[3], n = starts(m, start);
	bool ok = true;
	for (int i = 0; ok && i < n; i++)
		ok = ul_opening_add(p, "", 0, &(ul_ids){.id = &start[i], .n = 1}, prior, false, err);
	ok = ok && (most == 0 || conversations(p, m, prior, err));
	return ok && (most == 0 || sweep(&s, start, n, most < m->cfg.vocab ? most : m->cfg.vocab, err));
}
