/*
 * file.c: the source of those who have the data: rows of a request file, as they stand, or with personal data marked.
 */
#include "data/annotate.h"
#include "sources/source.h"

#include <string.h>

struct config {
	const char *file, *map;
	bool annotate;
};

enum { MAX_FINDINGS = 256 };

static const ul_opt opts[] = {
        {"file", UL_OPT_TEXT, offsetof(struct config, file), NULL, 0, 0, NULL, "rows to forget, in any shape that data files have", "F"},
        {"file-map", UL_OPT_TEXT, offsetof(struct config, map), NULL, 0, 0, NULL, "names of its keys: prompt=KEY,response=KEY or text=KEY", "MAP"},
        {"annotate", UL_OPT_BOOL, offsetof(struct config, annotate), "no", 0, 0, NULL, "mark personal data in rows that have no spans, by the recognisers and --annotator", NULL},
        {0},
};

/* Marks in the text of a row, or in its response, where nobody has marked anything. */
static bool annotate(ul_source_job *j, const ul_row *r, json_t *record, ul_err *err)
{
	ul_finding f[MAX_FINDINGS];
	const char *text = r->text ? r->text : r->response;
	if (!text || json_object_get(record, "spans"))
		return true;
	int n = ul_annotate(j->annotator, text, strlen(text), 0, NULL, f, MAX_FINDINGS, err);
	return n >= 0 && (json_object_set_new(record, "spans", ul_spans_json(text, f, n)) == 0 || ul_nomem(err, strlen(text)));
}

static bool make(ul_source_job *j, ul_err *err)
{
	const struct config *c = j->config;
	ul_data_config how = {.map = c->map};
	ul_dataset rows = {0};
	if (!c->file) {
		ul_fail(err, "the source \"file\" needs a file");
		ul_hint(err, "give it with --file F");
		return false;
	}
	if (!ul_dataset_read(&rows, c->file, &how, err))
		return false;
	bool ok = true;
	for (int i = 0; ok && i < rows.n; i++) {
		json_t *record = json_deep_copy(rows.row[i].json);
		if (record && (rows.row[i].text || rows.row[i].prompt)) { /* under the usual names: the map ends here */
			json_object_set_new(record, rows.row[i].text ? "text" : "prompt", json_string(rows.row[i].text ? rows.row[i].text : rows.row[i].prompt));
			if (rows.row[i].response)
				json_object_set_new(record, "response", json_string(rows.row[i].response));
		}
		if (record)
			json_object_set_new(record, "source", json_pack("{s:s, s:s, s:s, s:i}", "name", "file", "path", c->file, "sha256", rows.sha256, "line", rows.row[i].line));
		ok = (record || ul_nomem(err, 0)) && (!c->annotate || annotate(j, &rows.row[i], record, err)) && ul_dataset_add(j->out, record, err);
		json_decref(record);
		if (j->progress && j->progress->tick)
			j->progress->tick(j->progress->ud, "read", i + 1, rows.n, 0, 0);
	}
	if (ok && j->summary) {
		json_object_set_new(j->summary, "rows", json_integer(rows.n));
		json_object_set_new(j->summary, "file", json_string(c->file));
		json_object_set_new(j->summary, "sha256", json_string(rows.sha256));
	}
	ul_dataset_release(&rows);
	return ok;
}

const ul_source ul_source_file = {
        .name = "file",
        .title = "rows of a request file",
        .notes = "The rows are taken verbatim; each is noted with the file, its SHA-256 and the line it came from.",
        .config = sizeof(struct config),
        .opts = opts,
        .make = make,
};
