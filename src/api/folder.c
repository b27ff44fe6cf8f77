/*
 * folder.c: the run folder. What a run writes there has fixed names, so that a later run may replace them, and only them.
 *
 * A run begins aside, in a hidden folder inside its own: its generated rows and its first state. Only when all of that lies on disk
 * does an older result go, so that a run that cannot begin (rows without a label, no memory, a full disk) loses nothing.
 */
#include "api/api.h"

#include "base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* run.json goes first: without it a folder is no result. */
static const char *const ours[] = {"run.json", "model", "adapter", "state", "best.safetensors", "best.safetensors.part", "journal.jsonl", "rows", "forget.jsonl", "retain.jsonl", "revealed.jsonl", "scores.json", "scores.jsonl", "report.html"};
enum { OURS = sizeof ours / sizeof ours[0] };

static bool is_empty(const char *dir)
{
	DIR *d = opendir(dir);
	bool empty = true;
	for (struct dirent *e; d && empty && (e = readdir(d));) {
		empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
	}
	if (d) {
		closedir(d);
	}
	return empty;
}

bool ul_folder_check(const ul_job *j, ul_err *err)
{
	const ul_job_config *c = &j->cfg;
	if (c->resume) {
		return !strcmp(c->resume, c->output) || ul_fail(err, "a resumed run goes on in its own folder %s, not in %s", c->resume, c->output);
	}
	if (ul_file_exists(c->output) && !ul_is_dir(c->output)) {
		return ul_fail(err, "the output %s is a file, a folder is wanted", c->output);
	}
	if (!ul_is_dir(c->output)) {
		return true;
	}
	const char *model = j->run.model ? j->run.model->path : NULL;
	const struct {
		const char *what, *path;
	} input[] = {{"model", model}, {"adapter", c->adapter}, {"data", c->data}, {"forget data", c->forget}, {"retain data", c->retain}, {"evaluation data", j->run.train.eval}, {"tokenizer", c->tokenizer}};
	for (size_t i = 0; i < sizeof input / sizeof *input; i++) {
		if (!ul_output_apart(c->output, input[i].what, input[i].path, err)) {
			return false;
		}
	}
	if (!c->force && !is_empty(c->output)) {
		ul_fail(err, "the output %s exists and is not empty", c->output);
		ul_hint(err, "another folder, --force to replace the run in it, or --resume %s to go on with it", c->output);
		return false;
	}
	return true;
}

static bool remove_entry(const char *dir, const char *name, int *removed, ul_err *err)
{
	ul_arena a = {0};
	const char *path = ul_path_join(&a, dir, name);
	bool there = path && (ul_is_dir(path) || ul_file_exists(path));
	bool ok = path ? true : ul_nomem(err, strlen(dir));
	if (ok && there) {
		ok = ul_is_dir(path) ? ul_remove_tree(path, err) : unlink(path) == 0 || ul_fail(err, "cannot remove %s: %s", path, strerror(errno));
		*removed += ok;
	}
	ul_arena_release(&a);
	return ok;
}

bool ul_folder_open(ul_job *j, ul_err *err)
{
	if (j->cfg.resume) {
		return (j->lock = ul_dir_hold(j->cfg.output, err)) >= 0;
	}
	j->made |= !ul_is_dir(j->cfg.output);
	const char *aside = ul_path_join(&j->arena, j->cfg.output, "begin");
	if (!aside) {
		return ul_nomem(err, strlen(j->cfg.output));
	}
	if (!ul_mkdirs(j->cfg.output, err) || (j->lock = ul_dir_hold(j->cfg.output, err)) < 0 || !ul_stage_begin(&j->begin, aside, false, err)) {
		return false;
	}
	j->run.dir = j->begin.dir;
	return true;
}

/* What was begun aside, where it is there, to its place. */
static bool put(ul_job *j, const char *name, ul_err *err)
{
	const char *from = ul_path_join(&j->arena, j->begin.dir, name), *to = ul_path_join(&j->arena, j->cfg.output, name);
	if (!from || !to) {
		return ul_nomem(err, strlen(name));
	}
	return (!ul_file_exists(from) && !ul_is_dir(from)) || ul_disk_rename(from, to, err);
}

bool ul_folder_settle(ul_job *j, ul_err *err)
{
	int removed = 0;
	bool ok = true;
	if (!j->begin.open) {
		return true;
	}
	for (int i = 0; ok && i < OURS; i++) {
		ok = remove_entry(j->cfg.output, ours[i], &removed, err);
	}
	ok = ok && put(j, "rows", err) && put(j, "best.safetensors", err) && put(j, "state", err);
	ok = ok && ul_disk_sync_dir_of(j->begin.dir, err);
	j->run.dir = j->cfg.output;
	ul_stage_abort(&j->begin);
	return ok;
}

