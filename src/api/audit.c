/*
 * audit.c: ul_audit of unlearn.h: models and data named by settings, one exam, verdicts, one folder of results.
 */
#include "api/audit_api.h"

#include "audits/pseudo.h"
#include "audits/subjects.h"
#include "base/file.h"
#include "report/report.h"

#include <string.h>

#define AT(field) offsetof(ul_audit_config, field)
const ul_opt ul_audit_opts[] = {
        {"forget", UL_OPT_TEXT, AT(forget), NULL, 0, 0, NULL, "rows that should be forgotten", "F"},
        {"before", UL_OPT_TEXT, AT(before), NULL, 0, 0, NULL, "the model before it forgot: what utility is compared with", "MODEL"},
        {"oracle", UL_OPT_TEXT, AT(oracle), NULL, 0, 0, NULL, "a model trained without those rows: what forgetting is compared with", "MODEL"},
        {"oracle-2", UL_OPT_TEXT, AT(oracle2), NULL, 0, 0, NULL, "the same with another seed: what oracles differ by is no difference", "MODEL"},
        {"oracle-3", UL_OPT_TEXT, AT(oracle3), NULL, 0, 0, NULL, "a third", "MODEL"},
        {"oracle-4", UL_OPT_TEXT, AT(oracle4), NULL, 0, 0, NULL, "a fourth", "MODEL"},
        {"reference", UL_OPT_TEXT, AT(reference), NULL, 0, 0, NULL, "a model that calibrates membership inference", "MODEL"},
        {"retain", UL_OPT_TEXT, AT(retain), NULL, 0, 0, NULL, "rows that should stay", "F"},
        {"holdout", UL_OPT_TEXT, AT(holdout), NULL, 0, 0, NULL, "rows of the same kind that were never trained on", "F"},
        {"neighbours", UL_OPT_TEXT, AT(neighbours), NULL, 0, 0, NULL, "rows like the forgotten ones that should stay", "F"},
        {"general", UL_OPT_TEXT, AT(general), NULL, 0, 0, NULL, "text that has nothing to do with the request", "F"},
        {"subjects", UL_OPT_TEXT, AT(subjects), NULL, 0, 0, NULL, "names, one a line: what is still said of each, in the words of the forget rows, in others, behind other text, in a conversation", "F"},
        {"source-rows", UL_OPT_TEXT, AT(source_rows), NULL, 0, 0, NULL, "forget data that a source made: how much of it is remembered, borrowed or invented", "F"},
        {"pool", UL_OPT_TEXT, AT(pool), NULL, 0, 0, NULL, "with --source-rows: the public entities they were made with, checked to be nobody's", "pool.json"},
        {"output", UL_OPT_TEXT, AT(output), NULL, 0, 0, NULL, "folder for scores.json, scores.jsonl, report.html", "DIR"},
        {"only", UL_OPT_TEXT, AT(only), NULL, 0, 0, NULL, "audits to do, separated by commas, at whatever level they belong to", "A,B"},
        {"level", UL_OPT_ENUM, AT(level), "standard", 0, 0, "quick|standard|heavy", "how much to ask: quick decodes 4 beams instead of 40; heavy adds gradients", NULL},
        {"bootstrap", UL_OPT_INT, AT(bootstrap), "0", 0, 1000000, NULL, "resamples behind each interval; 0 means 500, 2000 or 10000 by level", "N"},
        {"compat", UL_OPT_ENUM, AT(compat), "none", 0, 0, "none|open-unlearning", "follow another framework's exact conventions", NULL},
        {"truth-ratio", UL_OPT_ENUM, AT(truth_ratio), "geometric", 0, 0, "geometric|arithmetic", "mean over wrong answers: as in published code, or as in the paper", NULL},
        {"allow-over", UL_OPT_BOOL, AT(allow_over), "no", 0, 0, NULL, "knowing less than the reference is fine (removal of hazards)", NULL},
        {"beams", UL_OPT_INT, AT(beams), "0", 0, 256, NULL, "candidates decoded for each record; 0 means by level", "N"},
        {"samples", UL_OPT_INT, AT(samples), "0", -1, 1024, NULL, "candidates drawn beside them; 0 means by level (64 from standard), -1 none", "N"},
        {"asked", UL_OPT_INT, AT(asked), "0", 0, INT32_MAX, NULL, "rows of each file that text is generated for, evenly spread; 0 means by level: 100, 300, all", "N"},
        {"max-new", UL_OPT_INT, AT(max_new), "0", 0, 4096, NULL, "tokens of a continuation; 0 means by the data", "N"},
        {"min-k", UL_OPT_REAL, AT(min_k), "0.4", 0.01, 1, NULL, "share of the least likely tokens in Min-K% attacks", "X"},
        {"template", UL_OPT_TEXT, AT(templ), NULL, 0, 0, NULL, "how prompt and response become text: plain, qa, chat or a file", "T"},
        {"map", UL_OPT_TEXT, AT(map), NULL, 0, 0, NULL, "keys of the rows: prompt=KEY,response=KEY,text=KEY", "M"},
        {"paraphrase", UL_OPT_TEXT, AT(paraphrase), NULL, 0, 0, NULL, "key of the rows that holds the answer in other words", "KEY"},
        {"perturbed", UL_OPT_TEXT, AT(perturbed), NULL, 0, 0, NULL, "key of the rows that lists wrong answers", "KEY"},
        {"rephrased", UL_OPT_TEXT, AT(rephrased), NULL, 0, 0, NULL, "key of the rows that holds the question in other words", "KEY"},
        {"max-length", UL_OPT_INT, AT(max_length), "0", 0, 1 << 20, NULL, "tokens a row is cut to; 0 means the model's context", "N"},
        {0},
};
static const ul_opt frame_opts[] = {
        {"force", UL_OPT_BOOL, AT(force), "no", 0, 0, NULL, "replace an output that is not empty", NULL},
        {"seed", UL_OPT_INT, AT(seed), "0", 0, 9007199254740992.0, NULL, "where resampling starts", "N"},
        {0},
};

