/*
 * fuzz.c: what targets share, and (with FUZZ_REPLAY) a main that runs the corpora instead of libFuzzer.
 */
#include "fuzz.h"

#include "base/file.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int accepted = -1; /* of the last input; -1: the target did not say */
static char dir[PATH_MAX];

void fuzz_verdict(bool ok, const ul_err *err)
{
	UL_ASSERT(ok || err->msg[0], "refused without a sentence");
	UL_ASSERT(!ok || !err->msg[0], "accepted, and yet: %s", err->msg);
	accepted = ok;
}

static void remove_dir(void)
{
	ul_remove_tree(dir, NULL);
}

const char *fuzz_dir(void)
{
	const char *base = getenv("TMPDIR");
	/* Memory, where there is some: a fuzzer writes thousands of files a second. */
	if (!base)
		base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	if (!dir[0]) {
		snprintf(dir, sizeof dir, "%s/ul-fuzz-%d", base, (int)getpid());
		atexit(remove_dir);
	}
	ul_err err = {0};
	bool ok = ul_remove_tree(dir, &err) && ul_mkdirs(dir, &err);
	UL_ASSERT(ok, "%s", err.msg);
	return dir;
}

static void put(const char *path, const void *data, size_t size)
{
	FILE *f = fopen(path, "wb");
	UL_ASSERT(f, "%s", path);
	size_t n = size ? fwrite(data, 1, size, f) : 0;
	int rc = fclose(f);
	UL_ASSERT(n == size && rc == 0, "%s", path);
}

void fuzz_dir_file(const char *name, const void *data, size_t size)
{
	char path[PATH_MAX + 256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	put(path, data, size);
}

const char *fuzz_file(const uint8_t *data, size_t size, const char *suffix)
{
	static char path[PATH_MAX + 256];
	if (!dir[0])
		fuzz_dir();
	snprintf(path, sizeof path, "%s/input%s", dir, suffix);
	put(path, data, size);
	return path;
}

#ifdef FUZZ_REPLAY
#include <unistd.h>

static const char *target; /* "json" */
static int passed, failed;

static void replay(const char *kind, const char *name)
{
	char path[PATH_MAX];
	ul_buf b = {0};
	ul_err err = {0};
	snprintf(path, sizeof path, "tests/fuzz/%s/%s/%s", kind, target, name);
	if (!ul_file_read(&b, path, (size_t)64 << 20, &err)) {
		printf("FAIL fuzz/%s/%s: %s\n", target, name, err.msg);
		failed++;
		return;
	}
	/* Exactly as many bytes as the file has, so that the sanitizer and valgrind see one too many. */
	uint8_t *bytes = malloc(b.len ? b.len : 1);
	UL_ASSERT(bytes, "%zu", b.len);
	memcpy(bytes, b.data, b.len);
	accepted = -1;
	alarm(20);
	LLVMFuzzerTestOneInput(bytes, b.len);
	alarm(0);
	bool ok = accepted >= 0 && (strcmp(kind, "corpus") == 0 || !accepted);
	if (ok)
		passed++;
	else {
		printf("FAIL fuzz/%s/%s: %s\n", target, name, accepted < 0 ? "the target gave no verdict" : "this file must be refused");
		failed++;
	}
	free(bytes);
	ul_buf_release(&b);
}

static int folder(const char *kind)
{
	char path[PATH_MAX];
	struct dirent **list;
	snprintf(path, sizeof path, "tests/fuzz/%s/%s", kind, target);
	int n = scandir(path, &list, NULL, alphasort), files = 0;
	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.') {
			fprintf(stderr, "%s/%s\n", path, list[i]->d_name); /* shown if the process dies on it */
			replay(kind, list[i]->d_name);
			files++;
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return files;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	name = name ? name + 1 : argv[0];
	target = strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name;
	int good = folder("corpus"), bad = folder("refuse");
	if (good && bad)
		printf("ok fuzz/%s\n", target);
	else
		printf("FAIL fuzz/%s: %d files in corpus and %d in refuse; both folders must have some\n", target, good, bad);
	return 0;
}
#endif
