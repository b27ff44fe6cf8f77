/*
 * tok_make.c: tokenizer.json put together from parts, and the names that llama.cpp gave to pre-tokenizers.
 */
#include "text/tok_make.h"

#include <string.h>

static json_t *or_null(json_t *v)
{
	return v ? v : json_null();
}

json_t *tok_assemble(struct tok_parts p, ul_err *err)
{
	json_t *model = json_pack("{s:s, s:n, s:s?, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout", "unk_token", p.unk,
	        "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", p.fuse_unk, "byte_fallback", p.byte_fallback, "ignore_merges",
	        p.ignore_merges, "vocab", or_null(p.vocab), "merges", or_null(p.merges));
	json_t *root = json_pack("{s:s, s:n, s:n, s:o, s:o, s:o, s:o, s:o, s:o}", "version", "1.0", "truncation", "padding", "added_tokens",
	        p.added ? p.added : json_array(), "normalizer", or_null(p.normalizer), "pre_tokenizer", or_null(p.pre), "post_processor",
	        or_null(p.post), "decoder", or_null(p.decoder), "model", or_null(model));
	if (!root)
		ul_nomem(err, 4096);
	return root;
}

json_t *tok_make_byte_level(bool add_prefix_space, bool use_regex)
{
	return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", add_prefix_space, "trim_offsets", 0, "use_regex", use_regex);
}

json_t *tok_make_split(const char *regex)
{
	return json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex", regex, "behavior", "Isolated", "invert", 0);
}

json_t *tok_make_sequence(const char *list, json_t *first, json_t *second)
{
	return json_pack("{s:s, s:[o, o]}", "type", "Sequence", list, first, second);
}

json_t *tok_make_added(int id, const char *content, size_t n, bool special)
{
	return json_pack("{s:i, s:s%, s:b, s:b, s:b, s:b, s:b}", "id", id, "content", content, n, "single_word", 0, "lstrip", 0, "rstrip", 0,
	        "normalized", 0, "special", special);
}

static void add_special(json_t *single, json_t *pair, int type, const char *name)
{
	json_t *v = json_pack("{s:{s:s, s:i}}", "SpecialToken", "id", name, "type_id", type);
	if (single)
		json_array_append(single, v);
	json_array_append_new(pair, v);
}

static void add_text(json_t *list, const char *which, int type)
{
	json_array_append_new(list, json_pack("{s:{s:s, s:i}}", "Sequence", "id", which, "type_id", type));
}

static void define(json_t *tokens, const char *name, int id)
{
	json_object_set_new(tokens, name, json_pack("{s:s, s:[i], s:[s]}", "id", name, "ids", id, "tokens", name));
}

json_t *tok_make_template(const char *before, int before_id, const char *after, int after_id)
{
	json_t *single = json_array(), *pair = json_array(), *tokens = json_object();
	for (int type = 0; type < 2; type++) {
		json_t *one = type ? NULL : single;
		if (before)
			add_special(one, pair, type, before);
		if (one)
			add_text(one, "A", 0);
		add_text(pair, type ? "B" : "A", type);
		if (after)
			add_special(one, pair, type, after);
	}
	if (before)
		define(tokens, before, before_id);
	if (after)
		define(tokens, after, after_id);
	return json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single", single, "pair", pair, "special_tokens", tokens);
}

/* ---- pre-tokenizers by name ---- */

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define REST "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const char *const tekken = LEAD UPPER "*" LOWER "+|" LEAD UPPER "+" LOWER "*|\\p{N}" REST;
static const char *const gpt4o = LEAD UPPER "*" LOWER "+" CONTRACTION "?|" LEAD UPPER "+" LOWER "*" CONTRACTION "?|\\p{N}{1,3}" REST;

static const struct tok_pre_name names[] = {
        {"gpt-2", " phi-2 jina-es jina-de jina-v2-es jina-v2-de roberta-bpe mpt olmo jais trillion ", NULL, .digits = false},
        {"smollm", " starcoder refact command-r codeshell exaone minerva-7b ", NULL, .digits = true},
        {"llama-bpe", " llama3 llama-v3 falcon3 pixtral ", &tok_llama3_pattern, .ignore_merges = true, .add_bos = true},
        {"dbrx", " smaug-bpe ", &tok_llama3_pattern, .digits = false},
        {"qwen2", " stablelm2 deepseek-r1-qwen megrez hunyuan ", &tok_qwen2_pattern, .digits = false},
        {"tekken", " ", &tekken, .ignore_merges = true, .add_bos = true},
        {"gpt-4o", " llama4 ", &gpt4o, .digits = false},
};

const struct tok_pre_name *tok_pre_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *at = strstr(names[i].aliases, name);
		size_t n = strlen(name);
		if (!strcmp(names[i].name, name) || (at && at[-1] == ' ' && at[n] == ' '))
			return &names[i];
	}
	return NULL;
}

json_t *tok_make_pre(const struct tok_pre_name *p)
{
	json_t *bytes = tok_make_byte_level(false, !p->pattern);
	if (p->pattern)
		return tok_make_sequence("pretokenizers", tok_make_split(*p->pattern), bytes);
	if (p->digits)
		return tok_make_sequence("pretokenizers", json_pack("{s:s, s:b}", "type", "Digits", "individual_digits", 1), bytes);
	return bytes;
}

static bool is_pattern(const struct tok_step *s, const char *pattern)
{
	return s->kind == P_SPLIT && s->re && s->an == strlen(pattern) && !memcmp(s->a, pattern, s->an) &&
	       ((s->split == SPLIT_ISOLATED && !s->invert) || (s->split == SPLIT_REMOVED && s->invert));
}

const struct tok_pre_name *tok_pre_of(const ul_tok *t)
{
	const struct tok_step *s = t->pre.step;
	int n = t->pre.n;
	if (!t->byte_level || s[n - 1].add_space)
		return NULL;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const struct tok_pre_name *p = &names[i];
		if (p->ignore_merges != t->ignore_merges)
			continue;
		if (p->pattern ? n == 2 && !s[1].use_regex && is_pattern(&s[0], *p->pattern)
		               : s[n - 1].use_regex && (p->digits ? n == 2 && s[0].kind == P_DIGITS && s[0].individual : n == 1))
			return p;
	}
	return NULL;
}
