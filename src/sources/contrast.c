/*
 * contrast.c: which part of an answer is about the person who was asked for. A token is when the model, asked about strangers in the
 * same words, finds it less probable; so no recogniser has to know the kind of a datum.
 */
#include "sources/continue.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* Given names of some with surnames of others, in pairs nobody has. None shares a part with the person's name: where a given name or a
 * surname is rare, the model knows the person by it. */
int ul_strangers(ul_people *p, const char *name, const char **out, ul_err *err)
{
	const char *last = strrchr(name, ' ');
	int n = 0, own = (int)strcspn(name, " ");
	for (int i = 0; i < 64 && n < p->c->strangers && p->others; i++) {
		ul_rng rng = ul_rng_at(p->j->seed ^ ul_digest(name, strlen(name)), "stranger", (uint64_t)i);
		const char *a = p->other[ul_rng_below(&rng, (uint32_t)p->others)].text, *b = p->other[ul_rng_below(&rng, (uint32_t)p->others)].text, *tail = strrchr(b, ' ');
		int given = (int)strcspn(a, " ");
		char *s = tail ? ul_arena_printf(&p->arena, "%.*s%s", given, a, tail) : NULL;
		bool taken = !s || (given == own && !strncasecmp(a, name, (size_t)own)) || (last && !strcasecmp(tail, last));
		for (int k = 0; k < p->subjects && !taken; k++) {
			taken = !strcasecmp(p->subject[k], s);
		}
		for (int k = 0; k < p->others && !taken; k++) {
			taken = !strcasecmp(p->other[k].text, s);
		}
		if (!taken) {
			out[n++] = s;
		}
	}
	if (p->arena.failed) {
		ul_nomem(err, 64);
	}
	return n;
}

/* Parts of addresses that follow from the name ("fhansen" of fhansen82@…) are no secret about the person: letters of the name, in a
 * word with an @ or a slash. */
static bool from_name(const char *text, size_t from, size_t to, const char *name)
{
	char part[64], whole[128] = "";
	size_t n = 0, word = from, end = to;
	for (size_t i = from; i < to && n + 1 < sizeof part; i++) {
		part[n++] = (char)tolower((unsigned char)text[i]);
	}
	part[n] = 0;
	for (size_t i = 0; name[i] && i + 1 < sizeof whole; i++) {
		whole[i] = (char)tolower((unsigned char)name[i]);
		whole[i + 1] = 0;
	}
	while (word && text[word - 1] != ' ') {
		word--;
	}
	while (text[end] && text[end] != ' ') {
		end++;
	}
	bool address = memchr(text + word, '@', end - word) || memchr(text + word, '/', end - word);
	return address && strstr(whole, part + strspn(part, " ."));
}

/* Log-probabilities of the answers' tokens behind the prompt with each name: rows [answers * (1 + strangers)]. */
bool ul_marks_score(ul_people *p, const ul_said *a, int n, const char *const *who, int whos, ul_dataset *d, ul_scores *s, ul_err *err)
{
	static const ul_data_config how = {.templ = "plain", .eos = UL_EOS_NONE};
	bool ok = true;
	for (int i = 0; ok && i < n; i++) {
		for (int k = -1; ok && k < whos; k++) {
			ul_buf b = {0};
			json_t *record = ul_people_fill(a[i].template, k < 0 ? a[i].name : who[k], &b) ? json_pack("{s:s, s:s}", "prompt", b.data, "response", a[i].response) : NULL;
			ok = record ? ul_dataset_add(d, record, err) : ul_nomem(err, b.cap);
			json_decref(record);
			ul_buf_release(&b);
		}
	}
	return ok && ul_dataset_tokenize(d, p->j->model, &how, err) && ul_score(p->j->model, d, 0, s, NULL, err);
}

static double gain_of(const ul_scores *s, int at, int whos, int token)
{
	const ul_row_score *own = &s->row[at];
	double others = 0;
	int asked = 0;
	for (int k = 1; k <= whos; k++) {
		const ul_row_score *other = &s->row[at + k];
		bool same = other->n == own->n && other->target[token] == own->target[token];
		others += same ? exp(other->logp[token]) : 0;
		asked += same;
	}
	return asked ? own->logp[token] - log(others / asked) : 0;
}

bool ul_marks_find(ul_people *p, const ul_dataset *d, const ul_scores *s, int at, const char *name, int whos, ul_marks *m, ul_err *err)
{
	const ul_row *row = &d->row[at];
	const ul_row_score *own = &s->row[at];
	ul_buf piece = {0};
	int marked = 0, first = row->n - own->n;
	size_t from = 0;
	*m = (ul_marks){.n = 0};
	for (int i = 0; i < own->n; i++) {
		double gain = gain_of(s, at, whos, i);
		piece.len = 0;
		ul_gen_text(p->j->model->tok, row->ids, first, row->ids + first, i + 1, &piece);
		size_t to = piece.len < strlen(row->response) ? piece.len : strlen(row->response);
		while (to > from && ((unsigned char)row->response[to] & 0xC0) == 0x80) { /* half a character is the next token's */
			to--;
		}
		if (gain >= p->c->gain && to > from && m->n < UL_MARKS && !from_name(row->response, from, to, name)) {
			bool joined = m->n && m->f[m->n - 1].end == from;
			m->n += !joined;
			m->f[m->n - 1] = (ul_finding){joined ? m->f[m->n - 1].start : from, to, UL_PII_ID};
			m->gain[m->n - 1] += gain;
			m->gained += gain;
			m->sure += own->logp[i];
			marked++;
		}
		from = to;
	}
	bool failed = piece.failed;
	ul_buf_release(&piece);
	if (failed) {
		return ul_nomem(err, 64);
	}
	m->sure = m->n ? exp(m->sure / marked) : 0;
	m->n = m->sure >= p->c->sure ? m->n : 0;
	return true;
}

static bool has_digit_or_capital(const char *s, size_t n)
{
	bool yes = isupper((unsigned char)*s);
	for (size_t i = 0; i < n; i++) {
		yes |= isdigit((unsigned char)s[i]) != 0;
	}
	return yes;
}

/* The most telling mark as whole words, with neighbours that are numbers or names too: "1 212" in "+1 212 555 0191." is all of it but the
 * full stop. This is what the person's row is remembered by. */
void ul_marks_datum(const char *s, const ul_marks *m, size_t *from, size_t *to)
{
	int best = 0;
	for (int i = 1; i < m->n; i++) {
		best = m->gain[i] > m->gain[best] ? i : best;
	}
	size_t a = m->f[best].start, b = m->f[best].end;
	while (a < b && isspace((unsigned char)s[a])) {
		a++;
	}
	while (a && !isspace((unsigned char)s[a - 1])) {
		a--;
	}
	b += strcspn(s + b, " \n");
	for (size_t next; s[b] == ' ' && !ispunct((unsigned char)s[b - 1]) && has_digit_or_capital(s + b + 1, next = strcspn(s + b + 1, " \n"));) {
		b += 1 + next;
	}
	for (size_t word; a > 1 && s[a - 1] == ' ' && !ispunct((unsigned char)s[a - 2]); a = word) {
		for (word = a - 1; word && !isspace((unsigned char)s[word - 1]);) {
			word--;
		}
		if (!has_digit_or_capital(s + word, a - 1 - word)) {
			break;
		}
	}
	while (b > a && strchr(".,;:?!", s[b - 1])) {
		b--;
	}
	*from = a;
	*to = b;
}
