/*
 * tok_gguf.c: the tokenizer inside a GGUF file, to and from tokenizer.json.
 *
 * "gpt2" is byte-level BPE whose pre-tokenizer has a name. "llama" is SentencePiece BPE: of all neighbouring pairs whose union is a
 * token, the one with the highest score is merged. As merges that is: every split of every token into two tokens, ordered by the
 * token's score, which is how transformers converts such a model too.
 */
#include "text/tok_make.h"

#include <math.h>
#include <string.h>

enum { NORMAL = 1,
	UNKNOWN,
	CONTROL,
	USER,
	UNUSED,
	BYTE };

static int type_of(const ul_tok_gguf *g, int id)
{
	if (g->type)
		return g->type[id];
	return id == g->bos || id == g->eos || id == g->pad ? CONTROL : id == g->unk ? UNKNOWN
	                                                                             : NORMAL;
}

static bool in_range(const ul_tok_gguf *g, int id)
{
	return id >= 0 && id < g->n;
}

static bool check(const ul_tok_gguf *g, ul_err *err)
{
	if (g->n <= 0 || g->n > TOK_MAX_ID)
		return ul_fail(err, "the GGUF's tokenizer has %d tokens; the limit is %d", g->n, TOK_MAX_ID);
	for (int i = 0; i < g->n; i++)
		if (!ul_utf8_ok(g->token[i], g->token_len[i]))
			return ul_fail(err, "the GGUF's token %d is no UTF-8", i);
	return true;
}

static json_t *vocab_of(const ul_tok_gguf *g)
{
	json_t *v = json_object();
	for (int i = 0; v && i < g->n; i++) {
		if (json_object_setn_new_nocheck(v, g->token[i], g->token_len[i], json_integer(i))) {
			json_decref(v);
			return NULL;
		}
	}
	return v;
}

static json_t *added_of(const ul_tok_gguf *g)
{
	json_t *list = json_array();
	for (int i = 0; i < g->n; i++) {
		int type = type_of(g, i);
		if ((type == CONTROL || type == USER || type == UNKNOWN) && g->token_len[i])
			json_array_append_new(list, tok_make_added(i, g->token[i], g->token_len[i], type != USER));
	}
	return list;
}

static json_t *template_of(const ul_tok_gguf *g, bool bos_by_model)
{
	bool bos = g->add_bos >= 0 ? g->add_bos > 0 : bos_by_model, eos = g->add_eos > 0;
	const char *b = bos && in_range(g, g->bos) ? g->token[g->bos] : NULL, *e = eos && in_range(g, g->eos) ? g->token[g->eos] : NULL;
	return b || e ? tok_make_template(b, g->bos, e, g->eos) : NULL;
}

/* ---- byte-level ---- */

static json_t *from_gpt2(const ul_tok_gguf *g, ul_err *err)
{
	/* Files older than `tokenizer.ggml.pre` were made from GPT-2 and GPT-NeoX. */
	const struct tok_pre_name *pre = tok_pre_by_name(g->pre && strcmp(g->pre, "default") ? g->pre : "gpt-2");
	if (!pre) {
		ul_fail(err, "the GGUF's pre-tokenizer \"%.60s\" is not supported", g->pre);
		ul_hint(err, "use the Hugging Face directory of the model, with its tokenizer.json");
		return NULL;
	}
	json_t *merges = json_array(), *post = template_of(g, pre->add_bos);
	for (int i = 0; i < g->merges; i++) {
		if (json_array_append_new(merges, json_string(g->merge[i]))) {
			json_decref(merges);
			json_decref(post);
			ul_fail(err, "the GGUF's merge %d is no UTF-8", i + 1);
			return NULL;
		}
	}
	return tok_assemble((struct tok_parts){.vocab = vocab_of(g), .merges = merges, .added = added_of(g), .pre = tok_make_pre(pre), .post = post ? post : tok_make_byte_level(true, true), .decoder = tok_make_byte_level(true, true), .ignore_merges = pre->ignore_merges},
	        err);
}

/* ---- SentencePiece ---- */

struct merge {
	int left, right;
	float score;
};

static int by_score(const void *a, const void *b)
{
	const struct merge *x = a, *y = b;
	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x->left != y->left ? (x->left < y->left ? -1 : 1) : (x->right > y->right) - (x->right < y->right);
}

static bool mergeable(const ul_tok_gguf *g, int id)
{
	int type = type_of(g, id);
	return type == NORMAL || type == USER || type == UNUSED;
}

