/* Exams and verdicts on a small random model: neutral against itself, right about what it says itself, honest about what it lacks. */
#include "audits/canary.h"
#include "world.h"

static ul_verdicts judge(const ul_exam_config *c, const char *only, ul_exam **keep)
{
	ul_err err = {0};
	ul_verdicts v = {0};
	ul_exam *e = ul_exam_new(c, &err);
	NEED_OK(e, err);
	NEED_OK(ul_judge(e, only, 200, &v, &err), err);
	if (keep)
		*keep = e;
	else
		ul_exam_free(e);
	return v;
}

static void test_exam__a_model_against_itself_is_neutral(void)
{
	ul_err err = {0};
	ul_model *m = world_model(1), *before = ul_model_clone(m, &err), *oracle = ul_model_clone(m, &err);
	ul_dataset forget = {0}, retain = {0}, holdout = {0};
	world_rows(&forget, NULL, 40, "forget");
	world_rows(&retain, NULL, 40, "retain");
	world_rows(&holdout, NULL, 40, "holdout");
	ul_exam_config c = {.model = {m, before, oracle}, .data = {&forget, &retain, &holdout}, .encode = {.templ = "plain"}, .level = UL_QUICK};
	ul_verdicts v = judge(&c, NULL, NULL);
	int tested = 0;
	for (int i = 0; i < v.n; i++) {
		const ul_line *l = &v.line[i];
		if (l->not_tested)
			continue;
		tested++;
		CHECK_MSG(l->verdict == UL_PASS || l->verdict == UL_INCONCLUSIVE || l->def->kind == UL_K_INFO, "%s says %s", l->def->name, ul_verdict_name(l->verdict));
		CHECK_MSG(l->difference.estimate == 0 || l->def->judge, "%s differs from itself by %g", l->def->name, l->difference.estimate);
		CHECK_MSG(!isfinite(l->lo) || (l->lo <= l->value && l->value <= l->hi), "%s: %g not in [%g, %g]", l->def->name, l->value, l->lo, l->hi);
	}
	CHECK(tested > 20);
	CHECK(world_line(&v, "privleak")->value == 0);
	CHECK(world_line(&v, "exposure")->not_tested != NULL);
	CHECK(v.overall == UL_PASS || v.overall == UL_INCONCLUSIVE);
	ul_verdicts_release(&v);
	ul_model_free(oracle);
	ul_model_free(before);
	ul_model_free(m);
	ul_dataset_release(&forget);
	ul_dataset_release(&retain);
	ul_dataset_release(&holdout);
}

static void test_exam__own_words_are_memorised(void)
{
	static const char *const all[] = {"exact_memorization", "extraction_strength", "forget_rouge", "knowmem", "err", "e_hit", "s_exp", "frs", "forget_entity_accuracy"};
	ul_model *m = world_model(2);
	ul_dataset own = {0}, holdout = {0};
	world_rows(&own, m, 30, "own");
	world_rows(&holdout, NULL, 30, "noise");
	ul_exam_config c = {.model = {m}, .data = {[UL_S_FORGET] = &own, [UL_S_HOLDOUT] = &holdout}, .encode = {.templ = "plain", .eos = UL_EOS_NONE}, .level = UL_QUICK, .beams = 1, .max_new = 12};
	ul_exam *e;
	ul_verdicts v = judge(&c, "exact_memorization,extraction_strength,forget_rouge,knowmem,err,e_hit,s_exp,frs,forget_entity_accuracy,mia_loss,privleak", &e);
	CHECK_EQ_INT(v.mode, UL_MODE_HOLDOUT);
	CHECK_EQ_INT(v.n, 11);
	for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
		const ul_line *l = world_line(&v, all[k]);
		CHECK_MSG(l->value == 1 && l->n == 30, "%s is %g over %d", all[k], l->value, l->n);
		CHECK_MSG(l->verdict == UL_UNDER && strcmp(l->against, "holdout") == 0, "%s says %s against %s", all[k], ul_verdict_name(l->verdict), l->against);
	}
	CHECK(world_line(&v, "mia_loss")->value > 0.95);
	CHECK(world_line(&v, "privleak")->value < -90 && world_line(&v, "privleak")->verdict == UL_UNDER);
	CHECK_EQ_INT(v.overall, UL_UNDER);
	json_t *j = ul_verdicts_json(e, &v, &(ul_err){0});
	ul_buf items = {0};
	CHECK(j && ul_verdicts_items(e, &v, &items));
	CHECK_STR(json_string_value(json_object_get(j, "verdict")), "UNDER");
	CHECK(json_array_size(json_object_get(j, "examples")) == 6);
	CHECK_HAS(items.data, "{\"who\":\"after\",\"audit\":\"err\",\"split\":\"forget\",\"row\":0,\"subject\":\"own0\",\"value\":1");
	ul_buf_release(&items);
	json_decref(j);
	ul_verdicts_release(&v);
	ul_exam_free(e);
	ul_model_free(m);
	ul_dataset_release(&own);
	ul_dataset_release(&holdout);
}

