/*
 * test.c: runs the tests of one file. Each in a forked child, so that a crash is one failure and a hang ends by the clock.
 * Prints one line per test: `ok NAME`, `FAIL NAME: why`, `skip NAME: why`; tools/tests adds them up.
 *
 * usage: <test program> [part of a name]
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILED = 1,
	SKIPPED = 77,
	SECONDS = 120,
	SHOWN = 20 };

static int failures;
static const char *current;
static char tmp[PATH_MAX];

/* ---- what a child says goes to a file that the parent turns into lines ---- */

static void say(const char *file, int line, const char *fmt, va_list ap)
{
	if (++failures > SHOWN)
		return;
	if (file)
		fprintf(stdout, "\t%s:%d: ", file, line);
	vfprintf(stdout, fmt, ap);
	fputc('\n', stdout);
	fflush(stdout);
}

static void report(const char *file, int line, const char *fmt, ...) UL_PRINTF(3, 4);
static void report(const char *file, int line, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(file, line, fmt, ap);
	va_end(ap);
}

bool test_check(bool ok, const char *file, int line, const char *fmt, ...)
{
	if (!ok) {
		va_list ap;
		va_start(ap, fmt);
		say(file, line, fmt, ap);
		va_end(ap);
	}
	return ok;
}

void test_end(const char *file, int line, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(file, line, fmt, ap);
	va_end(ap);
	_exit(FAILED);
}

void test_skip(const char *fmt, ...)
{
	va_list ap;
	fputs("\tskip: ", stdout);
	va_start(ap, fmt);
	vfprintf(stdout, fmt, ap);
	va_end(ap);
	fputc('\n', stdout);
	fflush(stdout);
	_exit(failures ? FAILED : SKIPPED);
}

bool test_fails(bool ok, const ul_err *err, const char *part, const char *file, int line, const char *what)
{
	if (ok)
		report(file, line, "%s was to fail with \"%s\", but did not", what, part);
	else if (!strstr(err->msg, part))
		report(file, line, "%s failed with \"%s\", which does not say \"%s\"", what, err->msg, part);
	return !ok && strstr(err->msg, part);
}

bool test_eq_int(long long a, long long b, const char *file, int line, const char *what)
{
	if (a != b)
		report(file, line, "%s: %lld is not %lld", what, a, b);
	return a == b;
}

bool test_eq_str(const char *a, const char *b, const char *file, int line, const char *what)
{
	bool same = a == b || (a && b && strcmp(a, b) == 0);
	if (!same)
		report(file, line, "%s: \"%s\" is not \"%s\"", what, a ? a : "(null)", b ? b : "(null)");
	return same;
}

bool test_has(const char *text, const char *part, const char *file, int line, const char *what)
{
	bool has = text && strstr(text, part);
	if (!has)
		report(file, line, "%s: \"%s\" does not contain \"%s\"", what, text ? text : "(null)", part);
	return has;
}

bool test_close(double a, double b, double rel, double abs, const char *file, int line, const char *what)
{
	double scale = fabs(a) > fabs(b) ? fabs(a) : fabs(b), allowed = rel * scale + abs;
	bool near = a == b || fabs(a - b) <= allowed;
	if (!near)
		report(file, line, "%s: %.17g and %.17g differ by %.3g, allowed %.3g", what, a, b, fabs(a - b), allowed);
	return near;
}

