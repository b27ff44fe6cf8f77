/*
 * dataset.c: JSON Lines or one JSON array in, rows out; nothing is tokenized yet.
 *
 * A file is first cut into records without understanding them, so that every complaint can name its line and no more than one
 * record is parsed at a time. The shape of a record is found by its keys (or by --map), and all records of a file have the same
 * one: a mixture is more often a mistake than a wish.
 */
#include "data/data.h"

#include "base/file.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FILE ((size_t)2 << 30)
#define MAX_LINE ((size_t)64 << 20)

static const char *const shape_name[] = {"nothing known", "text", "prompt and response", "messages", "ids"};

/* "FILE, line N: …", or "row N: …" for rows that were never in a file. */
static bool UL_PRINTF(4, 5) bad(const ul_dataset *d, int line, ul_err *err, const char *fmt, ...)
{
	char why[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	if (!d->path)
		return ul_fail(err, "row %d: %s", line, why);
	return ul_fail(err, "%s, line %d: %s", d->path, line, why);
}

/* ---- which key holds what ---- */

struct keys {
	bool mixed; /* rows may differ in shape */
	const char *text, *prompt, *response, *messages, *ids, *labels, *spans, *subject, *id;
	bool mapped; /* the user named the content: nothing else counts as such */
};

static const char *const text_keys[] = {"text", "full_text", "source_text", "unmasked_text", NULL}; /* ours, Presidio's, AI4Privacy's */
static const char *const pair_keys[][2] = {{"prompt", "response"}, {"prompt", "completion"}, {"question", "answer"}};

static bool read_map(struct keys *k, const char *map, ul_arena *a, ul_err *err)
{
	const struct {
		const char *name;
		const char **slot;
		bool content;
	} known[] = {{"text", &k->text, true}, {"prompt", &k->prompt, true}, {"response", &k->response, true}, {"messages", &k->messages, true}, {"ids", &k->ids, true}, {"labels", &k->labels, false}, {"spans", &k->spans, false}, {"subject", &k->subject, false}, {"id", &k->id, false}};
	char *copy = ul_arena_strdup(a, map), *save = NULL;
	if (!copy)
		return ul_nomem(err, strlen(map));
	for (char *part = strtok_r(copy, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(part, '=');
		size_t i = 0, n = sizeof known / sizeof known[0];
		if (!eq || !eq[1])
			return ul_fail(err, "--map: \"%s\" is not NAME=KEY", part);
		*eq = 0;
		while (i < n && strcmp(known[i].name, part))
			i++;
		if (i == n)
			return ul_fail(err, "--map: \"%s\" is none of text, prompt, response, messages, ids, labels, spans, subject, id", part);
		*known[i].slot = eq + 1;
		k->mapped |= known[i].content;
	}
	if (k->mapped && k->response && !k->prompt)
		return ul_fail(err, "--map names a response but no prompt");
	return true;
}

static bool has(const json_t *o, const char *key)
{
	return key && json_object_get(o, key) && !json_is_null(json_object_get(o, key));
}

/* Fills the content keys that this record has; the first shape that is complete wins. */
static enum ul_shape find_shape(const json_t *o, struct keys *k)
{
	if (k->mapped)
		return has(o, k->messages) ? UL_SHAPE_CHAT : has(o, k->prompt) ? UL_SHAPE_PAIR
		                                     : has(o, k->text)         ? UL_SHAPE_TEXT
		                                     : has(o, k->ids)          ? UL_SHAPE_IDS
		                                                               : UL_SHAPE_NONE;
	if (has(o, k->messages = "messages"))
		return UL_SHAPE_CHAT;
	for (size_t i = 0; i < sizeof pair_keys / sizeof pair_keys[0]; i++)
		if (has(o, k->prompt = pair_keys[i][0]) && has(o, k->response = pair_keys[i][1]))
			return UL_SHAPE_PAIR;
	for (size_t i = 0; text_keys[i]; i++)
		if (has(o, k->text = text_keys[i]))
			return UL_SHAPE_TEXT;
	if (has(o, k->ids = "ids"))
		return UL_SHAPE_IDS;
	k->response = NULL;
	if (has(o, k->prompt = "prompt") || has(o, k->prompt = "question"))
		return UL_SHAPE_PAIR; /* a prompt to generate from: refused where a response is needed */
	return UL_SHAPE_NONE;
}

/* ---- one record ---- */

static bool get_text(ul_dataset *d, int line, const json_t *o, const char *key, const char **out, ul_err *err)
{
	const json_t *v = json_object_get(o, key);
	if (!json_is_string(v))
		return bad(d, line, err, "\"%s\" is not text", key);
	*out = json_string_value(v);
	return true;
}

/* Names may be numbers in the wild: 7 and "7" are the same subject. */
static const char *name_of(ul_dataset *d, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	if (json_is_integer(v))
		return ul_arena_printf(&d->arena, "%lld", (long long)json_integer_value(v));
	return json_string_value(v);
}

static const json_t *either(const json_t *o, const char *a, const char *b, const char *c)
{
	const json_t *v = json_object_get(o, a);
	v = v ? v : json_object_get(o, b);
	return v || !c ? v : json_object_get(o, c);
}

static int by_start(const void *x, const void *y)
{
	const ul_spot *a = x, *b = y;
	return a->start != b->start ? (a->start < b->start ? -1 : 1) : (a->end > b->end) - (a->end < b->end);
}

/* Ours: {"start","end","type"}; Presidio: {"start_position","end_position","entity_type"}; AI4Privacy: {"start","end","label"}. */
static bool read_spans(ul_dataset *d, ul_row *r, const char *key, ul_err *err)
{
	const json_t *list = json_object_get(r->json, key), *s;
	const char *text = r->text ? r->text : r->response;
	size_t i, n = json_array_size(list);
	if (!json_is_array(list))
		return bad(d, r->line, err, "\"%s\" is not a list of spans", key);
	if (n == 0)
		return true;
	if (!text)
		return bad(d, r->line, err, "\"%s\" needs a text or a response to point into", key);
	r->spots = ul_alloc(&d->arena, n * sizeof *r->spots);
	if (!r->spots)
		return ul_nomem(err, n * sizeof *r->spots);
	int length = ul_utf8_length(text, strlen(text));
	json_array_foreach(list, i, s)
	{
		const json_t *from = either(s, "start", "start_position", NULL), *to = either(s, "end", "end_position", NULL);
		const json_t *type = either(s, "type", "entity_type", "label");
		if (!json_is_integer(from) || !json_is_integer(to))
			return bad(d, r->line, err, "span %zu has no start and end", i + 1);
		json_int_t a = json_integer_value(from), b = json_integer_value(to);
		if (a < 0 || b <= a || b > length)
			return bad(d, r->line, err, "span %zu covers characters %lld to %lld, but the text has %d", i + 1, (long long)a, (long long)b, length);
		r->spots[i] = (ul_spot){(int)a, (int)b, json_is_string(type) ? json_string_value(type) : "PII"};
	}
	qsort(r->spots, n, sizeof *r->spots, by_start);
	r->spot_n = (int)n;
	return true;
}

static bool check_messages(ul_dataset *d, const ul_row *r, const char *key, ul_err *err)
{
	const json_t *list = json_object_get(r->json, key), *turn;
	size_t i;
	if (!json_is_array(list) || json_array_size(list) == 0)
		return bad(d, r->line, err, "\"%s\" is not a list of turns", key);
	json_array_foreach(list, i, turn) if (!ul_json_str(turn, "role") || !ul_json_str(turn, "content")) return bad(d, r->line, err, "turn %zu has no role and content", i + 1);
	return true;
}

static bool check_ids(ul_dataset *d, const ul_row *r, const char *key, const char *labels_key, ul_err *err)
{
	const json_t *ids = json_object_get(r->json, key), *labels = json_object_get(r->json, labels_key), *v;
	size_t i;
	if (!json_is_array(ids) || json_array_size(ids) == 0)
		return bad(d, r->line, err, "\"%s\" is not a list of token ids", key);
	if (labels && json_array_size(labels) != json_array_size(ids))
		return bad(d, r->line, err, "%zu labels stand beside %zu ids", json_array_size(labels), json_array_size(ids));
	json_array_foreach(ids, i, v)
	{
		json_int_t id = json_integer_value(v);
		if (!json_is_integer(v) || id < 0 || id > INT32_MAX)
			return bad(d, r->line, err, "id %zu is not a token id", i + 1);
		const json_t *l = json_array_get(labels, i);
		if (labels && (!json_is_integer(l) || (json_integer_value(l) != -100 && json_integer_value(l) != id)))
			return bad(d, r->line, err, "label %zu is neither -100 nor the id %lld itself", i + 1, (long long)id);
	}
	return true;
}

/* Takes a reference to `record` on success only. Labels and ids keep their place in the record until they are tokenized. */
static bool add(ul_dataset *d, json_t *record, const struct keys *map, int line, ul_err *err)
{
	struct keys k = *map;
	ul_row r = {.json = record, .line = line};
	if (!json_is_object(record))
		return bad(d, line, err, "a record is an object like {\"text\": \"…\"}");
	enum ul_shape shape = find_shape(record, &k);
	if (shape == UL_SHAPE_NONE) {
		bad(d, line, err, "no text, no prompt and response, no messages, no ids");
		ul_hint(err, "name the keys with --map prompt=KEY,response=KEY or --map text=KEY");
		return false;
	}
	if (d->n && shape != d->shape && !k.mixed)
		return bad(d, line, err, "this row holds %s, the rows before it %s", shape_name[shape], shape_name[d->shape]);
	if (shape == UL_SHAPE_TEXT && !get_text(d, line, record, k.text, &r.text, err))
		return false;
	if (shape == UL_SHAPE_PAIR && !get_text(d, line, record, k.prompt, &r.prompt, err))
		return false;
	if (shape == UL_SHAPE_PAIR && has(record, k.response) && !get_text(d, line, record, k.response, &r.response, err))
		return false;
	if (shape == UL_SHAPE_CHAT && !check_messages(d, &r, k.messages, err))
		return false;
	if (shape == UL_SHAPE_IDS && !check_ids(d, &r, k.ids, k.labels, err))
		return false;
	const char *spans = has(record, k.spans) ? k.spans : has(record, "privacy_mask") ? "privacy_mask"
	                                                                                 : NULL;
	if (spans && !read_spans(d, &r, spans, err))
		return false;
	r.id = name_of(d, record, k.id);
	r.subject = name_of(d, record, k.subject);
	if (d->n == d->cap) {
		int cap = d->cap ? 2 * d->cap : 64;
		ul_row *more = ul_realloc(d->row, (size_t)cap * sizeof *more);
		if (!more)
			return ul_nomem(err, (size_t)cap * sizeof *more);
		d->row = more;
		d->cap = cap;
	}
	d->shape = d->n ? d->shape : shape;
	r.shape = shape;
	json_incref(record);
	if (shape == UL_SHAPE_CHAT || shape == UL_SHAPE_IDS) { /* under our own names, whatever the file calls them */
		json_object_set(record, shape == UL_SHAPE_CHAT ? "messages" : "ids", json_object_get(record, shape == UL_SHAPE_CHAT ? k.messages : k.ids));
		if (shape == UL_SHAPE_IDS && has(record, k.labels) && strcmp(k.labels, "labels"))
			json_object_set(record, "labels", json_object_get(record, k.labels));
	}
	d->row[d->n++] = r;
	return true;
}

static const struct keys usual = {.labels = "labels", .spans = "spans", .subject = "subject", .id = "id"};

bool ul_dataset_add(ul_dataset *d, const json_t *record, ul_err *err)
{
	return add(d, (json_t *)(uintptr_t)record, &usual, d->n + 1, err); /* only the reference count is touched */
}

bool ul_dataset_mix(ul_dataset *d, const json_t *record, ul_err *err)
{
	struct keys own = usual;
	own.mixed = true;
	return add(d, (json_t *)(uintptr_t)record, &own, d->n + 1, err);
}

/* ---- a file as a sequence of records ---- */

struct cursor {
	const char *at, *end;
	int line;
	bool array, first;
};

static void skip_space(struct cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r' || *c->at == '\n'))
		c->line += *c->at++ == '\n';
}

/* The end of the value that starts at c->at inside an array: the next comma or bracket outside strings and nested values. */
static const char *value_end(const struct cursor *c, int *lines)
{
	int depth = 0;
	bool string = false;
	for (const char *s = c->at; s < c->end; s++) {
		*lines += *s == '\n';
		if (string) {
			if (*s == '\\' && s + 1 < c->end)
				s++;
			else if (*s == '"')
				string = false;
		} else if (*s == '"') {
			string = true;
		} else if (*s == '{' || *s == '[') {
			depth++;
		} else if (depth == 0 && (*s == ',' || *s == ']')) {
			return s;
		} else if (*s == '}' || *s == ']') {
			depth--;
		}
	}
	return c->end;
}

static int broken(const ul_dataset *d, int line, ul_err *err, const char *why)
{
	bad(d, line, err, "%s", why);
	return -1;
}

/* Next record as bytes: 1 found, 0 the end, -1 an error. */
static int next_record(struct cursor *c, const ul_dataset *d, const char **text, size_t *n, int *line, ul_err *err)
{
	int lines = 0;
	skip_space(c);
	if (c->array && c->at < c->end && *c->at == ']') {
		c->at++;
		skip_space(c);
		return c->at == c->end ? 0 : broken(d, c->line, err, "something follows the end of the array");
	}
	if (c->array && !c->first) {
		if (c->at == c->end || *c->at != ',')
			return broken(d, c->line, err, "the array is not closed with ]");
		c->at++;
		skip_space(c);
	}
	if (c->at == c->end)
		return c->array ? broken(d, c->line, err, "the array is not closed with ]") : 0;
	c->first = false;
	const char *end = c->array ? value_end(c, &lines) : memchr(c->at, '\n', (size_t)(c->end - c->at));
	end = end ? end : c->end;
	*text = c->at;
	*n = (size_t)(end - c->at);
	*line = c->line;
	c->at = end;
	c->line += lines;
	return *n <= MAX_LINE ? 1 : broken(d, *line, err, "a record is longer than 64 MiB");
}

static bool read_records(ul_dataset *d, const ul_map *file, const struct keys *keys, ul_err *err)
{
	struct cursor c = {(const char *)file->data, (const char *)file->data + file->len, 1, false, true};
	const char *text;
	size_t n;
	int line, more;
	if (file->len >= 3 && !memcmp(c.at, "\xEF\xBB\xBF", 3))
		c.at += 3; /* a byte order mark */
	skip_space(&c);
	if (c.at < c.end && *c.at == '[') {
		c.array = true;
		c.at++;
	}
	while ((more = next_record(&c, d, &text, &n, &line, err)) > 0) {
		char what[300];
		snprintf(what, sizeof what, "%.250s, line %d", d->path, line);
		json_t *record = ul_json_parse(text, n, what, err);
		bool ok = record && add(d, record, keys, line, err);
		json_decref(record);
		if (!ok)
			return false;
	}
	if (more == 0 && d->n == 0)
		return ul_fail(err, "%s holds no rows", d->path);
	return more == 0;
}

bool ul_dataset_read(ul_dataset *d, const char *path, const ul_data_config *c, ul_err *err)
{
	ul_dataset new = {0};
	struct keys keys = usual;
	keys.mixed = c && c->mixed;
	ul_map file = {0};
	new.path = ul_arena_strdup(&new.arena, path);
	bool ok = new.path || ul_nomem(err, strlen(path));
	ok = ok && (!c || !c->map || read_map(&keys, c->map, &new.arena, err)) && ul_map_read(&file, path, err);
	if (ok && file.len > MAX_FILE)
		ok = ul_fail(err, "%s has %zu bytes, over the limit of %zu", path, file.len, MAX_FILE);
	if (ok) {
		ul_sha256(file.data, file.len, new.sha256);
		ok = read_records(&new, &file, &keys, err);
	}
	if (file.data)
		ul_map_close(&file);
	if (!ok) {
		ul_dataset_release(&new);
		return false;
	}
	*d = new;
	return true;
}

void ul_dataset_release(ul_dataset *d)
{
	for (int i = 0; i < d->n; i++)
		json_decref(d->row[i].json);
	ul_free(d->row);
	ul_arena_release(&d->arena);
	*d = (ul_dataset){0};
}

/* ---- rows that two sets have in common ---- */

static uint64_t mix(uint64_t h, const char *s)
{
	bool gap = false, any = false;
	for (; s && *s; s++) { /* runs of white space count as one blank, none at the ends */
		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r') {
			gap = any;
			continue;
		}
		if (gap)
			h = (h ^ ' ') * 0x100000001b3u;
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
		gap = false;
		any = true;
	}
	return (h ^ 0x1f) * 0x100000001b3u;
}

/* FNV-1a over what the row says. 64 bits: a false match in a million rows has odds of one in ten million. */
static uint64_t digest(const ul_row *r)
{
	uint64_t h = 0xcbf29ce484222325u;
	if (r->text || r->prompt)
		return mix(mix(mix(h, r->text), r->prompt), r->response);
	ul_buf s = {0};
	ul_json_line(&s, json_object_get(r->json, json_object_get(r->json, "messages") ? "messages" : "ids"));
	h = mix(h, s.data);
	ul_buf_release(&s);
	return h;
}

static int by_value(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
	return (a > b) - (a < b);
}

int ul_dataset_overlap(const ul_dataset *a, const ul_dataset *b)
{
	uint64_t *in_b = ul_malloc((size_t)(b->n + 1) * sizeof *in_b);
	int found = 0;
	if (!in_b)
		return 0;
	for (int i = 0; i < b->n; i++)
		in_b[i] = digest(&b->row[i]);
	qsort(in_b, (size_t)b->n, sizeof *in_b, by_value);
	for (int i = 0; i < a->n; i++) {
		uint64_t h = digest(&a->row[i]);
		found += bsearch(&h, in_b, (size_t)b->n, sizeof *in_b, by_value) != NULL;
	}
	ul_free(in_b);
	return found;
}
