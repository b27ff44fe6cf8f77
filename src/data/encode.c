/*
 * encode.c: from rows to token ids and to what is learnt or forgotten in each of them.
 *
 * A row with a prompt is one text, "prefix response suffix". Which tokens belong to the response when a token straddles the seam?
 * The prompt alone is encoded first, without the blanks at its end ("Answer:", not "Answer: "): a word's token carries the blank
 * in front of it, so a prompt that ends in a blank would leave the model where no training text ever stood. When those ids are a
 * prefix of the ids of the whole, as they are for all but contrived seams, labels begin behind them; otherwise both halves are
 * encoded apart. So the prompt that generation starts from is always exactly the unlabelled part of the row.
 * open-unlearning keeps the blank and counts the prompt's own tokens, which may leave the first word of the answer unlabelled:
 * UL_COMPAT_OPEN_UNLEARNING does the same.
 */
#include "data/data.h"

#include "base/file.h"
#include "text/unicode.h"

#include <limits.h>
#include <string.h>

/* A row as text. Bytes [0, seam) are the prompt, [answer, answer_end) the response as the user wrote it. */
struct page {
	ul_buf text;
	size_t seam, answer, answer_end;
	int specials; /* as for ul_tok_encode: a chat template writes its own */
	bool ended; /* the template itself ends the response: no end token is added */
};

/* ---- templates ---- */

static const char *template_of(const ul_model *m, const ul_data_config *c)
{
	if (c && c->templ)
		return c->templ;
	return ul_tok_chat_template(m->tok) ? "chat" : "qa";
}

/* Where the content of a turn begins in the rendered text: templates may trim it. */
static size_t content_at(const ul_buf *text, size_t start, const char *content)
{
	size_t n = strlen(content), lead = strspn(content, " \t\r\n");
	if (start + n <= text->len && !memcmp(text->data + start, content, n))
		return start;
	return start >= lead ? start - lead : 0; /* offsets into the content stay right for all that was not trimmed */
}

static bool chat_of(const ul_model *m, enum ul_chat *chat, char system[256], ul_err *err)
{
	const char *jinja = ul_tok_chat_template(m->tok);
	if (!jinja) {
		ul_fail(err, "the model has no chat template");
		ul_hint(err, "give --template plain, qa or a file with {prompt} and {response}");
		return false;
	}
	return ul_chat_detect(jinja, chat, system, err);
}

static bool chat_page(const ul_model *m, const char *prompt, const char *response, struct page *p, ul_err *err)
{
	enum ul_chat chat;
	char system[256];
	ul_turn turns[2] = {{"user", prompt}, {"assistant", response}};
	size_t spans[4] = {0};
	ul_buf open = {0};
	p->specials = 0;
	p->ended = true;
	if (!chat_of(m, &chat, system, err))
		return false;
	if (!response) {
		bool ok = ul_chat_render(chat, system, turns, 1, true, &p->text, NULL, err);
		p->seam = p->answer = p->answer_end = p->text.len;
		return ok;
	}
	bool ok = ul_chat_render(chat, system, turns, 2, false, &p->text, spans, err) && ul_chat_render(chat, system, turns, 1, true, &open, NULL, err);
	if (ok) {
		p->answer = content_at(&p->text, spans[2], response);
		p->answer_end = p->answer + strlen(response);
		/* What opens the assistant's turn belongs to the prompt; what follows the end of the turn is nobody's. */
		bool same = open.len <= p->text.len && !memcmp(open.data, p->text.data, open.len);
		p->seam = same ? open.len : spans[2];
		if (p->text.len > spans[3])
			p->text.data[p->text.len = spans[3]] = 0;
	}
	ul_buf_release(&open);
	return ok;
}

