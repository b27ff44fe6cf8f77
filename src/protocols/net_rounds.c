/*
 * net_rounds.c: the server from round to round. Copies go out, updates come in, and when all are accepted they are collected.
 *
 * The truth about what was applied is the algorithm's own folder, which moves from one round to the next in one rename; the state
 * kept here only says who has which copy and how far its update is. Killed between any two lines, the server reads both again and
 * does what is left: an update is finished by a rename and then checked, checked and then accepted, and collected once.
 */
#include "protocols/net_server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINGER = 30, /* seconds at most in which clients hear that all is over */
	LINGER_ALONE = 3 }; /* and without any connection */

uint64_t ul_net_most(const ul_net_host *h, int copy)
{
	return h->cfg->most > 0 ? (uint64_t)h->cfg->most : 2 * h->offer[copy].list.bytes + (1 << 20);
}

bool ul_net_inbox_path(const ul_net_host *h, int round, int copy, const char *suffix, char path[4096], ul_err *err)
{
	if ((size_t)snprintf(path, 4096, "%s/round-%d/update-%d%s", h->cfg->dir, round, copy, suffix) < 4096)
		return true;
	return ul_fail(err, "paths below %.200s are longer than 4095 bytes", h->cfg->dir);
}

/* ---- a round opens ---- */

/* The listing of a copy is made once and kept beside the state: hashing gigabytes again at every start would be waiting. */
static bool make_offer(ul_net_host *h, const ul_net_round *r, int copy, ul_net_offer *o, ul_err *err)
{
	char only[64] = "";
	ul_buf text = {0};
	if (!h->cfg->rounds->copy(h->cfg->rounds->ud, r->round, copy, o->dir, only, err))
		return false;
	if ((size_t)snprintf(o->listing, sizeof o->listing, "%s/round-%d/copy-%d.listing", h->cfg->dir, r->round, copy) >= sizeof o->listing)
		return ul_fail(err, "paths below %.200s are longer than 4095 bytes", h->cfg->dir);
	const uint64_t any = (uint64_t)1 << 40;
	if (ul_file_exists(o->listing) && ul_file_read(&text, o->listing, ul_net_list_limit(any), NULL) && ul_net_list_parse(&o->list, text.data, text.len, any, NULL)) {
		ul_buf_release(&text);
		return true;
	}
	bool ok = ul_net_list_make(&o->list, o->dir, only[0] ? only : NULL, h->cfg->progress, err) && ul_net_list_text(&o->list, &text, err) &&
	          ul_file_write(o->listing, text.data, text.len, err);
	ul_buf_release(&text);
	return ok;
}

/* What has come of an update before the server stopped; NULL without an error if nothing that counts. */
static ul_net_store *reopen(ul_net_host *h, int copy, const ul_net_row *row, ul_err *err)
{
	char listing[4096], part[4096];
	ul_buf text = {0};
	ul_net_list l = {0};
	ul_net_store *s = NULL;
	uint64_t most = ul_net_most(h, copy);
	if (!ul_net_inbox_path(h, h->now.round, copy, ".listing", listing, err) || !ul_net_inbox_path(h, h->now.round, copy, ".part", part, err))
		return NULL;
	if (ul_file_read(&text, listing, ul_net_list_limit(most), NULL) && ul_net_list_parse(&l, text.data, text.len, most, NULL) && !strcmp(l.id, row->listing))
		s = ul_net_store_open(part, &l, h->cfg->progress, err);
	ul_net_list_release(&l);
	ul_buf_release(&text);
	return s;
}

static bool restore(ul_net_host *h, int copy, ul_err *err)
{
	ul_net_row row;
	if (!ul_net_db_row(h->db, h->now.round, copy, &row, err))
		return false;
	if (row.state != UL_NET_RECEIVING)
		return true;
	h->inbox[copy] = reopen(h, copy, &row, err);
	if (h->inbox[copy] || (err && err->msg[0]))
		return h->inbox[copy] != NULL;
	row.state = UL_NET_LEASED;
	row.listing[0] = '\0';
	return ul_net_db_set(h->db, h->now.round, copy, &row, err);
}

