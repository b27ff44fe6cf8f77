/*
 * cmd_source.c: source MODEL --source NAME -o forget.jsonl. Only make the forget data, each row with its provenance, to look at
 * before use.
 */
#include "cli/work.h"
#include "sources/source.h"

struct config {
	const char *source, *subjects, *annotator, *output;
	double annotator_seconds;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"source", UL_OPT_TEXT, AT(source), NULL, 0, 0, NULL, "where the rows come from: `unlearn sources` lists them", "NAME"},
        {"subjects", UL_OPT_TEXT, AT(subjects), NULL, 0, 0, NULL, "a file of names, one a line: only what concerns them", "F"},
        {"annotator", UL_OPT_TEXT, AT(annotator), NULL, 0, 0, NULL, "a shell command that marks personal data too, a JSON line for a JSON line; self: the model does, shown a few examples", "COMMAND"},
        {"annotator-seconds", UL_OPT_REAL, AT(annotator_seconds), "120", 0.01, 86400, NULL, "how long it may take for one text", "X"},
        {"output", UL_OPT_TEXT, AT(output), NULL, 0, 0, NULL, "the rows, as JSON Lines", "F.jsonl"},
        {0},
};

static bool write_rows(ul_cli *c, const ul_dataset *d, const char *path)
{
	ul_buf out = {0};
	for (int i = 0; i < d->n; i++)
		ul_json_line(&out, d->row[i].json);
	bool ok = (!out.failed || ul_nomem(&c->err, out.cap)) && ul_file_write(path, out.data ? out.data : "", out.len, &c->err);
	ul_buf_release(&out);
	return ok;
}

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	if (!o->source || !o->output)
		return ul_work_usage(c, "source needs --source NAME and -o FILE");
	const ul_source *s = ul_source_find(o->source, &c->err);
	if (!s)
		return ul_cli_fail(c);
	void *config = ul_cli_config(c, s->opts, s->config);
	if (!config || !ul_cli_done(c, (const ul_opt *const[]){s->opts, NULL}))
		return ul_cli_fail(c);
	if (ul_file_exists(o->output) && !c->force) {
		ul_fail(&c->err, "%s exists", o->output);
		ul_hint(&c->err, "--force replaces it");
		return ul_cli_fail(c);
	}
	ul_dataset rows = {0};
	ul_source_job job = {.config = config, .seed = (uint64_t)c->seed, .subjects = o->subjects, .progress = &c->progress, .out = &rows, .summary = json_object()};
	bool ok = (!s->prepare || s->prepare(config, &c->err)) && (!o->annotator || (job.annotator = ul_annotator_start(o->annotator, o->annotator_seconds, &c->err)));
	job.model = ok ? ul_work_model(c, c->arg[0]) : NULL;
	ok = job.model && ul_annotator_attach(job.annotator, job.model, &c->err) && ul_source_make(s, &job, &c->err);
	ok = ok && write_rows(c, &rows, o->output);
	if (ok) {
		json_object_set_new(job.summary, "source", json_string(s->name));
		json_object_set_new(job.summary, "output", json_string(o->output));
		json_object_set_new(job.summary, "rows", json_integer(rows.n));
		if (c->json)
			ul_cli_print(c, job.summary);
		else if (!c->quiet)
			printf("%s: %d rows\n", o->output, rows.n);
	}
	if (s->end)
		s->end(config);
	ul_annotator_free(job.annotator);
	json_decref(job.summary);
	ul_dataset_release(&rows);
	ul_model_free(job.model);
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_verb_source = {
        .name = "source",
        .usage = "MODEL --source NAME -o F.jsonl [--subjects F]",
        .summary = "make forget data without unlearning anything",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .config = sizeof(struct config),
        .plugins = true,
        .main = run,
};
