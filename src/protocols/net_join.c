/*
 * net_join.c: the client from copy to copy: pull, unlearn, push, until the server says that all is over.
 *
 * Everything it has done lies in its folder under the name it gets when it is complete, so a client that was killed looks there and
 * at what the server says, and goes on. It keeps no other record.
 *
 *	round-R/copy-K.part     a copy on its way in            round-R/copy-K     the copy
 *	round-R/update-K        its update, made aside by the one who unlearns
 */
#include "protocols/net_http.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { TRIES = 3 }; /* for a chunk that arrives wrong */
static const uint64_t any_size = (uint64_t)1 << 40;

typedef struct joined {
	const ul_net_client *cfg;
	ul_net_link *link;
	int round, rounds, copies;
	int at, of; /* which of its copies of the round, from 1 */
	bool lost; /* the copy is not ours any more, or its round is over: ask for work again */
	char sentence[400]; /* of the last refusal */
} joined;

static void say(joined *j, int copy, const char *what, const char *detail)
{
	ul_net_event e = {.what = what, .round = j->round, .copy = copy, .detail = detail};
	if (j->cfg->log.line)
		j->cfg->log.line(j->cfg->log.ud, &e);
}

static bool path_to(joined *j, int copy, const char *kind, const char *suffix, char path[4096], ul_err *err)
{
	if ((size_t)snprintf(path, 4096, "%s/round-%d/%s-%d%s", j->cfg->dir, j->round, kind, copy, suffix) < 4096)
		return true;
	return ul_fail(err, "paths below %.200s are longer than 4095 bytes", j->cfg->dir);
}

/* ---- answers ---- */

/* Whatever is not a success: the server's sentence, and whether the work as a whole can go on. */
static bool refused(joined *j, const ul_net_reply *r, ul_err *err)
{
	json_t *v = r->text.data ? ul_json_parse(r->text.data, r->text.len, "the answer", NULL) : NULL;
	const char *sentence = ul_json_str(v, "error");
	snprintf(j->sentence, sizeof j->sentence, "%s", sentence ? sentence : "no reason is given");
	json_decref(v);
	j->lost = r->status == 409 || r->status == 403;
	return ul_fail(err, "the server refuses (%ld): %s", r->status, j->sentence);
}

static json_t *ask_json(joined *j, const ul_net_ask *q, ul_err *err)
{
	ul_net_reply r = {0};
	json_t *v = NULL;
	if (ul_net_link_ask(j->link, q, &r, err)) {
		if (r.status == 200)
			v = ul_json_parse(r.text.data ? r.text.data : "", r.text.len, "the answer of the server", err);
		else
			refused(j, &r, err);
	}
	ul_buf_release(&r.text);
	return v;
}

static void tick(joined *j, int copy, const char *what, uint64_t done, uint64_t total)
{
	char text[96];
	const ul_progress *p = j->cfg->progress;
	snprintf(text, sizeof text, "round %d: %s copy %d (%d of %d), MiB", j->round, what, copy, j->at, j->of);
	if (p && p->tick)
		p->tick(p->ud, text, (int64_t)(done >> 20), (int64_t)((total + (1 << 20) - 1) >> 20), 0, 0);
}

/* ---- pull ---- */

static bool get_listing(joined *j, int copy, ul_net_list *l, ul_err *err)
{
	char url[96], path[4096], part[4096];
	snprintf(url, sizeof url, "/v1/round/%d/copy/%d/listing", j->round, copy);
	ul_net_reply r = {0};
	ul_buf old = {0};
	bool ok = path_to(j, copy, "copy", ".listing", path, err) && path_to(j, copy, "copy", ".part", part, err) &&
	          ul_net_link_ask(j->link, &(ul_net_ask){.method = "GET", .path = url, .limit = ul_net_list_limit(any_size)}, &r, err) && (r.status == 200 || refused(j, &r, err)) &&
	          ul_net_list_parse(l, r.text.data ? r.text.data : "", r.text.len, any_size, err);
	/* Another listing than the one the part belongs to: the part is of no use. */
	if (ok && (!r.text.data || !ul_file_exists(path) || !ul_file_read(&old, path, ul_net_list_limit(any_size), NULL) || old.len != r.text.len || (old.len && memcmp(old.data, r.text.data, old.len) != 0)))
		ok = ul_remove_tree(part, err) && ul_file_write(path, r.text.data, r.text.len, err);
	if (!ok)
		ul_net_list_release(l);
	ul_buf_release(&old);
	ul_buf_release(&r.text);
	return ok;
}