static void close_round(ul_net_host *h)
{
	for (int k = 0; k < h->now.copies; k++) {
		if (h->offer)
			ul_net_list_release(&h->offer[k].list);
		if (h->inbox)
			ul_net_store_close(h->inbox[k]);
	}
	ul_free(h->offer);
	ul_free(h->inbox);
	ul_free(h->owner);
	h->offer = NULL;
	h->inbox = NULL;
	h->owner = NULL;
}

static void forget_round(const ul_net_host *h, int round)
{
	char path[4096];
	if ((size_t)snprintf(path, sizeof path, "%s/round-%d", h->cfg->dir, round) < sizeof path)
		ul_remove_tree(path, NULL);
}

/* Nothing answers while phase is UL_NET_BUSY, so the long work needs no lock. */
static bool open_round(ul_net_host *h, ul_err *err)
{
	ul_net_round r = {0};
	if (!h->cfg->rounds->now(h->cfg->rounds->ud, &r, err))
		return false;
	pthread_mutex_lock(&h->lock);
	close_round(h);
	h->now = r;
	h->phase = r.round > r.rounds ? UL_NET_OVER : UL_NET_BUSY;
	h->now.copies = h->phase == UL_NET_OVER ? 0 : r.copies;
	pthread_mutex_unlock(&h->lock);
	forget_round(h, r.round - 1);
	if (h->phase == UL_NET_OVER)
		return true;
	char dir[4096];
	if (!ul_net_inbox_path(h, r.round, 0, "", dir, err))
		return false;
	*strrchr(dir, '/') = '\0';
	size_t n = (size_t)r.copies;
	ul_net_offer *offer = ul_calloc(n, sizeof *offer);
	ul_net_store **inbox = ul_calloc(n, sizeof *inbox);
	ul_net_conn **owner = ul_calloc(n, sizeof *owner);
	pthread_mutex_lock(&h->lock);
	h->offer = offer;
	h->inbox = inbox;
	h->owner = owner;
	pthread_mutex_unlock(&h->lock);
	bool ok = (offer && inbox && owner) || ul_nomem(err, n * sizeof *offer);
	ok = ok && ul_mkdirs(dir, err);
	for (int k = 0; ok && k < r.copies; k++)
		ok = make_offer(h, &r, k, &offer[k], err) && restore(h, k, err);
	if (!ok)
		return false;
	pthread_mutex_lock(&h->lock);
	h->phase = UL_NET_OPEN;
	ul_net_say(h, NULL, r.round, -1, "open", "round %d of %d with %d copies of %llu bytes", r.round, r.rounds, r.copies, (unsigned long long)offer[0].list.bytes);
	pthread_mutex_unlock(&h->lock);
	return true;
}

/* ---- an update is complete ---- */

static void say(ul_net_host *h, int copy, const char *what, const char *detail)
{
	pthread_mutex_lock(&h->lock);
	ul_net_say(h, NULL, h->now.round, copy, what, "%s", detail);
	pthread_mutex_unlock(&h->lock);
}

/* Trouble of our own (a full disk, no memory): said, and tried again ever more seldom until somebody helps. */
static void rest(ul_net_host *h, int copy, const char *why)
{
	say(h, copy, "trouble", why);
	h->pause = h->pause < 1 ? 2 : h->pause < 60 ? h->pause * 2
	                                            : 60;
	h->again = ul_net_clock() + h->pause;
}

static bool settle(ul_net_host *h, int copy, ul_net_row *row, enum ul_net_state state, const char *why)
{
	ul_err e = {0};
	row->state = state;
	snprintf(row->why, sizeof row->why, "%s", why);
	pthread_mutex_lock(&h->lock);
	bool ok = ul_net_db_set(h->db, h->now.round, copy, row, &e);
	pthread_mutex_unlock(&h->lock);
	if (!ok)
		rest(h, copy, e.msg);
	return ok;
}

/* From the part folder to the whole one. False: not complete, and open again. */
static bool complete(ul_net_host *h, int copy, ul_net_row *row, const char *whole)
{
	ul_err e = {0};
	pthread_mutex_lock(&h->lock);
	ul_net_store *s = h->inbox[copy];
	h->inbox[copy] = NULL;
	pthread_mutex_unlock(&h->lock);
	if (!s && ul_is_dir(whole))
		return true;
	if (!s)
		s = reopen(h, copy, row, &e);
	bool ok = s && ul_net_store_got(s) == ul_net_store_list(s)->bytes && ul_net_store_finish(s, whole, &e);
	if (ok) {
		ul_net_store_close(s);
		return true;
	}
	rest(h, copy, e.msg[0] ? e.msg : "not all bytes of the update are here after all");
	pthread_mutex_lock(&h->lock);
	h->inbox[copy] = s;
	pthread_mutex_unlock(&h->lock);
	settle(h, copy, row, s ? UL_NET_RECEIVING : UL_NET_LEASED, "");
	return false;
}

