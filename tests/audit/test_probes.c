/* Audits that ask the same thing in another way: other words, harmless words, drawn candidates, several attacks, two models. */
#include "audits/match/match.h"
#include "world.h"

#include <math.h>
#include <string.h>

static ul_verdicts judge(const ul_exam_config *c, const char *only, ul_exam **keep)
{
	ul_err err = {0};
	ul_verdicts v = {0};
	*keep = ul_exam_new(c, &err);
	NEED_OK(*keep, err);
	NEED_OK(ul_judge(*keep, only, 100, &v, &err), err);
	return v;
}

static void add(ul_dataset *d, json_t *row)
{
	ul_err err = {0};
	NEED_OK(row && ul_dataset_add(d, row, &err), err);
	json_decref(row);
}

/* ---- other questions ---- */

static void test_probes__questions_in_other_words_find_what_the_row_hides(void)
{
	ul_model *m = world_model(21);
	ul_dataset forget = {0};
	char said[13];
	int n = 0;
	for (int i = 0; n < 6; i++) { /* the row asks what the model does not answer so; its other question it does */
		char prompt[32];
		snprintf(prompt, sizeof prompt, "known %d?", i);
		if (!world_say(m, prompt, said))
			continue;
		json_t *row = json_pack("{s:s, s:s, s:[s, s], s:[{s:i, s:i, s:s}]}", "prompt", "unknown?", "response", said, "paraphrase_prompt", "nor this?", prompt, "spans", "start", 0, "end", 12, "type", "NAME");
		if (n >= 3)
			json_object_del(row, "paraphrase_prompt");
		add(&forget, row);
		n++;
	}
	ul_exam_config c = {.model = {m}, .data = {&forget}, .encode = {.templ = "plain", .eos = UL_EOS_NONE}};
	ul_exam *e;
	ul_verdicts v = judge(&c, "forget_rephrased_accuracy,forget_entity_accuracy,extraction_strength", &e);
	const ul_line *other = world_line(&v, "forget_rephrased_accuracy"), *es = world_line(&v, "extraction_strength");
	CHECK(other->n == 3 && other->value == 1); /* rows without another question are left out */
	CHECK(world_line(&v, "forget_entity_accuracy")->value < 1);
	CHECK(es->n == 6);
	for (int i = 0; i < 6; i++)
		CHECK_MSG((es->items[UL_AFTER].value[i] == 1) == (i < 3), "row %d: %g", i, es->items[UL_AFTER].value[i]);
	ul_verdicts_release(&v);
	ul_exam_free(e);
	c.compat = true; /* the framework asks the row alone */
	v = judge(&c, "extraction_strength", &e);
	CHECK(world_line(&v, "extraction_strength")->items[UL_AFTER].value[0] < 1);
	ul_verdicts_release(&v);
	ul_exam_free(e);
	ul_model_free(m);
	ul_dataset_release(&forget);
}

static void test_probes__harmless_words_are_scored_as_questions(void)
{
	static const char *const asked[] = {"What is it?", "Please, what is it?", "Then, what is it?", "What is it? Thanks.", "Felix, who?", "Please, Felix, who?", "Then, Felix, who?", "Felix, who? Thanks."};
	ul_model *m = world_model(22);
	ul_dataset retain = {0}, direct = {0}, forget = {0};
	for (int i = 0; i < 8; i++)
		add(&direct, json_pack("{s:s, s:s}", "prompt", asked[i], "response", "abc"));
	add(&retain, json_pack("{s:s, s:s}", "prompt", asked[0], "response", "abc"));
	add(&retain, json_pack("{s:s, s:s}", "prompt", "Please, say.", "response", "abc")); /* polite already: nothing to compare with */
	add(&retain, json_pack("{s:s, s:s}", "prompt", asked[4], "response", "abc"));
	world_rows(&forget, NULL, 4, "forget");
	ul_exam_config c = {.model = {m, m}, .data = {[UL_S_FORGET] = &forget, [UL_S_RETAIN] = &retain, [UL_S_NEIGHBOURS] = &direct}, .encode = {.templ = "plain"}};
	ul_exam *e;
	ul_verdicts v = judge(&c, "trigger_drop", &e);
	const ul_scores *s = ul_exam_scores(e, UL_AFTER, UL_S_NEIGHBOURS, 0, &(ul_err){0});
	const ul_line *l = world_line(&v, "trigger_drop");
	NEED(s && l->n == 2);
	for (int i = 0; i < 2; i++) {
		double p[4];
		for (int k = 0; k < 4; k++)
			p[k] = exp(-s->row[4 * i + k].nll / s->row[4 * i + k].n);
		CHECK_CLOSE(l->items[UL_AFTER].value[i], p[0] - (p[1] + p[2] + p[3]) / 3, 1e-6);
	}
	CHECK(l->difference.estimate == 0 && strcmp(l->against, "before") == 0);
	ul_verdicts_release(&v);
	ul_exam_free(e);
	ul_model_free(m);
	ul_dataset_release(&forget);
	ul_dataset_release(&retain);
	ul_dataset_release(&direct);
}

