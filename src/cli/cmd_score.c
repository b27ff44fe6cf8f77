/*
 * cmd_score.c: score MODEL --data F. How probable the model finds what is labelled in each row: one JSON line per row.
 */
#include "cli/work.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

struct config {
	const char *data, *map, *templ;
	int64_t max_length, window, stride;
	bool tokens, eos;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"data", UL_OPT_TEXT, AT(data), NULL, 0, 0, NULL, "rows to score", "F"},
        {"tokens", UL_OPT_BOOL, AT(tokens), "no", 0, 0, NULL, "add the ids of each row and the log-probability of each", NULL},
        {"window", UL_OPT_INT, AT(window), "0", 0, 1 << 24, NULL, "score long texts in windows of N tokens; 0 cuts rows to the context", "N"},
        {"stride", UL_OPT_INT, AT(stride), "0", 0, 1 << 24, NULL, "tokens scored per window; 0 means half of it", "N"},
        {"template", UL_OPT_TEXT, AT(templ), NULL, 0, 0, NULL, "plain, qa, chat or a file: how prompt and response become text", "NAME"},
        {"map", UL_OPT_TEXT, AT(map), NULL, 0, 0, NULL, "names of the keys: prompt=KEY,response=KEY or text=KEY", "MAP"},
        {"max-length", UL_OPT_INT, AT(max_length), "0", 0, 1 << 24, NULL, "cut rows to N tokens; 0 means the context", "N"},
        {"eos", UL_OPT_BOOL, AT(eos), "no", 0, 0, NULL, "count the end token behind a response too, as training does", NULL},
        {0},
};

struct total {
	double nll;
	int64_t tokens;
};

static json_t *line_of(int row, int64_t tokens, double nll)
{
	return json_pack("{s:i, s:I, s:o, s:o}", "row", row, "tokens", (json_int_t)tokens, "nll", ul_json_number(nll), "mean_nll", ul_json_number(tokens ? nll / (double)tokens : NAN));
}

static void print(ul_cli *c, json_t *line, struct total *sum, int64_t tokens, double nll)
{
	ul_cli_print(c, line);
	json_decref(line);
	sum->nll += nll;
	sum->tokens += tokens;
}

/* With --tokens every position is predicted; what counts is still what was labelled. */
static void print_tokens(ul_cli *c, int i, const ul_row *r, const ul_row_score *s, const unsigned char *labelled, struct total *sum)
{
	json_t *logp = json_array();
	double nll = 0;
	int tokens = 0;
	for (int t = 0; t < r->n; t++) {
		json_array_append_new(logp, t ? ul_json_number(s->logp[t - 1]) : json_null());
		if (t && (labelled[t] & UL_ROW_LABEL)) {
			nll -= s->logp[t - 1];
			tokens++;
		}
	}
	json_t *line = line_of(i, tokens, nll);
	json_object_set_new(line, "ids", ul_work_ids(r->ids, r->n));
	json_object_set_new(line, "logp", logp);
	print(c, line, sum, tokens, nll);
}

static bool score_rows(ul_cli *c, const struct config *o, ul_model *m, ul_dataset *d, struct total *sum, double *seconds)
{
	unsigned char **labelled = ul_alloc(&c->arena, (size_t)d->n * sizeof *labelled);
	ul_scores s = {0};
	if (!labelled)
		return ul_nomem(&c->err, (size_t)d->n * sizeof *labelled);
	for (int i = 0; o->tokens && i < d->n; i++) {
		ul_row *r = &d->row[i];
		labelled[i] = ul_alloc(&c->arena, (size_t)r->n);
		if (!labelled[i])
			return ul_nomem(&c->err, (size_t)r->n);
		memcpy(labelled[i], r->flags, (size_t)r->n);
		memset(r->flags, UL_ROW_LABEL, (size_t)r->n);
	}
	if (!ul_score(m, d, 0, &s, &c->progress, &c->err))
		return false;
	for (int i = 0; i < d->n; i++) {
		if (o->tokens)
			print_tokens(c, i, &d->row[i], &s.row[i], labelled[i], sum);
		else
			print(c, line_of(i, s.row[i].n, s.row[i].nll), sum, s.row[i].n, s.row[i].nll);
	}
	*seconds = s.seconds;
	ul_scores_release(&s);
	return true;
}

static bool score_windows(ul_cli *c, const struct config *o, ul_model *m, const ul_dataset *d, struct total *sum, double *seconds)
{
	int window = (int)o->window, stride = o->stride ? (int)o->stride : window / 2;
	double begun = ul_work_seconds();
	if (d->shape != UL_SHAPE_TEXT && d->shape != UL_SHAPE_IDS)
		return ul_fail(&c->err, "--window takes rows of text or of ids");
	for (int i = 0; i < d->n; i++) {
		double nll = 0;
		int64_t tokens = 0;
		if (!ul_score_windows(m, d->row[i].ids, d->row[i].n, window, stride, &nll, &tokens, &c->err))
			return false;
		print(c, line_of(i, tokens, nll), sum, tokens, nll);
	}
	*seconds = ul_work_seconds() - begun;
	return true;
}

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	ul_data_config how = {.map = o->map, .templ = o->templ, .max_length = o->window ? -1 : (int)o->max_length, .eos = o->eos ? UL_EOS_RESPONSE : UL_EOS_NONE};
	ul_dataset d = {0};
	struct total sum = {0};
	double seconds = 0;
	if (!o->data)
		return ul_work_usage(c, "score needs --data F");
	if (o->window && o->tokens)
		return ul_work_usage(c, "--tokens and --window do not go together");
	ul_model *m = ul_work_model(c, c->arg[0]);
	bool ok = m && ul_work_data(c, &d, o->data, m, &how);
	ok = ok && (o->window ? score_windows(c, o, m, &d, &sum, &seconds) : score_rows(c, o, m, &d, &sum, &seconds));
	if (ok && !c->quiet) {
		fflush(stdout);
		double mean = sum.tokens ? sum.nll / (double)sum.tokens : NAN;
		fprintf(stderr, "%lld tokens, mean NLL %.6f, perplexity %.4f, %.0f tokens/s\n", (long long)sum.tokens, mean, exp(mean), (double)sum.tokens / (seconds + 1e-9));
	}
	ul_dataset_release(&d);
	ul_model_free(m);
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_verb_score = {
        .name = "score",
        .usage = "MODEL --data F [--tokens] [--window N]",
        .summary = "how probable a model finds each row",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