static void free_paths(char **p, int n)
{
	for (int k = 0; p && k < n; k++)
		ul_free(p[k]);
	ul_free(p);
}

/* Folders of all updates of the round, [copies]; `accepted`: NULL for those that do not count yet. */
static char **paths(ul_net_host *h, bool accepted, ul_err *err)
{
	char **p = ul_calloc((size_t)h->now.copies + 1, sizeof *p), path[4096];
	bool ok = p != NULL || ul_nomem(err, (size_t)h->now.copies * sizeof *p);
	for (int k = 0; ok && k < h->now.copies; k++) {
		ul_net_row row = {.state = UL_NET_FREE};
		ok = ul_net_inbox_path(h, h->now.round, k, "", path, err) && (!accepted || ul_net_db_row(h->db, h->now.round, k, &row, err));
		if (ok && (!accepted || row.state == UL_NET_ACCEPTED))
			ok = (p[k] = ul_strdup(path)) || ul_nomem(err, strlen(path));
	}
	if (ok)
		return p;
	free_paths(p, h->now.copies);
	return NULL;
}

/* A verdict is for ever, so it is only spoken when nothing of our own stood in the way. */
static enum ul_net_verdict judge(ul_net_host *h, int copy, const ul_net_row *row, const char *whole, ul_err *err)
{
	char bound[65] = "", key[65] = "";
	char **accepted = paths(h, true, err);
	ul_net_update u = {.round = h->now.round, .copy = copy, .copies = h->now.copies, .dir = whole, .accepted = (const char *const *)accepted};
	enum ul_net_verdict v = UL_NET_UNDECIDED;
	if (accepted && ul_net_db_key(h->db, row->client, bound, err)) {
		u.key = bound[0] ? bound : NULL;
		v = h->cfg->rounds->check(h->cfg->rounds->ud, &u, key, err);
	}
	if (v == UL_NET_TAKE && bound[0] && strcmp(bound, key) != 0) {
		ul_fail(err, "the update is signed with the key %.16s…, and this client's updates are signed with %.16s… since its first one", key, bound);
		v = UL_NET_REFUSE;
	}
	if (v == UL_NET_TAKE && key[0] && !bound[0] && !ul_net_db_key_bind(h->db, row->client, key, err))
		v = UL_NET_UNDECIDED;
	free_paths(accepted, h->now.copies);
	return v;
}

/* It stays to be checked; but who cannot be judged must not keep a copy longer than its lease. */
static void undecided(ul_net_host *h, int copy, ul_net_row *row, const char *why)
{
	rest(h, copy, why);
	if ((int64_t)time(NULL) - row->since <= h->cfg->lease)
		return;
	row->listing[0] = '\0';
	settle(h, copy, row, UL_NET_LEASED, "");
}

static void check_update(ul_net_host *h, int copy, ul_net_row *row)
{
	char whole[4096];
	ul_err e = {0};
	if (!ul_net_inbox_path(h, h->now.round, copy, "", whole, &e) || !complete(h, copy, row, whole))
		return;
	enum ul_net_verdict v = judge(h, copy, row, whole, &e);
	if (v == UL_NET_UNDECIDED) {
		undecided(h, copy, row, e.msg);
		return;
	}
	bool ok = v == UL_NET_TAKE;
	if (!settle(h, copy, row, ok ? UL_NET_ACCEPTED : UL_NET_REFUSED, e.msg))
		return;
	h->pause = 0;
	if (!ok)
		ul_remove_tree(whole, NULL);
	say(h, copy, ok ? "accepted" : "refused", ok ? "the update is whole and in order" : e.msg);
}