static bool pull_runs(joined *j, int copy, ul_net_store *s, ul_err *err)
{
	char url[96];
	int file = 0, wrong = 0;
	uint64_t at = 0, bytes = 0;
	while (ul_net_store_missing(s, &file, &at, &bytes)) {
		ul_net_reply r = {0};
		snprintf(url, sizeof url, "/v1/round/%d/copy/%d/file/%d", j->round, copy, file);
		bool ok = ul_net_store_run(s, file, at, bytes, err) &&
		          ul_net_link_ask(j->link, &(ul_net_ask){.method = "GET", .path = url, .into = s, .offset = at, .bytes = bytes}, &r, err);
		if (ok && r.changed) {
			say(j, copy, "refused", "a chunk does not have the SHA-256 that was announced; asking again");
			ok = ++wrong < TRIES || ul_fail(err, "copy %d arrives changed: a chunk of \"%s\" has a wrong SHA-256 every time", copy, ul_net_store_list(s)->file[file].name);
		} else if (ok && r.status >= 300) {
			ok = refused(j, &r, err);
		}
		ul_buf_release(&r.text);
		if (!ok)
			return false;
		tick(j, copy, "pull", ul_net_store_got(s), ul_net_store_list(s)->bytes);
		file = 0;
		at = 0;
	}
	return true;
}

static bool pull(joined *j, int copy, const char *whole, ul_err *err)
{
	char part[4096];
	ul_net_list l = {0};
	if (!path_to(j, copy, "copy", ".part", part, err) || !get_listing(j, copy, &l, err))
		return false;
	ul_net_store *s = ul_net_store_open(part, &l, j->cfg->progress, err);
	ul_net_list_release(&l);
	bool ok = s && pull_runs(j, copy, s, err) && ul_net_store_finish(s, whole, err);
	ul_net_store_close(s);
	if (ok)
		say(j, copy, "pulled", "the copy is here and whole");
	return ok;
}

/* ---- push ---- */

typedef struct push {
	joined *j;
	int copy, wrong;
	char dir[4096];
	ul_net_list list;
	ul_buf text;
	uint64_t sent;
} push;

static json_t *announce(push *p, ul_err *err)
{
	char url[96];
	snprintf(url, sizeof url, "/v1/round/%d/copy/%d/listing", p->j->round, p->copy);
	return ask_json(p->j, &(ul_net_ask){.method = "PUT", .path = url, .body = &p->text}, err);
}

static bool push_run(push *p, const json_t *run, ul_err *err)
{
	int64_t file = json_integer_value(json_array_get(run, 0)), at = json_integer_value(json_array_get(run, 1)), n = json_integer_value(json_array_get(run, 2));
	char url[96], path[4096 + UL_NET_NAME + 2];
	if (file < 0 || file >= p->list.files || at < 0 || n <= 0 || n > UL_NET_WINDOW || (uint64_t)at + (uint64_t)n > p->list.file[file].size)
		return ul_fail(err, "the server asks for %lld bytes at %lld of file %lld, which the update does not have, or for more than %d at a time", (long long)n, (long long)at, (long long)file, UL_NET_WINDOW);
	const ul_net_file *f = &p->list.file[file];
	snprintf(url, sizeof url, "/v1/round/%d/copy/%d/file/%d", p->j->round, p->copy, (int)file);
	snprintf(path, sizeof path, "%s/%s", p->dir, f->name);
	ul_net_reply r = {0};
	bool ok = ul_net_link_ask(p->j->link, &(ul_net_ask){.method = "PUT", .path = url, .file = path, .offset = (uint64_t)at, .bytes = (uint64_t)n, .size = f->size}, &r, err);
	if (ok && r.status == 422)
		ok = ++p->wrong < TRIES || refused(p->j, &r, err);
	else if (ok && r.status == 200)
		p->sent += (uint64_t)n;
	else if (ok)
		ok = refused(p->j, &r, err);
	ul_buf_release(&r.text);
	tick(p->j, p->copy, "push", p->sent, p->list.bytes);
	return ok;
}