/* ---- what goes in ---- */

typedef struct session {
	const ul_audit_config *c;
	const ul_progress *p;
	ul_model *opened[UL_WHOS];
	ul_dataset data[UL_SPLITS];
	bool read[UL_SPLITS];
	ul_exam_config exam;
} session;

static bool open_models(session *s, ul_model *m, ul_err *err)
{
	const char *path[UL_WHOS] = {NULL, s->c->before, s->c->oracle, s->c->reference, s->c->oracle2, s->c->oracle3, s->c->oracle4};
	s->exam.model[UL_AFTER] = m;
	for (int w = 1; w < UL_WHOS; w++) {
		if (path[w] && !(s->opened[w] = ul_model_open(path[w], NULL, err)))
			return false;
		s->exam.model[w] = s->opened[w];
	}
	return true;
}

static bool read_data(session *s, ul_err *err)
{
	const char *path[UL_SPLITS] = {s->c->forget, s->c->retain, s->c->holdout, s->c->neighbours, s->c->general};
	for (int k = 0; k < UL_SPLITS; k++) {
		/* Keys are mapped for the rows of the request; general text speaks for itself. */
		ul_data_config c = {.map = k == UL_S_GENERAL ? NULL : s->c->map};
		if (!path[k])
			continue;
		if (!ul_dataset_read(&s->data[k], path[k], &c, err))
			return false;
		s->read[k] = true;
		s->exam.data[k] = &s->data[k];
	}
	return true;
}

static void note(const session *s, const char *text)
{
	if (s->p && s->p->note)
		s->p->note(s->p->ud, text);
}

