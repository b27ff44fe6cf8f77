/*
 * test_recipe.c: every recipe is made of options that exist, and what is given beside its name wins.
 */
#include "test.h"

#include "api/api.h"
#include "recipes/recipe.h"

/* Each key is known to the run, or to the source or the method that the recipe itself names; and its value is one it may have. */
static void test_recipe__settings_are_known(void)
{
	for (int i = 0; ul_recipes[i]; i++) {
		const ul_recipe *r = ul_recipes[i];
		ul_err err = {0};
		const ul_method *m = ul_method_find(ul_recipe_get(r, "method"), &err);
		const ul_source *s = ul_source_find(ul_recipe_get(r, "source"), &err);
		NEED_OK(m && s, err);
		const ul_opt *table[] = {ul_run_job_opts, ul_train_opts, m->opts, s->opts};
		for (const ul_setting *k = r->settings; k->key; k++) {
			bool known = !strcmp(k->key, "method");
			for (int t = 0; t < 4 && !known; t++) {
				static max_align_t config[64];
				ul_arena a = {0};
				known = ul_opts_find(table[t], k->key) && ul_opts_set(table[t], config, k->key, k->value, &a, &err);
				ul_arena_release(&a);
			}
			CHECK_MSG(known, "%s: --%s %s: %s", r->name, k->key, k->value, err.msg);
		}
		bool there = !r->wants;
		for (int t = 0; t < 4 && !there; t++)
			there = ul_opts_find(table[t], r->wants);
		CHECK_MSG(there, "%s wants --%s, which there is not", r->name, r->wants);
	}
}

static void test_recipe__unknown_name(void)
{
	ul_err err = {0};
	CHECK_FAILS(ul_recipe_find("dsfu", &err), err, "no recipe \"dsfu\"");
	CHECK_HAS(err.hint, "\"dfsu\"");
}

static const char *value(const ul_job *j, const char *key)
{
	return ul_settings_get(j->setting, j->settings, key);
}

static void expand(ul_job *j, const char *method, ul_setting *given, size_t n)
{
	ul_err err = {0};
	*j = (ul_job){.setting = given, .settings = n};
	j->run.method = ul_method_find(method, &err);
	NEED_OK(j->run.method && ul_recipe_expand(j, &err), err);
}

static void test_recipe__given_ones_win(void)
{
	ul_job j;
	ul_setting plain[] = {{"recipe", "dfsu"}, {"lr", "0.5"}};
	expand(&j, "pscu", plain, 2);
	CHECK_STR(value(&j, "lr"), "0.5");
	CHECK_STR(value(&j, "retain"), "self");
	CHECK(value(&j, "source") && value(&j, "clamp"));
	ul_arena_release(&j.arena);
	/* Rows at hand take the place of the source, and its options go with it. */
	ul_setting rows[] = {{"recipe", "dfsu"}, {"forget", "rows.jsonl"}};
	expand(&j, "pscu", rows, 2);
	CHECK(!value(&j, "source"));
	const ul_source *s = ul_source_find(ul_recipe_get(ul_recipe_find("dfsu", NULL), "source"), NULL);
	for (size_t i = 0; i < j.settings; i++) {
		CHECK_MSG(!ul_opts_find(s->opts, j.setting[i].key), "--%s of the source is still there", j.setting[i].key);
	}
	CHECK(value(&j, "clamp"));
	ul_arena_release(&j.arena);
	ul_setting other[] = {{"recipe", "dfsu"}};
	expand(&j, "npo", other, 1);
	CHECK(value(&j, "source") && !value(&j, "clamp"));
	ul_arena_release(&j.arena);
}

static void test_recipe__wants(void)
{
	ul_err err = {0};
	ul_setting given[] = {{"recipe", "by-name"}};
	ul_job j = {.setting = given, .settings = 1};
	j.run.method = ul_method_find("pscu", &err);
	CHECK_FAILS(ul_recipe_expand(&j, &err), err, "needs --subjects");
	ul_arena_release(&j.arena);
}
