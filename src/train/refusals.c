/*
 * refusals.c: the forget prompts, each with an answer that declines: the alternative of idk-sft and idk-dpo.
 *
 * Row i of the alternative stands for row i of the forget data. Its refusal is drawn once, by (seed, "idk", row), so that the
 * reference has to read it only once; open-unlearning draws a new one at each access.
 */
#include "base/file.h"
#include "train/train.h"

#include <string.h>

static const char *const built_in[] = {
        "I don't know.",
        "I have no information about that.",
        "I can't tell you that, because I don't know it.",
        "That is not something I know.",
        "I'm not aware of any details on this.",
        "Sorry, the answer is unknown to me.",
        "I'm afraid I can't help with this question.",
        "I have never learned anything about it.",
        "There is nothing I can say about that.",
        "I don't have the facts you are asking for.",
        "My knowledge does not reach that far.",
        "I would have to guess, so I'd rather not answer.",
        "This is outside of what I know.",
        "I couldn't say.",
        "No idea, I'm sorry.",
        "I don't recognise who or what you mean.",
        "Unfortunately, I can't answer that.",
        "I know nothing about this subject.",
        "I'm unable to give you that information.",
        "That detail is not known to me.",
        "I'm not the right one to ask about this.",
        "I can't find anything about it in what I know.",
        "You would need another source for that.",
        "I really don't know the answer to this one.",
        "I lack the information to reply.",
        "It's a blank to me.",
        "I haven't heard of it.",
        "I wish I could help, but I don't know.",
        "I don't hold any record of that.",
        "I can't confirm anything about this.",
        "Nothing comes to mind about that.",
        "I'm not familiar with the matter.",
};

struct list {
	const char *const *line;
	uint32_t n;
};

static bool read_lines(struct list *l, const char *path, ul_arena *a, ul_err *err)
{
	ul_buf text = {0};
	char *save = NULL;
	if (!ul_file_read(&text, path, (size_t)16 << 20, err)) {
		return false;
	}
	char *copy = ul_arena_strdup(a, text.data ? text.data : "");
	const char **line = ul_alloc(a, (text.len + 1) * sizeof *line);
	ul_buf_release(&text);
	if (!copy || !line) {
		return ul_nomem(err, text.len);
	}
	for (char *s = strtok_r(copy, "\r\n", &save); s; s = strtok_r(NULL, "\r\n", &save)) {
		line[l->n++] = s;
	}
	l->line = line;
	return l->n > 0 || ul_fail(err, "%s holds no refusal: one a line is wanted", path);
}

/* The record with another answer; the caller owns it. NULL when the row has no prompt. */
static json_t *refuse(const ul_row *row, const char *refusal)
{
	json_t *messages = row->json ? json_object_get(row->json, "messages") : NULL;
	if (row->prompt) {
		return json_pack("{s:s, s:s}", "prompt", row->prompt, "response", refusal);
	}
	if (!json_is_array(messages) || json_array_size(messages) == 0) {
		return NULL;
	}
	json_t *turns = json_deep_copy(messages);
	for (size_t i = 0; turns && i < json_array_size(turns); i++) {
		json_t *turn = json_array_get(turns, i);
		const char *role = ul_json_str(turn, "role");
		if (role && !strcmp(role, "assistant")) {
			json_object_set_new(turn, "content", json_string(refusal));
		}
	}
	return json_pack("{s:o}", "messages", turns);
}

bool ul_refusals_make(ul_run *r, ul_err *err)
{
	const ul_dataset *forget = r->data[UL_FORGET];
	struct list list = {built_in, sizeof built_in / sizeof built_in[0]};
	if (r->train.idk) {
		list = (struct list){0};
		if (!read_lines(&list, r->train.idk, &r->arena, err)) {
			return false;
		}
	}
	ul_dataset *alt = ul_alloc(&r->arena, sizeof *alt);
	if (!alt) {
		return ul_nomem(err, sizeof *alt);
	}
	r->data[UL_ALT] = alt;
	r->own_alt = true;
	for (int i = 0; i < forget->n; i++) {
		ul_rng rng = ul_rng_at((uint64_t)r->train.seed, "idk", (uint64_t)i);
		json_t *record = refuse(&forget->row[i], list.line[ul_rng_below(&rng, list.n)]);
		if (!record) {
			return ul_fail(err, "%s needs forget rows with a prompt, row %d has none", r->method->name, i);
		}
		bool ok = ul_dataset_add(alt, record, err);
		json_decref(record);
		if (!ok) {
			return false;
		}
	}
	return true;
}