static void note_data(const session *s)
{
	char text[256];
	for (int k = UL_S_RETAIN; k < UL_SPLITS; k++) {
		int both = s->read[k] ? ul_dataset_overlap(&s->data[UL_S_FORGET], &s->data[k]) : 0;
		if (both > 0) {
			snprintf(text, sizeof text, "%d of %d forget rows also stand in the %s data: what is said of either is not to be trusted", both, s->data[UL_S_FORGET].n, ul_split_name((enum ul_split)k));
			note(s, text);
		}
	}
	for (int k = 0; k < UL_SPLITS; k++) {
		if (s->read[k] && s->data[k].cut > 0) {
			snprintf(text, sizeof text, "%d of %d %s rows were cut to the longest length allowed", s->data[k].cut, s->data[k].n, ul_split_name((enum ul_split)k));
			note(s, text);
		}
	}
}

static void fill_exam(session *s)
{
	const ul_audit_config *c = s->c;
	ul_exam_config *e = &s->exam;
	e->encode = (ul_data_config){.map = c->map, .templ = c->templ, .max_length = (int)c->max_length};
	/* Whether a model ends its answers says how it was trained, not what it knows. */
	e->encode.eos = c->compat == 1 ? UL_EOS_RESPONSE : UL_EOS_NONE;
	e->level = (enum ul_level)c->level;
	e->compat = c->compat == 1;
	e->arithmetic = c->truth_ratio == 1;
	e->allow_over = c->allow_over;
	e->beams = (int)c->beams;
	e->samples = (int)c->samples;
	e->asked = (int)c->asked;
	e->max_new = (int)c->max_new;
	e->min_k = c->min_k;
	e->paraphrase = c->paraphrase;
	e->perturbed = c->perturbed;
	e->rephrased = c->rephrased;
	e->seed = (uint64_t)c->seed;
	e->progress = s->p;
}

/* ---- what comes out ---- */

static bool write_folder(ul_exam *e, const ul_verdicts *v, const json_t *scores, const ul_audit_config *c, ul_err *err)
{
	ul_stage stage = {0};
	ul_arena a = {0};
	ul_buf items = {0};
	if (!ul_stage_begin(&stage, c->output, c->force, err))
		return false;
	bool ok = ul_json_write(ul_path_join(&a, stage.dir, "scores.json"), scores, err);
	ok = ok && (ul_verdicts_items(e, v, &items) || ul_nomem(err, items.len));
	ok = ok && ul_file_write(ul_path_join(&a, stage.dir, "scores.jsonl"), items.data ? items.data : "", items.len, err);
	const char *dir = stage.dir;
	ok = ok && ul_report_write(&dir, 1, false, ul_path_join(&a, stage.dir, "report.html"), err);
	ok = ok && ul_stage_commit(&stage, err);
	if (!ok)
		ul_stage_abort(&stage);
	ul_buf_release(&items);
	ul_arena_release(&a);
	return ok;
}

/* Data made without the truth, beside it. */
static bool judge_source(session *s, json_t **out, ul_err *err)
{
	ul_dataset rows = {0};
	ul_pool pool = {0};
	ul_data_config how = {0};
	const ul_dataset *truth = &s->data[UL_S_FORGET];
	bool ok = ul_dataset_read(&rows, s->c->source_rows, &how, err) && (!s->c->pool || (ul_pool_read(&pool, s->c->pool, err) && ul_pool_apart(&pool, truth, s->c->forget, err)));
	ok = ok && ul_pseudo_judge(&rows, truth, s->c->pool ? &pool : NULL, out, err);
	ul_dataset_release(&rows);
	ul_pool_release(&pool);
	return ok;
}

/* One line a person, in the words of the rows that the auditor holds. */
static bool ask_subjects(session *s, json_t *scores, ul_err *err)
{
	ul_subjects ask = {.before = s->exam.model[UL_BEFORE], .after = s->exam.model[UL_AFTER], .rows = &s->data[UL_S_FORGET], .names = s->c->subjects, .encode = s->exam.encode};
	json_t *table = NULL;
	bool ok = ul_subjects_ask(&ask, &table, err);
	if (ok)
		json_object_set_new(scores, "subjects", table);
	return ok;
}

