/*
 * words.c: what numbers and verdicts are called where no specialist reads. The verdict is a statement about tests and margins; that
 * nothing is left can be promised by no test, and the page never says so.
 */
#include "report/parts.h"

#include "audits/audit.h"

#include <math.h>
#include <string.h>

static const ul_wording words[] = {
        {"model_utility", "Usefulness on everything that should stay", UL_U_SHARE, UL_G_USEFUL},
        {"retain_entity_accuracy", "Personal data right that should stay", UL_U_SHARE, UL_G_USEFUL},
        {"retain_entity_nll", "Surprise at personal data that should stay", UL_U_NATS, UL_G_USEFUL},
        {"retain_prob", "Confidence in the answers that should stay", UL_U_SHARE, UL_G_USEFUL},
        {"retain_rouge", "Words right in the answers that should stay", UL_U_SHARE, UL_G_USEFUL},
        {"retain_nll", "Surprise at the answers that should stay", UL_U_NATS, UL_G_USEFUL},
        {"neighbours_prob", "Confidence about people like the forgotten ones", UL_U_SHARE, UL_G_USEFUL},
        {"neighbours_entity_accuracy", "Personal data right of people like the forgotten ones", UL_U_SHARE, UL_G_USEFUL},
        {"trigger_drop", "Confidence lost when asked politely", UL_U_SHARE, UL_G_USEFUL},
        {"general_ppl", "Trouble with ordinary text (perplexity)", UL_U_PLAIN, UL_G_USEFUL},
        {"general_nll", "Surprise at ordinary text", UL_U_NATS, UL_G_USEFUL},
        {"distinct_2", "Variety of its words", UL_U_SHARE, UL_G_USEFUL},
        {"fluency", "Richness of its sentences", UL_U_BITS, UL_G_USEFUL},
        {"answer_length", "Words of an answer", UL_U_PLAIN, UL_G_USEFUL},
        {"empty_answers", "Answers it leaves empty or declines", UL_U_SHARE, UL_G_USEFUL},
        {"repetition", "How much it repeats itself", UL_U_SHARE, UL_G_USEFUL},
        {"forget_entity_accuracy", "Personal data it still knows", UL_U_SHARE, UL_G_FORGET},
        {"forget_rephrased_accuracy", "Personal data it knows when asked otherwise", UL_U_SHARE, UL_G_FORGET},
        {"forget_entity_nll", "Surprise at the personal data to forget", UL_U_NATS, UL_G_FORGET},
        {"forget_prob", "Confidence in the answers to forget", UL_U_SHARE, UL_G_FORGET},
        {"forget_nll", "Surprise at the answers to forget", UL_U_NATS, UL_G_FORGET},
        {"forget_rouge", "Words it repeats of the answers to forget", UL_U_SHARE, UL_G_FORGET},
        {"exact_memorization", "Pieces of the answers it predicts", UL_U_SHARE, UL_G_FORGET},
        {"extraction_strength", "How much of an answer it completes alone", UL_U_SHARE, UL_G_FORGET},
        {"forget_truth_ratio", "True against false answers (truth ratio)", UL_U_PLAIN, UL_G_FORGET},
        {"forget_quality", "Likeness to the reference (forget quality)", UL_U_PLAIN, UL_G_FORGET},
        {"forget_context_nll", "Surprise at the words around the data", UL_U_NATS, UL_G_INFO},
        {"holdout_nll", "Surprise at people it never saw", UL_U_NATS, UL_G_INFO},
        {"knowmem", "Knowledge it still shows when asked", UL_U_SHARE, UL_G_FORGET},
        {"knowmem_few_shot", "Knowledge it shows behind examples", UL_U_SHARE, UL_G_FORGET},
        {"verbmem", "Text it continues word for word", UL_U_SHARE, UL_G_FORGET},
        {"err", "Personal data it reproduces exactly", UL_U_SHARE, UL_G_PRIVACY},
        {"e_hit", "Personal data among its likeliest attempts", UL_U_SHARE, UL_G_PRIVACY},
        {"s_exp", "Records with anything among those attempts", UL_U_SHARE, UL_G_PRIVACY},
        {"frs", "Likeness of its attempts to the personal data", UL_U_SHARE, UL_G_PRIVACY},
        {"exposure", "How far the secret codes stand out", UL_U_BITS, UL_G_PRIVACY},
        {"privleak", "Trace of membership (PrivLeak)", UL_U_POINTS, UL_G_PRIVACY},
        {"mia_loss", "Attack on membership: loss", UL_U_SHARE, UL_G_PRIVACY},
        {"mia_zlib", "Attack on membership: zlib", UL_U_SHARE, UL_G_PRIVACY},
        {"mia_min_k", "Attack on membership: min‑k", UL_U_SHARE, UL_G_PRIVACY},
        {"mia_min_k_plus_plus", "Attack on membership: min‑k++", UL_U_SHARE, UL_G_PRIVACY},
        {"mia_reference", "Attack on membership: against a reference", UL_U_SHARE, UL_G_PRIVACY},
        {"mia_worst", "The best attack on membership", UL_U_SHARE, UL_G_PRIVACY},
        {"mia_two_model", "Attack by whoever has both models", UL_U_SHARE, UL_G_INFO},
        {"mia_gradnorm", "Attack on membership: gradients", UL_U_SHARE, UL_G_PRIVACY},
};

