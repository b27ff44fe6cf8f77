/*
 * wire.c: events of the network as lines.
 */
#include "cli/wire.h"

#include <time.h>

static void now(char out[32])
{
	struct timespec t;
	struct tm day;
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &day);
	size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &day);
	snprintf(out + n, 32 - n, ".%03dZ", (int)(t.tv_nsec / 1000000));
}

static void print_json(ul_cli *c, const ul_net_event *e)
{
	char time[32];
	now(time);
	json_t *v = json_pack("{s:s, s:s}", "time", time, "event", e->what);
	if (e->client)
		json_object_set_new(v, "client", json_string(e->client));
	if (e->round > 0)
		json_object_set_new(v, "round", json_integer(e->round));
	if (e->copy >= 0)
		json_object_set_new(v, "copy", json_integer(e->copy));
	if (e->detail)
		json_object_set_new(v, "detail", json_string(e->detail));
	ul_cli_print(c, v);
	fflush(stdout); /* who reads along wants it now */
	json_decref(v);
}

static void line(void *ud, const ul_net_event *e)
{
	ul_wire *w = ud;
	char text[1024], round[32] = "", copy[32] = "";
	if (e->round > 0)
		snprintf(round, sizeof round, "round %d, ", e->round);
	if (e->copy >= 0)
		snprintf(copy, sizeof copy, "copy %d, ", e->copy);
	snprintf(text, sizeof text, "%s%s%s%s%s%s%s", e->client ? e->client : "", e->client ? ", " : "", round, copy, e->what, e->detail && *e->detail ? ": " : "", e->detail ? e->detail : "");
	pthread_mutex_lock(&w->lock);
	if (w->cli->json)
		print_json(w->cli, e);
	else if (w->cli->progress.note)
		w->cli->progress.note(w->cli->progress.ud, text);
	pthread_mutex_unlock(&w->lock);
}

static void tick(void *ud, const char *what, int64_t done, int64_t total, double loss, double rate)
{
	ul_wire *w = ud;
	pthread_mutex_lock(&w->lock);
	w->cli->progress.tick(w->cli->progress.ud, what, done, total, loss, rate);
	pthread_mutex_unlock(&w->lock);
}

static void note(void *ud, const char *sentence)
{
	ul_wire *w = ud;
	pthread_mutex_lock(&w->lock);
	w->cli->progress.note(w->cli->progress.ud, sentence);
	pthread_mutex_unlock(&w->lock);
}

void ul_wire_begin(ul_wire *w, ul_cli *c)
{
	*w = (ul_wire){.cli = c, .progress = {.ud = w, .stop = c->progress.stop}, .log = {w, line}};
	w->progress.tick = c->progress.tick ? tick : NULL;
	w->progress.note = c->progress.note ? note : NULL;
	pthread_mutex_init(&w->lock, NULL);
}

void ul_wire_end(ul_wire *w)
{
	pthread_mutex_destroy(&w->lock);
}