static bool fill(struct page *p, const char *form, size_t n, const char *prompt, const char *response, ul_err *err)
{
	const char *end = form + n, *slot = NULL;
	p->specials = -1;
	for (const char *s = form; s < end;) {
		size_t left = (size_t)(end - s);
		if (left >= 8 && !memcmp(s, "{prompt}", 8)) {
			ul_buf_str(&p->text, prompt);
			s += 8;
		} else if (left >= 10 && !memcmp(s, "{response}", 10)) {
			if (slot)
				return ul_fail(err, "a template holds {response} twice");
			slot = s;
			p->seam = p->answer = p->text.len;
			if (!response)
				break;
			ul_buf_str(&p->text, response);
			p->answer_end = p->text.len;
			s += 10;
		} else {
			ul_buf_add(&p->text, s++, 1);
		}
	}
	if (!slot)
		return ul_fail(err, "a template holds no {response}");
	return !p->text.failed || ul_nomem(err, p->text.len);
}

static bool file_page(const char *path, const char *prompt, const char *response, struct page *p, ul_err *err)
{
	ul_buf form = {0};
	if (!ul_file_exists(path)) {
		ul_fail(err, "there is no template \"%s\"", path);
		ul_hint(err, "--template takes plain, qa, chat or a file with {prompt} and {response}");
		return false;
	}
	bool ok = ul_file_read(&form, path, 1 << 20, err);
	size_t n = form.len;
	if (n && form.data[n - 1] == '\n') /* the one that editors put at the end */
		n--;
	if (ok && !strstr(form.data ? form.data : "", "{prompt}"))
		ok = ul_fail(err, "the template %s holds no {prompt}", path);
	ok = ok && fill(p, form.data, n, prompt, response, err);
	ul_buf_release(&form);
	return ok;
}

static bool make_page(const ul_model *m, const ul_data_config *c, const char *prompt, const char *response, struct page *p, ul_err *err)
{
	const char *t = template_of(m, c), *qa = "Question: {prompt}\nAnswer: {response}", *plain = "{prompt}{response}";
	bool ok;
	if (!strcmp(t, "chat"))
		ok = chat_page(m, prompt, response, p, err);
	else if (!strcmp(t, "qa") || !strcmp(t, "plain"))
		ok = fill(p, *t == 'q' ? qa : plain, strlen(*t == 'q' ? qa : plain), prompt, response, err);
	else
		ok = file_page(t, prompt, response, p, err);
	bool compat = c && c->compat == UL_COMPAT_OPEN_UNLEARNING;
	while (ok && !compat && p->seam && p->text.data[p->seam - 1] == ' ')
		p->seam--;
	return ok;
}

/* ---- text to ids ---- */

static bool need_tokenizer(const ul_model *m, ul_err *err)
{
	return m->tok || ul_fail(err, "%s has no tokenizer: it takes rows of token ids only", m->path ? m->path : "the model");
}

/* Encodes with offsets and takes off the specials that a post-processor puts behind the text: a row may go on. */
static bool encode(const ul_model *m, const char *text, size_t n, int specials, ul_ids *out, ul_err *err)
{
	int before = out->n;
	bool any = false;
	if (!need_tokenizer(m, err) || !ul_tok_encode(m->tok, text ? text : "", n, specials, true, out, err))
		return false;
	for (int i = before; i < out->n; i++)
		any |= out->end[i] > out->begin[i];
	while (any && out->begin[out->n - 1] == out->end[out->n - 1] && ul_tok_is_special(m->tok, out->id[out->n - 1]))
		out->n--;
	return !out->failed || ul_nomem(err, (size_t)out->n);
}

/* A page as ids with byte offsets; *prompt is the number of tokens in front of the labels. */
static bool encode_page(const ul_model *m, const ul_data_config *c, const struct page *p, ul_ids *ids, int *prompt, ul_err *err)
{
	ul_ids head = {0};
	bool ok = encode(m, p->text.data, p->seam, p->specials, &head, err) && encode(m, p->text.data, p->text.len, p->specials, ids, err);
	*prompt = head.n;
	bool prefix = ok && head.n <= ids->n && (head.n == 0 || !memcmp(head.id, ids->id, (size_t)head.n * sizeof *head.id));
	if (ok && !prefix && !(c && c->compat == UL_COMPAT_OPEN_UNLEARNING)) {
		ids->n = 0;
		for (int i = 0; i < head.n; i++) {
			ul_ids_add(ids, head.id[i]);
			ids->begin[i] = head.begin[i];
			ids->end[i] = head.end[i];
		}
		ok = encode(m, p->text.data + p->seam, p->text.len - p->seam, 0, ids, err);
		for (int i = head.n; ok && i < ids->n; i++) {
			ids->begin[i] += (int)p->seam;
			ids->end[i] += (int)p->seam;
		}
	}
	ul_ids_release(&head);
	return ok && (!ids->failed || ul_nomem(err, (size_t)ids->n));
}