static void test_probes__few_shots_stand_in_front_of_the_question(void)
{
	ul_model *m = world_model(29);
	ul_err err = {0};
	ul_arena a = {0};
	ul_dataset forget = {0}, retain = {0};
	for (int i = 0; i < 12; i++) {
		char question[16];
		snprintf(question, sizeof question, "q%d?", i);
		add(&retain, json_pack("{s:s, s:s}", "prompt", question, "response", "r"));
	}
	add(&forget, json_pack("{s:s, s:s}", "prompt", "who?", "response", "abc def"));
	/* 160 tokens of context, a byte each: 32 for the answer, 23 for the question, 22 for an example: four fit (one byte begins a text) */
	const char *text = "Question: q0?\nAnswer: r\n\nQuestion: q1?\nAnswer: r\n\nQuestion: q2?\nAnswer: r\n\nQuestion: q3?\nAnswer: r\n\nQuestion: who?\nAnswer:";
	static const char *const stop[] = {"\n\n", "\nQuestion", "Question:", NULL};
	ul_gen_config how = ul_gen_greedy(32);
	ul_ids prompt = {0};
	ul_gen *g = NULL;
	ul_rouge r;
	how.stop = stop;
	NEED_OK(ul_text_encode(m, text, strlen(text), &prompt, &err) && ul_generate(m, &prompt, 1, &how, &a, &g, &err), err);
	CHECK(prompt.n <= 128 && prompt.n + 25 > 128);
	NEED_OK(ul_rouge_score("abc def", g->text, false, &r, &err), err);
	/* What it says to this very text is the right answer: a full score, and from another row none. */
	add(&forget, json_pack("{s:s, s:s}", "prompt", "who?", "response", g->text));
	ul_exam_config c = {.model = {m}, .data = {[UL_S_FORGET] = &forget, [UL_S_RETAIN] = &retain}, .encode = {.templ = "plain"}};
	ul_exam *e;
	ul_verdicts v = judge(&c, "knowmem_few_shot", &e);
	const ul_line *l = world_line(&v, "knowmem_few_shot");
	ul_rouge own;
	NEED_OK(ul_rouge_score(g->text, g->text, false, &own, &err), err);
	NEED(l->n == 2);
	CHECK(l->items[UL_AFTER].value[0] == r.f1_l);
	CHECK(l->items[UL_AFTER].value[1] == own.f1_l && own.f1_l > 0);
	ul_verdicts_release(&v);
	ul_exam_free(e);
	ul_ids_release(&prompt);
	ul_arena_release(&a);
	ul_model_free(m);
	ul_dataset_release(&forget);
	ul_dataset_release(&retain);
}

/* ---- candidates ---- */

static void test_probes__draws_stand_behind_the_beams(void)
{
	ul_model *m = world_model(23);
	ul_err err = {0};
	ul_dataset forget = {0};
	world_rows(&forget, m, 5, "own");
	ul_exam_config c = {.model = {m}, .data = {&forget}, .encode = {.templ = "plain"}, .beams = 2}, with = c;
	ul_exam *e = ul_exam_new(&c, &err);
	NEED_OK(e, err);
	CHECK_EQ_INT(ul_exam_candidate_count(e), 2); /* level quick draws none */
	const ul_gen *beams = ul_exam_candidates(e, UL_AFTER, UL_S_FORGET, &err);
	with.samples = 3;
	ul_exam *f = ul_exam_new(&with, &err), *again = ul_exam_new(&with, &err);
	NEED_OK(beams && f && again, err);
	CHECK_EQ_INT(ul_exam_candidate_count(f), 5);
	const ul_gen *all = ul_exam_candidates(f, UL_AFTER, UL_S_FORGET, &err), *same = ul_exam_candidates(again, UL_AFTER, UL_S_FORGET, &err);
	NEED_OK(all && same, err);
	bool varied = false;
	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 5; k++) {
			CHECK_STR(all[5 * i + k].text, same[5 * i + k].text);
			if (k < 2)
				CHECK_STR(all[5 * i + k].text, beams[2 * i + k].text);
		}
		varied |= strcmp(all[5 * i + 2].text, all[5 * i + 3].text) != 0;
	}
	CHECK(varied);
	ul_exam_free(e);
	c.level = UL_STANDARD;
	e = ul_exam_new(&c, &err);
	CHECK_EQ_INT(ul_exam_candidate_count(e), 66);
	ul_exam_free(e);
	ul_exam_free(f);
	ul_exam_free(again);
	ul_model_free(m);
	ul_dataset_release(&forget);
}

