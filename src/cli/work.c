/*
 * work.c: what several verbs begin with.
 */
#include "cli/work.h"

#include "model/generate.h"

#include <time.h>

double ul_work_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

ul_model *ul_work_model(ul_cli *c, const char *path)
{
	return ul_model_open(path, c->adapter, &c->err);
}

bool ul_work_data(ul_cli *c, ul_dataset *d, const char *path, const ul_model *m, const ul_data_config *how)
{
	if (!ul_dataset_read(d, path, how, &c->err) || !ul_dataset_tokenize(d, m, how, &c->err))
		return false;
	if (d->cut)
		ul_work_note(c, "%d of %d rows were cut to %d tokens", d->cut, d->n, how->max_length > 0 && how->max_length < m->cfg.context ? how->max_length : m->cfg.context);
	return true;
}

void ul_work_note(ul_cli *c, const char *fmt, ...)
{
	char sentence[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof sentence, fmt, ap);
	va_end(ap);
	if (c->progress.note)
		c->progress.note(c->progress.ud, sentence);
}

int ul_work_usage(ul_cli *c, const char *fmt, ...)
{
	char sentence[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof sentence, fmt, ap);
	va_end(ap);
	ul_fail(&c->err, "%s", sentence);
	c->usage = true;
	return ul_cli_fail(c);
}

json_t *ul_work_text(const char *s, size_t n)
{
	ul_buf b = {0};
	ul_utf8_mend(s, n, &b);
	json_t *v = json_stringn(b.data ? b.data : "", b.len);
	ul_buf_release(&b);
	return v;
}

json_t *ul_work_ids(const int *ids, int n)
{
	json_t *list = json_array();
	for (int i = 0; i < n; i++)
		json_array_append_new(list, json_integer(ids[i]));
	return list;
}