static void test_exam__a_ruined_model_has_collapsed(void)
{
	ul_model *before = world_model(3), *m = world_model(4);
	ul_dataset forget = {0}, retain = {0}, general = {0};
	world_rows(&forget, before, 20, "forget");
	world_rows(&retain, before, 20, "retain");
	world_rows(&general, before, 20, "general");
	ul_exam_config c = {.model = {m, before}, .data = {[UL_S_FORGET] = &forget, [UL_S_RETAIN] = &retain, [UL_S_GENERAL] = &general}, .encode = {.templ = "plain"}, .level = UL_QUICK};
	ul_verdicts v = judge(&c, "retain_prob,general_nll,err,forget_rouge", NULL);
	CHECK_EQ_INT(v.mode, UL_MODE_BEFORE);
	CHECK_EQ_INT(world_line(&v, "retain_prob")->verdict, UL_COLLAPSED);
	CHECK_EQ_INT(world_line(&v, "general_nll")->verdict, UL_COLLAPSED);
	CHECK_EQ_INT(world_line(&v, "err")->verdict, UL_UNVERIFIED); /* nothing is left to reconstruct, and that proves nothing */
	CHECK(world_line(&v, "err")->value < world_line(&v, "err")->before);
	CHECK_EQ_INT(v.overall, UL_COLLAPSED);
	ul_verdicts_release(&v);
	ul_model_free(m);
	ul_model_free(before);
	ul_dataset_release(&forget);
	ul_dataset_release(&retain);
	ul_dataset_release(&general);
}

static void test_exam__nothing_to_compare_with_is_unverified(void)
{
	ul_model *m = world_model(5);
	ul_dataset forget = {0};
	world_rows(&forget, NULL, 8, "forget");
	ul_exam_config c = {.model = {m}, .data = {&forget}, .encode = {.templ = "plain"}, .level = UL_QUICK};
	ul_verdicts v = judge(&c, NULL, NULL);
	CHECK_EQ_INT(v.overall, UL_UNVERIFIED);
	CHECK_EQ_INT(world_line(&v, "forget_nll")->verdict, UL_UNVERIFIED);
	CHECK(isfinite(world_line(&v, "forget_nll")->lo));
	CHECK_HAS(world_line(&v, "retain_prob")->not_tested, "no retain data");
	CHECK_HAS(world_line(&v, "mia_loss")->not_tested, "holdout");
	CHECK_HAS(world_line(&v, "forget_quality")->not_tested, "perturbed");
	CHECK_HAS(world_line(&v, "mia_gradnorm")->not_tested, "level");
	CHECK_HAS(world_line(&v, "verbmem")->not_tested, "not documents");
	ul_verdicts_release(&v);
	ul_model_free(m);
	ul_dataset_release(&forget);
}