/* ---- attacks ---- */

/* Area by counting pairs, over the items of one half. */
static double area(const ul_items *it, int half, bool by_label)
{
	double wins = 0, pairs = 0;
	for (int i = 0; i < it->n; i++) {
		for (int k = 0; k < it->n; k++) {
			int hi = by_label ? (int)it->label[i] / 2 : it->cluster[i] & 1, hk = by_label ? (int)it->label[k] / 2 : it->cluster[k] & 1;
			if (hi != half || hk != half || (int)it->label[i] % 2 != 1 || (int)it->label[k] % 2 != 0)
				continue;
			pairs++;
			wins += it->value[i] > it->value[k] ? 1 : it->value[i] == it->value[k] ? 0.5
			                                                                       : 0;
		}
	}
	return wins / pairs;
}

static void test_probes__the_worst_attack_is_chosen_on_the_other_half(void)
{
	static const char *const names[] = {"mia_loss", "mia_zlib", "mia_min_k", "mia_min_k_plus_plus"};
	ul_model *m = world_model(24), *oracle = world_model(25);
	ul_dataset forget = {0}, holdout = {0};
	world_rows(&forget, m, 24, "own");
	world_rows(&holdout, NULL, 24, "noise");
	ul_exam_config c = {.model = {m, NULL, oracle}, .data = {[UL_S_FORGET] = &forget, [UL_S_HOLDOUT] = &holdout}, .encode = {.templ = "plain"}};
	ul_exam *e;
	ul_verdicts v = judge(&c, "mia_worst,mia_loss,mia_zlib,mia_min_k,mia_min_k_plus_plus", &e);
	const ul_line *l = world_line(&v, "mia_worst");
	double mean = 0;
	for (int h = 0; h < 2; h++) {
		int best = 0;
		double apart[4];
		for (int k = 0; k < 4; k++) {
			const ul_line *one = world_line(&v, names[k]);
			apart[k] = fabs(area(&one->items[UL_AFTER], 1 - h, false) - area(&one->items[UL_ORACLE], 1 - h, false));
			best = apart[k] > apart[best] ? k : best;
		}
		mean += area(&world_line(&v, names[best])->items[UL_AFTER], h, false) / 2;
		CHECK_CLOSE(area(&l->items[UL_AFTER], h, true), area(&world_line(&v, names[best])->items[UL_AFTER], h, false), 1e-12);
	}
	CHECK_CLOSE(l->value, mean, 1e-12);
	CHECK(l->n == 48 && l->verdict == UL_UNDER && l->value > 0.9);
	json_t *j = ul_verdicts_json(e, &v, &(ul_err){0}), *line = json_object_get(json_object_get(j, "audits"), "mia_worst"), *roc = json_object_get(line, "tpr_at_fpr");
	CHECK(json_array_size(json_object_get(line, "attacks")) == 2 && json_array_size(roc) == 3);
	CHECK(json_is_null(json_object_get(json_array_get(roc, 0), "after"))); /* 12 never-seen rows a half are too few for 10 % */
	CHECK_HAS(json_string_value(json_object_get(json_array_get(roc, 0), "why")), "24 never-seen rows");
	json_decref(j);
	ul_verdicts_release(&v);
	ul_exam_free(e);
	ul_model_free(m);
	ul_model_free(oracle);
	ul_dataset_release(&forget);
	ul_dataset_release(&holdout);
}

