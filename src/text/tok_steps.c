/*
 * tok_steps.c: normalizer, pre-tokenizer, decoder and post-processor of a tokenizer.json, read into flat lists of steps. A Sequence is
 * its members one after the other, at any depth. What is not understood is refused with its name.
 */
#include "text/tok.h"

#include <string.h>

struct reader {
	ul_tok *t;
	struct tok_steps *into;
	const char *part; /* "normalizer" … */
	ul_err *err;
};

static bool text_of(struct reader *r, const json_t *v, const char *key, const char **s, size_t *n)
{
	const json_t *j = json_object_get(v, key);
	if (!json_is_string(j))
		return ul_fail(r->err, "tokenizer.json: %s: %s is missing or no string", r->part, key);
	*n = json_string_length(j);
	char *copy = ul_alloc_raw(&r->t->arena, *n + 1);
	if (!copy)
		return ul_nomem(r->err, *n);
	memcpy(copy, json_string_value(j), *n + 1);
	*s = copy;
	return true;
}

static bool pattern_of(struct reader *r, const json_t *v, struct tok_step *s)
{
	const json_t *p = json_object_get(v, "pattern");
	if (json_object_get(p, "String"))
		return text_of(r, p, "String", &s->a, &s->an);
	if (!text_of(r, p, "Regex", &s->a, &s->an))
		return false;
	s->re = ul_regex_new(s->a, s->an, r->err);
	return s->re != NULL;
}

static bool choice(struct reader *r, const json_t *v, const char *key, const char *const *names, int n, int *out)
{
	const char *s = ul_json_str(v, key);
	if (!s)
		return true;
	for (int i = 0; i < n; i++)
		if (!strcmp(s, names[i]))
			return *out = i, true;
	return ul_fail(r->err, "tokenizer.json: %s: %s \"%.40s\" is not known", r->part, key, s);
}

static bool split_of(struct reader *r, const json_t *v, struct tok_step *s)
{
	static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
	int how = s->split;
	bool ok = choice(r, v, "behavior", names, 5, &how);
	s->split = (enum tok_split)how;
	return ok;
}

/* ---- normalizers ---- */

static bool norm_simple(struct reader *r, const json_t *v, struct tok_step *s)
{
	return true;
}

static bool norm_prepend(struct reader *r, const json_t *v, struct tok_step *s)
{
	return text_of(r, v, "prepend", &s->a, &s->an);
}

static bool replace(struct reader *r, const json_t *v, struct tok_step *s)
{
	return pattern_of(r, v, s) && text_of(r, v, "content", &s->b, &s->bn);
}

static bool norm_strip(struct reader *r, const json_t *v, struct tok_step *s)
{
	s->left = s->right = true;
	return ul_json_bool(v, "strip_left", &s->left, r->err) && ul_json_bool(v, "strip_right", &s->right, r->err);
}

/* ---- pre-tokenizers ---- */

static bool pre_bytes(struct reader *r, const json_t *v, struct tok_step *s)
{
	s->use_regex = s->add_space = true;
	s->split = SPLIT_ISOLATED;
	return ul_json_bool(v, "use_regex", &s->use_regex, r->err) && ul_json_bool(v, "add_prefix_space", &s->add_space, r->err);
}

static bool pre_split(struct reader *r, const json_t *v, struct tok_step *s)
{
	return pattern_of(r, v, s) && split_of(r, v, s) && ul_json_bool(v, "invert", &s->invert, r->err);
}

static bool pre_digits(struct reader *r, const json_t *v, struct tok_step *s)
{
	bool ok = ul_json_bool(v, "individual_digits", &s->individual, r->err);
	s->split = s->individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
	return ok;
}

static bool pre_whitespace(struct reader *r, const json_t *v, struct tok_step *s)
{
	s->split = SPLIT_REMOVED;
	s->invert = s->kind == P_WHITESPACE; /* matches are the words here */
	return true;
}

