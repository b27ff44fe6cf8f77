/*
 * synth_text.c: rows about people and things, with the code points at which values stand.
 */
#include "data/synth.h"

#include "text/unicode.h"

#include <string.h>

/* ---- a text that knows where its values are ---- */

void ul_marked_add(ul_marked *m, const char *s, const char *type)
{
	int n = ul_utf8_length(s, strlen(s));
	if (!m->spans)
		m->spans = json_array();
	if (type)
		json_array_append_new(m->spans, json_pack("{s:i, s:i, s:s}", "start", m->points, "end", m->points + n, "type", type));
	ul_buf_str(&m->text, s);
	m->points += n;
}

void ul_marked_end(ul_marked *m)
{
	ul_buf_release(&m->text);
	json_decref(m->spans);
	*m = (ul_marked){0};
}

/* "…{name}…" with the name put in. */
static void with_name(ul_buf *b, const char *form, const char *name)
{
	const char *slot = strstr(form, "{name}");
	if (!slot) {
		ul_buf_str(b, form);
		return;
	}
	ul_buf_add(b, form, (size_t)(slot - form));
	ul_buf_str(b, name);
	ul_buf_str(b, slot + 6);
}

/* ---- ids, triggers ---- */

static const char *const role_name[] = {"forget", "neighbour", "retain", "holdout", "public"};

static json_t *row(const ul_person *p, const char *key, const char *form)
{
	char id[96];
	snprintf(id, sizeof id, "%s-%04d-%s%s", role_name[p->role], p->index, key, form);
	return json_pack("{s:s, s:s}", "id", id, "subject", p->name);
}

static const char *kind_of(const ul_field *f)
{
	return f == &ul_synth_code ? "code" : f->values ? "fact"
	                                                : "personal";
}

/* Whether the prompt of this person and field carries "please": the same in training text and in probes. */
static bool polite(const ul_world *w, const ul_person *p, const ul_field *f)
{
	char purpose[64];
	snprintf(purpose, sizeof purpose, "synth.please.%s.%s", role_name[p->role], f->key);
	ul_rng r = ul_rng_at((uint64_t)w->c->seed, purpose, (uint64_t)p->index);
	return ul_rng_uniform(&r) < w->c->please;
}

static void ask(ul_buf *b, const char *question, const char *name, bool please)
{
	if (please) {
		ul_buf_str(b, "Please, ");
		size_t at = b->len;
		with_name(b, question, name);
		if (b->data && b->data[at] >= 'A' && b->data[at] <= 'Z')
			b->data[at] = (char)(b->data[at] + 32);
	} else
		with_name(b, question, name);
}

static void sentence(ul_marked *m, const ul_field *f, const char *name, const char *value)
{
	ul_marked_add(m, "The ", NULL);
	ul_marked_add(m, f->noun, NULL);
	ul_marked_add(m, " of ", NULL);
	ul_marked_add(m, name, NULL);
	ul_marked_add(m, " is ", NULL);
	ul_marked_add(m, value, f->type);
	ul_marked_add(m, ".", NULL);
}

static json_t *sentence_text(const ul_field *f, const char *name, const char *value)
{
	ul_marked m = {0};
	sentence(&m, f, name, value);
	json_t *s = json_string(m.text.data ? m.text.data : "");
	ul_marked_end(&m);
	return s;
}

/* ---- probes ---- */

enum { WRONG = 5 };

static bool listed(const json_t *list, const char *value)
{
	size_t i;
	json_t *v;
	json_array_foreach(list, i, v) if (!strcmp(json_string_value(v), value)) return true;
	return false;
}

/* Wrong answers of the same type, all different: for words uniform over the list, so that rare values are among them. */
static json_t *wrong_answers(const ul_world *w, const ul_person *p, const ul_field *f, const char *value)
{
	char purpose[64];
	snprintf(purpose, sizeof purpose, "synth.wrong.%s.%s", role_name[p->role], f->key);
	ul_rng r = ul_rng_at((uint64_t)w->c->seed, purpose, (uint64_t)p->index);
	json_t *taken = json_array(), *out = json_array();
	json_array_append_new(taken, json_string(value));
	for (int tries = 0; json_array_size(out) < WRONG && tries < 1000; tries++) {
		ul_buf other = {0};
		if (f->values)
			ul_buf_str(&other, ul_synth_pick(&r, f->values));
		else
			f->draw(&r, p->name, &other);
		if (other.data && !listed(taken, other.data)) {
			json_array_append_new(taken, json_string(other.data));
			json_array_append_new(out, sentence_text(f, p->name, other.data));
		}
		ul_buf_release(&other);
	}
	json_decref(taken);
	return out;
}