static json_t *ask_update(push *p, const char *method, const char *leaf, ul_err *err)
{
	char url[96];
	snprintf(url, sizeof url, "/v1/round/%d/copy/%d/%s", p->j->round, p->copy, leaf);
	return ask_json(p->j, &(ul_net_ask){.method = method, .path = url}, err);
}

/* One look at the server's answer, and what follows from it. *done: accepted. */
static bool push_step(push *p, json_t **v, bool *done, ul_err *err)
{
	const char *state = ul_json_str(*v, "state"), *why = ul_json_str(*v, "why");
	json_t *need = json_object_get(*v, "need"), *run, *next = NULL;
	size_t i;
	bool ok = true;
	if (!state)
		return ul_fail(err, "the answer of the server lacks \"state\"");
	if (!strcmp(state, "accepted"))
		return *done = true;
	if (!strcmp(state, "refused"))
		return ul_fail(err, "the server refuses the update of copy %d: %s", p->copy, why ? why : "no reason is given");
	if (!strcmp(state, "checking")) {
		ul_net_link_wait(p->j->link, 0.3);
		next = ask_update(p, "GET", "update", err);
	} else if (!strcmp(state, "leased")) { /* it lost what was announced */
		next = announce(p, err);
	} else if (json_array_size(need)) {
		json_array_foreach(need, i, run)
		{
			ok = ok && push_run(p, run, err);
		}
		next = ok ? ask_update(p, "GET", "update", err) : NULL;
	} else {
		next = ask_update(p, "POST", "done", err);
	}
	if (!next)
		return false;
	json_decref(*v);
	*v = next;
	return !ul_net_link_stopped(p->j->link) || ul_fail(err, "stopped; the same command goes on");
}

static bool push_update(joined *j, int copy, const char *dir, ul_err *err)
{
	push p = {.j = j, .copy = copy};
	snprintf(p.dir, sizeof p.dir, "%s", dir);
	bool done = false, ok = ul_net_list_make(&p.list, dir, NULL, j->cfg->progress, err) && ul_net_list_text(&p.list, &p.text, err);
	json_t *v = ok ? announce(&p, err) : NULL;
	ok = v != NULL;
	while (ok && !done)
		ok = push_step(&p, &v, &done, err);
	json_decref(v);
	ul_net_list_release(&p.list);
	ul_buf_release(&p.text);
	if (ok)
		say(j, copy, "accepted", "the server took the update");
	return ok;
}

/* ---- one copy, one round, all rounds ---- */

static bool do_copy(joined *j, int copy, ul_err *err)
{
	char whole[4096], update[4096];
	const ul_net_work *w = j->cfg->work;
	if (!path_to(j, copy, "copy", "", whole, err) || !path_to(j, copy, "update", "", update, err))
		return false;
	if (!ul_is_dir(whole) && !pull(j, copy, whole, err))
		return false;
	if (!ul_is_dir(update)) {
		if (!w->unlearn(w->ud, j->round, copy, whole, update, err))
			return false;
		say(j, copy, "unlearned", "the update is made");
	}
	return push_update(j, copy, update, err);
}