/* ---- ids to a row ---- */

/* Any overlap counts: half a phone number is personal data too. `at` is where the text that spans point into begins. */
static void mark_spans(ul_row *r, const ul_ids *ids, const char *text, size_t at)
{
	for (int s = 0; s < r->spot_n; s++) {
		long from = (long)(at + ul_utf8_offset(text, r->spots[s].start)), to = (long)(at + ul_utf8_offset(text, r->spots[s].end));
		for (int i = 0; i < r->n && i < ids->n; i++)
			if (ids->begin[i] < to && ids->end[i] > from)
				r->flags[i] |= UL_ROW_SPAN;
	}
}

static int limit_of(const ul_model *m, const ul_data_config *c)
{
	int limit = c ? c->max_length : 0;
	if (limit < 0)
		return INT_MAX;
	return limit > 0 && limit < m->cfg.context ? limit : m->cfg.context;
}

/* Copies ids into the row, cut to the limit; labels from token `first` on (never the first of all: nothing predicts it). */
static bool set_row(const ul_model *m, const ul_data_config *c, const ul_ids *ids, int first, ul_arena *a, ul_row *r, bool *cut, ul_err *err)
{
	int limit = limit_of(m, c);
	*cut = limit > 0 && ids->n > limit;
	r->n = *cut ? limit : ids->n;
	if (r->n == 0)
		return ul_fail(err, "a row without a single token");
	r->ids = ul_alloc(a, (size_t)r->n * sizeof *r->ids);
	r->flags = ul_alloc(a, (size_t)r->n);
	if (!r->ids || !r->flags)
		return ul_nomem(err, (size_t)r->n * (sizeof *r->ids + 1));
	for (int i = 0; i < r->n; i++) {
		if (ids->id[i] < 0 || ids->id[i] >= m->cfg.vocab)
			return ul_fail(err, "token id %d is outside the model's vocabulary of %d", ids->id[i], m->cfg.vocab);
		r->ids[i] = ids->id[i];
		r->flags[i] = i > 0 && i >= first ? UL_ROW_LABEL : 0;
	}
	return true;
}

static void add_end(const ul_model *m, ul_ids *ids, ul_err *err)
{
	int eos = ul_tok_eos(m->tok), n = ids->n;
	if (eos < 0 && m->cfg.eos_n)
		eos = m->cfg.eos[0];
	if (eos < 0)
		return;
	int at = n && ids->end ? ids->end[n - 1] : 0;
	ul_ids_add(ids, eos);
	if (ids->n > n && ids->begin)
		ids->begin[n] = ids->end[n] = at;
}

static bool encode_pair(const ul_model *m, const ul_data_config *c, ul_arena *a, ul_row *r, bool *cut, ul_err *err)
{
	struct page p = {0};
	ul_ids ids = {0};
	int prompt;
	bool ok = r->response || ul_fail(err, "a prompt without a response");
	ok = ok && need_tokenizer(m, err) && make_page(m, c, r->prompt, r->response, &p, err) && encode_page(m, c, &p, &ids, &prompt, err);
	if (ok && !p.ended && !(c && c->eos == UL_EOS_NONE))
		add_end(m, &ids, err);
	ok = ok && set_row(m, c, &ids, prompt, a, r, cut, err);
	if (ok)
		mark_spans(r, &ids, r->response, p.answer);
	ul_ids_release(&ids);
	ul_buf_release(&p.text);
	return ok;
}

