/*
 * mpu_manifest.c: the manifest of a published round and of an update.
 *
 * Both come from outside. The text is judged alone, before any file it names is looked at; names are "copy-K/name" with plain
 * characters, so that no listed file can lie anywhere else.
 */
#include "protocols/mpu_files.h"
#include "protocols/mpu_sign.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the text ---- */

static bool is_hex(const char *s, size_t n)
{
	return s && strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

/* "copy-3/model.safetensors" -> 3; -1 for anything else. */
static int copy_of(const char *path)
{
	int n = -1, copy = -1;
	if (!path || strlen(path) > 200 || sscanf(path, "copy-%2d/%n", &copy, &n) != 1 || n < 0 || copy < 0 || copy >= UL_MPU_MAX_COPIES)
		return -1;
	char plain[16];
	const char *name = path + n;
	snprintf(plain, sizeof plain, "copy-%d/", copy);
	if (strncmp(path, plain, (size_t)n) || !*name || *name == '.')
		return -1;
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] ? -1 : copy;
}

static bool check_hex(const json_t *m, const char *key, size_t n, ul_err *err)
{
	return is_hex(ul_json_str(m, key), n) || ul_fail(err, "manifest.json: \"%s\" is not %zu hex digits", key, n);
}

static bool check_number(const json_t *m, const char *key, int64_t min, int64_t max, ul_err *err)
{
	int64_t v = min - 1;
	return ul_json_int(m, key, min, max, &v, err) && (v >= min || ul_fail(err, "manifest.json: \"%s\" is missing", key));
}

static bool check_files(const json_t *m, ul_err *err)
{
	json_t *files = json_object_get(m, "files"), *seen = json_object(), *f;
	size_t i;
	bool ok = seen && json_is_array(files) && json_array_size(files) > 0 && json_array_size(files) <= UL_MPU_MAX_FILES;
	if (!ok)
		ul_fail(err, "manifest.json: \"files\" is no list of 1 to %d files, but of %zu", UL_MPU_MAX_FILES, json_array_size(files));
	json_array_foreach(files, i, f)
	{
		const char *path = ul_json_str(f, "path");
		if (ok && copy_of(path) < 0)
			ok = ul_fail(err, "manifest.json: file %zu has no plain name of the form copy-K/NAME", i);
		ok = ok && (!json_object_get(seen, path) || ul_fail(err, "manifest.json: %s is listed twice", path));
		ok = ok && check_number(f, "bytes", 0, INT64_MAX, err) && check_hex(f, "sha256", 64, err);
		ok = ok && (json_object_set_new(seen, path, json_true()) == 0 || ul_nomem(err, 64));
	}
	json_decref(seen);
	return ok;
}

static bool check_round(const json_t *m, ul_err *err)
{
	const char *moves = ul_json_str(m, "transforms");
	if (!moves || (strcmp(moves, "none") && strcmp(moves, "exact") && strcmp(moves, "any")))
		return ul_fail(err, "manifest.json: \"transforms\" is \"%.32s\" and none of none, exact, any", moves ? moves : "");
	return check_number(m, "rounds", 1, UL_MPU_MAX_ROUNDS, err) && check_number(m, "copies", 1, UL_MPU_MAX_COPIES, err);
}

static bool check_updates(const json_t *m, ul_err *err)
{
	json_t *list = json_object_get(m, "updates"), *u;
	bool seen[UL_MPU_MAX_COPIES] = {false};
	size_t i;
	if (!check_hex(m, "of", 64, err))
		return false;
	if (!json_is_array(list) || json_array_size(list) < 1 || json_array_size(list) > UL_MPU_MAX_COPIES)
		return ul_fail(err, "manifest.json: \"updates\" is no list of 1 to %d updates, but of %zu", UL_MPU_MAX_COPIES, json_array_size(list));
	json_array_foreach(list, i, u)
	{
		const char *type = ul_json_str(u, "type");
		if (!check_number(u, "copy", 0, UL_MPU_MAX_COPIES - 1, err))
			return false;
		int copy = (int)json_integer_value(json_object_get(u, "copy"));
		if (seen[copy])
			return ul_fail(err, "manifest.json: copy %d is listed twice", copy);
		if (!type || (strcmp(type, "full") && strcmp(type, "lora")))
			return ul_fail(err, "manifest.json: the update of copy %d is \"%.32s\", neither full nor lora", copy, type ? type : "");
		seen[copy] = true;
	}
	return true;
}