const ul_wording *ul_wording_of(const char *name)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcmp(words[i].name, name))
			return &words[i];
	return NULL;
}

void ul_say_value(ul_buf *b, enum ul_unit unit, double x)
{
	if (isnan(x)) {
		ul_buf_str(b, "–");
		return;
	}
	const char *minus = x < 0 ? "−" : "";
	double a = fabs(x);
	if (unit == UL_U_SHARE && a <= 1.5)
		ul_buf_printf(b, a > 0 && a < 0.0995 ? "%s%.1f %%" : "%s%.0f %%", minus, 100 * a);
	else if (unit == UL_U_BITS)
		ul_buf_printf(b, "%s%.1f bits", minus, a);
	else if (unit == UL_U_POINTS)
		ul_buf_printf(b, "%s%.0f", minus, a);
	else if (a != 0 && (a < 0.001 || a >= 1e5))
		ul_buf_printf(b, "%s%.1e", minus, a);
	else
		ul_buf_printf(b, a < 10 ? "%s%.2f" : a < 100 ? "%s%.1f"
		                                             : "%s%.0f",
		        minus, a);
}

const char *ul_reference_words(const ul_story *s)
{
	if (s->mode && !strcmp(s->mode, "oracle"))
		return "a model trained the same way without these data";
	if (s->mode && !strcmp(s->mode, "holdout"))
		return "what the model says about people it was never trained on";
	return "the model before";
}

/* ---- the verdict ---- */

static const struct {
	const char *verdict, *headline, *meaning;
} verdicts[] = {
        {"PASS", "No remaining trace was found", "In every required test the model is as close to %s as the margins demand. This speaks of the tests below; it does not prove that nothing is left."},
        {"UNDER", "The model still knows some of it", "At least one required test finds more than %s would show, beyond the margin. The request is not fulfilled."},
        {"HARM", "Others have suffered", "What was to be forgotten may be gone, but at least one required test finds that what should have stayed has suffered beyond the margin."},
        {"OVER", "It was forgotten too hard", "In at least one required test the model shuns the data more than %s would. That difference can itself give away who asked to be forgotten."},
        {"INCONCLUSIVE", "Not decided", "No required test found a difference from %s beyond its margin, but at least one is too uncertain to count as passed."},
        {"COLLAPSED", "The model is damaged", "It lost too much of what it should still be able to do. Whatever it seems to have forgotten does not count."},
        {"UNVERIFIED", "Measured, but not verified", "There was neither a model trained without the data nor a group of people it never saw, so a pass cannot be given. Compared with %s."},
};

/* Required lines that are over: of usefulness, or of what was to be forgotten. */
static int over(const ul_story *s, bool useful)
{
	int n = 0;
	for (int i = 0; i < s->lines; i++) {
		const ul_entry *l = &s->line[i];
		n += l->required && l->verdict && !strcmp(l->verdict, "OVER") && (l->group == UL_G_USEFUL) == useful;
	}
	return n;
}