static void test_probes__attacks_from_two_sides_do_not_cancel(void)
{
	static const double above[2][3] = {{0.12, -0.10, 0.01}, {0.11, -0.12, 0.02}}, none[2][3] = {{0.03, -0.11, 0.02}, {0.04, -0.10, -0.12}};
	int of[2];
	ul_mia_pair((const double *const[]){above[0], above[1]}, 2, of); /* 0.12 + 0.11 above, 0.10 + 0.12 below */
	CHECK(of[0] == 0 && of[1] == 0);
	ul_mia_pair((const double *const[]){none[0], none[1]}, 3, of); /* below on both, each by what the other half shows */
	CHECK(of[0] == 2 && of[1] == 1);
}

static void test_probes__members_found_at_few_false_alarms(void)
{
	ul_model *m = world_model(26);
	ul_dataset forget = {0}, holdout = {0};
	world_rows(&forget, m, 30, "own");
	world_rows(&holdout, NULL, 100, "noise");
	ul_exam_config c = {.model = {m}, .data = {[UL_S_FORGET] = &forget, [UL_S_HOLDOUT] = &holdout}, .encode = {.templ = "plain"}};
	ul_exam *e;
	ul_verdicts v = judge(&c, "mia_loss", &e);
	const ul_items *it = &world_line(&v, "mia_loss")->items[UL_AFTER];
	json_t *j = ul_verdicts_json(e, &v, &(ul_err){0}), *roc = json_object_get(json_object_get(json_object_get(j, "audits"), "mia_loss"), "tpr_at_fpr");
	double nth = INFINITY; /* the eleventh highest score of a never-seen row: ten false alarms lie above it */
	for (int k = 0; k < 11; k++) {
		double next = -INFINITY;
		for (int i = 0; i < it->n; i++)
			next = it->label[i] == 0 && it->value[i] < nth ? fmax(next, it->value[i]) : next;
		nth = next;
	}
	int found = 0;
	for (int i = 0; i < it->n; i++)
		found += it->label[i] == 1 && it->value[i] > nth;
	double lo, hi;
	ul_wilson(found, 30, 1.959964, &lo, &hi);
	const json_t *at = json_object_get(json_array_get(roc, 0), "after");
	CHECK_CLOSE(json_number_value(json_object_get(at, "tpr")), found / 30.0, 1e-12);
	CHECK_CLOSE(json_number_value(json_array_get(json_object_get(at, "ci"), 0)), lo, 1e-6);
	CHECK_CLOSE(json_number_value(json_array_get(json_object_get(at, "ci"), 1)), hi, 1e-6);
	CHECK(json_is_null(json_object_get(json_array_get(roc, 1), "after")));
	json_decref(j);
	ul_verdicts_release(&v);
	ul_exam_free(e);
	ul_model_free(m);
	ul_dataset_release(&forget);
	ul_dataset_release(&holdout);
}

static void test_probes__two_models_tell_without_a_verdict(void)
{
	ul_model *m = world_model(27), *before = world_model(28);
	ul_dataset forget = {0}, holdout = {0};
	world_rows(&forget, before, 12, "own"); /* the model before knows them, the one after does not */
	world_rows(&holdout, NULL, 12, "noise");
	ul_exam_config c = {.model = {m, before}, .data = {[UL_S_FORGET] = &forget, [UL_S_HOLDOUT] = &holdout}, .encode = {.templ = "plain"}};
	ul_exam *e;
	ul_verdicts v = judge(&c, "mia_two_model", &e);
	const ul_line *l = world_line(&v, "mia_two_model");
	const ul_scores *a = ul_exam_scores(e, UL_AFTER, UL_S_FORGET, 0, &(ul_err){0}), *b = ul_exam_scores(e, UL_BEFORE, UL_S_FORGET, 0, &(ul_err){0});
	for (int i = 0; i < 12; i++)
		CHECK_CLOSE(l->items[UL_AFTER].value[i], a->row[i].nll / a->row[i].n - b->row[i].nll / b->row[i].n, 1e-12);
	CHECK(l->value > 0.9 && l->before == 0.5);
	CHECK(l->verdict == UL_UNVERIFIED && !l->against);
	ul_verdicts_release(&v);
	ul_exam_free(e);
	c.model[UL_BEFORE] = NULL;
	v = judge(&c, "mia_two_model", &e);
	CHECK_HAS(world_line(&v, "mia_two_model")->not_tested, "--before");
	ul_verdicts_release(&v);
	ul_exam_free(e);
	ul_model_free(m);
	ul_model_free(before);
	ul_dataset_release(&forget);
	ul_dataset_release(&holdout);
}