static void test_exam__asks_for_what_it_knows(void)
{
	ul_model *m = world_model(5);
	ul_dataset forget = {0};
	ul_err err = {0};
	ul_verdicts v;
	world_rows(&forget, NULL, 4, "forget");
	ul_exam_config c = {.model = {m}, .data = {&forget}, .encode = {.templ = "plain"}};
	ul_exam *e = ul_exam_new(&c, &err);
	NEED_OK(e, err);
	CHECK_FAILS(ul_judge(e, "forget_nll,extraction_strenth", 50, &v, &err), err, "extraction_strenth");
	CHECK_HAS(err.hint, "extraction_strength");
	ul_exam_free(e);
	c.data[UL_S_FORGET] = NULL;
	err = (ul_err){0};
	CHECK_FAILS(ul_exam_new(&c, &err) != NULL, err, "rows that should be forgotten");
	ul_model_free(m);
	ul_dataset_release(&forget);
}

static void test_exam__oracles_of_several_seeds_set_the_margin(void)
{
	ul_model *m = world_model(31), *seed[] = {world_model(32), world_model(33), world_model(34)};
	ul_dataset forget = {0}, holdout = {0};
	double value[3], auc[3], mean = 0, var = 0;
	world_rows(&forget, m, 20, "forget");
	world_rows(&holdout, NULL, 20, "holdout");
	ul_exam_config c = {.model = {[UL_AFTER] = m}, .data = {[UL_S_FORGET] = &forget, [UL_S_HOLDOUT] = &holdout}, .encode = {.templ = "plain"}, .level = UL_QUICK};
	for (int k = 0; k < 3; k++) {
		c.model[UL_ORACLE] = seed[k];
		ul_verdicts one = judge(&c, "forget_prob,mia_loss", NULL);
		value[k] = world_line(&one, "forget_prob")->oracle;
		auc[k] = world_line(&one, "mia_loss")->oracle;
		CHECK(world_line(&one, "forget_prob")->margin == 0.05);
		mean += value[k] / 3;
		ul_verdicts_release(&one);
	}
	for (int k = 0; k < 3; k++)
		var += (value[k] - mean) * (value[k] - mean) / 2;
	c.model[UL_ORACLE] = seed[0];
	c.model[UL_ORACLE_2] = seed[1];
	c.model[UL_ORACLE_3] = seed[2];
	ul_verdicts v = judge(&c, "forget_prob,mia_loss", NULL);
	const ul_line *p = world_line(&v, "forget_prob"), *a = world_line(&v, "mia_loss");
	CHECK_CLOSE(p->reference, mean, 1e-12);
	CHECK_CLOSE(p->oracle_sd, sqrt(var), 1e-12);
	CHECK(p->margin == fmax(0.05, 2 * p->oracle_sd));
	CHECK(a->reference == auc[0] && a->oracle_sd > 0 && a->margin == fmax(0.05, 2 * a->oracle_sd));
	ul_verdicts_release(&v);
	for (int k = 0; k < 3; k++)
		ul_model_free(seed[k]);
	ul_model_free(m);
	ul_dataset_release(&forget);
	ul_dataset_release(&holdout);
}

static void test_exam__the_oracle_is_a_second_way_to_keep(void)
{
	ul_model *m = world_model(35), *before = world_model(36);
	ul_err err = {0};
	ul_model *oracle = ul_model_clone(m, &err);
	ul_dataset forget = {0}, retain = {0};
	NEED_OK(oracle, err);
	world_rows(&forget, NULL, 6, "forget");
	world_rows(&retain, before, 20, "retain"); /* the model before knows them by heart, the oracle no more than the model after */
	ul_exam_config c = {.model = {m, before, oracle}, .data = {[UL_S_FORGET] = &forget, [UL_S_RETAIN] = &retain}, .encode = {.templ = "plain"}, .level = UL_QUICK};
	ul_verdicts v = judge(&c, "retain_prob", NULL);
	const ul_line *l = world_line(&v, "retain_prob");
	CHECK(l->verdict == UL_PASS && strcmp(l->against, "oracle") == 0 && l->margin == 0.03);
	ul_verdicts_release(&v);
	ul_model_free(oracle);
	ul_model_free(before);
	ul_model_free(m);
	ul_dataset_release(&forget);
	ul_dataset_release(&retain);
}

