/*
 * cmd_bench.c: bench [MODEL|shape]. Tokens per second of the work that unlearning consists of, the kernels in use, and what they
 * reach of this machine's peak, which is measured before and after every work.
 */
#include "cli/bench.h"
#include "cli/work.h"

#include <string.h>

#define AT(field) offsetof(ul_bench_config, field)
static const ul_opt opts[] = {
        {"work", UL_OPT_TEXT, AT(work), "train,lora,unlearn,score,generate,batch", 0, 0, NULL, "what is timed: these, or products", "LIST"},
        {"steps", UL_OPT_INT, AT(steps), "3", 1, 1000, NULL, "measured steps; one more comes first and is not counted", "N"},
        {"tokens", UL_OPT_INT, AT(tokens), "256", 2, 1 << 20, NULL, "of a sequence, for train and lora", "N"},
        {"seqs", UL_OPT_INT, AT(seqs), "4", 1, 4096, NULL, "sequences of a step, for train and lora", "N"},
        {"data", UL_OPT_TEXT, AT(data), NULL, 0, 0, NULL, "rows to forget and to score; without, 64 made-up ones of 58 to 114 tokens", "F"},
        {"retain", UL_OPT_TEXT, AT(retain), NULL, 0, 0, NULL, "rows to keep, for unlearn", "F"},
        {"batch", UL_OPT_INT, AT(batch), "8", 1, 4096, NULL, "rows of each kind in a step of unlearn", "N"},
        {"layers", UL_OPT_TEXT, AT(layers), NULL, 0, 0, NULL, "blocks that unlearn trains, such as 15-29; all without", "LIST"},
        {"max-new", UL_OPT_INT, AT(max_new), "64", 2, 4096, NULL, "tokens of a continuation, for generate (one) and batch (16 at once)", "N"},
        {"vocab", UL_OPT_INT, AT(vocab), "49152", 2, 1 << 24, NULL, "words of a named shape", "N"},
        {0},
};

static const struct work {
	const char *name, *what;
	bool (*run)(ul_bench *b, ul_bench_result *r);
} works[] = {
        /* in this order: full training changes weights that the others read as the file has them */
        {"generate", "greedy decoding, one sequence", ul_bench_generate},
        {"batch", "greedy decoding, 16 sequences", ul_bench_batch},
        {"score", "scoring of ragged rows", ul_bench_score},
        {"lora", "LoRA r=8 on all linear layers", ul_bench_lora},
        {"unlearn", "NPO with retain rows, LoRA r=8", ul_bench_unlearn},
        {"train", "full training", ul_bench_train},
};
enum { WORKS = sizeof works / sizeof *works };

static bool listed(const char *list, const char *name)
{
	size_t n = strlen(name);
	for (const char *s = list; *s; s += strcspn(s, ","), s += *s == ',')
		if (strcspn(s, ",") == n && !strncmp(s, name, n))
			return true;
	return false;
}

static bool known(ul_cli *c, const char *list)
{
	for (const char *s = list; *s; s += strcspn(s, ","), s += *s == ',') {
		size_t n = strcspn(s, ",");
		bool ok = n == 8 && !strncmp(s, "products", n);
		for (int i = 0; i < WORKS; i++)
			ok |= strlen(works[i].name) == n && !strncmp(s, works[i].name, n);
		if (!ok)
			return ul_fail(&c->err, "there is no work \"%.*s\"; there are generate, batch, score, lora, unlearn, train and products", (int)(n < 64 ? n : 64), s);
	}
	return true;
}

/* A path, or the name of a shape with random weights. */
static ul_model *model(ul_cli *c, const ul_bench_config *o)
{
	const char *name = c->args > 0 ? c->arg[0] : "smollm2-135m";
	ul_err unknown = {0};
	json_t *shape = strchr(name, '/') ? NULL : ul_model_preset(name, (int)o->vocab, &unknown);
	if (!shape)
		return ul_work_model(c, name);
	ul_model *m = ul_model_random(shape, 1, NULL, &c->err);
	json_decref(shape);
	return m;
}

/* ---- words and numbers ---- */

static json_t *parts_json(const ul_bench_result *r)
{
	json_t *v = json_object();
	for (int i = 0; i < UL_BENCH_PARTS; i++)
		json_object_set_new(v, ul_bench_parts[i], json_real(r->part[i]));
	return v;
}

static void print_work(const ul_bench *b, const struct work *w, const ul_bench_result *r)
{
	double speed = r->tokens / r->seconds, share = r->part[0] > 0 ? r->flops / r->part[0] / b->probe.flops : 0, all = r->flops / r->seconds / b->probe.flops;
	if (b->c->json) {
		json_t *v = json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o}", "work", w->name, "tokens_per_s", speed, "seconds", r->seconds, "worst_seconds", r->worst,
		        "tokens", r->tokens, "flops", r->flops, "share_of_peak", all, "products_share_of_peak", share, "peak_bytes", r->peak, "probe_after", r->drift, "parts", parts_json(r));
		ul_cli_print(b->c, v);
		json_decref(v);
		return;
	}
	printf("%-32s %9.1f tokens/s %8.3f s a step %5.0f %% of peak, its products %3.0f %% %7.2f GiB ", w->what, speed, r->seconds, 100 * all, 100 * share, r->peak / (1 << 30));
	for (int i = 0; i < UL_BENCH_PARTS; i++)
		if (r->part[i] > 0.005 * r->seconds)
			printf(" %s %.0f%%", ul_bench_parts[i], 100 * r->part[i] / r->seconds);
	printf(r->drift < 0.9 || r->drift > 1.1 ? "  (the machine was at %.0f %% of its speed afterwards: measure again)\n" : "\n", 100 * r->drift);
	fflush(stdout);
}