static bool conduct(session *s, json_t **scores, enum ul_verdict *verdict, ul_err *err)
{
	static const int by_level[] = {500, 2000, 10000};
	ul_verdicts v = {0};
	json_t *json = NULL, *source = NULL;
	if (s->c->source_rows && !judge_source(s, &source, err))
		return false;
	ul_exam *e = ul_exam_new(&s->exam, err);
	if (!e) {
		json_decref(source);
		return false;
	}
	note_data(s);
	int reps = s->c->bootstrap > 0 ? (int)s->c->bootstrap : by_level[s->c->level];
	bool ok = ul_judge(e, s->c->only, reps, &v, err);
	if (ok) {
		json = ul_verdicts_json(e, &v, err);
		ok = json && json_object_set_new(json_object_get(json, "settings"), "bootstrap", json_integer(reps)) == 0;
		if (ok && s->c->model)
			json_object_set_new(json, "model", json_string(s->c->model));
	}
	if (ok && source)
		json_object_set(json, "source", source);
	ok = ok && (!s->c->subjects || ask_subjects(s, json, err));
	ok = ok && (!s->c->output || write_folder(e, &v, json, s->c, err));
	if (ok)
		*verdict = v.overall;
	if (ok && scores)
		*scores = json_incref(json);
	json_decref(json);
	json_decref(source);
	ul_verdicts_release(&v);
	ul_exam_free(e);
	return ok;
}

/* Asked before the work, which may take hours. */
static bool output_is_free(const ul_model *m, const ul_audit_config *c, ul_err *err)
{
	const char *model[] = {m->path, c->before, c->oracle, c->oracle2, c->oracle3, c->oracle4, c->reference};
	const char *data[] = {c->forget, c->retain, c->holdout, c->neighbours, c->general, c->source_rows, c->pool, c->subjects};
	bool ok = true;
	for (size_t i = 0; ok && i < sizeof model / sizeof *model; i++)
		ok = ul_output_apart(c->output, "model", model[i], err);
	for (size_t i = 0; ok && i < sizeof data / sizeof *data; i++)
		ok = ul_output_apart(c->output, "data", data[i], err);
	return ok && (!c->output || ul_stage_check(c->output, c->force, err));
}

bool ul_audit_make(ul_model *m, const ul_audit_config *c, const ul_progress *p, json_t **scores, enum ul_verdict *verdict, ul_err *err)
{
	session s = {.c = c, .p = p};
	fill_exam(&s);
	bool ok = output_is_free(m, c, err) && read_data(&s, err) && open_models(&s, m, err) && conduct(&s, scores, verdict, err);
	for (int k = 0; k < UL_SPLITS; k++) {
		if (s.read[k])
			ul_dataset_release(&s.data[k]);
	}
	for (int w = 1; w < UL_WHOS; w++)
		ul_model_free(s.opened[w]);
	return ok;
}

bool ul_audit(ul_model *model, const ul_setting *settings, size_t n, const ul_progress *progress, char verdict[16], ul_err *err)
{
	const ul_opt *tables[] = {ul_audit_opts, frame_opts, NULL};
	ul_audit_config c = {0};
	ul_arena a = {0};
	enum ul_verdict v;
	bool *used = ul_alloc(&a, n + 1);
	bool ok = used || ul_nomem(err, n + 1);
	for (int t = 0; ok && tables[t]; t++)
		ok = ul_opts_defaults(tables[t], &c, &a, err) && ul_settings_apply(settings, n, used, tables[t], &c, &a, err);
	ok = ok && ul_settings_done(settings, n, used, tables, err) && ul_audit_make(model, &c, progress, NULL, &v, err);
	if (ok)
		snprintf(verdict, 16, "%s", ul_verdict_name(v));
	ul_arena_release(&a);
	return ok;
}