json_t *ul_mpu_manifest_parse(const char *text, size_t n, ul_err *err)
{
	json_t *m = n > UL_MPU_MANIFEST_LIMIT ? NULL : ul_json_parse(text, n, "manifest.json", err);
	if (!m) {
		ul_fail(err, "manifest.json has %zu bytes; %d are possible", n, UL_MPU_MANIFEST_LIMIT);
		return NULL;
	}
	const char *kind = ul_json_str(m, "kind");
	bool round = kind && !strcmp(kind, "mpu round"), update = kind && !strcmp(kind, "mpu update");
	bool ok = json_is_object(m) && (round || update);
	if (!ok)
		ul_fail(err, "manifest.json: \"kind\" is \"%.32s\", neither mpu round nor mpu update", kind ? kind : "");
	ok = ok && check_number(m, "schema", 1, 1, err) && check_number(m, "round", 1, UL_MPU_MAX_ROUNDS, err);
	ok = ok && check_hex(m, "session", 32, err) && check_hex(m, "key", 64, err) && check_files(m, err);
	ok = ok && (round ? check_round(m, err) : check_updates(m, err));
	if (ok)
		return m;
	json_decref(m);
	return NULL;
}

bool ul_mpu_manifest_signed(const json_t *m, const char *text, size_t n, const char *sig, const char *trusted, ul_err *err)
{
	const char *key = ul_json_str(m, "key");
	if (trusted && strcmp(trusted, key))
		return ul_fail(err, "the manifest is signed by %.16s…, and %.16s… was expected", key, trusted);
	return ul_mpu_signed(key, text, n, sig) || ul_fail(err, "the signature of manifest.json does not belong to it: it was changed, or signed by somebody else");
}

/* ---- writing ---- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static bool add_file(const char *dir, int copy, const char *name, json_t *files, ul_err *err)
{
	ul_arena a = {0};
	char hex[65] = "", *path = ul_arena_printf(&a, "%s/copy-%d/%s", dir, copy, name), *shown = ul_arena_printf(&a, "copy-%d/%s", copy, name);
	struct stat st;
	bool ok = (path && shown) || ul_nomem(err, 512);
	ok = ok && (copy_of(shown) >= 0 || ul_fail(err, "%s is no file name that a manifest can list", shown));
	ok = ok && ul_sha256_file(path, hex, err) && (stat(path, &st) == 0 || ul_fail(err, "cannot read %s: %s", path, strerror(errno)));
	ok = ok && (json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "path", shown, "bytes", (json_int_t)st.st_size, "sha256", hex)) == 0 || ul_nomem(err, 256));
	ul_arena_release(&a);
	return ok;
}

static bool add_copy(const char *dir, int copy, json_t *files, ul_err *err)
{
	char path[4200];
	struct dirent **entry = NULL;
	snprintf(path, sizeof path, "%.4095s/copy-%d", dir, copy);
	int n = ul_is_dir(path) ? scandir(path, &entry, NULL, by_name) : 0;
	bool ok = n >= 0 || ul_fail(err, "cannot read %s: %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		ok = ok && (entry[i]->d_name[0] == '.' || add_file(dir, copy, entry[i]->d_name, files, err));
		ul_free(entry[i]);
	}
	ul_free(entry);
	return ok;
}

bool ul_mpu_manifest_write(const char *dir, json_t *m, const ul_mpu_signer *s, ul_err *err)
{
	ul_arena a = {0};
	char sig[130];
	json_t *files = json_array(), *check = NULL;
	bool ok = files != NULL || ul_nomem(err, 64);
	for (int k = 0; ok && k < UL_MPU_MAX_COPIES; k++)
		ok = add_copy(dir, k, files, err);
	json_object_set_new(m, "schema", json_integer(1));
	json_object_set_new(m, "key", json_string(s->key));
	json_object_set_new(m, "files", files);
	char *text = ok ? json_dumps(m, JSON_INDENT(2)) : NULL;
	const char *to = ul_path_join(&a, dir, "manifest.json"), *to_sig = ul_path_join(&a, dir, "manifest.sig");
	ok = ok && ((text && to && to_sig) || ul_nomem(err, 1 << 16));
	ok = ok && (check = ul_mpu_manifest_parse(text, strlen(text), err)) && ul_mpu_sign_bytes(s, text, strlen(text), sig, err);
	if (ok) {
		sig[128] = '\n';
		ok = ul_file_write(to_sig, sig, 129, err) && ul_file_write(to, text, strlen(text), err); /* the manifest last: with it the folder is whole */
	}
	json_decref(check);
	ul_free(text);
	ul_arena_release(&a);
	return ok;
}