static bool pre_punctuation(struct reader *r, const json_t *v, struct tok_step *s)
{
	s->split = SPLIT_ISOLATED;
	return split_of(r, v, s);
}

static bool pre_delimiter(struct reader *r, const json_t *v, struct tok_step *s)
{
	s->split = SPLIT_REMOVED;
	return text_of(r, v, "delimiter", &s->a, &s->an);
}

static bool metaspace(struct reader *r, const json_t *v, struct tok_step *s)
{
	static const char *const names[] = {"always", "never", "first"};
	bool add = true, divide = true;
	int how = PREPEND_ALWAYS;
	if (!text_of(r, v, "replacement", &s->a, &s->an) || !ul_json_bool(v, "add_prefix_space", &add, r->err) ||
	        !ul_json_bool(v, "split", &divide, r->err) || !choice(r, v, "prepend_scheme", names, 3, &how))
		return false;
	s->prepend = !add && !json_object_get(v, "prepend_scheme") ? PREPEND_NEVER : (enum tok_prepend)how;
	s->no_split = !divide;
	s->split = SPLIT_WITH_NEXT;
	return true;
}

/* ---- decoders ---- */

static bool dec_strip(struct reader *r, const json_t *v, struct tok_step *s)
{
	int64_t start = 0, stop = 0;
	bool ok = text_of(r, v, "content", &s->a, &s->an) && ul_json_int(v, "start", 0, INT32_MAX, &start, r->err) &&
	          ul_json_int(v, "stop", 0, INT32_MAX, &stop, r->err);
	s->start = (int)start;
	s->stop = (int)stop;
	return ok;
}

static const struct entry {
	const char *part, *type;
	enum tok_kind kind;
	bool (*read)(struct reader *r, const json_t *v, struct tok_step *s);
} table[] = {
        {"normalizer", "NFC", N_NFC, norm_simple},
        {"normalizer", "NFD", N_NFD, norm_simple},
        {"normalizer", "NFKC", N_NFKC, norm_simple},
        {"normalizer", "NFKD", N_NFKD, norm_simple},
        {"normalizer", "Lowercase", N_LOWER, norm_simple},
        {"normalizer", "StripAccents", N_STRIP_ACCENTS, norm_simple},
        {"normalizer", "ByteLevel", N_BYTES, norm_simple},
        {"normalizer", "Prepend", N_PREPEND, norm_prepend},
        {"normalizer", "Replace", N_REPLACE, replace},
        {"normalizer", "Strip", N_STRIP, norm_strip},
        {"pre_tokenizer", "ByteLevel", P_BYTES, pre_bytes},
        {"pre_tokenizer", "Split", P_SPLIT, pre_split},
        {"pre_tokenizer", "Digits", P_DIGITS, pre_digits},
        {"pre_tokenizer", "Whitespace", P_WHITESPACE, pre_whitespace},
        {"pre_tokenizer", "WhitespaceSplit", P_WHITESPACE_SPLIT, pre_whitespace},
        {"pre_tokenizer", "Punctuation", P_PUNCTUATION, pre_punctuation},
        {"pre_tokenizer", "CharDelimiterSplit", P_DELIMITER, pre_delimiter},
        {"pre_tokenizer", "Metaspace", P_METASPACE, metaspace},
        {"decoder", "ByteLevel", D_BYTES, norm_simple},
        {"decoder", "ByteFallback", D_BYTE_FALLBACK, norm_simple},
        {"decoder", "Fuse", D_FUSE, norm_simple},
        {"decoder", "Strip", D_STRIP, dec_strip},
        {"decoder", "Replace", D_REPLACE, replace},
        {"decoder", "Metaspace", D_METASPACE, metaspace},
};