void ul_folder_undo(ul_job *j)
{
	ul_stage_abort(&j->begin);
	j->run.dir = j->cfg.output;
	if (j->made) {
		rmdir(j->cfg.output);
	}
}

/* Generated rows are personal data: kept only on request. */
static bool keep_rows(ul_job *j, ul_err *err)
{
	static const char *const name[] = {"forget.jsonl", "retain.jsonl"};
	const char *to = NULL;
	for (int i = 0; i < 2; i++) {
		const char *from = ul_path_join(&j->arena, ul_path_join(&j->arena, j->cfg.output, "rows"), name[i]);
		to = ul_path_join(&j->arena, j->cfg.output, name[i]);
		if (!from || !to) {
			return ul_nomem(err, 64);
		}
		if (ul_file_exists(from) && !ul_disk_rename(from, to, err)) {
			return false;
		}
	}
	to = ul_path_join(&j->arena, j->cfg.output, name[0]);
	return j->source || !j->run.data[UL_FORGET] || (to ? ul_rows_write(j->run.data[UL_FORGET], to, err) : ul_nomem(err, 64));
}

bool ul_folder_finish(ul_job *j, ul_err *err)
{
	static const char *const spent[] = {"rows", "best.safetensors", "best.safetensors.part", "state"};
	int removed = 0;
	bool ok = !j->cfg.keep_data || keep_rows(j, err);
	ul_stage_sweep(j->cfg.output);
	for (size_t i = 0; ok && i < sizeof spent / sizeof *spent; i++) {
		ok = remove_entry(j->cfg.output, spent[i], &removed, err);
	}
	return ok;
}

/* A method with a procedure of its own has only the state of its beginning: what its source has told goes with it, unless somebody has
 * pressed Ctrl-C and may go on. A loop has the state of its last steps. */
void ul_folder_failed(ul_job *j, ul_err *err)
{
	const ul_progress *p = j->run.progress;
	if (j->run.method->run && j->source && !(p && p->stop && p->stop(p->ud))) {
		ul_folder_finish(j, NULL);
		return;
	}
	ul_hint(err, "--resume %s goes on from its last state, `unlearn clean %s` removes that", j->cfg.output, j->cfg.output);
}

bool ul_folder_clean(const char *dir, int *removed, ul_err *err)
{
	ul_arena a = {0};
	const char *record = ul_path_join(&a, dir, "run.json");
	bool done = record && ul_file_exists(record);
	bool ok = record ? true : ul_nomem(err, strlen(dir));
	if (ok && !ul_is_dir(dir)) {
		ok = ul_fail(err, "there is no folder %s", dir);
	}
	*removed = 0;
	int lock = ok ? ul_dir_hold(dir, err) : -1;
	ok = ok && lock >= 0;
	if (ok) {
		ul_stage_sweep(dir);
	}
	/* Of a finished run only a state that was left behind: its forget.jsonl was kept on request. */
	ok = ok && remove_entry(dir, "state", removed, err) && remove_entry(dir, "rows", removed, err) && remove_entry(dir, "best.safetensors", removed, err) && remove_entry(dir, "best.safetensors.part", removed, err);
	ok = ok && (done || (remove_entry(dir, "forget.jsonl", removed, err) && remove_entry(dir, "retain.jsonl", removed, err) && remove_entry(dir, "revealed.jsonl", removed, err)));
	if (lock >= 0) {
		close(lock);
	}
	ul_arena_release(&a);
	return ok;
}

bool ul_rows_hide(ul_job *j, const ul_dataset *d, const char *path, ul_err *err)
{
	const char *dir = ul_path_join(&j->arena, j->run.dir, "rows");
	if (!dir) {
		return ul_nomem(err, 64);
	}
	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		return ul_fail(err, "cannot make %s: %s", dir, strerror(errno));
	}
	return ul_rows_write(d, path, err) && (chmod(path, 0600) == 0 || ul_fail(err, "cannot shut %s to others: %s", path, strerror(errno)));
}

bool ul_rows_write(const ul_dataset *d, const char *path, ul_err *err)
{
	ul_buf b = {0};
	for (int i = 0; i < d->n; i++) {
		if (!d->row[i].json || !ul_json_line(&b, d->row[i].json)) {
			ul_buf_release(&b);
			return ul_nomem(err, b.len);
		}
	}
	bool ok = !b.failed ? ul_file_write(path, b.data ? b.data : "", b.len, err) : ul_nomem(err, b.len);
	ul_buf_release(&b);
	return ok;
}
