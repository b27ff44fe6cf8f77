/*
 * mpu_files.h: what the two parties of MPU hand each other, as folders.
 *
 * A published round and an update are folders of the same form: manifest.json names every file with its size and SHA-256,
 * manifest.sig signs the bytes of manifest.json with Ed25519, and the files lie in one folder for each copy:
 *
 *     manifest.json  manifest.sig  copy-0/…  copy-1/…
 *
 * A round's copy-k is a model; an update's copy-k is the difference of a model to it, or an adapter on it. How the folders travel
 * (a disk, a network) does not matter to either side.
 */
#ifndef UL_MPU_FILES_H
#define UL_MPU_FILES_H

#include "base/file.h"
#include "base/json.h"

enum { UL_MPU_MAX_COPIES = 64,
	UL_MPU_MAX_ROUNDS = 1000,
	UL_MPU_MAX_FILES = 4096,
	UL_MPU_MANIFEST_LIMIT = 4 << 20 }; /* bytes of manifest.json */

/* An Ed25519 key pair. The file holds the secret half as 64 hex digits, readable by its owner only. */
typedef struct ul_mpu_signer {
	unsigned char secret[32];
	char key[65]; /* the public half, hex */
} ul_mpu_signer;
bool ul_mpu_signer_open(ul_mpu_signer *s, const char *path, bool make, ul_err *err); /* make: a new one where there is none */
bool ul_mpu_signer_fill(ul_mpu_signer *s, ul_err *err); /* the public half of s->secret */
/* Overwrites the secret half. */
void ul_mpu_signer_release(ul_mpu_signer *s);

/* manifest_check.c: is this the text of a manifest? Every name plain, every number in range, nothing listed twice. Files are not
 * looked at. The caller owns the object. */
json_t *ul_mpu_manifest_parse(const char *text, size_t n, ul_err *err);
/* Is `sig` (128 hex digits) the signature of these bytes under the manifest's own "key"? `trusted`: the only key taken, or NULL. */
bool ul_mpu_manifest_signed(const json_t *manifest, const char *text, size_t n, const char *sig, const char *trusted, ul_err *err);

/* Lists the files of dir's copies in `manifest` (which gets "schema", "key" and "files"), signs, writes manifest.json and .sig. */
bool ul_mpu_manifest_write(const char *dir, json_t *manifest, const ul_mpu_signer *s, ul_err *err);
/* manifest.json of a folder, its signature checked. sha256 of its bytes to sha, when wanted. The caller owns the object. */
json_t *ul_mpu_manifest_read(const char *dir, const char *trusted, char sha[65], ul_err *err);
/* Do the listed files, and no others, lie in dir/copy-`copy` (-1: all copies), with the sizes and hashes listed? */
bool ul_mpu_files_check(const char *dir, const json_t *manifest, int copy, ul_err *err);

/* A file that only its owner can read: written aside, made durable, renamed. */
bool ul_secret_write(const char *path, const void *data, size_t n, ul_err *err);

#endif