/* Every split of token `id` into two tokens. */
static int splits(const ul_tok_gguf *g, const struct tok_map *map, int id, struct merge *out)
{
	const char *s = g->token[id];
	size_t n = g->token_len[id];
	int found = 0;
	for (size_t i = 0; mergeable(g, id) && i < n;) {
		ul_utf8_next(s, &i);
		int left = i < n ? tok_map_get(map, s, i) : -1, right = left >= 0 ? tok_map_get(map, s + i, n - i) : -1;
		if (right < 0 || !mergeable(g, left) || !mergeable(g, right))
			continue;
		if (out)
			out[found] = (struct merge){left, right, g->score[id]};
		found++;
	}
	return found;
}

static json_t *merges_of(const ul_tok_gguf *g, ul_err *err)
{
	ul_arena a = {0};
	struct tok_map map;
	size_t n = 0, at = 0;
	json_t *list = NULL;
	bool ok = tok_map_init(&map, &a, (size_t)g->n);
	for (int i = 0; ok && i < g->n; i++)
		tok_map_put(&map, g->token[i], g->token_len[i], i);
	for (int i = 0; ok && i < g->n; i++)
		n += (size_t)splits(g, &map, i, NULL);
	struct merge *m = ok ? ul_alloc_raw(&a, (n + 1) * sizeof *m) : NULL;
	if (m && (list = json_array())) {
		for (int i = 0; i < g->n; i++)
			at += (size_t)splits(g, &map, i, m + at);
		qsort(m, n, sizeof *m, by_score);
		for (size_t i = 0; i < n; i++)
			json_array_append_new(list, json_pack("[s%, s%]", g->token[m[i].left], g->token_len[m[i].left], g->token[m[i].right],
			                                    g->token_len[m[i].right]));
	}
	if (!list)
		ul_nomem(err, n * sizeof *m);
	ul_arena_release(&a);
	return list;
}

static json_t *replace(const char *from, const char *to)
{
	return json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", "String", from, "content", to);
}

