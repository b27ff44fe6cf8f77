/*
 * journal.c: one JSON line per step, appended as it happens, so that a killed run still tells its story up to there.
 */
#include "base/file.h"
#include "train/train.h"

#include <string.h>

/* A resumed run writes the steps after its state again: lines from there on are dropped. Broken last lines too. */
static bool keep_before(const char *path, int64_t step, ul_err *err)
{
	ul_buf text = {0}, kept = {0};
	if (!ul_file_exists(path)) {
		return ul_file_write(path, "", 0, err);
	}
	if (!ul_file_read(&text, path, (size_t)1 << 30, err)) {
		return false;
	}
	for (char *line = text.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		json_t *v = json_loadb(line, (size_t)(end - line), 0, NULL);
		json_t *n = json_object_get(v, "step");
		if (json_is_integer(n) && json_integer_value(n) < step) {
			ul_buf_add(&kept, line, (size_t)(end - line) + 1);
		}
		json_decref(v);
	}
	bool ok = !kept.failed ? ul_file_write(path, kept.data ? kept.data : "", kept.len, err) : ul_nomem(err, text.len);
	ul_buf_release(&text);
	ul_buf_release(&kept);
	return ok;
}

static bool open_once(ul_run *r, ul_err *err)
{
	if (r->journal) {
		return true;
	}
	const char *path = ul_path_join(&r->arena, r->dir, "journal.jsonl");
	if (!path) {
		return ul_nomem(err, strlen(r->dir));
	}
	if (!keep_before(path, r->step, err)) {
		return false;
	}
	r->journal = fopen(path, "a");
	return r->journal || ul_fail(err, "cannot write %s", path);
}

static bool put(ul_run *r, json_t *line, ul_err *err)
{
	ul_buf b = {0};
	if (!open_once(r, err)) {
		json_decref(line);
		return false;
	}
	bool ok = line && ul_json_line(&b, line) && fwrite(b.data, 1, b.len, r->journal) == b.len && fflush(r->journal) == 0;
	ul_buf_release(&b);
	json_decref(line);
	return ok || ul_fail(err, "cannot write the journal of %s (disk full?)", r->dir);
}

bool ul_journal_step(ul_run *r, double seconds, ul_err *err)
{
	if (!r->dir) {
		return true;
	}
	json_t *line = json_object();
	json_object_set_new(line, "step", json_integer(r->step));
	json_object_set_new(line, "loss", ul_json_number(r->loss));
	for (int i = 0; i < r->terms; i++) {
		json_object_set_new(line, r->term[i].name, ul_json_number(r->term[i].value));
	}
	json_object_set_new(line, "grad_norm", ul_json_number(r->grad_norm));
	json_object_set_new(line, "lr", ul_json_number(r->lr));
	json_object_set_new(line, "tokens", json_integer(r->tokens));
	json_object_set_new(line, "seconds", ul_json_number(seconds));
	return put(r, line, err);
}

bool ul_journal_note(ul_run *r, json_t *line, ul_err *err)
{
	if (!r->dir) {
		json_decref(line);
		return true;
	}
	json_object_set_new(line, "step", json_integer(r->step));
	return put(r, line, err);
}

bool ul_journal_eval(ul_run *r, double nll, int64_t tokens, ul_err *err)
{
	if (!r->dir) {
		return true;
	}
	json_t *line = json_object();
	json_object_set_new(line, "step", json_integer(r->step));
	json_object_set_new(line, "eval_nll", ul_json_number(tokens > 0 ? nll / (double)tokens : 0));
	json_object_set_new(line, "eval_tokens", json_integer(tokens));
	return put(r, line, err);
}