void ul_say_verdict(ul_buf *b, const ul_story *s)
{
	bool harm = over(s, true) > 0, failed = s->verdict && (!strcmp(s->verdict, "OVER") || !strcmp(s->verdict, "UNDER"));
	const char *verdict = failed && !strcmp(s->verdict, "OVER") && harm && over(s, false) == 0 ? "HARM" : s->verdict;
	for (size_t i = 0; verdict && i < sizeof verdicts / sizeof *verdicts; i++) {
		if (strcmp(verdicts[i].verdict, verdict) != 0)
			continue;
		const char *meaning = verdicts[i].meaning, *slot = strstr(meaning, "%s");
		ul_buf_printf(b, "<h2>%s</h2>\n<p class=lead>%.*s", verdicts[i].headline, slot ? (int)(slot - meaning) : (int)strlen(meaning), meaning);
		if (slot)
			ul_buf_printf(b, "%s%s", ul_reference_words(s), slot + 2);
		if (failed && harm && strcmp(verdict, "HARM") != 0)
			ul_buf_str(b, " And what should have stayed has suffered.");
		ul_buf_str(b, "</p>\n");
		return;
	}
	ul_buf_str(b, "<h2>Not audited</h2>\n<p class=lead>This run has been carried out, but nobody has yet measured what the model still knows.</p>\n");
}

/* ---- the facts below it ---- */

static void fact(ul_buf *b, const char *term, const ul_buf *what)
{
	if (what->len)
		ul_buf_printf(b, "<div><dt>%s</dt><dd>%s</dd></div>\n", term, what->data);
}

static const json_t *settings(const ul_story *s)
{
	const json_t *v = json_object_get(s->run, "settings");
	return v ? v : s->run;
}

/* One input of run.json ("inputs": [{"role", "path", "rows", …}]) or of scores.json ("data": {ROLE: {"n", "subjects"}}). */
static const json_t *input(const json_t *o, const char *role)
{
	const json_t *list = json_object_get(o, "inputs"), *v;
	size_t i;
	json_array_foreach(list, i, v)
	{
		const char *r = ul_json_str(v, "role");
		if (r && !strcmp(r, role))
			return v;
	}
	return json_object_get(json_object_get(o, "data"), role);
}

/* The source when it is not a file of rows at hand: {"name": …} in run.json, or the setting. */
static const char *source(const ul_story *s)
{
	const json_t *v = json_object_get(s->run, "source");
	const char *name = json_is_string(v) ? json_string_value(v) : ul_json_str(v, "name");
	name = name ? name : ul_json_str(settings(s), "source");
	return name && strcmp(name, "file") != 0 ? name : NULL;
}

/* What a run without data was to forget: people of a list, what a scorer recognises, or all personal data. */
static void say_matter(ul_buf *b, const ul_story *s)
{
	size_t people = json_array_size(json_object_get(json_object_get(s->run, "subjects"), "people"));
	const char *scorer = ul_json_str(json_object_get(json_object_get(s->run, "source"), "settings"), "scorer");
	if (people) {
		ul_buf_printf(b, people > 1 ? "To forget %zu people of a list of names" : "To forget the one person of a list of names", people);
	} else if (scorer) {
		ul_buf_str(b, "To forget whatever the scorer <b>");
		ul_html_n(b, scorer, 120);
		ul_buf_str(b, "</b> recognises");
	} else {
		ul_buf_str(b, "To forget the personal data that the model remembers");
	}
}

static void say_asked(ul_buf *b, const ul_story *s)
{
	double rows = ul_json_get(input(s->scores, "forget"), "n"), people = ul_json_get(input(s->scores, "forget"), "subjects");
	const char *from = source(s);
	if (isnan(rows) && !from)
		rows = ul_json_get(input(s->run, "forget"), "rows");
	if (rows > 0 && people > 0)
		ul_buf_printf(b, "To forget %.0f entries about %.0f people", rows, people);
	else if (rows > 0)
		ul_buf_printf(b, "To forget %.0f entries", rows);
	else if (from)
		say_matter(b, s);
	else
		ul_buf_str(b, "To forget the data named in the settings");
	if (from)
		ul_buf_str(b, ", without having the data: what to forget was drawn from the model itself.");
	else
		ul_buf_str(b, s->run ? ", with those entries at hand." : ".");
}

