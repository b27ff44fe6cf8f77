/*
 * disk.h: the steps of safe writing that file.c and stage.c share.
 */
#ifndef UL_DISK_H
#define UL_DISK_H

#include "base/file.h"

/* A new file or directory `<prefix><8 random letters>`; its name goes to out[size]. */
int ul_disk_temp(const char *prefix, char *out, size_t size, bool directory); /* descriptor, -1 and errno */
bool ul_disk_write(int fd, const char *path, const void *data, size_t n, ul_err *err);
bool ul_disk_sync(int fd, const char *path, ul_err *err);
bool ul_disk_sync_dir_of(const char *path, ul_err *err); /* the directory that holds `path` */
bool ul_disk_rename(const char *from, const char *to, ul_err *err);

#endif
