/*
 * test_openings.c: where a harvest spends its draws: the unknown by its prior, the known by what it brought, heads with names.
 */
#include "test.h"

#include "data/openings.h"

static ul_model *model(void)
{
	static ul_model m;
	static const char *const text = "Notes about Anna Smith and Boris Vance";
	ul_err err = {0};
	size_t n = strlen(text);
	m = (ul_model){.tok = ul_tok_train(&text, &n, 1, 270, &err), .cfg = {.vocab = 270, .context = 40, .bos = -1}};
	NEED_OK(m.tok, err);
	return &m;
}

static void test_openings__the_unknown_first(void)
{
	ul_openings p = {.m = model()};
	ul_err err = {0};
	NEED(ul_opening_add(&p, "one", 3, NULL, 0.5, false, &err) && ul_opening_add(&p, "two", 3, NULL, 0.9, false, &err));
	NEED(ul_opening_add(&p, "one", 3, NULL, 2, false, &err)); /* known already */
	NEED(ul_opening_add(&p, "a text that is far too long for the context of this model, which is forty", 73, NULL, 2, false, &err));
	CHECK_EQ_INT(p.n, 2);
	CHECK_EQ_INT(ul_opening_new(&p, 0), 1);
	CHECK_EQ_INT(ul_opening_new(&p, 0.95), -1);
	CHECK_EQ_INT(ul_opening_best(&p), -1);
	p.at[1].draws = 3;
	CHECK_EQ_INT(ul_opening_new(&p, 0), 0);
	p.at[0].draws = 1;
	CHECK_EQ_INT(ul_opening_best(&p), 0); /* both brought nothing: the one less tried */
	p.at[1].fresh = 4;
	CHECK_EQ_INT(ul_opening_best(&p), 1);
	ul_openings_release(&p);
}

static void test_openings__heads_meet_names(void)
{
	ul_openings p = {.m = model()};
	ul_err err = {0};
	ul_ids ids = {0};
	ul_buf text = {0};
	NEED(ul_opening_add(&p, "Notes about", 11, NULL, 1, true, &err) && ul_opening_add(&p, "File", 4, NULL, 1, true, &err));
	NEED(ul_opening_name(&p, "Anna Smith", 10, &err) && ul_opening_name(&p, "Boris Vance", 11, &err) && ul_opening_name(&p, "Anna Smith", 10, &err));
	CHECK_EQ_INT(p.names, 2);
	CHECK_EQ_INT(p.rows[0], 2);
	CHECK_EQ_INT(ul_opening_pair(&p, p.names, &ids, &err), -1); /* no head has brought anything */
	p.at[0].fresh = p.at[0].draws = 1;
	for (int i = 0; i < 2; i++) {
		ids.n = 0;
		text.len = 0;
		CHECK_EQ_INT(ul_opening_pair(&p, p.names, &ids, &err), 0);
		ul_tok_decode(p.m->tok, ids.id, ids.n, true, &text);
		CHECK_STR(text.data, i ? "Notes about Boris Vance" : "Notes about Anna Smith");
	}
	CHECK_EQ_INT(ul_opening_pair(&p, p.names, &ids, &err), -1);
	CHECK(!err.msg[0]);
	ul_buf_release(&text);
	ul_ids_release(&ids);
	ul_openings_release(&p);
}
