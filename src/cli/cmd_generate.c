/*
 * cmd_generate.c: generate MODEL (--prompt T | --data F). What the model says next: streamed to a terminal, or a line for each.
 */
#include "cli/work.h"
#include "model/generate.h"

#include <string.h>
#include <unistd.h>

struct config {
	const char *prompt, *data, *map, *templ, *stop;
	int64_t max_new, top_k, beams, samples, batch, temperature_steps;
	double temperature, temperature_from, top_p;
	bool ignore_eos, chat;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"prompt", UL_OPT_TEXT, AT(prompt), NULL, 0, 0, NULL, "what stands before; empty: the token that begins texts", "T"},
        {"data", UL_OPT_TEXT, AT(data), NULL, 0, 0, NULL, "prompts from rows: the prompt, the text, the turns so far, or the unlabelled ids", "F"},
        {"max-new", UL_OPT_INT, AT(max_new), "64", 1, 1 << 20, NULL, "tokens of a continuation", "N"},
        {"temperature", UL_OPT_REAL, AT(temperature), "0", 0, 100, NULL, "0 takes the most probable token", "T"},
        {"temperature-from", UL_OPT_REAL, AT(temperature_from), "0", 0, 100, NULL, "begin there and fall to --temperature; 0 is off", "T"},
        {"temperature-steps", UL_OPT_INT, AT(temperature_steps), "20", 0, 1 << 20, NULL, "over so many tokens", "N"},
        {"top-k", UL_OPT_INT, AT(top_k), "0", 0, 1 << 24, NULL, "only the k most probable tokens; 0 means all", "K"},
        {"top-p", UL_OPT_REAL, AT(top_p), "1", 0, 1, NULL, "only the most probable tokens that make up this probability", "P"},
        {"beams", UL_OPT_INT, AT(beams), "1", 1, 1024, NULL, "search for the most probable continuation with so many beams", "B"},
        {"samples", UL_OPT_INT, AT(samples), "1", 1, 65536, NULL, "continuations of each prompt", "N"},
        {"stop", UL_OPT_TEXT, AT(stop), NULL, 0, 0, NULL, "end before this text; may be given several times", "STR"},
        {"ignore-eos", UL_OPT_BOOL, AT(ignore_eos), "no", 0, 0, NULL, "go on past the end of text", NULL},
        {"chat", UL_OPT_BOOL, AT(chat), "no", 0, 0, NULL, "the prompt is what a user says, in the model's chat template", NULL},
        {"template", UL_OPT_TEXT, AT(templ), NULL, 0, 0, NULL, "plain, qa, chat or a file, for rows of prompt and response", "NAME"},
        {"map", UL_OPT_TEXT, AT(map), NULL, 0, 0, NULL, "names of the keys: prompt=KEY,response=KEY or text=KEY", "MAP"},
        {"batch", UL_OPT_INT, AT(batch), "0", 0, 4096, NULL, "sequences decoded together; 0 means as memory allows", "N"},
        {0},
};

/* ---- prompts ---- */

struct work {
	ul_cli *c;
	const struct config *o;
	ul_model *m;
	ul_dataset d;
	ul_ids *prompt;
	int n;
};

static bool prompts(struct work *w)
{
	const struct config *o = w->o;
	ul_data_config how = {.map = o->map, .templ = o->chat ? "chat" : o->templ};
	ul_err *err = &w->c->err;
	if (o->data && !ul_dataset_read(&w->d, o->data, &how, err))
		return false;
	w->n = o->data ? w->d.n : 1;
	w->prompt = ul_alloc(&w->c->arena, (size_t)w->n * sizeof *w->prompt);
	if (!w->prompt)
		return ul_nomem(err, (size_t)w->n * sizeof *w->prompt);
	for (int i = 0; i < w->n; i++) {
		const char *text = o->data ? w->d.row[i].text : o->prompt;
		bool ok = text && o->chat ? ul_prompt_encode(w->m, &how, text, &w->prompt[i], err) : o->data ? ul_row_prompt(w->m, &how, &w->d.row[i], &w->prompt[i], err)
		                                                                                             : ul_text_encode(w->m, text, strlen(text), &w->prompt[i], err); /* NOLINT(clang-analyzer-core.*): never NULL here */
		if (!ok)
			return false;
	}
	return true;
}

/* Every --stop on the line, not only the last. */
static const char *const *stops(ul_cli *c)
{
	const char **list = ul_alloc(&c->arena, (c->settings + 1) * sizeof *list);
	size_t n = 0;
	for (size_t i = 0; list && i < c->settings; i++)
		if (!strcmp(c->setting[i].key, "stop"))
			list[n++] = c->setting[i].value;
	return n ? list : NULL;
}

/* ---- streaming: what cannot change any more is shown at once ---- */

struct stream {
	struct work *w;
	ul_ids said;
	size_t shown, hold; /* hold: bytes that may yet turn out to begin a stop string */
};

static void show(struct stream *s, const char *text, size_t n)
{
	if (n > s->shown) {
		fwrite(text + s->shown, 1, n - s->shown, stdout);
		fflush(stdout);
		s->shown = n;
	}
}

