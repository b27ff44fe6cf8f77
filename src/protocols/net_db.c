/*
 * net_db.c: what the server must remember when it is killed: who has which copy, how far its update is, how much each client
 * moved, and the audit trail, which holds names, times and sentences but neither weights nor data. Write-ahead log and full
 * synchronisation: what a function has returned true for is on disk.
 */
#include "protocols/net_server.h"

#include <sqlite3.h>
#include <string.h>

const char *const ul_net_state_names[] = {"free", "leased", "receiving", "checking", "refused", "accepted", NULL};

struct ul_net_db {
	sqlite3 *sql;
	pthread_mutex_t lock; /* statements that belong together stay together */
};

static const char schema[] =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;"
        "CREATE TABLE IF NOT EXISTS copy(round INTEGER, copy INTEGER, state INTEGER NOT NULL, client TEXT NOT NULL, listing TEXT NOT NULL,"
        " why TEXT NOT NULL, since INTEGER NOT NULL, listings INTEGER NOT NULL, PRIMARY KEY(round, copy)) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS traffic(round INTEGER, client TEXT, bytes INTEGER NOT NULL, PRIMARY KEY(round, client)) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS signer(client TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS audit(id INTEGER PRIMARY KEY, time TEXT NOT NULL DEFAULT(strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),"
        " event TEXT NOT NULL, client TEXT, fingerprint TEXT, round INTEGER, copy INTEGER, detail TEXT);";

static bool failed(ul_net_db *db, ul_err *err)
{
	return ul_fail(err, "cannot write the state of the server: %s", sqlite3_errmsg(db->sql));
}

ul_net_db *ul_net_db_open(const char *path, ul_err *err)
{
	ul_net_db *db = ul_calloc(1, sizeof *db);
	if (!db) {
		ul_nomem(err, sizeof *db);
		return NULL;
	}
	pthread_mutex_init(&db->lock, NULL);
	int rc = sqlite3_open_v2(path, &db->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL);
	sqlite3_busy_timeout(db->sql, 5000); /* somebody reads the audit trail */
	if (rc != SQLITE_OK || sqlite3_exec(db->sql, schema, NULL, NULL, NULL) != SQLITE_OK) {
		ul_fail(err, "cannot open %s: %s", path, sqlite3_errmsg(db->sql));
		ul_net_db_close(db);
		return NULL;
	}
	return db;
}

void ul_net_db_close(ul_net_db *db)
{
	if (!db)
		return;
	sqlite3_close(db->sql);
	pthread_mutex_destroy(&db->lock);
	ul_free(db);
}

