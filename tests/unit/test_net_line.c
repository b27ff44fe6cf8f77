/*
 * test_net_line.c: a bad line. Server and client live in two network namespaces; what one sends reaches the other 50 ms later, two
 * packets of a hundred never do, and for some seconds in the middle none does. The line is a TUN device in each namespace and this
 * process between them, since not every kernel has netem.
 */
#include "net_world.h"

#include <arpa/inet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

enum { PACKET = 2048,
	WAITING = 4096 }; /* packets on the way */

/* A new network namespace for this process, with a device that has `address` in it. -1: not allowed. */
static int new_end(const char *address)
{
	struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	struct sockaddr_in a = {.sin_family = AF_INET};
	if (unshare(CLONE_NEWNET) != 0)
		return -1;
	int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(r.ifr_name, sizeof r.ifr_name, "line");
	bool ok = tun >= 0 && s >= 0 && ioctl(tun, TUNSETIFF, &r) == 0;
	inet_pton(AF_INET, address, &a.sin_addr);
	memcpy(&r.ifr_addr, &a, sizeof a);
	ok = ok && ioctl(s, SIOCSIFADDR, &r) == 0;
	inet_pton(AF_INET, "255.255.255.0", &a.sin_addr);
	memcpy(&r.ifr_netmask, &a, sizeof a);
	ok = ok && ioctl(s, SIOCSIFNETMASK, &r) == 0;
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	ok = ok && ioctl(s, SIOCSIFFLAGS, &r) == 0;
	if (s >= 0)
		close(s);
	if (!ok && tun >= 0)
		close(tun);
	return ok ? tun : -1;
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct way { /* from one end to the other */
	int from, to;
	struct {
		double due;
		ssize_t n;
		char bytes[PACKET];
	} * packet; /* a ring of WAITING */
	int first, n;
	long sent, lost;
} way;

static void carry(way *w, ul_rng *r, bool cut)
{
	char b[PACKET];
	for (ssize_t n; (n = read(w->from, b, sizeof b)) > 0;) {
		w->sent++;
		if (cut || w->n == WAITING || ul_rng_uniform(r) < 0.02) {
			w->lost++;
			continue;
		}
		int at = (w->first + w->n++) % WAITING;
		w->packet[at].due = seconds() + 0.05;
		w->packet[at].n = n;
		memcpy(w->packet[at].bytes, b, (size_t)n);
	}
	while (w->n && w->packet[w->first].due <= seconds()) {
		if (write(w->to, w->packet[w->first].bytes, (size_t)w->packet[w->first].n) < 0)
			w->lost++;
		w->first = (w->first + 1) % WAITING;
		w->n--;
	}
}

/* Carries packets until both are done. False: not within `limit` seconds. */
static bool carry_all(int a, int b, pid_t server, pid_t client, double limit)
{
	way to = {.from = a, .to = b, .packet = ul_calloc(WAITING, sizeof *to.packet)}, fro = {.from = b, .to = a, .packet = ul_calloc(WAITING, sizeof *fro.packet)};
	ul_rng r = ul_rng_at(3, "loss", 0);
	double begun = seconds(), t = 0;
	int status[2] = {-1, -1};
	pid_t who[2] = {server, client};
	while ((who[0] || who[1]) && (t = seconds() - begun) < limit) {
		poll((struct pollfd[]){{a, POLLIN, 0}, {b, POLLIN, 0}}, 2, 2);
		bool cut = t > 6 && t < 9;
		carry(&to, &r, cut);
		carry(&fro, &r, cut);
		for (int i = 0; i < 2; i++)
			if (who[i] && waitpid(who[i], &status[i], WNOHANG) == who[i])
				who[i] = 0;
	}
	printf("%.0f seconds; %ld of %ld packets were lost\n", t, to.lost + fro.lost, to.sent + fro.sent);
	CHECK(to.lost + fro.lost > 10);
	CHECK_EQ_INT(status[0], 0);
	CHECK_EQ_INT(status[1], 0);
	for (int i = 0; i < 2; i++)
		if (who[i])
			kill(who[i], SIGKILL);
	ul_free(to.packet);
	ul_free(fro.packet);
	return !who[0] && !who[1];
}

static void test_net_line__loss_and_delay(void)
{
	bool is_long = getenv("LONG") && *getenv("LONG") == '2';
	world w = world_make(1, is_long ? 2 : 1, is_long ? 4 << 20 : 3 << 19);
	int a = new_end("10.213.7.1"), b;
	if (a < 0)
		SKIP("network namespaces and TUN devices need privileges");
	w.host = "10.213.7.1";
	w.port = 8443;
	pid_t server = world_serve(&w);
	if ((b = new_end("10.213.7.2")) < 0) {
		kill(server, SIGKILL);
		SKIP("network namespaces and TUN devices need privileges");
	}
	pid_t client = world_join(&w, "client-1");
	CHECK(carry_all(a, b, server, client, is_long ? 500 : 100));
	world_check_theta(&w);
}

/* ---- the real program ---- */

/* `unlearn mpu` with what is given, its output in the world's folder; a process in this one's network namespace. */
static pid_t program(const world *w, const char *log, const char *const *arg)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	char path[4096];
	world_path(w, path, "%s", log);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
	dup2(fd, 1);
	dup2(fd, 2);
	execv(getenv("UNLEARN"), (char *const *)(uintptr_t)arg);
	_exit(127);
}

