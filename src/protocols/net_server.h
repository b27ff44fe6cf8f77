/*
 * net_server.h: what the files of the server share: its memory (net_db.c), what a request asks for (net_route.c), connections and
 * who they are (net_serve.c), answers (net_answer.c), and the rounds they serve (net_rounds.c).
 */
#ifndef UL_NET_SERVER_H
#define UL_NET_SERVER_H

#include "protocols/net.h"

#include <pthread.h>

/* ---- net_route.c: a path and a range, from strangers ---- */

enum ul_net_verb { UL_NET_WORK, /* POST /v1/work */
	UL_NET_LISTING, /* GET: of a copy; PUT: of an update: /v1/round/R/copy/K/listing */
	UL_NET_FILE, /* GET: of a copy; PUT: of an update: /v1/round/R/copy/K/file/I */
	UL_NET_UPDATE, /* GET /v1/round/R/copy/K/update */
	UL_NET_DONE }; /* POST /v1/round/R/copy/K/done */

typedef struct ul_net_route {
	enum ul_net_verb verb;
	bool put; /* PUT rather than GET, where there are both */
	int round, copy, file;
} ul_net_route;

bool ul_net_route_parse(ul_net_route *r, const char *method, const char *path);
/* "bytes=A-B", or "bytes A-B/SIZE" where size is wanted. B is the last byte. */
bool ul_net_range_parse(const char *text, uint64_t *first, uint64_t *bytes, uint64_t *size);

/* ---- net_db.c: what must outlive the process, in SQLite (WAL, synchronous=FULL) ---- */

enum ul_net_state { UL_NET_FREE,
	UL_NET_LEASED, /* a client has it, and nothing came back yet */
	UL_NET_RECEIVING, /* the listing of its update is here */
	UL_NET_CHECKING, /* all bytes are */
	UL_NET_REFUSED, /* and were not taken: `why` */
	UL_NET_ACCEPTED };
extern const char *const ul_net_state_names[];

typedef struct ul_net_row { /* one copy of one round */
	enum ul_net_state state;
	char client[65]; /* fingerprint of who has it */
	char listing[65]; /* id of the update's listing */
	char why[256];
	int64_t since; /* seconds of the epoch: when it was leased */
	int64_t listings; /* how many came */
} ul_net_row;

typedef struct ul_net_lease {
	int round, copies;
	const char *client;
	int64_t per_client, seconds, now;
} ul_net_lease;

typedef struct ul_net_db ul_net_db;
ul_net_db *ul_net_db_open(const char *path, ul_err *err);
void ul_net_db_close(ul_net_db *db);
bool ul_net_db_row(ul_net_db *db, int round, int copy, ul_net_row *row, ul_err *err); /* of a copy never leased: UL_NET_FREE */
bool ul_net_db_set(ul_net_db *db, int round, int copy, const ul_net_row *row, ul_err *err);
/* Gives `client` what is free or has lapsed, up to per_client copies; those it has already stay its own. */
bool ul_net_db_lease(ul_net_db *db, const ul_net_lease *l, ul_err *err);
bool ul_net_db_traffic(ul_net_db *db, int round, const char *client, int64_t more, int64_t *total, ul_err *err);
bool ul_net_db_key(ul_net_db *db, const char *client, char key[65], ul_err *err); /* empty: none yet */
bool ul_net_db_key_bind(ul_net_db *db, const char *client, const char *key, ul_err *err); /* unless there is one */
bool ul_net_db_audit(ul_net_db *db, const ul_net_event *e, const char *fingerprint, ul_err *err);

/* ---- the server ---- */

struct MHD_Connection;
struct MHD_Daemon;

typedef struct ul_net_conn {
	struct ul_net_conn *next, *prev;
	int fd;
	bool asked, trusted, dead;
	unsigned asked_of; /* which state of the lists `trusted` was said by */
	bool working; /* on a request, or its first is awaited */
	double since; /* start of the stretch in which `moved` bytes moved */
	_Atomic uint64_t moved;
	char address[64], print[65], name[65];
} ul_net_conn;

typedef struct ul_net_offer { /* a copy on its way out */
	char dir[4096], listing[4096]; /* its folder, and the file with its listing */
	ul_net_list list;
} ul_net_offer;

enum ul_net_phase { UL_NET_OPEN,
	UL_NET_BUSY, /* between rounds */
	UL_NET_OVER };

typedef struct ul_net_who ul_net_who;

typedef struct ul_net_host {
	const ul_net_server *cfg;
	ul_net_db *db;
	struct MHD_Daemon *daemon;
	pthread_mutex_t lock; /* everything below, and every answer */
	pthread_cond_t changed; /* something is to be checked */
	enum ul_net_phase phase;
	ul_net_round now;
	ul_net_offer *offer; /* [now.copies] */
	ul_net_store **inbox; /* [now.copies]; NULL: nothing is arriving */
	ul_net_conn **owner; /* [now.copies]: the connection whose run is arriving */
	ul_net_conn *conns;
	ul_net_who *who; /* who may come */
	bool stop, stuck; /* stuck: the next round cannot be opened yet */
	double again, pause; /* after trouble of our own: until when nothing is tried, and for how long */
	pthread_t watch;
	double refill, tokens; /* refusals are said at most 20 times a second */
	int64_t unsaid;
} ul_net_host;

/* One line in the log and one in the audit trail; client NULL is the server itself. */
void ul_net_say(ul_net_host *h, const ul_net_conn *c, int round, int copy, const char *what, const char *fmt, ...) UL_PRINTF(6, 7);
double ul_net_clock(void); /* seconds, only forward */
uint64_t ul_net_most(const ul_net_host *h, int copy); /* bytes an update of that copy may have */
/* <state>/round-R/update-K<suffix>: the folder of a complete update, ".part" of one that arrives, ".listing" the file that announced it. */
bool ul_net_inbox_path(const ul_net_host *h, int round, int copy, const char *suffix, char path[4096], ul_err *err);

/* net_serve.c */
bool ul_net_listen(ul_net_host *h, ul_err *err);
void ul_net_hang_up(ul_net_host *h);

/* net_who.c: whom the server believes, and the lists of those allowed and revoked, read again when their files change */
bool ul_net_who_open(ul_net_host *h, ul_err *err);
void ul_net_who_close(ul_net_host *h);
bool ul_net_known(ul_net_host *h, ul_net_conn *c, struct MHD_Connection *mhd); /* is the certificate on the other side one of ours? */

/* net_send.c: a part of a file as the answer. False: it cannot be read, and nothing is queued. What of it does not move is given back to the
 * quota that was charged for it, in either case. */
typedef struct ul_net_part {
	const char *path;
	uint64_t from, bytes, size; /* size: of the whole file */
} ul_net_part;
bool ul_net_send(ul_net_host *h, ul_net_conn *c, struct MHD_Connection *mhd, const ul_net_part *part);
void ul_net_give_back(ul_net_db *db, int round, const char *client, uint64_t bytes);

/* net_answer.c: one request of one connection */
typedef struct ul_net_request ul_net_request;
typedef struct ul_net_piece { /* what the server library hands over, call by call */
	const char *method, *path, *data;
	size_t *n; /* bytes of data; set to those left over */
	ul_net_request **request;
} ul_net_piece;
bool ul_net_answer(ul_net_host *h, ul_net_conn *c, struct MHD_Connection *mhd, const ul_net_piece *p); /* false: hang up */
void ul_net_request_free(ul_net_host *h, ul_net_request *req);

#endif
