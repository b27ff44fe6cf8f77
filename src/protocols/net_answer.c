/*
 * net_answer.c: one request, from its first line to its answer. What must be refused is refused before its body is read; a body
 * is never kept: a listing is bounded, and the bytes of a file go through the hash to the disk as they come.
 */
#include "protocols/net_server.h"

#include <microhttpd.h>
#include <string.h>
#include <time.h>

enum { MOST_LISTINGS = 8 };

struct ul_net_request {
	ul_net_conn *conn;
	ul_net_route route;
	ul_net_row row;
	bool answered, failed; /* failed: the rest of the body is dropped */
	unsigned status;
	char text[512]; /* the refusal, to be said when the body is through */
	ul_buf body;
	uint64_t left; /* bytes of the body still to come */
	uint64_t charged; /* of these, bytes that the quota was charged with */
};

/* ---- answers ---- */

static bool answer(struct MHD_Connection *mhd, ul_net_request *q, unsigned status, const char *json)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(json), (void *)(uintptr_t)json, MHD_RESPMEM_MUST_COPY);
	q->answered = true;
	if (!r)
		return false;
	MHD_add_response_header(r, "Content-Type", "application/json");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_INSUFFICIENT_STORAGE)
		MHD_add_response_header(r, "Retry-After", "2");
	bool ok = MHD_queue_response(mhd, status, r) == MHD_YES;
	MHD_destroy_response(r);
	return ok;
}

static bool answer_json(struct MHD_Connection *mhd, ul_net_request *q, json_t *v)
{
	ul_buf b = {0};
	bool ok = v && ul_json_line(&b, v) && answer(mhd, q, MHD_HTTP_OK, b.data);
	json_decref(v);
	ul_buf_release(&b);
	return ok;
}

static bool answer_error(struct MHD_Connection *mhd, ul_net_request *q, unsigned status, const char *sentence)
{
	json_t *v = json_pack("{s:s}", "error", sentence);
	ul_buf b = {0};
	bool ok = v && ul_json_line(&b, v) && answer(mhd, q, status, b.data);
	json_decref(v);
	ul_buf_release(&b);
	return ok;
}

/* Notes a refusal and says it in the log; answer_error follows at once, or when the body is through. */
static bool refuse(ul_net_host *h, ul_net_request *q, unsigned status, const char *fmt, ...) UL_PRINTF(4, 5);
static bool refuse(ul_net_host *h, ul_net_request *q, unsigned status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(q->text, sizeof q->text, fmt, ap);
	va_end(ap);
	q->status = status;
	q->failed = true;
	bool path = q->route.round > 0;
	ul_net_say(h, q->conn, path ? q->route.round : 0, path ? q->route.copy : -1, "refused", "%s", q->text);
	return false;
}

/* The same without a line in the log: the client will come again. */
static bool put_off(ul_net_request *q, unsigned status, const char *sentence)
{
	snprintf(q->text, sizeof q->text, "%s", sentence);
	q->status = status;
	q->failed = true;
	return false;
}

static bool trouble(ul_net_host *h, ul_net_request *q, const ul_err *e)
{
	return refuse(h, q, MHD_HTTP_INSUFFICIENT_STORAGE, "%s", e->msg);
}

/* ---- what may be done at all ---- */

static uint64_t header_number(struct MHD_Connection *mhd, const char *name)
{
	const char *v = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, name);
	uint64_t n = 0;
	if (!v || !*v || strlen(v) > 18 || strspn(v, "0123456789") != strlen(v))
		return UINT64_MAX;
	for (; *v; v++)
		n = n * 10 + (uint64_t)(*v - '0');
	return n;
}

static int64_t allowance(const ul_net_host *h, const ul_net_conn *c)
{
	uint64_t bytes = 0;
	int64_t own = 0;
	for (int k = 0; k < h->now.copies; k++) {
		ul_net_row row;
		if (ul_net_db_row(h->db, h->now.round, k, &row, NULL) && !strcmp(row.client, c->print)) {
			bytes += h->offer[k].list.bytes + ul_net_most(h, k);
			own++;
		}
	}
	return (int64_t)(bytes * (uint64_t)h->cfg->quota) + (own << 20);
}

/* All of a range is charged before it moves, or many connections at once would move more than is allowed; what did not move is given
 * back when the request is over. A server that dies in between has charged the whole. */
