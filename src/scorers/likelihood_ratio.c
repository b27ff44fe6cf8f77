/*
 * likelihood_ratio.c: what the model finds likelier than another model does, it has learnt somewhere (after Carlini et al. 2021, who
 * rank extracted texts so).
 *
 *     score = σ(4 · (log p_model(text) - log p_reference(text)) / tokens - 2)        1/2 at half a nat a token
 */
#include "scorers/scorer.h"

#include "data/data.h"

#include <math.h>
#include <string.h>

static bool open(ul_scoring *s, ul_err *err)
{
	ul_model *reference = s->state = ul_model_open_with(s->arg, NULL, err);
	if (!reference)
		return false;
	return reference->tok || ul_fail(err, "the scorer \"likelihood-ratio\" needs a tokenizer, which %s has not", s->arg);
}

/* log p of the text given what the tokenizer puts in front; *n receives its tokens. */
static bool logp(ul_model *m, const char *text, double *out, int *n, ul_err *err)
{
	ul_ids ids = {0};
	ul_arena a = {0};
	ul_tape t;
	bool ok = ul_text_encode(m, text, strlen(text), &ids, err);
	int len = ids.n < m->cfg.context ? ids.n : m->cfg.context;
	int *pos = ul_alloc(&a, (size_t)(len + 1) * sizeof *pos), span[2] = {0, len};
	ul_tape_init(&t, m->be);
	t.record = false;
	*out = 0;
	*n = len > 1 ? len - 1 : 0;
	ok = ok && (pos || ul_nomem(err, (size_t)len * sizeof *pos));
	for (int i = 0; ok && i < len; i++)
		pos[i] = i;
	if (ok && *n) {
		ul_pass p = {.tape = &t, .ids = ids.id, .pos = pos, .span = {1, span}};
		ul_val *h = ul_rows(ul_forward(m, &p), pos, *n); /* [n, hidden] */
		ul_val *sum = ul_sum(ul_head_logp(h, m->head, m->head_b, ids.id + 1, NULL));
		ok = ul_tape_ok(&t, err);
		*out = ok ? ul_item(sum) : 0;
	}
	ul_tape_release(&t);
	ul_arena_release(&a);
	ul_ids_release(&ids);
	return ok;
}

static bool score(ul_scoring *s, const char *const *text, int n, double *out, ul_err *err)
{
	for (int i = 0; i < n; i++) {
		double mine, theirs;
		int tokens, other;
		if (!logp(s->model, text[i], &mine, &tokens, err) || !logp(s->state, text[i], &theirs, &other, err))
			return false;
		out[i] = tokens ? 1 / (1 + exp(2 - 4 * (mine - theirs) / tokens)) : 0;
	}
	return true;
}

static void close(ul_scoring *s)
{
	ul_model_free(s->state);
}

const ul_scorer ul_scorer_likelihood_ratio = {
        .name = "likelihood-ratio",
        .title = "how much likelier a text is to the model than to a reference model",
        .paper = "Carlini et al. 2021, Extracting Training Data from Large Language Models",
        .notes = "1/2 where the model is surer by half a nat a token. The tokenizers may differ; the reference is best the model before it learnt what is to be forgotten.",
        .arg = "MODEL",
        .early = true,
        .open = open,
        .score = score,
        .close = close,
};