static void test_exam__a_line_is_the_same_alone(void)
{
	ul_model *m = world_model(6);
	ul_dataset forget = {0}, holdout = {0};
	world_rows(&forget, m, 20, "forget");
	world_rows(&holdout, NULL, 20, "holdout");
	ul_exam_config c = {.model = {m}, .data = {[UL_S_FORGET] = &forget, [UL_S_HOLDOUT] = &holdout}, .encode = {.templ = "plain"}, .level = UL_QUICK};
	ul_verdicts all = judge(&c, NULL, NULL), alone = judge(&c, "mia_min_k", NULL);
	const ul_line *a = world_line(&all, "mia_min_k"), *b = world_line(&alone, "mia_min_k");
	CHECK(a->value == b->value && a->lo == b->lo && a->hi == b->hi);
	ul_verdicts_release(&all);
	ul_verdicts_release(&alone);
	ul_model_free(m);
	ul_dataset_release(&forget);
	ul_dataset_release(&holdout);
}

/* ---- numbers against their definitions ---- */

static void test_exam__likelihoods_add_up(void)
{
	ul_model *m = world_model(7);
	ul_dataset forget = {0};
	world_rows(&forget, NULL, 6, "forget");
	ul_exam_config c = {.model = {m}, .data = {&forget}, .encode = {.templ = "plain"}};
	ul_exam *e;
	ul_verdicts v = judge(&c, "forget_nll,forget_prob,forget_entity_nll,forget_context_nll", &e);
	const ul_scores *s = ul_exam_scores(e, UL_AFTER, UL_S_FORGET, 0, &(ul_err){0});
	for (int i = 0; i < 6; i++) {
		double entity = world_line(&v, "forget_entity_nll")->items[UL_AFTER].value[i], context = world_line(&v, "forget_context_nll")->items[UL_AFTER].value[i];
		CHECK_CLOSE(entity * 6 + context * (s->row[i].n - 6), s->row[i].nll, 1e-9);
		CHECK_CLOSE(world_line(&v, "forget_nll")->items[UL_AFTER].value[i], s->row[i].nll / s->row[i].n, 1e-12);
		CHECK_CLOSE(world_line(&v, "forget_prob")->items[UL_AFTER].value[i], exp(-s->row[i].nll / s->row[i].n), 1e-12);
	}
	ul_verdicts_release(&v);
	ul_exam_free(e);
	ul_model_free(m);
	ul_dataset_release(&forget);
}

static void test_exam__truth_ratio_means(void)
{
	ul_row_score own = {.n = 2, .nll = 2}, para = {.n = 4, .nll = 8}, wrong[] = {{.n = 1, .nll = 1}, {.n = 2, .nll = 6}};
	int one = 1, two = 2, none = 0;
	ul_row_score *p = &para, *w = wrong;
	ul_answers right = {&one, &p}, absent = {&none, &p}, list = {&two, &w};
	CHECK_CLOSE(ul_truth_ratio(&right, &own, &list, 0, false), exp(-2) / exp(-2), 1e-8); /* mean loss 2 against 2 */
	CHECK_CLOSE(ul_truth_ratio(&absent, &own, &list, 0, false), exp(-2) / exp(-1), 1e-8); /* without a paraphrase: the answer */
	CHECK_CLOSE(ul_truth_ratio(&right, &own, &list, 0, true), (exp(-1) + exp(-3)) / 2 / exp(-2), 1e-8);
	CHECK(isnan(ul_truth_ratio(&right, &own, NULL, 0, false)));
}