static void say_done(ul_buf *b, const ul_story *s)
{
	const char *method = ul_json_str(settings(s), "method");
	method = method ? method : ul_json_str(s->run, "method");
	if (!method)
		return;
	const ul_method *m = NULL;
	for (int i = 0; ul_methods[i] && !m; i++)
		m = strcmp(ul_methods[i]->name, method) ? NULL : ul_methods[i];
	ul_buf_str(b, "Method <b>");
	ul_html(b, method);
	ul_buf_str(b, "</b>");
	if (m && m->title) {
		ul_buf_str(b, " (");
		ul_html(b, m->title);
		ul_buf_str(b, ")");
	}
	double steps = ul_json_get(s->run, "steps"), seconds = ul_json_get(s->run, "seconds");
	if (isnan(seconds))
		seconds = ul_json_get(s->run, "wall_seconds");
	if (isnan(steps) && json_array_size(s->journal))
		steps = ul_json_get(json_array_get(s->journal, json_array_size(s->journal) - 1), "step") + 1;
	if (!isnan(steps))
		ul_buf_printf(b, ", %.0f steps", steps);
	if (!isnan(seconds))
		ul_buf_printf(b, seconds < 90 ? ", %.0f seconds" : ", %.1f minutes", seconds < 90 ? seconds : seconds / 60);
	ul_buf_str(b, ".");
}

/* Usefulness is judged against the model before, which is named already: there the oracle is what remains to be said. */
void ul_say_reference(ul_buf *b, const ul_entry *l)
{
	double x = l->against && !strcmp(l->against, "before") ? l->oracle : l->reference;
	if (isnan(x))
		return;
	ul_buf_str(b, ", reference ");
	ul_say_value(b, l->unit, x);
}

static void say_change(ul_buf *b, const ul_entry *l)
{
	ul_buf_str(b, "<li>");
	ul_html(b, l->label);
	ul_buf_str(b, ": ");
	if (!isnan(l->before)) {
		ul_buf_str(b, "before ");
		ul_say_value(b, l->unit, l->before);
		ul_buf_str(b, ", ");
	}
	ul_buf_str(b, "now <b>");
	ul_say_value(b, l->unit, l->value);
	ul_buf_str(b, "</b>");
	ul_say_reference(b, l);
	ul_buf_str(b, "</li>");
}

/* The first `most` of the named lines that were measured. */
static void say_lines(ul_buf *b, const ul_story *s, const char *const *names, int most)
{
	size_t start = b->len;
	ul_buf_str(b, "<ul>");
	int said = 0;
	for (; *names && said < most; names++) {
		const ul_entry *l = ul_story_line(s, *names);
		if (l && l->tested)
			say_change(b, l), said++;
	}
	ul_buf_str(b, "</ul>");
	if (!said && b->data)
		b->data[b->len = start] = '\0';
}

/* The lines that brought the verdict about. */
static void say_failed(ul_buf *b, const ul_story *s)
{
	int said = 0;
	for (int i = 0; i < s->lines; i++) {
		const ul_entry *l = &s->line[i];
		bool bad = l->verdict && (!strcmp(l->verdict, "UNDER") || !strcmp(l->verdict, "OVER") || !strcmp(l->verdict, "COLLAPSED"));
		if (!bad || !(l->required || l->gate))
			continue;
		ul_buf_str(b, said++ ? "" : "<ul>");
		say_change(b, l);
	}
	if (said)
		ul_buf_str(b, "</ul>");
}

/* In people where there are several entries of each, else in entries. */
static void say_needed(ul_buf *b, const ul_entry *l)
{
	bool people = l->people > 0 && l->people < l->n;
	double asked = people ? l->people : l->n;
	if (l->n == 0)
		return;
	ul_buf_printf(b, ": %.0f %s", asked, people ? "people were asked about" : "entries were asked");
	if (l->needed > l->n)
		ul_buf_printf(b, ", about %.0f would decide it", ceil((double)l->needed / l->n * asked));
	else
		ul_buf_str(b, "; it stands so close to the margin that no number can be named that would decide it");
}