static bool append(struct reader *r, const struct tok_step *s)
{
	if (!r->into->step && !(r->into->step = ul_alloc(&r->t->arena, TOK_MAX_STEPS * sizeof *s)))
		return ul_nomem(r->err, TOK_MAX_STEPS * sizeof *s);
	if (r->into->n == TOK_MAX_STEPS) {
		ul_regex_free(s->re);
		return ul_fail(r->err, "tokenizer.json: more than %d steps in the %s", TOK_MAX_STEPS, r->part);
	}
	r->into->step[r->into->n++] = *s;
	return true;
}

static bool read_part(struct reader *r, const json_t *v)
{
	const char *type = ul_json_str(v, "type");
	if (!v || json_is_null(v))
		return true;
	if (type && !strcmp(type, "Sequence")) {
		const json_t *list = NULL, *member;
		const char *keys[] = {"normalizers", "pretokenizers", "decoders"};
		for (int i = 0; i < 3 && !list; i++)
			list = json_object_get(v, keys[i]);
		for (size_t i = 0; (member = json_array_get(list, i)); i++)
			if (!read_part(r, member))
				return false;
		return true;
	}
	for (size_t i = 0; type && i < sizeof table / sizeof *table; i++) {
		if (strcmp(table[i].part, r->part) || strcmp(table[i].type, type))
			continue;
		struct tok_step s = {.kind = table[i].kind};
		if (!table[i].read(r, v, &s)) {
			ul_regex_free(s.re);
			return false;
		}
		return append(r, &s);
	}
	return ul_fail(r->err, "tokenizer.json: a %s of type \"%.40s\" is not supported", r->part, type ? type : "(none)");
}

/* ByteLevel at the very end lets the model read bytes; anywhere else its visible characters are really made. */
static bool place_bytes(struct reader *r)
{
	struct tok_steps *pre = &r->t->pre;
	bool earlier = false;
	for (int b = 0; b < 256; b++) /* a byte without a token of its own is looked for as its character's bytes */
		earlier |= r->t->byte_fallback && r->t->byte_id[b] < 0;
	for (int i = 0; i < r->t->norm.n; i++)
		earlier |= r->t->norm.step[i].kind == N_BYTES;
	for (int i = 0; i + 1 < pre->n; i++)
		earlier |= pre->step[i].kind == P_BYTES;
	r->t->byte_level = !earlier && pre->n && pre->step[pre->n - 1].kind == P_BYTES;
	for (int i = 0; !r->t->byte_level && i < pre->n; i++) {
		if (pre->step[i].kind != P_BYTES)
			continue;
		if (!append(r, &(struct tok_step){.kind = N_BYTES}))
			return false;
		memmove(&pre->step[i + 2], &pre->step[i + 1], (size_t)(pre->n - i - 2) * sizeof *pre->step);
		pre->step[++i] = (struct tok_step){.kind = N_BYTES};
	}
	return true;
}

bool tok_load_steps(ul_tok *t, const json_t *root, ul_err *err)
{
	struct reader norm = {t, &t->norm, "normalizer", err}, pre = {t, &t->pre, "pre_tokenizer", err}, dec = {t, &t->dec, "decoder", err};
	const json_t *d = json_object_get(root, "decoder");
	t->has_decoder = d && !json_is_null(d);
	return read_part(&norm, json_object_get(root, "normalizer")) && read_part(&pre, json_object_get(root, "pre_tokenizer")) &&
	       read_part(&dec, d) && place_bytes(&pre);
}

/* ---- post-processor: ids before and after the text, and whether offsets leave spaces out ---- */

static bool push(ul_tok *t, int **list, int *n, int id, ul_err *err)
{
	if (id < 0 || id >= TOK_MAX_ID)
		return ul_fail(err, "tokenizer.json: post_processor: id %d is out of range", id);
	if (*n == TOK_MAX_STEPS)
		return ul_fail(err, "tokenizer.json: post_processor: more than %d special tokens", TOK_MAX_STEPS);
	if (!*list && !(*list = ul_alloc(&t->arena, TOK_MAX_STEPS * sizeof **list)))
		return ul_nomem(err, TOK_MAX_STEPS * sizeof **list);
	(*list)[(*n)++] = id;
	return true;
}

