/*
 * net.h: folders that travel between two parties who do not trust the line between them, nor wholly each other.
 *
 * A folder is announced by a listing: names, sizes and the SHA-256 of every chunk. Who receives it writes each chunk where it
 * belongs and keeps it only if its hash is the announced one; after any break the hashes tell what is still missing, so nothing
 * else has to be remembered. `mpu serve` and `mpu join` move copies and updates this way over HTTPS with certificates on both
 * sides. What the folders mean is known only to those who fill `ul_net_rounds` and `ul_net_work`.
 *
 * These files are part of the program and not of libunlearn, which asks for no network library.
 */
#ifndef UL_NET_H
#define UL_NET_H

#include "base/file.h"
#include "base/json.h"

enum { UL_NET_CHUNK = 1 << 20, /* bytes of a chunk, the unit that is hashed */
	UL_NET_WINDOW = 16 << 20, /* bytes of one request at most: whole chunks, or the end of a file */
	UL_NET_FILES = 4096, /* files of a folder */
	UL_NET_NAME = 200 }; /* bytes of a name with its folders */

/* ---- listing: what a folder holds ---- */

typedef struct ul_net_file {
	const char *name; /* relative, its parts neither empty nor beginning with a dot */
	uint64_t size;
	size_t first, chunks; /* its hashes are sha[first … first+chunks-1] */
} ul_net_file;

typedef struct ul_net_list {
	ul_arena arena;
	ul_net_file *file; /* [files], sorted by name */
	int files;
	unsigned char (*sha)[32]; /* [chunks] */
	size_t chunks;
	uint64_t bytes;
	char id[65]; /* SHA-256 of the listing as text: two folders are the same exactly if their ids are */
} ul_net_list;

/* Of regular files only; others are refused. `only`: of the folders in dir just this one; NULL: all. */
bool ul_net_list_make(ul_net_list *l, const char *dir, const char *only, const ul_progress *p, ul_err *err);
/* `most`: bytes the files may have together. */
bool ul_net_list_parse(ul_net_list *l, const char *text, size_t n, uint64_t most, ul_err *err);
bool ul_net_list_text(const ul_net_list *l, ul_buf *out, ul_err *err);
void ul_net_list_release(ul_net_list *l);
size_t ul_net_list_limit(uint64_t most); /* bytes a listing of that many bytes can need */
size_t ul_net_chunk_bytes(const ul_net_file *f, size_t chunk); /* of chunk 0 … chunks-1 of f */

/* ---- store: a folder on its way in ---- */

enum ul_net_trouble { UL_NET_NONE,
	UL_NET_CHANGED, /* a chunk is not what the listing says */
	UL_NET_DISK }; /* it could not be written */

typedef struct ul_net_store ul_net_store;

/* Takes over `l` and goes on with what lies in `dir`: chunks with the right hash are there, all others are missing. */
ul_net_store *ul_net_store_open(const char *dir, ul_net_list *l, const ul_progress *p, ul_err *err);
void ul_net_store_close(ul_net_store *s); /* what came stays */
const ul_net_list *ul_net_store_list(const ul_net_store *s);
uint64_t ul_net_store_got(const ul_net_store *s); /* bytes of verified chunks */
/* The first run of missing chunks at or behind (*file, *offset), at most UL_NET_WINDOW bytes. False: nothing is missing there. */
bool ul_net_store_missing(const ul_net_store *s, int *file, uint64_t *offset, uint64_t *bytes);
/* One run: bytes arrive in order in pieces of any size. A new run ends an older one. */
bool ul_net_store_run(ul_net_store *s, int file, uint64_t offset, uint64_t bytes, ul_err *err);
bool ul_net_store_feed(ul_net_store *s, const void *data, size_t n, enum ul_net_trouble *why, ul_err *err);
/* All chunks are there: files to disk, the folder renamed to `target`. The store stays to be closed. */
bool ul_net_store_finish(ul_net_store *s, const char *target, ul_err *err);

/* ---- certificates ---- */

typedef struct ul_net_certs {
	const char *hosts; /* names and addresses of the server, by comma */
	int clients, days; /* days 0: certificates that have expired, for tests */
} ul_net_certs;

/* dir/ca.key and for `server`, `client-1`, … a folder with ca.pem, cert.pem and key.pem. */
bool ul_net_certs_make(const char *dir, const ul_net_certs *c, ul_err *err);
/* Adds dir/`name`/cert.pem to dir/revoked.pem, the list of those revoked, signed anew with dir/ca.key and good for `days`. Those that are
 * in it already stay. */
