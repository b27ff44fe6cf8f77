/*
 * shots.c: the annotator of DFSU (arXiv 2601.15595), a language model with examples in its prompt; here the target itself, so that nobody
 * else hears of the texts. Its prompt is not in the paper.
 *
 *     Text: …            ┐
 *     Personal data: …   ┘ as often as the context holds
 *
 *     Text: the new one
 *     Personal data:     ─► greedy, one line ─► parts that stand in the text
 */
#include "data/shots.h"

#include "data/data.h"
#include "model/generate.h"

#include <ctype.h>
#include <string.h>

enum { ANSWER = 64, /* tokens */
	SHORTEST = 2, /* bytes of a value */
	SHOTS = 6 };

/* Nobody and nothing in them exists: numbers and domains are those reserved for examples. The last stands nearest to the new text. */
static const struct {
	const char *text, *marks;
} shot[SHOTS] = {
        {"Our card ending is 4111 1111 1111 1111, said Tomas Brandt.", "CARD: 4111 1111 1111 1111; NAME: Tomas Brandt"},
        {"The museum opens at nine and the garden behind it is free.", "none"},
        {"He moved to 14 Mill Lane, Ashford on 3 May 1987.", "ADDRESS: 14 Mill Lane, Ashford; DATE: 3 May 1987"},
        {"Write to lena.fox@example.com or ask Lena.", "EMAIL: lena.fox@example.com; NAME: Lena"},
        {"It rained all day, so nobody came to the market.", "none"},
        {"Please call Maria Lopez at 555-0142 before noon.", "NAME: Maria Lopez; PHONE: 555-0142"},
};

/* ---- answers ---- */

static bool wordly(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* Each place where the value stands and no word goes on before or behind it. */
static int places(const char *value, size_t size, enum ul_pii type, const char *text, size_t n, ul_finding *out, int max)
{
	int found = 0;
	for (size_t at = 0; at + size <= n && found < max; at++) {
		bool before = at > 0 && wordly(text[at - 1]) && wordly(value[0]);
		bool behind = at + size < n && wordly(text[at + size]) && wordly(value[size - 1]);
		if (memcmp(text + at, value, size) != 0 || before || behind)
			continue;
		out[found++] = (ul_finding){at, at + size, type};
		at += size - 1;
	}
	return found;
}

int ul_shots_parse(const char *answer, const char *text, size_t n, ul_finding *out, int max)
{
	int found = 0;
	for (const char *s = answer, *end; *s && *s != '\n' && found < max; s = end + (*end == ';')) {
		char name[16] = {0};
		enum ul_pii type;
		end = s + strcspn(s, ";\n");
		s += strspn(s, " \t");
		size_t word = strcspn(s, ":;\n");
		if (s + word >= end || word >= sizeof name)
			continue;
		memcpy(name, s, word);
		const char *value = s + word + 1, *last = end;
		value += strspn(value, " \t");
		while (last > value && strchr(" \t\r.", last[-1]))
			last--;
		if (last - value >= SHORTEST && ul_pii_from_name(name, &type))
			found += places(value, (size_t)(last - value), type, text, n, out + found, max - found);
	}
	return found;
}

/* ---- asking ---- */

/* The last `shots` examples and the text; line ends in it become blanks. */
static bool prompt(const ul_model *m, int shots, const char *text, size_t n, ul_ids *out, ul_err *err)
{
	ul_buf s = {0};
	for (int i = SHOTS - shots; i < SHOTS; i++)
		ul_buf_printf(&s, "Text: %s\nPersonal data: %s\n\n", shot[i].text, shot[i].marks);
	ul_buf_str(&s, "Text: ");
	size_t from = s.len;
	ul_buf_add(&s, text, n);
	for (size_t i = from; i < s.len; i++)
		s.data[i] = s.data[i] == '\n' || s.data[i] == '\r' ? ' ' : s.data[i];
	ul_buf_str(&s, "\nPersonal data:");
	out->n = 0;
	bool ok = s.failed ? ul_nomem(err, s.cap) : ul_text_encode(m, s.data, s.len, out, err);
	ul_buf_release(&s);
	return ok;
}

int ul_shots_mark(ul_model *m, const char *text, size_t n, ul_finding *out, int max, ul_err *err)
{
	const char *stop[] = {"\n", NULL};
	ul_gen_config how = ul_gen_greedy(ANSWER);
	ul_arena a = {0};
	ul_ids ids = {0};
	ul_gen *g = NULL;
	int shots = SHOTS, found = 0;
	how.stop = stop;
	bool ok = prompt(m, shots, text, n, &ids, err);
	while (ok && ids.n + ANSWER > m->cfg.context && --shots > 0)
		ok = prompt(m, shots, text, n, &ids, err);
	if (ok && shots > 0) {
		ok = ul_generate(m, &ids, 1, &how, &a, &g, err);
		found = ok ? ul_shots_parse(g->text ? g->text : "", text, n, out, max) : 0;
	}
	ul_ids_release(&ids);
	ul_arena_release(&a);
	return ok ? found : -1;
}