static void test_exam__other_answers_are_scored_as_rows(void)
{
	ul_model *m = world_model(8);
	ul_err err = {0};
	ul_dataset forget = {0}, same = {0};
	json_t *a = json_pack("{s:s, s:s, s:s, s:[s, s]}", "prompt", "who?", "response", "abc", "paraphrase", "a b c", "perturbed", "xyz", "q"), *b = json_pack("{s:s, s:s}", "prompt", "when?", "response", "def");
	json_t *plain[] = {json_pack("{s:s, s:s}", "prompt", "who?", "response", "xyz"), json_pack("{s:s, s:s}", "prompt", "who?", "response", "q")};
	NEED_OK(ul_dataset_add(&forget, b, &err) && ul_dataset_add(&forget, a, &err) && ul_dataset_add(&same, plain[0], &err) && ul_dataset_add(&same, plain[1], &err), err);
	ul_exam_config c = {.model = {m}, .data = {[UL_S_FORGET] = &forget, [UL_S_RETAIN] = &same}, .encode = {.templ = "plain"}};
	ul_exam *e = ul_exam_new(&c, &err);
	NEED_OK(e, err);
	const ul_answers *w = ul_exam_answers(e, UL_AFTER, UL_S_FORGET, UL_PERTURBED, &err), *p = ul_exam_answers(e, UL_AFTER, UL_S_FORGET, UL_PARAPHRASE, &err);
	const ul_scores *s = ul_exam_scores(e, UL_AFTER, UL_S_RETAIN, 0, &err);
	NEED_OK(w && p && s, err);
	CHECK(w->n[0] == 0 && w->n[1] == 2 && p->n[0] == 0 && p->n[1] == 1);
	CHECK_CLOSE(w->row[1][0].nll, s->row[0].nll, 1e-5);
	CHECK_CLOSE(w->row[1][1].nll, s->row[1].nll, 1e-5);
	ul_exam_free(e);
	json_decref(a);
	json_decref(b);
	json_decref(plain[0]);
	json_decref(plain[1]);
	ul_model_free(m);
	ul_dataset_release(&forget);
	ul_dataset_release(&same);
}

/* {prompt, response, two wrong answers} of two questions each; and in `each`, the same five answers as rows of their own. */
static void questions(ul_dataset *d, ul_dataset *each, const char *who)
{
	ul_err err = {0};
	for (int i = 0; i < 2; i++) {
		char prompt[32], answer[3][32];
		snprintf(prompt, sizeof prompt, "%s %d?", who, i);
		for (int k = 0; k < 3; k++)
			snprintf(answer[k], sizeof answer[k], "%s%c%d", who, "xyz"[k], 7 * i + k);
		json_t *row = json_pack("{s:s, s:s, s:[s, s]}", "prompt", prompt, "response", answer[0], "perturbed", answer[1], answer[2]);
		NEED_OK(ul_dataset_add(d, row, &err), err);
		json_decref(row);
		for (int k = 0; k < 3; k++) {
			row = json_pack("{s:s, s:s}", "prompt", prompt, "response", answer[k]);
			NEED_OK(ul_dataset_add(each, row, &err), err);
			json_decref(row);
		}
	}
}