static bool encode_text(const ul_model *m, const ul_data_config *c, ul_arena *a, ul_row *r, bool *cut, ul_err *err)
{
	ul_ids ids = {0};
	bool ok = need_tokenizer(m, err) && ul_tok_encode(m->tok, r->text, strlen(r->text), -1, true, &ids, err);
	if (ok && c && c->eos == UL_EOS_ALL)
		add_end(m, &ids, err);
	ok = ok && set_row(m, c, &ids, 0, a, r, cut, err);
	if (ok)
		mark_spans(r, &ids, r->text, 0);
	ul_ids_release(&ids);
	return ok;
}

/* ---- conversations ---- */

static bool render_turns(const ul_model *m, const json_t *list, int n, bool generate, ul_buf *text, size_t *spans, ul_err *err)
{
	enum ul_chat chat;
	char system[256];
	ul_turn *turn = ul_calloc((size_t)n, sizeof *turn);
	bool ok = turn || ul_nomem(err, (size_t)n * sizeof *turn);
	for (int i = 0; ok && i < n; i++) {
		const json_t *t = json_array_get(list, (size_t)i);
		turn[i] = (ul_turn){ul_json_str(t, "role"), ul_json_str(t, "content")};
	}
	ok = ok && chat_of(m, &chat, system, err) && ul_chat_render(chat, system, turn, n, generate, text, spans, err);
	ul_free(turn);
	return ok;
}

static bool encode_chat(const ul_model *m, const ul_data_config *c, ul_arena *a, ul_row *r, bool *cut, ul_err *err)
{
	const json_t *list = json_object_get(r->json, "messages");
	int n = (int)json_array_size(list);
	ul_buf text = {0};
	ul_ids ids = {0};
	size_t *spans = ul_calloc((size_t)n, 2 * sizeof *spans);
	bool ok = spans || ul_nomem(err, (size_t)n * 2 * sizeof *spans);
	ok = ok && need_tokenizer(m, err) && render_turns(m, list, n, false, &text, spans, err) && ul_tok_encode(m->tok, text.data, text.len, 0, true, &ids, err);
	ok = ok && set_row(m, c, &ids, ids.n, a, r, cut, err);
	for (int t = 0; ok && t < n; t++) {
		if (strcmp(ul_json_str(json_array_get(list, (size_t)t), "role"), "assistant"))
			continue;
		for (int i = 1; i < r->n; i++)
			if ((size_t)ids.begin[i] < spans[2 * t + 1] && (size_t)ids.end[i] > spans[2 * t])
				r->flags[i] |= UL_ROW_LABEL;
	}
	ul_free(spans);
	ul_ids_release(&ids);
	ul_buf_release(&text);
	return ok;
}

static bool encode_ids(const ul_model *m, const ul_data_config *c, ul_arena *a, ul_row *r, bool *cut, ul_err *err)
{
	const json_t *list = json_object_get(r->json, "ids"), *labels = json_object_get(r->json, "labels"), *v;
	ul_ids ids = {0};
	size_t i;
	json_array_foreach(list, i, v)
	        ul_ids_add(&ids, (int)json_integer_value(v));
	bool ok = (!ids.failed || ul_nomem(err, json_array_size(list))) && set_row(m, c, &ids, 0, a, r, cut, err);
	for (int t = 0; ok && labels && t < r->n; t++)
		if (json_integer_value(json_array_get(labels, (size_t)t)) == -100)
			r->flags[t] = 0;
	ul_ids_release(&ids);
	return ok;
}

/* ---- the doors ---- */

bool ul_dataset_tokenize(ul_dataset *d, const ul_model *m, const ul_data_config *c, ul_err *err)
{
	bool (*const encode_row[])(const ul_model *, const ul_data_config *, ul_arena *, ul_row *, bool *, ul_err *) = {[UL_SHAPE_TEXT] = encode_text, [UL_SHAPE_PAIR] = encode_pair, [UL_SHAPE_CHAT] = encode_chat, [UL_SHAPE_IDS] = encode_ids};
	d->cut = 0;
	d->tokens = d->labels = 0;
	for (int i = 0; i < d->n; i++) {
		ul_row *r = &d->row[i];
		ul_err why = {0};
		bool cut;
		if (!encode_row[r->shape](m, c, &d->arena, r, &cut, &why)) {
			r->n = 0;
			ul_fail(err, "%s%sline %d: %.400s", d->path ? d->path : "", d->path ? ", " : "", r->line, why.msg);
			if (why.hint[0])
				ul_hint(err, "%s", why.hint);
			return false;
		}
		d->cut += cut;
		d->tokens += r->n;
		for (int t = 0; t < r->n; t++)
			d->labels += (r->flags[t] & UL_ROW_LABEL) != 0;
	}
	return true;
}

