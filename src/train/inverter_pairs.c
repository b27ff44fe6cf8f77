/*
 * inverter_pairs.c: what a target expects behind texts, computed once and kept on disk; and what two such expectations have in
 * common. A row of the last hidden states stands for the distribution: the head makes it whole again.
 */
#include "train/inverter.h"

#include "base/file.h"
#include "data/novelty.h"
#include "model/safetensors.h"

#include <math.h>
#include <string.h>

enum { PASS_TOKENS = 1024,
	HEAD_ROWS = 64 };

/* ---- one pass ---- */

/* Sequences [0, n) end to end; the final row of each last token. */
static bool last_rows(ul_model *m, const ul_ids *seq, int n, float *out, ul_arena *a, ul_err *err)
{
	int rows = 0;
	for (int i = 0; i < n; i++) {
		rows += seq[i].n;
	}
	int *ids = ul_alloc(a, (size_t)rows * sizeof *ids), *pos = ul_alloc(a, (size_t)rows * sizeof *pos);
	int *start = ul_alloc(a, ((size_t)n + 1) * sizeof *start), *last = ul_alloc(a, (size_t)n * sizeof *last);
	if (!ids || !pos || !start || !last) {
		return ul_nomem(err, (size_t)rows * sizeof *ids);
	}
	for (int i = 0; i < n; i++) {
		for (int t = 0; t < seq[i].n; t++) {
			ids[start[i] + t] = seq[i].id[t];
			pos[start[i] + t] = t;
		}
		start[i + 1] = start[i] + seq[i].n;
		last[i] = start[i + 1] - 1;
	}
	ul_tape tape;
	ul_tape_init(&tape, m->be);
	tape.record = false;
	ul_pass p = {.tape = &tape, .ids = ids, .pos = pos, .span = {n, start}};
	ul_val *h = ul_rows(ul_forward(m, &p), last, n); /* [n, hidden] */
	bool ok = ul_tape_ok(&tape, err);
	if (ok) {
		ul_read_f32(h, out);
	}
	ul_tape_release(&tape);
	return ok;
}

bool ul_last_rows(ul_model *m, const ul_ids *seq, int n, float *out, const ul_progress *progress, ul_err *err)
{
	ul_arena a = {0};
	bool ok = true;
	for (int i = 0, k; ok && i < n; i += k) {
		int rows = seq[i].n;
		for (k = 1; i + k < n && rows + seq[i + k].n <= PASS_TOKENS; k++) {
			rows += seq[i + k].n;
		}
		ok = last_rows(m, seq + i, k, out + (size_t)i * (size_t)m->cfg.hidden, &a, err);
		ul_arena_reset(&a, (ul_mark){0});
		if (ok && progress && progress->tick) {
			progress->tick(progress->ud, "look", i + k, n, 0, 0);
		}
		if (ok && progress && progress->stop && progress->stop(progress->ud)) {
			ok = ul_fail(err, "interrupted after %d of %d texts", i + k, n);
		}
	}
	ul_arena_release(&a);
	return ok;
}

/* ---- distributions ---- */

static void log_softmax(const float *z, int n, double *out)
{
	double max = z[0], sum = 0;
	for (int i = 1; i < n; i++) {
		max = z[i] > max ? z[i] : max;
	}
	for (int i = 0; i < n; i++) {
		sum += exp(z[i] - max);
	}
	for (int i = 0; i < n; i++) {
		out[i] = z[i] - max - log(sum);
	}
}

bool ul_rows_logp(ul_model *m, const float *hidden, int n, double *out, ul_err *err)
{
	size_t vocab = (size_t)m->cfg.vocab, width = (size_t)m->cfg.hidden;
	float *z = ul_malloc((size_t)(n < HEAD_ROWS ? n : HEAD_ROWS) * vocab * sizeof *z);
	bool ok = z || ul_nomem(err, (size_t)n * vocab * sizeof *z);
	ul_tape tape;
	ul_tape_init(&tape, m->be);
	tape.record = false;
	for (int at = 0; ok && at < n; at += HEAD_ROWS) {
		int k = n - at < HEAD_ROWS ? n - at : HEAD_ROWS;
		ul_val *x = ul_head_logits(ul_const_f32(&tape, k, (int)width, hidden + (size_t)at * width), m->head, m->head_b); /* [k, vocab] */
		ok = ul_tape_ok(&tape, err);
		if (ok) {
			ul_read_f32(x, z);
		}
		for (int i = 0; ok && i < k; i++) {
			log_softmax(z + (size_t)i * vocab, m->cfg.vocab, out + (size_t)(at + i) * vocab);
		}
		ul_tape_reset(&tape);
	}
	ul_tape_release(&tape);
	ul_free(z);
	return ok;
}