static bool template_token(ul_tok *t, const json_t *post, const json_t *special, bool after, ul_err *err)
{
	const char *name = ul_json_str(special, "id");
	const json_t *ids = json_object_get(json_object_get(json_object_get(post, "special_tokens"), name ? name : ""), "ids"), *v;
	if (!json_is_array(ids))
		return ul_fail(err, "tokenizer.json: post_processor: special token \"%.40s\" is not defined", name ? name : "");
	for (size_t i = 0; (v = json_array_get(ids, i)); i++) {
		int id = json_is_integer(v) ? (int)json_integer_value(v) : -1;
		if (!push(t, after ? &t->after : &t->before, after ? &t->n_after : &t->n_before, id, err))
			return false;
	}
	return true;
}

static bool template_of(ul_tok *t, const json_t *post, ul_err *err)
{
	const json_t *single = json_object_get(post, "single"), *v;
	bool after = false;
	if (!json_is_array(single))
		return ul_fail(err, "tokenizer.json: post_processor: the template has no \"single\" list");
	for (size_t i = 0; (v = json_array_get(single, i)); i++) {
		const json_t *special = json_object_get(v, "SpecialToken");
		if (special) {
			if (!template_token(t, post, special, after, err))
				return false;
			continue;
		}
		const char *which = ul_json_str(json_object_get(v, "Sequence"), "id");
		if (after || !which || strcmp(which, "A"))
			return ul_fail(err, "tokenizer.json: post_processor: a template other than [special…] A [special…] is not supported");
		after = true;
	}
	return after || ul_fail(err, "tokenizer.json: post_processor: the template leaves the text out");
}

/* [cls] A [sep] of Bert and Roberta: each is ["text", id]. */
static bool bert(ul_tok *t, const json_t *post, ul_err *err)
{
	const json_t *cls = json_array_get(json_object_get(post, "cls"), 1), *sep = json_array_get(json_object_get(post, "sep"), 1);
	if (!json_is_integer(cls) || !json_is_integer(sep))
		return ul_fail(err, "tokenizer.json: post_processor: cls or sep is no [token, id]");
	return push(t, &t->before, &t->n_before, (int)json_integer_value(cls), err) &&
	       push(t, &t->after, &t->n_after, (int)json_integer_value(sep), err);
}

static bool trimming(ul_tok *t, const json_t *post, ul_err *err)
{
	t->trim_offsets = t->trim_keeps_space = true;
	return ul_json_bool(post, "trim_offsets", &t->trim_offsets, err) && ul_json_bool(post, "add_prefix_space", &t->trim_keeps_space, err);
}

bool tok_load_post(ul_tok *t, const json_t *post, ul_err *err)
{
	const char *type = ul_json_str(post, "type");
	const json_t *v;
	if (!post || json_is_null(post))
		return true;
	if (!type)
		return ul_fail(err, "tokenizer.json: the post_processor has no type");
	if (!strcmp(type, "Sequence")) {
		for (size_t i = 0; (v = json_array_get(json_object_get(post, "processors"), i)); i++)
			if (!tok_load_post(t, v, err))
				return false;
		return true;
	}
	if (t->n_before || t->n_after)
		return ul_fail(err, "tokenizer.json: post_processor: more than one that adds tokens is not supported");
	if (!strcmp(type, "TemplateProcessing"))
		return template_of(t, post, err);
	if (!strcmp(type, "ByteLevel"))
		return trimming(t, post, err);
	if (!strcmp(type, "BertProcessing"))
		return bert(t, post, err);
	if (!strcmp(type, "RobertaProcessing"))
		return trimming(t, post, err) && bert(t, post, err);
	return ul_fail(err, "tokenizer.json: a post_processor of type \"%.40s\" is not supported", type);
}