static bool spend(ul_net_host *h, ul_net_request *q, uint64_t bytes)
{
	int64_t total = 0;
	ul_err e = {0};
	if (!ul_net_db_traffic(h->db, h->now.round, q->conn->print, 0, &total, &e))
		return trouble(h, q, &e);
	int64_t most = allowance(h, q->conn);
	if (total + (int64_t)bytes > most)
		return refuse(h, q, MHD_HTTP_TOO_MANY_REQUESTS, "the quota of round %d is used up: %lld of %lld bytes have moved, and this asks for %llu more (--quota %lld)", h->now.round, (long long)total, (long long)most,
		        (unsigned long long)bytes, (long long)h->cfg->quota);
	return ul_net_db_traffic(h->db, h->now.round, q->conn->print, (int64_t)bytes, &total, &e) || trouble(h, q, &e);
}

/* The same for a body that is still to come. */
static bool charge(ul_net_host *h, ul_net_request *q, uint64_t bytes)
{
	q->charged = spend(h, q, bytes) ? bytes : 0;
	return !q->failed;
}

/* Is there such a copy now, and is it this client's? */
static bool may_touch(ul_net_host *h, ul_net_request *q)
{
	ul_err e = {0};
	/* What became of an update may be asked when its round is over. */
	if (q->route.verb == UL_NET_UPDATE && ul_net_db_row(h->db, q->route.round, q->route.copy, &q->row, NULL) && q->row.state == UL_NET_ACCEPTED && !strcmp(q->row.client, q->conn->print))
		return true;
	if (h->phase == UL_NET_BUSY && h->stuck)
		return put_off(q, MHD_HTTP_INSUFFICIENT_STORAGE, "the next round cannot be opened yet; it is tried again");
	if (h->phase == UL_NET_BUSY)
		return put_off(q, MHD_HTTP_SERVICE_UNAVAILABLE, "between two rounds");
	if (h->phase == UL_NET_OVER || q->route.round != h->now.round)
		return refuse(h, q, MHD_HTTP_CONFLICT, "round %d is not open%s", q->route.round, q->route.round < h->now.round || h->phase == UL_NET_OVER ? " any more: what belongs to it is neither given nor taken" : "");
	if (q->route.copy >= h->now.copies)
		return refuse(h, q, MHD_HTTP_NOT_FOUND, "there is no copy %d; round %d has %d", q->route.copy, h->now.round, h->now.copies);
	if (!ul_net_db_row(h->db, h->now.round, q->route.copy, &q->row, &e))
		return trouble(h, q, &e);
	if (strcmp(q->row.client, q->conn->print) != 0)
		return refuse(h, q, MHD_HTTP_FORBIDDEN, "copy %d is not this client's%s", q->route.copy, q->row.state == UL_NET_FREE ? " yet" : "");
	return true;
}

/* ---- POST work ---- */

static bool answer_work(ul_net_host *h, struct MHD_Connection *mhd, ul_net_request *q)
{
	static const char *const phases[] = {"open", "busy", "over"};
	json_t *v = json_pack("{s:s, s:i, s:i, s:i}", "state", phases[h->phase], "round", h->now.round, "rounds", h->now.rounds, "copies", h->now.copies), *list = json_array();
	ul_err e = {0};
	ul_net_lease l = {.round = h->now.round, .copies = h->now.copies, .client = q->conn->print, .per_client = h->cfg->per_client, .seconds = h->cfg->lease, .now = (int64_t)time(NULL)};
	bool ok = h->phase != UL_NET_OPEN;
	bool *had = ul_calloc((size_t)h->now.copies + 1, sizeof *had);
	for (int k = 0; had && h->phase == UL_NET_OPEN && k < h->now.copies; k++)
		had[k] = ul_net_db_row(h->db, l.round, k, &q->row, NULL) && !strcmp(q->row.client, l.client);
	if (had && h->phase == UL_NET_OPEN)
		ok = ul_net_db_lease(h->db, &l, &e);
	for (int k = 0; ok && h->phase == UL_NET_OPEN && k < h->now.copies; k++) {
		if (!ul_net_db_row(h->db, l.round, k, &q->row, &e) || strcmp(q->row.client, l.client) != 0)
			continue;
		json_array_append_new(list, json_pack("{s:i, s:s}", "copy", k, "state", ul_net_state_names[q->row.state]));
		if (had && !had[k])
			ul_net_say(h, q->conn, l.round, k, "leased", "for %lld seconds", (long long)l.seconds);
	}
	ul_free(had);
	if (!v || json_object_set_new(v, "work", list) != 0 || !ok) {
		json_decref(v);
		trouble(h, q, &e);
		return answer_error(mhd, q, q->status, q->text);
	}
	return answer_json(mhd, q, v);
}

/* ---- the state of an update ---- */