/* A statement with its values: i an int64_t, s a text or NULL. */
static sqlite3_stmt *prepare(ul_net_db *db, ul_err *err, const char *sql, const char *types, ...)
{
	sqlite3_stmt *s = NULL;
	if (sqlite3_prepare_v2(db->sql, sql, -1, &s, NULL) != SQLITE_OK) {
		failed(db, err);
		return NULL;
	}
	va_list ap;
	va_start(ap, types);
	int rc = SQLITE_OK;
	for (int i = 0; types[i] && rc == SQLITE_OK; i++)
		rc = types[i] == 'i' ? sqlite3_bind_int64(s, i + 1, va_arg(ap, int64_t)) : sqlite3_bind_text(s, i + 1, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
	va_end(ap);
	if (rc == SQLITE_OK)
		return s;
	failed(db, err);
	sqlite3_finalize(s);
	return NULL;
}

static bool finish(ul_net_db *db, sqlite3_stmt *s, ul_err *err)
{
	if (!s)
		return false;
	int rc = sqlite3_step(s);
	bool ok = rc == SQLITE_DONE || rc == SQLITE_ROW || failed(db, err);
	sqlite3_finalize(s);
	return ok;
}

static bool begin(ul_net_db *db, ul_err *err)
{
	pthread_mutex_lock(&db->lock);
	if (sqlite3_exec(db->sql, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK)
		return true;
	failed(db, err);
	pthread_mutex_unlock(&db->lock);
	return false;
}

static bool end(ul_net_db *db, bool ok, ul_err *err)
{
	if (ok && sqlite3_exec(db->sql, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		ok = failed(db, err);
	if (!ok)
		sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
	pthread_mutex_unlock(&db->lock);
	return ok;
}

static void text_of(sqlite3_stmt *s, int column, char *out, size_t size)
{
	const unsigned char *t = sqlite3_column_text(s, column);
	snprintf(out, size, "%s", t ? (const char *)t : "");
}

/* ---- copies ---- */

static bool read_row(ul_net_db *db, int round, int copy, ul_net_row *row, ul_err *err)
{
	sqlite3_stmt *s = prepare(db, err, "SELECT state, client, listing, why, since, listings FROM copy WHERE round = ? AND copy = ?", "ii", (int64_t)round, (int64_t)copy);
	if (!s)
		return false;
	ul_net_row got = {.state = UL_NET_FREE};
	int rc = sqlite3_step(s);
	if (rc == SQLITE_ROW) {
		got.state = (enum ul_net_state)sqlite3_column_int(s, 0);
		text_of(s, 1, got.client, sizeof got.client);
		text_of(s, 2, got.listing, sizeof got.listing);
		text_of(s, 3, got.why, sizeof got.why);
		got.since = sqlite3_column_int64(s, 4);
		got.listings = sqlite3_column_int64(s, 5);
	}
	bool ok = rc == SQLITE_ROW || rc == SQLITE_DONE || failed(db, err);
	sqlite3_finalize(s);
	if (ok)
		*row = got;
	return ok;
}

static bool write_row(ul_net_db *db, int round, int copy, const ul_net_row *row, ul_err *err)
{
	return finish(db, prepare(db, err, "INSERT OR REPLACE INTO copy VALUES(?, ?, ?, ?, ?, ?, ?, ?)", "iiisssii", (int64_t)round, (int64_t)copy, (int64_t)row->state, row->client, row->listing, row->why, row->since, row->listings), err);
}

bool ul_net_db_row(ul_net_db *db, int round, int copy, ul_net_row *row, ul_err *err)
{
	pthread_mutex_lock(&db->lock);
	bool ok = read_row(db, round, copy, row, err);
	pthread_mutex_unlock(&db->lock);
	return ok;
}

bool ul_net_db_set(ul_net_db *db, int round, int copy, const ul_net_row *row, ul_err *err)
{
	return begin(db, err) && end(db, write_row(db, round, copy, row, err), err);
}

/* Whose copy may be given to somebody else: nobody's, or one whose time is over and of which not all bytes are here. */
static bool is_free(const ul_net_row *r, const ul_net_lease *l)
{
	return r->state == UL_NET_FREE || (r->state < UL_NET_ACCEPTED && r->state != UL_NET_CHECKING && l->now - r->since > l->seconds);
}

bool ul_net_db_lease(ul_net_db *db, const ul_net_lease *l, ul_err *err)
{
	if (!begin(db, err))
		return false;
	bool ok = true;
	int64_t have = 0;
	ul_net_row row;
	for (int k = 0; ok && k < l->copies; k++) {
		ok = read_row(db, l->round, k, &row, err);
		have += ok && row.state != UL_NET_FREE && !strcmp(row.client, l->client);
	}
	for (int k = 0; ok && k < l->copies; k++) {
		ok = read_row(db, l->round, k, &row, err);
		bool own = !strcmp(row.client, l->client);
		if (!ok || !is_free(&row, l) || (!own && l->per_client > 0 && have >= l->per_client))
			continue;
		have += !own;
		/* One's own lapsed lease begins anew, and what has come of the update stays. */
		row.state = own ? row.state : UL_NET_LEASED;
		row.since = l->now;
		if (!own) {
			row.listing[0] = row.why[0] = '\0';
			row.listings = 0;
		}
		snprintf(row.client, sizeof row.client, "%s", l->client);
		ok = write_row(db, l->round, k, &row, err);
	}
	return end(db, ok, err);
}

/* ---- traffic and audit ---- */

bool ul_net_db_traffic(ul_net_db *db, int round, const char *client, int64_t more, int64_t *total, ul_err *err)
{
	pthread_mutex_lock(&db->lock);
	bool ok = more == 0 || finish(db, prepare(db, err, "INSERT INTO traffic VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes", "isi", (int64_t)round, client, more), err);
	sqlite3_stmt *s = ok ? prepare(db, err, "SELECT bytes FROM traffic WHERE round = ? AND client = ?", "is", (int64_t)round, client) : NULL;
	int rc = s ? sqlite3_step(s) : SQLITE_ERROR;
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		*total = rc == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
	else
		ok = failed(db, err);
	sqlite3_finalize(s);
	pthread_mutex_unlock(&db->lock);
	return ok;
}

/* ---- who signs with which key ---- */

bool ul_net_db_key(ul_net_db *db, const char *client, char key[65], ul_err *err)
{
	pthread_mutex_lock(&db->lock);
	sqlite3_stmt *s = prepare(db, err, "SELECT key FROM signer WHERE client = ?", "s", client);
	int rc = s ? sqlite3_step(s) : SQLITE_ERROR;
	bool ok = rc == SQLITE_ROW || rc == SQLITE_DONE || failed(db, err);
	key[0] = '\0';
	if (rc == SQLITE_ROW)
		text_of(s, 0, key, 65);
	sqlite3_finalize(s);
	pthread_mutex_unlock(&db->lock);
	return ok;
}

bool ul_net_db_key_bind(ul_net_db *db, const char *client, const char *key, ul_err *err)
{
	return begin(db, err) && end(db, finish(db, prepare(db, err, "INSERT OR IGNORE INTO signer VALUES(?, ?)", "ss", client, key), err), err);
}

bool ul_net_db_audit(ul_net_db *db, const ul_net_event *e, const char *fingerprint, ul_err *err)
{
	pthread_mutex_lock(&db->lock);
	bool ok = finish(db, prepare(db, err, "INSERT INTO audit(event, client, fingerprint, round, copy, detail) VALUES(?, ?, ?, ?, ?, ?)", "sssiis", e->what, e->client, fingerprint, (int64_t)e->round, (int64_t)e->copy, e->detail), err);
	pthread_mutex_unlock(&db->lock);
	return ok;
}
