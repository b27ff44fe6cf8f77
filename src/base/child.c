/*
 * child.c: one line out, one line back. Its input is a socket, because only there a write to a process that has gone can be an error
 * instead of a signal; both ends are polled, so that neither waits for the other with full hands.
 */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST = 4 << 20 }; /* bytes of an answer */
#define PATIENCE 0.5 /* seconds to end by itself, once its input is closed */
#define LOOK 0.1 /* seconds between looks at whether it is still there */

struct ul_child {
	pid_t pid; /* 0 once it has ended */
	int in, out; /* ours: to its input, from its output; -1 = closed */
	const char *what;
	char *command;
	double seconds;
	long answers;
	ul_buf read; /* what came behind the last answer */
	size_t searched; /* bytes of it that hold no end of a line */
};

extern char **environ;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void shut(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
	}
	*fd = -1;
}

/* Child's input and output, and nothing else of ours. */
static int spawn(pid_t *pid, const char *command, int in, int out)
{
	char *const argv[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)command, NULL};
	posix_spawn_file_actions_t a;
	posix_spawnattr_t s;
	posix_spawn_file_actions_init(&a);
	posix_spawnattr_init(&s);
	posix_spawn_file_actions_adddup2(&a, in, 0);
	posix_spawn_file_actions_adddup2(&a, out, 1);
	posix_spawnattr_setflags(&s, POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setpgroup(&s, 0);
	int rc = posix_spawn(pid, "/bin/sh", &a, &s, argv, environ);
	posix_spawn_file_actions_destroy(&a);
	posix_spawnattr_destroy(&s);
	return rc;
}

ul_child *ul_child_start(const char *command, const char *what, double seconds, ul_err *err)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1};
	ul_child *c = ul_calloc(1, sizeof *c);
	char *copy = ul_strdup(command);
	bool ok = (c && copy) || ul_nomem(err, strlen(command) + sizeof *c);
	if (ok && (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0 || pipe2(out, O_CLOEXEC) != 0)) {
		ok = ul_fail(err, "cannot talk to the %s: %s", what, strerror(errno));
	}
	int rc = ok ? spawn(&c->pid, command, in[1], out[1]) : 0;
	if (rc != 0) {
		ok = ul_fail(err, "cannot start the %s \"%s\": %s", what, command, strerror(rc));
	}
	shut(&in[1]);
	shut(&out[1]);
	if (!ok) {
		shut(&in[0]);
		shut(&out[0]);
		ul_free(copy);
		ul_free(c);
		return NULL;
	}
	fcntl(in[0], F_SETFL, O_NONBLOCK);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	*c = (ul_child){.pid = c->pid, .in = in[0], .out = out[0], .what = what, .command = copy, .seconds = seconds};
	return c;
}

/* Has it ended? What it has started may still hold the other end of its output open, and there would be no end of that. */
static bool gone(const ul_child *c)
{
	siginfo_t end = {0};
	return waitid(P_PID, (id_t)c->pid, &end, WEXITED | WNOHANG | WNOWAIT) == 0 && end.si_pid != 0;
}

/* Waits up to `seconds`, then kills, and with it whatever it has started and left behind; the status of its end. It is looked at before
 * it is collected: as long as it is not, its number names no other group. */
static int reap(ul_child *c, double seconds)
{
	int status = 0;
	double until = now() + seconds;
	while (!gone(c) && now() < until) {
		poll(NULL, 0, 5);
	}
	kill(-c->pid, SIGKILL);
	waitpid(c->pid, &status, 0);
	c->pid = 0;
	return status;
}

static void drop(ul_child *c, double seconds, int *status)
{
	shut(&c->in);
	shut(&c->out);
	if (c->pid > 0) {
		*status = reap(c, seconds);
	}
}

static bool ended(ul_child *c, ul_err *err)
{
	int status = 0;
	drop(c, PATIENCE, &status);
	const char *s = c->answers == 1 ? "" : "s";
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
		return ul_fail(err, "the %s \"%s\" was ended by signal %d after %ld answer%s", c->what, c->command, WTERMSIG(status), c->answers, s);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		ul_fail(err, "the %s \"%s\" could not be run", c->what, c->command);
		ul_hint(err, "a shell gets it as it is written: is the program there?");
		return false;
	}
	return ul_fail(err, "the %s \"%s\" ended with status %d after %ld answer%s", c->what, c->command, WIFEXITED(status) ? WEXITSTATUS(status) : -1, c->answers, s);
}

