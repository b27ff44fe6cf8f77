/*
 * test_mpu_law.c: the error law of the aggregate (specification 2.6) as one table, on one family; test_mpu_round.c holds its slopes on all.
 * TABLE=FILE writes the table of docs/mpu.md there.
 */
#include "mpu_bench.h"

enum { KEYS = 8 };

typedef struct law {
	bench b;
	double *u; /* [n] without noise */
	size_t n;
	FILE *table;
} law;

static law begin(void)
{
	law l = {.b = of_family("llama", "sgd"), .table = getenv("TABLE") ? fopen(getenv("TABLE"), "a") : NULL};
	rows();
	l.n = count_of(l.b.path);
	l.u = malloc(l.n * sizeof *l.u);
	NEED(l.u);
	run(&l.b, l.u);
	return l;
}

static void end(law *l)
{
	free(l->u);
	if (l->table)
		fclose(l->table);
}

/* u: what the same copies do without noise. */
static double zero_sum(law *l, double kappa, int copies, const double *u)
{
	double *out = malloc(l->n * sizeof *out);
	NEED(out);
	l->b.how = (ul_mpu_how){.copies = copies, .rounds = 1, .server_lr = 1, .noise = kappa, .exact = true};
	run(&l->b, out);
	double d = distance(out, u, l->n);
	free(out);
	return d;
}

/* Copies that draw their rows in orders of their own, against the same orders without noise: their updates differ, so that the noises do not cancel. */
static double own_orders(law *l, double kappa)
{
	double *u = malloc(l->n * sizeof *u);
	NEED(u);
	l->b.own_order = true;
	l->b.how = (ul_mpu_how){.copies = 4, .rounds = 1, .server_lr = 1, .exact = true};
	run(&l->b, u);
	double d = zero_sum(l, kappa, 4, u);
	l->b.own_order = false;
	free(u);
	return d;
}

static void test_mpu_law__noise_cancels_to_first_order(void)
{
	static const double kappa[] = {0.0001, 0.001, 0.01, 0.1};
	law l = begin();
	if (l.table)
		fprintf(l.table, "| κ | single | independent, m 4 | zero-sum, m 2 | m 4 | m 16 | plain mean, m 4 | own orders, m 4 |\n|---|---|---|---|---|---|---|---|\n");
	for (int i = 0; i < 4; i++) {
		errors of = errors_at(&l.b, kappa[i], l.u);
		double single = of.single, many = independent(&l.b, kappa[i], l.u, l.n), own = own_orders(&l, kappa[i]);
		double two = zero_sum(&l, kappa[i], 2, l.u), four = zero_sum(&l, kappa[i], 4, l.u), sixteen = zero_sum(&l, kappa[i], 16, l.u);
		if (l.table)
			fprintf(l.table, "| %g | %.1e | %.1e | %.1e | %.1e | %.1e | %.1e | %.1e |\n", kappa[i], single, many, two, four, sixteen, of.plain, own);
		CHECK_MSG(many < single, "κ %g: independent noises %g, a single copy %g", kappa[i], many, single);
		CHECK_MSG(i > 0 || (of.plain > 5 * four && own > 5 * four), "κ %g: plain mean %g, own orders %g beside %g", kappa[i], of.plain, own, four);
		/* from a tenth of the weights on the second order is as large as the first */
		CHECK_MSG(i > 1 || (two < many / 5 && four < many / 5 && sixteen < many / 5), "κ %g: %g, %g, %g beside independent noises with %g", kappa[i], two, four, sixteen, many);
	}
	end(&l);
}

static void test_mpu_law__more_copies_leave_the_bias(void)
{
	law l = begin();
	double *mean = malloc((KEYS + 1) * l.n * sizeof *mean), *out = mean + l.n, first[2] = {0};
	NEED(mean);
	if (l.table)
		fprintf(l.table, "\n| κ 0.03 | m 2 | m 4 | m 8 | m 16 |\n|---|---|---|---|---|\n");
	char bias[128] = "| bias |", spread[128] = "| fluctuation |";
	for (int copies = 2; copies <= 16; copies *= 2) {
		double apart = 0;
		memset(mean, 0, l.n * sizeof *mean);
		l.b.how = (ul_mpu_how){.copies = copies, .rounds = 1, .server_lr = 1, .noise = 0.03, .exact = true};
		for (int k = 0; k < KEYS; k++) {
			l.b.key.bytes[0] = (unsigned char)k;
			run(&l.b, out + (size_t)k * l.n);
			for (size_t e = 0; e < l.n; e++)
				mean[e] += out[(size_t)k * l.n + e] / KEYS;
		}
		for (int k = 0; k < KEYS; k++)
			apart += distance(out + (size_t)k * l.n, mean, l.n) / KEYS;
		double left = distance(mean, l.u, l.n);
		snprintf(bias + strlen(bias), sizeof bias - strlen(bias), " %.3f |", left);
		snprintf(spread + strlen(spread), sizeof spread - strlen(spread), " %.3f |", apart);
		if (copies == 2) {
			first[0] = left, first[1] = apart;
			continue;
		}
		CHECK_MSG(left > first[0] / 2 && left < first[0] * 2, "bias %g with 2 copies, %g with %d", first[0], left, copies);
		CHECK_MSG(apart < first[1] / sqrt(copies / 2.0) * 1.5, "fluctuation %g with 2 copies, %g with %d", first[1], apart, copies);
	}
	if (l.table)
		fprintf(l.table, "%s\n%s\n", bias, spread);
	free(mean);
	end(&l);
}

static void test_mpu_law__without_noise_it_is_the_plain_run(void)
{
	static const struct {
		const char *words, *optim;
		enum ul_reparam mode;
		bool exact, equal;
	} cell[] = {{"no transform, AdamW", "adamw", UL_REPARAM_NONE, true, true}, {"quarter turns and hidden units (`paper`, exact), AdamW", "adamw", UL_REPARAM_PAPER, true, true}, {"signed permutations too (`full`, exact), AdamW", "adamw", UL_REPARAM_FULL, true, true},
	        {"free angles (`full`), SGD", "sgd", UL_REPARAM_FULL, false, true}, {"free angles (`full`), AdamW", "adamw", UL_REPARAM_FULL, false, false}};
	law l = begin();
	if (l.table)
		fprintf(l.table, "\n| κ 0, m 3 | difference to the plain run |\n|---|---|\n");
	for (size_t i = 0; i < sizeof cell / sizeof *cell; i++) {
		double d = at_zero("llama", cell[i].optim, cell[i].mode, cell[i].exact, NULL);
		if (l.table)
			fprintf(l.table, "| %s | %.1e |\n", cell[i].words, d);
		CHECK_MSG(cell[i].equal ? d < 1e-3 : d > 0.02, "%s: %g", cell[i].words, d);
	}
	end(&l);
}