bool ul_rows_kl(ul_model *m, const float *p, const float *q, int n, double *out, ul_err *err)
{
	size_t vocab = (size_t)m->cfg.vocab, width = (size_t)m->cfg.hidden;
	double *lp = ul_malloc(2 * vocab * sizeof *lp);
	bool ok = lp || ul_nomem(err, 2 * vocab * sizeof *lp);
	for (int i = 0; ok && i < n; i++) {
		ok = ul_rows_logp(m, p + (size_t)i * width, 1, lp, err) && ul_rows_logp(m, q + (size_t)i * width, 1, lp + vocab, err);
		double kl = 0;
		for (size_t j = 0; ok && j < vocab; j++) {
			kl += exp(lp[j]) * (lp[j] - lp[vocab + j]);
		}
		out[i] = kl;
	}
	ul_free(lp);
	return ok;
}

/* ---- on disk ---- */

/* Named by the weights' hash, by what the model says behind the first text (an adapter is not in the hash) and by all texts. */
static bool file_of(const ul_pairs *p, ul_model *m, int length, const char *cache, ul_arena *a, char **path, ul_err *err)
{
	char hex[65];
	if (!ul_model_hash(m, err)) {
		return false;
	}
	ul_sha *s = ul_sha_new();
	if (!s) {
		return ul_nomem(err, 256);
	}
	ul_sha_add(s, m->sha256, sizeof m->sha256);
	ul_sha_add(s, p->hidden, (size_t)p->width * sizeof *p->hidden);
	ul_sha_add(s, &length, sizeof length);
	for (int i = 0; i < p->n; i++) {
		ul_sha_add(s, p->text[i], strlen(p->text[i]) + 1);
	}
	ul_sha_end(s, hex);
	*path = ul_arena_printf(a, "%s/pairs-%.16s.safetensors", cache, hex);
	return *path || ul_nomem(err, 256);
}

static bool read_pairs(ul_pairs *p, const char *path, ul_err *err)
{
	ul_map map = {0};
	ul_tensors ts = {0};
	ul_arena a = {0};
	bool ok = ul_map_open(&map, path, err) && ul_safetensors_parse(map.data, map.len, path, &ts, &a, err) && ul_tensors_sort(&ts, path, err);
	const ul_tensor *t = ok ? ul_tensors_find(&ts, "hidden") : NULL;
	if (ok && (!t || t->dtype != UL_F32 || t->dims != 2 || t->shape[0] != p->n || t->shape[1] != p->width)) {
		ok = ul_fail(err, "%s does not hold the %d rows its name promises: remove it", path, p->n);
	}
	if (ok) {
		memcpy(p->hidden, t->data, (size_t)p->n * (size_t)p->width * sizeof *p->hidden);
	}
	ul_map_close(&map);
	ul_free(ts.t);
	ul_arena_release(&a);
	return ok;
}

static bool write_pairs(const ul_pairs *p, const char *path, ul_err *err)
{
	ul_aside aside;
	ul_st_out t = {.name = "hidden", .dims = 2, .shape = {p->n, p->width}, .data = p->hidden};
	bool ok = ul_aside_begin(&aside, path, err) && ul_safetensors_write(aside.path, &t, 1, UL_F32, err) && ul_aside_commit(&aside, true, err);
	ul_aside_abort(&aside);
	return ok;
}

static bool encode(ul_model *m, const char *const *text, int n, int length, ul_ids *seq, ul_err *err)
{
	bool ok = true;
	for (int i = 0; ok && i < n; i++) {
		ok = ul_text_encode(m, text[i], strlen(text[i]), &seq[i], err);
		seq[i].n = seq[i].n < length ? seq[i].n : length;
		ok = ok && (seq[i].n > 0 || ul_fail(err, "text %d has no tokens", i + 1));
	}
	return ok;
}

bool ul_pairs_make(ul_pairs *p, ul_model *m, const char *const *text, int n, int length, const char *cache, const ul_progress *progress, ul_err *err)
{
	ul_arena a = {0};
	ul_ids *seq = ul_alloc(&a, ((size_t)n + 1) * sizeof *seq);
	char *path = NULL;
	*p = (ul_pairs){.text = text, .n = n, .width = m->cfg.hidden};
	p->hidden = ul_malloc(((size_t)n + 1) * (size_t)p->width * sizeof *p->hidden);
	bool ok = (seq && p->hidden) || ul_nomem(err, (size_t)n * (size_t)p->width * sizeof *p->hidden);
	ok = ok && encode(m, text, n, length, seq, err);
	if (ok && cache && n) {
		ok = ul_mkdirs(cache, err) && ul_last_rows(m, seq, 1, p->hidden, NULL, err) && file_of(p, m, length, cache, &a, &path, err);
		p->cached = ok && ul_file_exists(path);
	}
	ok = ok && (p->cached ? read_pairs(p, path, err) : ul_last_rows(m, seq, n, p->hidden, progress, err));
	ok = ok && (p->cached || !path || write_pairs(p, path, err));
	for (int i = 0; seq && i < n; i++) {
		ul_ids_release(&seq[i]);
	}
	ul_arena_release(&a);
	if (!ok) {
		ul_pairs_release(p);
	}
	return ok;
}

void ul_pairs_release(ul_pairs *p)
{
	ul_free(p->hidden);
	*p = (ul_pairs){0};
}