static bool silent(ul_child *c, ul_err *err)
{
	int status = 0;
	drop(c, 0, &status);
	ul_fail(err, "the %s \"%s\" gave no answer within %g seconds, after %ld of them", c->what, c->command, c->seconds, c->answers);
	ul_hint(err, "it must answer each line with one line, and write it out at once");
	return false;
}

/* A whole line, if there is one. */
static bool take_line(ul_child *c, ul_buf *answer)
{
	char *end = c->read.len > c->searched ? memchr(c->read.data + c->searched, '\n', c->read.len - c->searched) : NULL;
	c->searched = end ? 0 : c->read.len;
	if (!end) {
		return false;
	}
	size_t n = (size_t)(end - c->read.data);
	ul_buf_add(answer, c->read.data, n && end[-1] == '\r' ? n - 1 : n);
	memmove(c->read.data, end + 1, c->read.len - n - 1);
	c->read.len -= n + 1;
	c->answers++;
	return true;
}

/* What can be written now is written; false: it has closed its input. */
static bool push(ul_child *c, const char *bytes, size_t n, size_t *done)
{
	ssize_t k = send(c->in, bytes + *done, n - *done, MSG_NOSIGNAL);
	*done += k > 0 ? (size_t)k : 0;
	return k >= 0 || errno == EAGAIN || errno == EINTR;
}

/* What has come is read; false: there will be no more. */
static bool pull(ul_child *c)
{
	char bytes[65536];
	ssize_t k = read(c->out, bytes, sizeof bytes);
	if (k > 0) {
		ul_buf_add(&c->read, bytes, (size_t)k);
	}
	return k > 0 || (k < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Before a question there is nothing to read: what comes unasked would be taken for the answer to it, and every later one be wrong. */
static bool early(ul_child *c)
{
	return c->read.len > 0 || (pull(c) && c->read.len > 0);
}

/* And nobody answers what he has not read: its input is empty once it has. */
static bool unread(const ul_child *c)
{
	int queued = 0;
	return ioctl(c->in, SIOCOUTQ, &queued) == 0 && queued > 0;
}

static bool unasked(ul_child *c, const ul_buf *said, ul_err *err)
{
	int status;
	drop(c, 0, &status);
	ul_fail(err, "the %s \"%s\" wrote more than it was asked for: \"%.*s\"", c->what, c->command, (int)(said->len < 80 ? said->len : 80), said->data ? said->data : "");
	ul_hint(err, "it must answer each line with one line, and write nothing else there");
	return false;
}

bool ul_child_ask(ul_child *c, const char *line, size_t n, ul_buf *answer, ul_err *err)
{
	ul_buf out = {0};
	size_t done = 0;
	double until = now() + c->seconds;
	bool ok = c->pid > 0 || ul_fail(err, "the %s \"%s\" has ended", c->what, c->command), answered = false;
	ok = ok && (!early(c) || unasked(c, &c->read, err));
	ul_buf_add(&out, line, n);
	ul_buf_str(&out, "\n");
	while (ok && !answered) {
		struct pollfd p[2] = {{.fd = c->out, .events = POLLIN}, {.fd = done < out.len ? c->in : -1, .events = POLLOUT}};
		double left = until - now();
		bool over = gone(c); /* before the look at what it has written: nothing comes after that */
		int ready = left > 0 ? poll(p, 2, (int)((left < LOOK ? left : LOOK) * 1000) + 1) : 0;
		if (ready == 0 && over) {
			ok = ended(c, err);
		} else if (ready == 0 && now() >= until) {
			ok = silent(c, err);
		} else if (ready <= 0) {
			continue;
		} else if ((p[1].revents && !push(c, out.data, out.len, &done)) || (p[0].revents && !pull(c))) {
			ok = ended(c, err);
		} else if (out.failed || c->read.failed) {
			ok = ul_nomem(err, c->read.cap);
		} else if ((answered = done == out.len && take_line(c, answer))) {
			ok = !unread(c) || unasked(c, answer, err);
		} else if (c->read.len > LONGEST) {
			int status;
			drop(c, 0, &status);
			ok = ul_fail(err, "the %s \"%s\" wrote more than %d bytes without ending the line", c->what, c->command, LONGEST);
		}
	}
	ul_buf_release(&out);
	return ok && (!answer->failed || ul_nomem(err, answer->cap));
}

const char *ul_child_command(const ul_child *c)
{
	return c->command;
}

void ul_child_end(ul_child *c)
{
	int status;
	if (!c) {
		return;
	}
	drop(c, PATIENCE, &status);
	ul_buf_release(&c->read);
	ul_free(c->command);
	ul_free(c);
}