static bool make_model(const world *w)
{
	char command[16384];
	snprintf(command, sizeof command, "set -e; cd '%.2000s'; U='%.2000s'; \"$U\" synth --tiny -o world -q; head -n 24 world/full.jsonl >rows.jsonl;"
	                                  "\"$U\" train --init llama-tiny --train-tokenizer 400 --data rows.jsonl --steps 2 --batch 4 -o start -q;"
	                                  "\"$U\" mpu publish start --secret secret --copies 2 --noise 0.1 -o published -q; cp -r secret other;"
	                                  "\"$U\" mpu client published --method graddiff --forget world/forget.jsonl --retain world/retain.jsonl --steps 2 --batch 4 --lora r=2,alpha=4 -q -o update;"
	                                  "\"$U\" mpu collect other update -o want -q",
	        w->dir, getenv("UNLEARN"));
	return system(command) == 0;
}

/* A model of a few MB, two copies, one round: the weights arrive where folders do. Updates are adapters, or the line would be all there is. */
static void test_net_line__real_program(void)
{
	world w = world_make(1, 2, 1);
	char secret[4096], certs[4096], final[4096], client_certs[4096], forget[4096], retain[4096], work[4096], want[4096], got[65], right[65];
	ul_err err = {0};
	if (!getenv("UNLEARN"))
		SKIP("UNLEARN does not name the program");
	setenv("OMP_NUM_THREADS", "1", 1);
	NEED(make_model(&w));
	world_path(&w, secret, "secret");
	world_path(&w, certs, "certs/server");
	world_path(&w, client_certs, "certs/client-1");
	world_path(&w, final, "final");
	world_path(&w, forget, "world/forget.jsonl");
	world_path(&w, retain, "world/retain.jsonl");
	world_path(&w, work, "work");
	int a = new_end("10.213.7.1"), b;
	if (a < 0)
		SKIP("network namespaces and TUN devices need privileges");
	pid_t server = program(&w, "server.log", (const char *const[]){"unlearn", "mpu", "serve", secret, "--certs", certs, "--listen", "10.213.7.1:8443", "-o", final, NULL});
	if ((b = new_end("10.213.7.2")) < 0) {
		kill(server, SIGKILL);
		SKIP("network namespaces and TUN devices need privileges");
	}
	pid_t client = program(&w, "client.log", (const char *const[]){"unlearn", "mpu", "join", "https://10.213.7.1:8443", "--certs", client_certs, "--method", "graddiff", "--forget", forget, "--retain", retain, "--steps", "2", "--batch", "4", "--lora", "r=2,alpha=4", "-o", work, NULL});
	CHECK(carry_all(a, b, server, client, 280));
	world_path(&w, final, "final/model.safetensors");
	world_path(&w, want, "want/model.safetensors");
	NEED_OK(ul_sha256_file(final, got, &err) && ul_sha256_file(want, right, &err), err);
	CHECK_STR(got, right);
}