static bool answer_update(ul_net_host *h, struct MHD_Connection *mhd, ul_net_request *q)
{
	const ul_net_store *s = q->row.state == UL_NET_RECEIVING ? h->inbox[q->route.copy] : NULL;
	json_t *need = json_array();
	json_t *v = json_pack("{s:s, s:s, s:s}", "state", ul_net_state_names[q->row.state], "listing", q->row.listing, "why", q->row.why);
	int file = 0;
	uint64_t at = 0, n = 0;
	for (int runs = 0; s && runs < 4096 && ul_net_store_missing(s, &file, &at, &n); runs++, at += n)
		json_array_append_new(need, json_pack("[i, I, I]", file, (json_int_t)at, (json_int_t)n));
	if (!v || json_object_set_new(v, "need", need) != 0) {
		json_decref(v);
		return false;
	}
	return answer_json(mhd, q, v);
}

/* ---- PUT listing: an update is announced ---- */

static bool begin_listing(ul_net_host *h, struct MHD_Connection *mhd, ul_net_request *q)
{
	uint64_t n = header_number(mhd, "Content-Length"), most = ul_net_list_limit(ul_net_most(h, q->route.copy));
	if (n == UINT64_MAX)
		return refuse(h, q, MHD_HTTP_LENGTH_REQUIRED, "a listing without Content-Length");
	if (n > most)
		return refuse(h, q, MHD_HTTP_CONTENT_TOO_LARGE, "a listing of %llu bytes; %llu are possible", (unsigned long long)n, (unsigned long long)most);
	q->left = n;
	return charge(h, q, n);
}

/* Nothing of an older update stays; then the listing, the folder, the row: whatever a kill leaves is begun anew or goes on. */
static bool replace_update(ul_net_host *h, ul_net_request *q, ul_net_list *l, ul_err *err)
{
	int k = q->route.copy, r = q->route.round;
	char part[4096], whole[4096], listing[4096];
	ul_net_store_close(h->inbox[k]);
	h->inbox[k] = NULL;
	h->owner[k] = NULL;
	if (!ul_net_inbox_path(h, r, k, ".part", part, err) || !ul_net_inbox_path(h, r, k, "", whole, err) || !ul_net_inbox_path(h, r, k, ".listing", listing, err) ||
	        !ul_remove_tree(part, err) || !ul_remove_tree(whole, err) || !ul_file_write(listing, q->body.data, q->body.len, err))
		return false;
	ul_net_row row = q->row;
	row.state = UL_NET_RECEIVING;
	row.listings++;
	row.why[0] = '\0';
	memcpy(row.listing, l->id, sizeof row.listing);
	ul_net_store *s = ul_net_store_open(part, l, NULL, err);
	if (!s)
		return false;
	if (!ul_net_db_set(h->db, r, k, &row, err)) {
		ul_net_store_close(s);
		return false;
	}
	h->inbox[k] = s;
	q->row = row;
	return true;
}

