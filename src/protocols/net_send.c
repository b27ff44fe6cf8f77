/*
 * net_send.c: a range of a file on its way out, and what of the quota comes back when it does not arrive whole.
 */
#include "protocols/net_server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <string.h>
#include <unistd.h>

void ul_net_give_back(ul_net_db *db, int round, const char *client, uint64_t bytes)
{
	int64_t total;
	if (bytes)
		ul_net_db_traffic(db, round, client, -(int64_t)bytes, &total, NULL);
}

typedef struct piece {
	int fd;
	uint64_t from, left; /* left: what of it has not been sent */
	ul_net_conn *conn;
	ul_net_db *db;
	int round;
	char print[65]; /* the connection may be gone before the piece */
} piece;

static ssize_t read_piece(void *cls, uint64_t at, char *out, size_t most)
{
	piece *p = cls;
	ssize_t n = pread(p->fd, out, most, (off_t)(p->from + at));
	if (n <= 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	p->conn->moved += (uint64_t)n;
	p->left -= (uint64_t)n < p->left ? (uint64_t)n : p->left;
	return n;
}

static void free_piece(void *cls)
{
	piece *p = cls;
	close(p->fd);
	ul_net_give_back(p->db, p->round, p->print, p->left);
	ul_free(p);
}

bool ul_net_send(ul_net_host *h, ul_net_conn *c, struct MHD_Connection *mhd, const ul_net_part *part)
{
	char range[80];
	piece *p = ul_malloc(sizeof *p);
	int fd = p ? open(part->path, O_RDONLY | O_CLOEXEC) : -1;
	struct MHD_Response *r = NULL;
	if (fd >= 0) {
		*p = (piece){.fd = fd, .from = part->from, .left = part->bytes, .conn = c, .db = h->db, .round = h->now.round};
		memcpy(p->print, c->print, sizeof p->print);
		r = MHD_create_response_from_callback(part->bytes, 64 << 10, read_piece, p, free_piece);
	}
	if (!r) {
		if (fd >= 0)
			close(fd);
		ul_free(p);
		ul_net_give_back(h->db, h->now.round, c->print, part->bytes);
		return false;
	}
	snprintf(range, sizeof range, "bytes %llu-%llu/%llu", (unsigned long long)part->from, (unsigned long long)(part->from + part->bytes - 1), (unsigned long long)part->size);
	MHD_add_response_header(r, "Content-Range", range);
	bool ok = MHD_queue_response(mhd, MHD_HTTP_PARTIAL_CONTENT, r) == MHD_YES;
	MHD_destroy_response(r);
	return ok;
}