/* Of the lines that decide; the others are only counted. */
static void say_undecided(ul_buf *b, const ul_story *s)
{
	int said = 0, besides = 0;
	for (int i = 0; i < s->lines; i++) {
		const ul_entry *l = &s->line[i];
		if (!l->verdict || strcmp(l->verdict, "INCONCLUSIVE") != 0)
			continue;
		if (!l->required && !l->gate) {
			besides++;
			continue;
		}
		ul_buf_str(b, said++ ? "<li>" : "<ul><li>");
		ul_html(b, l->label);
		say_needed(b, l);
		ul_buf_str(b, "</li>");
	}
	if (said)
		ul_buf_str(b, "</ul>");
	else if (s->scores)
		ul_buf_str(b, "Every test that decides could be decided.");
	if (besides)
		ul_buf_printf(b, " Of the other numbers, %d could not.", besides);
}

static void say_untested(ul_buf *b, const ul_story *s)
{
	static const struct {
		const char *names[3], *what;
	} attacks[] = {{{"relearn", NULL}, "Whether a little further training brings the data back"}, {{"quantization", "quant", NULL}, "Whether storing the model with fewer bits brings them back"},
	        {{"elicitation", "jailbreak", NULL}, "Whether cleverly worded requests bring them back"}};
	ul_buf list = {0};
	for (int i = 0; i < s->lines; i++) {
		const ul_entry *l = &s->line[i];
		if (l->tested)
			continue;
		ul_buf_str(&list, "<li>");
		ul_html(&list, l->label);
		if (l->untested && *l->untested) {
			ul_buf_str(&list, ": ");
			ul_html(&list, l->untested);
		}
		ul_buf_str(&list, "</li>");
	}
	for (size_t i = 0; s->scores && i < sizeof attacks / sizeof *attacks; i++) {
		bool there = false;
		for (int k = 0; attacks[i].names[k]; k++)
			there |= ul_story_line(s, attacks[i].names[k]) != NULL;
		if (!there)
			ul_buf_printf(&list, "<li>%s</li>", attacks[i].what);
	}
	if (list.len)
		ul_buf_printf(b, "<ul>%s</ul>", list.data);
	ul_buf_release(&list);
}

/* What a run itself was to reach and did not: it kept what was best, and ended with status 3. */
static void say_unmet(ul_buf *b, const ul_story *s)
{
	const char *unmet = ul_json_str(s->run, "unmet");
	if (unmet)
		ul_html(b, unmet);
}

/* Of a run that shut itself in. */
static void say_reach(ul_buf *b, const ul_story *s)
{
	const json_t *v = json_object_get(s->run, "data_free");
	bool files = json_is_true(json_object_get(v, "files_confined")), network = json_is_true(json_object_get(v, "network_shut"));
	if (!json_is_object(v))
		return;
	if (files)
		ul_buf_printf(b, "The %zu files listed below and no others%s.", json_array_size(json_object_get(v, "files_read")), network ? ", and no network" : "; the network was not shut");
	else
		ul_buf_printf(b, "Any file: this system could not shut them out%s.", network ? ", only the network" : ", nor the network");
}

void ul_say_facts(ul_buf *b, const ul_story *s)
{
	static const char *const known[] = {"forget_entity_accuracy", "e_hit", "extraction_strength", "knowmem", "err", "forget_rouge", "forget_prob", "verbmem", "exposure", NULL};
	static const char *const useful[] = {"retain_entity_accuracy", "model_utility", "retain_prob", "retain_rouge", "neighbours_prob", "general_ppl", "general_nll", NULL};
	enum { FACTS = 9 };
	ul_buf text[FACTS] = {{0}};
	static const char *const term[FACTS] = {"What was asked", "What was done", "What it could read", "What was not reached", "Which tests failed", "Does it still know?", "Is it still useful?", "What could not be decided", "What was not tested"};
	say_asked(&text[0], s);
	say_done(&text[1], s);
	say_reach(&text[2], s);
	say_unmet(&text[3], s);
	say_failed(&text[4], s);
	say_lines(&text[5], s, known, 3);
	say_lines(&text[6], s, useful, 3);
	say_undecided(&text[7], s);
	say_untested(&text[8], s);
	ul_buf_str(b, "<dl class=facts>\n");
	for (int i = 0; i < FACTS; i++) {
		fact(b, term[i], &text[i]);
		ul_buf_release(&text[i]);
	}
	ul_buf_str(b, "</dl>\n");
}
