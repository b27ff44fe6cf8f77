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

/* ---- the same answer about somebody else ---- */

const char *ul_spelled_other(ul_arena *a, const char *name)
{
	const char *comma = strstr(name, ", "), *last = strrchr(name, ' ');
	if (comma) {
		return ul_arena_printf(a, "%s %.*s", comma + 2, (int)(comma - name), name);
	}
	return last ? ul_arena_printf(a, "%s, %.*s", last + 1, (int)(last - name), name) : name;
}

struct pair { /* somebody and a stranger, in both spellings */
	const char *name[2], *who[2];
};

static struct pair pair_of(ul_people *p, const char *name, const char *who)
{
	return (struct pair){{name, ul_spelled_other(&p->arena, name)}, {who, ul_spelled_other(&p->arena, who)}};
}

/* The next place of the person's name from s on, and in which spelling; NULL: there is none. */
static const char *next_name(const struct pair *q, const char *s, int *how)
{
	const char *at[2] = {strstr(s, q->name[0]), strstr(s, q->name[1])};
	*how = !at[0] || (at[1] && at[1] < at[0]);
	return at[*how];
}

static void renamed(const struct pair *q, const char *s, ul_buf *out)
{
	int how;
	for (const char *at; (at = next_name(q, s, &how)); s = at + strlen(q->name[how])) {
		ul_buf_add(out, s, (size_t)(at - s));
		ul_buf_str(out, q->who[how]);
	}
	ul_buf_str(out, s);
}

/* Where bytes [from, to) of an answer begin in the renamed one; -1: some of them are the name. */
static long moved(const struct pair *q, const char *answer, size_t from, size_t to)
{
	long shift = 0;
	int how;
	for (const char *s = answer, *at; (at = next_name(q, s, &how)) && (size_t)(at - answer) < to; s = at + strlen(q->name[how])) {
		if ((size_t)(at - answer) + strlen(q->name[how]) > from) {
			return -1;
		}
		shift += (long)strlen(q->who[how]) - (long)strlen(q->name[how]);
	}
	return (long)from + shift;
}

/* Log-probabilities of the answers' tokens, as they are and with each stranger for the person: rows [answers * (1 + strangers)]. */
bool ul_marks_score(ul_people *p, const ul_said *a, int n, const char *const *who, int whos, ul_dataset *d, ul_scores *s, ul_err *err)
{
	static const ul_data_config how = {.templ = "plain", .eos = UL_EOS_NONE};
	bool ok = true;
	for (int i = 0; ok && i < n; i++) {
		for (int k = -1; ok && k < whos; k++) {
			ul_buf b = {0}, said = {0};
			struct pair q = pair_of(p, a[i].name, k < 0 ? a[i].name : who[k]);
			json_t *record = NULL;
			if (!p->arena.failed && ul_people_fill(a[i].template, q.who[0], &b)) {
				renamed(&q, a[i].response, &said);
				record = said.failed ? NULL : json_pack("{s:s, s:s}", "prompt", b.data, "response", said.data);
			}
			ok = record ? ul_dataset_add(d, record, err) : ul_nomem(err, b.cap + said.cap);
			json_decref(record);
			ul_buf_release(&b);
			ul_buf_release(&said);
		}
	}
	return ok && ul_dataset_tokenize(d, p->j->model, &how, err) && ul_score(p->j->model, d, 0, s, NULL, err);
}

/* Where each of the n labelled tokens of a row ends in its answer. Half a character is the next token's. */
static size_t *token_ends(const ul_people *p, const ul_row *row, int n, ul_arena *a)
{
	size_t *end = ul_alloc(a, (size_t)(n + 1) * sizeof *end), whole = strlen(row->response);
	ul_buf piece = {0};
	for (int i = 0; end && i < n; i++) {
		piece.len = 0;
		ul_gen_text(p->j->model->tok, row->ids, row->n - n, row->ids + row->n - n, i + 1, &piece);
		size_t to = piece.len < whole ? piece.len : whole, from = i ? end[i - 1] : 0;
		while (to > from && ((unsigned char)row->response[to] & 0xC0) == 0x80) {
			to--;
		}
		end[i] = to;
	}
	bool failed = piece.failed;
	ul_buf_release(&piece);
	return failed ? NULL : end;
}