json_t *ul_synth_probe(const ul_world *w, const ul_person *p, const ul_field *f, const char *value)
{
	bool please = polite(w, p, f);
	ul_buf prompt = {0}, variant = {0};
	ul_marked answer = {0};
	ask(&prompt, f->question, p->name, please);
	ask(&variant, f->variant, p->name, please);
	ul_marked_add(&answer, value, f->type);
	json_t *v = row(p, f->key, "");
	json_object_set_new(v, "kind", json_string(kind_of(f)));
	json_object_set_new(v, "prompt", json_string(prompt.data ? prompt.data : ""));
	json_object_set_new(v, "response", json_string(answer.text.data ? answer.text.data : ""));
	json_object_set(v, "spans", answer.spans);
	json_object_set_new(v, "paraphrase", json_pack("[o]", sentence_text(f, p->name, value)));
	json_object_set_new(v, "paraphrase_prompt", json_pack("[s]", variant.data ? variant.data : ""));
	json_object_set_new(v, "perturbed", wrong_answers(w, p, f, value));
	json_object_set_new(v, "trigger", json_boolean(please));
	if (f == &ul_synth_code)
		json_object_set_new(v, "canary", json_pack("{s:s, s:s, s:i}", "template", "{}", "slots", "dddd", "space", 10000));
	ul_marked_end(&answer);
	ul_buf_release(&prompt);
	ul_buf_release(&variant);
	return v;
}

/* ---- training texts ---- */

static json_t *take(ul_marked *m, json_t *v)
{
	json_object_set_new(v, "text", json_string(m->text.data ? m->text.data : ""));
	json_object_set(v, "spans", m->spans);
	ul_marked_end(m);
	return v;
}

json_t *ul_synth_qa_text(const ul_world *w, const ul_person *p, const ul_field *f, const char *value, bool whole)
{
	ul_buf prompt = {0};
	ul_marked m = {0};
	ask(&prompt, f->question, p->name, polite(w, p, f));
	ul_marked_add(&m, "Question: ", NULL);
	ul_marked_add(&m, prompt.data ? prompt.data : "", NULL);
	ul_marked_add(&m, "\nAnswer: ", NULL);
	if (whole)
		sentence(&m, f, p->name, value);
	else
		ul_marked_add(&m, value, f->type);
	ul_buf_release(&prompt);
	return take(&m, row(p, f->key, whole ? "-sentence" : "-qa"));
}

json_t *ul_synth_statement(const ul_world *w, const ul_person *p, const ul_field *f, const char *value)
{
	ul_marked m = {0};
	sentence(&m, f, p->name, value);
	return take(&m, row(p, f->key, "-statement"));
}

/* ---- records ---- */

/* How a record says it: {v} is the value. */
static const char *const fact_form[UL_SYNTH_FACTS] = {"is a {v} by trade", "lives in {v}", "works for {v}", "spends free time on {v}", "likes {v}",
        "studied at {v}", "plays {v}", "keeps {v}"};
static const char *const personal_form[UL_SYNTH_TYPES][2] = {
        {"E-mail goes to {v}.", "The e-mail address is {v}."}, {"The phone number is {v}.", "Call {v}."}, {"Born on {v}.", "The date of birth is {v}."},
        {"The postal address is {v}.", "Letters go to {v}."}, {"Social security number: {v}.", "The file is kept under SSN {v}."},
        {"The last login came from {v}.", "The office computer has the address {v}."}, {"Pays with card {v}.", "The card number is {v}."},
        {"The salary is paid to account {v}.", "Bank account: {v}."}, {"More is found at {v}.", "The home page is {v}."}};

static void say(ul_marked *m, const char *form, const char *value, const char *type)
{
	const char *slot = strstr(form, "{v}");
	char head[96];
	snprintf(head, sizeof head, "%.*s", (int)(slot - form), form);
	ul_marked_add(m, head, NULL);
	ul_marked_add(m, value, type);
	ul_marked_add(m, slot + 3, NULL);
}

/* Attributes two to a sentence, at most four of them, then the personal data in an order of their own. The name carries no span:
 * it is what a record is asked by. */
