/*
 * main.c: one command line from argv to an exit code. The verb is found by its name, its tables say which options there are, the
 * frame fills what every verb shares, and the verb does the work. The only place that prints an error.
 */
#include "cli/cli.h"
#include "tensor/tensor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int ul_cli_fail(ul_cli *c)
{
	return c->usage ? UL_EXIT_USAGE : UL_EXIT_FAILED;
}

void ul_cli_print(ul_cli *c, const json_t *v)
{
	ul_buf line = {0};
	if (!ul_json_line(&line, v) || line.failed)
		ul_nomem(&c->err, line.cap);
	else
		fwrite(line.data, 1, line.len, stdout);
	ul_buf_release(&line);
}

static int version(void)
{
	return puts("unlearn " UL_VERSION) < 0 || fflush(stdout) != 0 ? UL_EXIT_FAILED : UL_EXIT_DONE;
}

static int overview(FILE *f)
{
	ul_buf text = {0};
	ul_help_overview(&text);
	if (text.data)
		fputs(text.data, f);
	ul_buf_release(&text);
	return f == stdout ? UL_EXIT_DONE : UL_EXIT_USAGE;
}

static int verb_help(const ul_verb *v)
{
	ul_buf text = {0};
	ul_help_verb(v, &text);
	if (text.data)
		fputs(text.data, stdout);
	ul_buf_release(&text);
	return UL_EXIT_DONE;
}

/* `unlearn VERB --help`, before anything else on the line is looked at. */
static bool wants_help(int argc, char **argv)
{
	for (int i = 2; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

static bool precise(ul_cli *c)
{
	if (c->precision != UL_ASKED_BF16)
		return true;
	if (ul_set_precision(UL_PRECISION_BF16, &c->err))
		return true;
	ul_hint(&c->err, "weights that a file stores as bf16 stay so in memory whatever the precision; docs/performance.md says where products of bf16 are");
	return false;
}

/* What products of bfloat16 cost is measured and said, not taken for granted. */
static void tell_precision(const ul_cli *c)
{
	char sentence[160];
	if (c->precision != UL_ASKED_BF16 || !c->progress.note)
		return;
	snprintf(sentence, sizeof sentence, "matrix products round their factors to bf16: a product of random numbers is off by %.2g of its length (measured now)", ul_product_error());
	c->progress.note(c->progress.ud, sentence);
}

static int dispatch(ul_cli *c, int argc, char **argv)
{
	c->usage = true; /* until the command line is understood */
	bool help = wants_help(argc, argv);
	int words;
	c->verb = ul_verb_find(argv + 1, argc - 1, help, &words, &c->err);
	if (!c->verb)
		return UL_EXIT_USAGE;
	if (help)
		return verb_help(c->verb);
	if (!ul_args_parse(c, argc - 1 - words, argv + 1 + words) || !ul_opts_defaults(ul_common_opts, c, &c->arena, &c->err) ||
	        !ul_settings_apply(c->setting, c->settings, c->used, ul_common_opts, c, &c->arena, &c->err))
		return UL_EXIT_USAGE;
	void *config = NULL;
	if (c->verb->opts && !(config = ul_cli_config(c, c->verb->opts, c->verb->config)))
		return UL_EXIT_USAGE;
	if (!c->verb->plugins && !c->verb->more && !ul_cli_done(c, NULL))
		return UL_EXIT_USAGE;
	if (!precise(c))
		return UL_EXIT_USAGE;
	c->usage = false;
	ul_set_threads((int)c->threads);
	ul_progress_begin(c);
	tell_precision(c);
	int rc = c->verb->main(c, config);
	ul_progress_end();
	return rc == UL_EXIT_FAILED && ul_cli_interrupted(NULL) ? UL_EXIT_INTERRUPTED : rc;
}

/* A full disk or a closed pipe shows only when what was printed is flushed. */
static int flush(ul_cli *c, int rc)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && rc == UL_EXIT_DONE) {
		ul_fail(&c->err, "cannot write to standard output: %s", strerror(errno));
		return UL_EXIT_FAILED;
	}
	return rc;
}

/* Threads that wait should spin briefly, then sleep: libgomp's default spins for milliseconds, which on a machine shared with
 * others made a run fifteen times slower. It reads its environment before main, so the program starts itself once more with it. */
static void wait_politely(char **argv)
{
	if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY") || setenv("GOMP_SPINCOUNT", "20000", 0) != 0)
		return;
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1); /* by its own path: started as /proc/self/exe it would be "exe" in ps */
	if (n <= 0)
		return; /* where there is no /proc the run is only slower */
	self[n] = '\0';
	execv(self, argv);
}

/* Whoever closed one of the three standard streams must not find what was meant for it in the next file that is opened. They
 * stand on a file that cannot be written, so that a result nobody receives is still an error. */
static void keep_streams(void)
{
	int fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = open("/dev/null", O_RDONLY);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	keep_streams();
	wait_politely(argv);
	if (argc < 2)
		return overview(stderr);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return version();
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return overview(stdout);
	ul_cli c = {0};
	ul_cli_signals();
	int rc = flush(&c, dispatch(&c, argc, argv));
	if (rc != UL_EXIT_DONE && c.err.msg[0])
		fprintf(stderr, "unlearn: %s\n", c.err.msg);
	if (rc != UL_EXIT_DONE && c.err.hint[0])
		fprintf(stderr, "hint: %s\n", c.err.hint);
	ul_arena_release(&c.arena);
	return rc;
}