/* ---- reading ---- */

json_t *ul_mpu_manifest_read(const char *dir, const char *trusted, char sha[65], ul_err *err)
{
	ul_arena a = {0};
	ul_buf text = {0}, sig = {0};
	json_t *m = NULL;
	const char *from = ul_path_join(&a, dir, "manifest.json"), *from_sig = ul_path_join(&a, dir, "manifest.sig");
	bool ok = (from && from_sig) || ul_nomem(err, strlen(dir));
	ok = ok && ul_file_read(&text, from, UL_MPU_MANIFEST_LIMIT, err) && ul_file_read(&sig, from_sig, 256, err);
	if (ok && sig.len == 129 && sig.data[128] == '\n')
		sig.data[128] = 0;
	ok = ok && (m = ul_mpu_manifest_parse(text.data ? text.data : "", text.len, err)) && ul_mpu_manifest_signed(m, text.data, text.len, sig.data ? sig.data : "", trusted, err);
	if (ok && sha)
		ul_sha256(text.data, text.len, sha);
	if (!ok) {
		json_decref(m);
		m = NULL;
	}
	ul_buf_release(&text);
	ul_buf_release(&sig);
	ul_arena_release(&a);
	return m;
}

static bool check_file(const char *dir, const json_t *f, ul_err *err)
{
	ul_arena a = {0};
	const char *name = ul_json_str(f, "path");
	char hex[65], *path = ul_path_join(&a, dir, name);
	struct stat st;
	bool ok = path != NULL || ul_nomem(err, strlen(dir));
	ok = ok && ((lstat(path, &st) == 0 && S_ISREG(st.st_mode)) || ul_fail(err, "%s is listed in the manifest and is no file here", path));
	json_int_t bytes = json_integer_value(json_object_get(f, "bytes"));
	ok = ok && (st.st_size == bytes || ul_fail(err, "%s has %lld bytes, the manifest says %lld", path, (long long)st.st_size, (long long)bytes));
	ok = ok && ul_sha256_file(path, hex, err) && (!strcmp(hex, ul_json_str(f, "sha256")) || ul_fail(err, "%s is not what the manifest lists: its SHA-256 differs", path));
	ul_arena_release(&a);
	return ok;
}

/* A folder with more files than are listed could make a model read what nobody signed. */
static bool check_count(const char *dir, int copy, size_t listed, ul_err *err)
{
	char path[4200];
	size_t n = 0;
	snprintf(path, sizeof path, "%.4095s/copy-%d", dir, copy);
	DIR *d = listed ? opendir(path) : NULL;
	for (struct dirent *e; d && (e = readdir(d));)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	return n == listed || ul_fail(err, "%s holds %zu files, the manifest lists %zu", path, n, listed);
}

bool ul_mpu_files_check(const char *dir, const json_t *m, int copy, ul_err *err)
{
	json_t *files = json_object_get(m, "files"), *f;
	size_t i, listed[UL_MPU_MAX_COPIES] = {0}, all = 0;
	json_array_foreach(files, i, f)
	{
		int k = copy_of(ul_json_str(f, "path"));
		if (copy >= 0 && k != copy)
			continue;
		listed[k]++;
		all++;
		if (!check_file(dir, f, err))
			return false;
	}
	for (int k = 0; k < UL_MPU_MAX_COPIES; k++)
		if (listed[k] && !check_count(dir, k, listed[k], err))
			return false;
	return all > 0 || ul_fail(err, "the manifest of %s lists no file of copy %d", dir, copy);
}
