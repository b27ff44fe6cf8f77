/*
 * test_annotate.c: findings as spans in code points, lists of types, and names guessed beside personal data.
 */
#include "test.h"

#include "data/annotate.h"

static void test_annotate__spans_count_code_points(void)
{
	const char *text = "\xC3\xA9\xC3\xA9 a@b.example \xF0\x9F\x98\x80 10.0.0.1";
	ul_finding f[2] = {{5, 16, UL_PII_EMAIL}, {22, 30, UL_PII_IP}};
	json_t *v = ul_spans_json(text, f, 2), *types = ul_types_json(f, 2);
	ul_buf line = {0};
	ul_json_line(&line, v);
	CHECK_STR(line.data, "[{\"start\":3,\"end\":14,\"type\":\"EMAIL\"},{\"start\":17,\"end\":25,\"type\":\"IP\"}]\n");
	CHECK_EQ_INT(json_integer_value(json_object_get(types, "IP")), 1);
	CHECK_CLOSE(ul_findings_share(38, f, 2), 0.5, 1e-12);
	ul_buf_release(&line);
	json_decref(v);
	json_decref(types);
}

static void test_annotate__types(void)
{
	unsigned bits = 99;
	ul_err err = {0};
	NEED_OK(ul_types_parse(NULL, &bits, &err), err);
	CHECK_EQ_INT(bits, 0);
	NEED_OK(ul_types_parse("email, PHONE", &bits, &err), err);
	CHECK_EQ_INT(bits, 1u << UL_PII_EMAIL | 1u << UL_PII_PHONE);
	CHECK_FAILS(ul_types_parse("email,shoe", &bits, &err), err, "\"SHOE\" is no type");
}

static void guesses(const char *text, const ul_finding *f, int n, const char *want)
{
	ul_finding name[8];
	char got[200] = "";
	int k = ul_guess_names(text, strlen(text), f, n, name, 8);
	for (int i = 0; i < k; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%.*s", i ? "|" : "", (int)(name[i].end - name[i].start), text + name[i].start);
	CHECK_STR(got, want);
}

static void test_annotate__guessed_names(void)
{
	guesses("Notes about Anna Smith, who knows Jean-Luc O'Neil and M\xC3\xBCller Gro\xC3\x9F Zwei.", NULL, 0, "Anna Smith|Jean-Luc O'Neil|M\xC3\xBCller Gro\xC3\x9F Zwei");
	guesses("The SHOP is open. It Is late; iPhone Seven", NULL, 0, "It Is");
	guesses("Letters go to 12 Mill Lane, Oakminster", &(ul_finding){14, 38, UL_PII_ADDRESS}, 1, "");
	guesses("Anna", NULL, 0, "");
	guesses("", NULL, 0, "");
}
