/*
 * progress.c: what long work looks like while it runs. A bar on a terminal, redrawn ten times a second at most; a line every ten
 * seconds elsewhere; nothing with --quiet. The first Ctrl-C asks the work to stop at its next step, the second ends the program.
 */
#include "cli/cli.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupts;

static void on_signal(int sig)
{
	static const char soft[] = "\nunlearn: stopping after this step; press Ctrl-C again to stop at once\n";
	(void)sig;
	if (interrupts++)
		_exit(UL_EXIT_INTERRUPTED);
	if (write(STDERR_FILENO, soft, sizeof soft - 1) < 0)
		return;
}

void ul_cli_signals(void)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigemptyset(&a.sa_mask);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
}

bool ul_cli_interrupted(void *ud)
{
	(void)ud;
	return interrupts != 0;
}

/* ---- the bar ---- */

enum { WIDTH = 24 };

static struct bar {
	char what[64];
	double begun, shown; /* seconds */
	int64_t first; /* units done when this piece of work was first heard of */
	bool terminal, blocks, drawn;
} bar;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void erase(void)
{
	if (bar.drawn)
		fputs("\r\033[K", stderr);
	bar.drawn = false;
}

static void write_time(ul_buf *b, double s)
{
	int64_t t = (int64_t)(s + 0.5);
	if (t >= 3600)
		ul_buf_printf(b, "%d:%02d:%02d", (int)(t / 3600), (int)(t / 60 % 60), (int)(t % 60));
	else
		ul_buf_printf(b, "%d:%02d", (int)(t / 60), (int)(t % 60));
}

/* Of the terminal, asked each time, since it may be resized meanwhile. */
static int columns(void)
{
	struct winsize w;
	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

static void write_blocks(ul_buf *b, int64_t done, int64_t total, int width)
{
	int full = (int)((double)done / (double)total * width);
	for (int i = 0; i < width; i++)
		ul_buf_str(b, i < full ? (bar.blocks ? "━" : "=") : (bar.blocks ? "─" : "-"));
}

static void write_numbers(ul_buf *b, int64_t done, int64_t total, double loss, double rate)
{
	double t = now() - bar.begun;
	ul_buf_printf(b, total > 0 ? " %lld/%lld" : " %lld", (long long)done, (long long)total);
	if (loss == loss && loss != 0)
		ul_buf_printf(b, "  loss %.4g", loss);
	if (rate >= 10000)
		ul_buf_printf(b, "  %.1fk tokens/s", rate / 1000);
	else if (rate > 0)
		ul_buf_printf(b, "  %.0f tokens/s", rate);
	if (total > done && done > bar.first) {
		ul_buf_str(b, "  ");
		write_time(b, t * (double)(total - done) / (double)(done - bar.first));
		ul_buf_str(b, " left");
	} else {
		ul_buf_str(b, "  ");
		write_time(b, t);
	}
}

/* On a terminal one line, or redrawing it would fill the screen: in a narrow one the bar shrinks and goes, then the rate, then the loss. */
static void compose(ul_buf *b, int64_t done, int64_t total, double loss, double rate)
{
	ul_buf_printf(b, "%s ", bar.what);
	if (!bar.terminal) {
		write_numbers(b, done, total, loss, rate);
		return;
	}
	ul_buf numbers = {0};
	int room = columns() - 1 - (int)b->len;
	for (int less = 0; less < 3; less++) {
		ul_buf_release(&numbers);
		write_numbers(&numbers, done, total, less < 2 ? loss : 0, less < 1 ? rate : 0);
		if ((int)numbers.len <= room)
			break;
	}
	int width = room - (int)numbers.len;
	if (total > 0 && width >= 4)
		write_blocks(b, done, total, width < WIDTH ? width : WIDTH);
	ul_buf_add(b, numbers.data, (int)numbers.len <= room ? numbers.len : room > 0 ? (size_t)room
	                                                                              : 0);
	ul_buf_release(&numbers);
}

static void tick(void *ud, const char *what, int64_t done, int64_t total, double loss, double rate)
{
	(void)ud;
	double t = now();
	if (strncmp(bar.what, what, sizeof bar.what - 1)) {
		snprintf(bar.what, sizeof bar.what, "%s", what);
		bar.begun = t, bar.shown = bar.terminal ? 0 : t, bar.first = done;
	}
	bool last = total > 0 && done >= total;
	if (t - bar.shown < (bar.terminal ? 0.1 : 10) && !(last && bar.terminal))
		return;
	bar.shown = t;
	ul_buf line = {0};
	compose(&line, done, total, loss, rate);
	if (bar.terminal)
		fputs("\r", stderr);
	if (line.data)
		fputs(line.data, stderr);
	fputs(bar.terminal ? "\033[K" : "\n", stderr);
	fflush(stderr);
	bar.drawn = bar.terminal;
	ul_buf_release(&line);
}

static void note(void *ud, const char *sentence)
{
	(void)ud;
	erase();
	fprintf(stderr, "unlearn: note: %s\n", sentence);
}

void ul_progress_begin(ul_cli *c)
{
	const char *locale = getenv("LC_ALL");
	if (!locale || !*locale)
		locale = getenv("LC_CTYPE");
	if (!locale || !*locale)
		locale = getenv("LANG");
	bar = (struct bar){.terminal = isatty(STDERR_FILENO), .blocks = locale && (strstr(locale, "UTF-8") || strstr(locale, "utf8"))};
	c->progress = (ul_progress){.stop = ul_cli_interrupted};
	if (!c->quiet)
		c->progress.tick = tick, c->progress.note = note;
}

void ul_progress_end(void)
{
	erase();
}