static bool take_listing(ul_net_host *h, ul_net_request *q)
{
	ul_net_list l = {0};
	ul_err e = {0};
	if (!ul_net_list_parse(&l, q->body.data ? q->body.data : "", q->body.len, ul_net_most(h, q->route.copy), &e))
		return refuse(h, q, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s", e.msg);
	bool same = !strcmp(l.id, q->row.listing), ok = true;
	if (q->row.state >= UL_NET_CHECKING && q->row.state != UL_NET_REFUSED) {
		ok = same || refuse(h, q, MHD_HTTP_CONFLICT, "copy %d was returned already, and this update is another one", q->route.copy);
	} else if (same && q->row.state == UL_NET_REFUSED) {
		ok = refuse(h, q, MHD_HTTP_CONFLICT, "this update of copy %d was refused before: %s", q->route.copy, q->row.why);
	} else if (!same || q->row.state != UL_NET_RECEIVING || !h->inbox[q->route.copy]) {
		if (q->row.listings >= MOST_LISTINGS)
			ok = refuse(h, q, MHD_HTTP_TOO_MANY_REQUESTS, "%d updates of copy %d were begun already", MOST_LISTINGS, q->route.copy);
		else if (replace_update(h, q, &l, &e))
			ul_net_say(h, q->conn, q->route.round, q->route.copy, "receiving", "an update of %llu bytes", (unsigned long long)ul_net_store_list(h->inbox[q->route.copy])->bytes);
		else
			ok = trouble(h, q, &e);
	}
	ul_net_list_release(&l);
	return ok;
}

/* ---- PUT file: bytes of an update ---- */

static bool begin_file(ul_net_host *h, struct MHD_Connection *mhd, ul_net_request *q)
{
	uint64_t first, bytes, size, n = header_number(mhd, "Content-Length");
	ul_net_store *s = h->inbox[q->route.copy];
	ul_err e = {0};
	if (q->row.state == UL_NET_ACCEPTED || q->row.state == UL_NET_CHECKING)
		return refuse(h, q, MHD_HTTP_CONFLICT, "copy %d was returned already", q->route.copy);
	if (q->row.state != UL_NET_RECEIVING || !s)
		return refuse(h, q, MHD_HTTP_CONFLICT, "bytes of an update of copy %d that was not announced", q->route.copy);
	if (!ul_net_range_parse(MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Content-Range"), &first, &bytes, &size) || n == UINT64_MAX)
		return refuse(h, q, MHD_HTTP_BAD_REQUEST, "bytes without a Content-Range or a Content-Length");
	if (n != bytes || bytes > UL_NET_WINDOW)
		return refuse(h, q, MHD_HTTP_CONTENT_TOO_LARGE, "a body of %llu bytes, where %llu were announced and %d are possible", (unsigned long long)n, (unsigned long long)bytes, UL_NET_WINDOW);
	if (q->route.file >= ul_net_store_list(s)->files || size != ul_net_store_list(s)->file[q->route.file].size || !ul_net_store_run(s, q->route.file, first, bytes, &e))
		return refuse(h, q, MHD_HTTP_RANGE_NOT_SATISFIABLE, "%s", e.msg[0] ? e.msg : "a range of a file that was not announced");
	h->owner[q->route.copy] = q->conn; /* an older connection of the same client is dead, or will hear of it */
	q->left = n;
	return charge(h, q, n);
}

static void take_bytes(ul_net_host *h, ul_net_request *q, const char *data, size_t n)
{
	enum ul_net_trouble why;
	ul_err e = {0};
	int k = q->route.copy;
	/* Rounds change and connections are overtaken while a body is on its way. */
	if (h->phase != UL_NET_OPEN || h->now.round != q->route.round || !h->inbox[k] || h->owner[k] != q->conn) {
		put_off(q, MHD_HTTP_CONFLICT, "another connection sends this update now");
	} else if (!ul_net_store_feed(h->inbox[k], data, n, &why, &e)) {
		if (why == UL_NET_CHANGED)
			refuse(h, q, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s", e.msg);
		else
			trouble(h, q, &e);
	}
}

/* ---- POST done ---- */

static bool take_done(ul_net_host *h, ul_net_request *q)
{
	ul_err e = {0};
	const ul_net_store *s = h->inbox[q->route.copy];
	if (q->row.state != UL_NET_RECEIVING)
		return true;
	if (!s || ul_net_store_got(s) != ul_net_store_list(s)->bytes)
		return put_off(q, MHD_HTTP_CONFLICT, "not all bytes are here");
	q->row.state = UL_NET_CHECKING;
	if (!ul_net_db_set(h->db, q->route.round, q->route.copy, &q->row, &e))
		return trouble(h, q, &e);
	pthread_cond_signal(&h->changed);
	return true;
}

/* ---- GET ---- */

static bool send_copy(ul_net_host *h, struct MHD_Connection *mhd, ul_net_request *q)
{
	const ul_net_offer *o = &h->offer[q->route.copy];
	uint64_t first = 0, bytes = 0;
	char path[4096 + UL_NET_NAME + 2];
	const char *range = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Range");
	if (q->route.file >= o->list.files)
		return refuse(h, q, MHD_HTTP_NOT_FOUND, "copy %d has no file %d", q->route.copy, q->route.file);
	const ul_net_file *f = &o->list.file[q->route.file];
	if (!ul_net_range_parse(range, &first, &bytes, NULL) || bytes > UL_NET_WINDOW || first >= f->size || bytes > f->size - first)
		return refuse(h, q, MHD_HTTP_RANGE_NOT_SATISFIABLE, "no range, or one outside of the %llu bytes of \"%s\", or longer than %d", (unsigned long long)f->size, f->name, UL_NET_WINDOW);
	if (!spend(h, q, bytes))
		return false;
	snprintf(path, sizeof path, "%s/%s", o->dir, f->name);
	q->answered = ul_net_send(h, q->conn, mhd, &(ul_net_part){path, first, bytes, f->size});
	return q->answered || answer_error(mhd, q, MHD_HTTP_INTERNAL_SERVER_ERROR, "the file cannot be read");
}

static bool send_listing(ul_net_host *h, struct MHD_Connection *mhd, ul_net_request *q)
{
	struct MHD_Response *r = NULL;
	ul_buf b = {0};
	ul_err e = {0};
	if (!ul_file_read(&b, h->offer[q->route.copy].listing, ul_net_list_limit(h->offer[q->route.copy].list.bytes), &e))
		return trouble(h, q, &e);
	if (!spend(h, q, b.len)) {
		ul_buf_release(&b);
		return false;
	}
	r = MHD_create_response_from_buffer(b.len, b.data, MHD_RESPMEM_MUST_COPY);
	q->answered = true;
	bool ok = r && MHD_queue_response(mhd, MHD_HTTP_OK, r) == MHD_YES;
	if (r)
		MHD_destroy_response(r);
	ul_buf_release(&b);
	return ok;
}

/* ---- the three stages of a request ---- */

static bool begin(ul_net_host *h, struct MHD_Connection *mhd, const ul_net_piece *p, ul_net_request *q)
{
	if (!ul_net_known(h, q->conn, mhd))
		return put_off(q, MHD_HTTP_FORBIDDEN, "this certificate is not known here");
	if (!ul_net_route_parse(&q->route, p->method, p->path))
		return refuse(h, q, MHD_HTTP_NOT_FOUND, "%.16s %.100s is nothing that can be asked", p->method, p->path);
	uint64_t body = header_number(mhd, "Content-Length");
	if (!q->route.put && body != UINT64_MAX && body > 0)
		return refuse(h, q, MHD_HTTP_CONTENT_TOO_LARGE, "a body of %llu bytes where none belongs", (unsigned long long)body);
	if (q->route.verb == UL_NET_WORK)
		return true;
	if (!may_touch(h, q))
		return false;
	if (q->route.verb == UL_NET_LISTING)
		return q->route.put ? begin_listing(h, mhd, q) : send_listing(h, mhd, q);
	if (q->route.verb == UL_NET_FILE)
		return q->route.put ? begin_file(h, mhd, q) : send_copy(h, mhd, q);
	return true;
}

static void feed(ul_net_host *h, ul_net_request *q, const char *data, size_t n)
{
	q->conn->moved += n;
	if (q->failed) {
		q->left -= n < q->left ? n : q->left;
		return;
	}
	if (n > q->left) {
		refuse(h, q, MHD_HTTP_CONTENT_TOO_LARGE, "a body that is longer than it said");
		return;
	}
	q->left -= n;
	if (q->route.verb == UL_NET_FILE)
		take_bytes(h, q, data, n);
	else
		ul_buf_add(&q->body, data, n);
}

static bool end(ul_net_host *h, struct MHD_Connection *mhd, ul_net_request *q)
{
	if (!q->failed && q->route.verb == UL_NET_WORK)
		return answer_work(h, mhd, q);
	/* While the body came the round may have gone on. */
	bool ok = !q->failed && may_touch(h, q);
	if (ok && q->route.put && q->left)
		ok = put_off(q, MHD_HTTP_BAD_REQUEST, "the body ended early");
	if (ok && q->body.failed)
		ok = put_off(q, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
	if (ok && q->route.verb == UL_NET_LISTING)
		ok = take_listing(h, q);
	if (ok && q->route.verb == UL_NET_DONE)
		ok = take_done(h, q);
	return ok ? answer_update(h, mhd, q) : answer_error(mhd, q, q->status, q->text);
}

bool ul_net_answer(ul_net_host *h, ul_net_conn *c, struct MHD_Connection *mhd, const ul_net_piece *p)
{
	ul_net_request *q = *p->request;
	bool ok = true;
	if (!q) {
		if (!(q = *p->request = ul_calloc(1, sizeof *q)))
			return false;
		q->conn = c;
		c->working = true;
		pthread_mutex_lock(&h->lock);
		ok = begin(h, mhd, p, q) || q->answered || answer_error(mhd, q, q->status, q->text);
		pthread_mutex_unlock(&h->lock);
		return ok;
	}
	pthread_mutex_lock(&h->lock);
	if (*p->n) {
		feed(h, q, p->data, *p->n);
		*p->n = 0;
	} else if (!q->answered) {
		ok = end(h, mhd, q);
	}
	pthread_mutex_unlock(&h->lock);
	return ok;
}

void ul_net_request_free(ul_net_host *h, ul_net_request *q)
{
	if (!q)
		return;
	pthread_mutex_lock(&h->lock);
	for (int k = 0; k < h->now.copies && h->owner; k++)
		if (h->owner[k] == q->conn)
			h->owner[k] = NULL;
	q->conn->working = false;
	q->conn->since = ul_net_clock();
	q->conn->moved = 0;
	pthread_mutex_unlock(&h->lock);
	ul_net_give_back(h->db, q->route.round, q->conn->print, q->left < q->charged ? q->left : q->charged);
	ul_buf_release(&q->body);
	ul_free(q);
}