/* Does what is left of one's copies. *left: how many were not accepted when this began. */
static bool do_round(joined *j, const json_t *work, int *left, ul_err *err)
{
	const json_t *item;
	size_t i;
	*left = 0;
	j->of = (int)json_array_size(work);
	json_array_foreach(work, i, item)
	{
		j->at = (int)i + 1;
		const char *state = ul_json_str(item, "state");
		int64_t copy = -1;
		if (!ul_json_int(item, "copy", 0, 1000000, &copy, err) || copy < 0 || !state)
			return ul_fail(err, "the answer of the server has work without a copy or a state");
		if (!strcmp(state, "accepted"))
			continue;
		(*left)++;
		j->lost = false;
		ul_err e = {0};
		if (do_copy(j, (int)copy, &e))
			continue;
		if (!j->lost || ul_net_link_stopped(j->link))
			return ul_fail(err, "%s", e.msg);
		say(j, (int)copy, "lost", j->sentence);
		return true;
	}
	return true;
}

static void forget_round(joined *j, int round)
{
	char path[4096];
	if (round > 0 && (size_t)snprintf(path, sizeof path, "%s/round-%d", j->cfg->dir, round) < sizeof path)
		ul_remove_tree(path, NULL);
}

static bool take_round(joined *j, const json_t *v, ul_err *err)
{
	int64_t round = 0, rounds = 0, copies = 0;
	char path[4096];
	if (!ul_json_int(v, "round", 1, 1000000, &round, err) || !ul_json_int(v, "rounds", 1, 1000000, &rounds, err) || !ul_json_int(v, "copies", 0, 1000000, &copies, err))
		return false;
	if (round != j->round)
		forget_round(j, j->round ? j->round : (int)round - 1);
	j->round = (int)round;
	j->rounds = (int)rounds;
	j->copies = (int)copies;
	if ((size_t)snprintf(path, sizeof path, "%s/round-%d", j->cfg->dir, j->round) >= sizeof path)
		return ul_fail(err, "paths below %.200s are longer than 4095 bytes", j->cfg->dir);
	return ul_mkdirs(path, err);
}

/* The server may be gone once the last round has all it needs; that is not for the client to judge. */
static bool ask_work(joined *j, bool last, json_t **v, ul_err *err)
{
	ul_err e = {0};
	*v = ask_json(j, &(ul_net_ask){.method = "POST", .path = "/v1/work", .patience = last ? 15 : 0}, &e);
	if (*v || ul_net_link_stopped(j->link) || !last)
		return *v != NULL || ul_fail(err, "%s", e.msg);
	say(j, -1, "over", "all updates were accepted, and the server does not answer any more");
	return true;
}

static bool join(joined *j, ul_err *err)
{
	bool last = false, waiting = false;
	int losses = 0;
	for (;;) {
		json_t *v;
		int left = 0;
		if (!ask_work(j, last, &v, err))
			return false;
		const char *state = ul_json_str(v, "state");
		const json_t *work = json_object_get(v, "work");
		bool over = !v || (state && !strcmp(state, "over")), open = state && !strcmp(state, "open");
		bool ok = over || (take_round(j, v, err) && (!open || do_round(j, work, &left, err)));
		bool none = open && json_array_size(work) == 0;
		last = open && !none && j->round == j->rounds && (left == 0 || !j->lost);
		json_decref(v);
		if (!ok || over) {
			if (over)
				forget_round(j, j->round);
			return ok;
		}
		if (none && !waiting)
			say(j, -1, "waiting", "no copy is free");
		waiting = none;
		losses = j->lost ? losses + 1 : 0;
		if (losses > 10)
			return ul_fail(err, "the server refuses %d times in a row: %s", losses, j->sentence);
		if (left == 0 || j->lost)
			ul_net_link_wait(j->link, none ? 2 : 0.5);
		if (ul_net_link_stopped(j->link))
			return ul_fail(err, "stopped; the same command goes on");
	}
}

bool ul_net_join(const ul_net_client *c, bool *stopped, ul_err *err)
{
	joined j = {.cfg = c};
	int lock = ul_dir_lock(c->dir, true, err);
	*stopped = false;
	if (lock < 0)
		return false;
	bool ok = (j.link = ul_net_link_open(c, err)) && join(&j, err);
	*stopped = !ok && j.link && ul_net_link_stopped(j.link);
	ul_net_link_close(j.link);
	close(lock);
	return ok;
}