/* open-unlearning holds an answer about its real authors and world facts against the wrong ones, one about the retained not. */
static void test_exam__utility_as_the_framework_counts_it(void)
{
	ul_model *m = world_model(11);
	ul_err err = {0};
	ul_dataset retain = {0}, near = {0}, all = {0};
	questions(&retain, &all, "retain");
	questions(&near, &all, "near");
	for (int compat = 0; compat < 2; compat++) {
		ul_exam_config c = {.model = {m}, .data = {&retain, [UL_S_RETAIN] = &retain, [UL_S_NEIGHBOURS] = &near, [UL_S_HOLDOUT] = &all}, .encode = {.templ = "plain"}, .compat = compat};
		ul_exam *e;
		ul_verdicts v = judge(&c, "model_utility", &e);
		const ul_items *got = &world_line(&v, "model_utility")->items[UL_AFTER];
		const ul_scores *s = ul_exam_scores(e, UL_AFTER, UL_S_HOLDOUT, 0, &err);
		NEED_OK(s, err);
		int seen = 0;
		for (int i = 0; i < got->n; i++) {
			int set = (int)got->label[i] / 3;
			if ((int)got->label[i] % 3 != 0) /* of each set its probability */
				continue;
			double p[3];
			for (int k = 0; k < 3; k++) {
				const ul_row_score *r = &s->row[set * 6 + got->row[i] * 3 + k];
				p[k] = exp(-r->nll / r->n);
			}
			CHECK_CLOSE(got->value[i], compat && set == 1 ? p[0] / (p[0] + p[1] + p[2] + 1e-10) : p[0], 1e-6);
			CHECK(p[0] < 0.99 && p[1] + p[2] > 1e-6);
			seen++;
		}
		CHECK_EQ_INT(seen, 4);
		ul_verdicts_release(&v);
		ul_exam_free(e);
	}
	ul_model_free(m);
	ul_dataset_release(&retain);
	ul_dataset_release(&near);
	ul_dataset_release(&all);
}

/* ---- canaries ---- */

static void test_exam__canary_ranks_equal_scoring_every_member(void)
{
	ul_model *m = world_model(9);
	ul_err err = {0};
	ul_dataset forget = {0}, all = {0};
	json_t *row = json_pack("{s:s, s:s, s:{s:s, s:s, s:i}}", "prompt", "code?", "response", "no 47a!", "canary", "template", "{}", "slots", "dda", "space", 2600);
	NEED_OK(ul_dataset_add(&forget, row, &err), err);
	for (int k = 0; k < 2600; k++) { /* the true one is 47a */
		char code[16];
		snprintf(code, sizeof code, "no %02d%c!", k / 26, 'a' + k % 26);
		json_t *one = json_pack("{s:s, s:s}", "prompt", "code?", "response", code);
		NEED_OK(ul_dataset_add(&all, one, &err), err);
		json_decref(one);
	}
	ul_exam_config c = {.model = {m}, .data = {[UL_S_FORGET] = &forget, [UL_S_RETAIN] = &all}, .encode = {.templ = "plain"}};
	ul_exam *e = ul_exam_new(&c, &err);
	NEED_OK(e, err);
	const ul_canary *canary = ul_canary_of(e, UL_S_FORGET, 0, &err);
	NEED_OK(canary, err);
	CHECK_EQ_INT(canary->n, 2600);
	CHECK(canary->whole);
	CHECK_CLOSE(canary->bits, log2(2600), 1e-12);
	double *nll = ul_malloc(2600 * sizeof *nll);
	NEED_OK(ul_canary_nll(m, canary, nll, &err), err);
	const ul_scores *s = ul_exam_scores(e, UL_AFTER, UL_S_RETAIN, 0, &err);
	double worst = 0, rank = 1, truth = 0;
	for (int t = 3; t < 6; t++)
		truth -= s->row[47 * 26].logp[t];
	for (int k = 0, i = 1; k < 2600; k++) { /* labelled tokens: n o blank d d a ! end; only the code differs */
		double direct = 0;
		for (int t = 3; t < 6; t++)
			direct -= s->row[k].logp[t];
		double walked = k == 47 * 26 ? nll[0] : nll[i++];
		worst = fmax(worst, fabs(direct - walked));
		rank += direct < truth;
	}
	CHECK(worst < 1e-3);
	CHECK_NEAR(ul_canary_exposure(canary, nll), log2(2600) - log2(rank), 0.05);
	double best[] = {0.5, 1, 2, 3};
	ul_canary four = {.n = 4, .whole = true, .bits = 2};
	CHECK(ul_canary_exposure(&four, best) == 2); /* the most likely one: log2 |R| */
	best[0] = 4;
	CHECK(ul_canary_exposure(&four, best) == 0);
	ul_free(nll);
	json_decref(row);
	ul_exam_free(e);
	ul_model_free(m);
	ul_dataset_release(&forget);
	ul_dataset_release(&all);
}