static json_t *off_json(void) /* paths that only their name switches on */
{
	json_t *v = json_array();
	for (int i = 0; ul_path_off(i); i++)
		json_array_append_new(v, json_string(ul_path_off(i)));
	return v;
}

static void print_machine(const ul_bench *b)
{
	const ul_probe *p = &b->probe;
	if (b->c->json) {
		json_t *v = json_pack("{s:s, s:s, s:s, s:b, s:f, s:i, s:f, s:f, s:s, s:I, s:o}", "kernels", p->kernels, "products", p->products, "precision", ul_precision() == UL_PRECISION_BF16 ? "bf16" : "f32", "proven", p->proven, "product_error", p->error,
		        "threads", p->threads, "peak_flops", p->flops, "read_bytes", p->bytes, "model", b->m->path ? b->m->path : "", "parameters", (json_int_t)ul_model_count(b->m), "off", off_json());
		ul_cli_print(b->c, v);
		json_decref(v);
		return;
	}
	printf("kernels %s, products %s, %d threads: %.0f GF/s f32 multiply-adds, %.1f GB/s read\n", p->kernels, p->products, p->threads, p->flops * 1e-9, p->bytes * 1e-9);
	printf("a product of random numbers is off by %.2g of its length%s\n", p->error, p->proven ? "" : "; these products have never passed their tests on a processor that has them");
	printf("off unless UNLEARN_KERNELS names them, because they never passed their tests on a processor that has them:");
	for (int i = 0; ul_path_off(i); i++)
		printf("%s %s", i ? "," : "", ul_path_off(i));
	printf("\n");
}

/* ---- products alone ---- */

static void print_product(ul_bench *b, int which, int rows, const ul_param *w)
{
	static const char *const names[] = {"x WT", "dy W", "dyT x"};
	double s = ul_bench_product(b, which, rows, w->rows, w->cols), rate = 2.0 * rows * w->rows * w->cols / s;
	if (b->c->json) {
		json_t *v = json_pack("{s:s, s:s, s:i, s:i, s:i, s:f, s:f}", "product", names[which], "weight", w->name, "rows", rows, "out", w->rows, "in", w->cols, "flops_per_s", rate, "share_of_peak", rate / b->probe.flops);
		ul_cli_print(b->c, v);
		json_decref(v);
		return;
	}
	printf("%-6s %5d rows, weight [%d, %d]  %8.1f GF/s  %3.0f %% of peak\n", names[which], rows, w->rows, w->cols, rate * 1e-9, 100 * rate / b->probe.flops);
}

/* Every shape a step multiplies with, once: the linear layers over all rows, the head over a chunk. */
static void print_products(ul_bench *b)
{
	const ul_model *m = b->m;
	for (int i = 0; i < m->params; i++) {
		const ul_param *w = m->param[i];
		bool seen = w->rows == 1 || w == m->pos_embed || (w == m->embed && m->head != w);
		for (int k = 0; k < i && !seen; k++)
			seen = m->param[k]->rows == w->rows && m->param[k]->cols == w->cols;
		for (int which = 0; !seen && which < 3; which++)
			print_product(b, which, w == m->head ? 320 : (int)(b->o->tokens * b->o->seqs), w);
	}
}

static bool measure(ul_bench *b, const struct work *w)
{
	ul_bench_result r;
	ul_probe after;
	if (!ul_probe_machine(&b->probe, &b->c->err) || !w->run(b, &r) || !ul_probe_machine(&after, &b->c->err))
		return false;
	r.drift = after.flops / b->probe.flops;
	print_work(b, w, &r);
	return true;
}

static int run(ul_cli *c, const void *given)
{
	ul_bench b = {.c = c, .o = given};
	if (!known(c, b.o->work)) {
		c->usage = true;
		return ul_cli_fail(c);
	}
	b.m = model(c, b.o);
	bool ok = b.m && ul_bench_begin(&b) && ul_probe_machine(&b.probe, &c->err);
	if (ok)
		print_machine(&b);
	if (ok && listed(b.o->work, "products"))
		print_products(&b);
	for (int i = 0; ok && i < WORKS; i++)
		if (listed(b.o->work, works[i].name))
			ok = measure(&b, &works[i]);
	ul_bench_end(&b);
	ul_model_free(b.m);
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_verb_bench = {
        .name = "bench",
        .usage = "[MODEL|SHAPE] [--work LIST]",
        .summary = "how fast this machine trains, unlearns, scores and generates",
        .max_args = 1,
        .opts = opts,
        .config = sizeof(ul_bench_config),
        .main = run,
};
