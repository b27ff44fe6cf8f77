/*
 * mpu_server.h: the server of MPU over folders: a secret folder that outlives the process, rounds out, updates in.
 */
#ifndef UL_MPU_SERVER_H
#define UL_MPU_SERVER_H

#include "protocols/mpu_files.h"

typedef struct ul_mpu_server ul_mpu_server;

ul_mpu_server *ul_mpu_server_open(const char *secret, ul_err *err); /* holds a lock on the folder until freed */
void ul_mpu_server_free(ul_mpu_server *s);
int ul_mpu_server_round(const ul_mpu_server *s); /* the round that updates are taken for; above ul_mpu_server_rounds when all are done */
int ul_mpu_server_rounds(const ul_mpu_server *s);
int ul_mpu_server_copies(const ul_mpu_server *s);

/* Writes the current round to dir (made aside and renamed). The same round gives the same bytes every time. */
bool ul_mpu_server_publish(ul_mpu_server *s, const char *dir, const ul_progress *p, ul_err *err);
/* Would this update be taken? Signature, session, round, hashes, shapes, every number finite, none too large. */
bool ul_mpu_server_check(ul_mpu_server *s, const char *update, ul_err *err);
/* Applies the updates of all copies, each exactly once, and goes on to the next round. On failure nothing has changed. */
bool ul_mpu_server_collect(ul_mpu_server *s, char *const *update, int n, const ul_progress *p, ul_err *err);

#endif