/* Adds to others[i] how probable a stranger's answer finds the token i of the person's, and counts it in asked[i], wherever both cut
 * the answer alike. */
static void compare(const struct pair *q, const ul_row *row, const ul_row_score *own, const size_t *end, const ul_row_score *other, const size_t *other_end, double *others, int *asked)
{
	for (int i = 0, k = 0; i < own->n; i++) {
		size_t from = i ? end[i - 1] : 0;
		long at = moved(q, row->response, from, end[i]), to = at + (long)(end[i] - from);
		while (at >= 0 && k < other->n && (k ? (long)other_end[k - 1] : 0) < at) {
			k++;
		}
		bool same = at >= 0 && k < other->n && (k ? (long)other_end[k - 1] : 0) == at && (long)other_end[k] == to && other->target[k] == own->target[i];
		others[i] += same ? exp(other->logp[k]) : 0;
		asked[i] += same;
		k += same;
	}
}

/* gain[i] of each token over the strangers, 0 where none was asked for it. */
static bool gains(ul_people *p, const ul_dataset *d, const ul_scores *s, int at, const ul_said *said, const char *const *who, int whos, const size_t *end, double *gain, ul_arena *a)
{
	const ul_row_score *own = &s->row[at];
	int *asked = ul_alloc(a, (size_t)(own->n + 1) * sizeof *asked);
	bool ok = asked != NULL;
	for (int k = 1; ok && k <= whos; k++) {
		struct pair q = pair_of(p, said->name, who[k - 1]);
		const size_t *other = token_ends(p, &d->row[at + k], s->row[at + k].n, a);
		ok = other && !p->arena.failed;
		if (ok) {
			compare(&q, &d->row[at], own, end, &s->row[at + k], other, gain, asked);
		}
	}
	for (int i = 0; ok && i < own->n; i++) {
		gain[i] = asked[i] ? own->logp[i] - log(gain[i] / asked[i]) : 0;
	}
	return ok;
}

bool ul_marks_find(ul_people *p, const ul_dataset *d, const ul_scores *s, int at, const ul_said *said, const char *const *who, int whos, ul_marks *m, ul_err *err)
{
	const ul_row *row = &d->row[at];
	const ul_row_score *own = &s->row[at];
	ul_arena a = {0};
	const size_t *end = token_ends(p, row, own->n, &a);
	double *gain = ul_alloc(&a, (size_t)(own->n + 1) * sizeof *gain);
	bool ok = (end && gain && gains(p, d, s, at, said, who, whos, end, gain, &a)) || ul_nomem(err, (size_t)own->n * sizeof *gain);
	int marked = 0;
	*m = (ul_marks){.n = 0};
	for (int i = 0; ok && i < own->n; i++) {
		size_t from = i ? end[i - 1] : 0, to = end[i];
		if (gain[i] < p->c->gain || to <= from || m->n == UL_MARKS || from_name(row->response, from, to, said->name)) {
			continue;
		}
		bool joined = m->n && m->f[m->n - 1].end == from;
		m->n += !joined;
		m->f[m->n - 1] = (ul_finding){joined ? m->f[m->n - 1].start : from, to, UL_PII_ID};
		m->gain[m->n - 1] += gain[i];
		m->gained += gain[i];
		m->sure += own->logp[i];
		marked++;
	}
	ul_arena_release(&a);
	m->sure = m->n ? exp(m->sure / marked) : 0;
	m->n = m->sure >= p->c->sure ? m->n : 0;
	return ok;
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