static json_t *from_spm(const ul_tok_gguf *g, bool prefix, ul_err *err)
{
	static const char mark[] = "\xE2\x96\x81";
	for (int i = 0; g->score && i < g->n; i++)
		if (!isfinite(g->score[i]) && !ul_fail(err, "the GGUF's score of token %d is not finite", i))
			return NULL;
	if (!g->score)
		return ul_fail(err, "the GGUF's tokenizer has no scores"), NULL;
	json_t *merges = merges_of(g, err);
	if (!merges)
		return NULL;
	json_t *norm = replace(" ", mark);
	json_t *dec = json_pack("{s:s, s:[o, {s:s}, {s:s}]}", "type", "Sequence", "decoders", replace(mark, " "), "type", "ByteFallback", "type", "Fuse");
	if (prefix) {
		norm = tok_make_sequence("normalizers", json_pack("{s:s, s:s}", "type", "Prepend", "prepend", mark), norm);
		json_array_append_new(json_object_get(dec, "decoders"),
		        json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip", "content", " ", "start", 1, "stop", 0));
	}
	return tok_assemble((struct tok_parts){.vocab = vocab_of(g), .merges = merges, .added = added_of(g), .normalizer = norm, .post = template_of(g, true), .decoder = dec, .unk = in_range(g, g->unk) ? g->token[g->unk] : NULL, .byte_fallback = true, .fuse_unk = true},
	        err);
}

ul_tok *ul_tok_open_gguf(const ul_tok_gguf *g, ul_err *err)
{
	json_t *root;
	if (!check(g, err))
		return NULL;
	if (g->model && !strcmp(g->model, "gpt2"))
		root = from_gpt2(g, err);
	else if (g->model && !strcmp(g->model, "llama"))
		root = from_spm(g, g->add_space_prefix != 0, err);
	else if (g->model && !strncmp(g->model, "gemma", 5))
		root = from_spm(g, g->add_space_prefix > 0, err);
	else
		return ul_fail(err, "the GGUF's tokenizer \"%.60s\" is not supported, only gpt2, llama and gemma", g->model ? g->model : "(none)"), NULL;
	ul_tok *t = root ? tok_new_from_json(root, err) : NULL;
	if (!t)
		return NULL;
	t->bos = in_range(g, g->bos) ? g->bos : -1;
	t->eos = in_range(g, g->eos) ? g->eos : -1;
	t->pad = in_range(g, g->pad) ? g->pad : -1;
	t->unknown = in_range(g, g->unk) ? g->unk : -1;
	if (g->chat_template && !(t->chat_template = ul_strdup(g->chat_template))) {
		ul_nomem(err, strlen(g->chat_template));
		ul_tok_free(t);
		return NULL;
	}
	return t;
}

/* ---- and back ---- */

static const struct tok_added *added_at(const ul_tok *t, int id)
{
	for (int i = 0; i < t->n_added; i++)
		if (t->added[i].id == id)
			return &t->added[i];
	return NULL;
}

static bool tokens_out(const ul_tok *t, const char **token, size_t *len, int32_t *type, ul_arena *a)
{
	for (int i = 0; i < t->size; i++) {
		token[i] = t->piece[i] ? t->piece[i] : ul_arena_printf(a, "[PAD%d]", i);
		if (!token[i])
			return false;
		len[i] = t->piece[i] ? t->piece_len[i] : strlen(token[i]);
		type[i] = t->piece[i] ? NORMAL : UNUSED;
	}
	for (int b = 0; b < 256 && t->byte_fallback; b++)
		if (t->fallback_id[b] >= 0)
			type[t->fallback_id[b]] = BYTE;
	for (int i = 0; i < t->n_added; i++) {
		const struct tok_added *x = &t->added[i];
		token[x->id] = x->s;
		len[x->id] = x->n;
		type[x->id] = x->special ? CONTROL : USER;
	}
	if (t->unk >= 0)
		type[t->unk] = UNKNOWN;
	return true;
}

static bool merges_out(const ul_tok *t, ul_tok_gguf *out, ul_arena *a)
{
	const char **merge = ul_alloc(a, ((size_t)t->merges + 1) * sizeof *merge);
	for (int i = 0; merge && i < t->merges; i++)
		if (!(merge[i] = ul_arena_printf(a, "%s %s", t->piece[t->merge_pair[i][0]], t->piece[t->merge_pair[i][1]])))
			return false;
	out->merge = merge;
	out->merges = t->merges;
	return merge != NULL;
}

/* The earlier a token can be made, the higher its score; what is never made comes after, in the order of ids. */
static bool scores_out(const ul_tok *t, ul_tok_gguf *out, ul_arena *a)
{
	float *score = ul_alloc(a, (size_t)t->size * sizeof *score);
	for (int i = 0; score && i < t->size; i++)
		score[i] = added_at(t, i) ? 0 : -(float)(t->merges + i);
	for (int i = t->merges - 1; score && i >= 0; i--)
		score[t->merged[i]] = -(float)i;
	out->score = score;
	return score != NULL;
}

static bool has_prefix(const ul_tok *t)
{
	for (int i = 0; i < t->norm.n; i++)
		if (t->norm.step[i].kind == N_PREPEND)
			return true;
	for (int i = 0; i < t->pre.n; i++)
		if (t->pre.step[i].kind == P_METASPACE && t->pre.step[i].prepend != PREPEND_NEVER)
			return true;
	return false;
}

static bool sentencepiece(const ul_tok *t)
{
	bool marks = false;
	for (int i = 0; i < t->norm.n; i++)
		marks |= t->norm.step[i].kind == N_REPLACE && t->norm.step[i].an == 1 && t->norm.step[i].a[0] == ' ';
	for (int i = 0; i < t->pre.n; i++)
		marks |= t->pre.step[i].kind == P_METASPACE;
	return marks && t->byte_fallback;
}

bool ul_tok_to_gguf(const ul_tok *t, ul_tok_gguf *out, ul_arena *a, ul_err *err)
{
	const struct tok_pre_name *pre = tok_pre_of(t);
	ul_tok_gguf g = {.n = t->size, .bos = t->bos, .eos = t->eos, .unk = t->unknown, .pad = t->pad, .chat_template = t->chat_template};
	if (!pre && !sentencepiece(t))
		return ul_fail(err, "GGUF has no name for this tokenizer's pre-tokenizer");
	const char **token = ul_alloc(a, (size_t)t->size * sizeof *token);
	size_t *len = ul_alloc(a, (size_t)t->size * sizeof *len);
	int32_t *type = ul_alloc(a, (size_t)t->size * sizeof *type);
	if (!token || !len || !type || !tokens_out(t, token, len, type, a))
		return ul_nomem(err, (size_t)t->size * sizeof *token);
	g.token = token;
	g.token_len = len;
	g.type = type;
	g.model = pre ? "gpt2" : "llama";
	g.pre = pre ? pre->name : "default";
	g.add_bos = t->n_before > 0;
	g.add_eos = t->n_after > 0;
	g.add_space_prefix = has_prefix(t);
	if (pre ? !merges_out(t, &g, a) : !scores_out(t, &g, a))
		return ul_nomem(err, (size_t)t->merges * sizeof *g.merge);
	*out = g;
	return true;
}
