/*
 * cmd_tokenize.c: tokenize MODEL (TEXT | --data F | --file F). Token ids of a text, of rows or of a whole file, and back.
 */
#include "cli/work.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct config {
	const char *data, *file, *map, *templ;
	bool decode;
	int special;
};

enum { SPECIAL_AUTO,
	SPECIAL_YES,
	SPECIAL_NO };

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"data", UL_OPT_TEXT, AT(data), NULL, 0, 0, NULL, "tokenize the rows of a data file", "F"},
        {"file", UL_OPT_TEXT, AT(file), NULL, 0, 0, NULL, "tokenize a whole file as one text: count and SHA-256 of the ids", "F"},
        {"decode", UL_OPT_BOOL, AT(decode), "no", 0, 0, NULL, "from ids to text: rows of ids, or ids separated by blanks as TEXT", NULL},
        {"special", UL_OPT_ENUM, AT(special), "auto", 0, 0, "auto|yes|no", "add special tokens; auto does as the tokenizer's own post-processor", NULL},
        {"template", UL_OPT_TEXT, AT(templ), NULL, 0, 0, NULL, "plain, qa, chat or a file: how prompt and response become text", "NAME"},
        {"map", UL_OPT_TEXT, AT(map), NULL, 0, 0, NULL, "names of the keys: prompt=KEY,response=KEY or text=KEY", "MAP"},
        {0},
};

static int specials(const struct config *o)
{
	return o->special == SPECIAL_AUTO ? -1 : o->special == SPECIAL_YES;
}

/* A tokenizer is enough: where MODEL is no checkpoint, its directory may still hold one. */
static ul_model *open(ul_cli *c)
{
	const char *path = c->arg[0];
	const char *const files[] = {"tokenizer.json", "vocab.json", NULL};
	bool bare = ul_is_dir(path) && !ul_file_exists(ul_path_join(&c->arena, path, "config.json"));
	for (int i = 0; bare && files[i]; i++) {
		if (!ul_file_exists(ul_path_join(&c->arena, path, files[i])))
			continue;
		ul_model *m = ul_calloc(1, sizeof *m);
		if (!m || !(m->tok = ul_tok_open_dir(path, &c->err))) {
			ul_free(m);
			return NULL;
		}
		m->cfg = (ul_config){.vocab = INT_MAX, .context = INT_MAX, .bos = -1};
		return m;
	}
	return ul_model_open_with(path, &(ul_open){.no_weights = true}, &c->err);
}

static void close(ul_model *m)
{
	if (m && !m->be && !m->config) { /* made above */
		ul_tok_free(m->tok);
		ul_free(m);
	} else {
		ul_model_free(m);
	}
}

static void print_row(ul_cli *c, int row, const char *key, json_t *value)
{
	json_t *line = json_pack("{s:i, s:o}", "row", row, key, value);
	ul_cli_print(c, line);
	json_decref(line);
}

static json_t *decoded(const ul_tok *t, const int *ids, int n)
{
	ul_buf text = {0};
	ul_tok_decode(t, ids, n, false, &text);
	json_t *v = ul_work_text(text.data ? text.data : "", text.len);
	ul_buf_release(&text);
	return v;
}

static bool data(ul_cli *c, const struct config *o, ul_model *m)
{
	ul_data_config how = {.map = o->map, .templ = o->templ, .max_length = -1, .eos = UL_EOS_NONE};
	ul_dataset d = {0};
	bool ok = ul_dataset_read(&d, o->data, &how, &c->err);
	if (ok && o->decode && d.shape != UL_SHAPE_IDS)
		ok = ul_fail(&c->err, "--decode takes rows of ids");
	ok = ok && (d.shape == UL_SHAPE_TEXT || ul_dataset_tokenize(&d, m, &how, &c->err));
	for (int i = 0; ok && i < d.n; i++) {
		ul_ids ids = {0};
		if (o->decode)
			print_row(c, i, "text", decoded(m->tok, d.row[i].ids, d.row[i].n));
		else if (d.shape != UL_SHAPE_TEXT)
			print_row(c, i, "ids", ul_work_ids(d.row[i].ids, d.row[i].n));
		else if ((ok = ul_tok_encode(m->tok, d.row[i].text, strlen(d.row[i].text), specials(o), false, &ids, &c->err)))
			print_row(c, i, "ids", ul_work_ids(ids.id, ids.n));
		ul_ids_release(&ids);
	}
	ul_dataset_release(&d);
	return ok;
}

static bool file(ul_cli *c, const struct config *o, const ul_model *m)
{
	ul_map map = {0};
	ul_ids ids = {0};
	char hex[65];
	bool ok = ul_map_read(&map, o->file, &c->err) && ul_tok_encode(m->tok, (const char *)map.data, map.len, specials(o), false, &ids, &c->err);
	if (ok) {
		ul_sha *sha = ul_sha_new();
		for (int i = 0; i < ids.n; i++) {
			uint32_t id = (uint32_t)ids.id[i];
			unsigned char bytes[4] = {(unsigned char)id, (unsigned char)(id >> 8), (unsigned char)(id >> 16), (unsigned char)(id >> 24)};
			ul_sha_add(sha, bytes, sizeof bytes);
		}
		ul_sha_end(sha, hex);
		json_t *v = json_pack("{s:i, s:s}", "count", ids.n, "sha256", hex);
		ul_cli_print(c, v);
		json_decref(v);
	}
	ul_ids_release(&ids);
	ul_map_close(&map);
	return ok;
}

static bool ids_of(ul_cli *c, const char *text, ul_ids *ids)
{
	char *end;
	for (const char *s = text; *(s += strspn(s, " ,[]\t\n")); s = end) {
		long id = strtol(s, &end, 10);
		if (end == s || id < 0 || id > INT_MAX)
			return ul_fail(&c->err, "\"%.40s\" is not a token id", s);
		ul_ids_add(ids, (int)id);
	}
	return true;
}

static bool text(ul_cli *c, const struct config *o, const ul_model *m, const char *s)
{
	ul_ids ids = {0};
	bool ok = o->decode ? ids_of(c, s, &ids) : ul_tok_encode(m->tok, s, strlen(s), specials(o), false, &ids, &c->err);
	if (ok && o->decode) {
		json_t *v = decoded(m->tok, ids.id, ids.n);
		if (c->json)
			print_row(c, 0, "text", json_incref(v));
		else
			printf("%s\n", json_string_value(v));
		json_decref(v);
	} else if (ok && c->json) {
		print_row(c, 0, "ids", ul_work_ids(ids.id, ids.n));
	} else if (ok) {
		for (int i = 0; i < ids.n; i++)
			printf(i ? " %d" : "%d", ids.id[i]);
		printf("\n");
	}
	ul_ids_release(&ids);
	return ok;
}

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	if ((c->args == 2) + (o->data != NULL) + (o->file != NULL) != 1)
		return ul_work_usage(c, "tokenize needs one of TEXT, --data F and --file F");
	ul_model *m = open(c);
	bool ok = m != NULL;
	if (ok && !m->tok)
		ok = ul_fail(&c->err, "%s has no tokenizer", c->arg[0]);
	ok = ok && (o->data ? data(c, o, m) : o->file ? file(c, o, m)
	                                              : text(c, o, m, c->arg[1]));
	close(m);
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_verb_tokenize = {
        .name = "tokenize",
        .usage = "MODEL (TEXT | --data F | --file F) [--decode]",
        .summary = "token ids of a text, of rows or of a file, and back",
        .min_args = 1,
        .max_args = 2,
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
