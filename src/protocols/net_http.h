/*
 * net_http.h: requests of the client, each tried until it is answered or nothing has moved for too long.
 */
#ifndef UL_NET_HTTP_H
#define UL_NET_HTTP_H

#include "protocols/net.h"

typedef struct ul_net_link ul_net_link;

typedef struct ul_net_ask {
	const char *method; /* GET, PUT, POST */
	const char *path; /* "/v1/…" */
	const ul_buf *body; /* PUT: these bytes … */
	const char *file; /* … or these of a file */
	ul_net_store *into; /* GET: where a range goes; an answer of any other kind becomes text */
	uint64_t offset, bytes, size; /* the range, and the size of its file */
	size_t limit; /* bytes the answer may have as text; 0: a MiB */
	double patience; /* seconds without progress; 0: the client's */
} ul_net_ask;

typedef struct ul_net_reply {
	long status; /* of HTTP */
	ul_buf text; /* the answer, unless it went into a store */
	bool changed; /* a chunk did not have its hash */
} ul_net_reply;

ul_net_link *ul_net_link_open(const ul_net_client *c, ul_err *err);
void ul_net_link_close(ul_net_link *l);
/* True: the server answered, whatever its status. False: it cannot be reached, cannot be trusted, or the work was stopped. */
bool ul_net_link_ask(ul_net_link *l, const ul_net_ask *q, ul_net_reply *r, ul_err *err);
bool ul_net_link_stopped(const ul_net_link *l);
void ul_net_link_wait(ul_net_link *l, double seconds); /* ends early when the work is stopped */
uint64_t ul_net_link_moved(const ul_net_link *l); /* bytes in both directions */

#endif