bool ul_row_encode(const ul_model *m, const ul_data_config *c, const char *prompt, const char *response, ul_arena *a, ul_row *out, ul_err *err)
{
	ul_row r = {.prompt = prompt, .response = response};
	bool cut;
	if (!encode_pair(m, c, a, &r, &cut, err))
		return false;
	*out = r;
	return true;
}

bool ul_prompt_encode(const ul_model *m, const ul_data_config *c, const char *prompt, ul_ids *out, ul_err *err)
{
	struct page p = {0};
	bool ok = need_tokenizer(m, err) && make_page(m, c, prompt, NULL, &p, err) && encode(m, p.text.data, p.seam, p.specials, out, err);
	ul_buf_release(&p.text);
	return ok;
}

bool ul_turn_open(const ul_model *m, const char *said, ul_ids *out, char stop[64], ul_err *err)
{
	enum ul_chat chat;
	char system[256];
	size_t spans[2] = {0};
	ul_buf text = {0};
	bool ok = need_tokenizer(m, err) && chat_of(m, &chat, system, err) && ul_chat_render(chat, system, &(ul_turn){"user", said}, 1, false, &text, spans, err);
	if (ok) {
		size_t end = content_at(&text, spans[0], said) + strlen(said), mark = end;
		while (mark < spans[1] && text.data[mark] == ' ')
			mark++;
		snprintf(stop, 64, "%.*s", (int)(spans[1] - mark), text.data + mark);
		while (end && text.data[end - 1] == ' ') /* as in front of a response */
			end--;
		ok = encode(m, text.data, end, 0, out, err);
	}
	ul_buf_release(&text);
	return ok;
}

bool ul_text_encode(const ul_model *m, const char *text, size_t n, ul_ids *out, ul_err *err)
{
	int before = out->n;
	if (!encode(m, text, n, -1, out, err))
		return false;
	if (out->n > before || n)
		return true;
	int start = ul_tok_bos(m->tok) >= 0 ? ul_tok_bos(m->tok) : m->cfg.bos >= 0 ? m->cfg.bos
	                                                                           : ul_tok_eos(m->tok);
	if (start >= 0)
		ul_ids_add(out, start);
	return !out->failed || ul_nomem(err, sizeof start);
}

bool ul_row_prompt(const ul_model *m, const ul_data_config *c, const ul_row *r, ul_ids *out, ul_err *err)
{
	const json_t *turns = json_object_get(r->json, "messages"), *ids = json_object_get(r->json, "ids"), *labels = json_object_get(r->json, "labels"), *v;
	size_t i;
	if (r->prompt)
		return ul_prompt_encode(m, c, r->prompt, out, err);
	if (r->text)
		return ul_text_encode(m, r->text, strlen(r->text), out, err);
	if (!turns) {
		json_array_foreach(ids, i, v)
		{
			if (labels && json_integer_value(json_array_get(labels, i)) != -100)
				break;
			ul_ids_add(out, (int)json_integer_value(v));
		}
		return !out->failed || ul_nomem(err, i * sizeof(int));
	}
	int n = (int)json_array_size(turns);
	const char *last = ul_json_str(json_array_get(turns, (size_t)n - 1), "role");
	ul_buf text = {0};
	n -= last && !strcmp(last, "assistant") && n > 1;
	bool ok = need_tokenizer(m, err) && render_turns(m, turns, n, true, &text, NULL, err) && encode(m, text.data, text.len, 0, out, err);
	ul_buf_release(&text);
	return ok;
}