bool ul_net_certs_revoke(const char *dir, const char *name, int days, ul_err *err);

/* ---- log: one line for each thing that happened, for people or as JSON; called from several threads, one at a time ---- */

typedef struct ul_net_event {
	const char *what; /* one word: "accepted", "refused", … */
	const char *client; /* its name, or its address while that is not known; NULL: the server itself */
	int round, copy; /* 0 and -1: of none */
	const char *detail; /* a sentence without weights or data */
} ul_net_event;

typedef struct ul_net_log {
	void *ud;
	void (*line)(void *ud, const ul_net_event *e);
} ul_net_log;

/* ---- server ---- */

typedef struct ul_net_round {
	int round, rounds, copies; /* rounds count from 1, copies from 0; round > rounds: all is done */
} ul_net_round;

typedef struct ul_net_update { /* as it came, before it counts */
	int round, copy, copies;
	const char *dir;
	const char *const *accepted; /* [copies]: the folders of those that count already; NULL: none yet */
	const char *key; /* what this client's updates were signed with before; NULL: none was taken yet */
} ul_net_update;

enum ul_net_verdict { UL_NET_TAKE,
	UL_NET_REFUSE, /* the update is wrong */
	UL_NET_UNDECIDED }; /* this side cannot tell now: out of memory, a disk that fails. It is asked again */

/* What the server asks of the algorithm. All are called from the thread that called ul_net_serve. */
typedef struct ul_net_rounds {
	void *ud;
	bool (*now)(void *ud, ul_net_round *r, ul_err *err); /* read from disk: the truth about what was applied */
	/* The published folder of a copy; `only` becomes the one folder in it that belongs to the copy, or stays empty. */
	bool (*copy)(void *ud, int round, int copy, char dir[4096], char only[64], ul_err *err);
	/* `key`: what this update is signed with, to be held against the client's next one; empty where nothing is signed. */
	enum ul_net_verdict (*check)(void *ud, const ul_net_update *u, char key[65], ul_err *err);
	/* update [copies]: aggregates, applies and publishes the next round, all or nothing: afterwards `now` has moved on. */
	bool (*collect)(void *ud, int round, char *const *update, int copies, ul_err *err);
} ul_net_rounds;

typedef struct ul_net_server {
	const char *dir; /* where state, updates on their way and the audit trail live */
	const char *listen; /* "127.0.0.1:8443"; port 0: the system chooses, and the log says which */
	const char *certs; /* folder with ca.pem, cert.pem, key.pem */
	const char *allow; /* file with fingerprints, one a line; NULL: every certificate of the authority */
	const char *revoked; /* file with the authority's list of revoked certificates (X.509 CRL, PEM); NULL: none is */
	int64_t per_client; /* copies of a round one client may have; 0: all */
	int64_t lease; /* seconds until a copy not returned may go to somebody else */
	int64_t quota; /* bytes a client may move in a round, as a multiple of the copies it may have */
	int64_t most; /* bytes of an update; 0: twice its copy and a MiB */
	int64_t patience; /* seconds in which a connection must move 64 KiB or finish a request */
	int64_t connections; /* at the same time */
	const ul_net_rounds *rounds;
	const ul_progress *progress;
	ul_net_log log;
} ul_net_server;

/* Serves until all rounds are applied, or until progress->stop: then *stopped is set and the same call goes on later. */
bool ul_net_serve(const ul_net_server *s, bool *stopped, ul_err *err);

/* ---- client ---- */

/* Unlearns the copy in `copy` and leaves the update in `update`, complete or not at all. */
typedef struct ul_net_work {
	void *ud;
	bool (*unlearn)(void *ud, int round, int copy, const char *from, const char *update, ul_err *err);
} ul_net_work;

typedef struct ul_net_client {
	const char *url; /* https://host:port */
	const char *certs; /* folder with ca.pem, cert.pem, key.pem */
	const char *dir; /* copies and updates, kept until their round is over */
	int64_t patience; /* seconds without any progress until it gives up */
	const ul_net_work *work;
	const ul_progress *progress;
	ul_net_log log;
} ul_net_client;

bool ul_net_join(const ul_net_client *c, bool *stopped, ul_err *err);

#endif