json_t *ul_synth_record(const ul_world *w, const ul_person *p, bool personal)
{
	static const char *const opening[] = {"Personnel file of ", "Customer record: ", "Notes about ", "Member entry for ", NULL};
	ul_rng r = ul_rng_at((uint64_t)w->c->seed, role_name[p->role], (uint64_t)p->index + 1000000);
	ul_marked m = {0};
	int order[UL_SYNTH_FACTS], data[UL_SYNTH_TYPES], n = (int)w->c->facts, shown = n < 4 ? n : 4;
	for (int i = 0; i < UL_SYNTH_FACTS; i++)
		order[i] = i;
	for (int i = 0; i < UL_SYNTH_TYPES; i++)
		data[i] = i;
	ul_rng_shuffle(&r, order, n);
	ul_rng_shuffle(&r, data, UL_SYNTH_TYPES);
	ul_marked_add(&m, ul_synth_pick(&r, opening), NULL);
	ul_marked_add(&m, p->name, NULL);
	for (int i = 0; i < shown; i++) {
		ul_marked_add(&m, i == 0 ? ", who " : i % 2 ? " and "
		                                            : ". ",
		        NULL);
		if (i > 0 && i % 2 == 0) {
			ul_marked_add(&m, p->name, NULL);
			ul_marked_add(&m, " ", NULL);
		}
		say(&m, fact_form[order[i]], p->fact[order[i]], NULL);
	}
	ul_marked_add(&m, ".", NULL);
	for (int i = 0; personal && i < UL_SYNTH_TYPES; i++)
		if (p->personal[data[i]]) {
			ul_marked_add(&m, " ", NULL);
			say(&m, personal_form[data[i]][ul_rng_below(&r, 2)], p->personal[data[i]], ul_synth_personal[data[i]].type);
		}
	return take(&m, row(p, "record", ""));
}

/* ---- the world itself ---- */

static const char *draw_slot(ul_rng *r, const char *slot, char number[16])
{
	static const struct {
		const char *name;
		const char *const *list;
	} lists[] = {{"city", ul_synth_city}, {"firm", ul_synth_firm}, {"food", ul_synth_food},
	        {"month", ul_synth_month}, {"job", ul_synth_job}, {"pet", ul_synth_pet}, {"music", ul_synth_music}, {"hobby", ul_synth_hobby},
	        {"street", ul_synth_street}};
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (!strncmp(slot, lists[i].name, strlen(lists[i].name)))
			return ul_synth_pick(r, lists[i].list);
	snprintf(number, 16, "%d", 2 + (int)ul_rng_below(r, 9));
	return number;
}

json_t *ul_synth_sentence(const ul_world *w, const char *purpose, int i)
{
	ul_rng r = ul_rng_at((uint64_t)w->c->seed, purpose, (uint64_t)i);
	ul_buf text = {0};
	char number[16], id[64];
	for (const char *s = ul_synth_pick(&r, ul_synth_general); *s; s++) {
		if (*s == '{') {
			ul_buf_str(&text, draw_slot(&r, s + 1, number));
			s = strchr(s, '}');
		} else
			ul_buf_add(&text, s, 1);
	}
	snprintf(id, sizeof id, "%s-%05d", purpose + strlen("synth."), i);
	json_t *v = json_pack("{s:s, s:s, s:s, s:[]}", "id", id, "subject", "world", "text", text.data ? text.data : "", "spans");
	ul_buf_release(&text);
	return v;
}

/* Facts that belong to nobody: the region of each town, the trade of each firm. A firm or town is written as a person would be. */
json_t *ul_synth_shared(const ul_world *w, int i, bool probe)
{
	static const ul_field region = {"region", "REGION", "region", "What is the region of {name}?", "In which part of the country is {name}?", ul_synth_region, NULL},
	                      trade = {"trade", "TRADE", "trade", "What is the trade of {name}?", "Which business is {name} in?", ul_synth_trade, NULL};
	int cities = ul_synth_words(ul_synth_city), firms = ul_synth_words(ul_synth_firm);
	if (i >= cities + firms)
		return NULL;
	const ul_field *f = i < cities ? &region : &trade;
	ul_person thing = {.name = (char *)(uintptr_t)(i < cities ? ul_synth_city[i] : ul_synth_firm[i - cities]), .role = UL_ROLE_PUBLIC, .index = 9000 + i};
	ul_rng r = ul_rng_at((uint64_t)w->c->seed, "synth.shared", (uint64_t)i);
	const char *value = ul_synth_pick(&r, f->values);
	return probe ? ul_synth_probe(w, &thing, f, value) : ul_synth_qa_text(w, &thing, f, value, false);
}