/* Checks what is to be checked. Returns how many copies are accepted; *out: how many are with clients or back. */
static int look_through(ul_net_host *h, int *out)
{
	int accepted = 0;
	*out = 0;
	for (int k = 0; k < h->now.copies; k++) {
		ul_net_row row;
		if (!ul_net_db_row(h->db, h->now.round, k, &row, NULL))
			continue;
		if (row.state == UL_NET_CHECKING && ul_net_clock() >= h->again)
			check_update(h, k, &row);
		*out += row.state != UL_NET_FREE;
		accepted += row.state == UL_NET_ACCEPTED;
	}
	return accepted;
}

/* ---- all updates are here ---- */

static bool collect(ul_net_host *h, ul_err *err)
{
	char **update = paths(h, false, err);
	bool ok = update && h->cfg->rounds->collect(h->cfg->rounds->ud, h->now.round, update, h->now.copies, err);
	free_paths(update, h->now.copies);
	return ok;
}

static void set_stuck(ul_net_host *h, bool stuck)
{
	pthread_mutex_lock(&h->lock);
	h->phase = stuck ? UL_NET_BUSY : h->phase;
	h->stuck = stuck;
	pthread_mutex_unlock(&h->lock);
}

/* Collects, and publishes the round after. A failure of either (a full disk) changed nothing: both are tried again from where they
 * stand, which the secret folder says. */
static void next_round(ul_net_host *h, bool *applied)
{
	ul_err e = {0};
	if (ul_net_clock() < h->again)
		return;
	pthread_mutex_lock(&h->lock);
	h->phase = UL_NET_BUSY;
	pthread_mutex_unlock(&h->lock);
	if (!*applied && (*applied = collect(h, &e)))
		say(h, -1, "applied", "all updates of the round");
	bool ok = *applied && open_round(h, &e);
	set_stuck(h, !ok);
	if (!ok) {
		rest(h, -1, e.msg);
		return;
	}
	*applied = false;
	h->pause = 0;
}

/* ---- the loop ---- */

static void wait_for_news(ul_net_host *h)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 200000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&h->lock);
	pthread_cond_timedwait(&h->changed, &h->lock, &until);
	pthread_mutex_unlock(&h->lock);
}

static bool alone(ul_net_host *h)
{
	pthread_mutex_lock(&h->lock);
	bool none = !h->conns;
	pthread_mutex_unlock(&h->lock);
	return none;
}

static void serve(ul_net_host *h, bool *stopped)
{
	const ul_progress *p = h->cfg->progress;
	double over = 0;
	bool applied = false; /* and the next round not open yet */
	char what[96];
	for (;;) {
		if (p && p->stop && p->stop(p->ud)) {
			*stopped = true;
			say(h, -1, "stopped", "the same command goes on");
			return;
		}
		if (h->phase == UL_NET_OVER) {
			double now = ul_net_clock();
			over = over > 0 ? over : now;
			if (now - over > LINGER || (now - over > LINGER_ALONE && alone(h)))
				return;
		} else {
			int out = 0, accepted = applied ? h->now.copies : look_through(h, &out);
			snprintf(what, sizeof what, "round %d: %d of %d copies out, updates in", h->now.round, applied ? accepted : out, h->now.copies);
			if (p && p->tick)
				p->tick(p->ud, what, accepted, h->now.copies, 0, 0);
			if (applied || accepted == h->now.copies)
				next_round(h, &applied);
		}
		wait_for_news(h);
	}
}

bool ul_net_serve(const ul_net_server *cfg, bool *stopped, ul_err *err)
{
	ul_net_host h = {.cfg = cfg, .phase = UL_NET_BUSY, .tokens = 20, .refill = ul_net_clock()};
	char path[4096];
	*stopped = false;
	if ((size_t)snprintf(path, sizeof path, "%s/state.db", cfg->dir) >= sizeof path)
		return ul_fail(err, "paths below %.200s are longer than 4095 bytes", cfg->dir);
	int lock = ul_dir_lock(cfg->dir, true, err); /* two servers on one state would give every copy away twice */
	if (lock < 0)
		return false;
	pthread_mutex_init(&h.lock, NULL);
	pthread_cond_init(&h.changed, NULL);
	bool ok = (h.db = ul_net_db_open(path, err)) && open_round(&h, err) && ul_net_listen(&h, err);
	if (ok)
		serve(&h, stopped);
	ul_net_hang_up(&h);
	close_round(&h);
	ul_net_db_close(h.db);
	pthread_cond_destroy(&h.changed);
	pthread_mutex_destroy(&h.lock);
	close(lock);
	return ok;
}
