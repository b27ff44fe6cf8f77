/*
 * wire.h: what `mpu serve` and `mpu join` say while they work: a note for people, a line of JSON on stdout with --json.
 */
#ifndef UL_CLI_WIRE_H
#define UL_CLI_WIRE_H

#include "cli/cli.h"
#include "protocols/net.h"

#include <pthread.h>

/* The server speaks from two threads: lines and the bar take turns. */
typedef struct ul_wire {
	ul_cli *cli;
	pthread_mutex_t lock;
	ul_progress progress; /* c->progress behind the lock */
	ul_net_log log;
} ul_wire;

void ul_wire_begin(ul_wire *w, ul_cli *c);
void ul_wire_end(ul_wire *w);

#endif
