/*
 * file.h: reading mapped files, writing so that a reader sees the whole result or none of it, and hashes.
 */
#ifndef UL_FILE_H
#define UL_FILE_H

#include "base/base.h"

typedef struct ul_map {
	const unsigned char *data; /* read-only pages */
	size_t len;
} ul_map;

bool ul_map_open(ul_map *m, const char *path, ul_err *err); /* an empty file maps to data = "", len = 0 */
/* Of what is read only once also a pipe, and - for standard input: rows and texts, of which at most 1 GiB comes through a pipe. */
bool ul_map_read(ul_map *m, const char *path, ul_err *err);
void ul_map_close(ul_map *m);
void ul_map_rest(const ul_map *m); /* its pages leave this process's memory; they come back when they are read */
bool ul_file_read(ul_buf *out, const char *path, size_t limit, ul_err *err); /* refuses files over `limit` bytes */
bool ul_file_exists(const char *path);
bool ul_is_dir(const char *path);
char *ul_path_join(ul_arena *a, const char *dir, const char *name);
bool ul_path_inside(const char *dir, const char *path); /* path is dir or lies below it, links resolved; both exist */
/* An output must be no input and hold none: fails when `input` (NULL or absent is fine) is `output` or lies below it. */
bool ul_output_apart(const char *output, const char *what, const char *input, ul_err *err);
bool ul_mkdirs(const char *path, ul_err *err);
/* A folder that one process at a time works in; `make`: for its owner alone, if it is not there. The descriptor of its lock, which
 * closing or dying gives back; -1: another has it, or it cannot be had. */
int ul_dir_lock(const char *dir, bool make, ul_err *err);
/* The same for a folder that holds a result, in which no lock file must stay: the folder itself is locked. A file system that cannot
 * lock it lets everybody in. */
int ul_dir_hold(const char *dir, ul_err *err);
bool ul_remove_tree(const char *path, ul_err *err);

/* One file: written aside (.NAME.ul-XXXXXXXX in the same directory), fsynced, renamed over `path`, directory fsynced. */
bool ul_file_write(const char *path, const void *data, size_t n, ul_err *err);

/* The same for a large file that somebody else writes by its name: between begin and commit that is aside.path. */
typedef struct ul_aside {
	char path[4096], target[4096];
	int lock; /* its descriptor: tells ul_stage_sweep that somebody is at work */
} ul_aside;
bool ul_aside_begin(ul_aside *a, const char *target, ul_err *err);
bool ul_aside_commit(ul_aside *a, bool replace, ul_err *err); /* a target that exists is refused unless `replace`; a failed one aborts */
void ul_aside_abort(ul_aside *a);

/* One directory: everything is written below stage.dir, which lies beside the target; commit fsyncs each file, then renames.
 * A target that exists and is not empty is refused unless `force` (then the old one is removed only after the rename). */
typedef struct ul_stage {
	char target[4096], dir[4096];
	bool force, open;
	int lock; /* held while the stage is open: an unlocked one was left by a process that died */
} ul_stage;

bool ul_stage_begin(ul_stage *s, const char *target, bool force, ul_err *err);
bool ul_stage_check(const char *target, bool force, ul_err *err); /* could a stage begin there? asked before long work */
bool ul_stage_commit(ul_stage *s, ul_err *err); /* a failed one aborts */
void ul_stage_abort(ul_stage *s); /* removes what was written; harmless after commit */
void ul_stage_sweep(const char *dir); /* removes what processes that died while writing left in dir */
void ul_stage_sweep_of(const char *target); /* only what belongs to this target */

/* A sink writes one large file piece by piece and reports a full disk at the piece that failed. */
typedef struct ul_sink ul_sink;
ul_sink *ul_sink_open(const char *path, ul_err *err);
bool ul_sink_write(ul_sink *s, const void *data, size_t n, ul_err *err);
bool ul_sink_close(ul_sink *s, ul_err *err); /* fsync and close; frees the sink in every case */

/* SHA-256, hex with NUL (65 bytes). */
typedef struct ul_sha ul_sha;
ul_sha *ul_sha_new(void);
void ul_sha_add(ul_sha *s, const void *data, size_t n);
void ul_sha_end(ul_sha *s, char hex[65]); /* frees s */
void ul_sha256(const void *data, size_t n, char hex[65]);
bool ul_sha256_file(const char *path, char hex[65], ul_err *err);

/* Tests kill the process here: UNLEARN_CRASH_AT=name[:count] makes the count-th passage end in SIGKILL.
 * Names in use: write, fsync, rename, manifest. */
void ul_crash_point(const char *name);

#endif