static double at(const void *p, size_t size, size_t i)
{
	return size == sizeof(float) ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

bool test_array(const void *a, size_t a_size, const void *b, size_t b_size, size_t n, double rel, const char *file, int line, const char *what)
{
	double scale = 0, worst = 0;
	size_t where = 0;
	bool broken = false;
	for (size_t i = 0; i < n; i++) {
		double x = at(a, a_size, i), y = at(b, b_size, i), d = fabs(x - y);
		if (!isfinite(x) || !isfinite(y))
			broken = true;
		if (fabs(y) > scale)
			scale = fabs(y);
		if (d > worst || (broken && !isfinite(d)))
			worst = d, where = i;
		if (broken)
			break;
	}
	bool ok = !broken && worst <= rel * scale;
	if (!ok)
		report(file, line, "%s: [%zu] is %.9g, not %.9g: off by %.3g, largest is %.3g, allowed %.3g", what, where, n ? at(a, a_size, where) : 0,
		        n ? at(b, b_size, where) : 0, worst, scale, rel * scale);
	return ok;
}

/* ---- places ---- */

const char *test_tmp(void)
{
	ul_err err = {0};
	if (!ul_is_dir(tmp))
		NEED_OK(ul_mkdirs(tmp, &err), err);
	return tmp;
}

const char *test_path(const char *name)
{
	static char path[64][PATH_MAX + 256];
	static int next;
	char *p = path[next++ % 64];
	snprintf(p, sizeof path[0], "%s/%s", test_tmp(), name);
	return p;
}

void test_file(const char *name, const char *text)
{
	ul_err err = {0};
	NEED_OK(ul_file_write(test_path(name), text, strlen(text), &err), err);
}

const char *test_shared(const char *name)
{
	static char path[64][PATH_MAX];
	static int next;
	char *p = path[next++ % 64];
	snprintf(p, sizeof path[0], "../shared/data/%s", name);
	if (!ul_file_exists(p))
		SKIP("%s is not here", p);
	return p;
}

int test_each_alloc(bool (*f)(void *ud, ul_err *err), void *ud)
{
	for (int n = 1; n < 100000; n++) {
		ul_err err = {0};
		ul_malloc_fail_at(n);
		bool ok = f(ud, &err);
		bool refused = ul_malloc_refused();
		ul_malloc_fail_at(0);
		if (!refused) {
			if (!ok)
				report(NULL, 0, "\tfails although no allocation was refused: %s", err.msg);
			return n - 1;
		}
		if (!ok && !err.msg[0])
			report(NULL, 0, "\tallocation %d refused: failure without a message", n);
		if (ok)
			report(NULL, 0, "\tallocation %d refused: the call says it succeeded", n);
	}
	return -1;
}

/* ---- the runner ---- */

static void child(const struct test_case *t)
{
	t->run();
	exit(failures ? FAILED : 0);
}

static int wait_for(pid_t pid, int seconds)
{
	int status = 0;
	for (int tick = 0; tick < seconds * 100; tick++) {
		pid_t got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			return status;
		usleep(tick < 100 ? 500 : 10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

static void print_result(const char *name, int status, FILE *said)
{
	char line[4096];
	rewind(said);
	if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
		char why[4096] = "no reason given";
		while (fgets(line, sizeof line, said))
			if (strncmp(line, "\tskip: ", 7) == 0)
				snprintf(why, sizeof why, "%s", line + 7);
		why[strcspn(why, "\n")] = '\0';
		printf("skip %s: %s\n", name, why);
		return;
	}
	if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		printf("ok %s\n", name);
		return;
	}
	if (status == -1)
		printf("FAIL %s: still running after the time limit\n", name);
	else if (WIFSIGNALED(status))
		printf("FAIL %s: killed by signal %d (%s)\n", name, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		printf("FAIL %s: exit status %d\n", name, WEXITSTATUS(status));
	while (fgets(line, sizeof line, said))
		fputs(line, stdout);
}

static void run(const struct test_case *t, int seconds)
{
	char name[512];
	snprintf(name, sizeof name, "%s/%s", test_folder, t->name);
	current = t->name;
	snprintf(tmp, sizeof tmp, "%s/ul-%s-%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", t->name, (int)getpid());
	FILE *said = tmpfile();
	if (!said) {
		printf("FAIL %s: no temporary file: %s\n", name, strerror(errno));
		return;
	}
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fileno(said), STDOUT_FILENO);
		dup2(fileno(said), STDERR_FILENO);
		child(t);
	}
	print_result(name, pid < 0 ? FAILED << 8 : wait_for(pid, seconds), said);
	fclose(said);
	ul_remove_tree(tmp, NULL);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *limit = getenv("TEST_SECONDS"), *only = argc > 1 ? argv[1] : "";
	int seconds = limit ? atoi(limit) : SECONDS;
	for (const struct test_case *t = test_cases; t->name; t++) {
		char name[512];
		snprintf(name, sizeof name, "%s/%s", test_folder, t->name);
		if (strstr(name, only))
			run(t, seconds > 0 ? seconds : SECONDS);
	}
	return 0;
}