static bool on_token(void *ud, int prompt, int sample, int id)
{
	struct stream *s = ud;
	ul_buf text = {0};
	if (id >= 0) {
		ul_ids_add(&s->said, id);
		ul_gen_text(s->w->m->tok, s->w->prompt[0].id, s->w->prompt[0].n, s->said.id, s->said.n, &text);
		show(s, text.data, text.len > s->hold ? ul_utf8_whole(text.data, text.len - s->hold) : 0);
		ul_buf_release(&text);
	}
	return !ul_cli_interrupted(NULL);
}

static bool on_count(void *ud, int prompt, int sample, int id)
{
	struct work *w = ud;
	if (w->c->progress.tick)
		w->c->progress.tick(w->c->progress.ud, "generate", prompt, w->n, 0, 0);
	return !ul_cli_interrupted(NULL);
}

/* ---- results ---- */

static void print_json(struct work *w, const ul_gen *g)
{
	static const char *const finish[] = {"length", "eos", "stop", "context", "doubt"};
	const ul_ids *p = &w->prompt[g->prompt];
	const char *said = w->o->data ? (w->d.row[g->prompt].text ? w->d.row[g->prompt].text : w->d.row[g->prompt].prompt) : w->o->prompt;
	json_t *prompt = said ? ul_work_text(said, strlen(said)) : ul_work_ids(p->id, p->n);
	json_t *text = g->text ? ul_work_text(g->text, strlen(g->text)) : json_null();
	json_t *v = json_pack("{s:i, s:i, s:o, s:o, s:o, s:s, s:o}", "row", g->prompt, "sample", g->sample, "prompt", prompt, "text", text, "ids", ul_work_ids(g->ids, g->n), "finish", finish[g->finish], "logp", ul_json_number(g->logp));
	ul_cli_print(w->c, v);
	json_decref(v);
}

static void print_text(const ul_gen *g, bool many)
{
	if (many)
		printf("--- row %d, sample %d\n", g->prompt, g->sample);
	if (g->text)
		printf("%s\n", g->text);
	for (int i = 0; !g->text && i < g->n; i++)
		printf(i + 1 < g->n ? "%d " : "%d\n", g->ids[i]);
}

static bool generate(struct work *w)
{
	ul_cli *c = w->c;
	const struct config *o = w->o;
	struct stream stream = {.w = w};
	ul_gen_config how = {.max_new = (int)o->max_new, .temperature = o->temperature, .temperature_from = o->temperature_from, .temperature_steps = (int)o->temperature_steps, .top_k = (int)o->top_k, .top_p = o->top_p, .beams = (int)o->beams, .samples = (int)o->samples, .stop = stops(c), .ignore_eos = o->ignore_eos, .seed = (uint64_t)c->seed, .batch = (int)o->batch};
	bool one = w->n == 1 && o->samples == 1, live = one && o->beams == 1 && !c->json && w->m->tok && isatty(STDOUT_FILENO);
	for (size_t i = 0; how.stop && how.stop[i]; i++)
		stream.hold = strlen(how.stop[i]) > stream.hold + 1 ? strlen(how.stop[i]) - 1 : stream.hold;
	how.on_token = live ? on_token : on_count;
	how.ud = live ? (void *)&stream : (void *)w;
	ul_gen *g = NULL;
	bool ok = ul_generate(w->m, w->prompt, w->n, &how, &c->arena, &g, &c->err);
	if (ok && live) {
		show(&stream, g->text, strlen(g->text));
		printf("\n");
	}
	for (int i = 0; ok && !live && i < w->n * (int)o->samples; i++) {
		if (c->json)
			print_json(w, &g[i]);
		else
			print_text(&g[i], !one);
	}
	ul_ids_release(&stream.said);
	return ok;
}

static int run(ul_cli *c, const void *given)
{
	struct work w = {.c = c, .o = given};
	if (!w.o->prompt == !w.o->data)
		return ul_work_usage(c, "generate needs one of --prompt T and --data F");
	if (w.o->beams > 1 && w.o->samples > w.o->beams)
		return ul_work_usage(c, "%lld samples are asked of %lld beams", (long long)w.o->samples, (long long)w.o->beams);
	if (w.o->beams > 1 && (w.o->temperature > 0 || w.o->temperature_from > 0))
		return ul_work_usage(c, "beams search for the most probable continuation, --temperature draws one: give one of them");
	for (const char *const *s = stops(c); s && *s; s++)
		if (!**s)
			return ul_work_usage(c, "--stop needs a text; the empty one would end everything at once");
	w.m = ul_work_model(c, c->arg[0]);
	bool ok = w.m && prompts(&w) && generate(&w);
	for (int i = 0; w.prompt && i < w.n; i++)
		ul_ids_release(&w.prompt[i]);
	ul_dataset_release(&w.d);
	ul_model_free(w.m);
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_verb_generate = {
        .name = "generate",
        .usage = "MODEL (--prompt T | --data F) [--max-new N] [--temperature T]",
        .summary = "what a model says next",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
